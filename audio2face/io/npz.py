"""Reads the arrays of an `.npz` archive: first their headers, then their values.

An archive of a megabyte may unpack to gigabytes of zeros. Sizes are therefore checked first: the headers of the arrays
must agree with the archive's directory, and their total must stay below a bound that real data meet. Objects are never
unpickled.

"""

from __future__ import annotations

import math
import struct
import zipfile
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

import numpy as np

from audio2face.types import AnyArray

_LOCAL_HEADER = struct.Struct("<4s5H3I2H")
_ENTRY = b"PK\x03\x04"
_ENCRYPTED = 0x01
_CHUNK = 1 << 20
# Arrays of floats shrink by a factor of 1.1 to 10, mostly-zero ones by 30; deflate's own limit is 1,032.
_MOST_SHRINKING = 100
_ALWAYS_ALLOWED = 64 << 20  # bytes: small archives may consist of zeros only


@dataclass(frozen=True)
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
