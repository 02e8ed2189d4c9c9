"""Damaged and hostile files: our error, or a well-formed track; soon, and in little memory."""

from __future__ import annotations

import io
import struct
import time
import tracemalloc
from pathlib import Path

import numpy as np
import pytest
import soundfile
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from audio2face.audio import measure_levels, read_header, read_track
from audio2face.errors import FileFormatError, UserError

HEADER = 44  # bytes of a plain WAV file before its samples
BLOCK_MEMORY = 3_000_000  # a block while it is read and checked
FILTER_MEMORY = 36_000_000  # the longest resampling filter that a sample rate can ask for
FORMATS = [
    ("WAV", "PCM_U8"),
    ("WAV", "PCM_16"),
    ("WAV", "PCM_24"),
    ("WAV", "FLOAT"),
    ("WAV", "DOUBLE"),
    ("WAV", "IMA_ADPCM"),
    ("WAVEX", "PCM_16"),
    ("RF64", "PCM_16"),
    ("FLAC", "PCM_16"),
    ("OGG", "VORBIS"),
]


def encoded(format_: str = "WAV", subtype: str = "PCM_16", num_channels: int = 1) -> bytes:
    tone = 0.5 * np.sin(np.arange(900) / 10)
    buffer = io.BytesIO()
    soundfile.write(buffer, np.stack([tone] * num_channels, axis=1), 16_000, format=format_, subtype=subtype)
    return buffer.getvalue()


WHOLE = {kind: encoded(*kind) for kind in FORMATS}
PLAIN = WHOLE["WAV", "PCM_16"]


def patched(offset: int, layout: str, *values: int) -> bytes:
    """The plain file with some fields of its header changed."""
    content = bytearray(PLAIN)
    struct.pack_into(layout, content, offset, *values)
    return bytes(content)


def read_damaged(path: Path, content: bytes) -> bool:
    """Whether a file could be read; fails on another error than ours, a malformed track, waste of time or memory."""
    path.write_bytes(content)
    track, refusal = None, ""
    began = time.process_time()
    tracemalloc.start()
    try:
        track = read_track(path)
        levels = measure_levels(path)
    except UserError as error:
        refusal = str(error)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert time.process_time() - began < 1
    assert peak <= 4 * len(content) + BLOCK_MEMORY + FILTER_MEMORY
    if track is None:
        assert path.name in refusal
        return False
    assert not refusal
    assert track.data.dtype == np.float32
    assert track.data.ndim == 1
    assert len(track.data) > 0
    assert np.isfinite(track.data).all()
    assert np.isfinite(levels.rms)
    return True


@pytest.fixture(scope="module")
def target(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("damaged") / "a.wav"


@settings(max_examples=300, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(kind=st.sampled_from(FORMATS), data=st.data())
def test_cut_anywhere(target: Path, kind: tuple[str, str], data: st.DataObject) -> None:
    whole = WHOLE[kind]
    end = data.draw(st.integers(0, len(whole) - 1))
    readable = read_damaged(target, whole[:end])
    # A page of Vorbis, or the padding behind a short block, may go unmissed; samples of PCM never.
    assert not (readable and kind[1] in ("PCM_16", "PCM_24", "FLOAT", "DOUBLE"))


@settings(max_examples=400, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(kind=st.sampled_from(FORMATS), data=st.data())
def test_any_bits_flipped(target: Path, kind: tuple[str, str], data: st.DataObject) -> None:
    content = bytearray(WHOLE[kind])
    reach = data.draw(st.sampled_from([48, 120, len(content)]))
    for bit in data.draw(st.sets(st.integers(0, 8 * min(reach, len(content)) - 1), min_size=1, max_size=4)):
        content[bit // 8] ^= 1 << bit % 8
    read_damaged(target, bytes(content))


@settings(max_examples=300, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(offset=st.integers(0, HEADER - 4), value=st.integers(0, 2**32 - 1))
def test_any_field_replaced(target: Path, offset: int, value: int) -> None:
    read_damaged(target, patched(offset, "<I", value))


@pytest.mark.parametrize(
    ("content", "offset", "words"),
    [
        (patched(40, "<I", 2**30), 40, "states 1,073,741,824 bytes of samples, 1,800 are there"),
        (PLAIN[:-1], 40, "states 1,800 bytes of samples, 1,799 are there"),
        (patched(40, "<I", 0), 40, "stopped before its header was finished"),
        (patched(22, "<H", 65_535), 22, "65,535 channels"),
        (patched(22, "<H", 0), 22, "0 channels"),
        (patched(24, "<I", 0), 24, "a sample rate of 0 Hz"),
        (patched(24, "<I", 2**31), 24, "a sample rate of 2,147,483,648 Hz"),
        (patched(16, "<I", 10**9), 16, "claims 1,000,000,000 bytes"),
        (patched(16, "<I", 2), 16, "a header chunk of 2 bytes"),
        (PLAIN[:40], 36, "no data chunk"),
        (PLAIN[:36] + b"abcd\0\0\0\0" * 10**6 + PLAIN[36:], 36 + 8 * 1000 - 8, "among the first 1,000 chunks"),
        (b"", 0, "the file is empty"),
    ],
)
def test_a_damaged_header_is_named_with_its_place(target: Path, content: bytes, offset: int, words: str) -> None:
    target.write_bytes(content)
    with pytest.raises(FileFormatError, match=words) as caught:
        read_header(target)
    assert caught.value.offset == offset
    assert caught.value.path == target


def test_a_streaming_header_reads_to_the_end(target: Path) -> None:
    target.write_bytes(PLAIN[:4] + b"\xff" * 4 + PLAIN[8:40] + b"\xff" * 4 + PLAIN[44:])
    assert read_header(target).num_samples == 900
    assert len(read_track(target).data) == 900


def test_chunks_around_the_samples_are_passed_over(target: Path) -> None:
    odd = b"note" + struct.pack("<I", 3) + b"abc\0"
    target.write_bytes(PLAIN[:36] + odd + PLAIN[36:] + odd * 3)
    assert len(read_track(target).data) == 900


def test_a_long_form_header_is_held_to_its_64_bit_size(target: Path) -> None:
    whole = bytearray(WHOLE["RF64", "PCM_16"])
    struct.pack_into("<Q", whole, whole.index(b"ds64") + 16, 2**40)
    target.write_bytes(whole)
    with pytest.raises(FileFormatError, match="states 1,099,511,627,776 bytes"):
        read_header(target)


def test_a_compressed_header_that_claims_hours_is_not_believed(target: Path) -> None:
    whole = bytearray(WHOLE["FLAC", "PCM_16"])
    whole[21] |= 0x0F  # the upper 4 of 36 bits that count the samples
    path = target.with_suffix(".flac")
    path.write_bytes(whole)
    with pytest.raises(FileFormatError, match="more than"):
        read_header(path)


def test_compressed_files_that_end_early_are_refused(target: Path) -> None:
    path = target.with_suffix(".flac")
    noise = np.random.default_rng(0).uniform(-0.5, 0.5, 40_000)
    soundfile.write(path, noise, 16_000)
    path.write_bytes(path.read_bytes()[:30_000])
    assert read_header(path).num_samples == 40_000
    with pytest.raises(FileFormatError):
        read_track(path)
