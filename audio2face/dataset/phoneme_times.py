"""Phoneme times of a shot, as PHONEME_TIMES_ROOT holds them: a table with the columns start, end, phone."""

from __future__ import annotations

import math
from dataclasses import dataclass
from pathlib import Path

from audio2face.errors import FileFormatError, missing_file

TRANSCRIPT_SUFFIX = ".txt"  # beside a recording
_COLUMNS = ["start", "end", "phone"]
_HINT = "Write UTF-8 text, a line for each phone: start and end in seconds and the phone, with tabs between them."


@dataclass(frozen=True)
class PhonemeTime:
    """When one phone sounds.

    Attributes:
        symbol: the phone in IPA, or "SIL" for silence.
        start: seconds from the start of the recording.
        end: likewise.
    """

    symbol: str
    start: float
    end: float


def read_phoneme_times(path: Path) -> tuple[PhonemeTime, ...]:
    """Reads the phones of a shot, in the order of the file.

    Raises:
        UserError: the file is missing, or (FileFormatError) is no such table.
    """
    if not path.is_file():
        raise missing_file("there are no such phoneme times", path, "Check PHONEME_TIMES_ROOT.")
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise FileFormatError(f"cannot be read as UTF-8 text: {error}", path=path, hint=_HINT) from error
    if not lines or lines[0].split("\t") != _COLUMNS:
        raise FileFormatError(
            "does not begin with the columns start, end, phone, separated by tabs", path=path, hint=_HINT
        )
    return tuple(_phone(path, number, line) for number, line in enumerate(lines[1:], 2) if line.strip())


def read_transcript(path: Path) -> str | None:
    """What is said in a recording, of the text file beside it; None where it is not known.

    Raises:
        FileFormatError: the file is no UTF-8 text.
    """
    try:
        return path.read_text(encoding="utf-8").strip() or None if path.is_file() else None
    except (OSError, UnicodeDecodeError) as error:
        raise FileFormatError(
            f"cannot be read as UTF-8 text: {error}", path=path, hint="It should hold what is said in the recording."
        ) from error


def _phone(path: Path, number: int, line: str) -> PhonemeTime:
    try:
        start, end, symbol = line.split("\t")
        phone = PhonemeTime(symbol, float(start), float(end))
    except ValueError as error:
        raise FileFormatError(
            f"line {number} is no start, end and phone: {line[:60]!a}", path=path, hint=_HINT
        ) from error
    if not (math.isfinite(phone.start) and 0 <= phone.start <= phone.end < math.inf):
        problem = f"line {number} ends at {phone.end} s, after a start at {phone.start} s"
        raise FileFormatError(
            problem, path=path, hint="Correct the times of that line: seconds, the end after the start."
        )
    return phone
