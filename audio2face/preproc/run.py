"""Stage 1 for one actor: checks, skin, tongue, artifacts, report; stoppable at any time and resumable.

The result of every step is kept in the run folder until the run is whole. A run that was stopped is gone on with, and
a whole run is reused, as long as settings and input files are the same.
"""

from __future__ import annotations

import time
from collections.abc import Collection
from dataclasses import dataclass
from pathlib import Path
from typing import get_args

from audio2face.config import Configuration
from audio2face.console import LOGGER, console, follow
from audio2face.dataset import ActorDataset
from audio2face.dataset.checks import CheckReport, Finding, check_actor
from audio2face.dataset.report import show
from audio2face.errors import UserError
from audio2face.files import write_json, write_npz
from audio2face.preproc import deploy_data
from audio2face.preproc.artifacts import (
    Part,
    blendshape_files,
    display_file,
    identity_facts,
    write_deploy,
    write_placeholder_tongue,
)
from audio2face.preproc.blendshapes import copy_blendshapes
from audio2face.preproc.data_record import RECORD_STEM
from audio2face.preproc.deploy_data import DataInfo, OptionalPoses, PcaShapes, ShotRow, StandInShapes
from audio2face.preproc.display import display_data
from audio2face.preproc.inputs import ActorInputs
from audio2face.preproc.memory import PeakMemory
from audio2face.preproc.parts import SKIN_SHARE, TONGUE_SHARE, make_skin, make_tongue
from audio2face.preproc.report import REPORT_FOLDER, Cost, write_report
from audio2face.preproc.reuse import clear_half_written, drop_stale, find_stopped, find_whole, held, one_at_a_time
from audio2face.preproc.steps import Steps, StepStore
from audio2face.preproc.tongue_seat import measure_seat
from audio2face.runs import RunFolder, record

# Errors of the dataset's checks that this stage mends itself.
_MENDED = ("blendshape-absolute",)
_CHECK_FILE = f"{REPORT_FOLDER}/check.json"


@dataclass(frozen=True)
class Outcome:
    """How preprocessing of an actor ended.

    Attributes:
        actor: name of the actor.
        run: the folder with the artifacts.
        reused: whether it was there already.
    """

    actor: str
    run: RunFolder
    reused: bool


def preprocess(configuration: Configuration, actor: str) -> Outcome:
    """Preprocesses one actor, or finds the run that did.

    Raises:
        UserError: configuration or data do not allow it; data faults have been shown as a table.
    """
    dataset = ActorDataset.open(actor, configuration.dataset)
    scale = {str(channel): value for channel, value in configuration.dataset.TRANSFORM_SCALE.get(actor, {}).items()}
    try:
        inputs = ActorInputs.open(dataset, configuration.preproc, scale)
        fingerprint = inputs.fingerprint()
    except UserError:
        _check(dataset, dataset.shot_names)  # says everything that is wrong, not only the first fault
        raise
    root, name = configuration.preproc.PREPROC_OUTPUT_ROOT, configuration.preproc.RUN_NAME
    finished = _finished(root, name, actor, fingerprint)
    if finished is not None:
        return finished
    with one_at_a_time(root, name, actor):
        return _finished(root, name, actor, fingerprint) or _make(configuration, inputs, fingerprint)


def _finished(root: Path, name: str, actor: str, fingerprint: str) -> Outcome | None:
    """The run that has made it already, if there is one."""
    whole = find_whole(root, name, actor, fingerprint)
    if whole is None:
        return None
    StepStore(whole.path).drop()  # a run killed just before its end left them
    LOGGER.info("%s: unchanged, using %s", actor, whole.name)
    return Outcome(actor, whole, reused=True)


def _make(configuration: Configuration, inputs: ActorInputs, fingerprint: str) -> Outcome:
    """Makes a run, or resumes one that was stopped."""
    root, name = configuration.preproc.PREPROC_OUTPUT_ROOT, configuration.preproc.RUN_NAME
    dataset, actor = inputs.dataset, inputs.actor
    run = find_stopped(root, name, actor, fingerprint)
    resumed = run is not None
    drop_stale(root, actor, keep=run)
    if run is None:
        checked = _check(dataset, inputs.skin)
        run = RunFolder.create(root, name)
        write_json(run.path / _CHECK_FILE, checked.as_json())
        record(run, configuration, **identity_facts(actor, fingerprint))
        LOGGER.info("%s: warnings of the checks: %d (%s)", actor, len(checked.warnings), run.path / _CHECK_FILE)
    with held(run):
        with run.status():
            LOGGER.info("%s: %s %s", actor, "going on with" if resumed else "making", run.name)
            clear_half_written(run)
            follow(_stage(inputs, StepStore(run.path), resumed), actor)
        StepStore(run.path).drop()
    return Outcome(actor, run, reused=False)


def _check(dataset: ActorDataset, shots: Collection[str]) -> CheckReport:
    """Runs the dataset's checks and shows what they find; errors in data that are used end the stage."""
    report = check_actor(dataset)
    if report.findings:
        show([report], console())
    blocking = [finding for finding in report.errors if _blocks(finding, shots)]
    if blocking:
        count = "an error" if len(blocking) == 1 else f"{len(blocking)} errors"
        raise UserError(
            f"the data of actor {dataset.actor!r} have {count} that would spoil training, see above",
            hint="Mend them, or leave the shots concerned out with SKIN_CACHE_SHOTS.",
        )
    return report


def _blocks(finding: Finding, shots: Collection[str]) -> bool:
    return finding.code not in _MENDED and (finding.shot is None or finding.shot in shots)


def _stage(inputs: ActorInputs, store: StepStore, resumed: bool) -> Steps[None]:
    """The whole stage in steps."""
    began = time.monotonic()
    rest = 1.0 - SKIN_SHARE
    with PeakMemory() as memory:
        parts = {"skin": (yield from make_skin(inputs, store))}
        if inputs.tongue:
            parts["tongue"] = yield from make_tongue(inputs, store)
            tongue = parts["tongue"].fitted.shapes
            rest -= TONGUE_SHARE
        else:
            tongue = write_placeholder_tongue(store.run, inputs.settings.DEFAULT_TONGUE_PCA_SHAPE)
        yield "artifacts", 0.0
        skin = parts["skin"].fitted
        shots = [
            ShotRow(inputs.actor, name, frames, inputs.dataset.fps, inputs.dataset.emotion_of(name))
            for name, frames in skin.num_frames.items()
        ]
        _write_deploy(inputs, store, skin.shapes, tongue, shots)
        notes = _pass_on(inputs, store)
        write_json(store.run / f"configs/{RECORD_STEM}.json", inputs.data_record().as_json())
    cost = Cost(round(time.monotonic() - began, 1), memory.peak_bytes, resumed)
    write_report(store.run, inputs.actor, parts, shots, notes, cost)
    for name, part in parts.items():
        LOGGER.info("%s: %s: %s", inputs.actor, name, part)
    for note in notes:
        LOGGER.info("%s: %s", inputs.actor, note)
    yield "artifacts", rest


def _write_deploy(
    inputs: ActorInputs, store: StepStore, skin: PcaShapes, tongue: PcaShapes, shots: list[ShotRow]
) -> None:
    dataset, settings = inputs.dataset, inputs.settings
    data = deploy_data.network_data(
        skin,
        tongue,
        OptionalPoses(
            skin_neutral=dataset.skin_neutral_inference,
            tongue_neutral=dataset.tongue_neutral_inference if inputs.tongue else None,
            lip_open_delta=dataset.skin_lip_open_delta,
            eye_close_delta=dataset.skin_eye_close_delta,
            jaw_neutral=dataset.jaw_keypoints_neutral,
            blink_keys=dataset.eye_blink_keys,
            saccades=dataset.eye_saccade_rotations,
        ),
        StandInShapes(
            jaw=settings.DEFAULT_JAW_KEYPOINTS_SHAPE,
            blink_keys=settings.DEFAULT_EYE_BLINK_KEYS_SHAPE,
            saccades=settings.DEFAULT_EYE_SACCADE_ROT_SHAPE,
        ),
    )
    info = DataInfo.measure(data, inputs.transform_scale)
    geometry = deploy_data.mean_geometry(data, info)
    write_deploy(store.run, data, info, geometry, shots, dataset.augmented_voices, dataset.unusual_recordings)


def _pass_on(inputs: ActorInputs, store: StepStore) -> list[str]:
    """Copies blend shapes and gathers what drawing needs; returns what people should know about it."""
    dataset, notes = inputs.dataset, []
    for part in get_args(Part):
        files = dataset.blendshapes(part)
        if files is not None:
            mended = copy_blendshapes(files, blendshape_files(store.run, part, inputs.actor))
            notes += [f"blend shapes of the {part}: {text}" for text in mended]
    seat = measure_seat(dataset, tuple(inputs.tongue))
    write_npz(display_file(store.run, inputs.actor), display_data(dataset) | ({} if seat is None else seat.as_arrays()))
    notes += [] if seat is None else seat.notes
    if inputs.tongue and seat is None:
        notes.append(
            "there is a tongue and no motion of the jaw: in finished animations the tongue stays where its root is at "
            "rest. To have it move with the jaw, give JAW_KEYPOINTS_NEUTRAL_FPATH and JAW_ANIM_DATA_FPATH"
        )
    if dataset.skin_faces is None:
        notes.append(
            "no polygons are known: the face will be drawn as points. To draw it as a surface, give SKIN_FACES_FPATH "
            "and TONGUE_FACES_FPATH in config_dataset.py: integer arrays [faces, 3 or 4] of vertex numbers"
        )
    return notes
