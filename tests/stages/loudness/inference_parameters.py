"""Parameters of `config_inference.py`: only those that every family has."""

from __future__ import annotations

from typing import Annotated

from audio2face.config_base import config_inference_diffusion_base as diffusion
from audio2face.config_base.types import Actor, AnimationParameters, Emotion, OutputFolder, dataset_file

CONFIG: AnimationParameters = diffusion.CONFIG
CALIBRATE_POST_PROCESSING: bool = True
AUDIO_PATH: Annotated[str, dataset_file("", "inference")] | None = None
ACTOR_NAME: Actor | None = None
EMOTION_LABEL: Emotion | None = None
INFERENCE_OUTPUT_ROOT: OutputFolder = "/workspace/output_inference"
