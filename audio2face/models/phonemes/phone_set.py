"""The phones of a language, as columns of a table, and the spellings in which they come.

English has one set, whoever finds the phones: the 39 phones of the CMU dictionary, and silence. The set of another
language is that of whoever finds its phones.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import NamedTuple, Protocol

import numpy as np
import numpy.typing as npt

from audio2face.types import Float32Array, Int64Array

SILENCE = "[SIL]"
_SILENCES = frozenset(["", "SIL", "SP", "SPN", "PAU", "NSN", "+NSN+", "+SPN+", "<SIL>", SILENCE])
_ARPABET = """
    AA AE AH AO AW AY B CH D DH EH ER EY F G HH IH IY JH K L M N NG OW OY P R S SH T TH UH UW V W Y Z ZH
"""
# Phones of English in the International Phonetic Alphabet, one transcription or another.
_IPA = {
    **{"ɑ": "AA", "ɒ": "AA", "æ": "AE", "a": "AE", "ə": "AH", "ɐ": "AH", "ʌ": "AH", "ɔ": "AO", "aʊ": "AW", "aɪ": "AY"},
    **{"b": "B", "ʧ": "CH", "tʃ": "CH", "d": "D", "ð": "DH", "ɛ": "EH", "e": "EH", "ɜ": "ER", "ɝ": "ER", "ɚ": "ER"},
    **{"eɪ": "EY", "f": "F", "ɡ": "G", "g": "G", "h": "HH", "ɪ": "IH", "ᵻ": "IH", "i": "IY", "ʤ": "JH", "dʒ": "JH"},
    **{"k": "K", "l": "L", "ɫ": "L", "m": "M", "n": "N", "ŋ": "NG", "oʊ": "OW", "əʊ": "OW", "o": "OW", "ɔɪ": "OY"},
    **{"p": "P", "ɹ": "R", "r": "R", "s": "S", "ʃ": "SH", "t": "T", "ɾ": "T", "ʔ": "T", "θ": "TH", "ʊ": "UH"},
    **{"u": "UW", "ʉ": "UW", "v": "V", "w": "W", "ʍ": "W", "j": "Y", "z": "Z", "ʒ": "ZH"},
}
_UNSPOKEN = str.maketrans("", "", "ˈˌːˑ͡‿0123456789")  # stress, length, ties


@dataclass(frozen=True)
class PhoneSet:
    """The phones of a language in the order of their columns.

    Attributes:
        symbols: the phones; `SILENCE` is one of them.
    """

    symbols: tuple[str, ...]

    def __post_init__(self) -> None:
        if SILENCE not in self.symbols or len(set(self.symbols)) != len(self.symbols):
            raise ValueError(f"phones must be distinct, {SILENCE} among them: {', '.join(self.symbols)}")

    @property
    def silence(self) -> int:
        """The column of silence."""
        return self.column[SILENCE]

    @cached_property
    def column(self) -> dict[str, int]:
        """The column of each phone."""
        return {symbol: index for index, symbol in enumerate(self.symbols)}

    def __len__(self) -> int:
        """How many phones there are, silence among them."""
        return len(self.symbols)


ENGLISH = PhoneSet((SILENCE, *_ARPABET.split()))


def plain_symbol(symbol: str, language: str) -> str:
    """A phone as its `PhoneSet` writes it.

    Silence may be called SIL, sp, spn, pau or nothing. English comes in ARPABET, with stress or without, or in IPA; a
    symbol of English that is neither is returned as it is, and so is every symbol of another language.
    """
    if symbol.strip().upper() in _SILENCES:
        return SILENCE
    if language != "en":
        return symbol
    bare = symbol.translate(_UNSPOKEN)
    return bare.upper() if bare.upper() in ENGLISH.column and bare not in _IPA else _IPA.get(bare, symbol)


def phones_of(symbols: Iterable[str], language: str) -> PhoneSet:
    """The set of a language of which nothing is known but the symbols that occur; English has its own."""
    if language == "en":
        return ENGLISH
    return PhoneSet((SILENCE, *sorted({plain_symbol(symbol, language) for symbol in symbols} - {SILENCE})))


RATE = 50  # rows per second
WINDOW_ROWS = 25  # of the window around a frame
_LOST_SECONDS = 0.02
_OUTSIDE = -1


class Span(NamedTuple):
    """When one phone sounds: its symbol, start and end in seconds from the start of the recording."""

    symbol: str
    start: float
    end: float


def row_count(seconds: float) -> int:
    """Rows of the table of a recording, at least one."""
    return max(1, round((seconds - _LOST_SECONDS) * RATE))


def window_rows(times: npt.ArrayLike, num_rows: int | Int64Array) -> Int64Array:
    """The rows of the windows around frames, half a window before row floor(t n / (n / 50 + 0.02)) and onwards.

    Args:
        times: of the frames, `[...]`, seconds from the start of the recording.
        num_rows: rows of the recording's table; one number, or one for each time, `[...]`.

    Returns:
        `[..., WINDOW_ROWS]`; -1 stands for silence outside the recording.
    """
    sizes = np.asarray(num_rows, np.int64)
    centres = np.floor(np.asarray(times, float) * (sizes / (sizes / RATE + _LOST_SECONDS))).astype(np.int64)
    rows: Int64Array = centres[..., None] + np.arange(WINDOW_ROWS) - WINDOW_ROWS // 2
    return np.where((rows >= 0) & (rows < sizes[..., None]), rows, _OUTSIDE)


def spans_to_rows(spans: Sequence[Span], seconds: float, phones: PhoneSet) -> Float32Array:
    """The table of a recording whose phones have known times: in each row, 1 for the phone at its middle.

    Args:
        spans: the phones that sound, each one of `phones`; where none does, there is silence.
        seconds: length of the recording.
        phones: the columns.

    Returns:
        `[row_count(seconds), phones]`.

    Raises:
        KeyError: a span's symbol is not in `phones`.
    """
    ordered = sorted(spans, key=lambda span: span.start)
    count = row_count(seconds)
    middles = (np.arange(count) + 0.5) * (count / RATE + _LOST_SECONDS) / count
    columns = np.full(count, phones.silence)
    if ordered:
        latest = np.searchsorted([span.start for span in ordered], middles, side="right") - 1
        sounding = (latest >= 0) & (middles < np.array([span.end for span in ordered])[latest])
        known = np.array([phones.column[span.symbol] for span in ordered])
        columns = np.where(sounding, known[latest], columns)
    table = np.zeros((count, len(phones)), np.float32)
    table[np.arange(count), columns] = 1
    return table


def resample_rows(table: Float32Array, rate: int) -> Float32Array:
    """Brings a table of `rate` rows per second, a multiple of `RATE`, to `RATE` by leaving rows out."""
    factor, rest = divmod(rate, RATE)
    if rest or not factor:
        raise ValueError(f"{rate} rows per second are no multiple of {RATE}")
    return np.ascontiguousarray(table[::factor])


SAMPLE_RATE = 16_000  # Hz; every detector listens at this rate


class Detector(Protocol):
    """Finds phones.

    Attributes:
        phones: the columns of its tables.
        identity: all that its tables depend on beside the recording; one that differs in it is another detector.
    """

    phones: PhoneSet
    identity: str

    def detect(self, samples: Float32Array, text: str | None) -> Float32Array:
        """How likely each phone sounds over time.

        Args:
            samples: float32 `[samples]` at `SAMPLE_RATE`.
            text: what is said, where that is known.

        Returns:
            Float32 `[rows, phones]`, see `rows`; every row adds up to 1.
        """
