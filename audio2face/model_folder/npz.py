"""Reads `.npz` like the SDK: entries in sequence from the start of the file, using only their item sizes.

That reader never looks at the directory at the end of the archive, cannot inflate, takes the digits of a type for the
bytes of an item (four times too few for unicode, after which every later entry is lost), and copies raw
bytes without byte swapping. Everything that numpy would read and it would not is noted. Arrays are read when asked for.
"""

from __future__ import annotations

import ast
import math
import re
import struct
import zipfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

import numpy as np

from audio2face.errors import FileFormatError
from audio2face.model_folder.validation import FileDiagnostics
from audio2face.types import AnyArray

_ENTRY, _DIRECTORY = b"PK\x03\x04", b"PK\x01\x02"
_LOCAL_HEADER = struct.Struct("<4s5H3I2H")
_NPY_MAGIC = b"\x93NUMPY\x01\x00"
_DESCRIPTOR_FLAG = 0x08
_DTYPE = re.compile(r"[<|>=][a-zA-Z][0-9]{1,6}")
_AS_BYTES = "Store text as bytes (numpy type S)."
_UNPACK = "Write the archive with numpy.savez, from little-endian arrays in C order."


@dataclass(frozen=True)
class NpyEntry:
    """One array of an archive.

    Attributes:
        dtype: type of its values.
        shape: its shape.
        start: position of its first byte in the file.
    """

    dtype: np.dtype[Any]
    shape: tuple[int, ...]
    start: int

    @property
    def nbytes(self) -> int:
        """Size of its values in bytes."""
        return math.prod(self.shape) * self.dtype.itemsize


@dataclass(frozen=True)
class StoredArchive:
    """The arrays of an archive that the SDK reads correctly.

    Attributes:
        path: the file.
        name: its name in model.json.
        entries: the arrays by name, in the order of the file.
    """

    path: Path
    name: str
    entries: Mapping[str, NpyEntry]

    def read(self, name: str) -> AnyArray:
        """Reads one array into memory.

        Raises:
            FileFormatError: there is no such array, or the file has changed since it was opened.
        """
        if name not in self.entries:
            raise FileFormatError(f"has no array named {name!a}", path=self.path)
        entry = self.entries[name]
        try:
            values = np.fromfile(self.path, entry.dtype, math.prod(entry.shape), offset=entry.start)
            return values.reshape(entry.shape)
        except (OSError, ValueError) as error:
            raise FileFormatError(f"array {name!a} cannot be read: {error}", path=self.path) from error


def open_archive(path: Path, faults: FileDiagnostics) -> StoredArchive:
    """Scans an archive; reports what the SDK could not read, or would read incorrectly."""
    entries: dict[str, NpyEntry] = {}
    if not path.is_file():
        faults.missing(path, "Deploy the model again.")
        return StoredArchive(path, faults.file, entries)
    try:
        size = path.stat().st_size
        with path.open("rb") as handle:
            while _is_entry(handle, size, faults):
                if not _read_entry(handle, size, entries, faults):
                    break
    except OSError as error:
        faults.error(f"cannot be read: {error.strerror or error}", "Make it a readable file.")
    _note_unicode(entries, faults)
    return StoredArchive(path, faults.file, entries)


def _is_entry(handle: IO[bytes], size: int, faults: FileDiagnostics) -> bool:
    position = handle.tell()
    magic = handle.read(4)
    handle.seek(position)
    if magic == _ENTRY:
        return True
    if magic != _DIRECTORY or position == 0:
        problem = f"is not an archive of arrays, or is cut off, at byte {position} of {size}"
        faults.unreadable(Path(handle.name), problem, "Deploy the model again.")
    return False


def _read_entry(handle: IO[bytes], size: int, entries: dict[str, NpyEntry], faults: FileDiagnostics) -> bool:
    """Reads one entry's headers and skips its values; False if the next entry cannot be found."""
    header = handle.read(_LOCAL_HEADER.size)
    if len(header) < _LOCAL_HEADER.size:
        faults.error("is cut off inside the header of an array", "Deploy the model again.")
        return False
    _, _, flags, method, _, _, _, stored, _, name_length, extra_length = _LOCAL_HEADER.unpack(header)
    name = handle.read(name_length).decode("utf-8", "replace").removesuffix(".npy")
    extra = handle.read(extra_length)
    begin = handle.tell()
    if method != zipfile.ZIP_STORED:
        faults.error(f"array {name!a} is compressed", "Write the archive uncompressed (numpy.savez).")
        end = begin + _stored_size(stored, extra)
        handle.seek(min(end, size))
        return end <= size
    if flags & _DESCRIPTOR_FLAG:
        faults.error(f"array {name!a} was written as a stream: the next array is not found", _UNPACK)
        return False
    entry = _read_npy_header(handle, name, faults)
    if entry is None:
        return False
    end = entry.start + entry.nbytes
    if end > size:
        faults.error(f"array {name!a} should end at byte {end}, the file ends at {size}", "Deploy the model again.")
        return False
    if name in entries:
        faults.error(f"array {name!a} occurs twice", "Write every array once.")
    entries[name] = entry
    handle.seek(end)
    return True


def _stored_size(stored: int, extra: bytes) -> int:
    """Compressed size of an entry, from the ZIP64 field if the short one overflows."""
    if stored == 0xFFFFFFFF and len(extra) >= 20 and extra[:2] == b"\x01\x00":
        return int.from_bytes(extra[12:20], "little")
    return stored


def _read_npy_header(handle: IO[bytes], name: str, faults: FileDiagnostics) -> NpyEntry | None:
    """Reads the header of an array; reports memory orders that the SDK misinterprets."""
    magic = handle.read(10)
    if magic[:8] != _NPY_MAGIC or len(magic) < 10:
        faults.error(f"entry {name!a} is not an array of .npy version 1.0", _UNPACK)
        return None
    text = handle.read(int.from_bytes(magic[8:10], "little")).decode("latin-1")
    try:
        header = ast.literal_eval(text)
        descr, fortran = str(header["descr"]), bool(header["fortran_order"])
        shape = tuple(int(length) for length in header["shape"])
        dtype = np.dtype(descr if _DTYPE.fullmatch(descr) else "O")
    except (ValueError, SyntaxError, KeyError, TypeError, RecursionError, MemoryError):
        faults.error(f"array {name!a} has a damaged header", "Deploy the model again.")
        return None
    if dtype.kind not in "fiubSU" or any(length < 0 for length in shape):
        faults.error(f"array {name!a} holds {ascii(descr)[:40]}, expected plain numbers or byte strings", _UNPACK)
        return None
    if dtype.byteorder == ">":
        faults.error(f"array {name!a} is big-endian", _UNPACK)
    if fortran and len(shape) > 1:
        faults.error(f"array {name!a} lies in Fortran order and would be read transposed", _UNPACK)
    return NpyEntry(dtype, shape, handle.tell())


def _note_unicode(entries: Mapping[str, NpyEntry], faults: FileDiagnostics) -> None:
    names = list(entries)
    for name in [name for name in names if entries[name].dtype.kind == "U"]:
        if name == names[-1]:
            faults.warning(f"array {name!a} is unicode text: harmless only because it is the last", _AS_BYTES)
        else:
            faults.error(f"array {name!a} is unicode text: the SDK loses it and every array after it", _AS_BYTES)
