"""Stage 2 from a configuration to a finished run: task, loop, weights, and what deployment reads.

Knows run folders and the order of things. What is learnt is the task's business, how the loop's.
"""

from __future__ import annotations

import importlib
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from lightning_fabric import Fabric
from torch import nn

from audio2face.config import Configuration
from audio2face.console import LOGGER
from audio2face.errors import UserError
from audio2face.files import write_json
from audio2face.interrupts import resume_hint, set_resume_hint
from audio2face.preproc.reuse import clear_half_written, held
from audio2face.runs import RunFolder, record
from audio2face.training.checkpoints import (
    FOLDER,
    CheckpointStore,
    Progress,
    read_checkpoint,
    read_exported_weights,
    read_metrics,
    read_progress,
    save_tensors,
)
from audio2face.training.engine import arithmetic, describe_engine, make_fabric, place_of, seed_everything
from audio2face.training.loop import End, TrainingLoop
from audio2face.training.resume import check_settings, find_run, read_begun
from audio2face.training.run_log import RunLog
from audio2face.training.settings import engine_settings, loop_settings
from audio2face.training.signals import StopSignals
from audio2face.training.task import Begun, Task
from audio2face.training.training_run import (
    CONFIGURATION_FILE,
    NETWORK_FILE,
    SUMMARY_FILE,
    WEIGHTS_FILE,
)
from audio2face.training.waiting import wait_for_all

# Modules with a function open_task(configuration, place, begun), by NETWORK_TYPE.
TASKS = {
    "diffusion": "audio2face.training.diffusion_task",
    "regression": "audio2face.training.regression_task",
}

# Writes the deploy/ folder of a run, given its trained network. Deployment stands above training: it is handed in.
Exporter = Callable[[Path, nn.Module], None]


@dataclass(frozen=True)
class Outcome:
    """How a training ended.

    Attributes:
        run: the run folder.
        end: why it ended.
        exported: the checkpoint whose weights were exported.
    """

    run: RunFolder
    end: End
    exported: Path


@dataclass(frozen=True)
class _Order:
    """What `train` was asked for."""

    configuration: Configuration
    exporter: Exporter
    resume: str | None
    finish_now: bool


def train(
    configuration: Configuration, exporter: Exporter, *, resume: str | None = None, finish_now: bool = False
) -> Outcome:
    """Trains the network of a configuration and exports it.

    Args:
        configuration: for stage "train".
        exporter: writes what deployment reads.
        resume: a run to go on with, or `NEWEST`; None starts a new one.
        finish_now: makes no further step; validates, and exports what there is.

    Raises:
        UserError: configuration, data, or the run to go on with do not allow it.
        KeyboardInterrupt: a signal asked to stop; the run can be gone on with.
    """
    order = _Order(configuration, exporter, resume, finish_now)
    engine = engine_settings(configuration.train)
    fabric = make_fabric(engine)
    run = _open_run(fabric, order)
    stop = StopSignals()
    with _kept(fabric, run), arithmetic(engine):
        try:
            with stop:
                end = _train(fabric, run, order, stop)
            if end is End.STOPPED:
                stop.pass_on()
                raise KeyboardInterrupt
        except KeyboardInterrupt:
            LOGGER.info("stopped. %s", resume_hint())
            raise
    return Outcome(run, end, _exported(CheckpointStore(run.path / FOLDER), configuration))


def _resume_command(configuration: Configuration, run: RunFolder, fabric: Fabric, options: str = "") -> str:
    """What to type to resume a run, by as many processes as made its checkpoints."""
    devices = f" --devices {fabric.world_size}" if fabric.world_size > 1 else ""
    return f"python run_train.py {configuration.name} --resume {run.name}{options}{devices}"


def _open_run(fabric: Fabric, order: _Order) -> RunFolder:
    """Makes or finds the run folder in the first process, and tells the others."""
    train, path = order.configuration.train, None
    if fabric.is_global_zero and order.resume is None:
        path = RunFolder.create(train.TRAIN_OUTPUT_ROOT, train.RUN_NAME).path
    elif fabric.is_global_zero and order.resume is not None:
        run = find_run(order.configuration, order.resume)
        if run.is_done and not order.finish_now:
            raise UserError(
                "has come to its end",
                path=run.path,
                hint="Train on from its weights with PRETRAINED_NET_FPATH, or export it once more with --finish.",
            )
        check_settings(run, order.configuration)
        path = run.path
    path = fabric.broadcast(path)
    assert path is not None
    return RunFolder(path)


@contextmanager
def _kept(fabric: Fabric, run: RunFolder) -> Iterator[None]:
    """Keeps other processes out of the folder and its status up to date, in the first process."""
    with ExitStack() as stack:
        if fabric.is_global_zero:
            stack.enter_context(held(run))
            stack.enter_context(run.status())
            CheckpointStore(run.path / FOLDER).clear()
            clear_half_written(run)
        yield


def _train(fabric: Fabric, run: RunFolder, order: _Order, stop: StopSignals) -> End:
    """Everything between an open folder and a finished run."""
    began = time.monotonic()
    engine, train = engine_settings(order.configuration.train), order.configuration.train
    store, begun = CheckpointStore(run.path / FOLDER), None if order.resume is None else read_begun(run)
    last = store.last() if begun is not None else None
    if order.finish_now and last is None:
        raise UserError("has no checkpoint to finish with", path=run.path, hint="Let it train: --resume alone.")
    seed_everything(engine, fabric.global_rank)
    task = _open_task(order.configuration, fabric, begun)
    if fabric.is_global_zero and begun is None:
        _record(run, order.configuration, task, fabric)
    # A new run can be found from here on; before, the same command starts another one.
    set_resume_hint(f"Resume with: {_resume_command(order.configuration, run, fabric)}")
    wait_for_all()
    progress = Progress() if last is None else read_progress(last)
    LOGGER.info("%s %s, on %s", "making" if begun is None else "going on with", run.name, describe_engine(fabric))
    log = RunLog(run.path, progress.step) if fabric.is_global_zero else None
    loop = TrainingLoop(fabric, task, loop_settings(train), store, log, stop, compiled=engine.compiled)
    if last is not None:
        loop.resume(read_checkpoint(last))
    LOGGER.info(
        "%d batches in an epoch, %d of %d epochs done; ready after %.1f s",
        task.num_batches,
        progress.epoch,
        train.NUM_EPOCHS,
        time.monotonic() - began,
    )
    end = loop.run(finish_now=order.finish_now)
    if log is not None:
        if end is not End.STOPPED:
            again = _resume_command(order.configuration, run, fabric, " --finish")
            set_resume_hint(f"The weights are saved. To export them: {again}")
            _finish(run, order, task, loop.progress, end)
        log.draw()
        log.close()
    wait_for_all()
    return end


def _open_task(configuration: Configuration, fabric: Fabric, begun: Begun | None) -> Task:
    module = TASKS.get(str(configuration.network_type))
    if module is None:
        raise UserError(
            f"NETWORK_TYPE {configuration.network_type!r} cannot be trained", hint=f"Known: {', '.join(TASKS)}."
        )
    task: Task = importlib.import_module(module).open_task(configuration, place_of(fabric), begun)
    return task


def _record(run: RunFolder, configuration: Configuration, task: Task, fabric: Fabric) -> None:
    """Writes what the run is, before its first step."""
    records = task.records()
    for name, value in records.items():
        write_json(run.path / name, value)
    write_json(run.path / NETWORK_FILE, task.describe())
    configuration.save(run.path / CONFIGURATION_FILE)
    record(run, configuration, engine=describe_engine(fabric))


def _finish(run: RunFolder, order: _Order, task: Task, progress: Progress, end: End) -> None:
    """Writes weights and all that deployment needs."""
    store = CheckpointStore(run.path / FOLDER)
    chosen = _exported(store, order.configuration)
    weights = read_exported_weights(chosen)
    save_tensors(weights, run.path / WEIGHTS_FILE)
    write_json(run.path / SUMMARY_FILE, _summary(chosen, progress, end))
    LOGGER.info("%s; exporting step %d", end.value, int(chosen.name))
    task.network.load_state_dict(weights)
    task.network.eval()
    try:
        task.export(run.path)
        order.exporter(run.path, task.network)
    except Exception:
        LOGGER.warning(resume_hint())
        raise


def _exported(store: CheckpointStore, configuration: Configuration) -> Path:
    chosen = store.best() if configuration.train.EXPORTED_WEIGHTS == "best" else None
    chosen = chosen or store.last()
    assert chosen is not None  # the loop ends with a checkpoint
    return chosen


def _summary(chosen: Path, progress: Progress, end: End) -> dict[str, Any]:
    """How training went, for whoever reads or deploys the run."""
    return {
        "end": end.value,
        "steps": progress.step,
        "epochs": progress.epoch,
        "minutes": round(progress.seconds / 60, 1),
        "exported_step": int(chosen.name),
        "exported_metrics": read_metrics(chosen),
    }
