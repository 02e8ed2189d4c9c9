"""Metrics beyond one animated skin: several samples, recordings of several emotions, blend-shape weights."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import combinations

import numpy as np

from audio2face.evaluate.curve_metrics import opening_retention
from audio2face.types import MM_PER_CM, Float64Array, FloatArray

_LEAST_WEIGHT = 0.05  # a blend shape whose recorded 95th percentile is smaller gives no ratio
NAN = float("nan")


def diversity(samples: Sequence[FloatArray]) -> float:
    """Mean distance of the lip vertices of two samples, over all pairs of samples, mm; NaN for fewer than two.

    Args:
        samples: animations of one recording under different noise, each `[frames, verts, 3]`, centimetres.
    """
    gaps = [
        float(np.linalg.norm(np.asarray(one, np.float64) - other, axis=-1).mean())
        for one, other in combinations(samples, 2)
    ]
    return MM_PER_CM * float(np.mean(gaps)) if gaps else NAN


def emotion_separability(poses: FloatArray, emotions: Sequence[str]) -> float:
    """Share of recordings whose mean upper-face pose is nearest to the mean pose of their own emotion.

    The recording itself is left out of its emotion's mean (leave-one-out, nearest centroid). Emotions with one
    recording are left out; NaN where fewer than two remain. Guessing gives about 1 over the number of emotions.

    Args:
        poses: mean offset of each recording, `[recordings, ...]`.
        emotions: of each recording.
    """
    flat = np.asarray(poses, np.float64).reshape(len(emotions), -1)
    labels = np.array(emotions)
    names, counts = np.unique(labels, return_counts=True)
    names = names[counts > 1]
    if len(names) < 2:
        return NAN
    hits = []
    for index in np.flatnonzero(np.isin(labels, names)):
        others = np.arange(len(labels)) != index
        centroids = np.stack([flat[others & (labels == name)].mean(axis=0) for name in names])
        nearest = names[np.square(centroids - flat[index]).sum(axis=1).argmin()]
        hits.append(nearest == labels[index])
    return float(np.mean(hits))


def score_weights(
    predicted: FloatArray, true: FloatArray, names: Sequence[str], opening: str = "jawOpen"
) -> dict[str, float]:
    """Compares blend-shape weights.

    Args:
        predicted: `[frames, shapes]`, 0 to 1.
        true: the weights of the recorded face, `[frames, shapes]`.
        names: of the shapes.
        opening: the shape that opens the mouth.

    Returns:
        By name of the metric, where it is defined.
    """
    ours, recorded = np.asarray(predicted, np.float64), np.asarray(true, np.float64)
    values = {"weight_error": float(np.abs(ours - recorded).mean())}
    if opening in names:
        column = list(names).index(opening)
        retained = opening_retention(_column(ours, column), _column(recorded, column), _LEAST_WEIGHT)
        values["weight_opening_retention"] = retained
    return {name: value for name, value in values.items() if np.isfinite(value)}


def _column(weights: Float64Array, column: int) -> Float64Array:
    return np.asarray(weights[:, column])
