"""Changes of a recording that keep what is said and its timing.

Functions of mono float32 samples `[samples]` (full scale 1) that return as many samples; results may exceed full scale.
Random ones are the same for the same seed. Delays are zero by construction: filters have zero phase, the direct sound
of a room comes first, and libsndfile removes the encoder's delay, which it wrote into the MP3 file.
"""

from __future__ import annotations

import io
from collections.abc import Sequence
from fractions import Fraction
from typing import Literal

import numpy as np
import soundfile

from audio2face.audio.resample import resample_soxr
from audio2face.errors import UserError
from audio2face.evaluate.activity import active_level
from audio2face.evaluate.sounds import shaped_noise
from audio2face.types import Float32Array, Float64Array, FloatArray

NoiseColour = Literal["white", "pink", "babble"]

_BABBLE_VOICES = 6
_FIRST_ECHO = 0.005  # seconds: a reflecting surface at about a metre
_DECAY_DB = 60.0  # of the reverberation time's definition (ISO 3382)
_PHONE_BAND = (300.0, 3400.0)  # Hz, ITU-T G.712
_PHONE_SKIRT = 150.0  # Hz in which the band ends
_PHONE_RATE = 8000
_MU = 255.0  # ITU-T G.711
# 40 kbit/s. At 8, 22.05 and 24 kHz with low constant bit rates a frame has no room for LAME's tag, which tells the
# decoder the encoder's delay, and what is decoded comes 1,105 samples late (libsndfile 1.2.2).
_MP3_RATE = 16_000
_MP3_COMPRESSION = 0.8  # from 0, the highest bit rate of the format, to 1
_RATIO_TERM = 100  # largest term of the ratio of a pitch shift, 2 ^ (semitones / 12) within half a percent


def change_level(samples: Float32Array, decibels: float) -> Float32Array:
    """Multiplies by a gain in decibels."""
    return (samples * 10 ** (decibels / 20)).astype(np.float32)


def add_noise(
    samples: Float32Array, samplerate: int, snr_db: float, colour: NoiseColour = "pink", seed: int = 0
) -> Float32Array:
    """Adds steady noise at a signal-to-noise ratio: level of the active speech over that of the noise.

    Args:
        samples: `[samples]`.
        samplerate: samples per second.
        snr_db: ratio in decibels.
        colour: "white", "pink" (3 dB per octave less), or "babble": the recording itself, reversed in time and mixed
            from six places, which has a voice's spectrum and rhythm and no words.
        seed: of the noise.

    Raises:
        UserError: the recording holds no speech.
    """
    level = active_level(samples, samplerate)
    if not level:
        raise UserError("nobody speaks in the recording, so noise has no level")
    rng = np.random.default_rng(seed)
    noise = _noise(samples, samplerate, colour, rng)
    return (samples + level * 10 ** (-snr_db / 20) * noise).astype(np.float32)


def reverberate(
    samples: Float32Array, samplerate: int, rt60: float, direct_to_reverberant_db: float = 0.0, seed: int = 0
) -> Float32Array:
    """Places the voice in a room.

    The impulse response is the direct sound, unchanged and without delay, and noise from 5 ms on that decays
    exponentially (Polack's model).

    Args:
        samples: `[samples]`.
        samplerate: samples per second.
        rt60: reverberation time, in which the echo falls by 60 dB, seconds.
        direct_to_reverberant_db: energy of the direct sound over that of the echo; 0 dB is one to two metres from the
            microphone in a living room.
        seed: of the echo.
    """
    seconds = np.arange(round(1.2 * rt60 * samplerate)) / samplerate
    echo = np.random.default_rng(seed).standard_normal(len(seconds)) * 10 ** (-_DECAY_DB / 20 * seconds / rt60)
    echo[seconds < _FIRST_ECHO] = 0
    echo *= 10 ** (-direct_to_reverberant_db / 20) / np.sqrt(np.sum(np.square(echo)))
    echo[0] = 1
    length = len(samples) + len(echo)
    wet = np.fft.irfft(np.fft.rfft(samples, length) * np.fft.rfft(echo, length), length)
    return wet[: len(samples)].astype(np.float32)


def telephone(samples: Float32Array, samplerate: int) -> Float32Array:
    """A narrow-band call: 300 to 3,400 Hz, 8 kHz, 8 bits by the mu-law of ITU-T G.711."""
    call = resample_soxr(samples, samplerate, _PHONE_RATE)
    spectrum = np.fft.rfft(call)
    spectrum *= _band(np.asarray(np.fft.rfftfreq(len(call), 1 / _PHONE_RATE), np.float64))
    coded = _through_mu_law(np.fft.irfft(spectrum, len(call)))
    return _fitted(resample_soxr(coded, _PHONE_RATE, samplerate), len(samples))


def through_mp3(samples: Float32Array, samplerate: int) -> Float32Array:
    """Encodes as MP3 of 16 kHz and 40 kbit/s, as voice messages, and decodes it again, both by libsndfile."""
    encoded = io.BytesIO()
    soundfile.write(
        encoded,
        np.clip(resample_soxr(samples, samplerate, _MP3_RATE), -1, 1),
        _MP3_RATE,
        format="MP3",
        subtype="MPEG_LAYER_III",
        compression_level=_MP3_COMPRESSION,
        bitrate_mode="CONSTANT",
    )
    encoded.seek(0)
    decoded, _ = soundfile.read(encoded, dtype="float32")
    return _fitted(resample_soxr(decoded, _MP3_RATE, samplerate), len(samples))


def other_voice(samples: Float32Array, samplerate: int, semitones: float) -> Float32Array:
    """Another voice that says the same words at the same times: pitch and formants move together.

    The recording is stretched in time and played faster by the same factor. Three semitones are a vocal tract shorter
    or longer by 16 %, as between women and men.

    Args:
        samples: `[samples]`.
        samplerate: samples per second.
        semitones: positive: higher.
    """
    ratio = Fraction(2 ** (semitones / 12)).limit_denominator(_RATIO_TERM)
    slow = stretch(samples, samplerate, float(ratio))
    return _fitted(resample_soxr(slow, ratio.numerator, ratio.denominator), len(samples))


def concatenate(parts: Sequence[Float32Array], samplerate: int, pause: float) -> tuple[Float32Array, tuple[float, ...]]:
    """Joins recordings, each followed by silence.

    Args:
        parts: `[samples]` each.
        samplerate: samples per second.
        pause: silence after each, seconds.

    Returns:
        The whole, and the time at which each part begins, in seconds.
    """
    gap = np.zeros(round(pause * samplerate), np.float32)
    starts = np.cumsum([0, *(len(part) + len(gap) for part in parts)])[:-1]
    whole = np.concatenate([piece for part in parts for piece in (part, gap)]) if parts else gap[:0]
    return whole, tuple(start / samplerate for start in starts.tolist())


def _noise(samples: Float32Array, samplerate: int, colour: NoiseColour, rng: np.random.Generator) -> Float64Array:
    """Noise of root mean square 1, float64 `[samples]`."""
    if colour == "babble":
        places = rng.integers(len(samples), size=_BABBLE_VOICES).tolist()
        mixed = np.sum([np.roll(samples[::-1], place) for place in places], axis=0, dtype=np.float64)
        return np.asarray(mixed / np.sqrt(np.mean(np.square(mixed))))
    slope = {"white": 0.0, "pink": 0.5}[colour]
    return shaped_noise(len(samples), samplerate, lambda hertz: hertz**-slope, rng)


def _band(hertz: Float64Array) -> Float64Array:
    """Gain of the telephone's band, falling to zero over 150 Hz outside of it as a raised cosine."""
    low, high = _PHONE_BAND
    outside = np.maximum(np.maximum(low - hertz, hertz - high), 0)
    return np.asarray(0.5 + 0.5 * np.cos(np.pi * np.minimum(outside / _PHONE_SKIRT, 1)))


def _through_mu_law(samples: FloatArray) -> Float32Array:
    companded = np.sign(samples) * np.log1p(_MU * np.minimum(np.abs(samples), 1)) / np.log1p(_MU)
    coded = np.round(companded * 127) / 127  # 8 bits: sign and 7 of magnitude
    return np.asarray(np.sign(coded) * np.expm1(np.abs(coded) * np.log1p(_MU)) / _MU, np.float32)


def _fitted(samples: Float32Array, num_samples: int) -> Float32Array:
    """Cuts or pads the rounding of a rate at the end."""
    return np.pad(samples[:num_samples], (0, max(num_samples - len(samples), 0)))


_WINDOW_SECONDS = 0.03  # two or more periods of a voice
_SEARCH_SECONDS = 0.008  # a period of 63 Hz on both sides together
# Taken from the correlation at the ends of the search, less within it by the square of the distance. Periods of a voice
# are almost alike: without it windows stay near one end while a voice sounds, and speech comes 5 ms early or late.
_PENALTY = 0.6


def stretch(samples: Float32Array, samplerate: int, factor: float) -> Float32Array:
    """Stretches a recording in time.

    Args:
        samples: `[samples]`.
        samplerate: samples per second.
        factor: length of the result over that of the recording, above 0.

    Returns:
        Float32 `[round(samples * factor)]`.
    """
    hop = round(_WINDOW_SECONDS / 2 * samplerate)
    search = round(_SEARCH_SECONDS * samplerate)
    window = 0.5 - 0.5 * np.cos(np.pi * (np.arange(2 * hop) + 0.5) / hop)  # half overlapped, it sums to 1
    length = round(len(samples) * factor)
    margin = 2 * hop + search
    padded = np.pad(np.asarray(samples, np.float64), (margin, 2 * margin))
    result = np.zeros(length + 4 * hop)  # begins a hop early
    continued = margin - hop
    for centre in range(0, length + hop, hop):  # of a window, in the stretched recording
        wanted = margin - hop + min(round(centre / factor), len(samples))
        place = _most_similar(padded, continued, wanted, search, 2 * hop)
        result[centre : centre + 2 * hop] += window * padded[place : place + 2 * hop]
        continued = place + hop
    return result[hop : hop + length].astype(np.float32)


def _most_similar(padded: Float64Array, continued: int, wanted: int, search: int, length: int) -> int:
    """The start near `wanted` of the window that is most like the one at `continued`."""
    template = padded[continued : continued + length]
    region = padded[wanted - search : wanted + search + length]
    products = np.correlate(region, template, "valid")
    sums = np.cumsum(np.concatenate([[0.0], np.square(region)]))
    energies = sums[length:] - sums[:-length]
    similarity = products / np.sqrt(energies * (template @ template) + 1e-12)
    distance = np.linspace(-1, 1, 2 * search + 1)
    similarity -= _PENALTY * np.square(distance)
    return wanted - search + int(np.argmax(similarity))
