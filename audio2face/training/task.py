"""What the training loop wants to know of a configuration, whatever the network."""

from __future__ import annotations

import math
from collections.abc import Callable, Generator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import torch
from torch import Tensor, nn

from audio2face.config.sections import TrainDiffusion, TrainRegression
from audio2face.config_base.types import Device, ExportedWeights, Precision


@dataclass(frozen=True, kw_only=True)
class FabricSettings:
    """What the network is trained on, and how it calculates; see the parameters of the same names."""

    device: Device = "auto"
    precision: Precision = "auto"
    compiled: bool = False
    reproducible: bool = True
    seed: int = 42


@dataclass(frozen=True, kw_only=True)
class TrainerSettings:
    """How long and in which steps is trained; see the parameters of the same names in the base modules.

    Attributes:
        epochs: NUM_EPOCHS.
        accumulation: batches whose gradients are gathered for a step.
        reference_accumulation: gathers them as the reference does.
        clip_norm: GRADIENT_CLIP_NORM.
        ema_decay: EMA_DECAY.
        log_period: batches between two lines of the log, counted from the start of each epoch.
        validation_period: epochs.
        checkpoint_seconds: time between two checkpoints.
        limit_seconds: time after which training ends; None: never.
        exported: EXPORTED_WEIGHTS.
    """

    epochs: int
    accumulation: int = 1
    reference_accumulation: bool = False
    clip_norm: float | None = None
    ema_decay: float | None = None
    log_period: int = 10
    validation_period: int = 1
    checkpoint_seconds: float = 600.0
    limit_seconds: float | None = None
    exported: ExportedWeights = "best"

    def is_due(self, batch: int, num_batches: int) -> bool:
        """Whether the weights change after a batch of an epoch, both counted from 0."""
        if self.reference_accumulation:
            return batch % self.accumulation == 0
        return (batch + 1) % self.accumulation == 0 or batch + 1 == num_batches


def fabric_settings(train: TrainDiffusion | TrainRegression) -> FabricSettings:
    """Reads them from a configuration."""
    return FabricSettings(
        device=train.DEVICE,
        precision=train.PRECISION,
        compiled=train.COMPILE,
        reproducible=train.REPRODUCIBLE,
        seed=train.RNG_SEED_TORCH,
    )


def trainer_settings(train: TrainDiffusion | TrainRegression) -> TrainerSettings:
    """Reads them from a configuration."""
    limit = train.TIME_LIMIT_MINUTES
    return TrainerSettings(
        epochs=train.NUM_EPOCHS,
        accumulation=train.GRADIENT_ACCUMULATION_STEPS,
        reference_accumulation=train.REFERENCE_ACCUMULATION,
        clip_norm=train.GRADIENT_CLIP_NORM,
        ema_decay=train.EMA_DECAY,
        log_period=train.LOG_PERIOD,
        validation_period=train.VALIDATION_PERIOD_EPOCHS,
        checkpoint_seconds=60 * train.CHECKPOINT_PERIOD_MINUTES,
        limit_seconds=None if limit is None else 60 * limit,
        exported=train.EXPORTED_WEIGHTS,
    )


def diffusion_learning_rate(
    epoch: int, epochs: int, base: float, *, start: float = 1e-4, lowest: float = 1e-5, warmup: int = 10
) -> float:
    """The learning rate of the diffusion network: a straight line to the base rate, then half a cosine.

    It equals timm's CosineLRScheduler when that is told, after each epoch, the number of the epoch just done: the first
    two epochs share a rate, and the cosine, which counts from the first epoch, begins a little below the base rate. The
    start lies above the base rate of 5e-5; the "warm-up" of the reference comes down.

    Args:
        epoch: from 0.
        epochs: length of the whole training; at most `warmup` of them never leave the line.
        base: the rate configured.
        start: the rate of the first epoch.
        lowest: the rate that the cosine ends at.
        warmup: epochs of the line.
    """
    done = max(epoch - 1, 0)
    if done < warmup:
        return start + (base - start) * done / warmup
    if done >= epochs:
        return lowest
    return lowest + 0.5 * (base - lowest) * (1 + math.cos(math.pi * done / epochs))


def regression_learning_rate(epoch: int, base: float, gamma: float) -> float:
    """The learning rate of the regression network: smaller by the factor `gamma` after every epoch, from 0 on."""
    return base * gamma**epoch


@dataclass(frozen=True)
class DeviceAndRank:
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
