"""Packs an exported training run and the preprocessing runs of its actors into a deployed folder."""

from __future__ import annotations

import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

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
from audio2face.model_folder.faults import Faults
from audio2face.model_folder.json_object import read_object
from audio2face.model_folder.model import PARTS, Part, display_name
from audio2face.model_folder.network_info import INFO_FILE, read_info
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
from audio2face.training.origins import read_origins
from audio2face.training.training_run import TrainingRun

_STATE_FILE = "configs/state.json"


def package_run(
    run_folder: Path,
    target: Path,
    parameters: Mapping[str, float],
    roots: Roots,
    *,
    force: bool = False,
) -> None:
    """Writes the deployed folder of a training run; it appears whole and free of faults, or not at all.

    Args:
        run_folder: the training run, exported.
        target: the deployed folder.
        parameters: animation parameters, for all actors.
        roots: where the workspace lies, with the preprocessing runs that training recorded.
        force: replace what is deployed there.

    Raises:
        UserError: something is missing, does not fit, or would be refused by consumers.
    """
    run, record = TrainingRun.open(run_folder), ExportRecord.open(run_folder)
    info = _read_info(run_folder / DEPLOY_FOLDER)
    artifacts = _open_artifacts(run, info, roots)
    with staged_folder(target, force=force) as folder:
        write_network_facts(folder, info)
        _copy_network(run_folder / DEPLOY_FOLDER, folder)
        sets = {actor: _write_actor(folder, info, source, parameters) for actor, source in artifacts.items()}
        write_model_file(folder, info, sets)
        text = readme_text(
            info,
            _provenance(run, record),
            has_emotions=record.has_emotions,
            weights={actor: len(parts) == len(PARTS) for actor, parts in sets.items()},
            displayed=[actor for actor in sets if (folder / display_name(actor)).is_file()],
        )
        write_text(folder / README_FILE, text)


def _read_info(folder: Path) -> DiffusionInfo:
    """What the exported graph takes and gives."""
    faults = Faults()
    info = read_info(read_object(folder / INFO_FILE, faults.of(INFO_FILE)))
    faults.raise_first(folder)
    if not isinstance(info, DiffusionInfo):
        raise UserError("describes no diffusion network", path=folder / INFO_FILE)
    return info


def _open_artifacts(run: TrainingRun, info: DiffusionInfo, roots: Roots) -> dict[str, PreprocArtifacts]:
    """The preprocessing run of each actor, which training recorded."""
    preproc_root = roots.resolve(run.configuration.full["train"]["PREPROC_ROOT"], "workspace")
    origins = read_origins(run.path, roots, preproc_root)
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
    folder: Path, info: DiffusionInfo, run: PreprocArtifacts, parameters: Mapping[str, float]
) -> tuple[Part, ...]:
    """Writes the files of one actor; returns which sets of blend shapes there are."""
    arrays = {name: run.network_data.read_floats(name, (None, None)) for name in actor_arrays(info)}
    _check_neutral(run, arrays["neutral_skin"])
    write_actor(folder, info, run.actor, AnimationConfig(parameters), arrays)
    parts: list[Part] = []
    for part in PARTS:
        files = run.blendshapes(part)
        if files is not None:
            names = blendshape_names(part, run.actor)
            repairs = copy_blendshapes(files, BlendshapeFiles(folder / names["data"], folder / names["config"]))
            for repair in repairs:
                LOGGER.info("%s: blend shapes of the %s: %s", run.actor, part, repair)
            parts.append(part)
    if run.display is not None:
        shutil.copyfile(run.display.path, folder / display_name(run.actor))
    return tuple(parts)


def _check_neutral(run: PreprocArtifacts, neutral: np.ndarray[Any, np.dtype[np.float32]]) -> None:
    """Checks that motion is added to the pose that the network learnt it as a difference from."""
    info = run.data_info
    learnt = run.mean_geometry[: neutral.size].reshape(neutral.shape) * info.scale["skin"] + info.translate["skin"]
    far = float(np.abs(learnt - neutral).max())
    if not far < 1e-3:
        raise UserError(
            f"the neutral skin of its network_data lies {far:.3g} cm from that of its mean geometry",
            path=run.folder,
            hint="Preprocess the actor once more; both files must come from one run.",
        )


def _provenance(run: TrainingRun, record: ExportRecord) -> Provenance:
    """What the README says of a training run."""
    state = read_json(run.path / _STATE_FILE)
    framework = state.get("framework") or {}
    words = [str(framework[key]) for key in ("version", "git_commit") if framework.get(key)]
    summary = run.summary
    return Provenance(
        run=run.path.name,
        encoder=record.encoder,
        parity=record.parity,
        settings=run.configuration.full["train"],
        framework=", commit ".join(words),
        training=f"{summary['epochs']} epochs, {summary['steps']} steps, {summary['minutes']} minutes; weights of step "
        f"{summary['exported_step']}",
        metrics=summary["exported_metrics"],
    )
