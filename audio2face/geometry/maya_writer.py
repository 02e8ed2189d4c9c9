"""Writes Maya caches: first the data files, then the .xml, which makes the cache complete.

Times are in ticks of 1/6000 second, and the header states the exact first and last tick. Above 2 GB, the limit of
32-bit positions, the 64-bit .mcx is written instead of .mc.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from audio2face.errors import UserError
from audio2face.geometry.maya_cache import frame_files
from audio2face.geometry.maya_chunks import CHUNKS_32, CHUNKS_64, TICKS_PER_SECOND, ChunkFormat
from audio2face.geometry.maya_xml import description_text
from audio2face.geometry.point_cache import Frames, FrameStream
from audio2face.io.atomic import atomic_write, write_text
from audio2face.types import AnyArray, Int64Array

DEFAULT_CHANNEL = "faceShape"
MOST_MC_BYTES = 2**31 - 1
_INT32 = struct.Struct(">i")


@dataclass(frozen=True)
class _Layout:
    """Format of one cache.

    Attributes:
        chunk_format: 32-bit or 64-bit chunks.
        dtype: type of the numbers, big-endian.
        channels: number of vertices of each channel, by name; their sum is that of a frame.
        ticks: `[frames]` time of each frame.
    """

    chunk_format: ChunkFormat
    dtype: np.dtype[Any]
    channels: Mapping[str, int]
    ticks: Int64Array

    def file_header(self, first: int, last: int) -> bytes:
        """Returns the CACH group for frames from tick `first` to `last`."""
        payloads = (b"VRSN", b"0.1\0"), (b"STIM", _INT32.pack(first)), (b"ETIM", _INT32.pack(last))
        return self._group(b"CACH", b"".join(self._chunk(tag, payload) for tag, payload in payloads))

    def frame(self, vertices: AnyArray, tick: int | None) -> bytes:
        """Returns the MYCH group of one frame `[verts, 3]`; without a tick for a file of its own."""
        chunks = [] if tick is None else [self._chunk(b"TIME", _INT32.pack(tick))]
        values_tag = b"DVCA" if self.dtype.itemsize == 8 else b"FVCA"
        start = 0
        for name, count in self.channels.items():
            chunks += [
                self._chunk(b"CHNM", name.encode() + b"\0"),
                self._chunk(b"SIZE", _INT32.pack(count)),
                self._chunk(values_tag, vertices[start : start + count].tobytes()),
            ]
            start += count
        return self._group(b"MYCH", b"".join(chunks))

    def _chunk(self, tag: bytes, payload: bytes) -> bytes:
        return self.chunk_format.header.pack(tag, len(payload)) + payload.ljust(
            self.chunk_format.padded(len(payload)), b"\0"
        )

    def _group(self, kind: bytes, chunks: bytes) -> bytes:
        return self.chunk_format.header.pack(self.chunk_format.group_tag, 4 + len(chunks)) + kind + chunks

    def file_size(self, num_frames: int) -> int:
        """Returns the size of a data file of `num_frames` frames, in bytes."""
        frame = np.zeros((sum(self.channels.values()), 3), self.dtype)
        return len(self.file_header(0, 0)) + num_frames * len(self.frame(frame, 0))


def write_maya(
    path: Path,
    frames: Frames,
    *,
    fps: float,
    num_frames: int | None = None,
    num_verts: int | None = None,
    start_time: float = 0.0,
    double: bool = False,
    channel: str | Mapping[str, int] = DEFAULT_CHANNEL,
    wide: bool = False,
    per_frame: bool = False,
) -> None:
    """Writes `<name>.xml` and `<name>.mc`, or .mcx, or one of them per frame.

    With a file per frame an earlier cache of that name is removed first; a failure leaves complete data files without
    an .xml.

    Args:
        path: the .xml; dots in its name are kept.
        frames: array `[frames, verts, 3]` or blocks `[n, verts, 3]`.
        fps: frames per second, at most 6000.
        num_frames: number of frames; optional for an array.
        num_verts: number of vertices; optional for an array.
        start_time: time of frame 0 in seconds.
        double: float64 instead of float32.
        channel: name of the channel; or number of vertices of several channels by name, which split each frame in that
            order.
        wide: write .mcx even where .mc suffices.
        per_frame: one file per frame.

    Raises:
        UserError: a file cannot be written, or times exceed the range of the format.
        ValueError: inconsistent arguments or blocks.
    """
    if path.suffix.lower() != ".xml" or not 0 < fps <= TICKS_PER_SECOND:
        raise ValueError(f"{path.name} at {fps} frames per second; an .xml and a rate up to 6000 expected")
    stream = FrameStream.create(frames, num_frames, num_verts)
    channels = {channel: stream.num_verts} if isinstance(channel, str) else channel
    _check_channels(channels, stream.num_verts)
    dtype = np.dtype(">f8" if double else ">f4")
    layout = _Layout(CHUNKS_32, dtype, channels, _ticks(path, stream.num_frames, fps, start_time))
    if wide or layout.file_size(1 if per_frame else stream.num_frames) > MOST_MC_BYTES:
        layout = _Layout(CHUNKS_64, dtype, channels, layout.ticks)
    if per_frame:
        _write_frame_files(path, layout, stream, round(start_time * fps))
    else:
        _write_one_file(path, layout, stream)
    text = description_text(
        per_frame=per_frame,
        wide=layout.chunk_format is CHUNKS_64,
        double=double,
        ticks=(int(layout.ticks[0]), int(layout.ticks[-1])),
        ticks_per_frame=round(TICKS_PER_SECOND / fps),
        names=channels,
    )
    write_text(path, text)


def _check_channels(channels: Mapping[str, int], num_verts: int) -> None:
    if sum(channels.values()) != num_verts or min(channels.values(), default=0) < 1:
        raise ValueError(f"channels {dict(channels)} do not add up to {num_verts} vertices")
    if not all(name and name.isprintable() for name in channels):
        raise ValueError(f"channel names {list(channels)}; printable text expected")


def _ticks(path: Path, num_frames: int, fps: float, start_time: float) -> Int64Array:
    last = (start_time + (num_frames - 1) / fps) * TICKS_PER_SECOND
    if max(abs(start_time) * TICKS_PER_SECOND, abs(last)) >= 2**31 - 1:
        raise UserError("frames beyond 99 hours do not fit into a Maya cache", path=path)
    ticks = np.arange(num_frames, dtype=np.float64) * (TICKS_PER_SECOND / fps)
    return np.rint(round(start_time * TICKS_PER_SECOND) + ticks).astype(np.int64)


def _extension(layout: _Layout) -> str:
    return "mcx" if layout.chunk_format is CHUNKS_64 else "mc"


def _blocks(layout: _Layout, stream: FrameStream) -> Iterator[list[tuple[AnyArray, int]]]:
    """Yields the frames `[verts, 3]` of each block with their ticks."""
    passed = 0
    for block in stream.blocks(layout.dtype):
        yield list(zip(block, layout.ticks[passed : passed + len(block)].tolist(), strict=True))
        passed += len(block)


def _write_one_file(path: Path, layout: _Layout, stream: FrameStream) -> None:
    with atomic_write(path.with_name(f"{path.stem}.{_extension(layout)}")) as handle:
        handle.write(layout.file_header(int(layout.ticks[0]), int(layout.ticks[-1])))
        for block in _blocks(layout, stream):
            # One write per block, not per frame: Linux then caches the file in larger pieces, and reads it back faster.
            handle.write(b"".join(layout.frame(vertices, tick) for vertices, tick in block))


def _write_frame_files(path: Path, layout: _Layout, stream: FrameStream, first_frame: int) -> None:
    """Writes one file per frame, after removing an earlier cache, which may have had more frames."""
    _remove_frame_files(path)
    frames = (frame for block in _blocks(layout, stream) for frame in block)
    for number, (vertices, tick) in enumerate(frames, first_frame):
        with atomic_write(path.with_name(f"{path.stem}Frame{number}.{_extension(layout)}")) as handle:
            handle.write(layout.file_header(tick, tick) + layout.frame(vertices, None))


def _remove_frame_files(path: Path) -> None:
    """Removes an earlier cache of one file per frame, its .xml first."""
    if not path.parent.is_dir():
        return
    try:
        path.unlink(missing_ok=True)
        for wide in (False, True):
            for file in frame_files(path, wide):
                file.unlink()
    except OSError as error:
        raise UserError(f"an earlier cache cannot be removed: {error.strerror or error}", path=path) from error
