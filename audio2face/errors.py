"""The one error type for what a user can mend: a wrong file, parameter or argument.

Anything else that escapes is a defect of ours and shows its traceback.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from audio2face.placeholders import find_placeholder

_LONGEST_MESSAGE = 8_000  # characters of each part of a message: what a file says in it may be of any length


def printable(text: str, limit: int | None = None) -> str:
    """A text that a terminal shows and nothing else: names and messages may come from files of anybody.

    Args:
        text: any text.
        limit: the most characters; of a longer text the beginning and the end are kept.

    Returns:
        The text with control characters, invisible marks and lone surrogates as escapes; line feeds stay.
    """
    if limit is not None and len(text) > limit:
        half = limit // 2
        text = f"{text[:half]} ... ({len(text) - 2 * half:,} characters left out) ... {text[-half:]}"
    if text.isprintable():
        return text
    return "".join(char if char.isprintable() or char == "\n" else ascii(char)[1:-1] for char in text)


class UserError(Exception):
    """Something the user gave is wrong; the message says what, where and what to do.

    Problem and hint are kept as a terminal may show them, see `printable`, and of bounded length.

    Args:
        problem: what is wrong, with the values found and expected.
        path: the file or folder it is about.
        hint: what to do about it.
    """

    def __init__(self, problem: str, *, path: Path | str | None = None, hint: str | None = None) -> None:
        self.problem = printable(problem, _LONGEST_MESSAGE)
        self.path = Path(path) if path is not None else None
        self.hint = None if hint is None else printable(hint, _LONGEST_MESSAGE)
        where = f"{printable(str(self.path), _LONGEST_MESSAGE)}: " if self.path is not None else ""
        then = f"\n  {self.hint}" if self.hint else ""
        super().__init__(f"{where}{self.problem}{then}")

    def __reduce__(self) -> tuple[Any, ...]:
        """Pickles the finished error, so that one raised in a worker process arrives as it is."""
        return _restored, (type(self), str(self), self.__dict__)


def _restored(kind: type[UserError], message: str, state: dict[str, Any]) -> UserError:
    error = kind.__new__(kind, message)
    error.__dict__.update(state)
    return error


def missing_file(problem: str, path: Path, hint: str) -> UserError:
    """The error for a file that is not there; it says where the file is instead, where something tells."""
    found = find_placeholder(path)
    return UserError(found.problem, path=path, hint=found.hint) if found else UserError(problem, path=path, hint=hint)


def reason_of(error: Exception) -> str:
    """What a library said of a file that it could not read, on one line and without advice to load Python objects."""
    said = str(error).strip() or type(error).__name__
    if "pickle" in said.lower() or "weights_only" in said:
        return "it holds Python objects, which are never loaded"
    return said.splitlines()[0]


class FileFormatError(UserError):
    """A file does not hold what its format promises.

    Where the file turns out to be a placeholder (a pointer of Git LFS, say), problem and hint tell of that instead.

    Args:
        problem: what is wrong.
        path: the file.
        offset: position in bytes at which reading failed, where that is known.
        hint: what to do about it.
    """

    def __init__(self, problem: str, *, path: Path | str, offset: int | None = None, hint: str | None = None) -> None:
        self.offset = offset
        at = f" (at byte {offset})" if offset is not None else ""
        found = find_placeholder(Path(path))
        if found is not None:
            problem, hint, at = found.problem, found.hint, ""
        super().__init__(f"{problem}{at}", path=path, hint=hint)
