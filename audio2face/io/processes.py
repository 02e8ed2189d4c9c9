"""Jobs in a few processes of their own, which end with the process that started them."""

from __future__ import annotations

import multiprocessing
import os
import signal
import threading
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from contextlib import contextmanager
from typing import Any, TypeVar

from audio2face.interrupts import end_with_parent

Result = TypeVar("Result")


def run_jobs(work: Callable[..., Result], jobs: Sequence[tuple[Any, ...]], most: int) -> Iterator[Result]:
    """Does jobs in processes; yields results as they finish, in any order.

    Only this process handles Ctrl-C; a job that has begun ends before this function does.

    Args:
        work: a function of a module, called with the arguments of each job.
        jobs: arguments, which can be pickled.
        most: largest number of processes; there is one for each processor at most.
    """
    processes = max(min(os.cpu_count() or 1, most, len(jobs)), 1)
    # Spawned: a process with threads of its own (such as torch) must not be forked.
    pool = ProcessPoolExecutor(processes, multiprocessing.get_context("spawn"), initializer=end_with_parent)
    try:
        with _interrupts_ignored():
            tasks = [pool.submit(work, *job) for job in jobs]
        for task in as_completed(tasks):
            yield task.result()
    finally:
        pool.shutdown(cancel_futures=True)


@contextmanager
def _interrupts_ignored() -> Iterator[None]:
    """Lets only this process handle Ctrl-C, which a terminal sends to all; it ends the processes started here."""
    if threading.current_thread() is not threading.main_thread():  # only the main thread may set signal handlers
        yield
        return
    before = signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)
