"""Makes synthetic speech with labels for the encoder `a2f-phonetic`: many languages and voices, phones, visemes.

    PYTHONPATH=espeak_ng:kokoro_voices .venv/bin/python -m tools.labelled_speech FOLDER --hours 3 --processes 2

`tools/espeak.py` and `tools/kokoro.py` say how to install eSpeak NG and Kokoro. Formant voices of the first speak 30
languages and accents, the natural ones of the second nine; the example's voice (hibari) speaks English words, with
other pitches and formants. Sounds that are no speech are made as well: noise, hum, music.

FOLDER gets one `.npz` per part of about 10 minutes: `mel` float16 `[frames, 80]`, the natural logarithm of the power in
mel bands every 10 ms; `classes` uint8 `[steps, 7]` and `channels` float16 `[steps, channels]` of
`audio2face.synthesis.labels` every 20 ms; `lengths`, the steps of each utterance; `voices`, who speaks it. The same
seed makes the same bytes, in any number of processes.
"""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from multiprocessing import get_context
from pathlib import Path

import numpy as np
import numpy.typing as npt

from audio2face.audio import resample_soxr
from audio2face.audio.mel import MEL_RATE
from audio2face.console import console, fail
from audio2face.dataset.phoneme_times import PhonemeTime
from audio2face.errors import UserError
from audio2face.io.atomic import write_npz
from audio2face.phonetic.front_end import OVERLAP, POWER_FLOOR, mel_power
from audio2face.phonetic.network import STEP_SAMPLES
from audio2face.synthesis.labels import StepLabels, label_steps
from audio2face.synthesis.speakers import Speak, Spoken, natural_speaker, other_speaker
from audio2face.types import Float32Array
from tools.espeak import Delivery, Synthesiser, label_phones
from tools.kokoro import SAMPLE_RATE, Kokoro
from tools.kokoro_phonemes import LANGUAGES, phonemes_in
from tools.speech_texts import languages, text_in

PART_SECONDS = 600.0
MINUTES = {"formant": 180.0, "natural": 20.0, "other": 40.0, "kokoro": 10.0}
"""What is made by default of each kind; their order numbers the seeds."""
_SLOWEST = ("kokoro", "natural", "other", "formant")
_LEVEL = 0.06  # root mean square of every utterance
_KOKORO_SHARES = {"a": 5, "b": 3, "z": 4, "j": 2, "e": 2, "f": 2, "h": 2, "i": 2, "p": 2}  # of the languages


@dataclass(frozen=True)
class Part:
    """One file: its kind of voice, its length, and the seed of all that is in it."""

    path: Path
    kind: str
    seconds: float
    seed: tuple[int, ...]


def formant_speaker() -> Speak:
    """Utterances of eSpeak NG, by any of its voices in any language.

    Raises:
        UserError: eSpeak NG is not installed.
    """
    synthesiser, spoken_in = Synthesiser(), languages()

    def speak(rng: np.random.Generator) -> Spoken:
        language = spoken_in[int(rng.integers(len(spoken_in)))]
        variant = synthesiser.variants[int(rng.integers(len(synthesiser.variants)))]
        voice = f"{language}+{variant}"
        rate, pitch, pitch_range, seed = (
            int(rng.integers(*ends)) for ends in ((115, 250), (15, 90), (20, 90), (1, 2**31))
        )
        samples, old_rate, events = synthesiser.speak(
            voice, text_in(language, rng), Delivery(rate, pitch, pitch_range, seed)
        )
        return Spoken(resample_soxr(samples, old_rate, MEL_RATE), label_phones(events, samples, old_rate), voice)

    return speak


def kokoro_speaker() -> Speak:
    """Utterances of Kokoro's voices in nine languages, most of them mixed of two, with other pitches and formants.

    Raises:
        UserError: Kokoro or eSpeak NG is not installed.
    """
    kokoro, espeak = Kokoro(), Synthesiser()
    letters = [letter for letter, share in _KOKORO_SHARES.items() for _ in range(share)]

    def speak(rng: np.random.Generator) -> Spoken:
        letter = letters[int(rng.integers(len(letters)))]
        voices = [voice for voice in kokoro.voices if voice[0] == letter]
        one, other = (voices[int(rng.integers(len(voices)))] for _ in range(2))
        share, speed, size = float(rng.uniform(0.5, 1)), float(rng.uniform(0.8, 1.3)), float(rng.uniform(0.88, 1.14))
        shares = {one: 1.0} if one == other else {one: share, other: 1 - share}
        samples, phones = kokoro.speak(phonemes_in(LANGUAGES[letter], rng, espeak), shares, speed)
        # Played at another rate, the voice is that of a smaller or a larger speaker.
        moved = tuple(PhonemeTime(phone.symbol, phone.start / size, phone.end / size) for phone in phones)
        return Spoken(resample_soxr(samples, round(SAMPLE_RATE * size), MEL_RATE), moved, f"kokoro {one}")

    return speak


SPEAKERS: dict[str, Callable[[], Speak]] = {
    "formant": formant_speaker,
    "natural": natural_speaker,
    "kokoro": kokoro_speaker,
    "other": other_speaker,
}


def utterances(speak: Speak, rng: np.random.Generator) -> Iterator[tuple[Spoken, StepLabels]]:
    """Makes utterances without end; those that switch their language or hold no sound are left out."""
    while True:
        try:
            spoken = speak(rng)
        except UserError:
            continue
        steps = len(spoken.samples) // STEP_SAMPLES
        if steps > 0 and len(spoken.phones) > 0:
            yield spoken, label_steps(spoken.phones, steps)


def make_part(part: Part) -> float:
    """Writes one file; returns the seconds of speech in it.

    Raises:
        UserError: a synthesiser is missing, or the file cannot be written.
    """
    rng = np.random.default_rng(part.seed)
    mels, classes, channels, voices = [], [], [], []
    steps = 0
    for spoken, labels in utterances(SPEAKERS[part.kind](), rng):
        count = len(labels.channels)
        mels.append(log_mel(spoken.samples[: count * STEP_SAMPLES]))
        classes.append(labels.classes)
        channels.append(labels.channels.astype(np.float16))
        voices.append(spoken.voice)
        steps += count
        if steps * STEP_SAMPLES >= part.seconds * MEL_RATE:
            break
    write_npz(
        part.path,
        {
            "mel": np.concatenate(mels),
            "classes": np.concatenate(classes),
            "channels": np.concatenate(channels),
            "lengths": np.array([len(one) for one in classes]),
            "voices": np.array(voices),
        },
    )
    return steps * STEP_SAMPLES / MEL_RATE


def log_mel(samples: Float32Array) -> npt.NDArray[np.float16]:
    """Natural logarithm of the power in mel bands at a common level, float16 `[frames, 80]`."""
    level = float(np.sqrt(np.mean(np.square(samples, dtype=np.float64)))) + 1e-9
    padded = np.pad(samples * np.float32(_LEVEL / level), (OVERLAP, 0))
    mel: npt.NDArray[np.float16] = np.log(mel_power(padded) + np.float32(POWER_FLOOR)).astype(np.float16)
    return mel


def plan(folder: Path, seed: int, seconds_of: dict[str, float]) -> list[Part]:
    """Divides the seconds of each kind into parts; the slowest come first, so that no process waits at the end."""
    parts = []
    for number, (kind, seconds) in enumerate(seconds_of.items()):
        for index in range(int(np.ceil(seconds / PART_SECONDS))):
            length = min(PART_SECONDS, seconds - index * PART_SECONDS)
            parts.append(Part(folder / f"{kind}_{index:03}.npz", kind, length, (seed, number, index)))
    return sorted(parts, key=lambda part: _SLOWEST.index(part.kind))


def main(argv: list[str]) -> int:
    """Makes all parts, in several processes."""
    parser = argparse.ArgumentParser(prog="python -m tools.labelled_speech", description=(__doc__ or "").split("\n")[0])
    parser.add_argument("folder", type=Path)
    parser.add_argument("--hours", type=float, default=MINUTES["formant"] / 60, help="of eSpeak NG's voices")
    parser.add_argument("--natural-minutes", type=float, default=MINUTES["natural"], help="of the example's voice")
    parser.add_argument("--kokoro-minutes", type=float, default=MINUTES["kokoro"], help="of Kokoro's voices")
    parser.add_argument("--other-minutes", type=float, default=MINUTES["other"], help="of sounds that are no speech")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--processes", type=int, default=1)
    options = parser.parse_args(argv)
    made_of = (60 * options.hours, options.natural_minutes, options.other_minutes, options.kokoro_minutes)
    seconds_of = {kind: 60 * minutes for kind, minutes in zip(MINUTES, made_of, strict=True)}
    started = time.monotonic()
    try:
        options.folder.mkdir(parents=True, exist_ok=True)
        parts = plan(options.folder, options.seed, seconds_of)
        # eSpeak NG's sound depends on all that a process has spoken before, so each part has a process of its own.
        with ProcessPoolExecutor(options.processes, get_context("spawn"), max_tasks_per_child=1) as pool:
            made = sum(pool.map(make_part, parts))
    except UserError as error:
        fail(error)
    console().print(
        f"{made / 3600:.2f} hours in {time.monotonic() - started:.0f} s, {len(parts)} files in {options.folder}"
    )
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
