"""The example actors' voices: a sentence becomes sound and the times of its phones.

Knows the speech package (`hibari`), how a voice and an emotion change its delivery, and how the model's durations
become phone times. Knows nothing of faces or files.

The model predicts, per 12.5 ms, a spectral envelope, noise and a pitch curve, from which `hibari.dsp` makes the wave.
Between the two, pitch and brightness of an emotion are applied. A second voice takes its pitch there too; its formants
are moved with Signalsmith Stretch, which leaves the times as they are.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import hibari
import numpy as np
import numpy.typing as npt
import python_stretch.Signalsmith
from hibari import dsp

from audio2face.dataset.example.sentences import Sentence

Floats = npt.NDArray[np.float32]

SAMPLE_RATE: int = hibari.SAMPLE_RATE
SILENCE = "SIL"

_FRAME = 0.0125  # seconds per column of the model's spectra
_UNIT = 2 * _FRAME  # seconds that one unit of the model's durations lasts
# The sound runs ahead of the model's own boundaries: over all sentences and speeds, phone labels explain the log-mel
# spectrum best when moved by 50 to 55 ms.
_LEAD = 2 * _UNIT
_STRESS_MARKS = "ˈˌ"
_IPA = {"A": "eɪ", "I": "aɪ", "O": "oʊ", "W": "aʊ", "Y": "ɔɪ", "T": "ɾ", "ᵊ": "ə", "ᵻ": "ɪ"}
_UNVOICED_HZ = 40.0  # the model writes a pitch below this where there is no voice
_ROOM_NOISE = 1.5e-4  # a recording is never digital silence
_PEAK = 0.95
_TRIM_DB = -34.0  # below the loud part of the sentence, a final phone has ended
_SHORTEST_FINAL = 0.04  # seconds


@dataclass(frozen=True)
class Phone:
    """One sounded phone in IPA, or `SILENCE`; times in seconds from the start of the sound."""

    symbol: str
    start: float
    end: float
    stressed: bool = False


@dataclass(frozen=True)
class Utterance:
    """A spoken sentence.

    Attributes:
        samples: float32 `[samples]` in [-1, 1] at `SAMPLE_RATE`.
        phones: without gaps from 0 to the end of the sound.
        loudness: level in decibels relative to plain neutral speech.
    """

    samples: Floats
    phones: tuple[Phone, ...]
    loudness: float

    @property
    def duration(self) -> float:
        """Length in seconds."""
        return len(self.samples) / SAMPLE_RATE


@dataclass(frozen=True)
class Voice:
    """A speaker relative to the model's own: factors on pitch and on the formants' frequencies."""

    pitch: float = 1.0
    formants: float = 1.0


@dataclass(frozen=True)
class Delivery:
    """How an emotion sounds.

    Attributes:
        speed: factor on the rate of speech.
        pitch: factor on the median pitch.
        pitch_range: exponent on the pitch relative to its median.
        loudness: decibels.
        brightness: spectral tilt in decibels per octave.
    """

    speed: float = 1.0
    pitch: float = 1.0
    pitch_range: float = 1.0
    loudness: float = 0.0
    brightness: float = 0.0


VOICES: dict[str, Voice] = {"ada": Voice(), "ben": Voice(pitch=0.62, formants=0.87)}

# Directions of change as in Scherer 2003 (Vocal communication of emotion, table 2), sizes by ear.
DELIVERIES: dict[str, Delivery] = {
    "neutral": Delivery(speed=0.95),
    "joy": Delivery(speed=1.0, pitch=1.16, pitch_range=1.3, loudness=2.0, brightness=0.8),
    "anger": Delivery(speed=1.03, pitch=1.08, pitch_range=1.3, loudness=4.5, brightness=2.0),
    "sadness": Delivery(speed=0.82, pitch=0.9, pitch_range=0.6, loudness=-5.0, brightness=-2.0),
    "amazement": Delivery(speed=0.9, pitch=1.25, pitch_range=1.45, loudness=1.5, brightness=0.4),
}


class Speaker:
    """Says sentences; holds the model, which is loaded once."""

    def __init__(self) -> None:
        path = Path(hibari.tts.ASSETS) / "hibari.onnx"
        self._model = hibari.Hibari(model=_with_durations(path.read_bytes()))

    def say(self, sentence: Sentence, voice: Voice, seed: int) -> Utterance:
        """Speaks one sentence.

        The same sentence and seed give the same phone times in every voice, and the same samples at every call.

        Args:
            sentence: what to say and how.
            voice: who says it.
            seed: of the noise in the voice and of the lengths of silence around the sentence.
        """
        delivery = DELIVERIES[sentence.emotion]
        rng = np.random.default_rng(seed)
        tokens, durations, spectrum = self._predict(sentence.phonemes, sentence.speed * delivery.speed)
        wave = _synthesise(spectrum, delivery, voice, rng)
        before, after = rng.uniform(0.05, 0.25), rng.uniform(0.0, 0.12)
        phones = _trim_finals(_phones(tokens, durations), spectrum)
        pads = [round(seconds * SAMPLE_RATE) for seconds in (before, after)]
        loudness = delivery.loudness + sentence.loudness
        wave = np.pad(_shift_formants(wave, voice.formants, seed), pads) * np.float32(10 ** (loudness / 20))
        wave += np.float32(_ROOM_NOISE) * rng.standard_normal(len(wave), dtype=np.float32)
        wave *= np.float32(min(1.0, _PEAK / float(np.abs(wave).max())))
        return Utterance(wave, _delayed(phones, pads[0] / SAMPLE_RATE, len(wave) / SAMPLE_RATE), loudness)

    def _predict(self, phonemes: str, speed: float) -> tuple[list[str], npt.NDArray[np.float64], list[Floats]]:
        """Token per id, seconds per id, and the network's spectra `[601, frames]` with the pitch `[frames]` last."""
        ids = self._model.ids(phonemes)
        inputs = {"ids": np.asarray([ids], np.int64), "speed": np.asarray([speed], np.float32)}
        *spectrum, units = self._model.sess.run(None, inputs)
        letters = {number: letter for letter, number in self._model.vocab.items()}
        tokens = [letters.get(number, SILENCE) for number in ids]
        return tokens, units.astype(np.float64) * _UNIT, [part[0] for part in spectrum]


def _with_durations(model: bytes) -> bytes:
    """The ONNX model with its durations among the outputs.

    Protocol buffers merge a message that stands twice, and append what is repeated. So a second `graph` (field 7 of
    the model) that holds only one more `output` (field 12) with only a `name` (field 1) does it, without a parser.
    """

    def field(number: int, content: bytes) -> bytes:
        length_delimited = number << 3 | 2
        return bytes([length_delimited, len(content)]) + content

    return model + field(7, field(12, field(1, b"/Round_output_0")))


def _synthesise(spectrum: list[Floats], delivery: Delivery, voice: Voice, rng: np.random.Generator) -> Floats:
    """The wave, float32 `[samples]`, with the pitch and brightness of the delivery."""
    harmonics, phase, noise, residual, residual_phase, pitch = (part.copy() for part in spectrum)
    voiced = pitch > _UNVOICED_HZ
    median = np.median(pitch[voiced])
    level = median * delivery.pitch * voice.pitch / voice.formants
    pitch[voiced] = np.clip(level * (pitch[voiced] / median) ** delivery.pitch_range, 70.0, 520.0)
    hertz = np.maximum(np.linspace(0.0, SAMPLE_RATE / 2, len(harmonics)), 150.0)
    tilt = (delivery.brightness * np.log2(hertz / 700.0) * np.log(10) / 20).astype(np.float32)[:, None]
    wave: Floats = dsp.synth(harmonics + tilt, phase, noise + tilt, residual + tilt, residual_phase, pitch, rng)
    return wave


def _shift_formants(wave: Floats, factor: float, seed: int) -> Floats:
    """Moves every frequency by `factor` and keeps the length and the times."""
    if factor == 1.0:
        return wave
    stretch = python_stretch.Signalsmith.Stretch(seed)
    stretch.preset(1, SAMPLE_RATE)
    stretch.setTransposeFactor(factor)
    moved: Floats = stretch.process(wave[None])[0]  # of the same length, its delay already taken out
    return moved


def _phones(tokens: list[str], durations: npt.NDArray[np.float64]) -> list[Phone]:
    """Phones without gaps over the whole sound.

    A stress mark's time belongs to the vowel behind it, a space's half to each neighbour, and everything else that is
    not a letter is silence.
    """
    spans: list[tuple[str, float, bool]] = []  # symbol, seconds, stressed
    pending, stressed = 0.0, False
    for index, (token, seconds) in enumerate(zip(tokens, durations, strict=True)):
        if token in _STRESS_MARKS:
            pending, stressed = pending + seconds, stressed or token == "ˈ"
        elif token == " " and spans[-1][0] != SILENCE and tokens[index + 1] != SILENCE:
            symbol, before, was_stressed = spans[-1]
            spans[-1] = (symbol, before + seconds / 2, was_stressed)
            pending += seconds / 2
        elif not token.isalpha() or token == SILENCE:
            before = spans.pop()[1] if spans and spans[-1][0] == SILENCE else 0.0
            spans.append((SILENCE, before + seconds, False))
        else:
            spans.append((_IPA.get(token, token), pending + seconds, stressed))
            pending, stressed = 0.0, False
    ends = np.cumsum([seconds for _, seconds, _ in spans]) - _LEAD
    ends[-1] += _LEAD
    starts = [0.0, *ends[:-1]]
    return [
        Phone(symbol, float(start), float(end), accent)
        for (symbol, _, accent), start, end in zip(spans, starts, ends, strict=True)
    ]


def _trim_finals(phones: list[Phone], spectrum: list[Floats]) -> list[Phone]:
    """Ends each phone before a silence where its sound ends: the model's final durations hold silence too."""
    harmonics, _, noise, residual, _, pitch = spectrum
    power = np.exp(2 * noise).sum(axis=0) + np.exp(2 * residual).sum(axis=0)
    power += np.where(pitch > _UNVOICED_HZ, np.exp(2 * harmonics).sum(axis=0), 0.0)
    level = 10 * np.log10(power + 1e-12)
    loud = level > np.percentile(level, 95) + _TRIM_DB
    trimmed = list(phones)
    for index in range(len(phones) - 1):
        phone, following = trimmed[index], trimmed[index + 1]
        if phone.symbol == SILENCE or following.symbol != SILENCE:
            continue
        first, last = round(phone.start / _FRAME), round(phone.end / _FRAME)
        sounding = np.flatnonzero(loud[first:last])
        length = (sounding[-1] + 1.5) * _FRAME if len(sounding) else 0.0
        end = float(min(phone.start + max(_SHORTEST_FINAL, length), phone.end))
        trimmed[index] = Phone(phone.symbol, phone.start, end, phone.stressed)
        trimmed[index + 1] = Phone(SILENCE, end, following.end)
    return trimmed


def _delayed(phones: list[Phone], delay: float, length: float) -> tuple[Phone, ...]:
    """The phones `delay` seconds later, the silences at both ends reaching to 0 and to `length`."""
    moved = [Phone(phone.symbol, phone.start + delay, phone.end + delay, phone.stressed) for phone in phones]
    moved[0] = Phone(SILENCE, 0.0, moved[0].end)
    moved[-1] = Phone(SILENCE, moved[-1].start, length)
    return tuple(moved)
