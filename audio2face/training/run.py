"""A training from its configuration to a finished run: its folder, which run to resume, the loop, and the export."""

from __future__ import annotations

import json
import shlex
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager, nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from lightning_fabric import Fabric
from torch import nn

from audio2face.config import Configuration
from audio2face.config_base.train_common import FREE_PARAMETERS
from audio2face.console import LOGGER
from audio2face.errors import FileFormatError, UserError
from audio2face.interrupts import resume_hint, set_resume_hint
from audio2face.io.arrays import read_json
from audio2face.io.atomic import write_json
from audio2face.run_names import LATEST, resolve_run, run_folders
from audio2face.runs import OVERRIDES_FILE, RunFolder, record, remove_temporary_files, run_lock
from audio2face.training.baselines import compare_task
from audio2face.training.checkpoint import (
    FOLDER,
    CheckpointStore,
    Progress,
    read_checkpoint,
    read_exported_weights,
    read_metrics,
    read_progress,
    save_tensors,
)
from audio2face.training.distributed import (
    describe_engine,
    deterministic_algorithms,
    make_fabric,
    seed_everything,
    wait_for_all,
)
from audio2face.training.metrics import RunLog
from audio2face.training.run_folder import DISTILLATION_FILE, NETWORK_FILE, PREPROC_FILE, SUMMARY_FILE, WEIGHTS_FILE
from audio2face.training.signals import InterruptHandler
from audio2face.training.split_record import check_split, record_split
from audio2face.training.task import ResumeMetadata, Task, training_module
from audio2face.training.trackers import TrackedRun
from audio2face.training.trainer import StopReason, Trainer

NEWEST = ""  # value of `--resume` without a name
_RUNS = "preproc_run_name_full"
# Of runs older than these parameters.
_OLDER: dict[str, dict[str, Any]] = {
    "dataset": {"TEST_SHOTS": {}, "TEST_FRACTION": 0.0, "SPLIT_SEED": 0},
    "train": {
        "SYNTHETIC_SHARE": 0.0,
        "SYNTHETIC_EPOCHS": 0,
        "SYNTHETIC_MINUTES": 20.0,
        "SYNTHETIC_SEED": 0,
        "SYNTHETIC_SPEECH_ROOT": None,
        "TEACHER_RUN": None,
        "DISTILLATION_SHARE": 0.7,
        "DISTILLATION_SPEECH_ROOT": None,
    },
}
_MOST_LISTED = 8


def select_run(configuration: Configuration, name: str) -> RunFolder:
    """The run of a name or a part of one, or for `NEWEST` and `LATEST` the configuration's newest unfinished run.

    Unfinished runs with a checkpoint come first, so that one that failed at its start does not hide them.

    Raises:
        UserError: there is no such run.
    """
    root = configuration.train.TRAIN_OUTPUT_ROOT
    runs = _runs(root)
    if name not in (NEWEST, LATEST):
        return RunFolder(resolve_run(name, [run.path for run in runs], "training run", root))
    own = [run for run in runs if run.run_name == configuration.train.RUN_NAME and not run.is_done]
    resumable = [run for run in own if CheckpointStore(run.path / FOLDER).last() is not None]
    if not own:
        raise UserError(
            f"there is no unfinished run of {configuration.train.RUN_NAME!r} to resume",
            path=root,
            hint="Start one without --resume, or name the run: --resume RUN.",
        )
    return (resumable or own)[0]


def find_resumable_run(configuration: Configuration, preproc: Mapping[str, str]) -> RunFolder | None:
    """The newest unfinished run of the configuration that has a checkpoint and can be resumed as it is configured.

    Args:
        configuration: for stage "train".
        preproc: name of the preprocessing run of each actor that it must have been trained on.
    """
    for run in _runs(configuration.train.TRAIN_OUTPUT_ROOT):
        if run.run_name != configuration.train.RUN_NAME or run.is_done:
            continue
        try:
            check_settings(run, configuration)
            same = preproc_runs(run) == preproc and CheckpointStore(run.path / FOLDER).last() is not None
        except UserError:
            continue
        if same:
            return run
    return None


def check_settings(run: RunFolder, configuration: Configuration) -> None:
    """Makes sure that the parameters that affect the weights, and the test set, are those of the start of a run.

    Raises:
        UserError: some differ.
    """
    differing = []
    for section in ("dataset", "train"):
        path = run.path / "configs" / f"config_{section}_full.json"
        now = json.loads(json.dumps(configuration.full[section], default=dict))
        before = {name: value for name, value in _OLDER[section].items() if name in now} | _object(path)
        for name in sorted(before.keys() | now.keys()):
            if not (section == "train" and name in FREE_PARAMETERS) and before.get(name) != now.get(name):
                differing.append(f"{name} was {_shown(before, name)}, is {_shown(now, name)}")
    for actor, before_run in preproc_runs(run).items():
        configured = configuration.train.PREPROC_RUN_NAME_FULL.get(actor, LATEST)
        if configured not in (LATEST, before_run):
            differing.append(f"PREPROC_RUN_NAME_FULL of {actor} was {before_run}, is {configured}")
    if differing:
        more = f"\n  and {len(differing) - _MOST_LISTED} more" if len(differing) > _MOST_LISTED else ""
        listed = "".join(f"\n  {text}" for text in differing[:_MOST_LISTED])
        raise UserError(
            f"was started with other settings:{listed}{more}",
            path=run.path,
            hint=f"{_given_arguments(run)}Restore them to resume this run; or start a new one, if you like from its "
            "weights (PRETRAINED_NET_FPATH).",
        )
    check_split(run.path, configuration)


def _given_arguments(run: RunFolder) -> str:
    """A sentence about the parameters that a run was given as arguments; empty where there are none."""
    path = run.path / OVERRIDES_FILE
    overrides = read_json(path) if path.is_file() else []
    if not isinstance(overrides, list) or not overrides:
        return ""
    return f"It was started with {' '.join(f'--set {shlex.quote(str(each))}' for each in overrides)}. "


def read_resume_metadata(run: RunFolder) -> ResumeMetadata:
    """The metadata of a resumed run; raises UserError where files are damaged."""
    has_weights = CheckpointStore(run.path / FOLDER).last() is not None
    distillation = run.path / DISTILLATION_FILE
    teacher = str(_object(distillation).get("teacher")) if distillation.is_file() else None
    return ResumeMetadata(_object(run.path / NETWORK_FILE), preproc_runs(run), has_weights, teacher)


def preproc_runs(run: RunFolder) -> Mapping[str, str]:
    """The name of the preprocessing run of each actor that a run is trained on."""
    runs = _object(run.path / PREPROC_FILE).get(_RUNS)
    if not isinstance(runs, dict):
        raise FileFormatError(f"has no {_RUNS}", path=run.path / PREPROC_FILE)
    return runs


def _object(path: Path) -> dict[str, Any]:
    value = read_json(path)
    if not isinstance(value, dict):
        raise FileFormatError("should hold an object", path=path)
    return value


def _shown(values: Mapping[str, Any], name: str) -> str:
    text = json.dumps(values[name]) if name in values else "unknown"
    return text if len(text) <= 60 else f"{text[:57]}..."


def _runs(root: Path) -> list[RunFolder]:
    """All runs with the metadata of their network, newest first."""
    return [RunFolder(path) for path in run_folders(root) if (path / NETWORK_FILE).is_file()]


# Writes the deploy/ folder of a run, given its trained network. An argument, because deployment imports training.
Exporter = Callable[[Path, nn.Module], None]


@dataclass(frozen=True)
class TrainingResult:
    """The result of a training.

    Attributes:
        run: the run folder.
        stop_reason: why it ended.
        exported: the checkpoint whose weights were exported.
    """

    run: RunFolder
    stop_reason: StopReason
    exported: Path


def train(
    configuration: Configuration, exporter: Exporter, *, resume: str | None = None, finish_now: bool = False
) -> TrainingResult:
    """Trains the network of a configuration and exports it.

    Args:
        configuration: for stage "train".
        exporter: writes the deploy/ folder of the run.
        resume: name of the run to resume, or `NEWEST`; None starts a new one.
        finish_now: makes no further step; validates and exports the weights of the last checkpoint.

    Raises:
        UserError: configuration or data have errors, or the run cannot be resumed.
        KeyboardInterrupt: a signal asked to stop; the run can be resumed.
    """
    settings = configuration.train
    fabric = make_fabric(settings.DEVICE, settings.PRECISION)
    run = _open_run(fabric, configuration, resume, finish_now)
    stop = InterruptHandler()
    with _locked(fabric, run), deterministic_algorithms(settings.REPRODUCIBLE):
        try:
            with stop:
                reason = _train(
                    fabric, run, configuration, exporter, stop, is_new=resume is None, finish_now=finish_now
                )
            if reason is StopReason.STOPPED:
                stop.reraise()
                raise KeyboardInterrupt
        except KeyboardInterrupt:
            LOGGER.info("stopped. %s", resume_hint())
            raise
    return TrainingResult(run, reason, _exported(CheckpointStore(run.path / FOLDER), configuration))


def _resume_command(configuration: Configuration, run: RunFolder, fabric: Fabric, options: str = "") -> str:
    """The command that resumes a run, with its arguments and as many processes as wrote its checkpoints."""
    options += "".join(f" --set {shlex.quote(override)}" for override in configuration.overrides)
    devices = f" --devices {fabric.world_size}" if fabric.world_size > 1 else ""
    return f"python run_train.py {configuration.name} --resume {run.name}{options}{devices}"


def _open_run(fabric: Fabric, configuration: Configuration, resume: str | None, finish_now: bool) -> RunFolder:
    """Makes or finds the run folder in the first process, and broadcasts it to the others."""
    train, path = configuration.train, None
    if fabric.is_global_zero and resume is None:
        path = RunFolder.create(train.TRAIN_OUTPUT_ROOT, train.RUN_NAME).path
    elif fabric.is_global_zero and resume is not None:
        run = select_run(configuration, resume)
        if run.is_done and not finish_now:
            raise UserError(
                "is finished",
                path=run.path,
                hint="Start a new run from its weights with PRETRAINED_NET_FPATH, or export it again with --finish.",
            )
        check_settings(run, configuration)
        path = run.path
    path = fabric.broadcast(path)
    assert path is not None
    return RunFolder(path)


@contextmanager
def _locked(fabric: Fabric, run: RunFolder) -> Iterator[None]:
    """Locks the run folder and keeps its status up to date, in the first process."""
    with ExitStack() as stack:
        if fabric.is_global_zero:
            stack.enter_context(run_lock(run))
            stack.enter_context(run.status())
            CheckpointStore(run.path / FOLDER).clear()
            remove_temporary_files(run)
        yield


def _train(
    fabric: Fabric,
    run: RunFolder,
    configuration: Configuration,
    exporter: Exporter,
    stop: InterruptHandler,
    *,
    is_new: bool,
    finish_now: bool,
) -> StopReason:
    """Opens the task, trains it from the last checkpoint if there is one, and exports the weights."""
    started = time.monotonic()
    train, store = configuration.train, CheckpointStore(run.path / FOLDER)
    state = None if is_new else read_resume_metadata(run)
    last = None if is_new else store.last()
    if finish_now and last is None:
        raise UserError(
            "has no checkpoint to finish with", path=run.path, hint="Train it first: --resume without --finish."
        )
    seed_everything(train.RNG_SEED_TORCH, fabric.global_rank)
    task = training_module(str(configuration.network_type)).open_task(configuration, fabric, state)
    if fabric.is_global_zero and is_new:
        _record(run, configuration, task, fabric)
    # A new run can be resumed from here on; before, the command of its start is repeated.
    set_resume_hint(f"Resume with: {_resume_command(configuration, run, fabric)}")
    wait_for_all()
    log = _open_log(run, configuration, last) if fabric.is_global_zero else None
    with log or nullcontext():
        LOGGER.info("%s %s, on %s", "training" if is_new else "resuming", run.name, describe_engine(fabric))
        trainer = Trainer(fabric, task, train, store, log, stop)
        if last is not None:
            trainer.resume(read_checkpoint(last))
        LOGGER.info(
            "%d batches in an epoch, %d of %d epochs done; ready after %.1f s",
            task.num_batches,
            trainer.progress.epoch,
            train.NUM_EPOCHS,
            time.monotonic() - started,
        )
        reason = trainer.run(finish_now=finish_now)
        if log is not None:
            if reason is not StopReason.STOPPED:
                again = _resume_command(configuration, run, fabric, " --finish")
                set_resume_hint(f"The weights are saved. To export them: {again}")
                _finish(run, configuration, exporter, trainer, reason)
            is_stopped = reason is StopReason.STOPPED
            log.draw() if is_stopped else log.draw(task.held_out_frame)
            log.close("stopped" if is_stopped else "done")
    wait_for_all()
    return reason


def _open_log(run: RunFolder, configuration: Configuration, last: Path | None) -> RunLog:
    """The log of a run that starts, or resumes from a checkpoint."""
    tracked = TrackedRun(
        folder=run.path,
        step=0 if last is None else read_progress(last).step,
        parameters=json.loads(json.dumps(configuration.full["train"], default=dict)),
        workspace=configuration.roots.workspace,
    )
    return RunLog(tracked, configuration.train.TRACKERS)


def _record(run: RunFolder, configuration: Configuration, task: Task, fabric: Fabric) -> None:
    """Writes the metadata of a new run, before its first step."""
    for name, value in task.metadata_files().items():
        write_json(run.path / name, value)
    write_json(run.path / NETWORK_FILE, task.network_config())
    record_split(run.path, configuration)
    record(run, configuration, engine=describe_engine(fabric))


def _finish(
    run: RunFolder, configuration: Configuration, exporter: Exporter, trainer: Trainer, reason: StopReason
) -> None:
    """Writes the exported weights, the summary, the files of deployment, and the comparison with baselines."""
    task = trainer.task
    chosen = _exported(trainer.store, configuration)
    weights = read_exported_weights(chosen)
    save_tensors(weights, run.path / WEIGHTS_FILE)
    write_json(run.path / SUMMARY_FILE, _summary(chosen, trainer.progress, reason) | {"best_metric": task.best_metric})
    LOGGER.info("%s; exporting step %d", reason.value, int(chosen.name))
    task.network.load_state_dict(weights)
    task.network.eval()
    try:
        task.export(run.path)
        exporter(run.path, task.network)
    except Exception:
        LOGGER.warning(resume_hint())
        raise
    exported = int(chosen.name)
    compare_task(task, exported, run.path, is_validated=exported == trainer.progress.step)


def _exported(store: CheckpointStore, configuration: Configuration) -> Path:
    chosen = store.best() if configuration.train.EXPORTED_WEIGHTS == "best" else None
    chosen = chosen or store.last()
    assert chosen is not None  # the loop ends with a checkpoint
    return chosen


def _summary(chosen: Path, progress: Progress, reason: StopReason) -> dict[str, Any]:
    """The summary of a finished training, as JSON."""
    return {
        "end": reason.value,
        "steps": progress.step,
        "epochs": progress.epoch,
        "minutes": round(progress.seconds / 60, 1),
        "exported_step": int(chosen.name),
        "exported_metrics": read_metrics(chosen),
    }
