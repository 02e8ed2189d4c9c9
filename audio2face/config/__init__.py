"""Configurations: user files merged over the base modules, checked, frozen.

`load` gives a `Configuration`; `Configuration.save` and `.open` carry it from the launcher to a stage. Knows
parameters, types, files and roots; knows nothing of what the stages do with them.
"""

from __future__ import annotations

from audio2face.config.configuration import ConfigError, Configuration
from audio2face.config.load import load
from audio2face.config.paths import Roots
from audio2face.config.sections import (
    Dataset,
    InferenceDiffusion,
    InferenceRegression,
    Preproc,
    TrainDiffusion,
    TrainRegression,
)
from audio2face.config_base.types import Stage

__all__ = [
    "ConfigError",
    "Configuration",
    "Dataset",
    "InferenceDiffusion",
    "InferenceRegression",
    "Preproc",
    "Roots",
    "Stage",
    "TrainDiffusion",
    "TrainRegression",
    "load",
]
