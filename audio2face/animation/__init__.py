"""From the motion that a network gives to a face: arrays in, arrays out, with numpy and scipy alone."""

from audio2face.animation.animator import FaceAnimator, FaceFrames
from audio2face.animation.blinks import NATURAL_BLINK, BlinkTrack
from audio2face.animation.face import FaceData
from audio2face.animation.settings import AnimatorSettings, parameter_ranges
from audio2face.animation.shapes import unproject

__all__ = [
    "NATURAL_BLINK",
    "AnimatorSettings",
    "BlinkTrack",
    "FaceAnimator",
    "FaceData",
    "FaceFrames",
    "parameter_ranges",
    "unproject",
]
