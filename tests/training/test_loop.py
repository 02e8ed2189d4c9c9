"""The loop on a toy: equal steps however it is cut up, gathered gradients, averages, ends, and trouble."""

from __future__ import annotations

import csv
import logging
import os
import signal
from collections.abc import Generator, Mapping
from pathlib import Path

import pytest
import torch
from torch import Tensor
from toy import ToyBatch, ToyTask

from audio2face.errors import UserError
from audio2face.training.checkpoints import CheckpointStore, read_checkpoint, read_exported_weights, read_metrics
from audio2face.training.engine import make_fabric, seed_everything
from audio2face.training.loop import End, TrainingLoop
from audio2face.training.run_log import RunLog
from audio2face.training.settings import EngineSettings, LoopSettings
from audio2face.training.signals import StopSignals

ENGINE = EngineSettings(device="cpu")


def make_loop(
    folder: Path, task: ToyTask, *, stop: StopSignals | None = None, log: RunLog | None = None, **settings: object
) -> TrainingLoop:
    seed_everything(ENGINE, 0)
    chosen = LoopSettings(**{"epochs": 4, "ema_decay": 0.9, "log_period": 2, **settings})  # type: ignore[arg-type]
    return TrainingLoop(make_fabric(ENGINE), task, chosen, CheckpointStore(folder), log, stop or StopSignals())


class StoppingTask(ToyTask):
    """Asks to stop when a certain batch is fetched, as a signal would."""

    def __init__(self, stop: StopSignals, at: int) -> None:
        super().__init__()
        self.stop, self.left = stop, at

    def batches(self, epoch: int, first_batch: int) -> Generator[ToyBatch, None, None]:
        for batch in super().batches(epoch, first_batch):
            self.left -= 1
            if self.left == 0:
                self.stop.received = signal.SIGTERM
            yield batch


def same(one: Mapping[str, Tensor], other: Mapping[str, Tensor]) -> bool:
    return one.keys() == other.keys() and all(torch.equal(one[name], other[name]) for name in one)


@pytest.mark.parametrize("reference", [False, True])
def test_stopped_anywhere_it_goes_on_to_the_same_weights(tmp_path: Path, reference: bool) -> None:
    options = {"accumulation": 2, "reference_accumulation": reference, "clip_norm": 0.5}
    assert make_loop(tmp_path / "whole", ToyTask(), **options).run() is End.DONE
    whole = CheckpointStore(tmp_path / "whole").last()
    assert whole is not None
    for at in (1, 4, 5, 6, 13):
        folder = tmp_path / f"cut{at}"
        stop = StopSignals()
        assert make_loop(folder, StoppingTask(stop, at), stop=stop, **options).run() is End.STOPPED
        stopped = CheckpointStore(folder).last()
        assert stopped is not None
        loop = make_loop(folder, ToyTask(), **options)
        torch.manual_seed(99)  # whatever happened before
        loop.resume(read_checkpoint(stopped))
        assert loop.run() is End.DONE
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


def weights_after(folder: Path, task: ToyTask, **settings: object) -> dict[str, Tensor]:
    task.network[2].p = 0.0  # dropout, which draws by batch
    task.losses = lambda network, batch: {"total": (network(batch.x) - 2 * batch.x).square().mean()}  # type: ignore[method-assign]
    make_loop(folder, task, epochs=3, **settings).run()
    return {name: weight.detach() for name, weight in task.network.named_parameters()}


def test_gathered_gradients_are_means_over_items_and_flushed_at_the_end_of_an_epoch(tmp_path: Path) -> None:
    # 10 items: batches of 4, 4, 2 against pairs gathered by two: 4, 4, and 2 that are left at the end.
    large = weights_after(tmp_path / "large", ToyTask(items_per_batch=4))
    gathered = weights_after(tmp_path / "gathered", ToyTask(items_per_batch=2), accumulation=2)
    for name in large:
        torch.testing.assert_close(large[name], gathered[name], rtol=1e-5, atol=1e-6)


def test_the_references_way_steps_after_the_first_batch_and_drops_what_is_left_over() -> None:
    reference = LoopSettings(epochs=1, accumulation=4, reference_accumulation=True)
    ours = LoopSettings(epochs=1, accumulation=4)
    assert [index for index in range(11) if reference.is_due(index, 11)] == [0, 4, 8]
    assert [index for index in range(11) if ours.is_due(index, 11)] == [3, 7, 10]


def test_a_checkpoint_after_every_step_and_only_last_and_best_stay(tmp_path: Path) -> None:
    task = ToyTask()
    make_loop(tmp_path, task, checkpoint_seconds=0.0).run()
    store = CheckpointStore(tmp_path)
    last, best = store.last(), store.best()
    assert last is not None
    assert best is not None
    assert {path.name for path in tmp_path.iterdir()} == {"last", "best", last.name, best.name}
    assert last.name == f"{4 * task.num_batches:08d}"
    assert (tmp_path / "last").read_text() == last.name
    best_epoch = task.errors.index(min(task.errors)) + 1
    assert best.name == f"{best_epoch * task.num_batches:08d}"


def test_the_average_of_the_weights_is_tried_and_exported(tmp_path: Path) -> None:
    task = ToyTask()
    loop = make_loop(tmp_path, task, epochs=2)
    loop.run()
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


def test_a_step_that_is_not_finite_is_left_out_and_its_clips_are_named(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    task = ToyTask(poison=3)
    with caplog.at_level(logging.WARNING, "audio2face"):
        make_loop(tmp_path, task).run()
    assert len(caplog.messages) == 4  # once in each epoch
    assert all("clip 3" in message for message in caplog.messages)
    last = CheckpointStore(tmp_path).last()
    assert last is not None
    assert last.name == f"{4 * (task.num_batches - 1):08d}"
    assert all(torch.isfinite(weight).all() for weight in task.network.parameters())


def test_it_gives_up_when_nothing_is_finite_any_more(tmp_path: Path) -> None:
    task = ToyTask(items=1, items_per_batch=1, poison=0)
    with pytest.raises(UserError, match=r"not been finite for 20 steps in a row, last with clip 0"):
        make_loop(tmp_path, task, epochs=100).run()


def test_time_limit_ends_as_if_all_epochs_were_done(tmp_path: Path) -> None:
    task = ToyTask()
    assert make_loop(tmp_path, task, limit_seconds=0.0).run() is End.TIME_LIMIT
    assert len(task.errors) == 1
    assert CheckpointStore(tmp_path).best() is not None


def test_figures_survive_a_stop_and_are_drawn(tmp_path: Path) -> None:
    log = RunLog(tmp_path)
    make_loop(tmp_path / "checkpoints", ToyTask(), log=log, epochs=2).run()
    log.draw()
    log.close()
    rows = list(csv.DictReader((tmp_path / "metrics.csv").open()))
    names = {row["metric"] for row in rows}
    assert {"loss", "losses/square", "learning_rate", "gradient_norm", "frames_per_second"} < names
    assert "validation/error" in names
    assert (tmp_path / "curves.png").stat().st_size > 1000
    assert list(tmp_path.glob("events.out.tfevents.*"))
    with (tmp_path / "metrics.csv").open("a") as handle:
        handle.write("9,2,0.1,lo")  # cut off by a kill
    RunLog(tmp_path, step=5).close()
    assert {int(row["step"]) for row in csv.DictReader((tmp_path / "metrics.csv").open())} == {1, 3, 5}


def test_the_first_signal_asks_and_the_second_stops_at_once() -> None:
    seen: list[int] = []
    before = signal.signal(signal.SIGTERM, lambda number, _: seen.append(number))
    try:
        with StopSignals() as stop:
            os.kill(os.getpid(), signal.SIGTERM)
            assert stop.received == signal.SIGTERM
            assert not seen
            with pytest.raises(KeyboardInterrupt):
                os.kill(os.getpid(), signal.SIGTERM)
        stop.pass_on()
        assert seen == [signal.SIGTERM] * 2
    finally:
        signal.signal(signal.SIGTERM, before)
