"""Synthetic recordings: the same in every run, labelled without gaps, resumed file by file."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from audio2face.audio import read_track
from audio2face.audio.mel import MEL_RATE
from audio2face.dataset.phoneme_times import SILENCE
from audio2face.phonetic.classes import MANNERS, sounds_of
from audio2face.synthesis.recordings import LabelledRecording, make_recording, synthetic_recordings

ONE = 0.4  # minutes, for which one recording is enough


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> LabelledRecording:
    (recording,) = synthetic_recordings(tmp_path_factory.mktemp("speech"), ONE, 3)
    return recording


def test_phones_fill_a_recording_that_is_mostly_speech(made: LabelledRecording) -> None:
    assert 20 <= made.seconds < 40
    assert made.phones[0].start == 0
    assert made.phones[-1].end == pytest.approx(made.seconds, abs=1e-5)
    assert all(one.end == pytest.approx(two.start) for one, two in zip(made.phones, made.phones[1:], strict=False))
    silence = sum(phone.end - phone.start for phone in made.phones if phone.symbol == SILENCE)
    assert 0.1 < silence / made.seconds < 0.6
    assert len({phone.symbol for phone in made.phones}) > 20


def test_labels_are_where_the_sound_is(made: LabelledRecording) -> None:
    samples = read_track(made.audio, MEL_RATE).data
    levels: dict[str, list[float]] = {"vowel": [], "stop": []}
    for phone in made.phones:
        part = samples[round(phone.start * MEL_RATE) : round(phone.end * MEL_RATE)]
        manners = {MANNERS[sound.manner] for sound in sounds_of(phone.symbol)}
        for manner in manners & levels.keys():
            if len(part):
                levels[manner].append(10 * float(np.log10(np.mean(np.square(part)) + 1e-12)))
    assert min(map(len, levels.values())) > 15
    assert np.median(levels["vowel"]) > np.median(levels["stop"]) + 6


def test_a_recording_is_made_once_and_again_with_the_same_bytes(made: LabelledRecording, tmp_path: Path) -> None:
    make_recording(tmp_path / "again.wav", 3, 0)
    table = made.audio.with_suffix(".txt")
    assert (tmp_path / "again.wav").read_bytes() == made.audio.read_bytes()
    assert (tmp_path / "again.txt").read_bytes() == table.read_bytes()
    root, before = made.audio.parents[1], made.audio.stat().st_mtime_ns
    assert synthetic_recordings(root, ONE, 3) == (made,)
    assert made.audio.stat().st_mtime_ns == before
    table.unlink()  # as a call that was killed leaves it
    assert synthetic_recordings(root, ONE, 3) == (made,)
    assert made.audio.stat().st_mtime_ns > before
    make_recording(tmp_path / "other.wav", 3, 1)
    assert (tmp_path / "other.txt").read_bytes() != table.read_bytes()
