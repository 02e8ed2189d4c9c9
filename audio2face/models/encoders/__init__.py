"""Speech encoders: 16 kHz audio in, features about 50 times per second out.

`create` makes a pretrained encoder by name, `encoder_record` describes it for a checkpoint, and `rebuild_encoder` makes
it from this record without its pretrained weights. `info.frame_alignment` aligns its steps to the frames of an
animation. Each encoder is one file in `entries`.
"""

from audio2face.models.encoders.base import SAMPLE_RATE, EncoderInfo, SpeechEncoder
from audio2face.models.encoders.registry import (
    available,
    build,
    check_encoder_record,
    create,
    encoder_record,
    ready,
    rebuild_encoder,
)
from audio2face.models.encoders.weights import MODELS_ROOT_VARIABLE, MissingWeightsError

__all__ = [
    "MODELS_ROOT_VARIABLE",
    "SAMPLE_RATE",
    "EncoderInfo",
    "MissingWeightsError",
    "SpeechEncoder",
    "available",
    "build",
    "check_encoder_record",
    "create",
    "encoder_record",
    "ready",
    "rebuild_encoder",
]
