"""Names of takes and shots: safe in names of files, unique, and with the emotion that they tell."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

from audio2face.dataset.checks.emotions import EMOTION_WORDS
from audio2face.errors import is_identifier

_LONGEST = 60  # characters: numbers of shots and emotions follow
_WORD = re.compile(r"[a-z]+")
_NEUTRAL = "neutral"


def plain_name(text: str) -> str:
    """A text as a name that is safe in names of files."""
    name = re.sub(r"[^A-Za-z0-9_]+", "_", text).strip("_")[:_LONGEST].strip("_")
    return name if is_identifier(name) else f"take_{name}".rstrip("_")


def take_names(found: Sequence[tuple[str, Path]]) -> list[str]:
    """A unique name for each take.

    Args:
        found: the name of each take in its source, and its folder, which is part of the name where names repeat.
    """
    plain = [plain_name(stem) for stem, _ in found]
    counts = Counter(plain)
    longer = [
        plain_name(f"{folder.name}_{stem}") if counts[name] > 1 else name
        for name, (stem, folder) in zip(plain, found, strict=True)
    ]
    seen: Counter[str] = Counter()
    names = []
    for name in longer:
        seen[name] += 1
        names.append(name if seen[name] == 1 else f"{name}_{seen[name]}")
    return names


def emotion_in(name: str) -> str | None:
    """The word of a name that names an emotion; None where none or "neutral" does."""
    return next((word for word in _WORD.findall(name.lower()) if word in EMOTION_WORDS), None)


def shot_name(take: str, number: int, emotion: str | None) -> str:
    """The name of a shot: its take, its number, and its emotion where the take's name has another one or none.

    Args:
        take: name of the take.
        number: of the shot, from 1.
        emotion: of the take; None where nothing names one.
    """
    told = emotion_in(take)
    if emotion is None or emotion == told:
        return f"{take}_{number:03d}"
    plain = take if told is None else re.sub(told, "", take, flags=re.IGNORECASE).strip("_") or "take"
    return f"{plain}_{number:03d}_{emotion}"
