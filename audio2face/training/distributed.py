"""Waiting for the other processes of a training for as long as it takes.

Collectives end a run when one process is later than the time-out of their group, which finds processes that hang. Work
that one process does for all, such as validation, features and export, may well take longer. The others wait for it
here first, in a group whose time-out no work reaches; a process that ends is noticed at once there too.
"""

from __future__ import annotations

import atexit
import logging
import os
import random
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import timedelta
from typing import Any, Literal, TypeVar

import numpy as np
import torch
from lightning_fabric import Fabric
from lightning_fabric.strategies.ddp import DDPStrategy
from torch import Tensor

from audio2face.config_base.types import Device, Precision
from audio2face.errors import UserError

COLLECTIVE_TIMEOUT = timedelta(minutes=30)  # of one step of training, in which all processes have alike to do
_WAITING_TIMEOUT = timedelta(days=30)
_SECONDS_BETWEEN_LOOKS = 0.01

_groups: list[torch.distributed.ProcessGroup] = []


def open_waiting_group() -> None:
    """Makes the group; to be called once by each of several processes, when they have found each other."""
    group = torch.distributed.new_group(timeout=_WAITING_TIMEOUT, backend="gloo")
    assert group is not None  # this process is in it
    _groups[:] = [group]


def wait_for_all() -> None:
    """Returns when all processes of the training have called it; at once where there is one process.

    Signals are handled while it waits.

    Raises:
        RuntimeError: another process has ended.
    """
    for group in _groups:
        work = torch.distributed.barrier(group=group, async_op=True)
        while not work.is_completed():
            time.sleep(_SECONDS_BETWEEN_LOOKS)
        work.wait()


Gathered = TypeVar("Gathered")

# Fused kinds of attention on CUDA: whether one is on, and its switch.
_ATTENTION: tuple[tuple[Callable[[], bool], Callable[[bool], None]], ...] = (
    (torch.backends.cuda.cudnn_sdp_enabled, torch.backends.cuda.enable_cudnn_sdp),
    (torch.backends.cuda.flash_sdp_enabled, torch.backends.cuda.enable_flash_sdp),
    (torch.backends.cuda.mem_efficient_sdp_enabled, torch.backends.cuda.enable_mem_efficient_sdp),
)


def make_fabric(device: Device = "auto", precision: Precision = "auto") -> Fabric:
    """Starts Fabric, on one device, or on those for each of which `torchrun` started a process.

    Args:
        device: DEVICE.
        precision: PRECISION.

    Raises:
        UserError: the device is not there, or there are fewer of them than processes.
    """
    logging.getLogger("lightning_fabric").setLevel(logging.WARNING)  # its advice is not for whoever runs a stage
    accelerator = choose_device(device)
    processes = int(os.environ.get("WORLD_SIZE", 1))
    local = int(os.environ.get("LOCAL_WORLD_SIZE", processes))
    _check_processes(accelerator, local)
    # Layer drop leaves weights unused in a step, which has to be looked for.
    strategy = DDPStrategy(find_unused_parameters=True, timeout=COLLECTIVE_TIMEOUT) if processes > 1 else "auto"
    fabric = Fabric(
        accelerator=accelerator,
        devices=local,
        num_nodes=processes // local,
        strategy=strategy,
        precision=_precision(accelerator, precision),
    )
    fabric.launch()
    if processes > 1:
        open_waiting_group()
        atexit.register(_part)
    return fabric


def _part() -> None:
    """Leaves the other processes in order: connections that are still open abort the process at its very end."""
    if torch.distributed.is_initialized():
        torch.distributed.destroy_process_group()


def choose_device(wanted: Device) -> Literal["cuda", "mps", "cpu"]:
    """The device to calculate on: the one wanted, or the fastest there is.

    Raises:
        UserError: the device is not there.
    """
    device = wanted if wanted != "auto" else _best_device()
    _check_device(device)
    return device


def all_reduce_sum(fabric: Fabric, values: Tensor) -> Tensor:
    """The sum of tensors of equal shape that the processes hold."""
    if fabric.world_size == 1:
        return values
    together = fabric.all_reduce(values, reduce_op="sum")
    assert isinstance(together, Tensor)
    return together


def all_reduce_mean(value: Tensor, items: int) -> Tensor:
    """The mean of a scalar over the items of all processes, of which there are several.

    Args:
        value: the mean over this process's items.
        items: how many these are; 0 where the value counts for nothing.
    """
    sums = torch.stack([value * items, value.new_tensor(items)])
    torch.distributed.all_reduce(sums)
    return sums[0] / sums[1]


def all_reduce_any(fabric: Fabric, *facts: bool) -> tuple[bool, ...]:
    """Whether each fact holds in any process: what one of them knows, all act upon."""
    if fabric.world_size == 1:
        return facts
    counts = torch.tensor(facts, dtype=torch.float32, device=fabric.device)
    return tuple((all_reduce_sum(fabric, counts) > 0).tolist())


def all_gather(fabric: Fabric, values: Tensor) -> Tensor:
    """What the processes hold, one after the other on a new first axis, on the CPU."""
    if fabric.world_size == 1:
        return values[None]
    own = torch.zeros((fabric.world_size, *values.shape), dtype=values.dtype)
    own[fabric.global_rank] = values
    return all_reduce_sum(fabric, own).cpu()


def gather_objects(fabric: Fabric, own: Gathered) -> list[Gathered]:
    """What the processes hold, in their order; of what pickle can take, between processes of one training."""
    if fabric.world_size == 1:
        return [own]
    together: list[Any] = [None] * fabric.world_size
    torch.distributed.all_gather_object(together, own)
    return together


def seed_everything(seed: int, rank: int = 0) -> None:
    """Seeds the global random number generators, differently in every process."""
    seed += rank
    torch.manual_seed(seed)
    np.random.seed(seed % 2**32)  # libraries draw from the global generator
    random.seed(seed)


@contextmanager
def deterministic_algorithms(reproducible: bool) -> Iterator[None]:
    """Chooses algorithms, and restores the choice afterwards.

    Args:
        reproducible: REPRODUCIBLE; algorithms that give the same bits in every run.
    """
    before = (
        torch.are_deterministic_algorithms_enabled(),
        torch.is_deterministic_algorithms_warn_only_enabled(),
        torch.backends.cudnn.benchmark,
    )
    attention = [is_on() for is_on, _ in _ATTENTION]
    # cuDNN plans its attention anew for every length: longer than the attention itself takes, and segments differ.
    torch.backends.cuda.enable_cudnn_sdp(False)
    if reproducible:
        # The gradients of all fused kinds are added up in any order as long as other operations are merely warned of.
        torch.backends.cuda.enable_flash_sdp(False)
        torch.backends.cuda.enable_mem_efficient_sdp(False)
        os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")
        torch.backends.cudnn.benchmark = False
        # An operation that has no reproducible form costs a warning, not the run.
        torch.use_deterministic_algorithms(True, warn_only=True)
    try:
        yield
    finally:
        torch.use_deterministic_algorithms(before[0], warn_only=before[1])
        torch.backends.cudnn.benchmark = before[2]
        for (_, enable), was_on in zip(_ATTENTION, attention, strict=True):
            enable(was_on)


def describe_engine(fabric: Fabric) -> dict[str, Any]:
    """What a run is made on, for its records; no name of a machine."""
    name = torch.cuda.get_device_name(fabric.device) if fabric.device.type == "cuda" else fabric.device.type
    return {
        "device": name,
        "processes": fabric.world_size,
        "precision": fabric._precision.precision,
        "threads": torch.get_num_threads(),
    }


def _best_device() -> Literal["cuda", "mps", "cpu"]:
    if torch.cuda.is_available():
        return "cuda"
    return "mps" if torch.backends.mps.is_available() else "cpu"


def _check_device(device: str) -> None:
    checks: dict[str, Callable[[], bool]] = {
        "cuda": torch.cuda.is_available,
        "mps": torch.backends.mps.is_available,
    }
    if device in checks and not checks[device]():
        raise UserError(
            f"DEVICE is {device!r}, which torch {torch.__version__} does not find on this machine",
            hint="Choose DEVICE 'auto' or 'cpu', or install a driver and a build of torch for the device.",
        )


def _check_processes(device: str, processes: int) -> None:
    """Each process has a GPU of its own."""
    if device == "cpu" or processes == 1:
        return
    there = torch.cuda.device_count() if device == "cuda" else 1
    if processes > there:
        raise UserError(
            f"{processes} processes are to train together, and torch finds {there} of {device!r} on this machine",
            hint=f"Start {there}: --devices {there} (torchrun: --nproc-per-node {there}), or choose DEVICE 'cpu'.",
        )


def _precision(device: str, wanted: str) -> Literal["bf16-mixed", "32-true"]:
    if wanted == "bfloat16":
        return "bf16-mixed"
    has_bfloat16 = device == "cuda" and torch.cuda.is_bf16_supported(including_emulation=False)
    return "bf16-mixed" if wanted == "auto" and has_bfloat16 else "32-true"
