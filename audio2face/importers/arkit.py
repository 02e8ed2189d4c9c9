"""The kind `arkit`: weights of ARKit's shapes as tables (CSV), JSON (Audio2Face's form too), and arrays."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np

from audio2face.audio import read_header
from audio2face.dataset.arkit_names import ARKIT_NAMES
from audio2face.errors import FileFormatError, UserError, missing_file
from audio2face.importers.kinds import Importer
from audio2face.importers.livelink import is_live_link, read_take
from audio2face.importers.naming import emotion_in, take_names
from audio2face.importers.sound import Clock, find_recording, read_clock
from audio2face.importers.tables import read_columns_of, read_table
from audio2face.importers.take import Take, TakeSummary, summary_of
from audio2face.importers.timing import USUAL_RATES, named_rate, on_grid, rate_of, read_timecodes
from audio2face.importers.weights import eyes_of_weights, find_weights, skin_weights, tongue_weights
from audio2face.io.arrays import Archive, read_json, read_npy
from audio2face.types import AnyArray, BoolArray, Float64Array, FloatArray

SUFFIXES = (".csv", ".tsv", ".json", ".npy", ".npz")
_SECONDS = ("seconds", "time", "timestamp", "time_s", "t")
_FRACTION_OF_RATE = 0.015  # of frames by seconds of the recording that imply a usual rate
_MILLISECONDS = 1000.0
_JSON_HINT = "Audio2Face exports facsNames, weightMat (a row of weights for each frame) and exportFps."
_ARRAY_HINT = "Give weights [frames, 52] in ARKit's order, or an archive with `weights` and `names`."


@dataclass(frozen=True, eq=False)
class _Raw:
    """Weights as a file holds them.

    Attributes:
        names: of the columns.
        values: `[frames, columns]`.
        fps: frames per second; None where the file does not tell.
        lost: bool `[frames]`.
        start: where in the recording they begin, in seconds, as the file tells.
        sound: name of the recording, as the file tells.
    """

    names: Sequence[str]
    values: FloatArray
    fps: Fraction | None
    lost: BoolArray
    start: float = 0.0
    sound: str = ""


class ArkitWeights(Importer):
    """Weights in any form, with a recording."""

    def __init__(self, *args: object, **options: object) -> None:
        super().__init__(*args, **options)  # type: ignore[arg-type]
        self._takes: dict[str, Take] = {}

    def inspect(self, sources: Sequence[Path]) -> list[TakeSummary]:
        """Reads the takes; their weights are small."""
        files = [path for source in sources for path in _find(source)]
        names = take_names([(path.stem, path.parent) for path in files])
        for name, path in sorted(zip(names, files, strict=True)):
            self._takes[name] = self._read(name, path, files)
        return [summary_of(take) for take in self._takes.values()]

    def read(self, name: str) -> Take:
        """The take as it was inspected."""
        return self._takes[name]

    def _read(self, name: str, path: Path, files: Sequence[Path]) -> Take:
        emotion = self.options.emotion or emotion_in(name)
        if path.suffix.lower() == ".csv" and is_live_link(path):
            audio, silent = self._recording(path, "", files)
            take = read_take(path, name, Clock() if audio is None else read_clock(audio))
            return replace(take, audio=audio, emotion=emotion, notes=(*silent, *take.notes))
        raw = _READERS[path.suffix.lower()](path)
        audio, silent = self._recording(path, raw.sound, files)
        columns = find_weights(raw.names, path)
        weights, notes = skin_weights(raw.values[:, list(columns.skin.values())], list(columns.skin), path)
        tongue = tongue_weights(raw.values[:, list(columns.tongue.values())], list(columns.tongue))
        return Take(
            name=name,
            source=path,
            fps=self._rate(raw, audio, path),
            lost=raw.lost,
            weights=weights,
            captured=frozenset(columns.skin),
            tongue=tongue,
            eyes=eyes_of_weights(weights),
            audio=audio,
            audio_start=raw.start,
            emotion=emotion,
            notes=(*silent, *notes),
        )

    def _recording(self, path: Path, named: str, files: Sequence[Path]) -> tuple[Path | None, list[str]]:
        stems = [path.stem, Path(named).stem] if named else [path.stem]
        for ending in ("_arkit", "_weights", "_blendshapes"):  # the recording has the plain name
            stems += [stem.removesuffix(ending) for stem in list(stems) if stem.endswith(ending)]
        return find_recording(self.options.audio, stems, path.parent, len(files) == 1)

    def _rate(self, raw: _Raw, audio: Path | None, path: Path) -> Fraction:
        """The rate that the file states, else that of --fps, else the usual one that the recording's length implies."""
        given = self.options.fps
        if raw.fps is not None:
            if given is not None and abs(given / float(raw.fps) - 1) > _FRACTION_OF_RATE:
                raise UserError(
                    f"its times tell {float(raw.fps):g} frames per second, not {given:g}",
                    path=path,
                    hint="Leave --fps out, or correct the times.",
                )
            return raw.fps
        if given is not None:
            return named_rate(given)
        if audio is not None:
            measured = len(raw.values) / read_header(audio).duration
            nearest = min(USUAL_RATES, key=lambda rate: (abs(measured / float(rate) - 1), rate.denominator))
            whole = Fraction(round(nearest))
            if abs(measured / float(whole) - 1) < _FRACTION_OF_RATE:
                return whole
        raise UserError(
            "nothing tells its frames per second, and its length is not that of the recording",
            path=path,
            hint="Give them: --fps 30",
        )


def _find(source: Path) -> list[Path]:
    if not source.exists():
        raise missing_file("there is no such file", source, "Give tables of weights, or a folder of them.")
    if source.is_file():
        if source.suffix.lower() not in SUFFIXES:
            raise FileFormatError("is no table of weights", path=source, hint=f"Files end with {', '.join(SUFFIXES)}.")
        return [source]
    found = [path for path in sorted(source.iterdir()) if path.suffix.lower() in SUFFIXES and path.is_file()]
    if not found:
        raise UserError("holds no tables of weights", path=source, hint=f"Files end with {', '.join(SUFFIXES)}.")
    return found


def _read_csv(path: Path) -> _Raw:
    names = read_columns_of(path)
    columns = find_weights(names, path)
    lower = [name.strip().lower() for name in names]
    seconds = next((lower.index(name) for name in _SECONDS if name in lower), None)
    label = lower.index("timecode") if seconds is None and "timecode" in lower else None
    extra = [] if seconds is None else [seconds]
    table = read_table(path, [*columns.numbers, *extra], label)
    count = len(columns.numbers)
    chosen = [names[column] for column in columns.numbers]
    times = _times(table.values[:, count] if extra else None, table.labels, path)
    values = table.values[:, :count]
    rate = None if times is None else rate_of(times)
    if times is None or rate is None:
        whole = np.isfinite(values).all(axis=1)
        if not whole.all():
            raise FileFormatError(
                f"row {int(np.argmin(whole)) + 2} holds no weights, and no column tells the time of rows",
                path=path,
                hint="Remove the row, or add a column `seconds`.",
            )
        return _Raw(chosen, values, None, np.zeros(len(values), bool))
    gridded = on_grid(times, values, rate)
    start = float(times[0]) if extra and 0 <= times[0] < 1 else 0.0
    return _Raw(chosen, gridded.values, rate, gridded.lost, start)


def _times(seconds: Float64Array | None, labels: Sequence[str], path: Path) -> Float64Array | None:
    """Times of rows in seconds; those in milliseconds are converted."""
    if seconds is None:
        return read_timecodes(labels, path) if labels else None
    steps = np.diff(seconds)
    if not np.isfinite(seconds).all() or (steps <= 0).any():
        row = int(np.argmax(~np.isfinite(seconds[1:]) | (steps <= 0))) + 3
        raise FileFormatError(
            f"row {row}: its time does not follow that of the row before", path=path, hint="Sort the rows by time."
        )
    return seconds / _MILLISECONDS if float(np.median(steps)) > 1 else seconds


def _read_json_weights(path: Path) -> _Raw:
    document = read_json(path)
    if not isinstance(document, Mapping) or not {"facsNames", "weightMat"} <= document.keys():
        raise FileFormatError("is no export of weights", path=path, hint=_JSON_HINT)
    names, rows = document["facsNames"], document["weightMat"]
    values = _matrix(rows, path)
    if not isinstance(names, list) or values.shape[1] != len(names):
        raise FileFormatError(
            f"weightMat has {values.shape[1]} columns, facsNames has {len(names)} names", path=path, hint=_JSON_HINT
        )
    stated = document.get("exportFps")
    fps = named_rate(float(stated)) if isinstance(stated, int | float) and stated > 0 else None
    sound = document.get("trackPath")
    lost = np.zeros(len(values), bool)
    return _Raw([str(name) for name in names], values, fps, lost, sound=sound if isinstance(sound, str) else "")


def _matrix(rows: Any, path: Path) -> Float64Array:
    try:
        values = np.array(rows, np.float64)
    except (TypeError, ValueError):
        values = np.zeros(0)
    if values.ndim != 2 or not values.size:
        raise FileFormatError("weightMat is no list of rows of equal length", path=path, hint=_JSON_HINT)
    return _finite(values, path)


def _finite(values: AnyArray, path: Path) -> AnyArray:
    whole = np.isfinite(values).all(axis=1)
    if not whole.all():
        raise FileFormatError(
            f"frame {int(np.argmin(whole))} holds NaN or infinity", path=path, hint="Export the weights again."
        )
    return values


def _read_array(path: Path) -> _Raw:
    return _of_array(read_npy(path), ARKIT_NAMES, None, path)


def _read_archive(path: Path) -> _Raw:
    archive = Archive.open(path)
    members = list(archive.members)
    key = (
        "weights"
        if "weights" in members
        else next((name for name in members if len(archive.members[name].shape) == 2), "")
    )
    if not key:
        raise FileFormatError(f"holds no weights: {', '.join(members)}", path=path, hint=_ARRAY_HINT)
    names: Sequence[str] = ARKIT_NAMES
    if "names" in members:
        names = [each.decode() if isinstance(each, bytes) else str(each) for each in archive.read("names").tolist()]
    fps = float(np.ravel(archive.read("fps"))[0]) if "fps" in members else None
    return _of_array(archive.read(key), names, fps, path)


def _of_array(values: AnyArray, names: Sequence[str], fps: float | None, path: Path) -> _Raw:
    if values.ndim != 2 or values.dtype.kind != "f" or values.shape[1] != len(names) or not len(values):
        raise FileFormatError(
            f"is {values.dtype} of shape {list(values.shape)}, expected floats [frames, {len(names)}]",
            path=path,
            hint=_ARRAY_HINT,
        )
    rate = None if fps is None or not fps > 0 else named_rate(fps)
    return _Raw(names, _finite(values, path), rate, np.zeros(len(values), bool))


_READERS: Mapping[str, Callable[[Path], _Raw]] = {
    ".csv": _read_csv,
    ".tsv": _read_csv,
    ".json": _read_json_weights,
    ".npy": _read_array,
    ".npz": _read_archive,
}
