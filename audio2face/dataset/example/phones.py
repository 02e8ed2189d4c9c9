"""When each phone sounds: from the speech model's duration of every letter to phones with times.

Knows the alphabet of the stored sentences and how the model's durations relate to its sound; knows nothing of how
either is made.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

SILENCE = "SIL"
FRAME_SECONDS = 0.0125  # per column of the model's spectra
_UNIT = 2 * FRAME_SECONDS  # seconds that one unit of the model's durations lasts
# The sound runs ahead of the model's own boundaries: over many sentences at speeds from 0.85 to 1.2, phone labels
# explain the log-mel spectrum best when moved by 50 to 55 ms.
_LEAD = 2 * _UNIT
_STRESS_MARKS = "ˈˌ"
_IPA = {"A": "eɪ", "I": "aɪ", "O": "oʊ", "W": "aʊ", "Y": "ɔɪ", "T": "ɾ", "ᵊ": "ə", "ᵻ": "ɪ"}
_SHORTEST_FINAL = 0.04  # seconds
_TRIM_DB = -38.0  # this far below the loud part of the sentence, its last phone has ended


@dataclass(frozen=True)
class Phone:
    """One phone in IPA, or `SILENCE`; times in seconds from the start of the sound."""

    symbol: str
    start: float
    end: float
    stressed: bool = False

    @property
    def centre(self) -> float:
        """The middle, in seconds."""
        return (self.start + self.end) / 2


def time_phones(
    letters: Sequence[str], units: npt.NDArray[np.float32], power: npt.NDArray[np.float32]
) -> tuple[Phone, ...]:
    """Turns letters and their durations into phones without gaps over the whole sound.

    A stress mark's time belongs to the vowel behind it, a space's half to each neighbour; punctuation is silence.

    Args:
        letters: one per id of the model, `SILENCE` for its pads.
        units: the model's duration of each, in units of two spectral frames.
        power: of the sound, `[spectral frames]`.
    """
    spans: list[tuple[str, float, bool]] = []  # symbol, seconds, stressed
    pending, stressed = 0.0, False
    for letter, seconds in zip(letters, units.astype(float) * _UNIT, strict=True):
        if letter in _STRESS_MARKS:
            pending, stressed = pending + seconds, stressed or letter == "ˈ"
        elif letter == " " and spans[-1][0] != SILENCE:
            symbol, before, accent = spans[-1]
            spans[-1] = (symbol, before + seconds / 2, accent)
            pending += seconds / 2
        elif letter == SILENCE or not letter.isalpha():
            before = spans.pop()[1] if spans and spans[-1][0] == SILENCE else 0.0
            spans.append((SILENCE, before + seconds, False))
        else:
            spans.append((_IPA.get(letter, letter), pending + seconds, stressed))
            pending, stressed = 0.0, False
    ends = np.cumsum([seconds for _, seconds, _ in spans]) - _LEAD
    ends[-1] += _LEAD
    starts = [0.0, *ends[:-1]]
    phones = [
        Phone(symbol, float(start), float(end), accent)
        for (symbol, _, accent), start, end in zip(spans, starts, ends, strict=True)
    ]
    return tuple(_trim_finals(phones, power))


def delay_phones(phones: Sequence[Phone], delay: float, length: float) -> tuple[Phone, ...]:
    """The phones `delay` seconds later, the silences at both ends reaching to 0 and to `length` seconds."""
    moved = [replace(phone, start=phone.start + delay, end=phone.end + delay) for phone in phones]
    moved[0] = replace(moved[0], start=0.0)
    moved[-1] = replace(moved[-1], end=length)
    return tuple(moved)


def _trim_finals(phones: list[Phone], power: npt.NDArray[np.float32]) -> list[Phone]:
    """Ends each phone before a silence where its sound ends: the model's final durations hold silence too."""
    level = 10 * np.log10(power + 1e-12)
    loud = level > np.percentile(level, 95) + _TRIM_DB
    trimmed = list(phones)
    for index in range(len(phones) - 1):
        phone, following = trimmed[index], trimmed[index + 1]
        if phone.symbol == SILENCE or following.symbol != SILENCE:
            continue
        first, last = round(phone.start / FRAME_SECONDS), round(phone.end / FRAME_SECONDS)
        sounding = np.flatnonzero(loud[first:last])
        length = (float(sounding[-1]) + 1.5) * FRAME_SECONDS if len(sounding) else 0.0
        end = min(phone.start + max(_SHORTEST_FINAL, length), phone.end)
        trimmed[index], trimmed[index + 1] = replace(phone, end=end), replace(following, start=end)
    return trimmed
