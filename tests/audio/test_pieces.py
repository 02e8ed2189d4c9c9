"""A recording read in pieces is the recording read whole."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import soundfile

from audio2face.audio import Resampler, StreamResampler, peak_level, read_track, resample, stream_mono
from audio2face.errors import UserError


@pytest.mark.parametrize("rate", [8000, 16000, 22050, 44100, 48000, 96000])
@pytest.mark.parametrize("seconds", [0.01, 3.99, 4.0, 9.37])
@pytest.mark.parametrize("resampler", ["soxr", "hann"])
def test_pieces_are_the_whole(rate: int, seconds: float, resampler: Resampler, tmp_path: Path) -> None:
    path = tmp_path / "a.wav"
    samples = np.random.default_rng(rate).uniform(-0.5, 0.5, (round(seconds * rate), 2)).astype(np.float32)
    soundfile.write(path, samples, rate, "FLOAT")
    whole = read_track(path, resampler=resampler)
    joined = np.concatenate(list(stream_mono(path, resampler=resampler)))
    assert len(joined) == len(whole.data)
    np.testing.assert_array_equal(joined, whole.data)
    assert peak_level(path, resampler=resampler) == whole.norm_factor


LATENCY = {"soxr": {8000: 0.116, 16000: 0, 44100: 0.041, 48000: 0.041}, "hann": {44100: 0.02}}  # seconds; else 1 ms


@pytest.mark.parametrize("rate", [8000, 16000, 44100, 48000])
@pytest.mark.parametrize("method", ["soxr", "hann"])
def test_a_stream_in_random_pieces_is_the_whole(rate: int, method: Resampler) -> None:
    random = np.random.default_rng(rate)
    samples = random.uniform(-0.5, 0.5, rate).astype(np.float32)
    resampler = StreamResampler(rate, 16_000, method)
    pieces = np.split(samples, np.sort(random.integers(0, rate, 40)))
    made, known = [], 0
    for piece in pieces:
        made.append(resampler.push(piece))
        known += len(piece)
        late = known / rate - sum(map(len, made)) / 16_000
        assert -1 / 16_000 <= late <= LATENCY[method].get(rate, 0.001) + 1 / 16_000
    np.testing.assert_array_equal(np.concatenate([*made, resampler.finish()]), resample(samples, rate, 16_000, method))
    assert len(resampler.finish()) == 0


def test_inaudible_pieces_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "a.wav"
    soundfile.write(path, np.zeros(4000, np.float32), 4000)
    with pytest.raises(UserError, match="4,000 Hz is too low"):
        list(stream_mono(path))
    assert peak_level(_silence(tmp_path)) == 1.0


def _silence(folder: Path) -> Path:
    path = folder / "silence.wav"
    soundfile.write(path, np.zeros(4000, np.float32), 16000)
    return path
