"""Sounds that are no speech, at which a mouth stays at rest: noise, hum, breath, music, clicks."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from audio2face.audio.mel import MEL_RATE
from audio2face.types import Float32Array, Float64Array

OTHER_SECONDS = (3.0, 9.0)
_NOTES = 440.0 * 2.0 ** (np.arange(-36, 25) / 12)  # Hz


def other_sound(rng: np.random.Generator, seconds: tuple[float, float] = OTHER_SECONDS) -> tuple[str, Float32Array]:
    """Makes a random sound.

    Args:
        rng: source of everything about it.
        seconds: limits of its length.

    Returns:
        Its kind, and its samples, float32 `[samples]` at 16 kHz.
    """
    kind = str(rng.choice(list(_MAKERS)))
    times = np.arange(int(rng.uniform(*seconds) * MEL_RATE)) / MEL_RATE
    samples = _MAKERS[kind](rng, times) + 10 ** rng.uniform(-4.0, -2.0) * rng.standard_normal(len(times))
    return kind, samples.astype(np.float32)


def _coloured(rng: np.random.Generator, count: int) -> Float64Array:
    """Noise whose spectrum is a smooth random curve."""
    spectrum = np.fft.rfft(rng.standard_normal(count))
    position = np.linspace(0.0, np.pi, len(spectrum))
    decibels = sum(rng.normal(0.0, 12.0 / order) * np.cos(order * position) for order in range(1, 7))
    noise = np.fft.irfft(spectrum * 10 ** (decibels / 20), count)
    scaled: Float64Array = noise / noise.std()
    return scaled


def _noise(rng: np.random.Generator, times: Float64Array) -> Float64Array:
    swell = 1 + rng.uniform(0, 0.9) * np.sin(2 * np.pi * rng.uniform(0.05, 4.0) * times + rng.uniform(0, 6))
    return _coloured(rng, len(times)) * swell


def _hum(rng: np.random.Generator, times: Float64Array) -> Float64Array:
    frequency = float(rng.uniform(45, 400))
    orders = np.arange(1, int(rng.integers(2, 25)))
    strengths = rng.exponential(size=len(orders)) / orders ** rng.uniform(0.3, 2.0)
    return _tone(times * frequency, strengths, rng)


def _breath(rng: np.random.Generator, times: Float64Array) -> Float64Array:
    rhythm = np.sin(2 * np.pi * rng.uniform(0.15, 0.6) * times + rng.uniform(0, 6)).clip(0) ** rng.uniform(0.5, 3.0)
    return _coloured(rng, len(times)) * rhythm


def _music(rng: np.random.Generator, times: Float64Array) -> Float64Array:
    sound = np.zeros(len(times))
    for _ in range(int(rng.integers(1, 5))):  # instruments
        beat, decay = float(rng.uniform(0.15, 1.0)), float(rng.uniform(0.2, 6.0))
        strengths = rng.exponential(size=8) / np.arange(1, 9) ** rng.uniform(0.5, 2.5)
        for start in np.arange(0.0, times[-1], beat):
            at = (times >= start) & (times < start + beat)
            since = times[at] - start
            envelope = np.exp(-decay * since) * np.minimum(since / 0.01, 1.0)
            sound[at] += envelope * _tone(since * float(rng.choice(_NOTES)), strengths, rng)
    return sound


def _clicks(rng: np.random.Generator, times: Float64Array) -> Float64Array:
    sound = np.zeros(len(times))
    for start in rng.integers(len(times), size=int(rng.integers(3, 40))):
        length = int(rng.integers(20, 1500))
        burst = _coloured(rng, length)[: len(times) - start]
        sound[start : start + length] += rng.uniform(0.2, 1.0) * burst * np.exp(-np.arange(len(burst)) / (0.2 * length))
    return sound


def _tone(cycles: Float64Array, strengths: Float64Array, rng: np.random.Generator) -> Float64Array:
    """Harmonics of a tone, whose phase is given in cycles."""
    phases = rng.uniform(0, 2 * np.pi, len(strengths))
    tone: Float64Array = sum(
        (
            strength * np.sin(2 * np.pi * order * cycles + phase)
            for order, (strength, phase) in enumerate(zip(strengths, phases, strict=True), start=1)
        ),
        start=np.zeros(len(cycles)),
    )
    return tone


_MAKERS: dict[str, Callable[[np.random.Generator, Float64Array], Float64Array]] = {
    "noise": _noise,
    "hum": _hum,
    "breath": _breath,
    "music": _music,
    "clicks": _clicks,
}
