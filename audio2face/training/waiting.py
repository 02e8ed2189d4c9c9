"""Waiting for the other processes of a training for as long as it takes.

Collectives end a run when one process is later than the time-out of their group, which finds processes that hang. Work
that one process does for all, such as validation, features and export, may well take longer. The others wait for it
here first, in a group whose time-out no work reaches; a process that ends is noticed at once there too.
"""

from __future__ import annotations

import time
from datetime import timedelta

import torch

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
