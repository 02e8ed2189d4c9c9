"""How good the quickstart's result is: its animation of unseen sentences against the true motion of the example."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from audio2face.dataset import ActorDataset
from audio2face.dataset.phoneme_times import read_phoneme_times
from audio2face.errors import UserError
from audio2face.evaluate.closure import ClosureScore, score_closure
from audio2face.evaluate.lips import FloatArray, lip_distance, resample_frames, score_lips
from audio2face.geometry import find_cache, open_cache


@dataclass(frozen=True)
class SentenceScore:
    """How one voice's sentences came out.

    Attributes:
        correlation: of the distance between the lips with the true one.
        error_mm: distance of the worst lip vertex from its true place, mean over frames.
        closure: p, b and m on which the lips meet.
        true_closure: the same for the true motion.
    """

    correlation: float
    error_mm: float
    closure: ClosureScore
    true_closure: ClosureScore


def score_unseen(
    dataset: ActorDataset, unseen: Path, animations: Sequence[tuple[Path, str]], fps: float
) -> SentenceScore:
    """Compares animations with the true motion of the sentences, at the dataset's frame rate.

    Args:
        dataset: the actor whose face moves.
        unseen: folder of the true motion, laid out as a dataset.
        animations: skin cache and sentence (shot name) of each animation.
        fps: frames per second of the animations.

    Raises:
        UserError: the actor has no lip vertices or no neutral pose, or a file cannot be read.
    """
    lips, neutral = dataset.lip_dist, dataset.skin_neutral
    if lips is None or neutral is None:
        raise UserError(f"actor {dataset.actor!r} has no lip vertices or no neutral pose to compare with")
    pairs = np.stack([lips.upper, lips.lower])
    rest = float(lip_distance(neutral[pairs][None])[0])
    found: list[FloatArray] = []
    true: list[FloatArray] = []
    closure, true_closure = ClosureScore(0, 0), ClosureScore(0, 0)
    for path, shot in animations:
        truth = _lips(find_cache(unseen / "cache" / "skin", shot).path, pairs)
        made = resample_frames(_lips(path, pairs), fps, len(truth), dataset.fps)
        phones = read_phoneme_times(unseen / "phonemes" / f"{shot}.txt")
        closure += score_closure(lip_distance(made), rest, phones, dataset.fps)
        true_closure += score_closure(lip_distance(truth), rest, phones, dataset.fps)
        found.append(made)
        true.append(truth)
    score = score_lips(found, true)
    return SentenceScore(score.correlation, score.error_mm, closure, true_closure)


def _lips(path: Path, pairs: np.ndarray[tuple[int, ...], np.dtype[np.intp]]) -> FloatArray:
    """Lip vertices `[frames, 2, pairs, 3]` of a cache."""
    return np.concatenate([block[:, pairs] for block in open_cache(path).blocks()])
