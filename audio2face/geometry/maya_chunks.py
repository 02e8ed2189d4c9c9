"""Parses the chunks of Maya cache data files: .mc (32-bit) and .mcx (64-bit).

A file is a sequence of groups: one header (`CACH`), then one group (`MYCH`) per frame. All integers are big-endian. A
group is a chunk whose payload starts with its type; the payload of a chunk is padded to 4 bytes, in .mcx to 8:

    .mc     tag[4]          size u32   payload   (groups: FOR4)
    .mcx    tag[4] pad[4]   size u64   payload   (groups: FOR8)

A frame holds `TIME` (ticks) and per channel `CHNM` (name), `SIZE` (elements) and the values: `FVCA` or `DVCA` for
vectors of float32 or float64, `FBCA` or `DBLA` for scalars.

Every position is checked before it is used.
"""

from __future__ import annotations

import mmap
import struct
from array import array
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from audio2face.errors import FileFormatError
from audio2face.geometry.mapped_files import unreadable
from audio2face.types import Int32Array, Int64Array, UInt8Array

TICKS_PER_SECOND = 6000
VECTOR_TYPES: dict[bytes, np.dtype[Any]] = {b"FVCA": np.dtype(">f4"), b"DVCA": np.dtype(">f8")}
# Parsing takes up to three microseconds per chunk, so that this limit means one second. Files whose frames share one
# layout are not parsed chunk by chunk; only damaged or hostile files come near the limit.
_MOST_CHUNKS = 250_000
_INT32 = struct.Struct(">i")
_UINT32 = struct.Struct(">I")


@dataclass(frozen=True)
class ChunkFormat:
    """Chunk layout: 32-bit or 64-bit."""

    group_tag: bytes
    header: struct.Struct
    alignment: int

    def padded(self, size: int) -> int:
        """Rounds `size` up to the alignment."""
        return -(-size // self.alignment) * self.alignment


CHUNKS_32 = ChunkFormat(b"FOR4", struct.Struct(">4sI"), 4)
CHUNKS_64 = ChunkFormat(b"FOR8", struct.Struct(">4s4xQ"), 8)


class Chunk(NamedTuple):
    """One chunk: its tag, and start and end of its payload."""

    tag: bytes
    start: int
    stop: int


class MayaChannel(NamedTuple):
    """Vectors of one channel in one frame."""

    name: str
    tag: bytes
    num_verts: int
    start: int  # position of the values in the file


class Frame(NamedTuple):
    """One frame group, without its scalar channels."""

    stop: int  # start of the next group
    tick: int | None
    tick_start: int  # position of the tick in the file; undefined without a tick
    channels: tuple[MayaChannel, ...]
    values: tuple[tuple[int, int], ...]  # start and end of all values with their padding, in order


class ChunkParser:
    """Parses the groups of one mapped data file; every position is checked before it is used.

    Args:
        path: the file, for messages.
        mapped: its bytes.

    Raises:
        FileFormatError: the file does not start with a group.
    """

    def __init__(self, path: Path, mapped: mmap.mmap) -> None:
        self.path = path
        self.mapped = mapped
        self._chunks_seen = 0
        formats = {chunk_format.group_tag: chunk_format for chunk_format in (CHUNKS_32, CHUNKS_64)}
        if mapped[:4] not in formats:
            raise self.error("does not start with FOR4 or FOR8, as a Maya cache does", 0)
        self.chunk_format = formats[mapped[:4]]

    def error(self, problem: str, offset: int, hint: str | None = None) -> FileFormatError:
        """Creates the error for this file at a position."""
        return FileFormatError(problem, path=self.path, offset=offset, hint=hint)

    def file_header(self) -> tuple[int, int | None]:
        """Returns the start of the first frame, and the start time in ticks (STIM) if the header has one."""
        group, stop = self._group(0, b"CACH")
        ticks = [self._number(chunk, _INT32) for chunk in self._chunks(group) if chunk.tag == b"STIM"]
        return stop, ticks[0] if ticks else None

    def frames(self, start: int) -> Iterator[Frame]:
        """Yields the frames from position `start`, the start of a group, to the end of the file."""
        while start < len(self.mapped):
            frame = self.frame(start)
            yield frame
            start = frame.stop

    def frame(self, start: int) -> Frame:
        """Parses the frame whose group starts at `start`."""
        group, stop = self._group(start, b"MYCH")
        tick, tick_start = None, 0
        name, count = None, None
        channels, values = [], []
        for chunk in self._chunks(group):
            if chunk.tag == b"CHNM":
                name = self._name(chunk)
                continue
            if chunk.tag == b"SIZE":
                count = self._number(chunk, _UINT32)
                continue
            if chunk.tag == b"TIME":
                tick, tick_start = self._number(chunk, _INT32), chunk.start
                continue
            values.append((chunk.start, self._after(chunk)))
            if chunk.tag in VECTOR_TYPES:
                channels.append(self._channel(chunk, name, count))
            name, count = None, None
        return Frame(stop, tick, tick_start, tuple(channels), tuple(values))

    def _channel(self, chunk: Chunk, name: str | None, count: int | None) -> MayaChannel:
        tag = chunk.tag.decode()
        if name is None or count is None:
            raise self.error(f"{tag} without a name (CHNM) and a size (SIZE) before it", chunk.start)
        expected = 3 * count * VECTOR_TYPES[chunk.tag].itemsize
        if chunk.stop - chunk.start != expected:
            raise self.error(
                f"{tag} of channel {name!r} has {chunk.stop - chunk.start} bytes; {expected} expected for its "
                f"{count} vertices",
                chunk.start,
            )
        return MayaChannel(name, chunk.tag, count, chunk.start)

    def _name(self, chunk: Chunk) -> str:
        name = self.mapped[chunk.start : chunk.stop].split(b"\0", 1)[0]
        return name.decode("utf-8", "backslashreplace")

    def _number(self, chunk: Chunk, kind: struct.Struct) -> int:
        if chunk.stop - chunk.start != kind.size:
            raise self.error(
                f"{chunk.tag.decode('ascii')} has {chunk.stop - chunk.start} bytes; {kind.size} expected", chunk.start
            )
        number: int = kind.unpack_from(self.mapped, chunk.start)[0]
        return number

    def _chunk(self, start: int, stop: int) -> Chunk:
        """Parses the chunk at `start`, which must end at or before `stop`."""
        self._chunks_seen += 1
        if self._chunks_seen > _MOST_CHUNKS:
            raise self.error(f"has over {_MOST_CHUNKS} chunks of differing layouts", start)
        payload = start + self.chunk_format.header.size
        if payload > stop:
            raise self.error("ends inside the header of a chunk", stop, "The file was cut: export it again.")
        tag, size = self.chunk_format.header.unpack_from(self.mapped, start)
        if size > stop - payload:
            raise self.error(
                f"chunk {tag.decode('latin-1')!a} announces {size} bytes, {stop - payload} are left",
                start,
                "The file was cut or is damaged: export it again.",
            )
        return Chunk(tag, payload, payload + size)

    def _chunks(self, group: Chunk) -> Iterator[Chunk]:
        """Yields the chunks of a group; padding may be missing after the last."""
        start = group.start
        while start < group.stop:
            chunk = self._chunk(start, group.stop)
            yield chunk
            start = self._after(chunk)

    def _after(self, chunk: Chunk) -> int:
        """Returns the start of the next chunk."""
        return chunk.start + self.chunk_format.padded(chunk.stop - chunk.start)

    def _group(self, start: int, kind: bytes) -> tuple[Chunk, int]:
        """Returns the group of the given type at `start`, without that type, and the start of the next group."""
        group = self._chunk(start, len(self.mapped))
        found = self.mapped[group.start : group.start + 4]
        if group.tag != self.chunk_format.group_tag or group.stop - group.start < 4 or found != kind:
            wanted = f"{self.chunk_format.group_tag.decode()} {kind.decode()}"
            raise self.error(f"{wanted} expected, {(group.tag + found).decode('latin-1')!a} found", start)
        return Chunk(kind, group.start + 4, group.stop), self._next_group(group.stop)

    def _next_group(self, stop: int) -> int:
        """Skips zeros after a group: some writers exclude the padding of the last chunk from the group's size."""
        window = self.mapped[stop : stop + self.chunk_format.alignment + 3]
        padding = len(window) - len(window.lstrip(b"\0"))
        if padding == len(window) < self.chunk_format.alignment:
            return len(self.mapped)
        return stop + (padding if padding < self.chunk_format.alignment else 0)


# At larger distances every position read through a memory map costs a page fault, five times the cost of reading it
# from the file.
_FAR_APART = 64 * 1024

ChooseChannel = Callable[[tuple[MayaChannel, ...]], MayaChannel]


@dataclass(frozen=True)
class FrameIndex:
    """The frames of one channel of one file.

    Attributes:
        channel: the channel in frame 0; all frames have its type and number of vertices.
        offsets: `[frames]` position of the values of each frame, in bytes.
        ticks: `[frames]` time of each frame.
    """

    channel: MayaChannel
    offsets: Int64Array
    ticks: Int32Array

    @property
    def dtype(self) -> np.dtype[Any]:
        """Type of the stored numbers, big-endian."""
        return VECTOR_TYPES[self.channel.tag]


def index_file(path: Path, mapped: mmap.mmap, choose: ChooseChannel) -> FrameIndex:
    """Finds all frames of the channel that `choose` selects in the first frame.

    A file whose frames all share the layout of the first is checked by one comparison of their chunk headers, some
    hundred bytes per frame; any other is parsed chunk by chunk.

    Args:
        path: the data file.
        mapped: its bytes.
        choose: selects a channel among those of the first frame.

    Raises:
        FileFormatError: the file is damaged, has no frame, or its frames differ in type or size.
    """
    parser = ChunkParser(path, mapped)
    start, header_tick = parser.file_header()
    if start >= len(mapped):
        raise parser.error("holds no frame", start)
    first = parser.frame(start)
    if first.tick is None:
        return _single_frame(parser, first, header_tick, choose)
    chosen = choose(first.channels)
    return _regular_index(parser, start, first, chosen) or _parsed_index(parser, start, chosen)


def _single_frame(parser: ChunkParser, frame: Frame, header_tick: int | None, choose: ChooseChannel) -> FrameIndex:
    """Indexes a file of a one-file-per-frame cache, which has its time in the header."""
    if header_tick is None:
        raise parser.error("has neither TIME in its frame nor STIM in its header", 0)
    if frame.stop < len(parser.mapped):
        raise parser.error("has several frames, the first without TIME", frame.stop)
    chosen = choose(frame.channels)
    return FrameIndex(chosen, np.array([chosen.start]), np.array([header_tick], np.int32))


def _regular_index(parser: ChunkParser, start: int, first: Frame, chosen: MayaChannel) -> FrameIndex | None:
    """Indexes a file whose frames all share the layout of the first; returns None for others."""
    length = first.stop - start
    num_frames, rest = divmod(len(parser.mapped) - start, length)
    if rest:
        return None
    ticks = np.zeros(num_frames, np.int32)
    for low, high in _layout_ranges(start, first):
        rows = _same_range_of_all(parser, low, high, num_frames, length)
        tick = first.tick_start - low
        if 0 <= tick < high - low:
            ticks[:] = rows[:, tick : tick + 4].copy().view(">i4")[:, 0]
            rows[:, tick : tick + 4] = 0
        if (rows != rows[0]).any():
            return None
    return FrameIndex(chosen, chosen.start + length * np.arange(num_frames), ticks)


def _layout_ranges(start: int, frame: Frame) -> list[tuple[int, int]]:
    """Returns the byte ranges of a frame that hold no values."""
    lows = [start, *(stop for _, stop in frame.values)]
    highs = [*(begin for begin, _ in frame.values), frame.stop]
    return [(low, high) for low, high in zip(lows, highs, strict=True) if low < high]


def _same_range_of_all(parser: ChunkParser, low: int, high: int, num_frames: int, length: int) -> UInt8Array:
    """Returns the bytes `low` to `high` of frame 0 and the same range of every frame, `[frames, high - low]`."""
    if length < _FAR_APART:
        return np.ndarray((num_frames, high - low), np.uint8, parser.mapped, low, (length, 1)).copy()
    size = high - low
    rows = bytearray(num_frames * size)
    view = memoryview(rows)
    try:
        with parser.path.open("rb", buffering=0) as handle:
            for frame in range(num_frames):
                handle.seek(low + frame * length)
                handle.readinto(view[frame * size : (frame + 1) * size])
    except OSError as error:
        raise unreadable(parser.path, error) from error
    return np.frombuffer(rows, np.uint8).reshape(num_frames, size)


def _parsed_index(parser: ChunkParser, start: int, chosen: MayaChannel) -> FrameIndex:
    """Indexes any file, frame by frame. Arrays of numbers keep the index smaller than the file."""
    offsets, ticks = array("q"), array("i")
    for number, frame in enumerate(parser.frames(start)):
        same = [channel for channel in frame.channels if channel.name == chosen.name]
        if len(same) != 1 or frame.tick is None:
            problem = f"frame {number}: one TIME and one channel {chosen.name!r} expected, {len(same)} channels found"
            raise parser.error(problem, start)
        if (same[0].tag, same[0].num_verts) != (chosen.tag, chosen.num_verts):
            raise _disagreement(parser, number, same[0], chosen)
        offsets.append(same[0].start)
        ticks.append(frame.tick)
        start = frame.stop
    return FrameIndex(chosen, np.array(offsets, np.int64), np.array(ticks, np.int32))


def _disagreement(parser: ChunkParser, number: int, found: MayaChannel, chosen: MayaChannel) -> FileFormatError:
    def shown(channel: MayaChannel) -> str:
        return f"{channel.num_verts} vertices of type {channel.tag.decode()}"

    return parser.error(
        f"frame {number}: channel {chosen.name!r} has {shown(found)}, frame 0 has {shown(chosen)}",
        found.start,
        "All frames of a cache must have the same vertices: export it again with constant topology.",
    )
