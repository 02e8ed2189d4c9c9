"""How much memory of its own a stretch of work took at most: pages of mapped files do not count."""

from __future__ import annotations

import threading
from pathlib import Path
from types import TracebackType

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
