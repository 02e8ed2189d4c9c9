"""The synthetic speech of tests/data/espeak: complete, small, and with p, b and m where the lips are shut."""

from __future__ import annotations

import sys
from functools import cache
from pathlib import Path

import numpy as np
import pytest

from audio2face.audio import Track, read_header, read_track
from audio2face.dataset.phoneme_times import SILENCE, PhonemeTime, find_phoneme_times, read_phoneme_times
from audio2face.errors import UserError
from audio2face.evaluate.lips import BILABIALS, score_closure
from tools.espeak import Event, Synthesiser, label_phones
from tools.make_speech_fixtures import FOLDER, SENTENCES, VOICES

SHOTS = [f"{language}_{voice}" for language in SENTENCES for voice in VOICES]
RATE, FPS = 16_000, 60.0
MAX_BYTES = 2_000_000


@cache
def fixture(shot: str) -> tuple[Track, tuple[PhonemeTime, ...]]:
    labels = find_phoneme_times(FOLDER, shot)
    assert labels is not None
    return read_track(FOLDER / f"{shot}.wav", RATE), read_phoneme_times(labels)


def level(track: Track, start: float, end: float) -> float:
    """Mean power from `start` to `end` in seconds, in decibels."""
    samples = track.data[round(start * RATE) : round(end * RATE)].astype(np.float64)
    return float(10 * np.log10(np.mean(samples**2) + 1e-10))


def closure_levels(symbol: str) -> np.ndarray:
    """Level in each closure of a phone, in decibels above that of the louder neighbour.

    The first and last 5 ms of the 40 ms before a release are left out.
    """
    levels = []
    for shot in SHOTS:
        track, phones = fixture(shot)
        for before, phone, after in zip(phones, phones[1:], phones[2:], strict=False):
            if phone.symbol == symbol:
                loudest = max(level(track, near.start, near.end) for near in (before, after))
                levels.append(level(track, phone.start + 0.005, phone.start + 0.035) - loudest)
    return np.array(levels)


def test_the_folder_is_complete_and_small() -> None:
    files = {f"{shot}{suffix}" for shot in SHOTS for suffix in (".wav", ".txt")} | {"README.md"}
    assert {path.name for path in FOLDER.iterdir()} == files
    assert sum(path.stat().st_size for path in FOLDER.iterdir()) < MAX_BYTES
    assert len(SENTENCES) >= 6
    headers = [read_header(FOLDER / f"{shot}.wav") for shot in SHOTS]
    assert {(header.samplerate, header.num_channels) for header in headers} == {(RATE, 1)}


@pytest.mark.parametrize("shot", SHOTS)
def test_labels_cover_the_recording_without_gaps(shot: str) -> None:
    track, phones = fixture(shot)
    assert phones[0].start == 0
    assert [phone.end for phone in phones[:-1]] == [phone.start for phone in phones[1:]]
    assert all(phone.start < phone.end for phone in phones)
    assert phones[-1].end == pytest.approx(track.duration, abs=2e-4)
    assert {*BILABIALS, SILENCE} <= {phone.symbol for phone in phones}


def test_pauses_are_silent_and_the_rest_is_not() -> None:
    for shot in SHOTS:
        track, phones = fixture(shot)
        for phone in phones:
            if phone.symbol == SILENCE:
                middle, quarter = (phone.start + phone.end) / 2, (phone.end - phone.start) / 4
                assert level(track, middle - quarter, middle + quarter) < -60
        assert level(track, phones[1].start, phones[-1].start) > -25


def test_closures_are_quiet() -> None:
    assert np.mean(closure_levels("p") < -20) >= 0.9  # silence
    assert np.mean(closure_levels("b") < -10) >= 0.9  # the murmur of the voice behind shut lips
    assert np.mean(closure_levels("m") < -5) >= 0.9  # through the nose


def test_every_closure_can_be_scored() -> None:
    for shot in SHOTS:
        track, phones = fixture(shot)
        count = sum(phone.symbol in BILABIALS for phone in phones)
        times = (np.arange(int(track.duration * FPS)) + 0.5) / FPS
        shut = np.array([any(p.symbol in BILABIALS and p.start <= time < p.end for p in phones) for time in times])
        assert score_closure(np.where(shut, 0.0, 1.0), 0.0, phones, FPS).closed == count
        assert score_closure(np.ones(len(times)), 0.0, phones, FPS).closed == 0


def spoken(*silences: tuple[float, float]) -> np.ndarray:
    """A second of sound with silences from and to these seconds."""
    samples = np.full(1000, 0.5, np.float32)
    for start, end in silences:
        samples[round(1000 * start) : round(1000 * end)] = 0
    return samples


def test_a_stop_begins_where_its_closure_begins() -> None:
    events = [Event("", 0.0), Event("ˈa", 0.1), Event("pʰ", 0.3), Event("b", 0.5), Event("s", 0.6), Event("t", 0.7)]
    sound = spoken(
        (0.0, 0.1), (0.26, 0.3), (0.69, 0.7), (0.9, 1.0)
    )  # p and t are marked at the release, b at the closure
    phones = label_phones([*events, Event("", 0.9)], sound, 1000)
    found = [(phone.symbol, round(phone.start, 3), round(phone.end, 3)) for phone in phones]
    assert found == [
        ("SIL", 0.0, 0.1),
        ("a", 0.1, 0.26),
        ("p", 0.26, 0.5),
        ("b", 0.5, 0.6),
        ("s", 0.6, 0.69),
        ("t", 0.69, 0.9),
        ("SIL", 0.9, 1.0),
    ]


def test_a_pause_gives_a_stop_no_more_than_its_closure() -> None:
    phones = label_phones([Event("", 0.0), Event("b", 0.5), Event("a", 0.55)], spoken((0.0, 0.5)), 1000)
    assert [(phone.symbol, round(phone.start, 3)) for phone in phones] == [("SIL", 0.0), ("b", 0.46), ("a", 0.55)]


def test_a_sound_without_a_name_belongs_to_the_phone_before() -> None:
    phones = label_phones([Event("p", 0.0), Event("", 0.2), Event("r", 0.3), Event("", 0.6)], spoken((0.6, 1.0)), 1000)
    assert [(phone.symbol, phone.start, phone.end) for phone in phones] == [
        ("p", 0.0, 0.3),
        ("r", 0.3, 0.6),
        ("SIL", 0.6, 1.0),
    ]


def test_another_language_within_a_sentence_is_refused() -> None:
    with pytest.raises(UserError, match="switches its language"):
        label_phones([Event("a", 0.1), Event("(en)", 0.2)], spoken(), 1000)


def test_the_missing_wheel_is_named(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr("sys.path", [str(tmp_path)])
    monkeypatch.delitem(sys.modules, "espeakng_loader", raising=False)
    with pytest.raises(UserError, match=r"espeakng_loader(?s:.*)0\.2\.4"):
        Synthesiser()
