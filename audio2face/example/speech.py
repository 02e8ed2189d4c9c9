"""Synthesises the speech of the example actors: audio and phone times of a sentence.

Voice and emotion modify the delivery of the speech package (`hibari`).

The model predicts, per 12.5 ms, the parts of a spectrum and a pitch curve, from which `hibari.dsp` computes the
waveform. Pitch and brightness of the emotion are applied in between, and the pitch of a second voice; its formants are
shifted with Signalsmith Stretch, which preserves the timing.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from scipy import ndimage

from audio2face.errors import UserError
from audio2face.example.sentences import SILENCE, Phone, Sentence, delay_phones, time_phones
from audio2face.extras import install_hint
from audio2face.types import Float32Array

try:
    import hibari
    import python_stretch.Signalsmith
    from hibari import dsp
except ModuleNotFoundError as error:
    raise UserError(
        f"the example's voice needs the package {error.name}, which is not installed",
        hint=install_hint("example"),
    ) from error

SAMPLE_RATE: int = hibari.SAMPLE_RATE

_LENGTH_STEP = SAMPLE_RATE // 10  # samples; so a sentence lasts whole frames at 30 and 60 fps
_UNVOICED_HZ = 40.0  # the model's pitch is below this in unvoiced parts
_PITCH_LIMITS_HZ = (65.0, 500.0)
_ROOM_NOISE = 1.5e-4  # a recording is never digital silence
_PEAK = 0.95
_DURATIONS = b"/Round_output_0"  # a value of the model's graph


@dataclass(frozen=True)
class Utterance:
    """A spoken sentence.

    Attributes:
        samples: float32 `[samples]` in [-1, 1] at `SAMPLE_RATE`.
        phones: without gaps from 0 to the end of the audio.
        loudness: level in decibels relative to plain neutral speech.
    """

    samples: Float32Array
    phones: tuple[Phone, ...]
    loudness: float

    @property
    def duration(self) -> float:
        """Length in seconds."""
        return len(self.samples) / SAMPLE_RATE


@dataclass(frozen=True)
class Voice:
    """A speaker relative to the model's own: factors on the pitch and on the formants' frequencies."""

    pitch: float = 1.0
    formants: float = 1.0


@dataclass(frozen=True)
class Delivery:
    """Delivery of an emotion.

    Attributes:
        speed: factor on the model's rate of speech.
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

# The directions of change are those that Scherer 2003 ("Vocal communication of emotion") reports; the sizes are ours.
DELIVERIES: dict[str, Delivery] = {
    "neutral": Delivery(speed=0.88),
    "joy": Delivery(speed=0.93, pitch=1.16, pitch_range=1.3, loudness=2.0, brightness=0.8),
    "anger": Delivery(speed=0.96, pitch=1.08, pitch_range=1.3, loudness=4.5, brightness=2.0),
    "sadness": Delivery(speed=0.78, pitch=0.9, pitch_range=0.6, loudness=-5.0, brightness=-2.0),
    "amazement": Delivery(speed=0.85, pitch=1.25, pitch_range=1.45, loudness=1.5, brightness=0.4),
}


@dataclass(frozen=True)
class _Spectrum:
    """Output of the model: log magnitudes and phases `[601, frames]` of three branches, pitch `[frames]` in Hz."""

    harmonics: Float32Array
    harmonic_phase: Float32Array  # in units of pi, before the tanh that the synthesis applies
    noise: Float32Array
    residual: Float32Array
    residual_phase: Float32Array
    pitch: Float32Array

    def power(self) -> Float32Array:
        """Power of the audio, `[frames]`."""
        voiced = self.pitch > _UNVOICED_HZ
        power: Float32Array = np.exp(2 * self.noise).sum(axis=0) + np.exp(2 * self.residual).sum(axis=0)
        power += voiced * np.exp(2 * self.harmonics).sum(axis=0)
        return power


class Speaker:
    """Synthesises sentences with a model that is loaded once."""

    def __init__(self) -> None:
        path = Path(hibari.__file__).parent / "assets" / "hibari.onnx"
        self._model = hibari.Hibari(model=add_output(path.read_bytes(), _DURATIONS))

    def synthesise(self, sentence: Sentence, voice: Voice, seed: int) -> Utterance:
        """Synthesises one sentence.

        The same sentence and seed give the same phone times in every voice, and the same samples on every call.

        Args:
            sentence: the sentence and its delivery.
            voice: the voice.
            seed: seed of the noise in the voice and of the lengths of silence around the sentence.
        """
        delivery = DELIVERIES[sentence.emotion]
        rng = np.random.default_rng(seed)
        before, after = (round(seconds * SAMPLE_RATE) for seconds in rng.uniform((0.05, 0.0), (0.25, 0.05)))
        letters, units, spectrum = self._predict(sentence.phonemes, sentence.speed * delivery.speed)
        wave = _shift_formants(_synthesise(spectrum, delivery, voice, rng), voice.formants, seed)
        loudness = delivery.loudness + sentence.loudness
        after += -(before + len(wave) + after) % _LENGTH_STEP
        wave = np.pad(wave, (before, after)) * np.float32(10 ** (loudness / 20))
        wave += np.float32(_ROOM_NOISE) * rng.standard_normal(len(wave), dtype=np.float32)
        wave *= np.float32(min(1.0, _PEAK / float(np.abs(wave).max())))
        phones = time_phones(letters, units, spectrum.power())
        return Utterance(wave, delay_phones(phones, before / SAMPLE_RATE, len(wave) / SAMPLE_RATE), float(loudness))

    def _predict(self, phonemes: str, speed: float) -> tuple[list[str], Float32Array, _Spectrum]:
        """Returns letter and duration of each of the model's ids, and the spectrum."""
        ids = self._model.ids(phonemes)
        inputs = {"ids": np.asarray([ids], np.int64), "speed": np.asarray([speed], np.float32)}
        *spectrum, units = self._model.sess.run(None, inputs)
        letter_of = {number: letter for letter, number in self._model.vocab.items()}
        return [letter_of.get(number, SILENCE) for number in ids], units, _Spectrum(*(part[0] for part in spectrum))


def add_output(model: bytes, name: bytes) -> bytes:
    """Adds a value that an ONNX model computes to its outputs.

    Protocol buffers merge a message that occurs twice, and append repeated fields. A second `graph` (field 7 of the
    model) with only one more `output` (field 12) of only a `name` (field 1) therefore adds it without a parser.

    Args:
        model: the file's content.
        name: of the value, at most 120 bytes.
    """

    def field(number: int, content: bytes) -> bytes:
        length_delimited = number << 3 | 2
        return bytes([length_delimited, len(content)]) + content

    return model + field(7, field(12, field(1, name)))


def _synthesise(spectrum: _Spectrum, delivery: Delivery, voice: Voice, rng: np.random.Generator) -> Float32Array:
    """Returns the waveform, float32 `[samples]`, with the pitch and brightness of the delivery."""
    level = delivery.pitch * voice.pitch / voice.formants
    harmonics, phase, pitch = spectrum.harmonics, spectrum.harmonic_phase, spectrum.pitch.copy()
    if (level, delivery.pitch_range) != (1.0, 1.0):
        # The network's own phases match only its own pitch; other pitches use those of a minimum-phase envelope.
        harmonics = ndimage.gaussian_filter1d(ndimage.median_filter(harmonics, (9, 1)), 3.0, axis=0)
        phase = _minimum_phase(harmonics)
        harmonics += np.float32(0.5 * np.log(level))  # fewer harmonics at a higher pitch: preserves the power
        voiced = pitch > _UNVOICED_HZ
        median = np.median(pitch[voiced])
        moved = level * median * (pitch[voiced] / median) ** delivery.pitch_range
        pitch[voiced] = np.clip(moved, *_PITCH_LIMITS_HZ)
    hertz = np.maximum(np.linspace(0.0, SAMPLE_RATE / 2, len(harmonics)), 150.0)
    tilt = (delivery.brightness * np.log2(hertz / 700.0) * np.log(10) / 20).astype(np.float32)[:, None]
    # The synthesis modifies some of its arguments, so each gets its own array.
    wave: Float32Array = dsp.synth(
        harmonics + tilt,
        phase.copy(),
        spectrum.noise + tilt,
        spectrum.residual + tilt,
        spectrum.residual_phase.copy(),
        pitch,
        rng,
    )
    return wave


def _minimum_phase(log_magnitude: Float32Array) -> Float32Array:
    """Returns phases `[bins, frames]` of the minimum-phase filter, in the synthesis' form (pi times tanh is radians).

    By folding the real cepstrum (Oppenheim and Schafer, Discrete-Time Signal Processing, section 13.5.4).
    """
    bins = len(log_magnitude)
    cepstrum = np.fft.irfft(log_magnitude, axis=0)
    cepstrum[1 : bins - 1] *= 2
    cepstrum[bins:] = 0
    radians = np.imag(np.fft.rfft(cepstrum, axis=0))
    wrapped = (radians + np.pi) % (2 * np.pi) - np.pi
    phase: Float32Array = np.arctanh(np.clip(wrapped / np.pi, -0.99999, 0.99999)).astype(np.float32)
    return phase


def _shift_formants(wave: Float32Array, factor: float, seed: int) -> Float32Array:
    """Scales every frequency by `factor` and preserves length and timing."""
    if factor == 1.0:
        return wave
    stretch = python_stretch.Signalsmith.Stretch(seed)
    stretch.preset(1, SAMPLE_RATE)
    stretch.setTransposeFactor(factor)
    moved: Float32Array = np.asarray(stretch.process(wave[None]), np.float32)[0]
    return moved  # of the length of `wave`, without the stretcher's delay
