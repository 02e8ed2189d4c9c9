"""Phoneme times of a shot: the framework's own table, Praat TextGrid and NIST CTM.

Each file becomes the same sequence of `PhonemeTime`; `READERS` lists the suffixes.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType

from audio2face.errors import FileFormatError, UserError, missing_file

SILENCE = "SIL"
_LONGEST_QUOTE = 60  # characters of a line in a message


@dataclass(frozen=True)
class PhonemeTime:
    """Time of one phone.

    Attributes:
        symbol: the phone as it is written, or "SIL" for silence.
        start: seconds from the start of the recording.
        end: seconds from the start of the recording.
    """

    symbol: str
    start: float
    end: float


def find_phoneme_times(root: Path, shot: str) -> Path | None:
    """Finds the phoneme times of a shot; None if there are none.

    Raises:
        UserError: there are several files.
    """
    found = [path for path in (root / f"{shot}{suffix}" for suffix in READERS) if path.is_file()]
    if not found:
        # Some aligners write the suffix of a TextGrid in small letters.
        small = root / f"{shot}{TEXTGRID_SUFFIX.lower()}"
        return small if small.is_file() else None
    if len(found) > 1:
        raise UserError(
            f"shot {shot!r} has {len(found)} files of phoneme times: {', '.join(path.name for path in found)}",
            path=root,
            hint="Keep the one to train with, and move the others, such as transcripts, to another folder.",
        )
    return found[0]


def read_phoneme_times(path: Path) -> tuple[PhonemeTime, ...]:
    """Reads the phones of a shot, in the order of the file.

    The suffix tells the format; a file of any other suffix is read as the framework's own table.

    Raises:
        UserError: the file is missing, or (FileFormatError) does not hold phoneme times; the message names the line.
    """
    if not path.is_file():
        raise missing_file("there are no such phoneme times", path, "Check PHONEME_TIMES_ROOT.")
    reader = {suffix.lower(): reader for suffix, reader in READERS.items()}.get(path.suffix.lower(), _read_table)
    return reader(path, _read_text(path))


def _read_text(path: Path) -> str:
    """Reads UTF-8 text, or UTF-16 with a byte order mark, with line feeds between its lines."""
    try:
        data = path.read_bytes()
        encoding = "utf-16" if data.startswith((b"\xff\xfe", b"\xfe\xff")) else "utf-8-sig"
        return data.decode(encoding).replace("\r\n", "\n").replace("\r", "\n")
    except (OSError, UnicodeDecodeError) as error:
        raise FileFormatError(
            f"cannot be read as UTF-8 text: {error}", path=path, hint="Save the file as UTF-8 text."
        ) from error


def _checked(path: Path, line: int, symbol: str, start: float, end: float) -> PhonemeTime:
    if not (math.isfinite(start) and 0 <= start <= end < math.inf):
        problem = f"line {line} ends at {end:g} s, after a start at {start:g} s"
        raise FileFormatError(
            problem, path=path, hint="Correct the times of that line: seconds, the end after the start."
        )
    return PhonemeTime(symbol, start, end)


# --- the framework's own table ----------------------------------------------------------------------------------------

_COLUMNS = ["start", "end", "phone"]
_TABLE_HINT = "Write UTF-8 text, one line per phone: start and end in seconds and the phone, separated by tabs."


def _read_table(path: Path, text: str) -> tuple[PhonemeTime, ...]:
    lines = text.splitlines()
    if not lines or lines[0].split("\t") != _COLUMNS:
        raise FileFormatError(
            "does not start with the columns start, end, phone, separated by tabs", path=path, hint=_TABLE_HINT
        )
    return tuple(_table_row(path, number, line) for number, line in enumerate(lines[1:], 2) if line.strip())


def _table_row(path: Path, number: int, line: str) -> PhonemeTime:
    try:
        start, end, symbol = line.split("\t")
        times = float(start), float(end)
    except ValueError as error:
        problem = f"line {number} is not start, end and phone: {line[:_LONGEST_QUOTE]!a}"
        raise FileFormatError(problem, path=path, hint=_TABLE_HINT) from error
    return _checked(path, number, symbol, *times)


# --- NIST CTM ---------------------------------------------------------------------------------------------------------

_CTM_HINT = "A line of CTM holds recording, channel, start, duration and phone, separated by spaces."
_COMMENT = ";;"
_WORD_POSITION = re.compile(r"_[BIES]$")  # Kaldi marks where in a word a phone stands: AH0_B


def _read_ctm(path: Path, text: str) -> tuple[PhonemeTime, ...]:
    """Reads `<recording> <channel> <start> <duration> <phone> [<confidence>]`; of several recordings the file's own."""
    tracks: dict[str, dict[str, list[PhonemeTime]]] = {}
    for number, line in enumerate(text.splitlines(), 1):
        if line.strip() and not line.lstrip().startswith(_COMMENT):
            recording, channel, phone = _ctm_row(path, number, line)
            tracks.setdefault(recording, {}).setdefault(channel, []).append(phone)
    if not tracks:
        raise FileFormatError("holds no phone", path=path, hint=_CTM_HINT)
    if len(tracks) > 1 and path.stem not in tracks:
        raise FileFormatError(
            f"holds {len(tracks)} recordings, and none of them is {path.stem!r}: {_listed(list(tracks))}",
            path=path,
            hint="Keep the lines of one recording, or name the file after it.",
        )
    channels = tracks.get(path.stem) or next(iter(tracks.values()))
    if len(channels) > 1:
        raise FileFormatError(
            f"holds the channels {_listed(list(channels))}", path=path, hint="Keep the lines of the speaker's channel."
        )
    (phones,) = channels.values()
    return tuple(phones)


def _ctm_row(path: Path, number: int, line: str) -> tuple[str, str, PhonemeTime]:
    try:
        recording, channel, start, duration, symbol, *_ = line.split()
        times = float(start), float(start) + float(duration)
    except ValueError as error:
        problem = f"line {number} is not a line of CTM: {line[:_LONGEST_QUOTE]!a}"
        raise FileFormatError(problem, path=path, hint=_CTM_HINT) from error
    return recording, channel, _checked(path, number, _WORD_POSITION.sub("", symbol), *times)


# --- Praat TextGrid ---------------------------------------------------------------------------------------------------

_PHONE_TIERS = ("phones", "phone", "phonemes", "phoneme", "segments", "mau")
_INTERVALS, _POINTS = "IntervalTier", "TextTier"
_TEXTGRID_HINT = "In Praat: select the TextGrid, then Save, Save as text file."
# Praat reads the numbers, the quoted texts and the <flags> that stand alone, and takes everything else for explanation:
# so the long form and the short form are the same sequence.
_TOKEN = re.compile(r'(?P<text>"(?:[^"]|"")*")|(?P<comment>!.*)|(?P<word>\S+)')
_NUMBER = re.compile(r"[-+]?[0-9]+(?:\.[0-9]*)?(?:[eE][-+]?[0-9]+)?")


@dataclass(frozen=True)
class _Tier:
    name: str
    phones: tuple[PhonemeTime, ...]


class _Tokens:
    """The values of a Praat text file, one after the other.

    Args:
        path: the file, for messages.
        text: its content.
    """

    def __init__(self, path: Path, text: str) -> None:
        self._path = path
        self._values = self._split(text)
        self.line = 1

    def _split(self, text: str) -> Iterator[tuple[int, str]]:
        line, before = 1, 0
        for match in _TOKEN.finditer(text):
            line, before = line + text.count("\n", before, match.start()), match.start()
            value = match.group()
            if match.lastgroup == "word" and value.startswith('"'):
                raise self._fault(line, "a text without its closing quotation mark")
            if match.lastgroup == "text" or value.startswith("<") or _NUMBER.fullmatch(value):
                yield line, value

    def _next(self, expected: str) -> str:
        try:
            self.line, value = next(self._values)
        except StopIteration:
            raise FileFormatError(f"ends before {expected}", path=self._path, hint=_TEXTGRID_HINT) from None
        return value

    def _fault(self, line: int, problem: str) -> FileFormatError:
        return FileFormatError(f"line {line} holds {problem}", path=self._path, hint=_TEXTGRID_HINT)

    def text(self, expected: str) -> str:
        """The next value, which is a quoted text."""
        value = self._next(expected)
        if not value.startswith('"'):
            raise self._fault(self.line, f"{value[:_LONGEST_QUOTE]!a} in place of {expected}")
        return value[1:-1].replace('""', '"')

    def number(self, expected: str) -> float:
        """The next value, which is a number."""
        value = self._next(expected)
        if not _NUMBER.fullmatch(value):
            raise self._fault(self.line, f"{value[:_LONGEST_QUOTE]!a} in place of {expected}")
        return float(value)

    def count(self, expected: str) -> int:
        """The next value, which is a whole number of 0 or above."""
        value = self.number(expected)
        if not (value.is_integer() and value >= 0):
            raise self._fault(self.line, f"{value:g} in place of {expected}")
        return int(value)

    def flag(self, expected: str) -> str:
        """The next value, such as `<exists>`."""
        value = self._next(expected)
        if not value.startswith("<"):
            raise self._fault(self.line, f"{value[:_LONGEST_QUOTE]!a} in place of {expected}")
        return value


def _read_textgrid(path: Path, text: str) -> tuple[PhonemeTime, ...]:
    """Reads the interval tier of the phones; an interval without text is silence."""
    tokens = _Tokens(path, text)
    kinds = (tokens.text('the file type "ooTextFile"'), tokens.text('the class "TextGrid"'))
    if kinds != ("ooTextFile", "TextGrid"):
        raise FileFormatError(
            f"is no TextGrid in Praat's text form: {' '.join(kinds)!a}", path=path, hint=_TEXTGRID_HINT
        )
    tokens.number("the start of the recording")
    tokens.number("the end of the recording")
    if tokens.flag("<exists>") != "<exists>":
        raise FileFormatError("holds no tier", path=path, hint=_TEXTGRID_HINT)
    tiers = [_read_tier(path, tokens) for _ in range(tokens.count("the number of tiers"))]
    return _phone_tier(path, [tier for tier in tiers if tier is not None]).phones


def _read_tier(path: Path, tokens: _Tokens) -> _Tier | None:
    """The next tier; None for a tier of points, which have no duration."""
    kind, name = tokens.text("the class of a tier"), tokens.text("the name of a tier")
    if kind not in (_INTERVALS, _POINTS):
        raise FileFormatError(
            f"line {tokens.line}: tier {name!a} has the class {kind!a}, expected {_INTERVALS} or {_POINTS}",
            path=path,
            hint=_TEXTGRID_HINT,
        )
    tokens.number("the start of a tier")
    tokens.number("the end of a tier")
    count = tokens.count("the number of intervals")
    if kind == _POINTS:
        for _ in range(count):
            tokens.number("the time of a point")
            tokens.text("the mark of a point")
        return None
    return _Tier(name, tuple(_read_interval(path, tokens) for _ in range(count)))


def _read_interval(path: Path, tokens: _Tokens) -> PhonemeTime:
    start, end = tokens.number("the start of an interval"), tokens.number("the end of an interval")
    line = tokens.line
    return _checked(path, line, tokens.text("the phone of an interval").strip() or SILENCE, start, end)


def _phone_tier(path: Path, tiers: Sequence[_Tier]) -> _Tier:
    """The tier named after phones, also with a speaker before it (`mary - phones`); else the only tier of intervals."""
    named = [tier for tier in tiers if tier.name.lower().rpartition(" - ")[2].strip() in _PHONE_TIERS]
    chosen = named or tiers
    if len(chosen) != 1:
        raise FileFormatError(
            f"holds {len(chosen)} tiers that could be the phones: {_listed([tier.name for tier in chosen])}"
            if chosen
            else "holds no tier of intervals",
            path=path,
            hint="Name the tier of the phones 'phones', and keep one speaker in a file.",
        )
    return chosen[0]


def _listed(names: Sequence[str], limit: int = 5) -> str:
    return ", ".join(ascii(name) for name in names[:limit]) + (", ..." if len(names) > limit else "")


TABLE_SUFFIX, TEXTGRID_SUFFIX, CTM_SUFFIX = ".txt", ".TextGrid", ".ctm"
READERS: Mapping[str, Callable[[Path, str], tuple[PhonemeTime, ...]]] = MappingProxyType(
    {TABLE_SUFFIX: _read_table, TEXTGRID_SUFFIX: _read_textgrid, CTM_SUFFIX: _read_ctm}
)
SUFFIXES = ", ".join(READERS)
