"""Whether the samples that a WAV header promises are in the file.

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
_MAX_CHUNKS = 1000  # real files have under ten before the samples; a file of empty chunks would take minutes


def check_wav_length(path: Path) -> None:
    """Checks that the data chunk of a WAV file ends within the file; files of other formats pass unread.

    A size of 0xFFFFFFFF means "to the end of the file", as streaming programs write it. A size of 0 with bytes behind
    it is what a recorder leaves that was stopped before it could fill in its header; that is refused with advice,
    because nothing tells the samples from chunks that may follow them.

    Raises:
        FileFormatError: a chunk is cut off, the data chunk is missing or empty, or it claims more than is there.
    """
    file_size = path.stat().st_size
    with path.open("rb") as handle:
        magic = handle.read(12)
        if magic[:4] not in _BYTE_ORDER or magic[8:] != b"WAVE":
            return
        data_size_64: int | None = None
        for tag, size, start in _chunks(handle, _BYTE_ORDER[magic[:4]], path):
            if tag == b"ds64":
                data_size_64 = _long_data_size(handle, path, start)
            elif tag == b"data":
                if size == _UNKNOWN_SIZE:
                    size = data_size_64 if data_size_64 is not None else file_size - start
                _check_data_chunk(path, start, size, file_size)
                return
            if start + size > file_size:
                raise FileFormatError(
                    f"chunk {tag!r} claims {size:,} bytes, {max(file_size - start, 0):,} are there",
                    path=path,
                    offset=start - 4,
                )


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


def _long_data_size(handle: IO[bytes], path: Path, start: int) -> int:
    """The 64-bit size of the data chunk: the second value of the ds64 chunk."""
    handle.seek(start + 8)
    field = handle.read(8)
    if len(field) < 8:
        raise FileFormatError("the ds64 chunk is cut off", path=path, offset=start)
    size: int = struct.unpack("<Q", field)[0]
    return size


def _check_data_chunk(path: Path, start: int, size: int, file_size: int) -> None:
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
