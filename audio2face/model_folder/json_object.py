"""Takes typed values out of JSON and notes everything that does not fit, so that one pass finds all faults.

Where a value does not fit, a stand-in is returned: what is built from it must not be used when faults were noted.
"""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any, NoReturn

from audio2face.model_folder.faults import FileFaults

_LARGEST = 2**31 - 1
_SHOWN = 60


def read_object(path: Path, faults: FileFaults) -> JsonObject:
    """Reads a file that holds one JSON object, as strictly as the SDK does: no NaN, no comments, no byte order mark."""
    values: object = None
    if not path.is_file():
        faults.missing(path, "Deploy the model once more.")
        return JsonObject(None, faults)
    try:
        text = path.read_bytes().decode("utf-8")
        values = json.loads(text, parse_constant=_refuse)
    except OSError as error:
        faults.error(f"cannot be read: {error.strerror or error}", "Make it a readable file.")
    except (ValueError, RecursionError) as error:
        hint = "Write plain UTF-8 JSON, without NaN, Infinity and comments."
        faults.unreadable(path, f"is no strict JSON: {error}", hint)
    else:
        if not isinstance(values, dict):
            faults.error("holds no JSON object", "Write an object: {...}.")
    return JsonObject(values if isinstance(values, dict) else None, faults)


def _refuse(constant: str) -> NoReturn:
    raise ValueError(f"{constant} is not JSON")


class JsonObject:
    """One object of a JSON file.

    Args:
        values: its content; None where the object itself is missing, which has been noted: nothing more is noted then.
        faults: receives what does not fit.
        place: where the object stands in the file, such as "params.".
    """

    def __init__(self, values: dict[str, Any] | None, faults: FileFaults, place: str = "") -> None:
        self.values = values
        self.faults = faults
        self.place = place

    def has(self, key: str) -> bool:
        """Whether there is such a value."""
        return self.values is not None and key in self.values

    def child(self, key: str) -> JsonObject:
        """An object inside this one."""
        value = self._get(key)
        if value is not None and not isinstance(value, dict):
            self.wrong(key, value, "an object")
            value = None
        return JsonObject(value, self.faults, f"{self.place}{key}.")

    def children(self, key: str) -> list[JsonObject]:
        """A list of objects."""
        values = self._list(key, "a list of objects", dict)
        return [JsonObject(value, self.faults, f"{self.place}{key}[{i}].") for i, value in enumerate(values)]

    def text(self, key: str, expected: str | None = None) -> str:
        """A text that is not empty; the expected one, where that is given."""
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

    def count(self, key: str, least: int = 0) -> int:
        """A whole number."""
        value = self._get(key)
        if value is None:
            return least
        if isinstance(value, bool) or not isinstance(value, int) or not least <= value <= _LARGEST:
            self.wrong(key, value, f"a whole number from {least} to {_LARGEST}")
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

    def numbers(self, key: str, length: int) -> tuple[float, ...]:
        """A list of numbers of a given length."""
        values = self._list(key, "a list of numbers", (int, float))
        if not all(is_number(value) for value in values):
            self.wrong(key, values, "a list of finite numbers")
            return (0.0,) * length
        if len(values) != length and self.has(key):
            self.wrong(key, values, f"{length} numbers")
        return tuple(float(value) for value in values)

    def wrong(self, key: str, value: object, expected: str) -> None:
        """Notes a value that is not what is expected."""
        shown = ascii(value)
        shown = shown if len(shown) <= _SHOWN else shown[: _SHOWN - 3] + "..."
        self.faults.error(f"{self.place}{key} is {shown}, expected {expected}", f"Correct {self.place}{key}.")

    def _get(self, key: str) -> Any:
        if self.values is None:
            return None
        if self.values.get(key) is None:
            found = "is null" if key in self.values else "is missing"
            self.faults.error(f"{self.place}{key} {found}", f"Add {self.place}{key}.")
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


def is_number(value: object) -> bool:
    """Whether a JSON value is a finite number that fits float32."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        return False
    return -3.4e38 <= value <= 3.4e38
