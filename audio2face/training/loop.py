"""The training loop of every network: steps, running average, validation, checkpoints, log, and ways to end.

It owns what is the same for all networks and asks a `Task` for the rest. Everything that bears on the weights is
either in a checkpoint or a function of seed, epoch and position, so that a training that was stopped, or killed, goes
on to the same weights. Writing is left to the first process; a step takes the mean over the items of all processes.
"""

from __future__ import annotations

import enum
import math
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing, contextmanager, nullcontext
from dataclasses import dataclass, replace
from typing import Any

import torch
from lightning_fabric import Fabric
from torch import Tensor

from audio2face.console import LOGGER
from audio2face.errors import UserError
from audio2face.training import optimizer_state, random_state
from audio2face.training.checkpoints import Checkpoint, CheckpointStore, Progress, read_metrics
from audio2face.training.engine import every_process, sum_over_processes
from audio2face.training.meter import Meter
from audio2face.training.run_log import RunLog
from audio2face.training.settings import LoopSettings
from audio2face.training.signals import StopSignals
from audio2face.training.task import Batch, Task
from audio2face.training.weight_average import WeightAverage

_MOST_BAD_STEPS = 20  # in a row, after which training cannot be saved


class End(enum.Enum):
    """Why the loop ended."""

    DONE = "all epochs are done"
    TIME_LIMIT = "TIME_LIMIT_MINUTES is reached"
    STOPPED = "stopped"


@dataclass(frozen=True)
class _Part:
    """A batch whose gradients are in, but no step made yet."""

    names: Sequence[str]
    losses: Mapping[str, Tensor]
    frames: int


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
        network: Any = torch.compile(task.network, dynamic=True) if compiled else task.network
        self._network = fabric.setup_module(network, move_to_device=False)
        groups = task.parameter_groups()
        self._factors = [group.rate_factor for group in groups]
        self._optimizer = torch.optim.Adam(
            [{"params": list(group.parameters), "lr": 0.0} for group in groups], eps=settings.adam_epsilon
        )
        self._weights = [weight for group in groups for weight in group.parameters]
        decay = settings.ema_decay
        self._average = None if decay is None else WeightAverage(task.network, decay)
        self._meter = Meter(settings.epochs * task.num_batches, settings.limit_seconds)
        self._parts: list[_Part] = []
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
        self.task.network.load_state_dict(dict(checkpoint.model))
        if self._average is not None and checkpoint.ema is not None:
            self._average.load(checkpoint.ema)
        optimizer_state.load(self._optimizer, self.task.network, checkpoint.optimizer, checkpoint.groups)
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
        end = End.DONE
        while self.progress.epoch < self.settings.epochs and not finish_now:
            end = self._train_epoch()
            if end is not End.DONE:
                break
            self.progress.epoch += 1
            self.progress.batch = 0
            if self.progress.epoch % self.settings.validation_period == 0:
                self._validate()
        if end is not End.STOPPED and (self._validated is None or self._validated[0] != self.progress.step):
            self._validate()
        self._save()
        if self.fabric.is_global_zero and self._validated is not None and self._validated[0] == self.progress.step:
            self.store.note_metrics(*self._validated, best=False)
        return end

    # --- Steps ---------------------------------------------------------------------------------------------------

    def _train_epoch(self) -> End:
        rate = self.task.learning_rate(self.progress.epoch)
        for group, factor in zip(self._optimizer.param_groups, self._factors, strict=True):
            group["lr"] = rate * factor
        self._drop_gradients()  # of batches that the reference's way leaves over
        first = self.progress.batch
        with closing(self.task.batches(self.progress.epoch, first)) as batches:  # type: ignore[type-var]
            for index, batch in enumerate(batches, first):
                due = self.settings.is_due(index, self.task.num_batches)
                self._gather_gradients(batch, due)
                end = self._step(index) if due else End.DONE
                if index % self.settings.log_period == 0:
                    self._say(index, rate)
                if end is not End.DONE:
                    return end
        return End.DONE

    def _gather_gradients(self, batch: Batch, due: bool) -> None:
        """Forward and backward: adds the gradient of the sum over items, as a share of the items expected in a step."""
        with self.fabric.no_backward_sync(self._network, enabled=not due):
            losses = self.task.losses(self._network, batch)
            self.fabric.backward(losses["total"] * self._share(len(batch.names)))
        detached = {name: loss.detach() for name, loss in losses.items()}
        self._parts.append(_Part(batch.names, detached, batch.num_frames))

    def _share(self, items: int) -> float:
        if self.settings.reference_accumulation:
            return 1.0
        return items / (self.settings.accumulation * self.task.items_per_batch)

    def _step(self, index: int) -> End:
        """Changes the weights after a batch, unless something is not finite; then sees to what is due."""
        parts, self._parts = self._parts, []
        total = torch.stack([part.losses["total"].float() for part in parts]).sum()
        items = sum(len(part.names) for part in parts)
        asked, late = self.stop.received is not None, self._is_late()
        if self.fabric.world_size > 1:
            own = torch.tensor([items, asked, late], dtype=torch.float32, device=self.fabric.device)
            facts = sum_over_processes(self.fabric, torch.cat([own, total[None]]))
            items, asked, late, total = int(facts[0]), bool(facts[1] > 0), bool(facts[2] > 0), facts[3]
        norm = self._complete_gradients(self._share(items) / self.fabric.world_size)
        self.progress.batch = index + 1
        if bool(torch.isfinite(total) & torch.isfinite(norm)):
            self._change_weights(norm)
            for part in parts:
                self._meter.add(part.losses, len(part.names), part.frames)
            self._meter.add({"gradient_norm": norm}, 1, 0)
            # Only here: no checkpoint is written while training is in trouble.
            if self.fabric.broadcast(time.monotonic() - self._saved) >= self.settings.checkpoint_seconds:
                self._save()
        else:
            self._report_bad(parts)
        self._drop_gradients()
        return End.STOPPED if asked else End.TIME_LIMIT if late else End.DONE

    def _complete_gradients(self, share: float) -> Tensor:
        """Makes means of sums where fewer items than expected came together; returns the length of all gradients."""
        gradients = [weight.grad for weight in self._weights if weight.grad is not None]
        if share != 1.0 and not self.settings.reference_accumulation:
            for gradient in gradients:
                gradient.div_(share)
        return torch.nn.utils.get_total_norm(gradients).float()

    def _change_weights(self, norm: Tensor) -> None:
        if self.settings.clip_norm is not None:
            torch.nn.utils.clip_grads_with_norm_(self._weights, self.settings.clip_norm, norm)
        self._optimizer.step()
        self._bad_steps = 0
        self.progress.step += 1
        if self._average is not None:
            self._average.update(self.progress.step)

    def _report_bad(self, parts: Sequence[_Part]) -> None:
        """Warns of a step that was left out, and gives up after many."""
        self._bad_steps += 1
        guilty = [part for part in parts if not math.isfinite(part.losses["total"])] or parts
        names = ", ".join(dict.fromkeys(name for part in guilty for name in part.names))
        where = f"epoch {self.progress.epoch + 1}, batch {self.progress.batch}"
        LOGGER.warning("%s: the loss or its gradient is not finite; step left out. Clips: %s", where, names)
        if self._bad_steps >= _MOST_BAD_STEPS:
            last = self.store.last()
            raise UserError(
                f"the loss has not been finite for {self._bad_steps} steps in a row, last with {names}",
                path=last,
                hint="Look at these clips, lower LEARNING_RATE, or set GRADIENT_CLIP_NORM = 1.0. The last good "
                "weights are kept."
                if last
                else "Look at these clips, and at the losses' weights.",
            )

    def _drop_gradients(self) -> None:
        self._parts = []
        self._optimizer.zero_grad(set_to_none=True)

    def _is_late(self) -> bool:
        limit = self.settings.limit_seconds
        return limit is not None and time.monotonic() - self._began >= limit

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

    def _validate(self) -> None:
        """Tries the weights that would be exported, and keeps them where they are the best so far."""
        metrics = self.fabric.broadcast(self._try_out() if self.fabric.is_global_zero else None)
        if not metrics:
            return
        self._validated = (self.progress.step, metrics)
        LOGGER.info("held out: %s", ", ".join(f"{name} {value:.4g}" for name, value in metrics.items()))
        if self.log is not None:
            self.progress.seconds = time.monotonic() - self._began
            self.log.write(self.progress, {f"validation/{name}": value for name, value in metrics.items()})
            self.log.draw(patiently=True)
        if self.fabric.broadcast(self._is_best(metrics[self.task.best_metric])):
            self._save()
            if self.fabric.is_global_zero:
                self.store.note_metrics(self.progress.step, metrics, best=True)

    def _is_best(self, value: float) -> bool:
        path = self.store.best()
        before = read_metrics(path).get(self.task.best_metric) if path is not None else None
        return math.isfinite(value) and (before is None or value < before)

    def _try_out(self) -> dict[str, float]:
        with (
            random_state.undisturbed(self.task.generators, self.fabric.device),
            self._averaged(),
            torch.no_grad(),
            self.fabric.autocast(),
        ):
            self.task.network.eval()
            try:
                return self.task.validate()
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
            tensors, groups = optimizer_state.dump(self._optimizer, self.task.network)
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
        self.fabric.barrier()
        self._saved = time.monotonic()
