"""Writes files and folders atomically, whole or not at all, and formats JSON for people; computes checksums."""

from __future__ import annotations

import hashlib
import json
import os
import zipfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any

from audio2face.errors import UserError
from audio2face.io.claims import temporary_file, temporary_folder

if TYPE_CHECKING:
    from audio2face.types import AnyArray  # NumPy is loaded by the array writers only: configurations start without it

_JSON_WIDTH = 120
_DIGEST_BLOCK = 1 << 20


@contextmanager
def atomic_write(path: Path) -> Iterator[IO[bytes]]:
    """Opens a temporary binary file that takes the name `path` when the block ends without an exception.

    The folder of `path` is made where it is missing. When the block raises, or the disk is full, nothing is left
    behind, and an existing file at `path` stays unchanged.

    Raises:
        UserError: the file cannot be written (disk full, no permission, a parent that is a file).
    """
    path = Path(path)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with temporary_file(path.parent, path.name[:80]) as (temporary, descriptor):
            # The descriptor holds the lock: it stays open until the file has its name.
            with os.fdopen(descriptor, "wb", closefd=False) as handle:
                yield handle
                handle.flush()
                os.fsync(descriptor)
            temporary.chmod(0o666 & ~_umask())
            temporary.replace(path)
        _fsync_folder(path.parent)
    except OSError as error:
        raise UserError(
            f"could not be written: {error.strerror or error}",
            path=path,
            hint="Check free disk space, permissions, and that every part of the path is a folder.",
        ) from error


def _umask() -> int:
    """Returns the process's file mode mask (the only call that reads it also sets it)."""
    mask = os.umask(0o022)
    os.umask(mask)
    return mask


def _fsync_folder(folder: Path) -> None:
    """Makes a rename durable, where the system can open folders (not on Windows)."""
    with suppress(OSError):
        descriptor = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)


@contextmanager
def atomic_folder(path: Path) -> Iterator[Path]:
    """Yields an empty temporary folder that takes the name `path`, with all its files, when the block ends normally.

    When the block raises nothing is left behind; when the process is killed, a folder `.<name>.*.tmp` beside it, which
    the next call removes.

    Raises:
        UserError: the folder cannot be written (disk full, no permission), or there is one at `path` already.
    """
    path = Path(path)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with temporary_folder(path.parent, path.name[:80]) as temporary:
            yield temporary
            make_durable(temporary)
            temporary.rename(path)
        _fsync_folder(path.parent)
    except OSError as error:
        raise UserError(
            f"could not be written: {error.strerror or error}",
            path=path,
            hint="Check free disk space, permissions, and that every part of the path is a folder.",
        ) from error


def make_durable(folder: Path) -> None:
    """Waits until all contents of a folder, at any depth, are on the disk."""
    for found in [*folder.rglob("*"), folder]:
        _fsync(found)


@contextmanager
def atomic_files(folder: Path) -> Iterator[Path]:
    """Yields an empty temporary folder whose files move into `folder` together when the block ends normally.

    `folder` is made where it is missing; files that are there under the same names are replaced. When the block raises
    nothing is left behind, and existing files stay unchanged.

    Raises:
        UserError: a file cannot be written (disk full, no permission).
    """
    folder = Path(folder)
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with temporary_folder(folder, "files") as temporary:
            yield temporary
            finished = sorted(temporary.iterdir())
            for file in finished:
                _fsync(file)
            for file in finished:
                file.replace(folder / file.name)
            _fsync_folder(folder)
    except OSError as error:
        raise UserError(
            f"could not be written: {error.strerror or error}",
            path=folder,
            hint="Check free disk space, permissions, and that every part of the path is a folder.",
        ) from error


def _fsync(path: Path) -> None:
    """Makes the content of a file or folder durable."""
    if path.is_dir():
        _fsync_folder(path)
        return
    with path.open("rb+") as handle:
        os.fsync(handle.fileno())


def write_text(path: Path, text: str) -> None:
    """Writes UTF-8 text atomically, without changing its line feeds."""
    with atomic_write(path) as handle:
        handle.write(text.encode("utf-8"))


def write_json(path: Path, value: Any) -> None:
    """Writes `value` atomically in the style of `pretty_json`, without a trailing newline."""
    write_text(path, pretty_json(value))


def write_npy(path: Path, array: AnyArray) -> None:
    """Writes one array atomically, C-ordered, never as objects."""
    import numpy as np

    with atomic_write(path) as handle:
        np.save(handle, np.ascontiguousarray(array), allow_pickle=False)


def write_npz(path: Path, arrays: Mapping[str, AnyArray]) -> None:
    """Writes named arrays atomically: uncompressed, C-ordered, in the order given, never as objects."""
    import numpy as np

    # np.savez takes the names as its own arguments, so that no array could be called "file".
    with atomic_write(path) as handle, zipfile.ZipFile(handle, "w") as archive:
        for name, array in arrays.items():
            with archive.open(zipfile.ZipInfo(f"{name}.npy"), "w", force_zip64=True) as member:
                np.lib.format.write_array(member, np.asarray(array, order="C"), allow_pickle=False)


def pretty_json(value: Any, indent: int = 0) -> str:
    """Formats JSON for people: 4 spaces of indent, one key per line.

    A list of numbers takes one line; a list of strings one line per string; any other list one line of at most 120
    characters, or else one line per item.
    """
    inner, outer = " " * (indent + 4), " " * indent
    if isinstance(value, Mapping):
        if not value:
            return "{}"
        rows = [f"{inner}{json.dumps(str(key))}: {pretty_json(item, indent + 4)}" for key, item in value.items()]
        return "{\n" + ",\n".join(rows) + "\n" + outer + "}"
    if isinstance(value, list | tuple):
        return _pretty_list(list(value), indent)
    return json.dumps(value, allow_nan=False)


def _pretty_list(items: list[Any], indent: int) -> str:
    if not items:
        return "[]"
    inner, outer = " " * (indent + 4), " " * indent
    one_line = json.dumps(items, allow_nan=False)
    if all(isinstance(item, int | float) for item in items):
        return one_line
    if not all(isinstance(item, str) for item in items) and len(one_line) <= _JSON_WIDTH:
        return one_line
    rows = [f"{inner}{pretty_json(item, indent + 4)}" for item in items]
    return "[\n" + ",\n".join(rows) + "\n" + outer + "]"


def file_sha256(path: Path) -> str:
    """Computes the SHA-256 of a file, in hexadecimal.

    Raises:
        UserError: the file cannot be read.
    """
    digest = hashlib.sha256()
    try:
        with path.open("rb") as handle:
            while block := handle.read(_DIGEST_BLOCK):
                digest.update(block)
    except OSError as error:
        raise UserError(f"cannot be read: {error.strerror or error}", path=path) from error
    return digest.hexdigest()
