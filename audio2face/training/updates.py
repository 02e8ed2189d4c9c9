"""How weights change: gradients of batches gathered, made means over items, shortened, and handed to the optimiser.

A step takes the mean over the items of all its batches in all processes, however many there are, unless gradients are
gathered the reference's way. Knows neither epochs nor checkpoints.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from lightning_fabric import Fabric
from torch import Tensor

from audio2face.training.engine import sum_over_processes
from audio2face.training.settings import LoopSettings
from audio2face.training.task import Batch, Task


@dataclass(frozen=True)
class Part:
    """A batch whose gradient is in.

    Attributes:
        batch: the batch, as it was loaded.
        losses: scalars, means over its items.
        gradient_norm: length of all gradients accumulated up to and with it, in this process; None for the last of a
            step, see `Step.gradient_norm`.
    """

    batch: Batch
    losses: Mapping[str, Tensor]
    gradient_norm: Tensor | None


@dataclass(frozen=True)
class Step:
    """What was tried.

    Attributes:
        parts: the batches of this process.
        gradient_norm: length of all gradients together, before it was shortened.
        is_done: False where loss or gradients of any process were not finite: the weights are as they were.
    """

    parts: Sequence[Part]
    gradient_norm: Tensor
    is_done: bool

    def suspects(self) -> tuple[list[str], list[str]]:
        """The items of this process that may be why a step was not done.

        Returns:
            Those of batches whose loss is not finite, and those of the batch with which the gradients ceased to be: the
            second ones are the cause only where no process has any of the first.
        """
        parts = [part for part in self.parts if part.batch.names]
        by_loss = [part for part in parts if not math.isfinite(part.losses["total"])]
        norms = [self.gradient_norm if part.gradient_norm is None else part.gradient_norm for part in parts]
        by_gradient = [part for part, norm in zip(parts, norms, strict=True) if not math.isfinite(norm)][:1]
        first, second = ([name for part in some for name in part.batch.suspects()] for some in (by_loss, by_gradient))
        return first, second


class Updates:
    """Changes the weights of a task's network.

    Args:
        fabric: the engine.
        task: whose network is on the engine's device.
        settings: how gradients are gathered and shortened.
        compiled: compiles the network at its first use.

    Attributes:
        optimizer: Adam over the task's weights.
    """

    def __init__(self, fabric: Fabric, task: Task, settings: LoopSettings, *, compiled: bool) -> None:
        self._fabric, self._task, self._settings = fabric, task, settings
        network: Any = torch.compile(task.network, dynamic=True) if compiled else task.network
        self._network = fabric.setup_module(network, move_to_device=False)
        groups = task.parameter_groups()
        self._factors = [group.rate_factor for group in groups]
        self._weights = [weight for group in groups for weight in group.parameters]
        self.optimizer = torch.optim.Adam([{"params": list(group.parameters), "lr": 0.0} for group in groups])
        self._parts: list[Part] = []

    def set_rate(self, rate: float) -> None:
        """Sets the learning rate."""
        for group, factor in zip(self.optimizer.param_groups, self._factors, strict=True):
            group["lr"] = rate * factor

    def drop(self) -> None:
        """Forgets the gradients that are in, and the running statistics that came with them."""
        self._parts = []
        self._task.discard_step()
        self.optimizer.zero_grad(set_to_none=True)

    def gather(self, batch: Batch, *, last: bool) -> None:
        """Forward and backward; `last`: a step follows."""
        with self._fabric.no_backward_sync(self._network, enabled=not last):
            losses = self._task.losses(self._network, batch)
            self._fabric.backward(losses["total"] * self._weight(len(batch.names)))
        detached = {name: loss.detach() for name, loss in losses.items()}
        self._parts.append(Part(batch, detached, None if last else self._norm()))

    def step(self) -> Step:
        """Changes the weights by the gradients that are in, where all is finite, and forgets them."""
        parts = tuple(self._parts)
        items = float(sum(len(part.batch.names) for part in parts))
        total = torch.stack([part.losses["total"].float() for part in parts]).sum()
        if self._fabric.world_size > 1:
            summed = sum_over_processes(self._fabric, torch.stack([total, total.new_tensor(items)]))
            total, items = summed[0], summed[1].item()
        norm = self._complete(self._share(items) / self._fabric.world_size)
        is_finite = bool(torch.isfinite(total) & torch.isfinite(norm))
        if is_finite:
            if self._settings.clip_norm is not None:
                torch.nn.utils.clip_grads_with_norm_(self._weights, self._settings.clip_norm, norm)
            self.optimizer.step()
            self._task.commit_step()
        self.drop()
        return Step(parts, norm, is_finite)

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
        return self._fabric.world_size * own / sum_over_processes(self._fabric, own.clone())

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
