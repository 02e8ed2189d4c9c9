"""Runs preprocessing of one actor: reuses a finished run, resumes a stopped one, or starts a new one.

Runs are found by name, status and fingerprint. Of several processes for one run folder, one works and the others wait.
"""

from __future__ import annotations

import time
from collections.abc import Collection, Iterator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from audio2face.config import Configuration, Preproc
from audio2face.console import LOGGER, console, follow
from audio2face.dataset import ActorDataset
from audio2face.dataset.checks import CheckReport, Finding, check_actor
from audio2face.dataset.checks.report import show
from audio2face.errors import UserError
from audio2face.io.atomic import write_json, write_npz
from audio2face.io.claims import exclusive
from audio2face.preproc import network_data
from audio2face.preproc.artifacts import (
    PreprocArtifacts,
    blendshape_files,
    display_file,
    identity_facts,
    read_identity,
    test_set_facts,
    write_deploy,
    write_placeholder_tongue,
)
from audio2face.preproc.blendshapes import copy_blendshapes
from audio2face.preproc.data_record import RECORD_STEM
from audio2face.preproc.inputs import ActorInputs
from audio2face.preproc.network_data import (
    DataInfo,
    OptionalPoses,
    PcaComponents,
    PlaceholderShapes,
    ShotRow,
    display_data,
)
from audio2face.preproc.pipeline import SKIN_SHARE, TONGUE_SHARE, make_skin, make_tongue
from audio2face.preproc.report import REPORT_FOLDER, Cost, write_report
from audio2face.preproc.steps import PeakMemory, Steps, StepStore
from audio2face.preproc.tongue import measure_attachment
from audio2face.runs import LOCK_FILE, RunFolder, record, remove_temporary_files, run_lock
from audio2face.types import MESHES


def find_finished(root: Path, run_name: str, actor: str, fingerprint: str) -> RunFolder | None:
    """Finds the newest finished run of the same name, actor and inputs."""
    return next(
        (run for run in _matching_runs(root, run_name, actor, fingerprint) if run.is_done and _is_complete(run)), None
    )


def find_resumable(root: Path, run_name: str, actor: str, fingerprint: str) -> RunFolder | None:
    """Finds the newest unfinished run of the same name, actor and inputs."""
    return next((run for run in _matching_runs(root, run_name, actor, fingerprint) if not run.is_done), None)


def drop_stale(root: Path, actor: str, keep: RunFolder | None) -> None:
    """Removes intermediate results of the actor's other stopped runs, whose inputs or settings have changed since."""
    for run in _runs(root):
        identity = read_identity(run.path)
        store = StepStore(run.path)
        if identity is None or identity[0] != actor or not store.folder.is_dir() or run == keep:
            continue
        with suppress(UserError), run_lock(run):  # another process may still use it
            store.drop()
            LOGGER.info("removed intermediate results of %s, which was never finished", run.name)


@contextmanager
def one_at_a_time(root: Path, run_name: str, actor: str) -> Iterator[None]:
    """Lets one process preprocess an actor under a configured name; the others wait, and find its finished run.

    Raises:
        UserError: the folder of all runs cannot be written to.
    """

    def tell() -> None:
        LOGGER.info("%s: waiting for another process that preprocesses this actor as %r", actor, run_name)

    with ExitStack() as stack:
        if not root.exists():
            stack.callback(_remove_empty, root)
        try:
            stack.enter_context(exclusive(root / f".{run_name}_{actor}{LOCK_FILE}", tell))
        except OSError as error:
            raise UserError(f"cannot be written to: {error.strerror}", path=root, hint="Check permissions.") from error
        yield


def _remove_empty(root: Path) -> None:
    """Removes a folder that was created only for the lock, if the data cannot be preprocessed."""
    with suppress(OSError):
        root.rmdir()


def _matching_runs(root: Path, run_name: str, actor: str, fingerprint: str) -> Iterator[RunFolder]:
    for run in _runs(root):
        if run.run_name == run_name and read_identity(run.path) == (actor, fingerprint):
            yield run


def _runs(root: Path) -> list[RunFolder]:
    """Returns all run folders, newest first."""
    if not root.is_dir():
        return []
    return [RunFolder(path) for path in sorted(root.iterdir(), reverse=True) if path.is_dir()]


def _is_complete(run: RunFolder) -> bool:
    try:
        PreprocArtifacts.open(run.path)
    except UserError:
        return False
    return True


# Errors of the dataset's checks that this stage repairs itself.
_MENDED = ("blendshape-absolute",)
_CHECK_FILE = f"{REPORT_FOLDER}/check.json"


@dataclass(frozen=True)
class PreprocResult:
    """Result of preprocessing an actor.

    Attributes:
        actor: name of the actor.
        run: the folder with the artifacts.
        reused: whether the run existed already.
    """

    actor: str
    run: RunFolder
    reused: bool


def preprocess(configuration: Configuration, actor: str) -> PreprocResult:
    """Preprocesses one actor, or finds the finished run.

    Raises:
        UserError: configuration or data are invalid; errors of the data are printed as a table before.
    """
    dataset = ActorDataset.open(actor, configuration.dataset)
    scale = {str(channel): value for channel, value in configuration.dataset.TRANSFORM_SCALE.get(actor, {}).items()}
    try:
        inputs = ActorInputs.open(dataset, configuration.preproc, scale)
        fingerprint = inputs.fingerprint()
    except UserError:
        _check(dataset, dataset.shot_names, configuration.preproc)  # reports all errors, not only the first
        raise
    root, name = configuration.preproc.PREPROC_OUTPUT_ROOT, configuration.preproc.RUN_NAME
    LOGGER.debug("%s: data and settings have the fingerprint %s", actor, fingerprint)
    if dataset.test_shots:
        LOGGER.info("%s: left out for the test set: %s", actor, ", ".join(dataset.test_shots))
    finished = _finished(root, name, actor, fingerprint)
    if finished is not None:
        return finished
    with one_at_a_time(root, name, actor):
        return _finished(root, name, actor, fingerprint) or _make(configuration, inputs, fingerprint)


def _finished(root: Path, name: str, actor: str, fingerprint: str) -> PreprocResult | None:
    """Finds a finished run of these inputs."""
    whole = find_finished(root, name, actor, fingerprint)
    if whole is None:
        return None
    StepStore(whole.path).drop()  # left by a run that was killed just before its end
    LOGGER.info("%s: unchanged, using %s", actor, whole.name)
    return PreprocResult(actor, whole, reused=True)


def _make(configuration: Configuration, inputs: ActorInputs, fingerprint: str) -> PreprocResult:
    """Starts a run, or resumes a stopped one."""
    root, name = configuration.preproc.PREPROC_OUTPUT_ROOT, configuration.preproc.RUN_NAME
    dataset, actor = inputs.dataset, inputs.actor
    run = find_resumable(root, name, actor, fingerprint)
    resumed = run is not None
    drop_stale(root, actor, keep=run)
    if run is None:
        checked = _check(dataset, inputs.skin, inputs.settings)
        run = RunFolder.create(root, name)
        write_json(run.path / _CHECK_FILE, checked.as_json())
        test = test_set_facts({shot: dataset.emotion_of(shot) for shot in dataset.test_shots})
        record(run, configuration, **identity_facts(actor, fingerprint), **test)
        LOGGER.info("%s: warnings of the checks: %d (%s)", actor, len(checked.warnings), run.path / _CHECK_FILE)
    with run_lock(run):
        with run.status():
            LOGGER.info("%s: %s %s", actor, "resuming" if resumed else "computing", run.name)
            remove_temporary_files(run)
            follow(_stage(inputs, StepStore(run.path), resumed), actor)
        StepStore(run.path).drop()
    return PreprocResult(actor, run, reused=False)


def _check(dataset: ActorDataset, shots: Collection[str], settings: Preproc) -> CheckReport:
    """Runs the dataset's checks and prints their findings; errors in data in use end the stage."""
    report = check_actor(dataset, skin_basis=settings.SKIN_BASIS)
    if report.findings:
        show([report], console())
    blocking = [finding for finding in report.errors if _blocks(finding, shots)]
    if blocking:
        count = "an error" if len(blocking) == 1 else f"{len(blocking)} errors"
        raise UserError(
            f"the data of actor {dataset.actor!r} have {count} that would spoil training, see above",
            hint="Fix them, or remove the shots concerned with SKIN_CACHE_SHOTS.",
        )
    return report


def _blocks(finding: Finding, shots: Collection[str]) -> bool:
    return finding.code not in _MENDED and (finding.shot is None or finding.shot in shots)


def _stage(inputs: ActorInputs, store: StepStore, resumed: bool) -> Steps[None]:
    """Runs the whole stage in steps."""
    began = time.monotonic()
    rest = 1.0 - SKIN_SHARE
    with PeakMemory() as memory:
        parts = {"skin": (yield from make_skin(inputs, store))}
        if inputs.tongue:
            parts["tongue"] = yield from make_tongue(inputs, store)
            tongue = parts["tongue"].fitted.components
            rest -= TONGUE_SHARE
        else:
            tongue = write_placeholder_tongue(store.run, inputs.settings.DEFAULT_TONGUE_PCA_SHAPE)
        yield "artifacts", 0.0
        skin = parts["skin"].fitted
        shots = [
            ShotRow(inputs.actor, name, frames, inputs.dataset.fps, inputs.dataset.emotion_of(name))
            for name, frames in skin.num_frames.items()
        ]
        _write_deploy(inputs, store, skin.components, tongue, shots)
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
    inputs: ActorInputs, store: StepStore, skin: PcaComponents, tongue: PcaComponents, shots: list[ShotRow]
) -> None:
    dataset, settings = inputs.dataset, inputs.settings
    data = network_data.network_data(
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
        PlaceholderShapes(
            jaw=settings.DEFAULT_JAW_KEYPOINTS_SHAPE,
            blink_keys=settings.DEFAULT_EYE_BLINK_KEYS_SHAPE,
            saccades=settings.DEFAULT_EYE_SACCADE_ROT_SHAPE,
        ),
    )
    info = DataInfo.measure(data, inputs.transform_scale)
    geometry = network_data.mean_geometry(data, info)
    write_deploy(store.run, data, info, geometry, shots, dataset.augmented_voices, dataset.unusual_recordings)


def _pass_on(inputs: ActorInputs, store: StepStore) -> list[str]:
    """Copies blend shapes and writes the display data; returns notes for people."""
    dataset, notes = inputs.dataset, []
    for part in MESHES:
        files = dataset.blendshapes(part)
        if files is not None:
            mended = copy_blendshapes(files, blendshape_files(store.run, part, inputs.actor))
            notes += [f"blend shapes of the {part}: {text}" for text in mended]
    attachment = measure_attachment(dataset, tuple(inputs.tongue))
    write_npz(
        display_file(store.run, inputs.actor),
        display_data(dataset) | ({} if attachment is None else attachment.as_arrays()),
    )
    notes += [] if attachment is None else attachment.notes
    if inputs.tongue and attachment is None:
        notes.append(
            "the actor has a tongue but no motion of the jaw: in finished animations the root of the tongue stays "
            "in its neutral position. To move it with the jaw, give JAW_KEYPOINTS_NEUTRAL_FPATH and JAW_ANIM_DATA_FPATH"
        )
    if dataset.skin_faces is None:
        notes.append(
            "no polygons are configured: the face is rendered as points. To render it as a surface, give "
            "SKIN_FACES_FPATH and TONGUE_FACES_FPATH in config_dataset.py: integer arrays [faces, 3 or 4] of vertex "
            "numbers"
        )
    return notes
