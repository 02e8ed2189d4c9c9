"""Synthetic recordings: half a minute of one voice each, with the times of its phones, made once and kept.

A recording is a WAV file of 16 kHz and a table of phones of the same name. It holds sentences of random English words
in one voice and one mood, pauses, in half of which somebody breathes, and for about a seventh of its time another sound
that is no speech. In every sixth recording nobody speaks, and such sounds follow each other. All of these are labelled
as silence.
Each is a function of version, seed and number, so that more recordings of a seed begin with the same ones.
"""

from __future__ import annotations

import math
import unicodedata
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import numpy as np
import soundfile

from audio2face.audio import read_header
from audio2face.audio.mel import MEL_RATE
from audio2face.config_base.types import RECORDING_SUFFIXES
from audio2face.console import LOGGER, track
from audio2face.dataset.phoneme_times import (
    SILENCE,
    SUFFIXES,
    TABLE_SUFFIX,
    PhonemeTime,
    find_phoneme_times,
    read_phoneme_times,
)
from audio2face.errors import UserError
from audio2face.extras import require
from audio2face.io.atomic import atomic_write, write_text
from audio2face.io.processes import run_jobs
from audio2face.phonetic.classes import sounds_of
from audio2face.synthesis.body_sounds import breath
from audio2face.synthesis.other_sounds import other_sound
from audio2face.synthesis.speakers import NaturalSpeaker, random_emotion, random_seed, random_speed, random_voice
from audio2face.types import Float32Array

VERSION = 4  # changes with what is made of a seed and a number
MEAN_SECONDS = 25.0  # of a recording
_SECONDS = (20.0, 30.0)
_PAUSE_SECONDS = (0.1, 1.2)
_BREATHING, _BREATH_SECONDS = 0.5, (0.4, 1.8)  # share of pauses and other sounds, and length in a pause
_BREATH_DECIBELS = (-35.0, -8.0)  # relative to the speech around
_SPEECHLESS = 6  # of so many recordings one is without speech
_OTHER_SECONDS = (2.0, 5.5)  # a seventh of the mean length
_OTHER_DECIBELS = (-30.0, 0.0)  # relative to the speech
_GAIN_DECIBELS = (-15.0, 0.0)  # of a whole recording, below its loudest
_NOISE = (-4.5, -2.5)  # power of ten of the room's noise, full scale 1
_PEAK = 0.95
_CLICK = 10.0  # peak of a click, in standard deviations of the loudest sound
_PROCESSES = 2


@dataclass(frozen=True)
class LabelledRecording:
    """A recording and what is said in it.

    Attributes:
        audio: the recording.
        phones: in IPA or "SIL", without gaps from 0 to the end.
        seconds: its length.
    """

    audio: Path
    phones: tuple[PhonemeTime, ...]
    seconds: float


@dataclass(frozen=True)
class _Part:
    """A stretch of a recording: samples at 16 kHz, and phones without gaps."""

    samples: Float32Array
    phones: tuple[PhonemeTime, ...]


def synthetic_recordings(root: Path, minutes: float, seed: int) -> tuple[LabelledRecording, ...]:
    """Opens the recordings of a seed, and makes those that are missing, in two processes.

    An interrupted call keeps what is finished.

    Args:
        root: folder of all synthetic recordings.
        minutes: how much of them; a recording has half a minute.
        seed: of everything in them.

    Raises:
        UserError: the extra `example` is not installed, or a file cannot be written.
    """
    folder = root / f"version_{VERSION}_seed_{seed}"
    paths = [folder / f"{number:04}.wav" for number in range(math.ceil(60 * minutes / MEAN_SECONDS))]
    missing = [(path, seed, number) for number, path in enumerate(paths) if not _is_made(path)]
    if missing:
        require("synthetic speech", "example")
        LOGGER.info("making %d synthetic recordings of half a minute; kept in %s", len(missing), folder)
        made = map(_make_job, missing) if len(missing) == 1 else run_jobs(make_recording, missing, _PROCESSES)
        for _ in track(made, len(missing), "making synthetic speech"):
            pass
    return tuple(_open(path, path.with_suffix(TABLE_SUFFIX)) for path in paths)


def _make_job(job: tuple[Path, int, int]) -> None:
    make_recording(*job)


def _is_made(path: Path) -> bool:
    return path.is_file() and path.with_suffix(TABLE_SUFFIX).is_file()  # the table is written last


def labelled_recordings(folder: Path) -> tuple[LabelledRecording, ...]:
    """Opens recordings of a folder that have phone times of the same name beside them.

    Args:
        folder: recordings and phone times, in any of the formats of `audio2face.dataset.phoneme_times`.

    Raises:
        UserError: there is none, a file cannot be read, or a phone is not in IPA.
    """
    recordings = sorted(path for path in folder.iterdir() if path.suffix.lower() in RECORDING_SUFFIXES)
    pairs = [(path, find_phoneme_times(folder, path.stem)) for path in recordings]
    found = tuple(_open(path, times) for path, times in pairs if times is not None)
    if not found:
        raise UserError(
            "holds no recording with phone times of the same name beside it",
            path=folder,
            hint=f"Put speech.wav and speech.txt there, or phone times in another form: {SUFFIXES}.",
        )
    return found


def _open(audio: Path, times: Path) -> LabelledRecording:
    seconds = read_header(audio).duration
    phones = read_phoneme_times(times)
    unknown = sorted({phone.symbol for phone in phones if phone.symbol != SILENCE and _is_foreign(phone.symbol)})
    if unknown:
        raise UserError(
            f"{', '.join(map(repr, unknown[:5]))} is no phone of the International Phonetic Alphabet",
            path=times,
            hint=f"Write phones in IPA, and {SILENCE!r} for silence.",
        )
    return LabelledRecording(audio, tuple(_without_gaps(phones, seconds)), seconds)


def _is_foreign(symbol: str) -> bool:
    """Whether a symbol has letters, and none of them is known; marks of length and stress alone belong to a phone."""
    return not sounds_of(symbol) and any(unicodedata.category(letter) in ("Ll", "Lu", "Lo") for letter in symbol)


def _without_gaps(phones: Iterable[PhonemeTime], seconds: float) -> Iterator[PhonemeTime]:
    """Yields phones in order of time, with silence wherever there is none."""
    at = 0.0
    for phone in sorted(phones, key=lambda phone: phone.start):
        if phone.start > at:
            yield PhonemeTime(SILENCE, at, phone.start)
        if phone.end > at:
            yield PhonemeTime(phone.symbol, max(phone.start, at), phone.end)
            at = phone.end
    if seconds > at:
        yield PhonemeTime(SILENCE, at, seconds)


def make_recording(path: Path, seed: int, number: int) -> None:
    """Makes one recording, and writes it with its table of phones.

    Args:
        path: of the WAV file.
        seed: of all recordings.
        number: of this one.

    Raises:
        UserError: the extra `example` is not installed, or a file cannot be written.
    """
    rng = np.random.default_rng((VERSION, seed, number))
    parts = _sounds(rng) if number % _SPEECHLESS == _SPEECHLESS - 1 else _spoken(_speaker(), rng)
    samples = _in_a_room(np.concatenate([part.samples for part in parts]), rng)
    with atomic_write(path) as handle:
        soundfile.write(handle, samples, MEL_RATE, format="WAV", subtype="PCM_16")
    rows = [f"{phone.start:.6f}\t{phone.end:.6f}\t{phone.symbol}\n" for phone in _joined(parts)]
    write_text(path.with_suffix(TABLE_SUFFIX), "start\tend\tphone\n" + "".join(rows))


@cache
def _speaker() -> NaturalSpeaker:
    return NaturalSpeaker()


def _spoken(speaker: NaturalSpeaker, rng: np.random.Generator) -> list[_Part]:
    """Sentences, pauses and a sound that is no speech."""
    seconds, emotion, voice = float(rng.uniform(*_SECONDS)), random_emotion(rng), random_voice(rng)
    _, other = other_sound(rng, _OTHER_SECONDS)
    parts, length = [], len(other) / MEL_RATE
    while length < seconds:
        spoken = speaker.say(speaker.text(rng), emotion, random_speed(rng), voice, random_seed(rng))
        parts += [_Part(spoken.samples, spoken.phones), _silent(_pause(rng, float(spoken.samples.std())))]
        length += sum(len(part.samples) for part in parts[-2:]) / MEL_RATE
    level = float(np.sqrt(np.mean(np.square(np.concatenate([part.samples for part in parts])))))
    scale = level * 10 ** (float(rng.uniform(*_OTHER_DECIBELS)) / 20) / (float(other.std()) + 1e-9)
    # A click whose mean level is that of speech would be far louder than it.
    loudest = max(float(np.abs(part.samples).max()) for part in parts)
    limited = np.clip(other * np.float32(scale), -loudest, loudest)
    parts.insert(2 * int(rng.integers(len(parts) // 2 + 1)), _silent(limited))
    return parts


def _sounds(rng: np.random.Generator) -> list[_Part]:
    """Sounds that are no speech, half of them breath."""
    parts: list[_Part] = []
    seconds = float(rng.uniform(*_SECONDS))
    while sum(len(part.samples) for part in parts) < seconds * MEL_RATE:
        _, sound = other_sound(rng, _OTHER_SECONDS)
        if rng.random() < _BREATHING:
            sound = breath(rng, np.arange(len(sound)) / MEL_RATE).astype(np.float32)
        scale = np.float32(10 ** (float(rng.uniform(*_OTHER_DECIBELS)) / 20) / (float(sound.std()) + 1e-9))
        parts.append(_silent(np.clip(scale * sound, -_CLICK, _CLICK)))
    return parts


def _in_a_room(samples: Float32Array, rng: np.random.Generator) -> Float32Array:
    """Samples at a random level, with the noise of a room."""
    loudest = float(np.abs(samples).max())
    noise = np.float32(loudest * 10 ** rng.uniform(*_NOISE))
    noisy = samples + noise * rng.standard_normal(len(samples), dtype=np.float32)
    return noisy * np.float32(_PEAK * 10 ** (float(rng.uniform(*_GAIN_DECIBELS)) / 20) / float(np.abs(noisy).max()))


def _pause(rng: np.random.Generator, level: float) -> Float32Array:
    """Silence, or a breath, of which the level of the speech around says how loud it is."""
    if rng.random() >= _BREATHING:
        return np.zeros(round(float(rng.uniform(*_PAUSE_SECONDS)) * MEL_RATE), np.float32)
    times = np.arange(round(float(rng.uniform(*_BREATH_SECONDS)) * MEL_RATE)) / MEL_RATE
    breathed = breath(rng, times)
    scale = level * 10 ** (float(rng.uniform(*_BREATH_DECIBELS)) / 20) / (float(breathed.std()) + 1e-9)
    return np.asarray(scale * breathed, np.float32)


def _silent(samples: Float32Array) -> _Part:
    return _Part(samples, (PhonemeTime(SILENCE, 0.0, len(samples) / MEL_RATE),))


def _joined(parts: Iterable[_Part]) -> list[PhonemeTime]:
    phones: list[PhonemeTime] = []
    start = 0
    for part in parts:
        delay = start / MEL_RATE
        phones += [PhonemeTime(phone.symbol, phone.start + delay, phone.end + delay) for phone in part.phones]
        start += len(part.samples)
    return phones
