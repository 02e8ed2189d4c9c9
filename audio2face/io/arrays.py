"""Reads single arrays (.npy), archives of named arrays (.npz) and JSON files, which may be damaged or hostile.

Objects are never unpickled, and the memory taken is bounded: an archive of a megabyte may unpack to gigabytes of zeros,
so the headers of its arrays are read first. They must agree with the archive's directory, and their total must stay
below a bound that real data meet.
"""

from __future__ import annotations

import json
import math
import mmap
import struct
import tokenize
import zipfile
import zlib
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from itertools import permutations
from pathlib import Path
from typing import IO, Any, TypeVar

import numpy as np

from audio2face.errors import FileFormatError, UserError, missing_file, reason_of
from audio2face.types import AnyArray, Float32Array

_LOCAL_HEADER = struct.Struct("<4s5H3I2H")
_ENTRY = b"PK\x03\x04"
_ENCRYPTED = 0x01
_CHUNK = 1 << 20
# Arrays of floats shrink by a factor of 1.1 to 10, mostly-zero ones by 30; deflate's own limit is 1,032.
_MOST_SHRINKING = 100
_ALWAYS_ALLOWED = 64 << 20  # bytes: small archives may consist of zeros only
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


@dataclass(frozen=True, slots=True)  # an archive may have one for each of ten thousand recordings
class Member:
    """Header of one array of an archive.

    Attributes:
        shape: shape of the array.
        dtype: type of its values.
        fortran: whether the array is stored in Fortran order.
        compressed: whether it is stored compressed.
        place: position of the entry in the file, in bytes.
        stored: size of the entry in the file, in bytes.
        header: size of the array's header, unpacked, in bytes.
        checksum: CRC-32 of header and values.
    """

    shape: tuple[int, ...]
    dtype: np.dtype[Any]
    fortran: bool
    compressed: bool
    place: int
    stored: int
    header: int
    checksum: int

    @property
    def nbytes(self) -> int:
        """Bytes that the values take in memory."""
        return math.prod(self.shape) * self.dtype.itemsize


def read_members(path: Path) -> dict[str, Member]:
    """Reads the headers of all arrays, by name, in the file's order.

    Raises:
        ValueError, OSError, zipfile.BadZipFile and all other errors of `zipfile` and `numpy` on damaged bytes.
    """
    members: dict[str, Member] = {}
    with zipfile.ZipFile(path) as archive:
        entries = archive.infolist()
        _check_total(path.stat().st_size, sum(info.file_size for info in entries))
        for info in entries:
            if not info.filename.endswith(".npy"):
                raise ValueError(f"{info.filename!a} in it is not an array")
            members[info.filename.removesuffix(".npy")] = _read_member_header(archive, info)
    return members


def _check_total(file_size: int, total: int) -> None:
    allowed = max(_ALWAYS_ALLOWED, _MOST_SHRINKING * file_size)
    if total > allowed:
        raise ValueError(
            f"its arrays would take {total / 1e6:,.0f} MB, more than {allowed / 1e6:,.0f} MB that a file of "
            f"{file_size / 1e6:,.1f} MB may unpack to"
        )


def _read_member_header(archive: zipfile.ZipFile, info: zipfile.ZipInfo) -> Member:
    if info.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED) or info.flag_bits & _ENCRYPTED:
        raise ValueError(f"{info.filename!a} is packed in a way that numpy.savez does not use")
    with archive.open(info) as handle:
        shape, fortran, dtype = read_header(handle)
        header = handle.tell()
    member = Member(
        shape,
        dtype,
        fortran,
        info.compress_type != zipfile.ZIP_STORED,
        info.header_offset,
        info.compress_size,
        header,
        info.CRC,
    )
    if not dtype.hasobject and header + member.nbytes != info.file_size:
        raise ValueError(f"{info.filename!a} takes {info.file_size} bytes, its header says {header + member.nbytes}")
    return member


def read_header(handle: IO[bytes]) -> tuple[tuple[int, ...], bool, np.dtype[Any]]:
    """Reads shape, Fortran order and type from an array's header; the handle is then at its values."""
    version = np.lib.format.read_magic(handle)
    if version == (1, 0):
        return np.lib.format.read_array_header_1_0(handle)
    return np.lib.format.read_array_header_2_0(handle)


def read_member(path: Path, member: Member) -> AnyArray:
    """Reads one array.

    Raises:
        ValueError, OSError or zlib.error: the bytes differ from what `read_members` found, or hold Python objects.
    """
    if member.dtype.hasobject:
        raise ValueError("Object arrays cannot be loaded: they would have to be unpickled")
    if member.nbytes == 0:
        return np.zeros(member.shape, member.dtype)
    values = np.empty(member.nbytes, np.uint8)
    done, checksum = -member.header, 0
    with path.open("rb") as handle:
        for chunk in _unpacked(handle, member):
            checksum = zlib.crc32(chunk, checksum)
            part = chunk[max(-done, 0) :]
            start = max(done, 0)
            if start + len(part) > len(values):
                raise ValueError("more bytes follow than its header says")
            values[start : start + len(part)] = np.frombuffer(part, np.uint8)
            done += len(chunk)
    if done != len(values):
        raise ValueError("is cut off")
    if checksum != member.checksum:
        raise ValueError("its checksum is wrong")
    array = values.view(member.dtype)
    return array.reshape(member.shape[::-1]).transpose() if member.fortran else array.reshape(member.shape)


def map_member(mapped: mmap.mmap, member: Member) -> AnyArray:
    """Returns an uncompressed array of C order as a read-only view of its mapped file.

    Raises:
        ValueError or struct.error: the bytes differ from what `read_members` found.
    """
    lengths = _LOCAL_HEADER.unpack(mapped[member.place : member.place + _LOCAL_HEADER.size])[-2:]
    start = member.place + _LOCAL_HEADER.size + sum(lengths)
    with memoryview(mapped) as content, content[start : start + member.stored] as entry:
        if len(entry) != member.header + member.nbytes or zlib.crc32(entry) != member.checksum:
            raise ValueError("its checksum is wrong")
    return np.ndarray(member.shape, member.dtype, mapped, start + member.header)


def _unpacked(handle: IO[bytes], member: Member) -> Iterator[bytes]:
    """Yields the bytes of an entry, header and values, in pieces of bounded size."""
    handle.seek(member.place)
    local = handle.read(_LOCAL_HEADER.size)
    if len(local) < _LOCAL_HEADER.size or local[:4] != _ENTRY:
        raise ValueError("is not where the directory of the archive says")
    handle.seek(sum(_LOCAL_HEADER.unpack(local)[-2:]), 1)  # over name and extra fields
    unpack = zlib.decompressobj(-zlib.MAX_WBITS) if member.compressed else None
    left = member.stored
    while left > 0 and (packed := handle.read(min(left, _CHUNK))):
        left -= len(packed)
        if unpack is None:
            yield packed
            continue
        while packed:
            yield unpack.decompress(packed, _CHUNK)
            packed = unpack.unconsumed_tail
    if unpack is not None:
        yield unpack.flush(_CHUNK)


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

    def map_floats(self, name: str, shape: tuple[int | None, ...]) -> Float32Array:
        """Returns such an array as a read-only view of the file, whose pages are read when they are used.

        An array that is compressed or of another type is read into memory.
        """
        self.require(name, shape)
        member = self._member(name)
        if member.compressed or member.fortran or member.dtype != np.float32:
            return self.read_floats(name, shape)
        return _guarded(self.path, f".npz archive (array {name!a})", lambda: map_member(self._mapped, member))

    @cached_property
    def _mapped(self) -> mmap.mmap:
        with self.path.open("rb") as handle:
            return mmap.mmap(handle.fileno(), 0, access=mmap.ACCESS_READ)

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
