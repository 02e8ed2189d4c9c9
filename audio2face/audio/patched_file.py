"""A file of which a few bytes read otherwise than they stand: headers that their program could not finish."""

from __future__ import annotations

import io
from collections.abc import Mapping
from pathlib import Path
from typing import Any


class PatchedFile(io.RawIOBase):
    """Reads a file with some bytes replaced.

    Args:
        path: the file.
        replaced: bytes that take the place of what stands there, by their position.

    Raises:
        OSError: the file cannot be opened.
    """

    def __init__(self, path: Path, replaced: Mapping[int, bytes]) -> None:
        super().__init__()
        self._file = path.open("rb")
        self._replaced = dict(replaced)

    def readable(self) -> bool:
        """True."""
        return True

    def seekable(self) -> bool:
        """True."""
        return True

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        """Moves to a position in bytes."""
        return self._file.seek(offset, whence)

    def tell(self) -> int:
        """The position in bytes."""
        return self._file.tell()

    def readinto(self, buffer: Any) -> int:
        """Fills a buffer from the position on; the number of bytes that were left."""
        start = self._file.tell()
        view = memoryview(buffer).cast("B")
        count = self._file.readinto(view)
        for at, data in self._replaced.items():
            first, last = max(at, start), min(at + len(data), start + count)
            if first < last:
                view[first - start : last - start] = data[first - at : last - at]
        return count

    def close(self) -> None:
        """Closes the file."""
        self._file.close()
        super().close()
