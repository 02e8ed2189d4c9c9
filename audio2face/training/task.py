"""What the training loop wants to know of a configuration, whatever the network."""

from __future__ import annotations

import math
from collections.abc import Callable, Generator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import torch
from torch import Tensor, nn


@dataclass(frozen=True)
class ResumeState:
    """What a run that is gone on with recorded when it was begun.

    Attributes:
        network: see `Task.describe`.
        preproc_runs: the preprocessing run of each actor.
        has_weights: whether there is a checkpoint, whose weights take the place of whatever the task starts from.
    """

    network: Mapping[str, Any]
    preproc_runs: Mapping[str, str]
    has_weights: bool


class Batch(Protocol):
    """Items that go through the network together."""

    @property
    def sample_ids(self) -> Sequence[str]:
        """A name for each item, by which a person finds it again in the data.

        None where this process only keeps in step with others: what it calculates then counts for nothing.
        """

    @property
    def num_frames(self) -> int:
        """Frames of animation in all items, without padding."""

    def suspects(self) -> Sequence[str]:
        """The names of items whose data alone explain a loss that is not finite; all names where no item's do."""


@dataclass(frozen=True)
class MicroBatch:
    """A batch whose gradients are accumulated.

    Attributes:
        batch: the batch as it was loaded.
        losses: detached scalars, means over its items.
        gradient_norm: norm of all gradients accumulated up to and including this batch, in this process; None for the
            last one of a step, whose norm is that of the step.
    """

    batch: Batch
    losses: Mapping[str, Tensor]
    gradient_norm: Tensor | None

    @classmethod
    def from_losses(cls, batch: Batch, losses: Mapping[str, Tensor], gradient_norm: Tensor | None) -> MicroBatch:
        """Detaches the losses of a batch."""
        return cls(batch, {name: loss.detach() for name, loss in losses.items()}, gradient_norm)


def suspects(micro_batches: Sequence[MicroBatch], gradient_norm: Tensor) -> tuple[list[str], list[str]]:
    """The items of this process that may be why a step is not finite.

    Args:
        micro_batches: those of the step.
        gradient_norm: norm of the gradients of the step.

    Returns:
        The items of batches whose loss is not finite, and those of the first batch with whose gradients the norm is not
        finite: the latter are the cause only where no process has any of the former.
    """
    micros = [micro for micro in micro_batches if micro.batch.sample_ids]
    by_loss = [micro for micro in micros if not math.isfinite(micro.losses["total"])]
    norms = [gradient_norm if micro.gradient_norm is None else micro.gradient_norm for micro in micros]
    by_gradient = [micro for micro, norm in zip(micros, norms, strict=True) if not math.isfinite(norm)][:1]
    first, second = ([name for micro in some for name in micro.batch.suspects()] for some in (by_loss, by_gradient))
    return first, second


@dataclass(frozen=True)
class ParameterGroup:
    """Weights that learn equally fast.

    Attributes:
        parameters: those that are trained.
        rate_factor: their learning rate, as a multiple of the task's.
    """

    parameters: Sequence[nn.Parameter]
    lr_factor: float = 1.0


class Task(Protocol):
    """What is learnt. Whatever it draws at random comes from `generators`, from the global generators of torch, numpy
    and python in the thread of the loop, or is a function of seed, epoch and position: training that was stopped then
    goes on as if it had not been.

    Attributes:
        network: everything that is trained, on the device of the process.
        num_batches: batches of an epoch, in each process.
        items_per_batch: items of a batch that is not cut short by the end of an epoch.
        generators: the task's own generators of random numbers, whose states the loop keeps.
        best_metric: the metric that decides which weights are best; smaller is better.
    """

    network: nn.Module
    num_batches: int
    items_per_batch: int
    generators: Mapping[str, torch.Generator]
    best_metric: str

    def parameter_groups(self) -> list[ParameterGroup]:
        """The weights to train."""

    def learning_rate(self, epoch: int) -> float:
        """The learning rate of an epoch, counted from 0."""

    def batches(self, epoch: int, first_batch: int) -> Generator[Batch, None, None]:
        """This process's batches of an epoch, from `first_batch` on; the same whenever they are asked for."""

    def losses(self, network: Callable[..., Any], batch: Any) -> Mapping[str, Tensor]:
        """One forward pass.

        Args:
            network: the network as the loop wraps it, to be called in place of `self.network`.
            batch: one of `batches`.

        Running statistics that it updates count for the time being, until `commit_step` or `discard_step`, and take in
        finite values only, so that one bad batch leaves no trace.

        Returns:
            Scalars, means over the items of the batch: "total", which is minimised, the terms it is made of, and "r2"
            where it is known. "total" is not finite where any of the terms is not.
        """

    def commit_step(self) -> None:
        """Keeps running statistics of the batches since the last step: the weights changed by them."""

    def discard_step(self) -> None:
        """Forgets running statistics of the batches since the last step: the weights did not change by them."""

    def validate(self) -> dict[str, float]:
        """Tries the network, which is in evaluation mode, on what was held out; empty where nothing was."""

    def state(self) -> dict[str, Any]:
        """What a checkpoint must keep of the task beside weights and generators, in terms of JSON, so nothing that is
        not finite; of running statistics what was committed."""

    def load_state(self, state: Mapping[str, Any]) -> None:
        """Goes on from what `state` gave."""

    def network_config(self) -> dict[str, Any]:
        """Which network it is, with all that is needed to build it, in terms of JSON."""

    def metadata_files(self) -> dict[str, Any]:
        """The JSON files of a run that say what it learns, by their path in the run folder."""

    def export(self, folder: Path) -> None:
        """Writes into a finished run what deployment needs beside the network's weights."""
