"""Devices, processes and their collectives, seeds and deterministic algorithms.

Collectives end a run when a process is later than the time-out of their process group, which detects processes that
hang. Work that one process does for all, such as validation, feature extraction and export, may take longer than that.
The other processes wait for it in a second group with a time-out of days; a process that ends is noticed at once there
too.
"""

from __future__ import annotations

import atexit
import logging
import os
import random
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from datetime import timedelta
from typing import TYPE_CHECKING, Any, Literal, TypeVar

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn.parallel import DistributedDataParallel

from audio2face.config_base.types import Device, Precision
from audio2face.errors import UserError

if TYPE_CHECKING:  # loads in two seconds, which deployment is spared
    from lightning_fabric import Fabric

COLLECTIVE_TIMEOUT = timedelta(minutes=30)  # of one training step, which takes all processes about as long
_WAITING_TIMEOUT = timedelta(days=30)
_POLL_SECONDS = 0.01

_groups: list[torch.distributed.ProcessGroup] = []


def open_waiting_group() -> None:
    """Makes the group for waiting; called once by each process after the default group exists."""
    group = torch.distributed.new_group(timeout=_WAITING_TIMEOUT, backend="gloo")
    assert group is not None  # this process is in it
    _groups[:] = [group]


def wait_for_all() -> None:
    """Returns when all processes of the training have called it, at once in a single process.

    Signals are handled while it waits.

    Raises:
        RuntimeError: another process has ended.
    """
    for group in _groups:
        work = torch.distributed.barrier(group=group, async_op=True)
        while not work.is_completed():
            time.sleep(_POLL_SECONDS)
        work.wait()


T = TypeVar("T")

_memory: Any = torch.utils.deterministic  # its switch is made when the module is imported

# Fused attention kernels on CUDA: whether one is enabled, and its switch.
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
        UserError: the device is not available, or there are fewer devices than processes.
    """
    from lightning_fabric import Fabric
    from lightning_fabric.strategies.ddp import DDPStrategy

    logging.getLogger("lightning_fabric").setLevel(logging.WARNING)  # its advice is for developers
    accelerator = choose_device(device)
    processes = int(os.environ.get("WORLD_SIZE", 1))
    local = int(os.environ.get("LOCAL_WORLD_SIZE", processes))
    _check_processes(accelerator, local)
    # Layer drop leaves weights unused in a step, which DDP has to detect.
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
        atexit.register(_destroy_process_group)
    return fabric


def _destroy_process_group() -> None:
    """Closes the connections to the other processes, which would abort the process at its exit if left open."""
    if torch.distributed.is_initialized():
        torch.distributed.destroy_process_group()


def choose_device(requested: Device) -> Literal["cuda", "mps", "cpu"]:
    """The device to compute on: the one requested, or for "auto" the fastest available.

    Raises:
        UserError: the device is not available.
    """
    device = requested if requested != "auto" else _best_device()
    _check_device(device)
    return device


def all_reduce_sum(fabric: Fabric, values: Tensor) -> Tensor:
    """The sum of the tensors of all processes, which have equal shapes."""
    if fabric.world_size == 1:
        return values
    total = fabric.all_reduce(values, reduce_op="sum")
    assert isinstance(total, Tensor)
    return total


def all_reduce_mean(value: Tensor, items: int) -> Tensor:
    """The mean of a scalar over the items of all processes; for two processes or more.

    Args:
        value: the mean over this process's items.
        items: their number; 0 gives the value no weight.
    """
    sums = torch.stack([value * items, value.new_tensor(items)])
    torch.distributed.all_reduce(sums)
    return sums[0] / sums[1]


def leave_out(fabric: Fabric, network: nn.Module, names: Iterable[str]) -> None:
    """Leaves parameters of a network out of DistributedDataParallel: `average_gradients` does its part for them.

    Args:
        fabric: before it wraps the network.
        network: in all processes it gets these parameters of the first one.
        names: of the parameters.
    """
    if fabric.world_size == 1:
        return
    left_out = set(names)
    for name, parameter in network.named_parameters():
        if name in left_out:
            torch.distributed.broadcast(parameter.data, 0)
    # A compiled network has them under longer names.
    every = [*left_out, *(f"_orig_mod.{name}" for name in left_out)]
    DistributedDataParallel._set_params_and_buffers_to_ignore_for_model(network, every)  # type: ignore[no-untyped-call]


def average_gradients(fabric: Fabric, parameters: Iterable[nn.Parameter]) -> None:
    """Averages the gradients of parameters over all processes."""
    if fabric.world_size == 1:
        return
    for parameter in parameters:
        if parameter.grad is None:
            parameter.grad = torch.zeros_like(parameter)
        torch.distributed.all_reduce(parameter.grad)
        parameter.grad.div_(fabric.world_size)


def all_reduce_any(fabric: Fabric, *flags: bool) -> tuple[bool, ...]:
    """Whether each flag is set in any process, so that all processes act alike."""
    if fabric.world_size == 1:
        return flags
    counts = torch.tensor(flags, dtype=torch.float32, device=fabric.device)
    return tuple((all_reduce_sum(fabric, counts) > 0).tolist())


def all_gather(fabric: Fabric, values: Tensor) -> Tensor:
    """The tensors of all processes, stacked in the order of ranks on a new first axis, on the CPU."""
    if fabric.world_size == 1:
        return values[None]
    own = torch.zeros((fabric.world_size, *values.shape), dtype=values.dtype)
    own[fabric.global_rank] = values
    return all_reduce_sum(fabric, own).cpu()


def gather_objects(fabric: Fabric, own: T) -> list[T]:
    """The objects of all processes, in the order of ranks; they must be picklable."""
    if fabric.world_size == 1:
        return [own]
    objects: list[Any] = [None] * fabric.world_size
    torch.distributed.all_gather_object(objects, own)
    return objects


def seed_everything(seed: int, rank: int = 0) -> None:
    """Seeds the global random number generators, differently in every process."""
    seed += rank
    torch.manual_seed(seed)
    np.random.seed(seed % 2**32)  # libraries draw from the global generator
    random.seed(seed)


@contextmanager
def deterministic_algorithms(reproducible: bool) -> Iterator[None]:
    """Selects algorithms inside the context, and restores the selection afterwards.

    Args:
        reproducible: REPRODUCIBLE; selects algorithms that give the same bits in every run.
    """
    before = (
        torch.are_deterministic_algorithms_enabled(),
        torch.is_deterministic_algorithms_warn_only_enabled(),
        torch.backends.cudnn.benchmark,
        _memory.fill_uninitialized_memory,
    )
    attention = [is_on() for is_on, _ in _ATTENTION]
    # cuDNN plans its attention for every new length, which takes longer than the attention; segments differ in length.
    torch.backends.cuda.enable_cudnn_sdp(False)
    if reproducible:
        # With warn_only, fused kernels would still sum gradients in any order.
        torch.backends.cuda.enable_flash_sdp(False)
        torch.backends.cuda.enable_mem_efficient_sdp(False)
        os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")
        torch.backends.cudnn.benchmark = False
        # An operation that has no reproducible form costs a warning, not the run.
        torch.use_deterministic_algorithms(True, warn_only=True)
        # Fills new tensors to expose reads of undefined values; results do not depend on it.
        _memory.fill_uninitialized_memory = False
    try:
        yield
    finally:
        torch.use_deterministic_algorithms(before[0], warn_only=before[1])
        torch.backends.cudnn.benchmark = before[2]
        _memory.fill_uninitialized_memory = before[3]
        for (_, enable), was_on in zip(_ATTENTION, attention, strict=True):
            enable(was_on)


def describe_engine(fabric: Fabric) -> dict[str, Any]:
    """Device, processes, precision and threads of a run, for its records; without the name of the machine."""
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
    available = torch.cuda.device_count() if device == "cuda" else 1
    if processes > available:
        raise UserError(
            f"{processes} processes are to train together, and torch finds {available} of {device!r} on this machine",
            hint=f"Start {available}: --devices {available} (torchrun: --nproc-per-node {available}), "
            "or choose DEVICE 'cpu'.",
        )


def _precision(device: str, requested: str) -> Literal["bf16-mixed", "32-true"]:
    if requested == "bfloat16":
        return "bf16-mixed"
    has_bfloat16 = device == "cuda" and torch.cuda.is_bf16_supported(including_emulation=False)
    return "bf16-mixed" if requested == "auto" and has_bfloat16 else "32-true"
