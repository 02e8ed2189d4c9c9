"""Processes that score shots at the same time, with progress, and results kept for a repeated call."""

from __future__ import annotations

import json
import multiprocessing
import os
import signal
from collections.abc import Iterator, Sequence
from concurrent.futures import Future, ProcessPoolExecutor, as_completed
from concurrent.futures.process import BrokenProcessPool
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from typing import Any

from audio2face.errors import UserError
from audio2face.evaluator.scoring import Context, Scorer, ScoreTask
from audio2face.inference import set_num_threads
from audio2face.io.arrays import read_json
from audio2face.io.atomic import write_json

Records = dict[str, dict[str, Any]]


@dataclass(frozen=True)
class KeptScores:
    """Scores of earlier calls in a folder, one file per shot and subject or group of subjects.

    Attributes:
        folder: of the files.
    """

    folder: Path

    def read(self, key: str) -> Records | None:
        """The scores of a key; None where there are none, or the file is damaged."""
        path = self.folder / f"{key}.json"
        try:
            found = read_json(path) if path.is_file() else None
        except UserError:
            return None
        return found if isinstance(found, dict) else None

    def write(self, key: str, records: Records) -> None:
        """Keeps scores."""
        write_json(self.folder / f"{key}.json", records)


def digest(*parts: Any) -> str:
    """A checksum of JSON values."""
    return sha256(json.dumps(parts, sort_keys=True, default=str).encode()).hexdigest()[:32]


class _Process:
    scorer: Scorer | None = None


def _start(context: Context, num_threads: int) -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C reaches the starting process, which ends the others
    set_num_threads(num_threads)
    _Process.scorer = Scorer(context)


def _score(task: ScoreTask) -> Records:
    assert _Process.scorer is not None  # `_start` made it
    return _Process.scorer.score(task)


def score_all(context: Context, tasks: Sequence[ScoreTask], jobs: int) -> Iterator[tuple[ScoreTask, Records]]:
    """Yields the scores of tasks as they are done, in any order.

    Args:
        context: what all tasks share.
        tasks: the tasks.
        jobs: number of processes; 1 scores in this process.

    Raises:
        UserError: a shot cannot be animated, or a process was killed.
    """
    jobs = min(jobs, len(tasks))
    if jobs <= 1:
        scorer = Scorer(context)
        for task in tasks:
            yield task, scorer.score(task)
        return
    threads = max((os.cpu_count() or 1) // jobs, 1)
    # A fork would share ONNX Runtime's threads.
    pool = ProcessPoolExecutor(
        jobs, multiprocessing.get_context("spawn"), initializer=_start, initargs=(context, threads)
    )
    try:
        waiting: dict[Future[Records], ScoreTask] = {pool.submit(_score, task): task for task in tasks}
        for future in as_completed(waiting):
            yield waiting[future], future.result()
    except BrokenProcessPool as error:
        raise UserError(
            "a process that animates was ended by the system",
            hint="It most likely ran out of memory: give fewer --jobs. The same command goes on where it stopped.",
        ) from error
    finally:
        pool.shutdown(wait=False, cancel_futures=True)
