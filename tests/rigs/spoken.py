"""Speech by rule: viseme channels from phones with known times, as the encoder gives them, and a sound as loud."""

from __future__ import annotations

import numpy as np

from audio2face.dataset.arkit_names import ARKIT_INDEX, TONGUE_INDEX
from audio2face.example.sentences import SILENCE, Phone
from audio2face.example.visemes import BILABIALS, LABIODENTALS, SHAPES_OF, articulate
from audio2face.rigs.speech import CLOSURE, LABIODENTAL, VisemeSource

RATE, SAMPLERATE = 50.0, 16_000
SECONDS = 0.1  # of a phone


def phones_of(symbols: str) -> list[Phone]:
    """Phones of 0.1 s each; a space is half a second of silence."""
    found, at = [], 0.0
    for symbol in symbols:
        length = 0.5 if symbol == " " else SECONDS
        found.append(Phone(SILENCE if symbol == " " else symbol, at, at + length))
        at += length
    return found


def sound_of(phones: list[Phone]) -> np.ndarray:
    """Noise while somebody speaks, float32 at 16 kHz."""
    samples = 0.1 * np.random.default_rng(0).standard_normal(round(phones[-1].end * SAMPLERATE)).astype(np.float32)
    for phone in phones:
        if phone.symbol == SILENCE:
            samples[round(phone.start * SAMPLERATE) : round(phone.end * SAMPLERATE)] = 0
    return samples


def source_of(phones: list[Phone], *, contacts: bool = True) -> VisemeSource:
    """What computes the channels of these phones, whatever it hears.

    Args:
        phones: the phones.
        contacts: whether the channels of closures and of f and v are among them.
    """

    def source(samples: np.ndarray, samplerate: int) -> tuple[np.ndarray, tuple[str, ...], float]:
        steps = int(len(samples) * RATE) // samplerate
        skin, tongue = articulate(phones, steps, RATE)
        columns = [
            skin[:, ARKIT_INDEX[shapes[0]]] if shapes[0] in ARKIT_INDEX else tongue[:, TONGUE_INDEX[shapes[0]]]
            for shapes in SHAPES_OF.values()
        ]
        names = tuple(SHAPES_OF)
        if contacts:
            names += (CLOSURE, LABIODENTAL)
            columns += [_during(phones, BILABIALS, steps), _during(phones, LABIODENTALS, steps)]
        return np.stack(columns, axis=1).astype(np.float32), names, RATE

    return source


def _during(phones: list[Phone], symbols: frozenset[str], steps: int) -> np.ndarray:
    times = (np.arange(steps) + 0.5) / RATE
    return sum((1.0 * ((times >= p.start) & (times < p.end)) for p in phones if p.symbol in symbols), np.zeros(steps))
