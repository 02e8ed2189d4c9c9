"""Skin and tongue, each from its caches to shapes and coefficients, step by step and resumable.

Knows the order of steps and which setting belongs to which; the numerical work is done by the modules beside it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import astuple, dataclass, fields
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from audio2face.config import Preproc
from audio2face.console import LOGGER
from audio2face.dataset import VertexPairs
from audio2face.dataset.arrays import read_npy
from audio2face.errors import UserError
from audio2face.geometry import write_maya
from audio2face.geometry.pca import PcaBasis, fit_basis
from audio2face.geometry.pose_reader import FloatArray, IntArray, PoseReader, blocks_of
from audio2face.preproc.artifacts import (
    Part,
    intermediate_folder,
    write_coefficients,
    write_frame_lists,
    write_pca,
)
from audio2face.preproc.deploy_data import PcaShapes
from audio2face.preproc.gram import GramColumns
from audio2face.preproc.inputs import ActorInputs
from audio2face.preproc.measure import Reconstruction, ShotMeasure
from audio2face.preproc.poses import MaskedPoses, frames_by_shot, stack_poses, vertex_indices
from audio2face.preproc.prune import prune_similar
from audio2face.preproc.select import Pick, select_distinct
from audio2face.preproc.steps import Steps, StepStore, each_shot
from audio2face.preproc.tongue import stabilise

# What each step takes of the whole stage, measured on a face of 24,000 vertices with all of its 787 selections.
_PRUNE_SHARE, _STACK_SHARE, _SELECT_SHARE, _FIT_SHARE, _COEFFICIENTS_SHARE = 0.17, 0.05, 0.5, 0.03, 0.15
SKIN_SHARE = _PRUNE_SHARE + _STACK_SHARE + _SELECT_SHARE + _FIT_SHARE + _COEFFICIENTS_SHARE
_TONGUE_PRUNE_SHARE, _TONGUE_FIT_SHARE, _TONGUE_COEFFICIENTS_SHARE = 0.03, 0.03, 0.03


@dataclass(frozen=True)
class Picks:
    """The poses picked as distinct, in the order of choice, seeds first.

    Attributes:
        rows: `[picks]` rows of the stacked kept poses.
        errors: `[picks]` distance of each from what those before it express; infinite for seeds.
    """

    rows: IntArray
    errors: FloatArray

    @classmethod
    def gather(cls, picks: Sequence[Pick]) -> Picks:
        """Puts the picks of a selection into arrays."""
        return cls(np.array([pick.row for pick in picks]), np.array([pick.error for pick in picks]))

    def as_arrays(self) -> dict[str, npt.NDArray[Any]]:
        """The attributes by name."""
        return {"rows": self.rows, "errors": self.errors}


@dataclass(frozen=True)
class PartResult:
    """A part of the face, preprocessed.

    Attributes:
        shapes: its components, as written.
        basis: the same as the fit gave it.
        variance_threshold: the share of the variance that was asked for.
        num_frames: frames by shot.
        kept: frames left by pruning, by shot of the pruning caches.
        selected: frames picked as distinct, by shot; those kept where there is no such step.
        pick_errors: `[picks]` distance of each picked pose, in the order of choice, from what those before it express;
            empty where there is no such step.
        reconstruction: what is lost by keeping only coefficients.
    """

    shapes: PcaShapes
    basis: PcaBasis
    variance_threshold: float
    num_frames: Mapping[str, int]
    kept: Mapping[str, IntArray]
    selected: Mapping[str, IntArray]
    pick_errors: FloatArray
    reconstruction: Reconstruction


def make_skin(inputs: ActorInputs, store: StepStore) -> Steps[PartResult]:
    """Prunes, selects, fits and projects the skin, and writes its artifacts into the run folder."""
    settings, actor = inputs.settings, inputs.actor
    prune = _masked(inputs)
    kept = yield from _prune("skin", prune, settings, store)
    write_frame_lists(store.run, "sim", kept)
    picks = yield from _select(prune, kept, settings, store)
    selected = frames_by_shot(picks.rows, kept)
    write_frame_lists(store.run, "pca_final", selected)
    if settings.VERBOSE:
        _write_growing_lists(store.run, picks.rows, kept, settings.SKIN_SELECT_DISTINCT_NUM_SEEDS)
    neutral = inputs.dataset.skin_neutral
    return (
        yield from _fit_and_project(
            _Fit(
                part="skin",
                poses=inputs.skin,
                kept=kept,
                frames=selected,
                pick_errors=picks.errors[np.isfinite(picks.errors)],
                mean=None if neutral is None else neutral.reshape(-1),
                variance_threshold=settings.SKIN_PCA_VARIANCE_THRESHOLD,
                num_components=settings.SKIN_FORCE_COMPONENTS.get(actor),
                lips=inputs.dataset.lip_dist,
                shares=(_FIT_SHARE, _COEFFICIENTS_SHARE),
            ),
            settings.NUM_WORKERS,
            store,
        )
    )


def make_tongue(inputs: ActorInputs, store: StepStore) -> Steps[PartResult]:
    """Stabilises, prunes, fits and projects the tongue, and writes its artifacts into the run folder."""
    settings, dataset = inputs.settings, inputs.dataset
    neutral, root = dataset.tongue_neutral, dataset.tongue_rigid_vertices
    if neutral is None or root is None:
        raise ValueError(f"actor {inputs.actor!r} has no tongue")
    poses = {name: stabilise(cache, neutral, root) for name, cache in inputs.tongue.items()}
    kept = yield from _prune("tongue", poses, settings, store)
    if settings.KEEP_INTERMEDIATES:
        _write_stabilised(poses, dataset.fps, store.run / intermediate_folder("tongue") / "tongue_cache_stab")
    return (
        yield from _fit_and_project(
            _Fit(
                part="tongue",
                poses=poses,
                kept=kept,
                frames=kept,
                pick_errors=np.empty(0),
                mean=neutral.reshape(-1),
                variance_threshold=settings.TONGUE_PCA_VARIANCE_THRESHOLD,
                num_components=settings.TONGUE_FORCE_COMPONENTS.get(inputs.actor),
                lips=None,
                shares=(_TONGUE_FIT_SHARE, _TONGUE_COEFFICIENTS_SHARE),
            ),
            settings.NUM_WORKERS,
            store,
        )
    )


def _masked(inputs: ActorInputs) -> Mapping[str, PoseReader]:
    """The caches in which poses are chosen, reduced to the vertices that count."""
    path = inputs.settings.SKIN_PRUNE_MESH_MASK_FPATH.get(inputs.actor)
    if path is None:
        return inputs.prune
    num_verts = next(iter(inputs.prune.values())).num_verts
    try:
        vertices = vertex_indices(read_npy(path), num_verts)
    except UserError as error:
        raise UserError(error.problem, path=path, hint=error.hint) from error
    return {name: MaskedPoses(cache, vertices) for name, cache in inputs.prune.items()}


def _prune(
    part: Part, poses: Mapping[str, PoseReader], settings: Preproc, store: StepStore
) -> Steps[dict[str, IntArray]]:
    """Frames of each shot that are unlike the others of it."""
    if part == "skin":
        prune = partial(prune_similar, radius=settings.SKIN_PRUNE_SIM_DIST, stride=settings.PRUNE_STRIDE)
        share = _PRUNE_SHARE
    else:  # gone over once, short shots as well
        prune = partial(
            prune_similar,
            radius=settings.TONGUE_PRUNE_SIM_DIST,
            stride=settings.PRUNE_STRIDE,
            keep_whole=0,
            repeat=False,
        )
        share = _TONGUE_PRUNE_SHARE

    def work(name: str, shot: PoseReader) -> IntArray:
        return store.once(f"{part}_kept/{name}", lambda: {"frames": prune(shot)})["frames"]

    label = f"{part}, similar poses"
    yield label, 0.0
    total = sum(shot.num_frames for shot in poses.values())
    kept = {}
    for name, frames in each_shot(poses, work, settings.NUM_WORKERS):
        kept[name] = frames
        yield label, share * poses[name].num_frames / total
    return {name: kept[name] for name in poses}


def _select(
    poses: Mapping[str, PoseReader], kept: Mapping[str, IntArray], settings: Preproc, store: StepStore
) -> Steps[Picks]:
    """The kept poses that differ most from each other, in the order they are picked."""
    label = "skin, distinct poses"
    keep = settings.KEEP_INTERMEDIATES
    path = (store.run / intermediate_folder("skin") if keep else store.folder) / "skin_cache_all.npy"
    yield label, 0.0
    if not path.is_file() and (keep or not store.has("skin_picks")):
        stack_poses(poses, kept, path)
    yield label, _STACK_SHARE
    done = 0.0
    if not store.has("skin_picks"):
        found = []
        for pick in select_distinct(
            GramColumns(np.load(path, mmap_mode="r", allow_pickle=False)),
            max_iterations=settings.SKIN_SELECT_DISTINCT_MAX_ITER,
            num_seeds=settings.SKIN_SELECT_DISTINCT_NUM_SEEDS,
            variance_threshold=settings.SKIN_SELECT_DISTINCT_VARIANCE_THRESHOLD,
        ):
            found.append(pick)
            if settings.VERBOSE:
                LOGGER.info("pick %d: row %d, error %.4g, %d components", len(found), *astuple(pick))
            share = min(_SELECT_SHARE / settings.SKIN_SELECT_DISTINCT_MAX_ITER, _SELECT_SHARE - done)
            done += share
            yield label, share
        store.once("skin_picks", lambda: Picks.gather(found).as_arrays())
    yield label, _SELECT_SHARE - done  # it may end early
    if not keep:
        path.unlink(missing_ok=True)  # gigabytes that nothing reads any more
    return Picks(**store.once("skin_picks", dict))


def _write_growing_lists(folder: Path, picks: IntArray, kept: Mapping[str, IntArray], num_seeds: int) -> None:
    """For study: what was picked after every hundred iterations."""
    for iteration in range(99, len(picks) - num_seeds, 100):
        chosen = picks[: num_seeds + iteration + 1]
        write_frame_lists(folder, f"pca_{iteration}", frames_by_shot(chosen, kept))


def _write_stabilised(poses: Mapping[str, PoseReader], fps: float, folder: Path) -> None:
    for name, shot in poses.items():
        blocks = (shot.read(cut.start, cut.stop) for cut in blocks_of(shot.num_frames, 12 * shot.num_verts))
        write_maya(
            folder / name / f"{name}.xml",
            blocks,
            num_frames=shot.num_frames,
            num_verts=shot.num_verts,
            fps=fps,
            double=True,
        )


@dataclass(frozen=True)
class _Fit:
    """What the shapes of a part are made from, and which settings apply."""

    part: Part
    poses: Mapping[str, PoseReader]
    kept: Mapping[str, IntArray]
    frames: Mapping[str, IntArray]
    pick_errors: FloatArray
    mean: FloatArray | None
    variance_threshold: float
    num_components: int | None
    lips: VertexPairs | None
    shares: tuple[float, float]


def _fit_and_project(fit: _Fit, num_workers: int | None, store: StepStore) -> Steps[PartResult]:
    """Shapes from the chosen frames, coefficients of all frames."""
    part = fit.part

    def find_basis() -> dict[str, FloatArray]:
        path = store.folder / f"{part}_chosen.npy"
        rows = stack_poses(fit.poses, fit.frames, path)
        basis = fit_basis(rows, fit.mean, fit.variance_threshold, fit.num_components)
        path.unlink()
        return {field.name: np.asarray(getattr(basis, field.name)) for field in fields(basis)}

    yield f"{part}, shapes", 0.0
    stored = store.once(f"{part}_basis", find_basis)
    basis = PcaBasis(
        components=stored["components"],
        eigenvalues=stored["eigenvalues"],
        mean=stored["mean"],
        total_variance=float(stored["total_variance"]),
    )
    shapes = write_pca(store.run, part, basis, fit.variance_threshold)
    yield f"{part}, coefficients", fit.shares[0]

    def work(name: str, shot: PoseReader) -> ShotMeasure:
        return ShotMeasure.from_arrays(
            store.once(f"{part}_measured/{name}", lambda: ShotMeasure.take(shot, basis, fit.lips).as_arrays())
        )

    total = sum(shot.num_frames for shot in fit.poses.values())
    measured = {}
    for name, measure in each_shot(fit.poses, work, num_workers):
        measured[name] = measure
        yield f"{part}, coefficients", fit.shares[1] * fit.poses[name].num_frames / total
    write_coefficients(store.run, part, {name: measured[name].coefficients for name in fit.poses})
    return PartResult(
        shapes=shapes,
        basis=basis,
        variance_threshold=fit.variance_threshold,
        num_frames={name: shot.num_frames for name, shot in fit.poses.items()},
        kept=fit.kept,
        selected=fit.frames,
        pick_errors=fit.pick_errors,
        reconstruction=Reconstruction.sum_up((name, measured[name]) for name in fit.poses),
    )
