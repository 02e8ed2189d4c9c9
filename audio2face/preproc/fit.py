"""Fits principal components to the selected poses or takes given shapes, finds the coefficients of all frames, and
measures the reconstruction error.

Works on readers by shot and frame lists, for skin and tongue.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, fields
from typing import Protocol

import numpy as np

from audio2face.dataset import VertexPairs
from audio2face.geometry.frames import PoseReader, blocks_of
from audio2face.geometry.pca import PcaBasis, coefficients, fit_basis
from audio2face.preproc.artifacts import write_coefficients, write_components, write_pca
from audio2face.preproc.network_data import PcaComponents
from audio2face.preproc.poses import stack_poses
from audio2face.preproc.shape_basis import ShapeBasis
from audio2face.preproc.steps import Steps, StepStore, each_shot
from audio2face.types import MM_PER_CM, AnyArray, Float32Array, FloatArray, Int64Array, Mesh


@dataclass(frozen=True)
class FitRequest:
    """Inputs and settings of a fit.

    Attributes:
        part: part of the face.
        poses: all shots.
        frames: frames that the components are fitted to, by shot.
        mean: `[coords]` pose of all coefficients zero; None for the mean of the frames.
        variance_threshold: share of the variance that the components exceed.
        num_components: number of components, regardless of their share; None to use the threshold.
        lips: vertex pairs whose distance is measured; None if unknown.
        num_workers: number of threads; None to choose it automatically.
        fit_share: share of the stage's duration for fitting the components.
        project_share: share of the stage's duration for projection.
    """

    part: Mesh
    poses: Mapping[str, PoseReader]
    frames: Mapping[str, Int64Array]
    mean: FloatArray | None
    variance_threshold: float
    num_components: int | None
    lips: VertexPairs | None
    num_workers: int | None
    fit_share: float
    project_share: float


@dataclass(frozen=True)
class FitResult:
    """Components of a part, and their accuracy.

    Attributes:
        components: the components, as written.
        explained: `[components]` cumulative share of the variance explained by the first 1, 2, ... components; empty
            for blend shapes.
        variance_threshold: the requested share; None for blend shapes.
        num_frames: number of frames by shot.
        reconstruction: error of poses that are reconstructed from coefficients.
    """

    components: PcaComponents
    explained: FloatArray
    variance_threshold: float | None
    num_frames: Mapping[str, int]
    reconstruction: Reconstruction


def fit_and_project(wanted: FitRequest, store: StepStore) -> Steps[FitResult]:
    """Fits components, computes coefficients, and writes both into the run folder."""
    part, poses = wanted.part, wanted.poses
    yield f"{part}, components", 0.0
    basis = _find_basis(wanted, store)
    shapes = write_pca(store.run, part, basis, wanted.variance_threshold)
    yield f"{part}, coefficients", wanted.fit_share
    measuring = _Measuring(part, poses, _PcaProjection(basis), wanted.lips, wanted.num_workers, wanted.project_share)
    reconstruction = yield from measuring.run(store)
    return FitResult(
        components=shapes,
        explained=np.minimum(np.cumsum(basis.eigenvalues, dtype=np.float64) / basis.total_variance, 1.0),
        variance_threshold=wanted.variance_threshold,
        num_frames={name: shot.num_frames for name, shot in poses.items()},
        reconstruction=reconstruction,
    )


def weights_of_shapes(
    basis: ShapeBasis,
    poses: Mapping[str, PoseReader],
    lips: VertexPairs | None,
    num_workers: int | None,
    share: float,
    store: StepStore,
) -> Steps[FitResult]:
    """Takes blend shapes as components of the skin, finds the weights of all frames, and writes both.

    Args:
        basis: the shapes.
        poses: all shots.
        lips: vertex pairs whose distance is measured; None if unknown.
        num_workers: number of threads; None to choose it automatically.
        share: share of the stage's duration.
        store: the run folder.
    """
    shapes = PcaComponents(basis.components.reshape(basis.num_components, -1, 3), basis.mean.reshape(-1, 3))
    write_components(store.run, "skin", shapes)
    yield "skin, weights", 0.0
    reconstruction = yield from _Measuring("skin", poses, basis, lips, num_workers, share).run(store)
    return FitResult(
        components=shapes,
        explained=np.empty(0),
        variance_threshold=None,
        num_frames={name: shot.num_frames for name, shot in poses.items()},
        reconstruction=reconstruction,
    )


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


@dataclass(frozen=True)
class _PcaProjection:
    """Principal components, which poses are projected onto."""

    pca: PcaBasis

    @property
    def components(self) -> FloatArray:
        return self.pca.components

    @property
    def mean(self) -> FloatArray:
        return self.pca.mean

    def projection(self) -> Callable[[AnyArray], FloatArray]:
        return lambda poses: coefficients(_InMemory(poses), self.pca)


@dataclass(frozen=True)
class _Measuring:
    """Finds the coefficients of all shots, and the error of what they reconstruct; arguments as in `FitRequest`."""

    part: Mesh
    poses: Mapping[str, PoseReader]
    basis: Basis
    lips: VertexPairs | None
    num_workers: int | None
    share: float

    def run(self, store: StepStore) -> Steps[Reconstruction]:
        """Computes and writes the coefficients."""
        part, poses = self.part, self.poses

        def work(name: str, shot: PoseReader) -> ShotMeasure:
            arrays = store.once(
                f"{part}_measure/{name}", lambda: ShotMeasure.measure(shot, self.basis, self.lips).as_arrays()
            )
            return ShotMeasure.from_arrays(arrays)

        total = sum(shot.num_frames for shot in poses.values())
        reconstruction = ReconstructionSum()
        for name, measure in each_shot(poses, work, self.num_workers):
            reconstruction.add(name, measure)
            yield f"{part}, coefficients", self.share * poses[name].num_frames / total
        write_coefficients(store.run, part, _StoredCoefficients(part, tuple(poses), store))
        return reconstruction.finish(poses)


@dataclass(frozen=True)
class _StoredCoefficients(Mapping[str, Float32Array]):
    """The coefficients of all shots, each read on request."""

    part: Mesh
    names: tuple[str, ...]
    store: StepStore

    def __getitem__(self, name: str) -> Float32Array:
        return self.store.read(f"{self.part}_measure/{name}", "coefficients")

    def __iter__(self) -> Iterator[str]:
        return iter(self.names)

    def __len__(self) -> int:
        return len(self.names)


def _find_basis(wanted: FitRequest, store: StepStore) -> PcaBasis:
    def find() -> dict[str, FloatArray]:
        path = store.folder / f"{wanted.part}_chosen.npy"
        rows = stack_poses(wanted.poses, wanted.frames, path)
        basis = fit_basis(rows, wanted.mean, wanted.variance_threshold, wanted.num_components)
        path.unlink()
        return {field.name: np.asarray(getattr(basis, field.name)) for field in fields(basis)}

    stored = store.once(f"{wanted.part}_basis", find)
    return PcaBasis(
        components=stored["components"],
        eigenvalues=stored["eigenvalues"],
        mean=stored["mean"],
        total_variance=float(stored["total_variance"]),
    )


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
        for frames in blocks_of(poses.num_frames, 12 * poses.num_verts):
            true = poses.read(frames.start, frames.stop)
            found[frames] = project(true)
            made = np.matmul(found[frames], basis.components)
            made += basis.mean
            made = made.reshape(true.shape)
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


@dataclass(frozen=True)
class _InMemory:
    """Presents a block of poses as a `PoseReader`."""

    poses: AnyArray

    @property
    def num_frames(self) -> int:
        return len(self.poses)

    @property
    def num_verts(self) -> int:
        return int(self.poses.shape[1])

    def read(self, start: int, stop: int, out: AnyArray | None = None) -> AnyArray:
        if out is None:
            return self.poses[start:stop].copy()
        out[...] = self.poses[start:stop]
        return out


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
