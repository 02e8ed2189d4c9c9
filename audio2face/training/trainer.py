"""How weights change: gradients of batches gathered, made means over items, shortened, and handed to the optimiser.

A step takes the mean over the items of all its batches in all processes, however many there are, unless gradients are
gathered the reference's way. Knows neither epochs nor checkpoints.
"""

from __future__ import annotations

import enum
import itertools
import math
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing, contextmanager, nullcontext
from dataclasses import dataclass, replace
from typing import Any

import torch
from lightning_fabric import Fabric
from torch import Tensor, nn

from audio2face.console import LOGGER
from audio2face.errors import UserError
from audio2face.training.checkpoint import (
    Checkpoint,
    CheckpointStore,
    Progress,
    dump_optimizer_state,
    get_rng_state,
    load_optimizer_state,
    preserve_rng_state,
    read_metrics,
    set_rng_state,
)
from audio2face.training.distributed import all_gather, all_reduce_any, all_reduce_sum, gather_objects, wait_for_all
from audio2face.training.ema import ExponentialMovingAverage
from audio2face.training.metrics import MetricAverager, RunLog
from audio2face.training.signals import InterruptHandler, interruptible
from audio2face.training.task import Batch, Task, TrainerSettings


@dataclass(frozen=True)
class MicroBatch:
    """A batch whose gradient is in.

    Attributes:
        batch: the batch, as it was loaded.
        losses: scalars, means over its items.
        gradient_norm: length of all gradients accumulated up to and with it, in this process; None for the last of a
            step, see `StepResult.gradient_norm`.
    """

    batch: Batch
    losses: Mapping[str, Tensor]
    gradient_norm: Tensor | None


@dataclass(frozen=True)
class StepResult:
    """What was tried.

    Attributes:
        parts: the batches of this process.
        gradient_norm: length of all gradients together, before it was shortened.
        is_done: False where loss or gradients of any process were not finite: the weights are as they were.
    """

    micro_batches: Sequence[MicroBatch]
    gradient_norm: Tensor
    is_done: bool

    def suspects(self) -> tuple[list[str], list[str]]:
        """The items of this process that may be why a step was not done.

        Returns:
            Those of batches whose loss is not finite, and those of the batch with which the gradients ceased to be: the
            second ones are the cause only where no process has any of the first.
        """
        parts = [part for part in self.micro_batches if part.batch.sample_ids]
        by_loss = [part for part in parts if not math.isfinite(part.losses["total"])]
        norms = [self.gradient_norm if part.gradient_norm is None else part.gradient_norm for part in parts]
        by_gradient = [part for part, norm in zip(parts, norms, strict=True) if not math.isfinite(norm)][:1]
        first, second = ([name for part in some for name in part.batch.suspects()] for some in (by_loss, by_gradient))
        return first, second


class OptimizerSteps:
    """Changes the weights of a task's network.

    Args:
        fabric: the engine.
        task: whose network is on the engine's device.
        settings: how gradients are gathered and shortened.
        compiled: compiles the network at its first use.

    Attributes:
        optimizer: Adam over the task's weights.
    """

    def __init__(self, fabric: Fabric, task: Task, settings: TrainerSettings, *, compiled: bool) -> None:
        self._fabric, self._task, self._settings = fabric, task, settings
        network: Any = torch.compile(task.network, dynamic=True) if compiled else task.network
        self._network = fabric.setup_module(network, move_to_device=False)
        groups = task.parameter_groups()
        self._factors = [group.lr_factor for group in groups]
        self._weights = [weight for group in groups for weight in group.parameters]
        self.optimizer = torch.optim.Adam([{"params": list(group.parameters), "lr": 0.0} for group in groups])
        self._parts: list[MicroBatch] = []

    def set_learning_rate(self, rate: float) -> None:
        """Sets the learning rate."""
        for group, factor in zip(self.optimizer.param_groups, self._factors, strict=True):
            group["lr"] = rate * factor

    def zero_grad(self) -> None:
        """Forgets the gradients that are in, and the running statistics that came with them."""
        self._parts = []
        self._task.discard_step()
        self.optimizer.zero_grad(set_to_none=True)

    def accumulate(self, batch: Batch, *, last: bool) -> None:
        """Forward and backward; `last`: a step follows."""
        with self._fabric.no_backward_sync(self._network, enabled=not last):
            losses = self._task.losses(self._network, batch)
            self._fabric.backward(losses["total"] * self._weight(len(batch.sample_ids)))
        detached = {name: loss.detach() for name, loss in losses.items()}
        self._parts.append(MicroBatch(batch, detached, None if last else self._norm()))

    def optimizer_step(self) -> StepResult:
        """Changes the weights by the gradients that are in, where all is finite, and forgets them."""
        parts = tuple(self._parts)
        items = float(sum(len(part.batch.sample_ids) for part in parts))
        total = torch.stack([part.losses["total"].float() for part in parts]).sum()
        if self._fabric.world_size > 1:
            summed = all_reduce_sum(self._fabric, torch.stack([total, total.new_tensor(items)]))
            total, items = summed[0], summed[1].item()
        norm = self._complete(self._share(items) / self._fabric.world_size)
        is_finite = bool(torch.isfinite(total) & torch.isfinite(norm))
        if is_finite:
            if self._settings.clip_norm is not None:
                torch.nn.utils.clip_grads_with_norm_(self._weights, self._settings.clip_norm, norm)
            self.optimizer.step()
            self._task.commit_step()
        self.zero_grad()
        return StepResult(parts, norm, is_finite)

    def _weight(self, items: int) -> Tensor | float:
        """What the mean over a batch's items in this process counts in a gradient, which is a mean over processes.

        It is the batch's share of the items that a step is expected to have, so that the gradient is that of a sum
        over items. Gradients that are accumulated the reference's way are sums of means over batches: there it is the
        share of the batch's items that this process has. Either way a process without an item counts for nothing.
        """
        if not self._settings.reference_accumulation:
            return self._share(items)
        if self._fabric.world_size == 1:
            return 1.0
        own = torch.tensor(float(items), device=self._fabric.device)
        return self._fabric.world_size * own / all_reduce_sum(self._fabric, own.clone())

    def _share(self, items: float) -> float:
        """Part of the items that a step is expected to have in each process."""
        return items / (self._settings.accumulation * self._task.items_per_batch)

    def _complete(self, share: float) -> Tensor:
        """Makes means of sums where fewer items than expected came together; returns the length of all gradients."""
        if share != 1.0 and not self._settings.reference_accumulation:
            for gradient in self._gradients():
                gradient.div_(share)
        return self._norm()

    def _norm(self) -> Tensor:
        return torch.nn.utils.get_total_norm(self._gradients()).float()

    def _gradients(self) -> list[Tensor]:
        return [weight.grad for weight in self._weights if weight.grad is not None]


_MAX_NON_FINITE_STEPS = 20  # in a row, after which training cannot be saved


class StopReason(enum.Enum):
    """Why the loop ended."""

    DONE = "all epochs are done"
    TIME_LIMIT = "TIME_LIMIT_MINUTES is reached"
    STOPPED = "stopped"


class Trainer:
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
        settings: TrainerSettings,
        store: CheckpointStore,
        log: RunLog | None,
        stop: InterruptHandler,
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
        self._updates = OptimizerSteps(fabric, task, settings, compiled=compiled)
        decay = settings.ema_decay
        self._average = None if decay is None else ExponentialMovingAverage(task.network, decay)
        self._meter = MetricAverager(settings.epochs * task.num_batches, settings.limit_seconds)
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
        load_optimizer_state(self._updates.optimizer, self.task.network, checkpoint.optimizer, checkpoint.groups)
        self.task.load_state(checkpoint.task)
        self.progress = replace(checkpoint.progress)
        own = {name: states[self.fabric.global_rank] for name, states in checkpoint.random.items()}
        set_rng_state(own, self.task.generators, self.fabric.device)

    def run(self, *, finish_now: bool = False) -> StopReason:
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

    def _run(self, finish_now: bool) -> StopReason:
        end = StopReason.DONE
        while self.progress.epoch < self.settings.epochs and not finish_now:
            end = self._train_epoch()
            if end is not StopReason.DONE:
                break
            self.progress.epoch += 1
            self.progress.batch = 0
            if self.progress.epoch % self.settings.validation_period == 0 and not self._validate():
                end = StopReason.STOPPED
                self.progress.epoch -= 1  # resumed, it ends this epoch once more, and validates
                self.progress.batch = self.task.num_batches
                break
        if end is not StopReason.STOPPED and (self._validated is None or self._validated[0] != self.progress.step):
            end = end if self._validate() else StopReason.STOPPED
        self._save()
        if self.fabric.is_global_zero and self._validated is not None and self._validated[0] == self.progress.step:
            self.store.record_metrics(*self._validated, best=False)
        return end

    # --- Steps ---------------------------------------------------------------------------------------------------

    def _train_epoch(self) -> StopReason:
        rate = self.task.learning_rate(self.progress.epoch)
        self._updates.set_learning_rate(rate)
        self._updates.zero_grad()  # what the reference's way leaves over at the end of an epoch
        first = self.progress.batch
        with closing(self.task.batches(self.progress.epoch, first)) as batches:
            for index, batch in enumerate(batches, first):
                is_last = self.settings.is_due(index, self.task.num_batches)
                self._updates.accumulate(batch, last=is_last)
                end = self._step(index) if is_last else StopReason.DONE
                if index % self.settings.log_period == 0:
                    self._log(index, rate)
                if end is not StopReason.DONE:
                    return end
        return StopReason.DONE

    def _step(self, index: int) -> StopReason:
        """Changes the weights after a batch, unless something is not finite; then sees to what is due."""
        step = self._updates.optimizer_step()
        self.progress.batch = index + 1
        now, limit = time.monotonic(), self.settings.limit_seconds
        is_asked, is_late, is_save_due = all_reduce_any(
            self.fabric,
            self.stop.received is not None,
            limit is not None and now - self._began >= limit,
            now - self._saved >= self.settings.checkpoint_seconds,
        )
        if step.is_done:
            self._record_step(step)
            if is_save_due:  # only here: no checkpoint is written while training is in trouble
                self._save()
        else:
            self._report_skipped(step)
        return StopReason.STOPPED if is_asked else StopReason.TIME_LIMIT if is_late else StopReason.DONE

    def _record_step(self, step: StepResult) -> None:
        """Counts a step that changed the weights."""
        self._bad_steps = 0
        self.progress.step += 1
        if self._average is not None:
            self._average.update(self.progress.step)
        for part in step.micro_batches:
            self._meter.add(part.losses, len(part.batch.sample_ids), part.batch.num_frames)
        self._meter.add({"gradient_norm": step.gradient_norm}, 1, 0)

    def _report_skipped(self, step: StepResult) -> None:
        """Warns of a step that was skipped, names what caused it in any process, and gives up after many."""
        self._bad_steps += 1
        by_loss, by_gradient = zip(*gather_objects(self.fabric, step.suspects()), strict=True)
        guilty = dict.fromkeys(itertools.chain(*by_loss)) or dict.fromkeys(itertools.chain(*by_gradient))
        names = ", ".join(guilty)
        where = f"epoch {self.progress.epoch + 1}, batch {self.progress.batch}"
        if self.fabric.is_global_zero:
            LOGGER.warning("%s: the loss or its gradient is not finite; step skipped. Clips: %s", where, names)
        if self._bad_steps >= _MAX_NON_FINITE_STEPS:
            last = self.store.last()
            kept = " The last good weights are kept." if last is not None else ""
            raise UserError(
                f"the loss has not been finite for {self._bad_steps} steps in a row, last with {names}",
                path=last,
                hint=f"Look at these clips, lower LEARNING_RATE, or set GRADIENT_CLIP_NORM = 1.0.{kept}",
            )

    # --- What is due now and then --------------------------------------------------------------------------------

    def _log(self, index: int, rate: float) -> None:
        """One line of the log, and the same figures to the files."""
        done = self.progress.epoch * self.task.num_batches + index + 1
        values, pace = self._meter.flush(self.fabric, done)
        if self.log is None or not values:
            return
        self.progress.seconds = time.monotonic() - self._began
        self.log.log(self.progress, {**values, "learning_rate": rate, "frames_per_second": pace.frames_per_second})
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
        own = self._run_validation() if self.fabric.is_global_zero else None
        wait_for_all()
        metrics = self.fabric.broadcast(own)
        if not metrics:
            return metrics is not None
        self._validated = (self.progress.step, metrics)
        LOGGER.info("held out: %s", ", ".join(f"{name} {value:.4g}" for name, value in metrics.items()))
        if self.log is not None:
            self.progress.seconds = time.monotonic() - self._began
            self.log.log(self.progress, {f"validation/{name}": value for name, value in metrics.items()})
            self.log.draw(patiently=True)
        wait_for_all()
        if self.fabric.broadcast(self._is_best(metrics[self.task.best_metric])):
            self._save()
            if self.fabric.is_global_zero:
                self.store.record_metrics(self.progress.step, metrics, best=True)
        return True

    def _is_best(self, value: float) -> bool:
        path = self.store.best()
        before = read_metrics(path).get(self.task.best_metric) if path is not None else None
        return math.isfinite(value) and (before is None or value < before)

    def _run_validation(self) -> dict[str, float] | None:
        """The metrics of the validation set; None where a signal interrupted it."""
        with (
            preserve_rng_state(self.task.generators, self.fabric.device),
            self._ema_weights(),
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
    def _ema_weights(self) -> Iterator[None]:
        with nullcontext() if self._average is None else self._average.swapped_in():
            yield

    def _save(self) -> None:
        self.progress.seconds = time.monotonic() - self._began
        random = get_rng_state(self.task.generators, self.fabric.device)
        random = {name: all_gather(self.fabric, state) for name, state in random.items()}
        if self.fabric.is_global_zero:
            tensors, groups = dump_optimizer_state(self._updates.optimizer, self.task.network)
            self.store.save(
                Checkpoint(
                    config=self.task.network_config(),
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
