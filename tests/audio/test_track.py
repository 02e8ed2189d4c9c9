"""Files to tracks: formats, channels, level rules, reads beyond the ends."""

from __future__ import annotations

import os
import tracemalloc
from pathlib import Path

import numpy as np
import pytest
import soundfile

from audio2face.audio import AudioHeader, Track, measure_levels, read_header, read_track
from audio2face.errors import FileFormatError, UserError

RAMP = np.linspace(-0.5, 0.5, 1600, dtype=np.float32)


@pytest.mark.parametrize(
    ("subtype", "step"),
    [("PCM_U8", 2**-7), ("PCM_16", 2**-15), ("PCM_24", 2**-23), ("PCM_32", 2**-23), ("FLOAT", 1e-9), ("DOUBLE", 1e-9)],
)
@pytest.mark.parametrize("num_channels", [1, 2])
def test_every_wav_coding(tmp_path: Path, subtype: str, step: float, num_channels: int) -> None:
    path = tmp_path / "ramp.wav"
    channels = np.stack([RAMP, RAMP / 2], axis=1)[:, :num_channels]
    soundfile.write(path, channels, 16_000, subtype=subtype)
    assert read_header(path) == AudioHeader(16_000, 1600, num_channels, subtype)
    track = read_track(path)
    assert track.data.dtype == np.float32
    assert track.duration == 0.1
    np.testing.assert_allclose(track.data, channels.mean(axis=1), atol=step)


@pytest.mark.parametrize("suffix", ["flac", "ogg", "mp3", "aiff"])
def test_other_formats(tmp_path: Path, suffix: str) -> None:
    path = tmp_path / f"tone.{suffix}"
    tone = 0.5 * np.sin(2 * np.pi * 440 * np.arange(48_000) / 48_000)
    soundfile.write(path, tone, 48_000)
    track = read_track(path)
    assert len(track.data) == 16_000
    np.testing.assert_allclose(track.data[1000:-1000], tone[3000:-3000:3], atol=0.05)


def test_the_two_level_rules(tmp_path: Path) -> None:
    path = tmp_path / "a.wav"
    soundfile.write(path, RAMP, 16_000, subtype="FLOAT")
    plain, normalised = read_track(path, method="w2v"), read_track(path, method="nva2f")
    np.testing.assert_array_equal(plain.data, RAMP)
    assert plain.norm_factor == 0.5
    np.testing.assert_array_equal(normalised.data, RAMP * 2)
    assert normalised.norm_factor == 1.0


def test_levels_are_taken_after_resampling_by_w2v_and_before_it_by_nva2f(tmp_path: Path) -> None:
    path = tmp_path / "click.wav"
    click = np.zeros(4800, dtype=np.float32)
    click[2400] = 0.8
    soundfile.write(path, click, 48_000, subtype="FLOAT")
    plain, normalised = read_track(path, method="w2v"), read_track(path, method="nva2f")
    assert plain.norm_factor == pytest.approx(np.abs(plain.data).max())
    assert plain.norm_factor < 0.5
    assert np.abs(normalised.data).max() < 0.5


@pytest.mark.parametrize("method", ["w2v", "nva2f"])
@pytest.mark.parametrize("peak", [0.0, 0.01])
def test_silence_scales_nothing(tmp_path: Path, method, peak: float) -> None:  # type: ignore[no-untyped-def]
    path = tmp_path / "silence.wav"
    silence = np.zeros(1600, dtype=np.float32)
    silence[7] = np.nextafter(np.float32(peak), np.float32(0))
    soundfile.write(path, silence, 16_000, subtype="FLOAT")
    track = read_track(path, method=method)
    np.testing.assert_array_equal(track.data, silence)
    assert track.norm_factor == 1.0
    assert measure_levels(path).is_silent
    assert measure_levels(track).is_silent


def test_reads_are_zero_outside_the_track() -> None:
    track = Track(np.arange(1, 6, dtype=np.float32), 10)
    np.testing.assert_array_equal(track.read(-2, 3), [0, 0, 1, 2, 3])
    np.testing.assert_array_equal(track.read(3, 8), [4, 5, 0, 0, 0])
    np.testing.assert_array_equal(track.read(-1, 7), [0, 1, 2, 3, 4, 5, 0, 0])
    for start, stop in ((-9, -4), (5, 9), (2, 2)):
        np.testing.assert_array_equal(track.read(start, stop), np.zeros(stop - start))
    track.read(0, 5)[:] = 9
    assert track.data[0] == 1


def test_levels(tmp_path: Path) -> None:
    path = tmp_path / "loud.wav"
    stereo = np.zeros((1000, 2))
    stereo[:100, 0], stereo[100:150, 0] = 1.0, -1.0
    for subtype in ("PCM_U8", "PCM_16", "PCM_24", "FLOAT"):
        soundfile.write(path, stereo, 16_000, subtype=subtype)
        levels = measure_levels(path, block=64)
        assert levels.clipped_fraction == pytest.approx(0.075)
        assert levels.peak == pytest.approx(0.5, abs=0.01)
        assert levels.rms == pytest.approx(0.5 * 0.15**0.5, abs=0.01)
        assert not levels.is_silent


def test_a_long_file_costs_two_copies_of_its_samples(tmp_path: Path) -> None:
    path = tmp_path / "long.wav"
    num_samples = 48_000 * 60
    with soundfile.SoundFile(path, "w", 48_000, 2, "PCM_16") as sound:
        for _ in range(60):
            sound.write(np.full((48_000, 2), 0.1))
    tracemalloc.start()
    read_track(path)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 2 * 4 * num_samples + 4_000_000


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf, 1e30])
def test_the_first_sample_that_is_not_finite_is_named(tmp_path: Path, value: float) -> None:
    path = tmp_path / "a.wav"
    stereo = np.zeros((200_000, 2), dtype=np.float32)
    stereo[150_001:, 1] = value
    soundfile.write(path, stereo, 16_000, subtype="FLOAT")
    for reader in (read_track, measure_levels):
        with pytest.raises(FileFormatError, match="sample 150001 of channel 1"):
            reader(path)


def test_clear_words_for_what_cannot_be_read(tmp_path: Path) -> None:
    low, empty, nothing, raw = (tmp_path / name for name in ("low.wav", "empty.wav", "nothing.wav", "a.raw"))
    soundfile.write(low, RAMP, 7999)
    soundfile.write(empty, RAMP[:0], 16_000)
    nothing.touch()
    raw.write_bytes(bytes(100))
    pipe = tmp_path / "pipe.wav"
    os.mkfifo(pipe)
    for path, words in (
        (low, "7,999 Hz is too low"),
        (empty, "no samples"),
        (nothing, "the file is empty"),
        (raw, "no sample rate"),
        (tmp_path / "missing.wav", "no such audio file"),
        (tmp_path, "no such audio file"),
        (pipe, "no such audio file"),
        (Path("a\0b.wav"), "no such audio file"),
    ):
        with pytest.raises(UserError, match=words):
            read_track(path)
    assert read_header(low).samplerate == 7999
    with pytest.raises(UserError, match="method 'w3v' is unknown"):
        read_track(low, method="w3v")  # type: ignore[arg-type]
    with pytest.raises(UserError, match=r"odd\.wav: a sample rate of 50,021 Hz"):
        soundfile.write(tmp_path / "odd.wav", RAMP, 50_021)
        read_track(tmp_path / "odd.wav")
