"""Evaluation of animations: metrics on lips and meshes, and a linear baseline."""

from audio2face.evaluate.difference import Difference, compare_motion
from audio2face.evaluate.lips import ClosureScore, LipScore, lip_distance, resample_frames, score_closure, score_lips
from audio2face.evaluate.ridge import Ridge, speech_features

__all__ = [
    "ClosureScore",
    "Difference",
    "LipScore",
    "Ridge",
    "compare_motion",
    "lip_distance",
    "resample_frames",
    "score_closure",
    "score_lips",
    "speech_features",
]
