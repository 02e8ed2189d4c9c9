"""How much memory of its own a stretch of work took at most: pages of mapped files do not count."""

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

from audio2face.errors import UserError
from audio2face.io.arrays import Archive
from audio2face.io.atomic import write_npz
from audio2face.types import AnyArray

_INTERVAL = 0.2  # seconds
_STATUS = Path("/proc/self/status")


class PeakMemory:
    """Samples the process's anonymous memory in a thread while the block runs.

    Attributes:
        peak_bytes: the largest value seen; None on systems that do not tell (all but Linux).
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
    """The process's anonymous memory in RAM now; None where the system does not tell."""
    try:
        lines = _STATUS.read_text().splitlines()
    except OSError:
        return None
    return next((int(line.split()[1]) << 10 for line in lines if line.startswith("RssAnon:")), None)


Item = TypeVar("Item")
Result = TypeVar("Result")
Arrays = Mapping[str, AnyArray]
# Does the work while it is gone through: what goes on, and the share of the whole stage just done.
Steps = Generator[tuple[str, float], None, Result]

# Each holds a block of poses in float64; more threads only wait for memory.
_MOST_WORKERS = 4


@dataclass(frozen=True)
class StepStore:
    """A run folder in the making, with the results of finished steps in it; each is there whole or not at all.

    Attributes:
        run: the run folder.
    """

    run: Path

    @property
    def folder(self) -> Path:
        """Where results lie until the run is whole."""
        return self.run / "work"

    def once(self, name: str, make: Callable[[], Arrays]) -> dict[str, AnyArray]:
        """The arrays of a step: read where it is done, otherwise made and kept."""
        path = self.folder / f"{name}.npz"
        if not path.is_file():
            write_npz(path, make())
        archive = Archive.open(path)
        return {array: archive.read(array) for array in archive.members}

    def read(self, name: str, array: str) -> AnyArray:
        """One array of a step that is done."""
        return Archive.open(self.folder / f"{name}.npz").read(array)

    def drop(self) -> None:
        """Removes all results, once nothing needs them any more."""
        shutil.rmtree(self.folder, ignore_errors=True)

    def has(self, name: str) -> bool:
        """Whether a step is done."""
        return (self.folder / f"{name}.npz").is_file()


def each_shot(
    shots: Mapping[str, Item], work: Callable[[str, Item], Result], num_workers: int | None
) -> Iterator[tuple[str, Result]]:
    """Works on all shots in threads and gives results as they come.

    Threads do: reading and the products of matrices leave the interpreter free.

    Args:
        shots: what to work on, by name.
        work: called with name and item.
        num_workers: number of threads; as many as there are processors, up to 4, where None.

    Raises:
        UserError: that of the first shot that failed, with its name; shots not yet begun are left.
    """
    workers = num_workers or min(os.cpu_count() or 1, _MOST_WORKERS)
    pool = ThreadPoolExecutor(workers)
    left, running = iter(shots.items()), dict[Future[Result], str]()
    try:
        while True:
            # No more than what keeps the threads at work: a result that nobody has asked for yet takes memory.
            for name, item in islice(left, 2 * workers - len(running)):
                running[pool.submit(work, name, item)] = name
            if not running:
                return
            future = next(iter(wait(running, return_when=FIRST_COMPLETED).done))
            name = running.pop(future)
            yield name, _result(name, future)
    finally:
        # Also when the consumer stops: what runs is waited for, so that no thread outlives the run.
        pool.shutdown(cancel_futures=True)


def _result(name: str, future: Future[Result]) -> Result:
    try:
        return future.result()
    except UserError as error:
        raise UserError(f"shot {name}: {error.problem}", path=error.path, hint=error.hint) from error
