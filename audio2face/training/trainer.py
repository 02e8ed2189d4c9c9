"""The training loop: forward, backward, optimiser steps, EMA weights, validation and checkpoints.

An optimiser step takes the mean of the loss over all items of its micro-batches in all processes. With
REFERENCE_ACCUMULATION it takes the sum of the means of its batches. Adam's epsilon belongs to the sum over items
where the reference sums (`adam_epsilon`), so that steps are as long as there, however an update is cut. The loop is
network-agnostic: a `Task` provides batches, losses and metrics.
"""

from __future__ import annotations

import enum
import itertools
import math
import time
from collections.abc import Mapping
from contextlib import closing, nullcontext
from dataclasses import replace
from typing import Any

import torch
from lightning_fabric import Fabric
from torch import Tensor

from audio2face.config import TrainSection
from audio2face.console import LOGGER, fields
from audio2face.errors import UserError
from audio2face.training.checkpoint import (
    Checkpoint,
    CheckpointStore,
    Progress,
    dump_optimizer_state,
    get_rng_state,
    load_optimizer_state,
    load_weights,
    preserve_rng_state,
    read_metrics,
    set_rng_state,
)
from audio2face.training.distributed import all_gather, all_reduce_any, all_reduce_sum, gather_objects, wait_for_all
from audio2face.training.ema import ExponentialMovingAverage
from audio2face.training.metrics import MetricAverager, RunLog
from audio2face.training.signals import InterruptHandler, interruptible
from audio2face.training.task import Batch, MicroBatch, MixedBatch, Task, suspects

_MAX_NON_FINITE_STEPS = 20  # in a row, after which training ends
_ADAM_EPSILON = 1e-8  # of the reference


class StopReason(enum.Enum):
    """Why the loop ended."""

    DONE = "all epochs are done"
    TIME_LIMIT = "TIME_LIMIT_MINUTES is reached"
    STOPPED = "stopped"


class Trainer:
    """Trains a task's network.

    Args:
        fabric: devices, precision and processes.
        task: the training task; its network is on the device of `fabric`.
        train: the training section of the configuration.
        store: folder of the checkpoints.
        log: log of the metrics; None in all processes but the first.
        stop: whether a signal asked to stop.

    Attributes:
        model: the network as `fabric` wraps it.
        optimizer: Adam over the task's parameter groups.
        progress: training progress, which checkpoints keep.
    """

    def __init__(
        self,
        fabric: Fabric,
        task: Task,
        train: TrainSection,
        store: CheckpointStore,
        log: RunLog | None,
        stop: InterruptHandler,
    ) -> None:
        self.fabric = fabric
        self.task = task
        self.train = train
        self.store = store
        self.log = log
        self.stop = stop
        self.progress = Progress()
        network: Any = torch.compile(task.network, dynamic=True) if train.COMPILE else task.network
        self.model = fabric.setup_module(network, move_to_device=False)
        groups = task.parameter_groups()
        self.optimizer = torch.optim.Adam(
            [{"params": list(group.parameters), "lr": 0.0} for group in groups],
            eps=adam_epsilon(task, train, fabric.world_size),
            fused=True,  # without temporary tensors of the size of the weights
        )
        self._lr_factors = [group.lr_factor for group in groups]
        self._parameters = [weight for group in groups for weight in group.parameters]
        self._ema = None if train.EMA_DECAY is None else ExponentialMovingAverage(task.network, train.EMA_DECAY)
        self._limit_seconds = None if train.TIME_LIMIT_MINUTES is None else 60 * train.TIME_LIMIT_MINUTES
        self._averager = MetricAverager(train.NUM_EPOCHS * task.num_batches, self._limit_seconds)
        self._micro_batches: list[MicroBatch] = []
        self._non_finite_steps = 0
        self._validated: tuple[int, Mapping[str, float]] | None = None
        self._started = self._saved = time.monotonic()

    # --- The loop ------------------------------------------------------------------------------------------------

    def run(self, *, finish_now: bool = False) -> StopReason:
        """Trains until all epochs are done or training is stopped, and leaves a checkpoint.

        Args:
            finish_now: makes no further step; only validates and saves.

        Raises:
            UserError: losses are not finite again and again, or a checkpoint cannot be written.
        """
        spent = self.progress.seconds
        self._started = time.monotonic() - spent
        self._saved = time.monotonic()
        self._averager.start(spent)
        self.task.network.train()
        with self.stop.deferred():
            reason = None if finish_now else self._train_epochs()
            if reason is not StopReason.STOPPED and not self._is_validated() and not self._validate():
                reason = StopReason.STOPPED
            self._save()
            if self.fabric.is_global_zero and self._validated is not None and self._is_validated():
                self.store.record_metrics(*self._validated, best=False)
        return reason or StopReason.DONE

    def _train_epochs(self) -> StopReason | None:
        """Trains and validates epoch by epoch; returns why training stops early, None after the last epoch."""
        while self.progress.epoch < self.train.NUM_EPOCHS:
            reason = self.train_epoch()
            if reason is not None:
                return reason
            self.progress.epoch += 1
            self.progress.batch = 0
            if self.progress.epoch % self.train.VALIDATION_PERIOD_EPOCHS == 0 and not self._validate():
                self.progress.epoch -= 1  # resumed, it ends this epoch once more, and validates
                self.progress.batch = self.task.num_batches
                return StopReason.STOPPED
        return None

    def train_epoch(self) -> StopReason | None:
        """Trains the remaining batches of an epoch; returns why training stops within it, None at its end."""
        rate = self.task.learning_rate(self.progress.epoch)
        self._set_learning_rate(rate)
        self._clear_gradients()  # REFERENCE_ACCUMULATION leaves some at the end of an epoch
        self.task.discard_step()
        reason = None
        with closing(self.task.batches(self.progress.epoch, self.progress.batch)) as batches:
            for index, batch in enumerate(batches, self.progress.batch):
                is_update = self.is_update(index)
                with self.fabric.no_backward_sync(self.model, enabled=not is_update):
                    losses = self.task.losses(self.model, batch)
                    self.fabric.backward(losses["total"] * self._loss_weight(batch))
                norm_so_far = None if is_update else self._gradient_norm()
                self._micro_batches.append(MicroBatch.from_losses(batch, losses, norm_so_far))
                if is_update:
                    self.progress.batch = index + 1
                    self.task.finish_gradients()
                    gradient_norm, is_finite = self._average_gradients()
                    if is_finite:
                        self._clip_gradients(gradient_norm)
                        self.optimizer.step()
                        self.task.commit_step()  # running loss scales move only with the weights
                        self.progress.step += 1
                        if self._ema is not None:
                            self._ema.update(self.progress.step)
                        self._record_step(gradient_norm)
                    else:
                        self.task.discard_step()
                        self._report_skipped(gradient_norm)
                    self._clear_gradients()
                    reason, is_save_due = self._poll()
                    if is_save_due and is_finite:  # the last good weights stay while steps are skipped
                        self._save()
                if index % self.train.LOG_PERIOD == 0:
                    self._log(index, rate)
                if reason is not None:
                    return reason
        return None

    # --- Parts of a step, in their order -------------------------------------------------------------------------

    def is_update(self, index: int) -> bool:
        """Whether the weights change after a batch of an epoch, counted from 0."""
        accumulation = self.train.GRADIENT_ACCUMULATION_STEPS
        if self.train.REFERENCE_ACCUMULATION:
            return index % accumulation == 0
        return (index + 1) % accumulation == 0 or index + 1 == self.task.num_batches

    def _set_learning_rate(self, rate: float) -> None:
        for group, factor in zip(self.optimizer.param_groups, self._lr_factors, strict=True):
            group["lr"] = rate * factor

    def _clear_gradients(self) -> None:
        self._micro_batches = []
        self.optimizer.zero_grad(set_to_none=True)

    def _loss_weight(self, batch: Batch) -> Tensor | float:
        """Factor on the mean loss of a batch, whose gradient is then averaged over processes.

        It is the batch's share of the items that an optimiser step expects, so that the gradient is that of a sum over
        items. Under REFERENCE_ACCUMULATION gradients are sums of means over batches: there it is the share of the
        batch's items that this process has. A process that only has padding counts for nothing in both.
        """
        items = len(batch.sample_ids)
        if not self.train.REFERENCE_ACCUMULATION:
            return self._share_of_step(items)
        if self.fabric.world_size == 1:
            return 1.0
        own = torch.tensor(float(items), device=self.fabric.device)
        return self.fabric.world_size * own / all_reduce_sum(self.fabric, own.clone())

    def _share_of_step(self, items: float) -> float:
        """Items as a share of those that an optimiser step expects in each process."""
        return items / (self.train.GRADIENT_ACCUMULATION_STEPS * self.task.items_per_batch)

    def _average_gradients(self) -> tuple[Tensor, bool]:
        """Turns accumulated gradients into means over the items of all processes, also where a step has fewer of them.

        Returns:
            The norm of all gradients, and whether it and the losses of all processes are finite.
        """
        total = torch.stack([micro.losses["total"].float() for micro in self._micro_batches]).sum()
        items = float(sum(len(micro.batch.sample_ids) for micro in self._micro_batches))
        if self.fabric.world_size > 1:
            summed = all_reduce_sum(self.fabric, torch.stack([total, total.new_tensor(items)]))
            total, items = summed[0], summed[1].item()
        share = self._share_of_step(items) / self.fabric.world_size
        if share != 1.0 and not self.train.REFERENCE_ACCUMULATION:
            for gradient in self._gradients():
                gradient.div_(share)
        norm = self._gradient_norm()
        return norm, bool(torch.isfinite(total) & torch.isfinite(norm))

    def _gradient_norm(self) -> Tensor:
        return torch.nn.utils.get_total_norm(self._gradients()).float()

    def _gradients(self) -> list[Tensor]:
        return [weight.grad for weight in self._parameters if weight.grad is not None]

    def _clip_gradients(self, norm: Tensor) -> None:
        if self.train.GRADIENT_CLIP_NORM is not None:
            torch.nn.utils.clip_grads_with_norm_(self._parameters, self.train.GRADIENT_CLIP_NORM, norm)

    def _record_step(self, gradient_norm: Tensor) -> None:
        """Adds a step that changed the weights to the metrics."""
        self._non_finite_steps = 0
        for micro in self._micro_batches:
            groups = micro.batch.group_sizes if isinstance(micro.batch, MixedBatch) else {}
            self._averager.add(micro.losses, len(micro.batch.sample_ids), micro.batch.num_frames, groups)
        self._averager.add({"gradient_norm": gradient_norm}, 1, 0)

    def _report_skipped(self, gradient_norm: Tensor) -> None:
        """Warns of a step that was skipped, names the clips that caused it in any process, and gives up after many."""
        self._non_finite_steps += 1
        found = gather_objects(self.fabric, suspects(self._micro_batches, gradient_norm))
        by_loss, by_gradient = zip(*found, strict=True)
        names = ", ".join(dict.fromkeys(itertools.chain(*by_loss)) or dict.fromkeys(itertools.chain(*by_gradient)))
        where = f"epoch {self.progress.epoch + 1}, batch {self.progress.batch}"
        if self.fabric.is_global_zero:
            LOGGER.warning("%s: the loss or its gradient is not finite; step skipped. Clips: %s", where, names)
        if self._non_finite_steps >= _MAX_NON_FINITE_STEPS:
            last = self.store.last()
            kept = " The last good weights are kept." if last is not None else ""
            raise UserError(
                f"the loss has not been finite for {self._non_finite_steps} steps in a row, last with {names}",
                path=last,
                hint=f"Look at these clips, lower LEARNING_RATE, or set GRADIENT_CLIP_NORM = 1.0.{kept}",
            )

    def _poll(self) -> tuple[StopReason | None, bool]:
        """Why training should stop, and whether a checkpoint is due; what one process finds, all act upon."""
        now, limit = time.monotonic(), self._limit_seconds
        is_asked, is_late, is_save_due = all_reduce_any(
            self.fabric,
            self.stop.received is not None,
            limit is not None and now - self._started >= limit,
            now - self._saved >= 60 * self.train.CHECKPOINT_PERIOD_MINUTES,
        )
        return StopReason.STOPPED if is_asked else StopReason.TIME_LIMIT if is_late else None, is_save_due

    def _log(self, index: int, rate: float) -> None:
        """Writes the metrics since the last line to the log and to the run's files."""
        done = self.progress.epoch * self.task.num_batches + index + 1
        values, speed = self._averager.flush(self.fabric, done)
        if self.log is None or not values:
            return
        self.progress.seconds = time.monotonic() - self._started
        self.log.log(self.progress, {**values, "learning_rate": rate, "frames_per_second": speed.frames_per_second})
        LOGGER.info(
            "epoch %d/%d, batch %d/%d, loss %.5g, %s",
            self.progress.epoch + 1,
            self.train.NUM_EPOCHS,
            index + 1,
            self.task.num_batches,
            values["loss"],
            speed,
            extra=fields(
                event="training", epoch=self.progress.epoch + 1, step=self.progress.step, learning_rate=rate, **values
            ),
        )

    # --- Validation ----------------------------------------------------------------------------------------------

    def _validate(self) -> bool:
        """Validates the weights that would be exported, and marks them where they are the best so far.

        Returns:
            False where a signal interrupted it.
        """
        own = self._run_validation() if self.fabric.is_global_zero else None
        wait_for_all()
        metrics = self.fabric.broadcast(own)
        if not metrics:
            return metrics is not None
        self._validated = (self.progress.step, metrics)
        LOGGER.info(
            "validation: %s",
            ", ".join(f"{name} {value:.4g}" for name, value in metrics.items()),
            extra=fields(event="validation", step=self.progress.step, **metrics),
        )
        if self.log is not None:
            self.progress.seconds = time.monotonic() - self._started
            self.log.log(self.progress, {f"validation/{name}": value for name, value in metrics.items()})
            self.log.draw(self.task.held_out_frame, if_due=True)
        wait_for_all()
        if self.fabric.broadcast(self._is_best(metrics[self.task.best_metric])):
            self._save()
            if self.fabric.is_global_zero:
                self.store.record_metrics(self.progress.step, metrics, best=True)
        return True

    def _is_validated(self) -> bool:
        """Whether the metrics of the present weights are known."""
        return self._validated is not None and self._validated[0] == self.progress.step

    def _is_best(self, value: float) -> bool:
        path = self.store.best()
        before = read_metrics(path).get(self.task.best_metric) if path is not None else None
        return math.isfinite(value) and (before is None or value < before)

    def _run_validation(self) -> dict[str, float] | None:
        """The metrics of the validation set, of the EMA weights if there are any; None where a signal interrupted."""
        with (
            preserve_rng_state(self.task.generators, self.fabric.device),
            nullcontext() if self._ema is None else self._ema.swapped_in(),
            torch.no_grad(),  # in float32, as it is exported
        ):
            self.task.network.eval()
            try:
                with interruptible():
                    return self.task.validate()
            except KeyboardInterrupt:
                return None
            finally:
                self.task.network.train()

    # --- Checkpoints ---------------------------------------------------------------------------------------------

    def resume(self, checkpoint: Checkpoint) -> None:
        """Restores the state of a checkpoint, before `run`.

        Raises:
            UserError: it holds other weights, or was written by another number of processes.
        """
        processes = len(checkpoint.random["torch"])
        if processes != self.fabric.world_size:
            raise UserError(
                f"the checkpoint was written by {processes} processes, and there are {self.fabric.world_size}",
                hint="Start as many as before: each resumes with its own random number generators.",
            )
        if (checkpoint.ema is None) != (self._ema is None):
            raise UserError("EMA_DECAY is set and the checkpoint has no EMA weights, or the other way round")
        load_weights(self.task.network, checkpoint.model)
        if self._ema is not None and checkpoint.ema is not None:
            self._ema.load(checkpoint.ema)
        load_optimizer_state(self.optimizer, self.task.network, checkpoint.optimizer, checkpoint.groups)
        self.task.load_state(checkpoint.task)
        self.progress = replace(checkpoint.progress)
        own = {name: states[self.fabric.global_rank] for name, states in checkpoint.random.items()}
        set_rng_state(own, self.task.generators, self.fabric.device)

    def _save(self) -> None:
        self.progress.seconds = time.monotonic() - self._started
        random = get_rng_state(self.task.generators, self.fabric.device)
        random = {name: all_gather(self.fabric, state) for name, state in random.items()}
        if self.fabric.is_global_zero:
            tensors, groups = dump_optimizer_state(self.optimizer, self.task.network)
            self.store.save(
                Checkpoint(
                    config=self.task.network_config(),
                    model=self.task.network.state_dict(),
                    optimizer=tensors,
                    groups=groups,
                    random=random,
                    progress=replace(self.progress),
                    task=self.task.state(),
                    ema=None if self._ema is None else self._ema.values,
                )
            )
        wait_for_all()
        self._saved = time.monotonic()


def adam_epsilon(task: Task, train: TrainSection, world_size: int) -> float:
    """The epsilon of Adam for the gradients of `Trainer`.

    A step of Adam is lr m / (sqrt(v) + epsilon). Of gradients that are summed over N items, m and sqrt(v) are N times
    those of their mean, so that the step of the sum with 1e-8 is exactly that of the mean with 1e-8 / N. The gradients
    of a loss that averages over tens of thousands of channels are of the order of epsilon, which therefore sets the
    length of the steps.

    Args:
        task: whether the reference sums the gradients of items, and the items of a batch of this process.
        train: GRADIENT_ACCUMULATION_STEPS; with REFERENCE_ACCUMULATION gradients are sums already.
        world_size: processes.
    """
    if train.REFERENCE_ACCUMULATION or not task.reference_sums_items:
        return _ADAM_EPSILON
    return _ADAM_EPSILON / (train.GRADIENT_ACCUMULATION_STEPS * task.items_per_batch * world_size)
