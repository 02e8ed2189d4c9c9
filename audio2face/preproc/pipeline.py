"""The pipelines of skin and tongue, from caches to components and coefficients, step by step and resumable.

Defines the order of the steps and their settings; the modules beside it do the numerical work.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np

from audio2face.config import Preproc
from audio2face.errors import UserError
from audio2face.geometry import write_maya
from audio2face.geometry.frames import PoseReader, blocks_of
from audio2face.io.arrays import read_npy
from audio2face.preproc.artifacts import intermediate_folder, write_frame_lists
from audio2face.preproc.fit import FitRequest, FitResult, fit_and_project, weights_of_shapes
from audio2face.preproc.inputs import ActorInputs
from audio2face.preproc.matmul import fastest_backend
from audio2face.preproc.poses import MaskedPoses, frames_by_shot, vertex_indices
from audio2face.preproc.prune import prune_similar
from audio2face.preproc.selection import SELECT_SHARE, STACK_SHARE, select_and_record
from audio2face.preproc.shape_basis import LIMIT_MM, ShapeBasis
from audio2face.preproc.steps import Steps, StepStore, each_shot
from audio2face.preproc.tongue import stabilise
from audio2face.types import FloatArray, Int64Array, Mesh

# Share of each step in the stage's duration, measured on a face of 24,000 vertices with all of its 787 selections.
_PRUNE_SHARE, _FIT_SHARE, _PROJECT_SHARE = 0.17, 0.03, 0.15
SKIN_SHARE = _PRUNE_SHARE + STACK_SHARE + SELECT_SHARE + _FIT_SHARE + _PROJECT_SHARE
_TONGUE_PRUNE_SHARE, _TONGUE_FIT_SHARE, _TONGUE_PROJECT_SHARE = 0.03, 0.02, 0.03
TONGUE_SHARE = _TONGUE_PRUNE_SHARE + _TONGUE_FIT_SHARE + _TONGUE_PROJECT_SHARE


@dataclass(frozen=True)
class PartResult:
    """Preprocessing results of a part of the face.

    Attributes:
        kept: frames kept by pruning, by shot of the pruning caches; empty where blend shapes are the basis.
        selected: frames that the components were fitted to, by shot; empty where blend shapes are the basis.
        pick_errors: `[picks]` reconstruction error of each selected pose from earlier ones, in the order of selection;
            empty for the tongue, where components are fitted to all kept frames.
        fitted: the components, and their accuracy.
    """

    kept: Mapping[str, Int64Array]
    selected: Mapping[str, Int64Array]
    pick_errors: FloatArray
    fitted: FitResult

    def __str__(self) -> str:
        fitted = self.fitted
        if fitted.variance_threshold is None:
            return (
                f"{sum(fitted.num_frames.values())} frames as weights of {len(fitted.components.matrix)} blend shapes, "
                f"99 % of the vertices within {fitted.reconstruction.p99_mm:.2f} mm"
            )
        kept, selected = (sum(len(found) for found in frames.values()) for frames in (self.kept, self.selected))
        return (
            f"{sum(fitted.num_frames.values())} frames, {kept} kept by pruning, {selected} selected for "
            f"{len(fitted.explained)} components that explain {100 * fitted.explained[-1]:.3f} % of the variance"
        )


def make_skin(inputs: ActorInputs, store: StepStore) -> Steps[PartResult]:
    """Prunes, selects, fits and projects the skin, and writes its artifacts into the run folder.

    Where blend shapes are its basis, there is nothing to prune, select and fit.

    Raises:
        UserError: the blend shapes are missing, damaged, or do not make up the animation.
    """
    settings = inputs.settings
    if settings.SKIN_BASIS == "blendshapes":
        return (yield from _make_weights(inputs, store))
    prune = _masked(inputs)
    kept = yield from _prune("skin", prune, settings, store)
    write_frame_lists(store.run, "sim", kept)
    picks = yield from select_and_record(prune, kept, settings, store)
    selected = frames_by_shot(picks.rows, kept)
    neutral = inputs.dataset.skin_neutral
    wanted = FitRequest(
        part="skin",
        poses=inputs.skin,
        frames=selected,
        mean=None if neutral is None else neutral.reshape(-1),
        variance_threshold=settings.SKIN_PCA_VARIANCE_THRESHOLD,
        num_components=settings.SKIN_FORCE_COMPONENTS.get(inputs.actor),
        lips=inputs.dataset.lip_dist,
        num_workers=settings.NUM_WORKERS,
        fit_share=_FIT_SHARE,
        project_share=_PROJECT_SHARE,
    )
    fitted = yield from fit_and_project(wanted, store)
    return PartResult(kept, selected, picks.errors[np.isfinite(picks.errors)], fitted)


def _make_weights(inputs: ActorInputs, store: StepStore) -> Steps[PartResult]:
    """Finds the weights of the skin's blend shapes, which are its basis."""
    dataset = inputs.dataset
    files = dataset.blendshapes("skin")
    if files is None:
        raise UserError(
            f'SKIN_BASIS is "blendshapes", but actor {inputs.actor!r} has no blend shapes of the skin',
            hint='Give BLENDSHAPE_SKIN_FPATH and BLENDSHAPE_SKIN_CONFIG_FPATH, or set SKIN_BASIS = "pca".',
        )
    basis = ShapeBasis.read(files, next(iter(inputs.skin.values())).num_verts)
    workers = inputs.settings.NUM_WORKERS
    fitted = yield from weights_of_shapes(basis, inputs.skin, dataset.lip_dist, workers, SKIN_SHARE, store)
    error = fitted.reconstruction
    if error.p99_mm > LIMIT_MM:
        raise UserError(
            f"the blend shapes do not make up the animation: a vertex is off by {error.mean_mm:.2f} mm on average, and "
            f'99 % are within {error.p99_mm:.2f} mm, where SKIN_BASIS = "blendshapes" takes up to {LIMIT_MM:g} mm '
            f"(worst: shot {error.worst_shot}, frame {error.worst_frame}, vertex {error.worst_vertex}, "
            f"{error.worst_mm:.1f} mm)",
            path=files.data,
            hint='Give the shapes that the animation was made with, or set SKIN_BASIS = "pca".',
        )
    return PartResult({}, {}, np.empty(0), fitted)


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
    wanted = FitRequest(
        part="tongue",
        poses=poses,
        frames=kept,
        mean=neutral.reshape(-1),
        variance_threshold=settings.TONGUE_PCA_VARIANCE_THRESHOLD,
        num_components=settings.TONGUE_FORCE_COMPONENTS.get(inputs.actor),
        lips=None,
        num_workers=settings.NUM_WORKERS,
        fit_share=_TONGUE_FIT_SHARE,
        project_share=_TONGUE_PROJECT_SHARE,
    )
    fitted = yield from fit_and_project(wanted, store)
    return PartResult(kept, kept, np.empty(0), fitted)


def _masked(inputs: ActorInputs) -> Mapping[str, PoseReader]:
    """Returns the caches for the selection of poses, reduced to the masked vertices."""
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
    part: Mesh, poses: Mapping[str, PoseReader], settings: Preproc, store: StepStore
) -> Steps[dict[str, Int64Array]]:
    """Returns the frames of each shot that pruning keeps."""
    prune = partial(prune_similar, stride=settings.PRUNE_STRIDE, products=fastest_backend())
    if part == "skin":
        prune = partial(prune, radius=settings.SKIN_PRUNE_SIM_DIST)
        share = _PRUNE_SHARE
    else:  # one pass, also for short shots
        prune = partial(prune, radius=settings.TONGUE_PRUNE_SIM_DIST, keep_whole=0, repeat=False)
        share = _TONGUE_PRUNE_SHARE

    def work(name: str, shot: PoseReader) -> Int64Array:
        return store.once(f"{part}_kept/{name}", lambda: {"frames": prune(shot)})["frames"]

    label = f"{part}, similar poses"
    yield label, 0.0
    total = sum(shot.num_frames for shot in poses.values())
    kept = {}
    for name, frames in each_shot(poses, work, settings.NUM_WORKERS):
        kept[name] = frames
        yield label, share * poses[name].num_frames / total
    return {name: kept[name] for name in poses}


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
