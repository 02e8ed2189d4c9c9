"""Which files are MP3, and how long they say they are: the count of frames in the Info tag (Xing, LAME)."""

from __future__ import annotations

from pathlib import Path
from typing import IO

_MAX_ID3_TAGS = 8
_SEARCHED = 1 << 16  # bytes behind the tags in which the first frame begins


def is_mp3(path: Path) -> bool:
    """Whether a file begins with a frame of MP3, or with a tag that such files have (as others may).

    Raises:
        OSError: the file cannot be read.
    """
    with path.open("rb") as handle:
        head = handle.read(4)
    return head[:3] == b"ID3" or (len(head) == 4 and _is_frame(head, 0))


def stated_samples(path: Path) -> int | None:
    """The number of samples per channel that the Info tag of an MP3 file promises, padding included.

    Returns:
        None where the file has no such tag, so that nobody knows its length without decoding it.

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
    """Position behind the ID3v2 tags at the start, which may hold pictures of megabytes."""
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
    """Whether the header of a frame of layer III stands at a place: sync, version, layer, bit rate and sample rate."""
    head = data[at : at + 3]
    return (
        head[0] == 0xFF
        and head[1] & 0xE6 == 0xE2
        and head[1] & 0x18 != 0x08
        and head[2] >> 4 not in (0, 15)
        and head[2] & 0x0C != 0x0C
    )
