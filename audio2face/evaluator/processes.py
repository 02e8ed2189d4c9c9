"""Processes that work on tasks at the same time, and results that are kept for a repeated call."""

from __future__ import annotations

import json
import multiprocessing
import os
import signal
from collections.abc import Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from concurrent.futures.process import BrokenProcessPool
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from typing import Any

from audio2face.console import hidden_progress
from audio2face.errors import UserError
from audio2face.evaluator.tasks import Context, Session, Task
from audio2face.inference import set_num_threads
from audio2face.io.arrays import read_json
from audio2face.io.atomic import write_json

_RESULT = "result"  # key of a kept file


@dataclass(frozen=True)
class KeptTasks:
    """Results of tasks of earlier calls in a folder, one file each.

    Attributes:
        folder: of the files.
    """

    folder: Path

    def read(self, key: str) -> dict[str, Any] | None:
        """The result of a key; None where there are none, or the file is damaged."""
        path = self.folder / f"{key}.json"
        try:
            found = read_json(path) if path.is_file() else None
        except UserError:
            return None
        result = found.get(_RESULT) if isinstance(found, dict) else None
        return result if isinstance(result, dict) else None

    def write(self, key: str, result: dict[str, Any]) -> None:
        """Keeps a result."""
        write_json(self.folder / f"{key}.json", {_RESULT: result})


def digest(*parts: Any) -> str:
    """A checksum of JSON values."""
    return sha256(json.dumps(parts, sort_keys=True, default=str).encode()).hexdigest()[:32]


class _Process:
    session: Session | None = None


def _start(context: Context, num_threads: int) -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C reaches the starting process, which ends the others
    set_num_threads(num_threads)
    _Process.session = Session(context)


def _run(task: Task) -> dict[str, Any]:
    assert _Process.session is not None  # `_start` made it
    with hidden_progress():
        return task.run(_Process.session)


def run_tasks(context: Context, tasks: Sequence[Task], jobs: int) -> Iterator[tuple[int, dict[str, Any]]]:
    """Yields index and result of tasks as they are done, in any order.

    Args:
        context: what all tasks share.
        tasks: the tasks.
        jobs: number of processes; 1 works in this process.

    Raises:
        UserError: a task failed, or a process was killed.
    """
    jobs = min(jobs, len(tasks))
    if jobs <= 1:
        session = Session(context)
        for index, task in enumerate(tasks):
            with hidden_progress():
                result = task.run(session)
            yield index, result
        return
    threads = max((os.cpu_count() or 1) // jobs, 1)
    # A fork would share ONNX Runtime's threads.
    pool = ProcessPoolExecutor(
        jobs, multiprocessing.get_context("spawn"), initializer=_start, initargs=(context, threads)
    )
    try:
        waiting = {pool.submit(_run, task): index for index, task in enumerate(tasks)}
        for future in as_completed(waiting):
            yield waiting[future], future.result()
    except BrokenProcessPool as error:
        raise UserError(
            "a process that animates was ended by the system",
            hint="It most likely ran out of memory: give fewer --jobs. The same command goes on where it stopped.",
        ) from error
    finally:
        pool.shutdown(wait=False, cancel_futures=True)
