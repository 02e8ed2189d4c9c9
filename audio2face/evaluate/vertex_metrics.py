"""Metrics on the positions of vertices over time: errors, motion, rhythm of the lips' shape.

Positions are millimetres, unless a function says otherwise. A value that a shot does not define is NaN. At the end are
metrics of several animations, of recordings of several emotions, and of blend-shape weights.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import combinations

import numpy as np

from audio2face.evaluate.curve_metrics import opening_retention
from audio2face.types import MM_PER_CM, BoolArray, Float64Array, FloatArray

HOLD_MM = 1.0  # a lip shape holds while its vertices are within this distance, root of the mean square
WARP_SECONDS = 0.3  # how far frames may be from each other in time to be matched
_WORST = 95.0  # percentile
_BASELINE_SECONDS = 0.2  # of the moving average that jitter is measured from
NAN = float("nan")
_Path = tuple[float, int]  # total cost and number of steps


def distances(one: FloatArray, other: FloatArray) -> Float64Array:
    """Distances between positions `[..., 3]`, float64 `[...]`."""
    gap = one - other
    return np.asarray(np.sqrt(np.einsum("...c,...c->...", gap, gap)), np.float64)


def lip_errors(largest: Float64Array) -> dict[str, float]:
    """The variants of the lip vertex error, by name of the metric.

    Args:
        largest: distance of the lip vertex that is furthest from the recorded one, `[frames]`, mm.
    """
    squares = np.square(largest)
    return {
        "lip_vertex_error_squared": float(squares.mean()),
        "lip_vertex_error": float(largest.mean()),
        "lip_vertex_error_rms": float(np.sqrt(squares.mean())),
        "lip_vertex_error_95": float(np.percentile(largest, _WORST)),
        "worst_lip_vertex": float(largest.max()),
    }


def velocity_error(predicted: FloatArray, true: FloatArray, fps: float) -> float:
    """Mean distance of the vertices' velocities `[frames, verts, 3]`, mm/s; NaN for a single frame."""
    if len(true) < 2:
        return NAN
    return float(distances(np.diff(predicted, axis=0), np.diff(true, axis=0)).mean()) * fps


def jerk_ratio(predicted: FloatArray, true: FloatArray) -> float:
    """Root mean square of the third differences of `[frames, verts, 3]` over the recorded ones'; NaN if those are 0."""
    if len(true) < 4:
        return NAN
    ours, recorded = (
        float(np.square(np.diff(motion, n=3, axis=0)).mean(dtype=np.float64)) for motion in (predicted, true)
    )
    return float(np.sqrt(ours / recorded)) if recorded > 0 else NAN


def speed(positions: FloatArray, fps: float) -> Float64Array:
    """Mean speed of the vertices `[frames, verts, 3]` around each frame, `[frames]`, mm/s."""
    if len(positions) < 2:
        return np.zeros(len(positions))
    steps = distances(positions[1:], positions[:-1]).mean(axis=1) * fps
    return np.asarray(np.maximum(np.append(steps, steps[-1]), np.append(steps[0], steps)))


def jitter(positions: FloatArray, paused: BoolArray, fps: float) -> float:
    """Root mean square distance of the vertices from their moving average over 0.2 s in the paused frames, mm.

    Args:
        positions: `[frames, verts, 3]`.
        paused: the frames to measure, `[frames]`; NaN if there is none.
        fps: frames per second.
    """
    if not paused.any():
        return NAN
    side = max(1, round(_BASELINE_SECONDS * fps / 2))
    frames, last = np.flatnonzero(paused), len(positions) - 1
    near = [positions[np.clip(frames + offset, 0, last)] for offset in range(-side, side + 1)]
    return float(np.sqrt(np.square(distances(positions[frames], np.mean(near, axis=0))).mean()))


def hold_time(positions: FloatArray, fps: float) -> float:
    """Mean length of the stretches in which the vertices keep a shape, milliseconds.

    A stretch lasts while the vertices `[frames, verts, 3]` are within 1 mm (root of the mean square distance) of their
    positions in its first frame; the next frame begins another.
    """
    points = positions.reshape(len(positions), -1)
    bound = HOLD_MM**2 * positions.shape[1]
    stretches, first = 1, points[0]
    for frame in points:
        offset = frame - first
        if offset @ offset > bound:
            stretches, first = stretches + 1, frame
    return 1000 * len(points) / fps / stretches


def warped_distance(predicted: FloatArray, true: FloatArray, fps: float) -> float:
    """Mean distance of landmarks `[frames, points, 3]` along the cheapest alignment of the frames, mm.

    Dynamic time warping with unit steps (Sakoe and Chiba 1978) among frames at most 0.3 s apart; the cost of two frames
    is the mean distance of their landmarks.
    """
    reach = min(max(1, round(WARP_SECONDS * fps)), len(true))
    costs = _band_costs(predicted, true, reach)
    total, length = _warp(costs)
    return total / length


def _band_costs(predicted: FloatArray, true: FloatArray, reach: int) -> Float64Array:
    """Costs of frame i of `true` with frame i + offset of `predicted`, `[frames, 2 reach + 1]`; infinite outside."""
    frames = len(true)
    costs = np.full((frames, 2 * reach + 1), np.inf)
    for column, offset in enumerate(range(-reach, reach + 1)):
        first, last = max(0, -offset), min(frames, frames - offset)
        if first < last:
            costs[first:last, column] = distances(predicted[first + offset : last + offset], true[first:last]).mean(
                axis=1
            )
    return costs


def _warp(costs: Float64Array) -> _Path:
    """Total cost of the cheapest path from corner to corner of a band, and its number of steps."""
    width: int = costs.shape[1]
    reach = width // 2
    far: _Path = (float("inf"), 0)
    # Of a cell of the row above: the total and the steps so far. Column c of row i is frame i + c - reach.
    above: list[_Path] = [far] * (width + 1)
    lines: list[list[float]] = costs.tolist()
    for row, line in enumerate(lines):
        left, current = far, list[_Path]()
        for column, cost in enumerate(line):
            start = row == 0 and column == reach
            best = (0.0, 0) if start else min(above[column], above[column + 1], left)
            left = (best[0] + cost, best[1] + 1)
            current.append(left)
        above = [*current, far]
    return above[reach]


class Dynamics:
    """Accumulates how much each vertex moves: the spread over time of its distance from neutral, and of the square.

    Frames are added one by one, so that the result does not depend on blocks.

    Args:
        num_verts: number of vertices.
    """

    def __init__(self, num_verts: int) -> None:
        self._sums = np.zeros((3, num_verts))  # of the distance, its square, its fourth power
        self._frames = 0

    def add(self, squares: FloatArray) -> None:
        """Adds a frame: the squared distances from neutral, `[verts]`."""
        squares = np.asarray(squares, np.float64)
        self._sums[0] += np.sqrt(squares)
        self._sums[1] += squares
        self._sums[2] += squares * squares
        self._frames += 1

    @property
    def spread(self) -> Float64Array:
        """Standard deviation over time of the distance from neutral, `[verts]`."""
        return self._deviation(0)

    @property
    def square_spread(self) -> Float64Array:
        """Standard deviation over time of the squared distance, `[verts]`."""
        return self._deviation(1)

    def _deviation(self, row: int) -> Float64Array:
        means = self._sums / max(self._frames, 1)
        return np.asarray(np.sqrt(np.maximum(means[row + 1] - np.square(means[row]), 0)))


def dynamics_deviation(predicted: Dynamics, true: Dynamics) -> dict[str, float]:
    """The variants of the upper-face dynamics deviation, by name of the metric."""
    spread, square = true.spread - predicted.spread, true.square_spread - predicted.square_spread
    return {
        "upper_face_dynamics_deviation": float(spread.mean()),
        "upper_face_dynamics_deviation_absolute": float(np.abs(spread).mean()),
        "upper_face_dynamics_deviation_squared": float(square.mean()),
    }


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
