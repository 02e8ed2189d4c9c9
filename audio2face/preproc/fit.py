"""Fits principal components to the selected poses, or takes given shapes, and finds the coefficients of all frames.

Works on readers by shot and frame lists, for skin and tongue.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, fields

import numpy as np

from audio2face.dataset import VertexPairs
from audio2face.geometry.frames import PoseReader
from audio2face.geometry.pca import PcaBasis, fit_basis
from audio2face.preproc.artifacts import write_coefficients, write_components, write_pca
from audio2face.preproc.network_data import PcaComponents
from audio2face.preproc.poses import stack_poses
from audio2face.preproc.reconstruction import Basis, Reconstruction, ReconstructionSum, ShotMeasure
from audio2face.preproc.shape_basis import ShapeBasis
from audio2face.preproc.steps import Steps, StepStore, each_shot
from audio2face.types import AnyArray, Float32Array, FloatArray, Int64Array, Mesh


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
        return lambda poses: self.pca.project(poses.reshape(len(poses), -1))


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
