"""Runs preprocessing as resumable steps, in threads, and measures peak memory without pages of mapped files."""

from __future__ import annotations

import os
import shutil
import threading
from collections.abc import Callable, Generator, Iterator, Mapping
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from types import TracebackType
from typing import TypeVar

import numpy as np

from audio2face.errors import UserError
from audio2face.io.arrays import Archive
from audio2face.io.atomic import write_npz
from audio2face.types import AnyArray

_INTERVAL = 0.2  # seconds
_STATUS = Path("/proc/self/status")


class PeakMemory:
    """Samples the process's anonymous memory in a thread while the block runs.

    Attributes:
        peak_bytes: the largest value seen; None on systems that do not report it (all but Linux).
    """

    def __init__(self) -> None:
        self.peak_bytes: int | None = None
        self._done = threading.Event()
        self._thread = threading.Thread(target=self._sample, name="peak memory", daemon=True)

    def __enter__(self) -> PeakMemory:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._done.set()
        self._thread.join()

    def _sample(self) -> None:
        while True:
            found = anonymous_bytes()
            if found is None:
                return
            self.peak_bytes = max(self.peak_bytes or 0, found)
            if self._done.wait(_INTERVAL):
                return


def anonymous_bytes() -> int | None:
    """Returns the process's anonymous memory in RAM; None if the system does not report it."""
    try:
        lines = _STATUS.read_text().splitlines()
    except OSError:
        return None
    return next((int(line.split()[1]) << 10 for line in lines if line.startswith("RssAnon:")), None)


Item = TypeVar("Item")
Result = TypeVar("Result")
Arrays = Mapping[str, AnyArray]
# A generator that does the work; it yields the current activity, and the share of the stage just completed.
Steps = Generator[tuple[str, float], None, Result]

# Each holds a block of poses in float64; more threads would only wait for memory.
_MOST_WORKERS = 4


@dataclass(frozen=True)
class StepStore:
    """An unfinished run folder with the results of finished steps, each written atomically.

    Attributes:
        run: the run folder.
    """

    run: Path

    @property
    def folder(self) -> Path:
        """Folder of the results until the run is finished."""
        return self.run / "work"

    def once(self, name: str, make: Callable[[], Arrays]) -> dict[str, AnyArray]:
        """Returns the arrays of a step: read if it is finished, otherwise computed and stored."""
        path = self.folder / f"{name}.npz"
        if not path.is_file():
            made = {array: np.asarray(values) for array, values in make().items()}
            write_npz(path, made)
            return made
        archive = Archive.open(path)
        return {array: archive.read(array) for array in archive.members}

    def read(self, name: str, array: str) -> AnyArray:
        """Reads one array of a finished step."""
        return Archive.open(self.folder / f"{name}.npz").read(array)

    def drop(self) -> None:
        """Removes all intermediate results."""
        shutil.rmtree(self.folder, ignore_errors=True)

    def has(self, name: str) -> bool:
        """Whether a step is finished."""
        return (self.folder / f"{name}.npz").is_file()


def each_shot(
    shots: Mapping[str, Item], work: Callable[[str, Item], Result], num_workers: int | None
) -> Iterator[tuple[str, Result]]:
    """Processes all shots in threads and yields results as they finish.

    Threads suffice: reading and matrix products release the interpreter lock.

    Args:
        shots: the items to process, by name.
        work: called with name and item.
        num_workers: number of threads; None for the number of processors, up to 4.

    Raises:
        UserError: that of the first failed shot, with its name; remaining shots are skipped.
    """
    workers = num_workers or min(os.cpu_count() or 1, _MOST_WORKERS)
    pool = ThreadPoolExecutor(workers)
    left, running = iter(shots.items()), dict[Future[Result], str]()
    try:
        while True:
            # Only as many as keep the threads busy: finished results take memory until they are consumed.
            for name, item in islice(left, 2 * workers - len(running)):
                running[pool.submit(work, name, item)] = name
            if not running:
                return
            future = next(iter(wait(running, return_when=FIRST_COMPLETED).done))
            name = running.pop(future)
            yield name, _result(name, future)
    finally:
        # Also when the consumer stops: running work is awaited, so that no thread outlives the run.
        pool.shutdown(cancel_futures=True)


def _result(name: str, future: Future[Result]) -> Result:
    try:
        return future.result()
    except UserError as error:
        raise UserError(f"shot {name}: {error.problem}", path=error.path, hint=error.hint) from error
