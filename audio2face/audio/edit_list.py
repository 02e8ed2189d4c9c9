"""Reads the edit lists of MP4 and QuickTime files: when each track is played (ISO/IEC 14496-12, 8.6.6).

An edit list defines which part of a track's media is presented at which time: it excludes the encoder's priming
samples and trailing padding, delays a track by an empty edit, and stores cuts made in an editor. FFmpeg applies lists
of several edits by whole packets and ignores cuts at the end; this module reads the lists to the sample.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import IO

from audio2face.errors import FileFormatError

_MAX_BOXES = 100_000  # in one box; fragments of a day-long recording are fewer
_MAX_EDITS = 1000
_NORMAL_SPEED = 0x10000  # 1.0 in 16.16 fixed point


@dataclass(frozen=True)
class TimedEdit:
    """A range of a track's media and its presentation time.

    Attributes:
        at: time of presentation, in seconds.
        start: start in the media, in seconds.
        duration: in seconds; None means to the end of the media.
    """

    at: Fraction
    start: Fraction
    duration: Fraction | None


@dataclass(frozen=True)
class _Box:
    kind: bytes
    start: int  # of its contents
    stop: int


def read_edit_lists(path: Path) -> dict[int, tuple[TimedEdit, ...]]:
    """Reads the edit lists of an MP4 or QuickTime file.

    Returns:
        Edits by track number, in order of presentation; only tracks whose list presents something.

    Raises:
        FileFormatError: a list is damaged, too long, or plays a track at another speed.
        OSError: the file cannot be read.
    """
    with path.open("rb") as handle:
        size = path.stat().st_size
        moov = _find(handle, _Box(b"", 0, size), b"moov")
        if moov is None:
            return {}
        header = _find(handle, moov, b"mvhd")
        movie_scale = 0 if header is None else _timescale(handle, header)
        is_fragmented = _find(handle, moov, b"mvex") is not None
        lists = {}
        for track in _boxes(handle, moov):
            if track.kind != b"trak":
                continue
            edits = _track_edits(handle, track, movie_scale, is_fragmented, path)
            if edits:
                lists[_track_number(handle, track)] = edits
        return lists


def _boxes(handle: IO[bytes], parent: _Box) -> Iterator[_Box]:
    position = parent.start
    for _ in range(_MAX_BOXES):
        handle.seek(position)
        head = handle.read(16)
        if position + 8 > parent.stop or len(head) < 8:
            return
        size, kind = struct.unpack(">I4s", head[:8])
        start = position + 8
        if size == 1 and len(head) == 16:
            size, start = struct.unpack(">Q", head[8:])[0], position + 16
        stop = parent.stop if size == 0 else position + size
        if stop < start:
            return
        yield _Box(kind, start, min(stop, parent.stop))
        position = stop


def _find(handle: IO[bytes], parent: _Box, *kinds: bytes) -> _Box | None:
    """Finds the first box of a kind; each further kind is searched inside the previous one."""
    found: _Box | None = parent
    for kind in kinds:
        if found is None:
            return None
        found = next((box for box in _boxes(handle, found) if box.kind == kind), None)
    return found


def _contents(handle: IO[bytes], box: _Box, offset: int, layout: str) -> tuple[int, ...]:
    """Reads fields of a box; empty if the box is too short."""
    size = struct.calcsize(layout)
    if box.start + offset + size > box.stop:
        return ()
    handle.seek(box.start + offset)
    data = handle.read(size)
    return struct.unpack(layout, data) if len(data) == size else ()


def _version(handle: IO[bytes], box: _Box) -> int:
    version = _contents(handle, box, 0, ">B")
    return version[0] if version else 0


def _timescale(handle: IO[bytes], header: _Box) -> int:
    """Reads the units per second in the header of a movie or a medium; 0 if it is damaged."""
    scale = _contents(handle, header, 20 if _version(handle, header) == 1 else 12, ">I")
    return scale[0] if scale else 0


def _track_number(handle: IO[bytes], track: _Box) -> int:
    header = _find(handle, track, b"tkhd")
    number = () if header is None else _contents(handle, header, 20 if _version(handle, header) == 1 else 12, ">I")
    return number[0] if number else -1


def _track_edits(
    handle: IO[bytes], track: _Box, movie_scale: int, is_fragmented: bool, path: Path
) -> tuple[TimedEdit, ...]:
    box, media = _find(handle, track, b"edts", b"elst"), _find(handle, track, b"mdia", b"mdhd")
    media_scale = 0 if media is None else _timescale(handle, media)
    if box is None or not movie_scale or not media_scale:
        return ()
    edits: list[TimedEdit] = []
    at = Fraction(0)
    for length, start, speed in _entries(handle, box, path):
        # In fragmented files the length is unknown when the list is written.
        duration = None if length == 0 and (is_fragmented or not edits) else Fraction(length, movie_scale)
        if start >= 0 and duration != 0:
            if speed not in (_NORMAL_SPEED, 0):
                raise FileFormatError(
                    f"its edit list plays the audio at {speed / _NORMAL_SPEED:g} times its speed",
                    path=path,
                    hint="Export the film with its edits applied.",
                )
            edits.append(TimedEdit(at, Fraction(start, media_scale), duration))
        if duration is None and start >= 0:
            break
        at += duration or 0
    return tuple(edits)


def _entries(handle: IO[bytes], box: _Box, path: Path) -> list[tuple[int, int, int]]:
    """Reads length, start in the media (-1: nothing is presented) and speed of each edit."""
    layout = ">Qqi" if _version(handle, box) == 1 else ">Iii"
    count = _contents(handle, box, 4, ">I")
    size = struct.calcsize(layout)
    if not count or count[0] > _MAX_EDITS or box.start + 8 + count[0] * size > box.stop:
        raise FileFormatError(
            f"its edit list is damaged or has more than {_MAX_EDITS:,} edits",
            path=path,
            offset=box.start,
            hint="Export the film with its edits applied.",
        )
    entries = [_contents(handle, box, 8 + index * size, layout) for index in range(count[0])]
    return [(entry[0], entry[1], entry[2]) for entry in entries if len(entry) == 3]
