"""Speech encoders: 16 kHz audio in, features about 50 times per second out.

`create` makes a pretrained encoder by name, `record` says for a checkpoint which one it was, and `rebuild` makes it
again without its pretrained weights. How its steps lie on the frames of an animation is said by its
`info.frame_alignment`. Each encoder is one file in `entries`.
"""

from audio2face.networks.encoders.encoder import SpeechEncoder
from audio2face.networks.encoders.info import SAMPLE_RATE, EncoderInfo
from audio2face.networks.encoders.record import check_record, rebuild, record
from audio2face.networks.encoders.registry import available, build, create, ready
from audio2face.networks.encoders.sources import MODELS_ROOT_VARIABLE, MissingWeightsError

__all__ = [
    "MODELS_ROOT_VARIABLE",
    "SAMPLE_RATE",
    "EncoderInfo",
    "MissingWeightsError",
    "SpeechEncoder",
    "available",
    "build",
    "check_record",
    "create",
    "ready",
    "rebuild",
    "record",
]
