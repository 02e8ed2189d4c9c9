"""Non-finite batches in trainings of both networks: each skips its step, and training continues."""

from __future__ import annotations

import json
import math
import signal
from collections.abc import Generator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from small_project import small_project

from audio2face.config_base.tables import NetworkType
from audio2face.training.checkpoint import FOLDER, CheckpointStore, read_checkpoint
from audio2face.training.diffusion import DiffusionTask
from audio2face.training.regression import RegressionTask
from audio2face.training.run import NEWEST, train
from audio2face.training.run_folder import TrainingRun
from audio2face.training.streaming import StreamingTask

KINDS: tuple[NetworkType, ...] = ("regression", "diffusion", "streaming")
TASKS: dict[NetworkType, type[RegressionTask] | type[DiffusionTask] | type[StreamingTask]] = {
    "regression": RegressionTask,
    "diffusion": DiffusionTask,
    "streaming": StreamingTask,
}
QUICK: dict[str, Any] = {
    "NUM_EPOCHS": 4,
    "VALIDATION_PERIOD_EPOCHS": 4,
    "CHECKPOINT_PERIOD_MINUTES": 10.0,
    "GRADIENT_ACCUMULATION_STEPS": 1,
    "BATCH_SIZE": 3,
}


def poison(monkeypatch: pytest.MonkeyPatch, kind: NetworkType, value: float, *, then: int | None = None) -> list[str]:
    """Puts a value into one sample of the second item of each epoch's second batch.

    Args:
        monkeypatch: replaces the batches of the task.
        kind: kind of the network.
        value: the value.
        then: a signal that is sent with the first such batch; all batches after it are poisoned as well.

    Returns:
        The names of the items, a list that grows during training.
    """
    kept, names = TASKS[kind].batches, []

    def batches(self: Any, epoch: int, first_batch: int) -> Generator[Any, None, None]:
        for index, batch in enumerate(kept(self, epoch, first_batch), first_batch):
            if index == 1 or (names and then):
                audio = batch.audio.clone()
                audio[1].view(-1)[3000] = value
                batch = replace(batch, audio=audio, **({"hidden": None} if kind == "regression" else {}))
                names.append(batch.sample_ids[1])
                if then and len(names) == 1:
                    signal.raise_signal(then)
            yield batch

    monkeypatch.setattr(TASKS[kind], "batches", batches)
    return names


def run_of(folder: Path) -> Path:
    (run,) = (folder / "output_train").iterdir()
    return run


def named(run: Path) -> list[str]:
    """The clips that warnings of skipped steps name."""
    lines = (run / "log.log").read_text().splitlines()
    return [line.partition("Clips: ")[2] for line in lines if "step skipped" in line]


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("value", [math.nan, math.inf])
def test_a_non_finite_batch_skips_its_step_and_names_its_clip(
    tmp_path: Path, kind: NetworkType, value: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    names = poison(monkeypatch, kind, value)
    result = train(small_project(tmp_path, kind=kind, **QUICK), lambda run, network: None)
    assert named(result.run.path) == names
    assert len(names) == 4
    run = TrainingRun.open(result.run.path)
    batches_per_epoch = {"regression": 4, "diffusion": 2, "streaming": 2}
    assert run.summary["steps"] == 4 * (batches_per_epoch[kind] - 1)
    assert all(weight.isfinite().all() for weight in run.weights().values())
    assert all(map(math.isfinite, run.summary["exported_metrics"].values()))


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_saves_a_checkpoint_while_batches_are_non_finite(
    tmp_path: Path, kind: NetworkType, number: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    configuration = small_project(tmp_path, kind=kind, **QUICK)
    before = signal.signal(number, signal.SIG_IGN)
    try:
        with monkeypatch.context() as poisoned:
            poison(poisoned, kind, math.nan, then=number)
            with pytest.raises(KeyboardInterrupt):
                train(configuration, lambda run, network: None)
    finally:
        signal.signal(number, before)
    run = run_of(tmp_path)
    assert json.loads((run / "status.json").read_text())["status"] == "stopped"
    last = CheckpointStore(run / FOLDER).last()
    assert last is not None
    checkpoint = read_checkpoint(last)
    assert checkpoint.progress.batch >= 2
    assert checkpoint.progress.step == 1
    assert all(map(math.isfinite, checkpoint.task.get("scales", {}).values()))
    result = train(configuration, lambda run, network: None, resume=NEWEST)
    assert all(torch.isfinite(weight).all() for weight in TrainingRun.open(result.run.path).weights().values())
