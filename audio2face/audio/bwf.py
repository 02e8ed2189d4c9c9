"""The time reference of Broadcast Wave files: where on the day's time line a recording begins.

The chunk `bext` (EBU Tech 3285) holds, after 338 bytes of texts, the number of samples since midnight as a 64-bit
number, low word first. Only headers of chunks are read.
"""

from __future__ import annotations

import os
import struct
from collections.abc import Iterator
from fractions import Fraction
from pathlib import Path
from typing import BinaryIO

_MAGICS = (b"RIFF", b"RF64", b"BW64")
_TIME_REFERENCE = 338  # bytes into the chunk
_MAX_CHUNKS = 1000
_ODD = 1  # chunks are padded to an even length
_LONG = 0xFFFFFFFF  # the size stands in the chunk ds64
_LONGEST = 1 << 62  # bytes of a chunk
_DAY_SECONDS = 24 * 3600


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
        for tag, content in _chunks(handle):
            if tag == b"fmt " and len(content) >= 8:
                (samplerate,) = struct.unpack_from("<I", content, 4)
            elif tag == b"bext" and len(content) >= _TIME_REFERENCE + 8:
                (samples,) = struct.unpack_from("<Q", content, _TIME_REFERENCE)
            if samples and samplerate:
                break
    if not samples or not samplerate or samples >= _DAY_SECONDS * samplerate:
        return None
    return Fraction(samples, samplerate)


def _chunks(handle: BinaryIO) -> Iterator[tuple[bytes, bytes]]:
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
