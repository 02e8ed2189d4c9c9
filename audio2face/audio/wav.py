"""Whether a WAV header makes sense and the samples that it promises are in the file.

libsndfile silently shortens a file that was cut, so the chunks are walked here as well. Knows only the layout of
chunks (RIFF, its big-endian twin RIFX, and RF64 or BW64 with 64-bit sizes); samples are decoded elsewhere.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from pathlib import Path
from typing import IO

from audio2face.errors import FileFormatError

_BYTE_ORDER = {b"RIFF": "<", b"RF64": "<", b"BW64": "<", b"RIFX": ">"}
_UNKNOWN_SIZE = 0xFFFFFFFF  # written by programs that cannot seek back, and by RF64 in favour of its ds64 chunk
_MAX_CHANNELS = 64  # more is a damaged header, not a recording of a voice
_MAX_SAMPLERATE = 0x7FFFFFFF  # libsndfile holds it in 32 bits with a sign
_MAX_CHUNKS = 1000  # real files have under ten before the samples; a file of empty chunks would take minutes


def check_wav(path: Path) -> None:
    """Checks the format of a WAV file and that its data chunk ends within it; other files pass unread.

    A size of 0xFFFFFFFF means "to the end of the file", as streaming programs write it. A size of 0 with bytes behind
    it is what a recorder leaves that was stopped before it could fill in its header; that is refused with advice,
    because nothing tells the samples from chunks that may follow them.

    Raises:
        FileFormatError: a chunk is cut off, the format cannot be, the data chunk is missing, or it claims more bytes
            than are there.
    """
    file_size = path.stat().st_size
    with path.open("rb") as handle:
        magic = handle.read(12)
        if magic[:4] not in _BYTE_ORDER or magic[8:] != b"WAVE":
            return
        order = _BYTE_ORDER[magic[:4]]
        long_size: int | None = None
        for tag, size, start in _chunks(handle, order, path):
            if tag == b"data":
                if size == _UNKNOWN_SIZE:
                    size = file_size - start if long_size is None else long_size
                _check_data(path, start, size, file_size)
                return
            if start + size > file_size:
                raise FileFormatError(
                    f"chunk {tag!r} claims {size:,} bytes, {file_size - start:,} are there",
                    path=path,
                    offset=start - 4,
                )
            if tag == b"ds64":
                _, long_size = _fields(handle, "<QQ", path, start, size)
            elif tag == b"fmt ":
                _check_format(path, start, *_fields(handle, f"{order}HHI", path, start, size))


def _chunks(handle: IO[bytes], order: str, path: Path) -> Iterator[tuple[bytes, int, int]]:
    """Yields tag, claimed size and position of the contents of each chunk."""
    position = 12
    for _ in range(_MAX_CHUNKS):
        handle.seek(position)
        head = handle.read(8)
        if len(head) < 8:
            raise FileFormatError(
                "the file ends before its samples begin: it has no data chunk", path=path, offset=position
            )
        size: int = struct.unpack(f"{order}I", head[4:])[0]
        yield head[:4], size, position + 8
        position += 8 + size + size % 2
    raise FileFormatError(f"no data chunk among the first {_MAX_CHUNKS:,} chunks", path=path, offset=position)


def _fields(handle: IO[bytes], layout: str, path: Path, start: int, size: int) -> tuple[int, ...]:
    """The first fields of a chunk whose contents lie in the file."""
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
            f"the header promises {size:,} bytes of samples, {present:,} are there",
            path=path,
            offset=start - 4,
            hint="The file was cut off or its header is damaged: copy or export it again.",
        )
    if size == 0 and present > 0:
        raise FileFormatError(
            f"the header promises no samples, yet {present:,} bytes follow it",
            path=path,
            offset=start - 4,
            hint="The recording was stopped before its header was finished. Repair it, for instance with "
            "`ffmpeg -ignore_length 1 -i broken.wav repaired.wav`.",
        )
