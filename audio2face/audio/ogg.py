"""Whether an Ogg file is several recordings one after the other (RFC 3533, chained), of which libsndfile reads one."""

from __future__ import annotations

from pathlib import Path

_HEADER = 27  # bytes of a page before its table of segments
_BEGINS_STREAM = 0x02


def is_chained(path: Path) -> bool:
    """Whether a stream begins after the sound of another one has; False for files of other kinds.

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
