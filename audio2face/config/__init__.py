"""Loads configurations: user files and arguments are merged over the base modules, checked and frozen.

`load` returns a `Configuration`; `Configuration.save` and `.open` pass it from the launcher to a stage.
"""

from __future__ import annotations

from audio2face.config.configuration import ConfigError, Configuration, InferenceSection, TrainSection
from audio2face.config.load import load, stages_of_override
from audio2face.config.sections import (
    Dataset,
    InferenceDiffusion,
    InferenceRegression,
    InferenceStreaming,
    Preproc,
    TrainDiffusion,
    TrainRegression,
    TrainStreaming,
)
from audio2face.config.values import Roots
from audio2face.config_base.types import Stage

__all__ = [
    "ConfigError",
    "Configuration",
    "Dataset",
    "InferenceDiffusion",
    "InferenceRegression",
    "InferenceSection",
    "InferenceStreaming",
    "Preproc",
    "Roots",
    "Stage",
    "TrainDiffusion",
    "TrainRegression",
    "TrainSection",
    "TrainStreaming",
    "load",
    "stages_of_override",
]
