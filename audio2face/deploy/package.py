"""Packages an exported training run and its actors' preprocessing data as a deployed folder.

The animation parameters of each actor are calibrated on the validation set of the training run.
"""

from __future__ import annotations

import shutil
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from audio2face.config import Roots
from audio2face.console import LOGGER
from audio2face.dataset import ActorDataset
from audio2face.dataset.actor import BlendshapeFiles
from audio2face.dataset.shots import EmotionVectors
from audio2face.deploy.calibration import Choice, PostProcessing, calibrate, values_of
from audio2face.deploy.calibration_report import (
    CALIBRATION_FILE,
    ActorCalibration,
    measure,
    readme_section,
    summary_lines,
)
from audio2face.deploy.export import ExportRecord, finish_export
from audio2face.deploy.held_out_motion import HeldOutReader, choose_clips
from audio2face.deploy.plan import deploy_module
from audio2face.deploy.readme import Provenance, readme_text
from audio2face.errors import UserError
from audio2face.inference import NetworkSession, open_graph
from audio2face.io.arrays import read_json
from audio2face.io.atomic import atomic_write, write_json, write_text
from audio2face.model_folder import AnimationConfig, DeployedModel, NetworkInfo
from audio2face.model_folder.model import display_name
from audio2face.model_folder.network_info import open_info
from audio2face.model_folder.regression import EMOTION_DATABASE_FILE, open_database
from audio2face.model_folder.trt_info import ONNX_FILE
from audio2face.model_folder.writer import (
    README_FILE,
    blendshape_names,
    staged_folder,
    write_actor,
    write_config,
    write_model_file,
    write_network_facts,
)
from audio2face.preproc.artifacts import PreprocArtifacts
from audio2face.preproc.blendshapes import copy_blendshapes
from audio2face.training.comparison import BaselineComparison
from audio2face.training.data.actors import ActorSource
from audio2face.training.run_folder import (
    DEPLOY_FOLDER,
    INFO_FILE,
    Origin,
    TrainingRun,
    ValidationClip,
    read_origins,
    read_validation,
)
from audio2face.types import MESHES, Float32Array, Mesh


def read_arrays(
    run: TrainingRun, info: NetworkInfo, actor: str, source: PreprocArtifacts, origin: Origin
) -> Mapping[str, Float32Array]:
    """Reads the arrays of an actor.

    Args:
        run: the training run.
        info: inputs and outputs of the network.
        actor: the actor.
        source: its preprocessing run.
        origin: the record of its data in the training run.

    Raises:
        UserError: an array is missing, or does not fit the trained network.
    """
    # Sizes are checked below, with messages that name the expected sizes.
    axes = {name: (None,) * len(shape) for name, shape in info.actor_arrays.items()}
    arrays = {name: source.network_data.read_floats(name, shape) for name, shape in axes.items()}
    return deploy_module(info.type).checked_arrays(run, info, actor, source, origin, arrays)


_STATE_FILE = "configs/state.json"


def package_run(
    run_folder: Path,
    target: Path,
    post: PostProcessing,
    roots: Roots,
    preproc_root: Path,
    *,
    licence: str | None = None,
    force: bool = False,
) -> None:
    """Writes the deployed folder of a training run; it appears complete and valid, or not at all.

    Args:
        run_folder: the training run, exported.
        target: the deployed folder.
        post: CONFIG, for all actors, also with source_shot and source_frame for a network with an emotion database;
            and whether the rest of it is calibrated on held-out shots.
        roots: root folders of datasets and workspace.
        preproc_root: PREPROC_ROOT, for training runs that recorded only names of preprocessing runs.
        licence: MODEL_LICENSE.
        force: replace an existing folder.

    Raises:
        UserError: something is missing, does not fit, or would be refused by consumers.
    """
    finish_export(run_folder)
    run, record = TrainingRun.open(run_folder), ExportRecord.open(run_folder)
    info = open_info(run_folder / DEPLOY_FOLDER)
    origins = read_origins(run_folder, roots, preproc_root)
    artifacts = _open_artifacts(info, run, origins)
    config = _animation_config(run_folder, info, post.parameters)
    with staged_folder(target, force=force) as folder:
        write_network_facts(folder, info)
        _copy_network(run_folder / DEPLOY_FOLDER, folder)
        for name in info.extra_files:
            _copy(run_folder / DEPLOY_FOLDER / name, folder)
        sets = {}
        for actor, source in artifacts.items():
            write_actor(folder, info, actor, config, read_arrays(run, info, actor, source, origins[actor]))
            sets[actor] = _copy_extras(folder, actor, source)
        if info.has_emotion_database:
            _copy(run_folder / DEPLOY_FOLDER / EMOTION_DATABASE_FILE, folder)
        write_model_file(folder, info, sets)
        calibrations = calibrate_actors(DeployedModel.open(folder), run, artifacts, origins, post)
        configs = {actor: replace(config, parameters=values_of(found.choices)) for actor, found in calibrations.items()}
        for actor, own in configs.items():
            write_config(folder, info, actor, own)
        content = {actor: found.as_json() for actor, found in calibrations.items()}
        write_json(folder / CALIBRATION_FILE, {"calibrate": post.calibrate, "actors": content})
        text = readme_text(
            info,
            configs[info.identities[0]],
            _provenance(run, record, licence),
            has_emotions=record.has_emotions,
            weights={actor: len(parts) == len(MESHES) for actor, parts in sets.items()},
            displayed=[actor for actor in sets if (folder / display_name(actor)).is_file()],
            post_processing=readme_section(calibrations),
        )
        write_text(folder / README_FILE, text)


def _animation_config(run_folder: Path, info: NetworkInfo, parameters: Mapping[str, Any]) -> AnimationConfig:
    """The animation parameters, validated against the emotions of the network."""
    if not info.has_emotion_database:
        return AnimationConfig(parameters)
    database = open_database(run_folder / DEPLOY_FOLDER, info.implicit_emotion_len)
    shot, frame = database.choose(parameters["source_shot"], parameters["source_frame"])
    return AnimationConfig(parameters, shot, frame)


def _open_artifacts(info: NetworkInfo, run: TrainingRun, origins: Mapping[str, Origin]) -> dict[str, PreprocArtifacts]:
    """The preprocessing run of each actor, as recorded in training."""
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
        raise UserError(f"has no {ONNX_FILE}", path=source, hint="Use --export to export the run's weights.")
    for path in paths:
        _copy(path, target)


def _copy(source: Path, folder: Path) -> None:
    with source.open("rb") as read, atomic_write(folder / source.name) as write:
        shutil.copyfileobj(read, write, 1 << 24)


def _copy_extras(folder: Path, actor: str, source: PreprocArtifacts) -> tuple[Mesh, ...]:
    """Copies blend shapes and display data of an actor; returns the parts that have blend shapes."""
    parts: list[Mesh] = []
    for part in MESHES:
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


def _provenance(run: TrainingRun, record: ExportRecord, licence: str | None) -> Provenance:
    """Facts about a training run for the README."""
    state = read_json(run.path / _STATE_FILE)
    framework = state.get("framework") or {}
    words = [str(framework[key]) for key in ("version", "git_commit") if framework.get(key)]
    summary = run.summary
    formats = {
        "epochs": "{} epochs",
        "steps": "{} steps",
        "minutes": "{} minutes",
        "exported_step": "weights of step {}",
    }
    return Provenance(
        run=run.path.name,
        encoder=record.encoder,
        parity=record.parity,
        settings=read_json(run.path / INFO_FILE).get("params") or {},
        framework=", commit ".join(words),
        training=", ".join(form.format(summary[key]) for key, form in formats.items() if key in summary),
        metrics=summary.get("exported_metrics") or {},
        comparison=BaselineComparison.read(run.path),
        licence=licence,
    )


_UNRECORDED = "the training run does not record which shots it held out (an earlier version made it)"
_NONE_HELD_OUT = "training held out no shot of this actor"
_GONE = "recordings or caches of the held-out shots are no longer where training found them"


def calibrate_actors(
    model: DeployedModel,
    run: TrainingRun,
    artifacts: Mapping[str, PreprocArtifacts],
    origins: Mapping[str, Origin],
    post: PostProcessing,
) -> dict[str, ActorCalibration]:
    """Calibrates and evaluates the animation parameters of all actors on the validation set.

    Args:
        model: the deployed folder, with any parameters.
        run: the training run.
        artifacts: the preprocessing run of each actor.
        origins: the data that each actor was trained from.
        post: settings of post-processing.

    Raises:
        UserError: the network cannot be loaded, or a record of the run is damaged.
    """
    clips = read_validation(run.path, run.configuration.roots)
    found, graph = {}, None
    for actor in model.info.identities:
        chosen = choose_clips(clips or (), actor, frame_by_frame=model.info.windows().hop == 1)
        if not chosen:
            found[actor] = _neutral(post, _UNRECORDED if clips is None else _NONE_HELD_OUT)
        else:
            graph = open_graph(model) if graph is None else graph
            source = ActorSource(
                actor, artifacts[actor], origins[actor].files, ActorDataset.open(actor, run.configuration.dataset)
            )
            found[actor] = _calibrated(model, run, source, chosen, post, graph)
        for line in summary_lines(actor, found[actor]):
            LOGGER.info("%s", line)
    return found


def _calibrated(
    model: DeployedModel,
    run: TrainingRun,
    source: ActorSource,
    clips: Sequence[ValidationClip],
    post: PostProcessing,
    graph: NetworkSession,
) -> ActorCalibration:
    vocabulary = run.configuration.dataset.SHOT_EMOTION_NAMES
    emotions = EmotionVectors.from_vocabulary(vocabulary, run.configuration.train.SHOT_EMOTION_NAME_FOR_ALL_ZEROS)
    start = post.start()
    try:
        motion = HeldOutReader(model, source, emotions, graph).read(clips, values_of(start))
    except UserError as error:
        LOGGER.warning("%s: held-out shots cannot be animated: %s", source.actor, error)
        return _neutral(post, "the held-out shots cannot be animated")
    if motion is None:
        return _neutral(post, _GONE)
    choices: Mapping[str, Choice] = calibrate(motion, start) if post.calibrate else start
    return measure(motion, choices, post.parameters)


def _neutral(post: PostProcessing, why: str) -> ActorCalibration:
    then = "post-processing is neutral, but for what the configuration gives"
    return ActorCalibration(post.start(), note=f"{why}: {then if post.calibrate else 'nothing is measured'}")
