"""Which channel inference reads of a recording whose mix would spoil the voice."""

from __future__ import annotations

import logging
from pathlib import Path

import numpy as np
import pytest
import soundfile

from audio2face.audio import peak_level, read_track, stream_mono
from audio2face.inference.retiming import choose_voice

RATE = 16_000


@pytest.fixture
def voice() -> np.ndarray:
    times = np.arange(3 * RATE) / RATE
    syllables = np.clip(np.sin(2 * np.pi * 3 * times), 0, None)
    return np.asarray(0.3 * syllables * np.sin(2 * np.pi * 200 * times))


@pytest.mark.parametrize(
    ("gains", "hum", "chosen", "words"),
    [
        ((1, 1), (0, 0), None, ""),
        ((1, 0), (0, 0), 0, "channel 2 carries no speech"),
        ((0, 1), (0.5, 0), 1, "channel 1 carries no speech"),
        ((0.5, -0.5), (0, 0), 0, "cancel each other"),
    ],
)
def test_the_channel_with_the_voice(
    voice: np.ndarray,
    tmp_path: Path,
    caplog: pytest.LogCaptureFixture,
    gains: tuple[float, ...],
    hum: tuple[float, ...],
    chosen: int | None,
    words: str,
) -> None:
    tone = np.sin(2 * np.pi * 50 * np.arange(len(voice)) / RATE)
    samples = np.stack([gain * voice + loud * tone for gain, loud in zip(gains, hum, strict=True)], axis=1)
    path = tmp_path / "a.wav"
    soundfile.write(path, samples, RATE, "FLOAT")
    with caplog.at_level(logging.WARNING, "audio2face"):
        assert choose_voice(path) == chosen
    assert words in caplog.text
    assert bool(words) == bool(caplog.text)
    expected = samples.mean(axis=1) if chosen is None else samples[:, chosen]
    np.testing.assert_allclose(read_track(path, channel=chosen).data, expected, atol=1e-6)
    np.testing.assert_allclose(np.concatenate(list(stream_mono(path, channel=chosen))), expected, atol=1e-6)
    assert peak_level(path, channel=chosen) == pytest.approx(np.abs(expected).max())
