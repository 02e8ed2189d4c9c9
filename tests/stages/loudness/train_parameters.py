"""Parameters of `config_train.py`: those of all families, and what this one adds."""

from __future__ import annotations

from typing import Literal

from typing_extensions import TypedDict

from audio2face.config_base.train_common import *  # noqa: F403
from audio2face.config_base.types import Channel, Count, Positive


class AudioParams(TypedDict):
    """The window of audio that a frame is predicted from, which lies around the frame's time."""

    buffer_len: Count
    samplerate: Count


NETWORK_TYPE: Literal["loudness"] = "loudness"
NETWORK_NAME: Literal["loudness"] = "loudness"
TARGET_CHANNELS: list[Channel] = ["skin_coeffs", "tongue_coeffs", "jaw", "eye"]
AUDIO_PARAMS: AudioParams = {"buffer_len": 1600, "samplerate": 16000}
NUM_EPOCHS: Count = 20
LEARNING_RATE: Positive = 0.1
GRADIENT_ACCUMULATION_STEPS: Count = 1
LOG_PERIOD: Count = 1
VALIDATION_PERIOD_EPOCHS: Count = 5
