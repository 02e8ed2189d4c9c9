"""Locks files and folders for one process, so that leftovers of killed processes can be recognised and removed.

The locks are those of the operating system (flock), which end with the process that holds them, however it ends. On a
file system without such locks everything counts as locked and is left alone.

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
    """Another process holds the lock."""


@contextmanager
def temporary_file(folder: Path, stem: str) -> Iterator[tuple[Path, int]]:
    """Yields a new, empty file `.<stem>.<n>.tmp` and its descriptor, open for writing.

    The file is removed at the end unless it was renamed. A leftover of a killed process under that name is reused.

    Raises:
        OSError: it cannot be made.
    """
    path, descriptor = _claim_first(folder, stem, _open_file)
    try:
        os.ftruncate(descriptor, 0)
        yield path, descriptor
    finally:
        # The file gets its name before the lock is released: otherwise another process could take it for a leftover.
        if _is_same(path, descriptor):
            with suppress(OSError):
                path.unlink()
        os.close(descriptor)


@contextmanager
def temporary_folder(folder: Path, stem: str) -> Iterator[Path]:
    """Yields a new, empty folder `.<stem>.<n>.tmp`, which is removed at the end unless it was renamed.

    Leftovers of killed processes with that stem are removed.

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
    """Removes temporary files and folders of processes that have ended.

    Args:
        folder: the folder that holds them.
        pattern: glob pattern of their names.
        everywhere: whether to search all folders below as well.
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
    """Runs the block in one process at a time; the others wait.

    Args:
        path: an existing folder, or a lock file, which is created (with its folder) and removed afterwards.
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
    """Yields True in one process at a time; False, without waiting, where another process is in the block.

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
    path.parent.mkdir(parents=True, exist_ok=True)  # each time: the previous holder may have removed it
    descriptor = os.open(path, os.O_RDONLY if path.is_dir() else os.O_RDWR | os.O_CREAT, 0o666)
    try:
        return _claim(path, descriptor, unknown=True)
    except _InUseError:
        return None


def _leave(path: Path, descriptor: int) -> None:
    """Removes the file while it is locked, so that a process that opened it meanwhile sees that its name is gone."""
    with suppress(OSError):
        if stat.S_ISREG(os.fstat(descriptor).st_mode) and _is_same(path, descriptor):
            path.unlink()
    os.close(descriptor)


def _claim_first(folder: Path, stem: str, opener: Callable[[Path], int]) -> tuple[Path, int]:
    """Locks the first name that no running process uses."""
    for number in itertools.count():
        path = folder / f".{stem}.{number}{_SUFFIX}"
        with suppress(_InUseError):
            return path, opener(path)
    raise AssertionError


def _open_file(path: Path) -> int:
    try:
        # A file created here belongs to this process, also on file systems without locks.
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
    """Opens an existing plain file or folder that no process uses; links are refused."""
    try:
        descriptor = os.open(path, mode | os.O_NOFOLLOW | os.O_NONBLOCK)
    except OSError as error:
        raise _InUseError from error
    return _claim(path, descriptor, unknown=False)


def _claim(path: Path, descriptor: int, *, unknown: bool) -> int:
    """Locks an open file or folder until it is closed, and returns its descriptor.

    Raises:
        _InUseError: another process holds the lock, or has removed or renamed it meanwhile; without `unknown`, also on
            a file system without locks.
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
    """Takes the lock; returns False where another process holds it, and `unknown` on a file system without locks."""
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        return False if error.errno in _IN_USE else unknown
    return True


def _is_same(path: Path, descriptor: int) -> bool:
    """Returns whether a name still belongs to the plain file or folder that was opened."""
    try:
        named, opened = path.lstat(), os.fstat(descriptor)
    except OSError:
        return False
    plain = stat.S_ISREG(opened.st_mode) or stat.S_ISDIR(opened.st_mode)
    return plain and (named.st_dev, named.st_ino) == (opened.st_dev, opened.st_ino)


def is_locked(path: Path) -> bool:
    """Returns whether a process holds the lock file of `exclusive`; False where there is no such file."""
    try:
        descriptor = os.open(path, os.O_RDONLY)
    except OSError:
        return False
    try:
        # A shared lock: several that only ask do not take one another for the holder.
        fcntl.flock(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except OSError:
        return True
    finally:
        os.close(descriptor)
    return False
