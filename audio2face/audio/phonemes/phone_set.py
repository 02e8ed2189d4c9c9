"""The phones of a language, as columns of a table, and the spellings in which they come.

English has one set, whoever finds the phones: the 39 phones of the CMU dictionary, and silence. The set of another
language is that of whoever finds its phones.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from functools import cached_property

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
