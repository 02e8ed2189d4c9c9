"""Headers of programs that write into a pipe and cannot fill in a length; files that were cut off are none of these."""

from __future__ import annotations

import io
import struct
from pathlib import Path

import numpy as np
import pytest
import soundfile

from audio2face.audio import read_header, read_track
from audio2face.errors import FileFormatError

SAMPLES = np.rint(20_000 * np.sin(np.arange(901) / 10)).astype("<i2")
LONGEST = (1 << 64) - 1
FORMAT = struct.pack("<HHIIHH", 1, 1, 16_000, 32_000, 2, 16)
EXTENSIBLE = struct.pack("<HHIIHHHHIH", 0xFFFE, 1, 16_000, 48_000, 3, 24, 22, 24, 4, 1) + bytes.fromhex(
    "000000001000800000aa00389b71"
)
FLOAT = struct.pack("<HHIIHHH", 3, 1, 16_000, 64_000, 4, 32, 0)


def wav(
    riff_size: int,
    data_size: int,
    *,
    magic: bytes = b"RIFF",
    before: bytes = b"",
    behind: bytes = b"",
    form: bytes = FORMAT,
    data: bytes = SAMPLES.tobytes(),
) -> bytes:
    head = magic + struct.pack("<I", riff_size) + b"WAVE" + before
    return head + b"fmt " + struct.pack("<I", len(form)) + form + b"data" + struct.pack("<I", data_size) + data + behind


def ds64(riff_size: int, data_size: int, num_samples: int) -> bytes:
    return b"ds64" + struct.pack("<IQQQI", 28, riff_size, data_size, num_samples, 0)


def check_whole(path: Path) -> None:
    assert read_header(path).num_samples == len(SAMPLES)
    np.testing.assert_allclose(read_track(path).data, SAMPLES / 32768, atol=1e-6)


@pytest.mark.parametrize(
    ("riff_size", "data_size"),
    [
        (0xFFFFFFFF, 0xFFFFFFFF),
        (0x7FFFF024, 0x7FFFF000),
        (0x7FFFFFFF, 0x7FFFFFFF - 36),
        (0x80000024, 0x80000000),
        (0x80000000, 0x80000000),
        (0x7FFFFFFF, 0x7FFFFFFF),
        (0xFFFFF024, 0xFFFFF000),
        (0xFFFFFFFF, 0xFFFFFFFF - 36),
        (36 + 1802, 0x7FFFF000),
        (0, 0),
        (36, 0),
        (0xFFFFFFFF, 0),
    ],
)
def test_a_length_that_was_not_known_is_that_of_the_file(tmp_path: Path, riff_size: int, data_size: int) -> None:
    path = tmp_path / "a.wav"
    path.write_bytes(wav(riff_size, data_size))
    check_whole(path)
    path.write_bytes(wav(riff_size, data_size, data=SAMPLES.tobytes() + b"\0"))  # broken off within a sample
    check_whole(path)


@pytest.mark.parametrize("magic", [b"RF64", b"BW64"])
@pytest.mark.parametrize(
    "sizes", [(0, 0, 0), (LONGEST, LONGEST, LONGEST), (LONGEST, LONGEST, 0), (0, LONGEST, 0), (1900, 1802, 901)]
)
def test_long_headers_that_were_not_finished_are_read_to_the_end(
    tmp_path: Path, magic: bytes, sizes: tuple[int, int, int]
) -> None:
    path = tmp_path / "a.wav"
    path.write_bytes(wav(0xFFFFFFFF, 0xFFFFFFFF, magic=magic, before=ds64(*sizes)))
    check_whole(path)


def test_w64_and_au_and_flac_of_a_pipe_are_read_to_the_end(tmp_path: Path) -> None:
    for kind, field, values in (("W64", b"data\xf3\xac\xd3\x11", (1 << 63) - 1), ("AU", b".snd", 0xFFFFFFFF)):
        path = tmp_path / f"a.{kind.lower()}"
        soundfile.write(path, SAMPLES, 16_000, format=kind, subtype="PCM_16")
        content = bytearray(path.read_bytes())
        at = content.index(field) + (16 if kind == "W64" else 8)
        struct.pack_into("<Q" if kind == "W64" else ">I", content, at, values)
        path.write_bytes(content)
        check_whole(path)
    path = tmp_path / "a.flac"
    soundfile.write(path, SAMPLES, 16_000)
    content = bytearray(path.read_bytes())
    content[21] &= 0xF0
    content[22:26] = bytes(4)  # the number of samples
    path.write_bytes(content)
    check_whole(path)


@pytest.mark.parametrize(
    ("form", "data", "tolerance"),
    [
        (EXTENSIBLE, b"".join(struct.pack("<i", int(value) << 8)[:3] for value in SAMPLES), 1e-6),
        (FLOAT, (SAMPLES / 32768).astype("<f4").tobytes(), 1e-7),
    ],
)
def test_other_codings_and_chunks_around_the_samples(
    tmp_path: Path, form: bytes, data: bytes, tolerance: float
) -> None:
    odd, path = b"note" + struct.pack("<I", 3) + b"abc\0", tmp_path / "a.wav"
    padded = data + b"\0" * (len(data) % 2)
    total = 20 + len(form) + len(padded) + 8 + 2 * len(odd)
    path.write_bytes(wav(total, len(data), before=odd, behind=odd, form=form, data=padded))
    np.testing.assert_allclose(read_track(path).data, SAMPLES / 32768, atol=tolerance)
    path.write_bytes(wav(0xFFFFFFFF, 0xFFFFFFFF, before=odd, form=form, data=data))
    np.testing.assert_allclose(read_track(path).data, SAMPLES / 32768, atol=tolerance)


@pytest.mark.parametrize(
    ("riff_size", "data_size"), [(36 + 1802, 0), (36 + 4000, 4000), (36 + 0x7FFE0000, 0x7FFE0000), (0, 4000)]
)
def test_files_that_were_cut_off_are_refused(tmp_path: Path, riff_size: int, data_size: int) -> None:
    path = tmp_path / "a.wav"
    path.write_bytes(wav(riff_size, data_size))
    with pytest.raises(FileFormatError, match="the header states"):
        read_header(path)


@pytest.mark.parametrize("kind", ["W64", "AU", "AIFF", "CAF"])
def test_other_kinds_that_were_cut_off_are_refused(tmp_path: Path, kind: str) -> None:
    path, buffer = tmp_path / "a.wav", io.BytesIO()
    soundfile.write(buffer, SAMPLES, 16_000, format=kind, subtype="PCM_16")
    path.write_bytes(buffer.getvalue()[:-700])
    with pytest.raises(FileFormatError, match="the file is cut off: the samples should end at byte"):
        read_track(path)
