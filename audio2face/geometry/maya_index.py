"""Where the frames of one channel lie in a Maya cache data file.

Knows the regular file, which is checked without walking it, and the irregular one. Does not know the .xml.
"""

from __future__ import annotations

import mmap
from array import array
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from audio2face.errors import FileFormatError
from audio2face.geometry.mapped_files import unreadable
from audio2face.geometry.maya_chunks import VECTOR_TYPES, Channel, ChunkWalker, Frame

# Above this distance each place that is looked at through a memory map costs a page fault of its own, five times as
# much as reading it from the file.
_FAR_APART = 64 * 1024

ChooseChannel = Callable[[tuple[Channel, ...]], Channel]


@dataclass(frozen=True)
class FrameIndex:
    """The frames of one channel of one file.

    Attributes:
        channel: the channel in frame 0; all frames have its type and number of vertices.
        offsets: `[frames]` position of the values of each frame, in bytes.
        ticks: `[frames]` time of each frame.
    """

    channel: Channel
    offsets: npt.NDArray[np.int64]
    ticks: npt.NDArray[np.int32]

    @property
    def dtype(self) -> np.dtype[Any]:
        """Type of the numbers as stored, big-endian."""
        return VECTOR_TYPES[self.channel.tag]


def index_file(path: Path, mapped: mmap.mmap, choose: ChooseChannel) -> FrameIndex:
    """Finds all frames of the channel that `choose` picks in the first frame.

    A file whose frames all have the layout of the first is checked by comparing their chunk headers, some hundred
    bytes per frame, in one go; any other is walked chunk by chunk.

    Args:
        path: the data file.
        mapped: its bytes.
        choose: picks a channel among those of the first frame.

    Raises:
        FileFormatError: the file is damaged, has no frame, or its frames do not agree.
    """
    walker = ChunkWalker(path, mapped)
    start, header_tick = walker.file_header()
    if start >= len(mapped):
        raise walker.error("holds no frame", start)
    first = walker.frame(start)
    if first.tick is None:
        return _single_frame(walker, first, header_tick, choose)
    chosen = choose(first.channels)
    return _regular_index(walker, start, first, chosen) or _walked_index(walker, start, chosen)


def _single_frame(walker: ChunkWalker, frame: Frame, header_tick: int | None, choose: ChooseChannel) -> FrameIndex:
    """The index of a file of a one-file-per-frame cache, whose time stands in the header."""
    if header_tick is None:
        raise walker.error("has neither TIME in its frame nor STIM in its header", 0)
    if frame.stop < len(walker.mapped):
        raise walker.error("has several frames, the first without TIME", frame.stop)
    chosen = choose(frame.channels)
    return FrameIndex(chosen, np.array([chosen.start]), np.array([header_tick], np.int32))


def _regular_index(walker: ChunkWalker, start: int, first: Frame, chosen: Channel) -> FrameIndex | None:
    """The index of a file whose frames are all laid out like the first; None when they are not."""
    length = first.stop - start
    num_frames, rest = divmod(len(walker.mapped) - start, length)
    if rest:
        return None
    ticks = np.zeros(num_frames, np.int32)
    for low, high in _layout_ranges(start, first):
        rows = _same_range_of_all(walker, low, high, num_frames, length)
        tick = first.tick_start - low
        if 0 <= tick < high - low:
            ticks[:] = rows[:, tick : tick + 4].copy().view(">i4")[:, 0]
            rows[:, tick : tick + 4] = 0
        if (rows != rows[0]).any():
            return None
    return FrameIndex(chosen, chosen.start + length * np.arange(num_frames), ticks)


def _layout_ranges(start: int, frame: Frame) -> list[tuple[int, int]]:
    """The ranges of a frame's bytes that are not values."""
    lows = [start, *(stop for _, stop in frame.values)]
    highs = [*(begin for begin, _ in frame.values), frame.stop]
    return [(low, high) for low, high in zip(lows, highs, strict=True) if low < high]


def _same_range_of_all(walker: ChunkWalker, low: int, high: int, num_frames: int, length: int) -> npt.NDArray[np.uint8]:
    """The bytes `low` to `high` of frame 0 and those at the same place in every other, `[frames, high - low]`."""
    if length < _FAR_APART:
        return np.ndarray((num_frames, high - low), np.uint8, walker.mapped, low, (length, 1)).copy()
    size = high - low
    rows = bytearray(num_frames * size)
    view = memoryview(rows)
    try:
        with walker.path.open("rb", buffering=0) as handle:
            for frame in range(num_frames):
                handle.seek(low + frame * length)
                handle.readinto(view[frame * size : (frame + 1) * size])
    except OSError as error:
        raise unreadable(walker.path, error) from error
    return np.frombuffer(rows, np.uint8).reshape(num_frames, size)


def _walked_index(walker: ChunkWalker, start: int, chosen: Channel) -> FrameIndex:
    """The index of any file, frame by frame. Arrays of numbers keep it smaller than the file it describes."""
    offsets, ticks = array("q"), array("i")
    for number, frame in enumerate(walker.frames(start)):
        same = [channel for channel in frame.channels if channel.name == chosen.name]
        if len(same) != 1 or frame.tick is None:
            problem = f"frame {number}: one TIME and one channel {chosen.name!r} expected, {len(same)} channels found"
            raise walker.error(problem, start)
        if (same[0].tag, same[0].num_verts) != (chosen.tag, chosen.num_verts):
            raise _disagreement(walker, number, same[0], chosen)
        offsets.append(same[0].start)
        ticks.append(frame.tick)
        start = frame.stop
    return FrameIndex(chosen, np.array(offsets, np.int64), np.array(ticks, np.int32))


def _disagreement(walker: ChunkWalker, number: int, found: Channel, chosen: Channel) -> FileFormatError:
    def shown(channel: Channel) -> str:
        return f"{channel.num_verts} vertices of type {channel.tag.decode()}"

    return walker.error(
        f"frame {number}: channel {chosen.name!r} has {shown(found)}, frame 0 has {shown(chosen)}",
        found.start,
        "All frames of a cache must have the same vertices: export it again with constant topology.",
    )
