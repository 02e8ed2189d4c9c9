"""What the training loop asks of a task: a network, batches, losses, and how well it does.

The loop, its checkpoints, its logs and the end of a run know nothing but this protocol. Parameters, export, deployed
folder and inference of a kind of network are elsewhere (`config_base`, `deploy`, `model_folder`, `inference`).
"""

from __future__ import annotations

from collections.abc import Callable, Generator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import torch
from torch import Tensor, nn


@dataclass(frozen=True)
class Place:
    """Where a process of a training run stands.

    Attributes:
        device: the device that it calculates on.
        rank: its number among all processes.
        world_size: number of processes.
    """

    device: torch.device
    rank: int = 0
    world_size: int = 1


@dataclass(frozen=True)
class Begun:
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
    def names(self) -> Sequence[str]:
        """A name for each item, by which a person finds it again in the data.

        None where this process only keeps in step with others: what it calculates then counts for nothing.
        """

    @property
    def num_frames(self) -> int:
        """Frames of animation in all items, without padding."""

    def suspects(self) -> Sequence[str]:
        """The names of items whose data alone explain a loss that is not finite; all names where no item's do."""


@dataclass(frozen=True)
class ParameterGroup:
    """Weights that learn equally fast.

    Attributes:
        parameters: those that are trained.
        rate_factor: their learning rate, as a multiple of the task's.
    """

    parameters: Sequence[nn.Parameter]
    rate_factor: float = 1.0


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

    def describe(self) -> dict[str, Any]:
        """Which network it is, with all that is needed to build it, in terms of JSON."""

    def records(self) -> dict[str, Any]:
        """The JSON files of a run that say what it learns, by their path in the run folder."""

    def export(self, folder: Path) -> None:
        """Writes into a finished run what deployment needs beside the network's weights."""
