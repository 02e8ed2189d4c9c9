"""Packs an exported training run and the preprocessing runs of its actors into a deployed folder."""

from __future__ import annotations

import shutil
from collections.abc import Mapping
from pathlib import Path

import numpy as np

from audio2face.config import Roots
from audio2face.console import LOGGER
from audio2face.dataset.actor import BlendshapeFiles
from audio2face.dataset.arrays import read_json
from audio2face.deploy.export import DEPLOY_FOLDER
from audio2face.deploy.readme import Provenance, readme_text
from audio2face.deploy.record import ExportRecord
from audio2face.errors import UserError
from audio2face.files import atomic_write, write_text
from audio2face.model_folder import AnimationConfig, DiffusionInfo, actor_arrays
from audio2face.model_folder.actor_data import Float32Array, neutral_names
from audio2face.model_folder.model import PARTS, Part, display_name
from audio2face.model_folder.network_info import open_info
from audio2face.model_folder.trt_info import ONNX_FILE
from audio2face.model_folder.writer import (
    README_FILE,
    blendshape_names,
    staged_folder,
    write_actor,
    write_model_file,
    write_network_facts,
)
from audio2face.preproc.artifacts import PreprocArtifacts
from audio2face.preproc.blendshapes import copy_blendshapes
from audio2face.training.diffusion_task import CONSTANTS_FILE
from audio2face.training.origins import Origin, read_origins
from audio2face.training.training_run import INFO_FILE, TrainingRun

_STATE_FILE = "configs/state.json"
_SAME_FACE_CM = 1e-3


def package_run(
    run_folder: Path,
    target: Path,
    parameters: Mapping[str, float],
    roots: Roots,
    preproc_root: Path,
    *,
    force: bool = False,
) -> None:
    """Writes the deployed folder of a training run; it appears whole and free of faults, or not at all.

    Args:
        run_folder: the training run, exported.
        target: the deployed folder.
        parameters: animation parameters, for all actors.
        roots: where the workspace lies, with the preprocessing runs that training recorded.
        preproc_root: PREPROC_ROOT, for training runs that recorded names alone.
        force: replace what is deployed there.

    Raises:
        UserError: something is missing, does not fit, or would be refused by consumers.
    """
    run, record = TrainingRun.open(run_folder), ExportRecord.open(run_folder)
    info = open_info(run_folder / DEPLOY_FOLDER)
    if not isinstance(info, DiffusionInfo):
        raise UserError("holds no diffusion network", path=run_folder / DEPLOY_FOLDER)
    artifacts = _open_artifacts(info, run, read_origins(run_folder, roots, preproc_root))
    with staged_folder(target, force=force) as folder:
        write_network_facts(folder, info)
        _copy_network(run_folder / DEPLOY_FOLDER, folder)
        sets = {
            actor: _write_actor(folder, info, actor, source, _read_arrays(run, info, place, source), parameters)
            for place, (actor, source) in enumerate(artifacts.items())
        }
        write_model_file(folder, info, sets)
        text = readme_text(
            info,
            _provenance(run, record),
            has_emotions=record.has_emotions,
            weights={actor: len(parts) == len(PARTS) for actor, parts in sets.items()},
            displayed=[actor for actor in sets if (folder / display_name(actor)).is_file()],
        )
        write_text(folder / README_FILE, text)


def _open_artifacts(
    info: DiffusionInfo, run: TrainingRun, origins: Mapping[str, Origin]
) -> dict[str, PreprocArtifacts]:
    """The preprocessing run of each actor, which training recorded."""
    found = {}
    for actor in info.identities:
        origin = origins.get(actor)
        if origin is None or origin.folder is None:
            raise UserError(
                f"actor {actor!r} was trained without a preprocessing run, which deployment needs",
                path=run.path,
                hint="Preprocess the actor, and train with PREPROC_RUN_NAME_FULL.",
            )
        found[actor] = PreprocArtifacts.open(origin.folder)
    return found


def _copy_network(source: Path, target: Path) -> None:
    paths = sorted(source.glob(f"{ONNX_FILE}*"))
    if not any(path.name == ONNX_FILE for path in paths):
        raise UserError(f"has no {ONNX_FILE}", path=source, hint="Give --export to export the run's weights.")
    for path in paths:
        with path.open("rb") as read, atomic_write(target / path.name) as write:
            shutil.copyfileobj(read, write, 1 << 24)


def _write_actor(
    folder: Path,
    info: DiffusionInfo,
    actor: str,
    source: PreprocArtifacts,
    arrays: Mapping[str, Float32Array],
    parameters: Mapping[str, float],
) -> tuple[Part, ...]:
    """Writes the files of one actor; returns which sets of blend shapes there are."""
    write_actor(folder, info, actor, AnimationConfig(parameters), arrays)
    parts: list[Part] = []
    for part in PARTS:
        files = source.blendshapes(part)
        if files is not None:
            names = blendshape_names(part, actor)
            repairs = copy_blendshapes(files, BlendshapeFiles(folder / names["data"], folder / names["config"]))
            for repair in repairs:
                LOGGER.info("%s: blend shapes of the %s: %s", actor, part, repair)
            parts.append(part)
    if source.display is not None:
        shutil.copyfile(source.display.path, folder / display_name(actor))
    return tuple(parts)


def _read_arrays(
    run: TrainingRun, info: DiffusionInfo, place: int, source: PreprocArtifacts
) -> dict[str, Float32Array]:
    """The arrays of one actor; makes sure that motion is added to the face that it was learnt as a difference from."""
    arrays = {name: source.network_data.read_floats(name, (None, None)) for name in actor_arrays(info)}
    constants = run.tensors(CONSTANTS_FILE)
    neutral, scale = constants["neutral"][place].numpy(), constants["scale"][place].numpy()
    ends = (0, info.skin_size, info.skin_size + info.tongue_size)
    for index, name in enumerate(neutral_names(info)):
        learnt = neutral[ends[index] : ends[index + 1]].reshape(-1, 3) * scale[index]
        given = arrays[name]
        far = _distance(learnt, given) if learnt.shape == given.shape else float("inf")
        if not far < _SAME_FACE_CM:
            raise UserError(
                f"array {name!r} lies {far:.3g} cm from the face that the network of {run.path.name} learnt",
                path=source.network_data.path,
                hint="The actor was preprocessed anew since, or trained with files of other runs: train anew.",
            )
    return arrays


def _distance(one: Float32Array, other: Float32Array) -> float:
    """The largest difference of two poses about their centres: normalisation takes the centre away."""
    return float(np.abs((one - one.mean(axis=0)) - (other - other.mean(axis=0))).max())


def _provenance(run: TrainingRun, record: ExportRecord) -> Provenance:
    """What the README says of a training run."""
    state = read_json(run.path / _STATE_FILE)
    framework = state.get("framework") or {}
    words = [str(framework[key]) for key in ("version", "git_commit") if framework.get(key)]
    summary = run.summary
    told = {"epochs": "{} epochs", "steps": "{} steps", "minutes": "{} minutes", "exported_step": "weights of step {}"}
    return Provenance(
        run=run.path.name,
        encoder=record.encoder,
        parity=record.parity,
        settings=read_json(run.path / INFO_FILE).get("params") or {},
        framework=", commit ".join(words),
        training=", ".join(form.format(summary[key]) for key, form in told.items() if key in summary),
        metrics=summary.get("exported_metrics") or {},
    )
