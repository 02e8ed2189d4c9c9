"""Sounds that are no speech, at which a mouth stays at rest: of rooms, machines, hands and music.

Those of a person, such as breath, are in `body_sounds`. A third of all sounds are two at once.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from audio2face.audio.mel import MEL_RATE
from audio2face.synthesis.body_sounds import breath, humming, smack, sniff
from audio2face.types import Float32Array, Float64Array

OTHER_SECONDS = (3.0, 9.0)
_TWO_SHARE = 1 / 3
_RMS = 0.06
_NOTES = 440.0 * 2.0 ** (np.arange(-36, 25) / 12)  # Hz


def other_sound(rng: np.random.Generator, seconds: tuple[float, float] = OTHER_SECONDS) -> tuple[str, Float32Array]:
    """Makes a random sound.

    Args:
        rng: source of everything about it.
        seconds: limits of its length.

    Returns:
        Its kind, and its samples, float32 `[samples]` at 16 kHz.
    """
    often = np.array([share for _, share in _MAKERS.values()], float)
    kinds = rng.choice(list(_MAKERS), 2, p=often / often.sum()).tolist()
    times = np.arange(int(rng.uniform(*seconds) * MEL_RATE)) / MEL_RATE
    samples = _level(_MAKERS[kinds[0]][0](rng, times))
    if rng.random() < _TWO_SHARE:
        samples += 10 ** rng.uniform(-1.2, 0.0) * _level(_MAKERS[kinds[1]][0](rng, times))
    samples += 10 ** rng.uniform(-4.0, -1.3) * _coloured(rng, len(times))
    return str(kinds[0]), (_RMS * samples).astype(np.float32)


def _level(sound: Float64Array) -> Float64Array:
    """The sound with a mean square of 1."""
    scaled: Float64Array = sound / (np.sqrt(np.mean(np.square(sound))) + 1e-9)
    return scaled


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


def _typing(rng: np.random.Generator, times: Float64Array) -> Float64Array:
    """Keys that are struck and let go; knocks and steps are the same, slower and duller."""
    sound = np.zeros(len(times))
    pace, spread = float(np.exp(rng.uniform(np.log(0.07), np.log(0.9)))), rng.uniform(0.1, 0.6)
    length, release = int(rng.uniform(0.01, 0.08) * MEL_RATE), int(rng.uniform(0.03, 0.12) * MEL_RATE)
    stroke = _coloured(rng, length)
    at = 0.0
    while at < len(times):
        for start, strength in ((int(at), 1.0), (int(at) + release, rng.uniform(0, 0.5))):
            part = (0.7 * stroke + 0.3 * _coloured(rng, length)) * np.exp(-np.arange(length) / (0.25 * length))
            kept = part[: max(len(times) - start, 0)]
            sound[start : start + len(kept)] += strength * rng.uniform(0.4, 1.0) * kept
        at += pace * np.exp(rng.normal(0, spread)) * MEL_RATE
    return sound


def _applause(rng: np.random.Generator, times: Float64Array) -> Float64Array:
    """Many hands, or rain, or a fire: short bursts at random, in swelling numbers."""
    rate = float(np.exp(rng.uniform(np.log(8), np.log(400))))  # per second
    length = int(rng.uniform(0.002, 0.02) * MEL_RATE)
    strikes = (rng.random(len(times)) < rate / MEL_RATE) * rng.exponential(size=len(times))
    burst = _coloured(rng, length) * np.exp(-np.arange(length) / (0.3 * length))
    swell = np.interp(times, np.linspace(0, times[-1], 6), rng.uniform(0.1, 1.0, 6))
    return np.convolve(strikes, burst)[: len(times)] * swell


def _wind(rng: np.random.Generator, times: Float64Array) -> Float64Array:
    """Gusts, and the wash of waves and traffic: a band of noise that moves."""
    noise = _coloured(rng, len(times))
    knots = max(int(times[-1] * rng.uniform(0.5, 6)), 2)
    gusts = np.interp(times, np.linspace(0, times[-1], knots), rng.uniform(0, 1, knots)) ** rng.uniform(1, 3)
    return noise * gusts


def _engine(rng: np.random.Generator, times: Float64Array) -> Float64Array:
    """A machine whose speed changes, or a siren, with its noise."""
    knots = max(int(times[-1] * rng.uniform(0.3, 3)), 2)
    bends = np.interp(times, np.linspace(0, times[-1], knots), rng.normal(0, rng.uniform(0, 0.4), knots))
    hertz = np.exp(rng.uniform(np.log(25), np.log(900)) + bends)
    orders = np.arange(1, int(rng.integers(2, 20)))
    strengths = rng.exponential(size=len(orders)) / orders ** rng.uniform(0.2, 1.5)
    return _tone(np.cumsum(hertz) / MEL_RATE, strengths, rng) + rng.uniform(0, 1.0) * _coloured(rng, len(times))


def _melody(rng: np.random.Generator, times: Float64Array) -> Float64Array:
    """One instrument that plays a tune, with vibrato and with or without gaps, over a chord or alone."""
    sound = np.zeros(len(times))
    strengths = rng.exponential(size=10) / np.arange(1, 11) ** rng.uniform(0.3, 2.5)
    root, gap = int(rng.integers(8, 45)), rng.uniform(0, 0.4)
    attack, vibrato, beat = rng.uniform(0.005, 0.12), rng.uniform(0, 0.02), float(rng.uniform(0.12, 0.8))
    at = 0.0
    while at < times[-1]:
        length = beat * float(rng.choice([0.5, 1, 1, 2, 3]))
        inside = (times >= at) & (times < at + length)
        since = times[inside] - at
        hertz = _NOTES[min(max(root + int(rng.integers(-7, 8)), 0), len(_NOTES) - 1)]
        cycles = hertz * (since + vibrato / (2 * np.pi * 6) * (1 - np.cos(2 * np.pi * 6 * since)))
        held = length * (1 - gap)
        envelope = np.clip(since / attack, 0, 1) * np.clip((held - since) / attack, 0, 1)
        sound[inside] += envelope * _tone(cycles, strengths, rng)
        at += length
    if rng.random() < 0.4:
        for step in (0, 4, 7):
            sound += 0.3 * _tone(times * _NOTES[min(root + step, len(_NOTES) - 1)], strengths[:6], rng)
    return sound


def _drums(rng: np.random.Generator, times: Float64Array) -> Float64Array:
    """A rhythm of low strokes with a falling pitch and of hisses."""
    sound = np.zeros(len(times))
    beat = float(rng.uniform(0.15, 0.6))
    pattern = rng.random((2, 8)) < rng.uniform(0.2, 0.7, (2, 1))
    pitch, falls, rings = rng.uniform(50, 220), rng.uniform(5, 40), rng.uniform(4, 30, 2)
    hiss = _coloured(rng, MEL_RATE)
    for number, at in enumerate(np.arange(0.0, times[-1], beat)):
        inside = (times >= at) & (times < at + 0.9)
        since = times[inside] - at
        low = np.sin(2 * np.pi * pitch * (since + (1 - np.exp(-falls * since)) / falls)) * np.exp(-rings[0] * since)
        high = hiss[: len(since)] * np.exp(-rings[1] * since)
        sound[inside] += pattern[0, number % 8] * low + 0.5 * pattern[1, number % 8] * high
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


Maker = Callable[[np.random.Generator, Float64Array], Float64Array]
_MAKERS: dict[str, tuple[Maker, int]] = {  # and how often each is made
    "noise": (_noise, 2),
    "hum": (_hum, 2),
    "breath": (breath, 6),
    "sniff": (sniff, 1),
    "smack": (smack, 1),
    "humming": (humming, 5),
    "music": (_music, 2),
    "melody": (_melody, 2),
    "drums": (_drums, 1),
    "clicks": (_clicks, 1),
    "typing": (_typing, 1),
    "applause": (_applause, 1),
    "wind": (_wind, 1),
    "engine": (_engine, 1),
}
