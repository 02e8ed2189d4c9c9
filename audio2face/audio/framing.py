"""Inspects audio containers: MP3 detection and stated length (Xing, LAME), chained Ogg, truncated files."""

from __future__ import annotations

import struct
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import IO

_MAX_ID3_TAGS = 8
_SEARCHED = 1 << 16  # bytes after the tags in which the first frame starts


def is_mp3(path: Path) -> bool:
    """Returns whether a file starts with a frame of MP3, or with a tag that is common in MP3 files.

    Raises:
        OSError: the file cannot be read.
    """
    with path.open("rb") as handle:
        head = handle.read(4)
    return head[:3] == b"ID3" or (len(head) == 4 and _is_frame(head, 0))


def stated_samples(path: Path) -> int | None:
    """Reads the number of samples per channel in the Info tag of an MP3 file, including padding.

    Returns:
        None for a file without this tag, whose length is known only after decoding.

    Raises:
        OSError: the file cannot be read.
    """
    with path.open("rb") as handle:
        handle.seek(_after_id3(handle))
        data = handle.read(_SEARCHED)
    start = next((at for at in range(len(data) - 4) if _is_frame(data, at)), None)
    if start is None:
        return None
    is_mpeg1, is_mono = data[start + 1] & 0x18 == 0x18, data[start + 3] >> 6 == 3
    side_info = (17 if is_mono else 32) if is_mpeg1 else (9 if is_mono else 17)
    tag = data[start + 4 + side_info : start + 16 + side_info]
    if tag[:4] not in (b"Xing", b"Info") or len(tag) < 12 or not tag[7] & 1:
        return None
    return int.from_bytes(tag[8:12], "big") * (1152 if is_mpeg1 else 576)


def _after_id3(handle: IO[bytes]) -> int:
    """Returns the position after the ID3v2 tags at the start, which may hold pictures of megabytes."""
    position = 0
    for _ in range(_MAX_ID3_TAGS):
        handle.seek(position)
        head = handle.read(10)
        if len(head) < 10 or head[:3] != b"ID3":
            break
        size = sum((byte & 0x7F) << shift for byte, shift in zip(head[6:], (21, 14, 7, 0), strict=True))
        position += 10 + size + (10 if head[5] & 0x10 else 0)
    return position


def _is_frame(data: bytes, at: int) -> bool:
    """Checks for the header of a layer III frame at a position: sync, version, layer, bit rate and sample rate."""
    head = data[at : at + 3]
    return (
        head[0] == 0xFF
        and head[1] & 0xE6 == 0xE2
        and head[1] & 0x18 != 0x08
        and head[2] >> 4 not in (0, 15)
        and head[2] & 0x0C != 0x0C
    )


_HEADER = 27  # bytes of a page before its table of segments
_BEGINS_STREAM = 0x02


def is_chained(path: Path) -> bool:
    """Returns whether an Ogg file chains several streams; False for files of other kinds.

    Raises:
        OSError: the file cannot be read.
    """
    position, has_sound = 0, False
    with path.open("rb") as handle:
        while True:
            handle.seek(position)
            page = handle.read(_HEADER + 255)
            if len(page) < _HEADER or page[:4] != b"OggS":
                return False
            begins = bool(page[5] & _BEGINS_STREAM)
            if begins and has_sound:
                return True
            has_sound = has_sound or not begins
            segments = page[26]
            position += _HEADER + segments + sum(page[_HEADER : _HEADER + segments])


_MAX_BOXES = 1_000_000  # fragments of a recording of days; a file of empty boxes would take hours
_MP4_BEGINS_WITH = (b"ftyp", b"moov", b"mdat", b"free", b"skip", b"wide", b"pnot", b"styp", b"moof", b"sidx")
_UNKNOWN = (0, 0xFFFFFFFF)  # sizes written by programs that cannot seek back
_W64_RIFF = bytes.fromhex("726966662e91cf11a5d628db04c10000")
_W64_DATA = b"data" + bytes.fromhex("f3acd3118cd100c04f8edb8a")
_EBML, _SEGMENT = b"\x1aE\xdf\xa3", b"\x18S\x80g"


@dataclass(frozen=True)
class Flaw:
    """A defect at the end of a file.

    Attributes:
        problem: description for messages.
        offset: position of the affected part, in bytes.
    """

    problem: str
    offset: int


def find_flaw(path: Path) -> Flaw | None:
    """Compares the sizes stated by a container with the file; None if they match or are missing.

    Raises:
        OSError: the file cannot be read.
    """
    size = path.stat().st_size
    with path.open("rb") as handle:
        head = handle.read(40)
        for is_kind, check in _CHECKS:
            if is_kind(head):
                return check(handle, size)
    return None


def _truncation(what: str, claimed: int, size: int, offset: int) -> Flaw | None:
    """Returns a flaw if a part that ends at `claimed` exceeds the file."""
    if claimed <= size:
        return None
    return Flaw(f"the file is cut off: {what} should end at byte {claimed:,}, the file ends at byte {size:,}", offset)


def _read(handle: IO[bytes], position: int, layout: str) -> tuple[int, ...] | None:
    handle.seek(position)
    data = handle.read(struct.calcsize(layout))
    return struct.unpack(layout, data) if len(data) == struct.calcsize(layout) else None


def _check_mp4(handle: IO[bytes], size: int) -> Flaw | None:
    position, has_index = 0, False
    for _ in range(_MAX_BOXES):
        handle.seek(position)
        head = handle.read(16)
        if len(head) < 8 or not head[4:8].isascii() or not head[4:8].decode().isprintable():
            break  # bytes after the last box
        length, kind = struct.unpack(">I4s", head[:8])
        if length == 1 and len(head) == 16:
            length = struct.unpack(">Q", head[8:])[0]
        length = size - position if length == 0 else length
        if length < 8:
            break
        flaw = _truncation(f"box {kind.decode()!r}", position + length, size, position)
        if flaw is not None:
            return flaw
        has_index = has_index or kind in (b"moov", b"moof")
        position += length
    if has_index:
        return None
    return Flaw("the file has no index (box 'moov'): it is cut off, or its recording was not finished", position)


def _check_matroska(handle: IO[bytes], size: int) -> Flaw | None:
    header = _ebml_size(handle, 4)
    if header is None or header[0] is None:
        return None
    position = header[1] + header[0]
    handle.seek(position)
    if handle.read(4) != _SEGMENT:
        return _truncation("its header", position + 5, size, 0)
    segment = _ebml_size(handle, position + 4)
    if segment is None or segment[0] is None:
        return None
    return _truncation("the segment", segment[1] + segment[0], size, position)


def _ebml_size(handle: IO[bytes], position: int) -> tuple[int | None, int] | None:
    """Reads the size of an element (None: unknown) and the position of its contents; None if there is no element."""
    handle.seek(position)
    first = handle.read(1)
    if not first or first[0] == 0:
        return None
    length = 9 - first[0].bit_length()
    rest = handle.read(length - 1)
    if len(rest) < length - 1:
        return None
    value = int.from_bytes(bytes([first[0] & (0xFF >> length)]) + rest, "big")
    return (None if value == (1 << 7 * length) - 1 else value), position + length


def _check_avi(handle: IO[bytes], size: int) -> Flaw | None:
    for position, tag, length in _chunks(handle, 0, "<4sI", 8):
        if tag != b"RIFF":
            return None
        if length in _UNKNOWN:
            return None
        flaw = _truncation("the video", position + 8 + length, size, position)
        if flaw is not None:
            return flaw
    return None


def _check_aiff(handle: IO[bytes], size: int) -> Flaw | None:
    for position, tag, length in _chunks(handle, 12, ">4sI", 8):
        is_samples = tag == b"SSND"
        if is_samples and (length in _UNKNOWN or length >= 0x7FFF0000):
            return None
        flaw = _truncation("the samples" if is_samples else f"chunk {tag!r}", position + 8 + length, size, position)
        if flaw is not None or is_samples:
            return flaw
    return None


def _check_au(handle: IO[bytes], size: int) -> Flaw | None:
    fields = _read(handle, 4, ">II")
    if fields is None or fields[1] == _UNKNOWN[1]:
        return None
    return _truncation("the samples", fields[0] + fields[1], size, 8)


def _check_caf(handle: IO[bytes], size: int) -> Flaw | None:
    for position, tag, length in _chunks(handle, 8, ">4sq", 12, align=1):
        if length < 0:
            return None  # it extends to the end of the file
        flaw = _truncation(
            "the samples" if tag == b"data" else f"chunk {tag!r}", position + 12 + length, size, position
        )
        if flaw is not None:
            return flaw
    return None


def _check_w64(handle: IO[bytes], size: int) -> Flaw | None:
    for position, tag, length in _chunks(handle, 40, "<16sQ", 0, align=8):
        if tag == _W64_DATA:
            is_unknown = length <= 24 or length >= 1 << 62
            return None if is_unknown else _truncation("the samples", position + length, size, position)
        if length < 24:
            return None
    return None


def _chunks(
    handle: IO[bytes], start: int, layout: str, header: int, align: int = 2
) -> Iterator[tuple[int, bytes, int]]:
    """Yields position, tag and length of consecutive chunks.

    Args:
        handle: the file.
        start: position of the first.
        layout: `struct` format of tag and length.
        header: bytes excluded from the length.
        align: alignment of a chunk's position relative to the first, in bytes.
    """
    position = start
    for _ in range(_MAX_BOXES):
        fields = _read(handle, position, layout)
        if fields is None:
            return
        tag, length = fields
        yield position, bytes(tag), length
        position += -(-(header + length) // align) * align


_CHECKS: tuple[tuple[Callable[[bytes], bool], Callable[[IO[bytes], int], Flaw | None]], ...] = (
    (lambda head: head[4:8] in _MP4_BEGINS_WITH, _check_mp4),
    (lambda head: head[:4] == _EBML, _check_matroska),
    (lambda head: head[:4] == b"RIFF" and head[8:12] == b"AVI ", _check_avi),
    (lambda head: head[:4] == b"FORM" and head[8:12] in (b"AIFF", b"AIFC"), _check_aiff),
    (lambda head: head[:4] == b".snd", _check_au),
    (lambda head: head[:4] == b"caff", _check_caf),
    (lambda head: head[:16] == _W64_RIFF, _check_w64),
)
