"""How far the poses that coefficients reconstruct are from the recorded ones: measured shot by shot, and summed up."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, fields
from typing import Protocol

import numpy as np

from audio2face.dataset import VertexPairs
from audio2face.geometry.frames import PoseReader, blocks_of
from audio2face.types import MM_PER_CM, AnyArray, Float32Array, FloatArray, Int64Array

_BLOCK_BYTES = 16 << 20  # float32 poses that are measured together: most steps find them in the cache


class Basis(Protocol):
    """Components, and the way to the coefficients of poses."""

    @property
    def components(self) -> FloatArray:
        """Float32 `[components, coords]`."""
        ...

    @property
    def mean(self) -> FloatArray:
        """The pose of all coefficients zero, float32 `[coords]`."""
        ...

    def projection(self) -> Callable[[AnyArray], FloatArray]:
        """Returns a function from consecutive poses of one shot `[frames, verts, 3]` to `[frames, components]`."""
        ...


# Distances are binned by the upper bits of the float32 of their square: 128 bins per doubling, 0.3 % in distance.
_BIN_SHIFT = 16
_NUM_BINS = 1 << (32 - _BIN_SHIFT)
# A mouth within this of the smallest opening of all frames counts as closed.
_CLOSED_MM = 1.0


@dataclass(frozen=True)
class ShotMeasure:
    """Coefficients of one shot, and the error of the poses reconstructed from them.

    Attributes:
        coefficients: `[frames, components]` float32.
        histogram: `[bins]` number of vertices (of all frames) by distance from the ground truth.
        total: sum of all these distances, mm.
        worst: the largest distance, mm.
        worst_frame: frame of the largest distance.
        worst_vertex: vertex of the largest distance.
        lips_true: `[frames]` mean distance of the lip pairs, mm; empty without such pairs.
        lips_made: `[frames]` the same in the reconstructed poses.
    """

    coefficients: Float32Array
    histogram: Int64Array
    total: float
    worst: float
    worst_frame: int
    worst_vertex: int
    lips_true: Float32Array
    lips_made: Float32Array

    @classmethod
    def measure(cls, poses: PoseReader, basis: Basis, lips: VertexPairs | None) -> ShotMeasure:
        """Measures all frames of a shot in one pass."""
        project = basis.projection()
        found = np.empty((poses.num_frames, len(basis.components)), np.float32)
        lips_true, lips_made = np.empty((2, poses.num_frames if lips else 0), np.float32)
        histogram = np.zeros(_NUM_BINS, np.int64)
        total, worst, worst_at = 0.0, -1.0, (0, 0)
        cuts = list(blocks_of(poses.num_frames, 12 * poses.num_verts, _BLOCK_BYTES))
        # Both arrays are used for all blocks: new ones would take as long to be mapped as to be filled.
        buffer, remade = np.empty((2, cuts[0].stop, poses.num_verts, 3), np.float32)
        for frames in cuts:
            true = poses.read(frames.start, frames.stop, buffer)
            found[frames] = project(true)
            made = remade[: len(true)]
            np.matmul(found[frames], basis.components, out=made.reshape(len(true), -1))
            made.reshape(len(true), -1)[...] += basis.mean
            if lips is not None:
                lips_true[frames], lips_made[frames] = _openings(true, lips), _openings(made, lips)
            made -= true
            squares = np.einsum("fvi,fvi->fv", made, made)
            histogram += np.bincount(squares.reshape(-1).view(np.uint32) >> _BIN_SHIFT, minlength=_NUM_BINS)
            total += float(np.sqrt(squares).sum(dtype=np.float64))
            if squares.max() > worst:
                worst = float(squares.max())
                frame, vertex = np.unravel_index(int(squares.argmax()), squares.shape)
                worst_at = frames.start + int(frame), int(vertex)
        return cls(
            found,
            histogram,
            MM_PER_CM * total,
            MM_PER_CM * float(np.sqrt(worst)),
            *worst_at,
            lips_true,
            lips_made,
        )

    def as_arrays(self) -> dict[str, AnyArray]:
        """Returns the measure as named arrays; of the histogram only nonempty bins."""
        arrays = {field.name: np.asarray(getattr(self, field.name)) for field in fields(self)}
        bins = np.flatnonzero(arrays["histogram"])
        return arrays | {"histogram": np.stack([bins, arrays["histogram"][bins]])}

    @classmethod
    def from_arrays(cls, arrays: Mapping[str, AnyArray]) -> ShotMeasure:
        """Restores a measure from the arrays of `as_arrays`."""
        bins, counts = arrays["histogram"]
        histogram = np.zeros(_NUM_BINS, np.int64)
        histogram[bins] = counts
        return cls(
            coefficients=arrays["coefficients"],
            histogram=histogram,
            total=float(arrays["total"]),
            worst=float(arrays["worst"]),
            worst_frame=int(arrays["worst_frame"]),
            worst_vertex=int(arrays["worst_vertex"]),
            lips_true=arrays["lips_true"],
            lips_made=arrays["lips_made"],
        )


def _openings(poses: Float32Array, lips: VertexPairs) -> Float32Array:
    """Returns the mean distance of the pairs in each frame, mm `[frames]`."""
    gaps = np.linalg.norm(poses[:, lips.upper] - poses[:, lips.lower], axis=2)
    return np.asarray(MM_PER_CM * gaps.mean(axis=1), np.float32)


@dataclass(frozen=True)
class Reconstruction:
    """Error of reconstructed poses, over all shots.

    Attributes:
        mean_mm: mean distance of a vertex.
        p99_mm: 99th percentile of the distances.
        worst_mm: the largest distance, at `worst_shot`, `worst_frame`, `worst_vertex`.
        worst_shot: shot of the largest distance.
        worst_frame: its frame, counted from 0.
        worst_vertex: its vertex.
        lips_closed: error of closed lips; None without lip vertices.
    """

    mean_mm: float
    p99_mm: float
    worst_mm: float
    worst_shot: str
    worst_frame: int
    worst_vertex: int
    lips_closed: LipsClosed | None


class ReconstructionSum:
    """Accumulates shots in any order; keeps a few numbers per shot and two per frame."""

    def __init__(self) -> None:
        self._histogram: Int64Array = np.zeros(_NUM_BINS, np.int64)
        self._shots: dict[str, _ShotSummary] = {}

    def add(self, name: str, shot: ShotMeasure) -> None:
        """Adds a shot."""
        self._histogram += shot.histogram
        place = shot.worst_frame, shot.worst_vertex
        self._shots[name] = _ShotSummary(shot.total, shot.worst, place, shot.lips_true, shot.lips_made)

    def finish(self, order: Iterable[str]) -> Reconstruction:
        """Combines all shots.

        Args:
            order: their names, in the order of summation, so that runs are bit-identical.
        """
        names = list(order)
        shots = [self._shots[name] for name in names]
        name, worst = max(zip(names, shots, strict=True), key=lambda item: item[1].worst)
        return Reconstruction(
            mean_mm=sum(shot.total for shot in shots) / int(self._histogram.sum()),
            p99_mm=_percentile(self._histogram, 0.99),
            worst_mm=worst.worst,
            worst_shot=name,
            worst_frame=worst.place[0],
            worst_vertex=worst.place[1],
            lips_closed=LipsClosed.compare(
                np.concatenate([shot.lips_true for shot in shots]), np.concatenate([shot.lips_made for shot in shots])
            ),
        )


@dataclass(frozen=True)
class _ShotSummary:
    """Summary of a shot: sum of distances, the largest one with frame and vertex, and the lips in each frame."""

    total: float
    worst: float
    place: tuple[int, int]
    lips_true: Float32Array
    lips_made: Float32Array


def _percentile(histogram: Int64Array, share: float) -> float:
    """Returns the upper edge, in mm, of the bin that reaches a share of all counts."""
    reached = int(np.searchsorted(np.cumsum(histogram), share * histogram.sum()))
    edge = np.array([(reached + 1) << _BIN_SHIFT], np.uint32).view(np.float32)[0]
    return MM_PER_CM * float(np.sqrt(edge))


@dataclass(frozen=True)
class LipsClosed:
    """Error of the lip distance in frames with closed lips.

    Attributes:
        frames: number of frames with closed lips: those within 1 mm of the smallest opening.
        mean_mm: mean absolute error of the lip distance over these frames.
        worst_mm: largest such error.
    """

    frames: int
    mean_mm: float
    worst_mm: float

    @classmethod
    def compare(cls, true: Float32Array, made: Float32Array) -> LipsClosed | None:
        """Compares lip distances `[frames]`, mm; None for empty arrays."""
        if not true.size:
            return None
        closed = true <= true.min() + _CLOSED_MM
        errors = np.abs(made - true)[closed]
        return cls(int(closed.sum()), float(errors.mean()), float(errors.max()))
