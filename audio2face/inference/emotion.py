"""Emotions over time: curves with linear interpolation between keys, and their names and files."""

from __future__ import annotations

import bisect
import csv
import difflib
import io
import json
import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np

from audio2face.errors import FileFormatError, UserError
from audio2face.types import Float32Array, Float64Array


class EmotionCurve:
    """Keys in temporal order; a stream adds keys and closes the curve after the last one.

    The curve is constant before the first key and, once it is closed, after the last one. While it is open, an executor
    waits at its last key.

    Args:
        num_emotions: number of values of a key.
    """

    def __init__(self, num_emotions: int) -> None:
        self.num_emotions = num_emotions
        self._samples: list[int] = []
        self._vectors: list[Float64Array] = []
        self._closed = False

    @classmethod
    def constant(cls, vector: Sequence[float] | Float32Array) -> EmotionCurve:
        """A closed constant curve.

        Raises:
            UserError: a value is not within 0 to 1.
        """
        return cls.from_keys([(0, vector)], len(vector))

    @classmethod
    def from_keys(cls, keys: Iterable[tuple[int, Sequence[float] | Float32Array]], num_emotions: int) -> EmotionCurve:
        """A closed curve through keys of (sample, vector).

        Raises:
            UserError: there is no key, keys are not ascending, or a value is not within 0 to 1.
        """
        curve = cls(num_emotions)
        for sample, vector in keys:
            curve.add(sample, vector)
        curve.close()
        return curve

    def add(self, sample: int, vector: Sequence[float] | Float32Array) -> None:
        """Adds a key.

        Args:
            sample: time in samples from the start of the recording, after all previous keys.
            vector: `[num_emotions]`, each from 0 to 1.

        Raises:
            UserError: the key does not come after the last one, or a value is out of range.
            ValueError: the curve is closed, or the vector has another length.
        """
        values = np.array(vector, np.float64)
        if self._closed or values.shape != (self.num_emotions,):
            raise ValueError(
                f"closed: {self._closed}; a vector of shape {values.shape} for {self.num_emotions} emotions"
            )
        if self._samples and sample <= self._samples[-1]:
            raise UserError(f"the emotion key at sample {sample} comes after that at sample {self._samples[-1]}")
        if not ((values >= 0) & (values <= 1)).all():
            raise UserError(f"the emotion key at sample {sample} has the values {values.tolist()}: expected 0 to 1")
        self._samples.append(sample)
        self._vectors.append(values)

    def close(self) -> None:
        """Closes the curve: no key follows.

        Raises:
            UserError: there is no key at all.
        """
        if not self._samples:
            raise UserError("an emotion curve needs one key at least")
        self._closed = True

    @property
    def defined_until(self) -> float:
        """The last sample at which the curve is defined; infinity if it is closed."""
        if self._closed:
            return math.inf
        return self._samples[-1] if self._samples else -math.inf

    def at(self, samples: Sequence[int]) -> Float32Array:
        """The emotion at some samples, float32 `[len(samples), num_emotions]`.

        Raises:
            ValueError: a sample is after `defined_until`.
        """
        if samples and max(samples) > self.defined_until:
            raise ValueError(f"sample {max(samples)} is requested, the curve is defined until {self.defined_until}")
        values = np.array([self._at(sample) for sample in samples], np.float32)
        return values.reshape(-1, self.num_emotions)

    def _at(self, sample: int) -> Float64Array:
        after = bisect.bisect_right(self._samples, sample)
        if after in (0, len(self._samples)):
            return self._vectors[min(after, len(self._samples) - 1)]
        before = self._samples[after - 1]
        share = (sample - before) / (self._samples[after] - before)
        return (1 - share) * self._vectors[after - 1] + share * self._vectors[after]


TIME_COLUMNS = ("time", "seconds", "time_s")  # synonyms in exports of other programs
FRAME_COLUMN = "frame"
_SUFFIXES = (".csv", ".json")
_LARGEST_FILE = 64 << 20  # bytes; an hour of keys at 60 frames per second needs a quarter of it


@dataclass(frozen=True)
class EmotionSpec:
    """A parsed emotion.

    Attributes:
        label: part of the names of output files.
        description: the user's text, for display; of a path only the name.
        curve: strengths over time.
    """

    label: str
    description: str
    curve: EmotionCurve


@dataclass(frozen=True)
class EmotionNames:
    """Parser of emotions for one model.

    Attributes:
        names: the model's emotions, in order.
        default: strengths if the user gives none, `[emotions]`.
        zero: name of the zero emotion.
        samplerate: samples per second.
        fps: frames per second, for files with frame numbers.
    """

    names: tuple[str, ...]
    default: tuple[float, ...]
    zero: str
    samplerate: int
    fps: Fraction

    def parse(self, text: str | None) -> EmotionSpec:
        """Parses an emotion: None for the default, names with strengths, or the path of a file.

        Raises:
            UserError: a name is unknown, a value is out of range, or a file cannot be read.
        """
        if text is None:
            label = self._label_of_default()
            return EmotionSpec(label, f"{label} (the model's default)", EmotionCurve.constant(self.default))
        path = Path(text)
        if path.suffix.lower() in _SUFFIXES:
            return EmotionSpec(path.stem, path.name, self.read(path))
        strengths = dict(self._strength(part) for part in text.split(","))
        label = "-".join(name for name, value in strengths.items() if value > 0) or self.zero
        return EmotionSpec(label, text, EmotionCurve.constant(self.vector(strengths)))

    def read(self, path: Path) -> EmotionCurve:
        """Reads a curve from a `.csv` or `.json` file.

        Raises:
            UserError: there is no such file, or (FileFormatError) a key is invalid, with its line or number.
        """
        rows = _csv_keys(path) if path.suffix.lower() == ".csv" else _json_keys(path)
        curve = EmotionCurve(len(self.names))
        for location, row in rows:
            try:
                curve.add(self._sample(row), self.vector(self._emotions(row)))
            except UserError as error:
                raise FileFormatError(f"{location}: {error.problem}", path=path, hint=error.hint) from error
        if curve.defined_until < 0:
            raise FileFormatError("holds no key", path=path, hint="Give one line for each key, such as: 0.0, 1.0")
        curve.close()
        return curve

    def vector(self, strengths: Mapping[str, float]) -> list[float]:
        """The vector of the model's emotions, in order.

        Raises:
            UserError: a name is unknown, or a value is not within 0 to 1.
        """
        values = [0.0] * len(self.names)
        for text, strength in strengths.items():
            name = self.canonical_name(text)
            if not 0 <= strength <= 1:
                raise UserError(f"the emotion {text!r} is {strength:g}, expected a value from 0 to 1")
            if name != self.zero or name in self.names:
                values[self.names.index(name)] = strength
        return values

    def canonical_name(self, text: str) -> str:
        """The model's spelling of an emotion; `out_of_breath` and `OutOfBreath` match `outofbreath`.

        Raises:
            UserError: the model has no such emotion.
        """
        spelt = {_plain(name): name for name in (self.zero, *self.names)}
        if _plain(text) in spelt:
            return spelt[_plain(text)]
        near = difflib.get_close_matches(_plain(text), spelt, n=1)
        meant = f"Did you mean {spelt[near[0]]!r}? " if near else ""
        raise UserError(
            f"the model has no emotion {text!r}",
            hint=f"{meant}It has: {', '.join(self.names)}; {self.zero!r} means none of them.",
        )

    def _label_of_default(self) -> str:
        strong = [name for name, value in zip(self.names, self.default, strict=True) if value > 0]
        return "-".join(strong) or self.zero

    def _strength(self, part: str) -> tuple[str, float]:
        name, sign, value = part.strip().partition("=")
        return self.canonical_name(name.strip()), _number(value, f"the strength of {name.strip()!r}") if sign else 1.0

    def _sample(self, row: Mapping[str, Any]) -> int:
        columns = [column for column in row if column in TIME_COLUMNS]
        if columns:
            seconds = _number(row[columns[0]], "the time")
        elif FRAME_COLUMN in row:
            seconds = _number(row[FRAME_COLUMN], "the frame") / float(self.fps)
        else:
            raise UserError(
                f"there is neither 'time' (in seconds) nor {FRAME_COLUMN!r}", hint="Name one in the header."
            )
        if seconds < 0:
            raise UserError(f"the time {seconds:g} s is before the recording")
        return round(seconds * self.samplerate)

    def _emotions(self, row: Mapping[str, Any]) -> dict[str, float]:
        counted = (*TIME_COLUMNS, FRAME_COLUMN)
        return {name: _number(value, f"emotion {name!r}") for name, value in row.items() if name not in counted}


def _plain(name: str) -> str:
    return name.strip().lower().replace("_", "").replace(" ", "")


def _number(value: Any, name: str) -> float:
    try:
        number = float(value)
    except (TypeError, ValueError, OverflowError):
        raise UserError(f"{name} is {value!r}, expected a number") from None
    if isinstance(value, bool) or not math.isfinite(number):
        raise UserError(f"{name} is {value!r}, expected a number")
    return number


def _text(path: Path) -> str:
    """Reads a small UTF-8 file, with or without a byte order mark."""
    if not path.is_file():
        raise UserError("there is no such file of emotions", path=path, hint="Give a .csv or .json file.")
    try:
        if path.stat().st_size > _LARGEST_FILE:
            raise FileFormatError(f"is larger than {_LARGEST_FILE >> 20} MB", path=path)
        return path.read_text(encoding="utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        raise FileFormatError(f"cannot be read as UTF-8 text: {error}", path=path) from error


def _csv_keys(path: Path) -> Iterator[tuple[str, dict[str, Any]]]:
    rows = csv.reader(io.StringIO(_text(path)), skipinitialspace=True)
    try:
        header = _header(next(rows, []), path)
        for row in rows:
            if not any(cell.strip() for cell in row):
                continue
            if len(row) != len(header):
                raise FileFormatError(f"line {rows.line_num}: {len(row)} values for {len(header)} columns", path=path)
            yield f"line {rows.line_num}", dict(zip(header, row, strict=True))
    except csv.Error as error:
        raise FileFormatError(f"line {rows.line_num}: {error}", path=path) from error


def _header(cells: Sequence[str], path: Path) -> list[str]:
    header = [cell.strip() for cell in cells]
    header = [cell.lower() if cell.lower() in (*TIME_COLUMNS, FRAME_COLUMN) else cell for cell in header]
    duplicates = [cell for cell in header if header.count(cell) > 1]
    if duplicates:
        raise FileFormatError(f"line 1: two columns are called {duplicates[0]!r}", path=path)
    return header


def _json_keys(path: Path) -> Iterator[tuple[str, dict[str, Any]]]:
    try:
        content = json.loads(_text(path))
    except (ValueError, RecursionError) as error:
        raise FileFormatError(f"is not valid JSON: {error}", path=path) from error
    keys = content.get("keys") if isinstance(content, dict) else content
    if not isinstance(keys, list) or not all(isinstance(key, dict) for key in keys):
        raise FileFormatError(
            "contains no list of keys", path=path, hint='Give a list such as [{"time": 0.0, "joy": 1.0}].'
        )
    yield from ((f"key {number}", key) for number, key in enumerate(keys))
