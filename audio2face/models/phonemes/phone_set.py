"""Phone sets, their spellings, tables of phone probabilities over time, and the protocol of a recogniser.

English has one set for all recognisers: the 39 phones of the CMU dictionary, and silence. In other languages each
recogniser has its own set.

A table has 50 rows per second, less one: a time is mapped to a row by stretching the table, plus 0.02 s, over the
recording. The reference does so with the table of its recogniser, whose convolutions lose that much at the ends; all
tables here follow this rule.
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
# Phones of English in the International Phonetic Alphabet, in its common transcriptions.
_IPA = {
    **{"ɑ": "AA", "ɒ": "AA", "æ": "AE", "a": "AE", "ə": "AH", "ɐ": "AH", "ʌ": "AH", "ɔ": "AO", "aʊ": "AW", "aɪ": "AY"},
    **{"b": "B", "ʧ": "CH", "tʃ": "CH", "d": "D", "ð": "DH", "ɛ": "EH", "e": "EH", "ɜ": "ER", "ɝ": "ER", "ɚ": "ER"},
    **{"eɪ": "EY", "f": "F", "ɡ": "G", "g": "G", "h": "HH", "ɪ": "IH", "ᵻ": "IH", "i": "IY", "ʤ": "JH", "dʒ": "JH"},
    **{"k": "K", "l": "L", "ɫ": "L", "m": "M", "n": "N", "ŋ": "NG", "oʊ": "OW", "əʊ": "OW", "o": "OW", "ɔɪ": "OY"},
    **{"p": "P", "ɹ": "R", "r": "R", "s": "S", "ʃ": "SH", "t": "T", "ɾ": "T", "ʔ": "T", "θ": "TH", "ʊ": "UH"},
    **{"u": "UW", "ʉ": "UW", "v": "V", "w": "W", "ʍ": "W", "j": "Y", "z": "Z", "ʒ": "ZH"},
}
_DIACRITICS = str.maketrans("", "", "ˈˌːˑ͡‿0123456789")  # stress, length, ties


@dataclass(frozen=True)
class PhoneSet:
    """The phones of a language, one per column of a table.

    Attributes:
        symbols: the phones, `SILENCE` included.
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
        """Number of phones, silence included."""
        return len(self.symbols)


ENGLISH = PhoneSet((SILENCE, *_ARPABET.split()))


def plain_symbol(symbol: str, language: str) -> str:
    """Converts a phone to the spelling of its `PhoneSet`.

    Silence may be written SIL, sp, spn, pau or as an empty string. English may be in ARPABET, with or without stress,
    or in IPA. Other symbols, and symbols of other languages, are returned unchanged.
    """
    if symbol.strip().upper() in _SILENCES:
        return SILENCE
    if language != "en":
        return symbol
    bare = symbol.translate(_DIACRITICS)
    return bare.upper() if bare.upper() in ENGLISH.column and bare not in _IPA else _IPA.get(bare, symbol)


def phones_of(symbols: Iterable[str], language: str) -> PhoneSet:
    """Makes the phone set of a language from the symbols that occur; English always has its fixed set."""
    if language == "en":
        return ENGLISH
    return PhoneSet((SILENCE, *sorted({plain_symbol(symbol, language) for symbol in symbols} - {SILENCE})))


RATE = 50  # rows per second
WINDOW_ROWS = 25  # rows of the window around a frame
_LOST_SECONDS = 0.02
_OUTSIDE = -1


class Span(NamedTuple):
    """One phone: its symbol, start and end in seconds from the start of the recording."""

    symbol: str
    start: float
    end: float


def row_count(seconds: float) -> int:
    """Counts the rows of a recording's table, at least one."""
    return max(1, round((seconds - _LOST_SECONDS) * RATE))


def window_rows(times: npt.ArrayLike, num_rows: int | Int64Array) -> Int64Array:
    """Computes the rows of windows around frames, centred on row floor(t n / (n / 50 + 0.02)).

    Args:
        times: of the frames, `[...]`, seconds from the start of the recording.
        num_rows: rows of the recording's table; one number, or one for each time, `[...]`.

    Returns:
        `[..., WINDOW_ROWS]`; -1 marks silence outside the recording.
    """
    sizes = np.asarray(num_rows, np.int64)
    centres = np.floor(np.asarray(times, float) * (sizes / (sizes / RATE + _LOST_SECONDS))).astype(np.int64)
    rows: Int64Array = centres[..., None] + np.arange(WINDOW_ROWS) - WINDOW_ROWS // 2
    return np.where((rows >= 0) & (rows < sizes[..., None]), rows, _OUTSIDE)


def spans_to_rows(spans: Sequence[Span], seconds: float, phones: PhoneSet) -> Float32Array:
    """Converts timed phones to a one-hot table: each row has 1 for the phone at its middle.

    Args:
        spans: timed phones, each one of `phones`; gaps are silence.
        seconds: length of the recording.
        phones: the columns.

    Returns:
        `[row_count(seconds), phones]`.

    Raises:
        KeyError: a span's symbol is missing in `phones`.
    """
    ordered = sorted(spans, key=lambda span: span.start)
    count = row_count(seconds)
    middles = (np.arange(count) + 0.5) * (count / RATE + _LOST_SECONDS) / count
    columns = np.full(count, phones.silence)
    if ordered:
        latest = np.searchsorted([span.start for span in ordered], middles, side="right") - 1
        sounding = (latest >= 0) & (middles < np.array([span.end for span in ordered])[latest])
        span_columns = np.array([phones.column[span.symbol] for span in ordered])
        columns = np.where(sounding, span_columns[latest], columns)
    table = np.zeros((count, len(phones)), np.float32)
    table[np.arange(count), columns] = 1
    return table


def resample_rows(table: Float32Array, rate: int) -> Float32Array:
    """Decimates a table of `rate` rows per second, a multiple of `RATE`, to `RATE`."""
    factor, rest = divmod(rate, RATE)
    if rest or not factor:
        raise ValueError(f"{rate} rows per second: expected a multiple of {RATE}")
    return np.ascontiguousarray(table[::factor])


SAMPLE_RATE = 16_000  # Hz, of the recordings that every detector takes


class Detector(Protocol):
    """A phoneme recogniser.

    Attributes:
        phones: the columns of its tables.
        identity: everything that determines its tables besides the recording; part of cache keys.
    """

    phones: PhoneSet
    identity: str

    def detect(self, samples: Float32Array, text: str | None) -> Float32Array:
        """Computes the probability of each phone over time.

        Args:
            samples: float32 `[samples]` at `SAMPLE_RATE`.
            text: transcript of the recording; None: unknown.

        Returns:
            Float32 `[row_count(seconds), phones]`; every row adds up to 1.
        """
