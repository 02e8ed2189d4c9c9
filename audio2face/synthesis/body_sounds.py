"""Sounds of a person who does not speak: breaths, sniffs, smacks of the lips, and humming with closed lips.

Breath is noise of turbulent air, humming a voice; both pass through a tract whose resonances are drawn anew for each
sound and move while it lasts. A mouth rests at all of them.

Source of the model of resonances: Fant, Acoustic Theory of Speech Production (1960): a uniform tube, closed at one end,
resonates at odd multiples of a frequency that its length tells.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from audio2face.audio.mel import MEL_RATE
from audio2face.types import Float64Array

_TUBE_HZ = 500.0  # first resonance of a tract of 17 cm
_WINDOW, _HOP = 512, 128  # samples of the short-time spectrum in which resonances move
_HIGHEST_HARMONIC_HZ = 5_000.0


def breath(rng: np.random.Generator, times: Float64Array) -> Float64Array:
    """Air that flows in and out, through mouth or nose, in any rhythm."""
    sound = np.zeros(len(times))
    loudness, pause = rng.uniform(0.3, 1.0, 2), rng.uniform(0.05, 1.5, 2)  # of breaths in and of breaths out
    length = np.exp(rng.uniform(np.log(0.15), np.log(1.8), 2))
    through = [_tract(rng), _tract(rng)]
    for number, (begin, end) in enumerate(_moments(rng, len(times), length, pause)):
        way = number % 2
        air = _filtered(rng.standard_normal(end - begin), through[way] * np.exp(rng.normal(0, 0.15, (2, 1, 1))))
        sound[begin:end] += loudness[way] * air * _swell(rng, end - begin) * _flutter(rng, end - begin)
    return sound


def sniff(rng: np.random.Generator, times: Float64Array) -> Float64Array:
    """Short sharp breaths through the nose, alone or a few in a row."""
    sound = np.zeros(len(times))
    nose = _tract(rng) * rng.uniform(1.2, 2.5)
    for begin, end in _moments(rng, len(times), np.array([rng.uniform(0.06, 0.4)]), np.array([rng.uniform(0.1, 1.5)])):
        count = end - begin
        air = _filtered(rng.standard_normal(count), nose)
        rise = np.minimum(np.arange(count) / (rng.uniform(0.05, 0.5) * count), 1.0)
        sound[begin:end] += air * rise * np.linspace(1.0, 0.0, count) ** rng.uniform(0.3, 2.0)
    return sound


def smack(rng: np.random.Generator, times: Float64Array) -> Float64Array:
    """Lips and tongue that part with a click, now and then."""
    sound = np.zeros(len(times))
    for start in rng.integers(len(times), size=int(rng.integers(2, 25))):
        count = min(int(rng.uniform(0.004, 0.05) * MEL_RATE), len(times) - int(start))
        if count < 2:
            continue
        click = _filtered(rng.standard_normal(count) * np.exp(-np.arange(count) / (0.2 * count)), _tract(rng))
        sound[start : start + count] += rng.uniform(0.1, 1.0) * click
    return sound


def humming(rng: np.random.Generator, times: Float64Array) -> Float64Array:
    """A voice through closed lips and the nose: held, gliding, or a tune."""
    sound = np.zeros(len(times))
    base, tract = float(np.exp(rng.uniform(np.log(75), np.log(450)))), _nasal_tract(rng)
    length, pause = np.array([rng.uniform(0.12, 2.5)]), np.array([rng.uniform(0.03, 1.2)])
    tune = rng.random() < 0.5
    for begin, end in _moments(rng, len(times), length, pause):
        count = end - begin
        note = base * 2 ** (int(rng.integers(-7, 8)) / 12 if tune else 0.0)
        since = np.arange(count) / MEL_RATE
        bend = np.interp(since, [0.0, since[-1] / 2, since[-1]], rng.normal(0, 0.08, 3))
        vibrato = rng.uniform(0, 0.03) * np.sin(2 * np.pi * rng.uniform(4, 7) * since)
        voice = _voice(note * np.exp(bend + vibrato), rng.uniform(0.5, 1.8), rng)
        ramp = np.clip(np.minimum(since, since[-1] - since) / rng.uniform(0.02, 0.15), 0, 1)
        sound[begin:end] += _filtered(voice, tract) * ramp * rng.uniform(0.4, 1.0)
    return sound


def _moments(
    rng: np.random.Generator, count: int, lengths: Float64Array, pauses: Float64Array
) -> Iterator[tuple[int, int]]:
    """First and last sample of sounds in a row, with lengths and pauses in seconds around those given, in turn."""
    at = int(rng.uniform(0, 0.5) * MEL_RATE)
    for number in range(count):
        length, pause = (int(of[number % len(of)] * np.exp(rng.normal(0, 0.3)) * MEL_RATE) for of in (lengths, pauses))
        if at >= count - _HOP:
            return
        yield at, min(at + max(length, _HOP), count)
        at += length + pause


def _tract(rng: np.random.Generator) -> Float64Array:
    """Resonances `[2, resonances, 3]` at the start and at the end of a sound: Hz, half width in Hz, amplitude."""
    found = []
    size, steep = rng.uniform(0.75, 1.4), rng.uniform(0.0, 2.0)
    count = int(rng.integers(2, 7))
    for _ in range(2):
        hertz = _TUBE_HZ * size * (2 * np.arange(count) + 1) * np.exp(rng.normal(0, 0.2, count))
        widths = hertz * rng.uniform(0.08, 0.6, count)
        gains = np.exp(rng.normal(0, 0.9, count)) / (np.arange(count) + 1) ** steep
        found.append(np.stack([hertz, widths, gains], axis=1))
    return np.stack(found)


def _nasal_tract(rng: np.random.Generator) -> Float64Array:
    """The same of a closed mouth: one low resonance, and weak ones above."""
    tract = _tract(rng)
    tract[:, 0, 0] = rng.uniform(180, 380)
    tract[:, 0, 1], tract[:, 0, 2] = rng.uniform(40, 150), 1.0
    tract[:, 1:, 2] *= 10 ** rng.uniform(-2.0, -0.6)
    return tract


def _filtered(source: Float64Array, tract: Float64Array) -> Float64Array:
    """A source behind resonances that move from the first to the second set, scaled to a mean square of 1."""
    padded = np.pad(source, (_WINDOW, 2 * _WINDOW))
    windows = np.lib.stride_tricks.sliding_window_view(padded, _WINDOW)[::_HOP] * np.hanning(_WINDOW)
    share = np.linspace(0, 1, len(windows))[:, None, None]
    moved = tract[0] * (1 - share) + tract[1] * share  # [windows, resonances, 3]
    hertz = np.fft.rfftfreq(_WINDOW, 1 / MEL_RATE)
    gain = np.zeros((len(windows), len(hertz)))
    for centre, width, strength in moved.transpose(1, 2, 0)[..., None]:
        gain += strength / (1 + np.square((hertz - centre) / width))
    pieces = np.fft.irfft(np.fft.rfft(windows, axis=1) * gain, axis=1)
    whole = np.zeros(len(padded) + _WINDOW)
    for number, piece in enumerate(pieces):
        whole[number * _HOP : number * _HOP + _WINDOW] += piece
    sound = whole[_WINDOW : _WINDOW + len(source)]
    scaled: Float64Array = sound / (np.sqrt(np.mean(np.square(sound))) + 1e-9)
    return scaled


def _voice(hertz: Float64Array, steepness: float, rng: np.random.Generator) -> Float64Array:
    """Harmonics of a pitch, whose amplitudes fall with their order."""
    phase = 2 * np.pi * np.cumsum(hertz) / MEL_RATE
    orders = np.arange(1, int(_HIGHEST_HARMONIC_HZ / hertz.max()) + 2)
    voice = np.zeros(len(hertz))
    for order in orders:
        voice += order**-steepness * np.sin(order * phase + rng.uniform(0, 2 * np.pi))
    return voice


def _swell(rng: np.random.Generator, count: int) -> Float64Array:
    """A rise and a fall of different lengths."""
    top = rng.uniform(0.1, 0.9)
    place = np.interp(np.linspace(0, 1, count), [0, top, 1], [0, 0.5, 1])
    swell: Float64Array = np.sin(np.pi * place) ** rng.uniform(0.5, 2.5)
    return swell


def _flutter(rng: np.random.Generator, count: int) -> Float64Array:
    """Slow random changes of loudness."""
    knots = rng.uniform(1 - rng.uniform(0, 0.7), 1, max(count * 12 // MEL_RATE, 2))
    return np.asarray(np.interp(np.linspace(0, 1, count), np.linspace(0, 1, len(knots)), knots))
