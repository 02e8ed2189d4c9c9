"""Shapes from chosen poses, then coefficients of all frames and what they lose.

Knows readers by shot and frame lists, of either part of the face. Does not know how the poses were chosen.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, fields

import numpy as np

from audio2face.dataset import VertexPairs
from audio2face.dataset.arrays import Float32Array
from audio2face.geometry.pca import PcaBasis, fit_basis
from audio2face.geometry.pose_reader import FloatArray, IntArray, PoseReader
from audio2face.preproc.artifacts import Part, write_coefficients, write_pca
from audio2face.preproc.deploy_data import PcaShapes
from audio2face.preproc.measure import Reconstruction, ReconstructionSum, ShotMeasure
from audio2face.preproc.poses import stack_poses
from audio2face.preproc.steps import Steps, StepStore, each_shot


@dataclass(frozen=True)
class Wanted:
    """What shapes to make, and from what.

    Attributes:
        part: part of the face.
        poses: all shots.
        frames: frames that make the shapes, by shot.
        mean: `[coords]` pose of all coefficients zero; the mean of the frames where None.
        variance_threshold: share of the variance that the shapes exceed.
        num_components: number of shapes whatever their share; None for the threshold to decide.
        lips: vertex pairs whose distance is watched; None where unknown.
        num_workers: threads; None for as many as fit.
        fit_share: share of the whole stage that finding the shapes takes.
        project_share: share that the coefficients take.
    """

    part: Part
    poses: Mapping[str, PoseReader]
    frames: Mapping[str, IntArray]
    mean: FloatArray | None
    variance_threshold: float
    num_components: int | None
    lips: VertexPairs | None
    num_workers: int | None
    fit_share: float
    project_share: float


@dataclass(frozen=True)
class Fitted:
    """Shapes of a part, and how well they serve.

    Attributes:
        shapes: the components, as written.
        explained: `[components]` share of the variance that the first 1, 2, ... explain.
        variance_threshold: the share that was asked for.
        num_frames: frames by shot.
        reconstruction: what is lost by keeping only coefficients.
    """

    shapes: PcaShapes
    explained: FloatArray
    variance_threshold: float
    num_frames: Mapping[str, int]
    reconstruction: Reconstruction


def fit_and_project(wanted: Wanted, store: StepStore) -> Steps[Fitted]:
    """Makes shapes and coefficients and writes them into the run folder."""
    part, poses = wanted.part, wanted.poses
    yield f"{part}, shapes", 0.0
    basis = _find_basis(wanted, store)
    shapes = write_pca(store.run, part, basis, wanted.variance_threshold)
    yield f"{part}, coefficients", wanted.fit_share

    def work(name: str, shot: PoseReader) -> ShotMeasure:
        arrays = store.once(f"{part}_measure/{name}", lambda: ShotMeasure.take(shot, basis, wanted.lips).as_arrays())
        return ShotMeasure.from_arrays(arrays)

    total = sum(shot.num_frames for shot in poses.values())
    reconstruction = ReconstructionSum()
    for name, measure in each_shot(poses, work, wanted.num_workers):
        reconstruction.add(name, measure)
        yield f"{part}, coefficients", wanted.project_share * poses[name].num_frames / total
    write_coefficients(store.run, part, _StoredCoefficients(part, tuple(poses), store))
    return Fitted(
        shapes=shapes,
        explained=np.minimum(np.cumsum(basis.eigenvalues, dtype=np.float64) / basis.total_variance, 1.0),
        variance_threshold=wanted.variance_threshold,
        num_frames={name: shot.num_frames for name, shot in poses.items()},
        reconstruction=reconstruction.finish(poses),
    )


@dataclass(frozen=True)
class _StoredCoefficients(Mapping[str, Float32Array]):
    """The coefficients of all shots, each read when it is asked for."""

    part: Part
    names: tuple[str, ...]
    store: StepStore

    def __getitem__(self, name: str) -> Float32Array:
        return self.store.read(f"{self.part}_measure/{name}", "coefficients")

    def __iter__(self) -> Iterator[str]:
        return iter(self.names)

    def __len__(self) -> int:
        return len(self.names)


def _find_basis(wanted: Wanted, store: StepStore) -> PcaBasis:
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
