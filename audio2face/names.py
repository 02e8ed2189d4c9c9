"""Which names are allowed: of configurations, actors, shots and runs, which become names of files and folders; of
emotions, which become parts of them; and of poses and parts, which people read.
"""

from __future__ import annotations

import re
import unicodedata

from audio2face.errors import UserError

MAX_LENGTH = 100
LABEL_WORDS = f"a name of 1 to {MAX_LENGTH} printable characters, without '/', '\\\\', '..' and spaces at its ends"
FILE_LABEL_WORDS = f"{LABEL_WORDS}, that every system allows in the name of a file"
_IDENTIFIER = re.compile(r"[A-Za-z0-9_](?:[A-Za-z0-9_.-]*[A-Za-z0-9_])?")
_SEPARATORS = "/\\"
_NOT_IN_FILES = '<>:"|?*'  # Windows refuses them
_DEVICES = re.compile(r"(?:con|prn|aux|nul|com[0-9]|lpt[0-9])(?:\..*)?", re.IGNORECASE | re.DOTALL)  # of Windows
_INVISIBLE = ("Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp")  # Unicode's categories of what nobody sees
_LONGEST_STEM = 200  # bytes; file systems take 255, endings of files and of temporary ones take the rest


def is_identifier(value: object) -> bool:
    """Whether `value` is a safe name: ASCII letters, digits, `_`, and inside also `.` and `-`, but never `..`.

    Names that Windows keeps for devices, such as `con` and `aux.1`, are none.
    """
    return (
        isinstance(value, str)
        and len(value) <= MAX_LENGTH
        and ".." not in value
        and _IDENTIFIER.fullmatch(value) is not None
        and _DEVICES.fullmatch(value) is None
    )


def is_label(value: object) -> bool:
    """Whether `value` is a name that people can read and that leads nowhere as a part of a path; see `LABEL_WORDS`."""
    return (
        isinstance(value, str)
        and 0 < len(value) <= MAX_LENGTH
        and value == value.strip()
        and ".." not in value
        and not _has_any(value, _SEPARATORS)
        and not has_invisible(value)
    )


def is_file_label(value: object) -> bool:
    """Whether `value` is a label that may be a part of the name of a file on every system; see `FILE_LABEL_WORDS`."""
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
    """Returns `value` when it is a safe name.

    Args:
        value: the name.
        what: what it names, for the message, such as "actor name".

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
    """Returns what the names of output files begin with, when every format and file system takes it.

    Args:
        stem: the name without its ending.
        what: what it is made of, for the message, such as "recording, actor and emotion".

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
