"""The training loop of every network: steps, running average, validation, checkpoints, log, and ways to end.

It owns what is the same for all networks and asks a `Task` for the rest. Everything that bears on the weights is
either in a checkpoint or a function of seed, epoch and position, so that a training that was stopped, or killed, goes
on to the same weights. Writing is left to the first process.
"""

from __future__ import annotations

import enum
import itertools
import math
import time
from collections.abc import Iterator, Mapping
from contextlib import closing, contextmanager, nullcontext
from dataclasses import replace

import torch
from lightning_fabric import Fabric
from torch import Tensor, nn

from audio2face.console import LOGGER
from audio2face.errors import UserError
from audio2face.training import optimizer_state, random_state
from audio2face.training.checkpoints import Checkpoint, CheckpointStore, Progress, read_metrics
from audio2face.training.engine import any_process, every_process, gather_objects
from audio2face.training.meter import Meter
from audio2face.training.run_log import RunLog
from audio2face.training.settings import LoopSettings
from audio2face.training.signals import StopSignals, interruptible
from audio2face.training.task import Task
from audio2face.training.updates import Step, Updates
from audio2face.training.waiting import wait_for_all
from audio2face.training.weight_average import WeightAverage

_MOST_BAD_STEPS = 20  # in a row, after which training cannot be saved


class End(enum.Enum):
    """Why the loop ended."""

    DONE = "all epochs are done"
    TIME_LIMIT = "TIME_LIMIT_MINUTES is reached"
    STOPPED = "stopped"


class TrainingLoop:
    """Trains a task's network.

    Args:
        fabric: the engine.
        task: what is learnt; its network is on the engine's device.
        settings: how long, and in which steps.
        store: where checkpoints go.
        log: where figures go; None in all processes but the first.
        stop: whether someone asked to stop.
        compiled: compiles the network at the first step.
    """

    def __init__(
        self,
        fabric: Fabric,
        task: Task,
        settings: LoopSettings,
        store: CheckpointStore,
        log: RunLog | None,
        stop: StopSignals,
        *,
        compiled: bool = False,
    ) -> None:
        self.fabric = fabric
        self.task = task
        self.settings = settings
        self.store = store
        self.log = log
        self.stop = stop
        self.progress = Progress()
        self._updates = Updates(fabric, task, settings, compiled=compiled)
        decay = settings.ema_decay
        self._average = None if decay is None else WeightAverage(task.network, decay)
        self._meter = Meter(settings.epochs * task.num_batches, settings.limit_seconds)
        self._bad_steps = 0
        self._validated: tuple[int, Mapping[str, float]] | None = None
        self._began = self._saved = time.monotonic()

    # --- From start to end ---------------------------------------------------------------------------------------

    def resume(self, checkpoint: Checkpoint) -> None:
        """Goes on from a checkpoint.

        Raises:
            UserError: it is of other weights, or of another number of processes.
        """
        processes = len(checkpoint.random["torch"])
        if processes != self.fabric.world_size:
            raise UserError(
                f"the checkpoint was written by {processes} processes, and there are {self.fabric.world_size}",
                hint="Start as many as before: each goes on with random numbers of its own.",
            )
        if (checkpoint.ema is None) != (self._average is None):
            raise UserError("the checkpoint has no running average of the weights, or has one that is not wanted")
        _load_weights(self.task.network, checkpoint.model)
        if self._average is not None and checkpoint.ema is not None:
            self._average.load(checkpoint.ema)
        optimizer_state.load(self._updates.optimizer, self.task.network, checkpoint.optimizer, checkpoint.groups)
        self.task.load_state(checkpoint.task)
        self.progress = replace(checkpoint.progress)
        own = {name: states[self.fabric.global_rank] for name, states in checkpoint.random.items()}
        random_state.restore(own, self.task.generators, self.fabric.device)

    def run(self, *, finish_now: bool = False) -> End:
        """Trains until an end is reached, and leaves a checkpoint there.

        Args:
            finish_now: makes no further step; only validates and saves.

        Raises:
            UserError: losses are not finite again and again, or a checkpoint cannot be written.
        """
        spent = self.progress.seconds
        self._began = time.monotonic() - spent
        self._saved = time.monotonic()
        self._meter.start(spent)
        self.task.network.train()
        with self.stop.deferred():
            return self._run(finish_now)

    def _run(self, finish_now: bool) -> End:
        end = End.DONE
        while self.progress.epoch < self.settings.epochs and not finish_now:
            end = self._train_epoch()
            if end is not End.DONE:
                break
            self.progress.epoch += 1
            self.progress.batch = 0
            if self.progress.epoch % self.settings.validation_period == 0 and not self._validate():
                end = End.STOPPED
                self.progress.epoch -= 1  # resumed, it ends this epoch once more, and validates
                self.progress.batch = self.task.num_batches
                break
        if end is not End.STOPPED and (self._validated is None or self._validated[0] != self.progress.step):
            end = end if self._validate() else End.STOPPED
        self._save()
        if self.fabric.is_global_zero and self._validated is not None and self._validated[0] == self.progress.step:
            self.store.note_metrics(*self._validated, best=False)
        return end

    # --- Steps ---------------------------------------------------------------------------------------------------

    def _train_epoch(self) -> End:
        rate = self.task.learning_rate(self.progress.epoch)
        self._updates.set_rate(rate)
        self._updates.drop()  # what the reference's way leaves over at the end of an epoch
        first = self.progress.batch
        with closing(self.task.batches(self.progress.epoch, first)) as batches:
            for index, batch in enumerate(batches, first):
                is_last = self.settings.is_due(index, self.task.num_batches)
                self._updates.gather(batch, last=is_last)
                end = self._step(index) if is_last else End.DONE
                if index % self.settings.log_period == 0:
                    self._say(index, rate)
                if end is not End.DONE:
                    return end
        return End.DONE

    def _step(self, index: int) -> End:
        """Changes the weights after a batch, unless something is not finite; then sees to what is due."""
        step = self._updates.step()
        self.progress.batch = index + 1
        now, limit = time.monotonic(), self.settings.limit_seconds
        is_asked, is_late, is_save_due = any_process(
            self.fabric,
            self.stop.received is not None,
            limit is not None and now - self._began >= limit,
            now - self._saved >= self.settings.checkpoint_seconds,
        )
        if step.is_done:
            self._note(step)
            if is_save_due:  # only here: no checkpoint is written while training is in trouble
                self._save()
        else:
            self._report_skipped(step)
        return End.STOPPED if is_asked else End.TIME_LIMIT if is_late else End.DONE

    def _note(self, step: Step) -> None:
        """Counts a step that changed the weights."""
        self._bad_steps = 0
        self.progress.step += 1
        if self._average is not None:
            self._average.update(self.progress.step)
        for part in step.parts:
            self._meter.add(part.losses, len(part.batch.names), part.batch.num_frames)
        self._meter.add({"gradient_norm": step.gradient_norm}, 1, 0)

    def _report_skipped(self, step: Step) -> None:
        """Warns of a step that was skipped, names what caused it in any process, and gives up after many."""
        self._bad_steps += 1
        by_loss, by_gradient = zip(*gather_objects(self.fabric, step.suspects()), strict=True)
        guilty = dict.fromkeys(itertools.chain(*by_loss)) or dict.fromkeys(itertools.chain(*by_gradient))
        names = ", ".join(guilty)
        where = f"epoch {self.progress.epoch + 1}, batch {self.progress.batch}"
        if self.fabric.is_global_zero:
            LOGGER.warning("%s: the loss or its gradient is not finite; step skipped. Clips: %s", where, names)
        if self._bad_steps >= _MOST_BAD_STEPS:
            last = self.store.last()
            kept = " The last good weights are kept." if last is not None else ""
            raise UserError(
                f"the loss has not been finite for {self._bad_steps} steps in a row, last with {names}",
                path=last,
                hint=f"Look at these clips, lower LEARNING_RATE, or set GRADIENT_CLIP_NORM = 1.0.{kept}",
            )

    # --- What is due now and then --------------------------------------------------------------------------------

    def _say(self, index: int, rate: float) -> None:
        """One line of the log, and the same figures to the files."""
        done = self.progress.epoch * self.task.num_batches + index + 1
        values, pace = self._meter.take(self.fabric, done)
        if self.log is None or not values:
            return
        self.progress.seconds = time.monotonic() - self._began
        self.log.write(self.progress, {**values, "learning_rate": rate, "frames_per_second": pace.frames_per_second})
        LOGGER.info(
            "epoch %d/%d, batch %d/%d, loss %.5g, %s",
            self.progress.epoch + 1,
            self.settings.epochs,
            index + 1,
            self.task.num_batches,
            values["loss"],
            pace,
        )

    def _validate(self) -> bool:
        """Tries the weights that would be exported, and keeps them where they are the best so far.

        Returns:
            False where a signal interrupted it.
        """
        own = self._try_out() if self.fabric.is_global_zero else None
        wait_for_all()
        metrics = self.fabric.broadcast(own)
        if not metrics:
            return metrics is not None
        self._validated = (self.progress.step, metrics)
        LOGGER.info("held out: %s", ", ".join(f"{name} {value:.4g}" for name, value in metrics.items()))
        if self.log is not None:
            self.progress.seconds = time.monotonic() - self._began
            self.log.write(self.progress, {f"validation/{name}": value for name, value in metrics.items()})
            self.log.draw(patiently=True)
        wait_for_all()
        if self.fabric.broadcast(self._is_best(metrics[self.task.best_metric])):
            self._save()
            if self.fabric.is_global_zero:
                self.store.note_metrics(self.progress.step, metrics, best=True)
        return True

    def _is_best(self, value: float) -> bool:
        path = self.store.best()
        before = read_metrics(path).get(self.task.best_metric) if path is not None else None
        return math.isfinite(value) and (before is None or value < before)

    def _try_out(self) -> dict[str, float] | None:
        """The metrics of the validation set; None where a signal interrupted it."""
        with (
            random_state.undisturbed(self.task.generators, self.fabric.device),
            self._averaged(),
            torch.no_grad(),  # in float32, which is what is exported
        ):
            self.task.network.eval()
            try:
                with interruptible():
                    return self.task.validate()
            except KeyboardInterrupt:
                return None
            finally:
                self.task.network.train()

    @contextmanager
    def _averaged(self) -> Iterator[None]:
        with nullcontext() if self._average is None else self._average.applied():
            yield

    def _save(self) -> None:
        self.progress.seconds = time.monotonic() - self._began
        random = random_state.capture(self.task.generators, self.fabric.device)
        random = {name: every_process(self.fabric, state) for name, state in random.items()}
        if self.fabric.is_global_zero:
            tensors, groups = optimizer_state.dump(self._updates.optimizer, self.task.network)
            self.store.save(
                Checkpoint(
                    config=self.task.describe(),
                    model=self.task.network.state_dict(),
                    optimizer=tensors,
                    groups=groups,
                    random=random,
                    progress=replace(self.progress),
                    task=self.task.state(),
                    ema=None if self._average is None else self._average.values,
                )
            )
        wait_for_all()
        self._saved = time.monotonic()


def _load_weights(network: nn.Module, weights: Mapping[str, Tensor]) -> None:
    try:
        network.load_state_dict(weights)
    except RuntimeError as error:
        raise UserError(
            f"the checkpoint's weights do not fit the network: {str(error).splitlines()[-1].strip()}",
            hint="Go on with the version of the framework that the run was started with.",
        ) from error
