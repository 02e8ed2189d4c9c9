"""Which names of configurations, actors, shots and runs are allowed: they become names of files and folders."""

from __future__ import annotations

import re

from audio2face.errors import UserError

MAX_LENGTH = 100
_IDENTIFIER = re.compile(r"[A-Za-z0-9_](?:[A-Za-z0-9_.-]*[A-Za-z0-9_])?")


def is_identifier(value: object) -> bool:
    """Whether `value` is a safe name: ASCII letters, digits, `_`, and inside also `.` and `-`, but never `..`."""
    return (
        isinstance(value, str)
        and len(value) <= MAX_LENGTH
        and ".." not in value
        and _IDENTIFIER.fullmatch(value) is not None
    )


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
        "digit or '_', without '..'.",
    )
