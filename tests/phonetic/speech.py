"""The synthetic speech of tests/data/espeak, at 16 kHz with its phones."""

from __future__ import annotations

from functools import cache
from pathlib import Path

from audio2face.audio import read_track
from audio2face.audio.mel import MEL_RATE
from audio2face.dataset.phoneme_times import PhonemeTime, read_phoneme_times
from audio2face.types import Float32Array

FOLDER = Path(__file__).parents[1] / "data/espeak"
SHOTS = sorted(path.stem for path in FOLDER.glob("*.wav"))


@cache
def speech(shot: str) -> tuple[Float32Array, tuple[PhonemeTime, ...]]:
    """Samples and phones of a shot."""
    samples = read_track(FOLDER / f"{shot}.wav", MEL_RATE).data.astype("float32")
    return samples, read_phoneme_times(FOLDER / f"{shot}.txt")
