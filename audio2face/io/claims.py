"""Claims on files and folders: they end with the process that made them, however it ends.

A claim is a lock of the operating system (flock), so that what a killed process left is told from what a living one
works on. Where a file system knows no such locks, everything passes for claimed and is left alone.
"""

from __future__ import annotations

import errno
import fcntl
import itertools
import os
import shutil
import stat
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

_SUFFIX = ".tmp"
_WAIT_SECONDS = 0.2
_IN_USE = {errno.EAGAIN, errno.EACCES}


class _InUseError(Exception):
    """Another process holds the claim."""


@contextmanager
def temporary_file(folder: Path, stem: str) -> Iterator[tuple[Path, int]]:
    """A new, empty file `.<stem>.<n>.tmp` and its descriptor, open for writing; removed at the end where it is left.

    What a killed process left under that name is used again.

    Raises:
        OSError: it cannot be made.
    """
    path, descriptor = _claim_first(folder, stem, _open_file)
    try:
        os.ftruncate(descriptor, 0)
        yield path, descriptor
    finally:
        # First the name, then the claim: between the two nobody may take the one for a leftover.
        if _is_same(path, descriptor):
            with suppress(OSError):
                path.unlink()
        os.close(descriptor)


@contextmanager
def temporary_folder(folder: Path, stem: str) -> Iterator[Path]:
    """A new, empty folder `.<stem>.<n>.tmp`; removed at the end where it is left.

    Others of that stem, which killed processes left, are removed.

    Raises:
        OSError: it cannot be made.
    """
    remove_leftovers(folder, f".{stem}.*")
    path, descriptor = _claim_first(folder, stem, _open_folder)
    try:
        yield path
    finally:
        if _is_same(path, descriptor):
            shutil.rmtree(path, ignore_errors=True)
        os.close(descriptor)


def remove_leftovers(folder: Path, pattern: str = f".*{_SUFFIX}", *, everywhere: bool = False) -> None:
    """Removes temporary files and folders of processes that are gone.

    Args:
        folder: where they lie.
        pattern: of their names.
        everywhere: also in the folders below.
    """
    found = folder.rglob(pattern) if everywhere else folder.glob(pattern)
    for path in list(found):
        with suppress(OSError, _InUseError):
            descriptor = _open_leftover(path, os.O_RDONLY)
            try:
                if path.is_dir():
                    shutil.rmtree(path, ignore_errors=True)
                else:
                    path.unlink(missing_ok=True)
            finally:
                os.close(descriptor)


@contextmanager
def exclusive(path: Path, waiting: Callable[[], object] = lambda: None) -> Iterator[None]:
    """Lets one process at a time into the block; the others wait.

    Args:
        path: a folder that is there, or a file, which is there meanwhile; its folder is made where it is missing.
        waiting: called once, before this process waits for another.

    Raises:
        OSError: the file cannot be made.
    """
    descriptor = _enter(path)
    if descriptor is None:
        waiting()
    while descriptor is None:
        time.sleep(_WAIT_SECONDS)
        descriptor = _enter(path)
    try:
        yield
    finally:
        _leave(path, descriptor)


@contextmanager
def exclusive_or_fail(path: Path) -> Iterator[bool]:
    """As `exclusive`, without waiting: gives False where another process is in the block.

    Raises:
        OSError: the file cannot be made.
    """
    descriptor = _enter(path)
    try:
        yield descriptor is not None
    finally:
        if descriptor is not None:
            _leave(path, descriptor)


def _enter(path: Path) -> int | None:
    path.parent.mkdir(parents=True, exist_ok=True)  # each time: whoever left may have taken it back
    descriptor = os.open(path, os.O_RDONLY if path.is_dir() else os.O_RDWR | os.O_CREAT, 0o666)
    try:
        return _claim(path, descriptor, unknown=True)
    except _InUseError:
        return None


def _leave(path: Path, descriptor: int) -> None:
    """Removes the file while it is still locked: whoever has opened it meanwhile sees that its name is gone."""
    with suppress(OSError):
        if stat.S_ISREG(os.fstat(descriptor).st_mode) and _is_same(path, descriptor):
            path.unlink()
    os.close(descriptor)


def _claim_first(folder: Path, stem: str, opener: Callable[[Path], int]) -> tuple[Path, int]:
    """The first name that no living process works on."""
    for number in itertools.count():
        path = folder / f".{stem}.{number}{_SUFFIX}"
        with suppress(_InUseError):
            return path, opener(path)
    raise AssertionError


def _open_file(path: Path) -> int:
    try:
        # What is made here is this process's, also where no locks are known.
        return _claim(path, os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL, 0o600), unknown=True)
    except FileExistsError:
        return _open_leftover(path, os.O_RDWR)


def _open_folder(path: Path) -> int:
    try:
        path.mkdir()
    except FileExistsError as error:
        raise _InUseError from error  # leftovers have been removed before
    return _claim(path, os.open(path, os.O_RDONLY), unknown=True)


def _open_leftover(path: Path, mode: int) -> int:
    """Opens what is there, if it is a plain file or folder that nobody works on; no link is followed."""
    try:
        descriptor = os.open(path, mode | os.O_NOFOLLOW | os.O_NONBLOCK)
    except OSError as error:
        raise _InUseError from error
    return _claim(path, descriptor, unknown=False)


def _claim(path: Path, descriptor: int, *, unknown: bool) -> int:
    """Locks what was opened, for as long as it stays open; gives it back.

    Raises:
        _InUseError: another process has it, or has removed or renamed it meanwhile; without `unknown`, also where the
            file system cannot tell.
    """
    try:
        if _lock(descriptor, unknown=unknown) and _is_same(path, descriptor):
            return descriptor
    except BaseException:
        os.close(descriptor)
        raise
    os.close(descriptor)
    raise _InUseError


def _lock(descriptor: int, *, unknown: bool = True) -> bool:
    """Takes the lock; False where another process has it, `unknown` where the file system has no locks."""
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        return False if error.errno in _IN_USE else unknown
    return True


def _is_same(path: Path, descriptor: int) -> bool:
    """Whether a name still stands for what was opened, which is a plain file or folder."""
    try:
        named, opened = path.lstat(), os.fstat(descriptor)
    except OSError:
        return False
    plain = stat.S_ISREG(opened.st_mode) or stat.S_ISDIR(opened.st_mode)
    return plain and (named.st_dev, named.st_ino) == (opened.st_dev, opened.st_ino)
