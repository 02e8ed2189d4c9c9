"""Defines the error type for user errors (a wrong file, parameter or argument), and which names are allowed.

Any other exception that reaches the top is a bug and shows its traceback. Names of configurations, actors, shots and
runs become names of files and parts of commands: they are ASCII identifiers. Emotions and blend shapes are labels that
people read; an emotion is also part of the names of files.

"""

from __future__ import annotations

import re
import unicodedata
from pathlib import Path
from typing import Any

from audio2face.placeholders import find_placeholder

_LONGEST_MESSAGE = 8_000  # characters of each part of a message: text from a file may have any length


def printable(text: str, limit: int | None = None) -> str:
    """Escapes what a terminal would interpret: names and messages may come from untrusted files.

    Args:
        text: any text.
        limit: maximum number of characters; of a longer text the start and the end are kept.

    Returns:
        The text with control characters, invisible marks and lone surrogates as escapes; line feeds stay.
    """
    if limit is not None and len(text) > limit:
        half = limit // 2
        text = f"{text[:half]} ... ({len(text) - 2 * half:,} characters omitted) ... {text[-half:]}"
    if text.isprintable():
        return text
    return "".join(char if char.isprintable() or char == "\n" else ascii(char)[1:-1] for char in text)


class UserError(Exception):
    """A user error: the message states what is wrong, where, and how to fix it.

    Problem and hint have bounded length and are escaped by `printable`.

    Args:
        problem: what is wrong, with the values found and expected.
        path: the file or folder concerned.
        hint: how to fix it.
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
    """Creates the error for a missing file; its hint explains a placeholder beside it (iCloud, DVC, git-annex)."""
    found = find_placeholder(path)
    return UserError(found.problem, path=path, hint=found.hint) if found else UserError(problem, path=path, hint=hint)


def reason_of(error: Exception) -> str:
    """Returns a library's message about an unreadable file on one line, without its advice to load Python objects."""
    message = str(error).strip() or type(error).__name__
    if "pickle" in message.lower() or "weights_only" in message:
        return "it holds Python objects, which are never loaded"
    return message.splitlines()[0]


class FileFormatError(UserError):
    """A file does not match its format.

    Where the file is a placeholder (for instance a pointer of Git LFS), problem and hint explain that instead.

    Args:
        problem: what is wrong.
        path: the file.
        offset: position in bytes at which reading failed, if known.
        hint: how to fix it.
    """

    def __init__(self, problem: str, *, path: Path | str, offset: int | None = None, hint: str | None = None) -> None:
        self.offset = offset
        at = f" (at byte {offset})" if offset is not None else ""
        found = find_placeholder(Path(path))
        if found is not None:
            problem, hint, at = found.problem, found.hint, ""
        super().__init__(f"{problem}{at}", path=path, hint=hint)


MAX_LENGTH = 100
LABEL_WORDS = f"a name of 1 to {MAX_LENGTH} printable characters, without '/', '\\\\', '..' and spaces at its ends"
FILE_LABEL_WORDS = f"{LABEL_WORDS}, that every system allows in the name of a file"
_IDENTIFIER = re.compile(r"[A-Za-z0-9_](?:[A-Za-z0-9_.-]*[A-Za-z0-9_])?")
_SEPARATORS = "/\\"
_NOT_IN_FILES = '<>:"|?*'  # Windows refuses them
_DEVICES = re.compile(r"(?:con|prn|aux|nul|com[0-9]|lpt[0-9])(?:\..*)?", re.IGNORECASE | re.DOTALL)  # of Windows
_INVISIBLE = ("Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp")  # Unicode's categories of invisible characters
_LONGEST_STEM = 200  # bytes; file systems allow 255, the rest is for file endings


def is_identifier(value: object) -> bool:
    """Returns whether `value` is a safe name: ASCII letters, digits, `_`, and inside also `.` and `-`, but never `..`.

    Names that Windows reserves for devices, such as `con` and `aux.1`, are refused.
    """
    return (
        isinstance(value, str)
        and len(value) <= MAX_LENGTH
        and ".." not in value
        and _IDENTIFIER.fullmatch(value) is not None
        and _DEVICES.fullmatch(value) is None
    )


def is_label(value: object) -> bool:
    """Returns whether `value` is a printable name without path separators, as described by `LABEL_WORDS`."""
    return (
        isinstance(value, str)
        and 0 < len(value) <= MAX_LENGTH
        and value == value.strip()
        and ".." not in value
        and not _has_any(value, _SEPARATORS)
        and not has_invisible(value)
    )


def is_file_label(value: object) -> bool:
    """Returns whether `value` is a label that is allowed in file names on every system (`FILE_LABEL_WORDS`)."""
    return (
        isinstance(value, str)
        and is_label(value)
        and len(value.encode()) <= MAX_LENGTH
        and not _has_any(value, _NOT_IN_FILES)
        and not value.startswith(".")
        and not value.endswith(".")
        and _DEVICES.fullmatch(value) is None
    )


def has_invisible(text: str) -> bool:
    """Whether a text holds control characters (line feeds, NUL), marks that reorder text, or lone surrogates."""
    return not text.isprintable() and any(unicodedata.category(char) in _INVISIBLE for char in text)


def _has_any(text: str, chars: str) -> bool:
    return any(char in text for char in chars)


def check_identifier(value: object, what: str) -> str:
    """Checks that `value` is a safe name and returns it.

    Args:
        value: the name.
        what: kind of name for the message, such as "actor name".

    Raises:
        UserError: the name is not allowed.
    """
    if is_identifier(value):
        assert isinstance(value, str)
        return value
    shown = ascii(value)
    raise UserError(
        f"{what} {shown if len(shown) <= 60 else shown[:57] + '...'} is not allowed",
        hint=f"Use 1 to {MAX_LENGTH} letters, digits, '_', '-' or '.', beginning and ending with a letter, "
        "digit or '_', without '..', and no name of a Windows device such as 'con'.",
    )


def check_file_stem(stem: str, what: str) -> str:
    """Checks that the names of output files may start with `stem` in every format and file system, and returns it.

    Args:
        stem: the name without its ending.
        what: parts of the name for the message, such as "recording, actor and emotion".

    Raises:
        UserError: it is too long, or holds a separator, a control character or a byte that is no UTF-8.
    """
    problem = None
    if has_invisible(stem) or _has_any(stem, _SEPARATORS):
        problem = "holds a backslash, a control character or a byte that is no UTF-8"
    elif len(stem.encode()) > _LONGEST_STEM:
        problem = f"takes {len(stem.encode())} bytes, at most {_LONGEST_STEM} fit into the names of files"
    if problem is None:
        return stem
    shown = ascii(stem)
    shown = shown if len(shown) <= 100 else shown[:97] + "..."
    raise UserError(f"{shown}, made of {what}, {problem}", hint="Give the recording a shorter or plainer name.")
