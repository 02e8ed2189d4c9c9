"""Memory-mapped files, with a bounded number of open mappings.

Each mapping takes a handle of the system, of which a process may have a thousand or fewer. Mappings are therefore
requested at each use, and the most recently used ones stay open.
"""

from __future__ import annotations

import mmap
import os
import threading
from collections import OrderedDict
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from audio2face.errors import FileFormatError, UserError, missing_file
from audio2face.types import AnyArray

# Enough for every thread to read from several files; opening a file again costs some 20 microseconds.
_MOST_OPEN = 16


@dataclass(frozen=True)
class MappedFile:
    """A file that is mapped on request, as long as it is unchanged since it was opened.

    Attributes:
        path: the file.
        size: its length in bytes, at least 1.
        stamp: identifies this version of the file.
    """

    path: Path
    size: int
    stamp: tuple[int, int, int]

    @classmethod
    def open(cls, path: Path) -> MappedFile:
        """Opens a file; its mapping stays open while it is among the most recently used ones.

        Raises:
            FileFormatError: the file is empty.
            UserError: the file cannot be opened.
        """
        return _map(path)[0]

    def content(self) -> mmap.mmap:
        """Returns the bytes of the file. Keeping them, or a view of them, keeps a handle.

        Raises:
            FileFormatError: the file has changed since it was opened.
            UserError: the file cannot be opened any more.
        """
        mapped = _POOL.get(self)
        if mapped is not None:
            return mapped
        again, mapped = _map(self.path)
        if again != self:
            raise FileFormatError(
                "was changed while it was in use", path=self.path, hint="Leave the data alone while a stage reads them."
            )
        return mapped


class _Pool:
    """The most recently used mappings, shared by all threads of the process."""

    def __init__(self) -> None:
        self._mapped: OrderedDict[MappedFile, mmap.mmap] = OrderedDict()
        self._lock = threading.Lock()

    def get(self, file: MappedFile) -> mmap.mmap | None:
        with self._lock:
            if file in self._mapped:
                self._mapped.move_to_end(file)
            return self._mapped.get(file)

    def put(self, file: MappedFile, mapped: mmap.mmap) -> None:
        """Adds a mapping. The one that it replaces is closed when its last view is released."""
        with self._lock:
            self._mapped[file] = mapped
            self._mapped.move_to_end(file)
            while len(self._mapped) > _MOST_OPEN:
                self._mapped.popitem(last=False)


_POOL = _Pool()


def _map(path: Path) -> tuple[MappedFile, mmap.mmap]:
    """Maps a whole file for reading."""
    try:
        with path.open("rb") as handle:
            status = os.fstat(handle.fileno())
            if status.st_size == 0:
                raise FileFormatError("is empty", path=path, offset=0)
            mapped = mmap.mmap(handle.fileno(), 0, access=mmap.ACCESS_READ)
    except OSError as error:
        raise unreadable(path, error) from error
    file = MappedFile(path, status.st_size, (status.st_mtime_ns, status.st_dev, status.st_ino))
    _POOL.put(file, mapped)
    return file, mapped


def unreadable(path: Path, error: OSError) -> UserError:
    """Creates the error for a file that the system cannot open."""
    problem = f"cannot be read: {error.strerror or error}"
    if isinstance(error, FileNotFoundError):
        return missing_file(problem, path, "Check the path in config_dataset.py.")
    return UserError(problem, path=path)


@dataclass(frozen=True)
class MappedArray:
    """An array within a mapped file.

    Attributes:
        file: the file.
        dtype: type of the numbers as stored.
        shape: lengths of the axes.
        offset: position of the first number, in bytes.
        strides: distances of neighbours along each axis, in bytes; None for C order.
    """

    file: MappedFile
    dtype: np.dtype[Any]
    shape: tuple[int, ...]
    offset: int
    strides: tuple[int, ...] | None = None

    def __len__(self) -> int:
        """Length of the first axis."""
        return self.shape[0]

    @property
    def view(self) -> AnyArray:
        """Returns the array, read-only, for immediate use: keeping it keeps a handle.

        Raises:
            UserError: the file cannot be opened any more, or (FileFormatError) has changed.
        """
        return np.ndarray(self.shape, self.dtype, self.file.content(), self.offset, self.strides)
