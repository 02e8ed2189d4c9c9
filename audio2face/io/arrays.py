"""Reads single arrays (.npy), archives of named arrays (.npz) and JSON files, which may be damaged or hostile.

Objects are never unpickled, and the memory taken is bounded by the file's own size.

"""

from __future__ import annotations

import json
import struct
import tokenize
import zipfile
import zlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from itertools import permutations
from pathlib import Path
from typing import Any, TypeVar

import numpy as np

from audio2face.errors import FileFormatError, UserError, missing_file, reason_of
from audio2face.io.npz import Member, read_header, read_member, read_members
from audio2face.types import AnyArray, Float32Array

Result = TypeVar("Result")

# What numpy, zipfile and the decompressors raise when a file's bytes are not what they should be.
_DAMAGE = (
    ValueError,
    OSError,
    EOFError,
    TypeError,
    KeyError,
    IndexError,
    SyntaxError,
    MemoryError,
    OverflowError,
    RecursionError,
    RuntimeError,
    struct.error,
    tokenize.TokenError,
    zipfile.BadZipFile,
    zlib.error,
)
_JSON = "JSON file"
_JSON_HINT = "Correct it in a text editor at the position given, or write it with Python's json.dump."
_MOST_NAMED = 8  # arrays of an archive that a message lists
_NPY_MAGIC = b"\x93NUMPY"
_OBJECTS_HINT = (
    "NumPy creates such an array from rows of different lengths. Give all rows one length and one type of number, for "
    "instance by np.stack(rows).astype(np.float32), and save that."
)


def _guarded(path: Path, what: str, read: Callable[[], Result]) -> Result:
    """Runs a reader and turns its failures into the error type for files."""
    if not path.is_file():
        raise missing_file(f"there is no such {what}", path, "Check the path in config_dataset.py.")
    try:
        return read()
    except UserError:
        raise
    except _DAMAGE as error:
        hint = _JSON_HINT if what == _JSON and isinstance(error, ValueError) else "Export the file once more."
        raise FileFormatError(f"is not a readable {what}: {reason_of(error)}", path=path, hint=hint) from error


def read_npy(path: Path) -> AnyArray:
    """Maps one array from a `.npy` file, of any type and shape, read-only.

    Raises:
        UserError: the file is missing, or (FileFormatError) it is damaged, too short, or holds Python objects.
    """
    return _guarded(path, ".npy array", lambda: _map_npy(path))


def _map_npy(path: Path) -> AnyArray:
    with path.open("rb") as handle:
        magic = handle.read(len(_NPY_MAGIC))
        if magic != _NPY_MAGIC:
            raise FileFormatError(
                f"is not a readable .npy array: it begins with {magic!r}",
                path=path,
                hint="Write it with numpy.save, one array per file.",
            )
        handle.seek(0)
        if read_header(handle)[2].hasobject:
            raise FileFormatError("holds Python objects instead of numbers", path=path, hint=_OBJECTS_HINT)
    array: AnyArray = np.load(path, mmap_mode="r", allow_pickle=False)
    return array


def read_points(path: Path, shape: tuple[int | None, ...]) -> Float32Array:
    """Reads a numeric array of a given shape from a `.npy` file.

    Args:
        path: the file.
        shape: its expected shape, such as `(None, 3)`; None accepts any positive length.

    Returns:
        The array as float32, in memory.

    Raises:
        UserError: the file is missing, or (FileFormatError) it is damaged, holds Python objects, or its array is not
            numeric or not of this shape.
    """
    array = read_npy(path)
    require_shape(path, array.shape, array.dtype, shape)
    with np.errstate(over="ignore"):
        return np.array(array, np.float32)


def require_shape(path: Path, found: tuple[int, ...], dtype: np.dtype[Any], shape: tuple[int | None, ...]) -> None:
    """Raises FileFormatError where an array is not numeric or not of the expected shape (None: any length)."""
    expected = "[" + ", ".join("any" if length is None else str(length) for length in shape) + "]"
    if not _fits(found, shape):
        raise FileFormatError(
            f"has the shape {list(found)}, expected {expected}", path=path, hint=_shape_hint(found, shape)
        )
    if dtype.kind not in "fiu":
        hint = "Save numbers: numpy.save(path, array.astype(numpy.float32))."
        raise FileFormatError(f"holds values of type {dtype}, expected float32", path=path, hint=hint)


def _fits(found: tuple[int, ...], shape: tuple[int | None, ...]) -> bool:
    return len(found) == len(shape) and all(
        have > 0 and want in (None, have) for have, want in zip(found, shape, strict=True)
    )


def _shape_hint(found: tuple[int, ...], shape: tuple[int | None, ...]) -> str:
    """Suggests a fix for an array of a wrong shape."""
    if 0 in found:
        return "It is empty: save the values that belong here."
    if len(found) == len(shape) and any(_fits(order, shape) for order in permutations(found)):
        return "Its axes are in another order: save numpy.transpose of it."
    if len(found) != len(shape):
        return "Save it with the axes that are expected, such as array.reshape(-1, 3) for flat x, y, z."
    return "Check that the path is that of the right file, and that it was made for this mesh and these points."


def read_json(path: Path) -> Any:
    """Reads a JSON file; a missing or broken one is a UserError."""
    return _guarded(path, _JSON, lambda: json.loads(path.read_bytes()))


@dataclass(frozen=True)
class Archive:
    """An `.npz` file of named arrays, each read on request.

    Attributes:
        path: the file.
        members: header of each array, by name, in the file's order.
    """

    path: Path
    members: Mapping[str, Member]

    @classmethod
    def open(cls, path: Path) -> Archive:
        """Reads the directory of an archive, not its arrays.

        Raises:
            UserError: the file is missing, or (FileFormatError) it or one of its arrays' headers is damaged.
        """
        return cls(path, _guarded(path, ".npz archive", lambda: read_members(path)))

    def read(self, name: str) -> AnyArray:
        """Reads one array.

        Raises:
            UserError: the archive has no such array, or (FileFormatError) its bytes are damaged.
        """
        member = self._member(name)
        return _guarded(self.path, f".npz archive (array {name!a})", lambda: read_member(self.path, member))

    def require(self, name: str, shape: tuple[int | None, ...]) -> None:
        """Refuses an array that is not numeric or not of a shape (None: any positive length), without reading it.

        Raises:
            UserError: the archive has no such array, or (FileFormatError) it has another type or shape.
        """
        member = self._member(name)
        try:
            require_shape(self.path, member.shape, member.dtype, shape)
        except FileFormatError as error:
            raise FileFormatError(f"array {name!a} {error.problem}", path=self.path, hint=error.hint) from error

    def read_floats(self, name: str, shape: tuple[int | None, ...]) -> Float32Array:
        """Reads one numeric array of a given shape (None: any positive length) as float32."""
        self.require(name, shape)
        array = self.read(name)
        with np.errstate(over="ignore"):
            return np.ascontiguousarray(array, np.float32)

    def _member(self, name: str) -> Member:
        if name not in self.members:
            there = ", ".join(f"{known!a}" for known in list(self.members)[:_MOST_NAMED]) or "none"
            more = ", ..." if len(self.members) > _MOST_NAMED else ""
            raise UserError(
                f"has no array named {name!a}", path=self.path, hint=f"Save one of that name; there are: {there}{more}."
            )
        if self.members[name].dtype.hasobject:
            raise FileFormatError(
                f"array {name!a} holds Python objects instead of numbers", path=self.path, hint=_OBJECTS_HINT
            )
        return self.members[name]
