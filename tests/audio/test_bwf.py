"""The time reference of Broadcast Wave files, and files without one."""

from __future__ import annotations

import struct
from fractions import Fraction
from pathlib import Path

import pytest

from audio2face.audio.wav import read_time_reference


def chunk(tag: bytes, content: bytes, size: int | None = None) -> bytes:
    return tag + struct.pack("<I", len(content) if size is None else size) + content + b"\0" * (len(content) % 2)


def bext(samples: int) -> bytes:
    return chunk(b"bext", b"scene".ljust(338, b"\0") + struct.pack("<Q", samples) + bytes(256) + b"A=PCM")


FORMAT = chunk(b"fmt ", struct.pack("<HHIIHH", 1, 1, 48_000, 96_000, 2, 16))
DATA = chunk(b"data", bytes(7))
LONG = chunk(b"ds64", struct.pack("<QQQI", 100, 8, 4, 0))
START = 48_000 * 3_600 * 23  # beyond 32 bits


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        (b"RIFF1234WAVE" + bext(START) + FORMAT + DATA, Fraction(23 * 3_600)),
        (b"RIFF1234WAVE" + FORMAT + DATA + bext(24_000), Fraction(1, 2)),
        (b"RF64\xff\xff\xff\xffWAVE" + LONG + FORMAT + chunk(b"data", bytes(8), 0xFFFFFFFF) + bext(START), 23 * 3_600),
        (b"RIFF1234WAVE" + FORMAT + DATA, None),
        (b"RIFF1234WAVE" + bext(0) + FORMAT + DATA, None),
        (b"RIFF1234WAVE" + bext(48_000 * 86_400) + FORMAT + DATA, None),
        (b"RIFF1234WAVE" + bext(5)[:200], None),
        (b"RF64\xff\xff\xff\xffWAVE" + chunk(b"ds64", b"\xff" * 16) + chunk(b"data", b"", 0xFFFFFFFF), None),
        (b"fLaC", None),
        (b"", None),
    ],
)
def test_time_reference(content: bytes, expected: Fraction | None, tmp_path: Path) -> None:
    path = tmp_path / "a.wav"
    path.write_bytes(content)
    assert read_time_reference(path) == expected
