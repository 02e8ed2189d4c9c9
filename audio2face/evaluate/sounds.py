"""Sounds without speech, on which a mouth stays shut: silence, room noise, breath, and a hummed "hmm".

All are synthetic, mono float32 at a chosen level, and the same for the same seed.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from audio2face.types import Float32Array, Float64Array

_LOWEST_HZ = 20.0  # below, noise holds nothing audible
# Noise of rooms falls by about 5 dB per octave (the noise criteria curves of ANSI/ASA S12.2 do at low frequencies).
_ROOM_SLOPE = 0.75  # of the amplitude: f^-0.75, 4.5 dB per octave
# A breath through the mouth: noise around the first resonance of an open throat, from Fant's uniform tube up to 6 kHz.
_BREATH_PEAK_HZ, _BREATH_OCTAVES = 1000.0, 1.3
_BREATH_SECONDS, _BREATH_PAUSE = 0.7, 0.5
# A nasal murmur: strong around 250 Hz, weak above (Fujimura 1962).
_NASAL_FORMANTS = ((250.0, 80.0, 0.0), (1000.0, 120.0, -22.0), (2200.0, 200.0, -32.0))  # Hz, half width in Hz, dB
_HUM_SECONDS, _HUM_PAUSE = 0.8, 0.4
_HUM_PITCH_HZ, _HUM_FALL, _HUM_SWAY = 125.0, 0.12, 0.02  # start, share by which each "hmm" falls, slow variation
_RAMP_SECONDS = 0.08


def silence(seconds: float, samplerate: int) -> Float32Array:
    """Zeros, float32 `[samples]`."""
    return np.zeros(round(seconds * samplerate), np.float32)


def shaped_noise(
    num_samples: int, samplerate: int, amplitude: Callable[[Float64Array], Float64Array], rng: np.random.Generator
) -> Float64Array:
    """Gaussian noise with a given spectrum.

    Args:
        num_samples: length.
        samplerate: samples per second.
        amplitude: maps frequencies in Hz, `[bins]`, none below 20 Hz, to relative amplitudes.
        rng: draws `num_samples` normal numbers.

    Returns:
        Float64 `[num_samples]`, root mean square 1, nothing below 20 Hz.
    """
    spectrum = np.fft.rfft(rng.standard_normal(num_samples))
    frequencies = np.fft.rfftfreq(num_samples, 1 / samplerate)
    weights = np.where(frequencies < _LOWEST_HZ, 0.0, amplitude(np.maximum(frequencies, _LOWEST_HZ)))
    noise = np.fft.irfft(spectrum * weights, num_samples)
    return np.asarray(noise / np.sqrt(np.mean(np.square(noise))))


def room_noise(seconds: float, samplerate: int, level: float, seed: int) -> Float32Array:
    """Steady noise that falls by 4.5 dB per octave, like a quiet room with ventilation.

    Args:
        seconds: length.
        samplerate: samples per second.
        level: root mean square, full scale 1.
        seed: of the noise.

    Returns:
        Float32 `[samples]`.
    """
    rng = np.random.default_rng(seed)
    noise = shaped_noise(round(seconds * samplerate), samplerate, lambda hertz: hertz**-_ROOM_SLOPE, rng)
    return (level * noise).astype(np.float32)


def breath(seconds: float, samplerate: int, level: float, seed: int) -> Float32Array:
    """Breaths of 0.7 s, 0.5 s apart: noise around 1 kHz that swells and fades.

    Arguments and result are those of `room_noise`; `level` is that at the loudest moment of a breath.
    """
    rng = np.random.default_rng(seed)
    noise = shaped_noise(round(seconds * samplerate), samplerate, _breath_spectrum, rng)
    swell = np.sin(np.pi * np.clip(_phase(len(noise), samplerate, _BREATH_SECONDS, _BREATH_PAUSE), 0, 1))
    return np.asarray(level * noise * swell**2, np.float32)


def hummed_hmm(seconds: float, samplerate: int, level: float, seed: int) -> Float32Array:
    """A hummed "hmm" of 0.8 s, 0.4 s apart: voice through closed lips, low and dull, with a falling pitch.

    Arguments and result are those of `room_noise`; `level` is that of a held "hmm".
    """
    num_samples = round(seconds * samplerate)
    position = _phase(num_samples, samplerate, _HUM_SECONDS, _HUM_PAUSE)
    sway = _HUM_SWAY * np.interp(
        np.arange(num_samples) / samplerate,
        np.arange(0, seconds + 1, 0.25),
        np.random.default_rng(seed).uniform(-1, 1, len(np.arange(0, seconds + 1, 0.25))),
    )
    pitch = _HUM_PITCH_HZ * (1 - _HUM_FALL * np.clip(position, 0, 1) + sway)
    phase = 2 * np.pi * np.cumsum(pitch) / samplerate
    highest = min(3000.0, 0.45 * samplerate)
    harmonics = range(1, int(highest / (_HUM_PITCH_HZ * (1 + _HUM_SWAY))) + 1)
    voice = np.sum([_nasal_gain(k * pitch) / k * np.sin(k * phase) for k in harmonics], axis=0)
    ramp = _RAMP_SECONDS / _HUM_SECONDS
    envelope = np.clip(np.minimum(position, 1 - position) / ramp, 0, 1)
    held = voice[envelope == 1] if (envelope == 1).any() else voice
    return np.asarray(level * voice * envelope / np.sqrt(np.mean(np.square(held))), np.float32)


def _phase(num_samples: int, samplerate: int, length: float, pause: float) -> Float64Array:
    """Progress within a repeated sound: 0 to 1 during it, above 1 in the pause, float64 `[num_samples]`."""
    return np.asarray(np.arange(num_samples) / samplerate % (length + pause) / length)


def _breath_spectrum(hertz: Float64Array) -> Float64Array:
    octaves = np.log2(hertz / _BREATH_PEAK_HZ) / _BREATH_OCTAVES
    return np.asarray(np.exp(-0.5 * np.square(octaves)))


def _nasal_gain(hertz: Float64Array) -> Float64Array:
    """Amplitude of the murmur's resonances."""
    return np.asarray(
        np.sum(
            [10 ** (dB / 20) / (1 + np.square((hertz - centre) / width)) for centre, width, dB in _NASAL_FORMANTS],
            axis=0,
        )
    )
