"""Evaluation of animations: metrics on lips and meshes, and baselines."""

from audio2face.evaluate.baselines import BASELINES, Baseline, fit_baselines
from audio2face.evaluate.ground_truth import Difference, compare_motion
from audio2face.evaluate.lips import ClosureScore, LipScore, lip_distance, resample_frames, score_closure, score_lips
from audio2face.evaluate.ridge import Ridge, speech_features

__all__ = [
    "BASELINES",
    "Baseline",
    "ClosureScore",
    "Difference",
    "LipScore",
    "Ridge",
    "compare_motion",
    "fit_baselines",
    "lip_distance",
    "resample_frames",
    "score_closure",
    "score_lips",
    "speech_features",
]
