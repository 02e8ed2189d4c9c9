"""Diagnostics of a deployed folder, collected while it is read: file, problem, fix; and strict readers of JSON objects.

The reader stops at errors, the lint prints everything. Independent of the formats.
"""

from __future__ import annotations

import json
import math
import shlex
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath
from typing import Any, Literal, NoReturn

from audio2face.errors import LABEL_WORDS, FileFormatError, has_invisible, is_label, printable
from audio2face.placeholders import find_placeholder

Severity = Literal["error", "warning", "note"]
_LONGEST = 1_000  # characters of a finding: a hostile file may contain names of any length


@dataclass(frozen=True)
class Diagnostic:
    """One finding.

    Attributes:
        severity: "error": readers reject the file or misread it; "warning": valid but probably unintended; "note":
            information.
        file: the file, relative to the folder.
        problem: what was found and what was expected.
        hint: the fix.
    """

    severity: Severity
    file: str
    problem: str
    hint: str


@dataclass
class Diagnostics:
    """Collects findings.

    Attributes:
        found: all findings, in order.
    """

    found: list[Diagnostic] = field(default_factory=list)

    def for_file(self, file: str) -> FileDiagnostics:
        """The same collector, for one file."""
        return FileDiagnostics(file, self.found)

    @property
    def errors(self) -> list[Diagnostic]:
        """The errors alone."""
        return [fault for fault in self.found if fault.severity == "error"]

    def raise_first(self, folder: Path) -> None:
        """Raises the first error, if there is one, as FileFormatError."""
        if self.errors:
            first, more = self.errors[0], len(self.errors) - 1
            others = (
                f"\n  There are {more} more: python run_deploy.py --check {shlex.quote(str(folder))}" if more else ""
            )
            raise FileFormatError(first.problem, path=folder / first.file, hint=first.hint + others)


@dataclass(frozen=True)
class FileDiagnostics:
    """Collects findings about one file.

    Attributes:
        file: the file, relative to the folder.
        found: list that receives the findings.
    """

    file: str
    found: list[Diagnostic]

    @property
    def is_sound(self) -> bool:
        """Whether the file has no error."""
        return all(fault.file != self.file or fault.severity != "error" for fault in self.found)

    def error(self, problem: str, hint: str) -> None:
        """Adds an error: readers reject this, or misread it."""
        self._add("error", problem, hint)

    def missing(self, path: Path, hint: str) -> None:
        """Adds an error: the file is not at `path`."""
        self.unreadable(path, "is missing", hint)

    def unreadable(self, path: Path, problem: str, hint: str) -> None:
        """Adds an error: the file cannot be read; a placeholder at `path` is reported as such."""
        found = find_placeholder(path)
        self.error(found.problem if found else problem, found.hint if found else hint)

    def warning(self, problem: str, hint: str) -> None:
        """Adds a warning: valid, but probably unintended."""
        self._add("warning", problem, hint)

    def note(self, problem: str, hint: str) -> None:
        """Adds a note: information."""
        self._add("note", problem, hint)

    def _add(self, severity: Severity, problem: str, hint: str) -> None:
        self.found.append(Diagnostic(severity, self.file, printable(problem, _LONGEST), printable(hint, _LONGEST)))


_LARGEST = 2**31 - 1
_SHOWN = 60
_LONGEST_PART = 255  # bytes of one part of a path, on every file system
_LONGEST_PATH = 1024  # bytes

Accepts = Callable[[object], bool]


def read_object(path: Path, faults: FileDiagnostics) -> JsonObject:
    """Reads a file that holds one JSON object, as strictly as the SDK does: no NaN, no comments, no byte order mark."""
    values: object = None
    if not path.is_file():
        faults.missing(path, "Deploy the model again.")
        return JsonObject(None, faults)
    try:
        text = path.read_bytes().decode("utf-8")
        values = json.loads(text, parse_constant=_refuse)
    except OSError as error:
        faults.error(f"cannot be read: {error.strerror or error}", "Make it a readable file.")
    except (ValueError, RecursionError) as error:
        hint = "Write plain UTF-8 JSON, without NaN, Infinity and comments."
        faults.unreadable(path, f"is not strict JSON: {error}", hint)
    else:
        if not isinstance(values, dict):
            faults.error("contains no JSON object", "Write an object: {...}.")
    return JsonObject(values if isinstance(values, dict) else None, faults)


def _refuse(constant: str) -> NoReturn:
    raise ValueError(f"{constant} is not JSON")


class JsonObject:
    """One object of a JSON file.

    Args:
        values: its content; None if the object is missing, which is reported once.
        faults: collects problems.
        location: prefix of keys in messages, such as "params.".
    """

    def __init__(self, values: dict[str, Any] | None, faults: FileDiagnostics, location: str = "") -> None:
        self.values = values
        self.faults = faults
        self.location = location

    def has(self, key: str) -> bool:
        """Whether the value exists."""
        return self.values is not None and key in self.values

    def child(self, key: str) -> JsonObject:
        """An object inside this one."""
        value = self._get(key)
        if value is not None and not isinstance(value, dict):
            self.wrong(key, value, "an object")
            value = None
        return JsonObject(value, self.faults, f"{self.location}{key}.")

    def children(self, key: str) -> list[JsonObject]:
        """A list of objects."""
        values = self._list(key, "a list of objects", dict)
        return [JsonObject(value, self.faults, f"{self.location}{key}[{i}].") for i, value in enumerate(values)]

    def text(self, key: str, expected: str | None = None) -> str:
        """A text that is not empty; equal to `expected` if that is given."""
        value = self._get(key)
        if value is None:
            return ""
        if not isinstance(value, str) or not value or value != (expected or value):
            self.wrong(key, value, f'"{expected}"' if expected else "text")
            return ""
        return value

    def texts(self, key: str) -> tuple[str, ...]:
        """A list of texts that are not empty."""
        values = self._list(key, "a list of texts", str)
        if not all(values):
            self.wrong(key, values, "a list of texts that are not empty")
        return tuple(values)

    def name(self, key: str, accepts: Accepts = is_label, words: str = LABEL_WORDS) -> str:
        """A text that is a name by the rule `accepts` of `audio2face.errors`, which `words` describes."""
        value = self.text(key)
        if value and not accepts(value):
            self.wrong(key, value, words)
            return ""
        return value

    def names(self, key: str, accepts: Accepts = is_label, words: str = LABEL_WORDS) -> tuple[str, ...]:
        """A list of such names."""
        values = self.texts(key)
        for number, value in enumerate(values):
            if value and not accepts(value):
                self.wrong(f"{key}[{number}]", value, words)
        return values

    def path(self, key: str) -> str:
        """The path of a file below the folder, as text."""
        value = self.text(key)
        return value if self._leads_inside(key, value) else ""

    def paths(self, key: str) -> tuple[str, ...]:
        """A list of such paths."""
        values = self.texts(key)
        fine = [self._leads_inside(f"{key}[{number}]", value) for number, value in enumerate(values)]
        return values if all(fine) else ()

    def _leads_inside(self, key: str, value: str) -> bool:
        if not value or is_inner_path(value):
            return True
        self.wrong(key, value, "the path of a file inside the folder, parts separated by '/'")
        return False

    def count(self, key: str, least: int = 0, most: int = _LARGEST) -> int:
        """A whole number in a range, ends included."""
        value = self._get(key)
        if value is None:
            return least
        if isinstance(value, bool) or not isinstance(value, int) or not least <= value <= most:
            self.wrong(key, value, f"a whole number from {least} to {most}")
            return least
        return value

    def number(self, key: str, lowest: float = -math.inf, highest: float = math.inf) -> float:
        """A number in a range, ends included."""
        value = self._get(key)
        if value is None:
            return 0.0
        if not is_number(value) or not lowest <= value <= highest:
            limited = math.isfinite(lowest) or math.isfinite(highest)
            self.wrong(key, value, f"a number from {lowest:g} to {highest:g}" if limited else "a number")
            return 0.0
        return float(value)

    def numbers(self, key: str, length: int, lowest: float = -math.inf, highest: float = math.inf) -> tuple[float, ...]:
        """A list of numbers of a given length, each in a range, ends included."""
        values = self._list(key, "a list of numbers", (int, float))
        if not all(is_number(value) and lowest <= value <= highest for value in values):
            limited = math.isfinite(lowest) or math.isfinite(highest)
            self.wrong(key, values, f"numbers from {lowest:g} to {highest:g}" if limited else "finite numbers")
            return (0.0,) * min(length, len(values))
        if len(values) != length and self.has(key):
            self.wrong(key, values, f"{length} numbers")
        return tuple(float(value) for value in values)

    def wrong(self, key: str, value: object, expected: str) -> None:
        """Reports an unexpected value."""
        shown = ascii(value)
        shown = shown if len(shown) <= _SHOWN else shown[: _SHOWN - 3] + "..."
        self.faults.error(f"{self.location}{key} is {shown}, expected {expected}", f"Correct {self.location}{key}.")

    def _get(self, key: str) -> Any:
        if self.values is None:
            return None
        if self.values.get(key) is None:
            found = "is null" if key in self.values else "is missing"
            self.faults.error(f"{self.location}{key} {found}", f"Add {self.location}{key}.")
            return None
        return self.values[key]

    def _list(self, key: str, expected: str, kind: type | tuple[type, ...]) -> list[Any]:
        value = self._get(key)
        if value is None:
            return []
        if not isinstance(value, list) or not all(isinstance(item, kind) for item in value):
            self.wrong(key, value, expected)
            return []
        return value


def is_inner_path(text: str) -> bool:
    """Whether a text is a relative path of a file that stays inside its folder on every system."""
    parts = PurePosixPath(text).parts
    return (
        bool(parts)
        and not text.startswith("/")
        and not has_invisible(text)
        and not any(char in text for char in "\\:")
        and ".." not in parts
        and len(text.encode()) <= _LONGEST_PATH
        and all(len(part.encode()) <= _LONGEST_PART for part in parts)
    )


def is_number(value: object) -> bool:
    """Whether a JSON value is a finite number that fits float32."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        return False
    return -3.4e38 <= value <= 3.4e38
