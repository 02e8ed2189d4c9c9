"""Headers of WAV files: checks that all samples they state are in the file, and reads the time of their start.

libsndfile silently shortens a truncated file, so this module parses the chunks itself: RIFF, its big-endian form RIFX,
and RF64 or BW64 with 64-bit sizes. Samples are decoded elsewhere.
"""

from __future__ import annotations

import os
import struct
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import IO, BinaryIO

from audio2face.errors import FileFormatError

_BYTE_ORDER = {b"RIFF": "<", b"RF64": "<", b"BW64": "<", b"RIFX": ">"}
# Placeholder sizes of programs that cannot seek back to fill in the size: about the largest signed or unsigned number,
# less a header, or rounded (0xFFFFFFFF ffmpeg, 0x7FFFF000 espeak-ng and sox, 0x80000000 arecord, and others).
_UNKNOWN = 0xFFFFFFFF
_PLACEHOLDERS = (range(0x7FFF0000, 0x80010000), range(0xFFFF0000, 0x100000000))
_UNKNOWN_LONG = 1 << 62  # and above: -1, or the largest signed number
_MAX_CHANNELS = 64  # more indicate a damaged header
_MAX_SAMPLERATE = 0x7FFFFFFF  # libsndfile stores it as a signed 32-bit integer
_MAX_CHUNKS = 1000  # normal files have under ten before the samples; a file of empty chunks would take minutes
_MAGICS = (b"RIFF", b"RF64", b"BW64")
_TIME_REFERENCE = 338  # bytes into the chunk
_ODD = 1  # chunks are padded to an even length
_LONG = 0xFFFFFFFF  # the size stands in the chunk ds64
_LONGEST = 1 << 62  # bytes of a chunk
_DAY_SECONDS = 24 * 3600


@dataclass
class _Header:
    """Header fields before the samples.

    Attributes:
        riff_size: claimed size of the file, less 8.
        ds64: position of the chunk with 64-bit sizes; None if there is none.
        long_riff_size: claimed size of the file there.
        long_data_size: claimed size of the samples there.
    """

    riff_size: int
    ds64: int | None = None
    long_riff_size: int = 0
    long_data_size: int = 0


def check_wav(path: Path) -> Mapping[int, bytes]:
    """Checks the format of a WAV file and that its data chunk ends within it; files of other kinds are ignored.

    A placeholder size means "to the end of the file", as streaming programs write it: 0xFFFFFFFF, 0x7FFFF000,
    0x80000000 and similar values, 64-bit sizes of 0 or -1, and 0 if the size of the whole file is not filled in either.
    A size of 0 in an otherwise complete header is refused with a hint.

    Returns:
        Bytes of the header to replace, by position, so that libsndfile reads such files to their end; empty for
        complete headers.

    Raises:
        FileFormatError: a chunk is truncated, the format is invalid, the data chunk is missing, or its size exceeds
            the file.
    """
    file_size = path.stat().st_size
    with path.open("rb") as handle:
        magic = handle.read(12)
        if magic[:4] not in _BYTE_ORDER or magic[8:] != b"WAVE":
            return {}
        order = _BYTE_ORDER[magic[:4]]
        header = _Header(struct.unpack(f"{order}I", magic[4:8])[0])
        for tag, size, start in _chunks(handle, order, path):
            if tag == b"data":
                replaced = _check_samples(path, header, start, size, file_size, order)
                return replaced | ({0: b"RF64"} if magic[:4] == b"BW64" else {})  # equivalent for libsndfile
            if start + size > file_size:
                raise FileFormatError(
                    f"chunk {tag!r} claims {size:,} bytes, {file_size - start:,} are there",
                    path=path,
                    offset=start - 4,
                )
            if tag == b"ds64":
                header.ds64 = start
                header.long_riff_size, header.long_data_size = _fields(handle, "<QQ", path, start, size)
            elif tag == b"fmt ":
                _check_format(path, start, *_fields(handle, f"{order}HHI", path, start, size))
    return {}


def _check_samples(path: Path, header: _Header, start: int, size: int, file_size: int, order: str) -> dict[int, bytes]:
    """Checks the size of the samples; returns the bytes to replace in the header if it is a placeholder."""
    present = file_size - start
    if header.ds64 is not None and size == _UNKNOWN:
        size = header.long_data_size
        is_unfinished = header.long_riff_size in (0, start - 8) or header.long_riff_size >= _UNKNOWN_LONG
        if size >= _UNKNOWN_LONG or (size == 0 and is_unfinished):
            sizes = struct.pack("<QQQ", file_size - 8, present, 0)
            return {header.ds64: sizes}
    elif _is_placeholder(size) and size > present:
        return {}  # libsndfile reads to the end of the file
    elif size == 0 and (header.riff_size in (0, start - 8) or _is_placeholder(header.riff_size)):
        return {start - 4: struct.pack(f"{order}I", min(present, _UNKNOWN))}
    _check_data(path, start, size, file_size)
    return {}


def _is_placeholder(size: int) -> bool:
    return any(size in values for values in _PLACEHOLDERS)


def _chunks(handle: IO[bytes], order: str, path: Path) -> Iterator[tuple[bytes, int, int]]:
    """Yields tag, stated size and position of the contents of each chunk."""
    position = 12
    for _ in range(_MAX_CHUNKS):
        handle.seek(position)
        head = handle.read(8)
        if len(head) < 8:
            raise FileFormatError(
                "the file ends before its samples start: it has no data chunk", path=path, offset=position
            )
        size: int = struct.unpack(f"{order}I", head[4:])[0]
        yield head[:4], size, position + 8
        position += 8 + size + size % 2
    raise FileFormatError(f"no data chunk among the first {_MAX_CHUNKS:,} chunks", path=path, offset=position)


def _fields(handle: IO[bytes], layout: str, path: Path, start: int, size: int) -> tuple[int, ...]:
    """Reads the first fields of a chunk whose contents are in the file."""
    needed = struct.calcsize(layout)
    if size < needed:
        raise FileFormatError(
            f"a header chunk of {size:,} bytes: expected {needed} or more", path=path, offset=start - 4
        )
    handle.seek(start)
    return struct.unpack(layout, handle.read(needed))


def _check_format(path: Path, start: int, _coding: int, num_channels: int, samplerate: int) -> None:
    if not 1 <= num_channels <= _MAX_CHANNELS:
        raise FileFormatError(f"{num_channels:,} channels: expected 1 to {_MAX_CHANNELS}", path=path, offset=start + 2)
    if not 1 <= samplerate <= _MAX_SAMPLERATE:
        raise FileFormatError(
            f"a sample rate of {samplerate:,} Hz: expected 1 to {_MAX_SAMPLERATE:,}", path=path, offset=start + 4
        )


def _check_data(path: Path, start: int, size: int, file_size: int) -> None:
    present = file_size - start
    if size > present:
        raise FileFormatError(
            f"the header states {size:,} bytes of samples, {present:,} are there",
            path=path,
            offset=start - 4,
            hint="The file was cut off or its header is damaged: copy or export it again.",
        )
    if size == 0 and present > 0:
        raise FileFormatError(
            f"the header states no samples, yet {present:,} bytes follow it",
            path=path,
            offset=start - 4,
            hint="The recording was stopped before its header was finished. Repair it, for instance with "
            "`ffmpeg -ignore_length 1 -i broken.wav repaired.wav`.",
        )


def read_time_reference(path: Path) -> Fraction | None:
    """Reads the seconds from midnight to the start of a recording.

    Returns:
        None for a file of another kind, without a time reference, with one of 0 as programs write that know none, or
        with one beyond a day.

    Raises:
        OSError: the file cannot be read.
    """
    samples = samplerate = 0
    with path.open("rb") as handle:
        for tag, content in _leading_bytes(handle):
            if tag == b"fmt " and len(content) >= 8:
                (samplerate,) = struct.unpack_from("<I", content, 4)
            elif tag == b"bext" and len(content) >= _TIME_REFERENCE + 8:
                (samples,) = struct.unpack_from("<Q", content, _TIME_REFERENCE)
            if samples and samplerate:
                break
    if not samples or not samplerate or samples >= _DAY_SECONDS * samplerate:
        return None
    return Fraction(samples, samplerate)


def _leading_bytes(handle: BinaryIO) -> Iterator[tuple[bytes, bytes]]:
    """Yields the tag and the first bytes of each chunk; none of a file of another kind."""
    head = handle.read(12)
    if head[:4] not in _MAGICS or head[8:] != b"WAVE":
        return
    long_size = 0
    for _ in range(_MAX_CHUNKS):
        header = handle.read(8)
        if len(header) < 8:
            return
        tag, size = struct.unpack("<4sI", header)
        content = b"" if tag == b"data" else handle.read(min(size, _TIME_REFERENCE + 8))
        if tag == b"ds64" and len(content) >= 16:
            (long_size,) = struct.unpack_from("<Q", content, 8)
        yield tag, content
        if tag == b"data" and size == _LONG:
            size = long_size
        if size >= _LONGEST:  # of a program that could not seek back: nothing follows
            return
        handle.seek(size + (size & _ODD) - len(content), os.SEEK_CUR)
