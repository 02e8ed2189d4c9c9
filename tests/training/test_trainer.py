"""The trainer on a toy task: resuming, gradient accumulation, EMA, checkpoints, stopping, and non-finite steps."""

from __future__ import annotations

import csv
import logging
import math
import os
import signal
from collections.abc import Callable, Generator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor
from toy_task import ToyBatch, ToyTask, train_settings

from audio2face.errors import UserError
from audio2face.models.losses import RunningLossNormalizer
from audio2face.training.checkpoint import CheckpointStore, read_checkpoint, read_exported_weights, read_metrics
from audio2face.training.distributed import make_fabric, seed_everything
from audio2face.training.metrics import RunLog
from audio2face.training.signals import InterruptHandler
from audio2face.training.trackers import TrackedRun
from audio2face.training.trainer import StopReason, Trainer

SETTINGS = {
    "NUM_EPOCHS": 4,
    "EMA_DECAY": 0.9,
    "LOG_PERIOD": 2,
    "VALIDATION_PERIOD_EPOCHS": 1,
    "GRADIENT_ACCUMULATION_STEPS": 1,
    "GRADIENT_CLIP_NORM": None,
}


def make_trainer(
    folder: Path, task: ToyTask, *, stop: InterruptHandler | None = None, log: RunLog | None = None, **settings: object
) -> Trainer:
    seed_everything(42)
    train = train_settings(**{**SETTINGS, **settings})
    return Trainer(make_fabric("cpu"), task, train, CheckpointStore(folder), log, stop or InterruptHandler())


class StoppingTask(ToyTask):
    """Requests a stop when batch number `at` is fetched, as a signal would."""

    def __init__(self, stop: InterruptHandler, at: int) -> None:
        super().__init__()
        self.stop, self.remaining = stop, at

    def batches(self, epoch: int, first_batch: int) -> Generator[ToyBatch, None, None]:
        for batch in super().batches(epoch, first_batch):
            self.remaining -= 1
            if self.remaining == 0:
                self.stop.received = signal.SIGTERM
            yield batch


def same(one: Mapping[str, Tensor], other: Mapping[str, Tensor]) -> bool:
    return one.keys() == other.keys() and all(torch.equal(one[name], other[name]) for name in one)


@pytest.mark.parametrize("reference", [False, True])
def test_a_run_stopped_anywhere_resumes_to_the_same_weights(tmp_path: Path, reference: bool) -> None:
    options = {"GRADIENT_ACCUMULATION_STEPS": 2, "REFERENCE_ACCUMULATION": reference, "GRADIENT_CLIP_NORM": 0.5}
    assert make_trainer(tmp_path / "whole", ToyTask(), **options).run() is StopReason.DONE
    whole = CheckpointStore(tmp_path / "whole").last()
    assert whole is not None
    for at in (1, 4, 5, 6, 13):
        folder = tmp_path / f"cut{at}"
        stop = InterruptHandler()
        assert make_trainer(folder, StoppingTask(stop, at), stop=stop, **options).run() is StopReason.STOPPED
        stopped = CheckpointStore(folder).last()
        assert stopped is not None
        trainer = make_trainer(folder, ToyTask(), **options)
        torch.manual_seed(99)  # another state of the global generator
        trainer.resume(read_checkpoint(stopped))
        assert trainer.run() is StopReason.DONE
        last = CheckpointStore(folder).last()
        assert last is not None
        assert last.name == whole.name
        one, other = read_checkpoint(whole), read_checkpoint(last)
        assert same(one.model, other.model)
        assert same(one.ema or {}, other.ema or {})
        assert same(one.optimizer, other.optimizer)
        assert same(one.random, other.random)
        assert one.task == other.task
        best, best_cut = CheckpointStore(tmp_path / "whole").best(), CheckpointStore(folder).best()
        assert best is not None
        assert best_cut is not None
        assert best.name == best_cut.name
        assert read_metrics(best) == read_metrics(best_cut)


class InterruptedTask(ToyTask):
    """Receives a signal in the middle of its n-th validation."""

    def __init__(self, at: int) -> None:
        super().__init__()
        self.remaining = at

    def validate(self) -> dict[str, float]:
        self.remaining -= 1
        if self.remaining == 0:
            signal.raise_signal(signal.SIGTERM)
        return super().validate()


@pytest.mark.parametrize(("at", "period"), [(1, 1), (3, 1), (4, 1), (1, 3)])
def test_a_signal_interrupts_validation_and_the_run_resumes_with_it(tmp_path: Path, at: int, period: int) -> None:
    whole, interrupted, resumed = ToyTask(), InterruptedTask(at), ToyTask()
    make_trainer(tmp_path / "whole", whole, VALIDATION_PERIOD_EPOCHS=period).run()
    with InterruptHandler() as stop:
        end = make_trainer(tmp_path / "cut", interrupted, stop=stop, VALIDATION_PERIOD_EPOCHS=period).run()
    assert end is StopReason.STOPPED
    assert len(interrupted.errors) == at - 1
    stopped = CheckpointStore(tmp_path / "cut").last()
    assert stopped is not None
    trainer = make_trainer(tmp_path / "cut", resumed, VALIDATION_PERIOD_EPOCHS=period)
    trainer.resume(read_checkpoint(stopped))
    assert trainer.run() is StopReason.DONE
    assert interrupted.errors + resumed.errors == whole.errors


def weights_after(folder: Path, task: ToyTask, **settings: object) -> dict[str, Tensor]:
    task.network[2].p = 0.0  # dropout, which draws by batch
    task.losses = lambda network, batch: {"total": (network(batch.x) - 2 * batch.x).square().mean()}  # type: ignore[method-assign]
    make_trainer(folder, task, NUM_EPOCHS=3, **settings).run()
    return {name: weight.detach() for name, weight in task.network.named_parameters()}


def test_accumulated_gradients_are_means_over_items_and_flushed_at_the_end_of_an_epoch(tmp_path: Path) -> None:
    # 10 items: batches of 4, 4 and 2 against pairs accumulated by two: 4, 4, and a rest of 2.
    large = weights_after(tmp_path / "large", ToyTask(items_per_batch=4))
    accumulated = weights_after(tmp_path / "accumulated", ToyTask(items_per_batch=2), GRADIENT_ACCUMULATION_STEPS=2)
    for name in large:
        torch.testing.assert_close(large[name], accumulated[name], rtol=1e-5, atol=1e-6)


def test_reference_accumulation_steps_after_the_first_batch_and_drops_the_rest(tmp_path: Path) -> None:
    task, accumulation = ToyTask(items=11, items_per_batch=1), {"GRADIENT_ACCUMULATION_STEPS": 4}
    reference = make_trainer(tmp_path, task, **accumulation, REFERENCE_ACCUMULATION=True)
    ours = make_trainer(tmp_path, task, **accumulation)
    assert [index for index in range(11) if reference.is_update(index)] == [0, 4, 8]
    assert [index for index in range(11) if ours.is_update(index)] == [3, 7, 10]


def test_only_the_last_and_best_checkpoints_are_kept(tmp_path: Path) -> None:
    task = ToyTask()
    make_trainer(tmp_path, task, CHECKPOINT_PERIOD_MINUTES=0.0).run()
    store = CheckpointStore(tmp_path)
    last, best = store.last(), store.best()
    assert last is not None
    assert best is not None
    assert {path.name for path in tmp_path.iterdir()} == {"last", "best", last.name, best.name}
    assert last.name == f"{4 * task.num_batches:08d}"
    assert (tmp_path / "last").read_text() == last.name
    best_epoch = task.errors.index(min(task.errors)) + 1
    assert best.name == f"{best_epoch * task.num_batches:08d}"


def test_ema_weights_are_validated_and_exported(tmp_path: Path) -> None:
    task = ToyTask()
    trainer = make_trainer(tmp_path, task, NUM_EPOCHS=2)
    trainer.run()
    last = CheckpointStore(tmp_path).last()
    assert last is not None
    checkpoint, exported = read_checkpoint(last), read_exported_weights(last)
    assert checkpoint.ema is not None
    assert checkpoint.ema.keys() == {"0.weight", "3.weight", "3.bias"}  # the first bias is frozen
    assert torch.equal(exported["3.bias"], checkpoint.ema["3.bias"])
    assert torch.equal(exported["0.bias"], checkpoint.model["0.bias"])
    assert not torch.equal(checkpoint.ema["3.bias"], checkpoint.model["3.bias"])
    task.network.load_state_dict(exported)
    task.network.eval()
    with torch.no_grad():
        assert task.validate()["error"] == task.errors[-2]


@pytest.mark.parametrize("value", [math.nan, math.inf])
@pytest.mark.parametrize("reference", [False, True])
@pytest.mark.parametrize("accumulation", [1, 2])
def test_a_non_finite_step_is_skipped_and_its_clip_is_named(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, value: float, reference: bool, accumulation: int
) -> None:
    settings = {"GRADIENT_ACCUMULATION_STEPS": accumulation, "REFERENCE_ACCUMULATION": reference}
    task, sound = ToyTask(poison=3, poison_value=value), ToyTask()
    with caplog.at_level(logging.WARNING, "audio2face"):
        make_trainer(tmp_path / "sound", sound, **settings).run()
        make_trainer(tmp_path / "poisoned", task, **settings).run()
    skipped = len(caplog.messages)
    assert skipped == 4 if accumulation == 1 else 1 <= skipped <= 4  # at most once in each epoch
    assert all(message.endswith("Clips: clip 3") for message in caplog.messages)
    last, all_steps = (CheckpointStore(tmp_path / name).last() for name in ("poisoned", "sound"))
    assert last is not None
    assert all_steps is not None
    assert int(last.name) == int(all_steps.name) - skipped
    assert all(torch.isfinite(weight).all() for weight in task.network.parameters())
    assert all(map(math.isfinite, task.state().values()))


@pytest.mark.parametrize("accumulation", [1, 2])
def test_running_statistics_ignore_skipped_steps(tmp_path: Path, accumulation: int) -> None:
    """The running scale is that of the finite steps alone."""
    taken: list[Tensor] = []
    task = ToyTask(poison=3)
    losses = task.losses

    def recorded(network: Callable[..., Any], batch: ToyBatch) -> Mapping[str, Tensor]:
        found = losses(network, batch)
        taken.append(found["square"].detach())
        return found

    task.losses = recorded  # type: ignore[method-assign]
    make_trainer(tmp_path, task, NUM_EPOCHS=3, GRADIENT_ACCUMULATION_STEPS=accumulation).run()
    expected = RunningLossNormalizer()
    for first in range(0, len(taken), 5):
        epoch = taken[first : first + 5]
        for start in range(0, 5, accumulation):
            step = epoch[start : start + accumulation]
            for value in step if all(map(math.isfinite, step)) else ():
                expected.update(value)
    expected.commit()
    assert torch.equal(task.scale.squares, expected.squares)
    assert torch.equal(task.scale.weight, expected.weight)


class StoppingAtPoison(StoppingTask):
    """Its numbers are NaN from shortly before the requested stop on."""

    def batches(self, epoch: int, first_batch: int) -> Generator[ToyBatch, None, None]:
        for batch in super().batches(epoch, first_batch):
            yield replace(batch, x=batch.x * math.nan) if self.remaining <= 2 else batch


def test_a_signal_saves_a_checkpoint_while_losses_are_non_finite(tmp_path: Path) -> None:
    stop = InterruptHandler()
    assert make_trainer(tmp_path, StoppingAtPoison(stop, 7), stop=stop).run() is StopReason.STOPPED
    last = CheckpointStore(tmp_path).last()
    assert last is not None
    assert last.name == "00000004"  # batches 5 to 7 were skipped
    checkpoint = read_checkpoint(last)
    assert all(map(math.isfinite, checkpoint.task.values()))
    trainer = make_trainer(tmp_path, ToyTask())
    trainer.resume(checkpoint)
    assert trainer.run() is StopReason.DONE


def test_a_non_finite_gradient_is_traced_to_its_batch(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """The loss is finite and its gradient is not; the first such batch of a step is named."""
    task = ToyTask()
    plain = task.losses

    def steep(network: Callable[..., Any], batch: ToyBatch) -> Mapping[str, Tensor]:
        found = plain(network, batch)
        slope = (found["total"] * 0.0).sqrt() if "clip 3" in batch.sample_ids else 0.0
        return {**found, "total": found["total"] + slope}

    task.losses = steep  # type: ignore[method-assign]
    with caplog.at_level(logging.WARNING, "audio2face"):
        make_trainer(tmp_path, task, NUM_EPOCHS=1, GRADIENT_ACCUMULATION_STEPS=4).run()
    (message,) = caplog.messages
    named = message.partition("Clips: ")[2].split(", ")
    assert "clip 3" in named
    assert len(named) == task.items_per_batch
    assert all(map(math.isfinite, task.state().values()))


def test_training_stops_after_20_non_finite_steps(tmp_path: Path) -> None:
    task = ToyTask(items=1, items_per_batch=1, poison=0)
    with pytest.raises(UserError, match=r"not been finite for 20 steps in a row, last with clip 0"):
        make_trainer(tmp_path, task, NUM_EPOCHS=100).run()


def test_the_time_limit_ends_training_as_the_last_epoch_does(tmp_path: Path) -> None:
    task = ToyTask()
    assert make_trainer(tmp_path, task, TIME_LIMIT_MINUTES=0.0).run() is StopReason.TIME_LIMIT
    assert len(task.errors) == 1
    assert CheckpointStore(tmp_path).best() is not None


def test_metrics_survive_a_stop_and_are_plotted(tmp_path: Path) -> None:
    tracked = TrackedRun(folder=tmp_path, parameters={}, workspace=tmp_path)
    log = RunLog(tracked)
    make_trainer(tmp_path / "checkpoints", ToyTask(), log=log, NUM_EPOCHS=2).run()
    log.draw()
    log.close("done")
    rows = list(csv.DictReader((tmp_path / "metrics.csv").open()))
    names = {row["metric"] for row in rows}
    assert {"loss", "losses/square", "learning_rate", "gradient_norm", "frames_per_second"} < names
    assert "validation/error" in names
    assert (tmp_path / "curves.png").stat().st_size > 1000
    assert list(tmp_path.glob("events.out.tfevents.*"))
    with (tmp_path / "metrics.csv").open("a") as handle:
        handle.write("9,2,0.1,lo")  # cut off by a kill
    RunLog(replace(tracked, step=5)).close("done")
    assert {int(row["step"]) for row in csv.DictReader((tmp_path / "metrics.csv").open())} == {1, 3, 5}


def test_the_first_signal_requests_a_stop_and_the_second_interrupts() -> None:
    seen: list[int] = []
    before = signal.signal(signal.SIGTERM, lambda number, _: seen.append(number))
    try:
        with InterruptHandler() as stop, stop.deferred():
            os.kill(os.getpid(), signal.SIGTERM)
            assert stop.received == signal.SIGTERM
            assert not seen
            with pytest.raises(KeyboardInterrupt):
                os.kill(os.getpid(), signal.SIGTERM)
        stop.reraise()
        assert seen == [signal.SIGTERM] * 2
    finally:
        signal.signal(signal.SIGTERM, before)
