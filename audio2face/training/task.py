"""The interface between the training loop and a network: the task of a family, its batches, and how they are loaded."""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Callable, Generator, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, fields, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol, Self, TypeVar, runtime_checkable

import numpy as np
import torch
from torch import Tensor, nn

from audio2face.errors import UserError
from audio2face.families import FAMILIES, resolve
from audio2face.models.layers import ChannelSizes
from audio2face.training.metrics import HeldOutFrame
from audio2face.types import BoolArray

if TYPE_CHECKING:  # these know the tasks' data; Fabric loads in two seconds, which deployment is spared
    from lightning_fabric import Fabric

    from audio2face.config import Configuration
    from audio2face.training.run_folder import TrainingRun

PREFETCH_BATCHES = 3
_MAX_MAGNITUDE = 1e6  # far above any sample, coefficient, centimetre or degree

Item = TypeVar("Item")
Loaded = TypeVar("Loaded")


@dataclass(frozen=True)
class ResumeMetadata:
    """Metadata of a resumed run.

    Attributes:
        network: `Task.network_config` of its start.
        preproc_runs: name of the preprocessing run of each actor.
        has_weights: whether there is a checkpoint, whose weights replace the initial ones.
        teacher: full name of the run of the teacher; None without one.
    """

    network: Mapping[str, Any]
    preproc_runs: Mapping[str, str]
    has_weights: bool
    teacher: str | None = None


class Batch(Protocol):
    """Items that go through the network together."""

    @property
    def sample_ids(self) -> Sequence[str]:
        """A name for each item, by which a person finds it in the data; empty where the batch is padding.

        Padding keeps a process without items in step with the others and has no weight in loss and metrics.
        """

    @property
    def num_frames(self) -> int:
        """Frames of animation in all items, without padding."""

    def suspects(self) -> Sequence[str]:
        """The names of items whose data explain a loss that is not finite; all names where no item's data do."""


@runtime_checkable
class MixedBatch(Protocol):
    """A `Batch` of several groups of items; the losses of a group have its name before theirs: "synthetic/mse"."""

    @property
    def group_sizes(self) -> Mapping[str, int]:
        """Number of items of each group, without padding; empty in a training without groups."""


@dataclass(frozen=True)
class MicroBatch:
    """A batch whose gradients are accumulated.

    Attributes:
        batch: the batch as it was loaded.
        losses: detached scalars, means over its items.
        gradient_norm: norm of all gradients accumulated up to and including this batch, in this process, without what
            `Task.finish_gradients` adds; None for the last one of a step, whose norm is that of the step.
    """

    batch: Batch
    losses: Mapping[str, Tensor]
    gradient_norm: Tensor | None

    @classmethod
    def from_losses(cls, batch: Batch, losses: Mapping[str, Tensor], gradient_norm: Tensor | None) -> MicroBatch:
        """Detaches the losses of a batch."""
        return cls(batch, {name: loss.detach() for name, loss in losses.items()}, gradient_norm)


def suspects(micro_batches: Sequence[MicroBatch], gradient_norm: Tensor) -> tuple[list[str], list[str]]:
    """The items of this process that may have made a step non-finite.

    Args:
        micro_batches: micro-batches of the step.
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


@dataclass(frozen=True, eq=False)
class TensorBatch:
    """A batch whose tensor fields move between devices together."""

    def to(self, device: torch.device | str) -> Self:
        """The batch on a device."""
        values = {field.name: getattr(self, field.name) for field in fields(self)}
        moved: dict[str, Any] = {name: value.to(device) for name, value in values.items() if isinstance(value, Tensor)}
        return replace(self, **moved)


def channel_mask(valid: BoolArray, sizes: ChannelSizes, device: torch.device) -> Tensor | None:
    """Mask of the channels that hold data; built on the host, which avoids a synchronisation with the device.

    Args:
        valid: whether skin, tongue, jaw and eyes of each item hold data, bool `[batch, 4]`.
        sizes: channels of each part.
        device: device of the mask.

    Returns:
        Bool `[batch, channels]`; None where all channels hold data.
    """
    if valid.all():
        return None
    widths = (sizes.skin, sizes.tongue, sizes.jaw, sizes.eye)
    return torch.from_numpy(np.repeat(valid, widths, axis=1)).to(device)


def suspect_items(sample_ids: Sequence[str], values: Iterable[Tensor | None]) -> Sequence[str]:
    """The items whose data can cause a non-finite loss.

    Args:
        sample_ids: ids of the items.
        values: tensors whose first axis is the items, or a multiple of them.

    Returns:
        The ids of items with a non-finite value or one above 1e6; all ids if every item is within these limits.
    """
    if not sample_ids:
        return sample_ids
    is_finite = torch.ones(len(sample_ids), dtype=torch.bool)
    for tensor in values:
        if tensor is not None:
            flat = tensor.detach().float().reshape(len(sample_ids), -1)
            is_finite &= (flat.abs() < _MAX_MAGNITUDE).all(dim=1).cpu()  # false for NaN
    return [name for name, finite in zip(sample_ids, is_finite.tolist(), strict=True) if not finite] or sample_ids


def prefetch(items: Iterable[Item], load: Callable[[Item], Loaded], count: int) -> Iterator[Loaded]:
    """Yields `load(item)` for each item, in order; a background thread loads up to `count` results ahead.

    `items` may be infinite. An exception of `load` is raised in place of its result.
    """
    pool = ThreadPoolExecutor(1, thread_name_prefix="loader")
    waiting: deque[Future[Loaded]] = deque()
    try:
        for item in items:
            waiting.append(pool.submit(load, item))
            if len(waiting) > count:
                yield waiting.popleft().result()
        while waiting:
            yield waiting.popleft().result()
    finally:
        pool.shutdown(cancel_futures=True)


@dataclass(frozen=True)
class ParameterGroup:
    """Trainable weights with a common learning rate.

    Attributes:
        parameters: the weights.
        lr_factor: their learning rate as a multiple of the task's.
    """

    parameters: Sequence[nn.Parameter]
    lr_factor: float = 1.0


class Task(Protocol):
    """A network with its data, losses and metrics, as the training loop sees them.

    Resumed training gives the same bits as uninterrupted training because every random number comes from `generators`,
    from the global generators of torch, numpy and python in the thread of the loop, or is a function of seed, epoch and
    position.

    Attributes:
        network: everything that is trained, on the device of the process.
        num_batches: batches of an epoch, the same in each process.
        items_per_batch: items of a full batch in this process.
        reference_sums_items: whether the reference adds up the gradients of the items of an update; otherwise it
            averages them.
        generators: the task's own random number generators, whose states are part of checkpoints.
        best_metric: the validation metric that selects the best weights; smaller is better.
    """

    network: nn.Module
    num_batches: int
    items_per_batch: int
    reference_sums_items: bool
    generators: Mapping[str, torch.Generator]
    best_metric: str

    def parameter_groups(self) -> list[ParameterGroup]:
        """The trainable weights."""

    def learning_rate(self, epoch: int) -> float:
        """The learning rate of an epoch, counted from 0."""

    def batches(self, epoch: int, first_batch: int) -> Generator[Batch, None, None]:
        """This process's batches of an epoch, from `first_batch` on; the same at every call."""

    def losses(self, network: Callable[..., Any], batch: Any) -> Mapping[str, Tensor]:
        """One forward pass.

        Running statistics that it updates are provisional until `commit_step` or `discard_step`, and ignore values that
        are not finite, so that a bad batch leaves no trace.

        Args:
            network: the network as the loop wraps it, called instead of `self.network`.
            batch: one of `batches`.

        Returns:
            Scalars, means over the items of the batch: "total", which is minimised, its terms, and "r2" where the task
            computes it; of a `MixedBatch` also the terms of each group, in every batch the same ones. "total" is not
            finite where any term is not.
        """

    def finish_gradients(self) -> None:
        """Adds what the batches since the last step kept back of their gradients; after the last of them."""

    def commit_step(self) -> None:
        """Keeps the running statistics of the batches since the last step, which changed the weights."""

    def discard_step(self) -> None:
        """Reverts the running statistics of the batches since the last step, which was skipped, and drops what they
        kept back of their gradients."""

    def validate(self) -> dict[str, float]:
        """The metrics of the network, which is in evaluation mode, on the validation set; empty where there is none."""

    def held_out_frame(self) -> HeldOutFrame | None:
        """A frame of the last validation to draw; None where there is none, or the polygons are unknown."""

    def state(self) -> dict[str, Any]:
        """The task's part of a checkpoint, beside weights and generators, as JSON: finite values, and of running
        statistics the committed ones."""

    def load_state(self, state: Mapping[str, Any]) -> None:
        """Restores the result of `state`."""

    def network_config(self) -> dict[str, Any]:
        """The network's type and everything needed to build it, as JSON."""

    def metadata_files(self) -> dict[str, Any]:
        """The JSON files that describe a run, by their path in the run folder."""

    def export(self, folder: Path) -> None:
        """Writes the files of a finished run that deployment needs beside the network's weights."""


class TrainingModule(Protocol):
    """The functions that a family's training module defines; `audio2face.families` holds its name."""

    def open_task(self, configuration: Configuration, fabric: Fabric, state: ResumeMetadata | None) -> Task:
        """Opens data and network of a configuration.

        Args:
            configuration: for stage "train" and a network of the family.
            fabric: device and processes.
            state: metadata of a resumed run; None for a new one.

        Raises:
            UserError: data, speech encoder or weights to start from are missing or do not fit.
        """
        ...

    def load_network(self, run: TrainingRun) -> nn.Module:
        """The trained network of a finished run, on the CPU in evaluation mode; needs neither data nor hub.

        Raises:
            UserError: the run holds a network of another family, or files of it are damaged.
        """
        ...


def training_module(network_type: str) -> TrainingModule:
    """Imports the training module of a family.

    Raises:
        UserError: there is no such family.
    """
    family = FAMILIES.get(network_type)
    if family is None:
        raise UserError(f"NETWORK_TYPE {network_type!r} cannot be trained", hint=f"Known: {', '.join(FAMILIES)}.")
    found: TrainingModule = resolve(family.training)
    return found
