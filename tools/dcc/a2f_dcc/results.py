"""Reads what stage 4 wrote: caches of vertices, weights of blend shapes, jaw and eyes, sound (docs/exports.md)."""

from __future__ import annotations

import csv
import json
import struct
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from a2f_dcc import SceneError
from a2f_dcc.regions import match_names
from a2f_dcc.scene import Points

RECORD = "animation.json"
_PC2 = struct.Struct("<12siiffi")
_MDD = struct.Struct(">ii")
_SIXTIETHS = 60
_EXPORT_AGAIN = "Let stage 4 write it again, with --format mdd arkit csv"
_PARTS = ("skin_", "tongue_")  # before the names of poses in our table
_JAW = ("jaw_x", "jaw_y", "jaw_z", "jaw_rotate_x", "jaw_rotate_y", "jaw_rotate_z")
EYES = ("right_eye", "left_eye")


@dataclass(frozen=True)
class Result:
    """The files of an animation; None for what there is not.

    Attributes:
        name: of the animation.
        fps: frames per second; None where only the files tell.
        skin, tongue: point caches.
        weights: table or JSON of weights of blend shapes.
        table: table with jaw and eyes.
        sound: the recording as WAV.
    """

    name: str
    fps: float | None = None
    skin: Path | None = None
    tongue: Path | None = None
    weights: Path | None = None
    table: Path | None = None
    sound: Path | None = None


def find_result(folder: Path) -> Result:
    """The files of a folder that stage 4 wrote.

    Raises:
        SceneError: it is no such folder.
    """
    record = folder / RECORD
    try:
        facts = json.loads(record.read_text(encoding="utf-8"))
        files, fps = [str(name) for name in facts["files"]], float(facts["fps"])
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise SceneError(
            f"{folder} is no folder of an animation: {RECORD} is missing or damaged",
            "Name the folder that stage 4 wrote for one recording.",
        ) from error

    def first(*endings: str, without: str = "\0") -> Path | None:
        names = [name for ending in endings for name in files if name.endswith(ending) and without not in name]
        return folder / names[0] if names else None

    return Result(
        name=folder.name,
        fps=fps,
        skin=first(".mdd", ".pc2", without="_tongue."),
        tongue=first("_tongue.mdd", "_tongue.pc2"),
        weights=first("_arkit.json", "_arkit.csv"),
        table=first(".csv", without="_arkit."),
        sound=first(".wav"),
    )


@dataclass(frozen=True, eq=False)
class Cache:
    """A point cache.

    Attributes:
        frames: `[frames, verts, 3]`, mapped from the file.
        fps: frames per second; None where the file does not tell.
    """

    frames: Any
    fps: float | None


def open_cache(path: Path) -> Cache:
    """Opens an .mdd or .pc2 file.

    Raises:
        SceneError: it is missing, cut, or of another format.
    """
    try:
        size = path.stat().st_size
        with path.open("rb") as handle:
            head = handle.read(_PC2.size)
        if path.suffix == ".pc2":
            signature, _, verts, _, _, frames = _PC2.unpack(head)
            offset, kind, fits = _PC2.size, "<f4", signature == b"POINTCACHE2\0"
        else:
            frames, verts = _MDD.unpack(head[: _MDD.size])
            offset, kind, fits = _MDD.size + 4 * frames, ">f4", path.suffix == ".mdd"
    except OSError as error:
        raise SceneError(f"{path} cannot be read: {error.strerror or error}", _EXPORT_AGAIN) from error
    except struct.error:
        fits = False
    if not fits or min(frames, verts) < 1 or size < offset + 12 * frames * verts:
        raise SceneError(f"{path} is no complete .mdd or .pc2 file", _EXPORT_AGAIN)
    array = np.memmap(path, kind, "r", offset, (frames, verts, 3))
    if kind == "<f4" or frames < 2:
        return Cache(array, None)
    times = np.fromfile(path, ">f4", frames, offset=_MDD.size).astype(np.float64)
    return Cache(array, float((frames - 1) / (times[-1] - times[0])) if times[-1] > times[0] else None)


@dataclass(frozen=True, eq=False)
class Curves:
    """Named values of each frame.

    Attributes:
        names: of the columns.
        values: `[frames, columns]`.
        fps: frames per second; None where the file does not tell.
    """

    names: Sequence[str]
    values: Points
    fps: float | None

    def of(self, names: Sequence[str]) -> Points:
        """Some columns, `[frames, names]`.

        Raises:
            SceneError: one is missing.
        """
        missing = [name for name in names if name not in self.names]
        if missing:
            raise SceneError(f"the table has no column {missing[0]!r}", _EXPORT_AGAIN)
        found: Points = self.values[:, [list(self.names).index(name) for name in names]]
        return found


def read_curves(path: Path) -> Curves:
    """Reads `_arkit.json`, `_arkit.csv` or the table `.csv`, or the same files of other programs.

    Raises:
        SceneError: it is missing, or holds no such table.
    """
    try:
        if path.suffix == ".json":
            content = json.loads(path.read_text(encoding="utf-8"))
            values = np.array(content["weightMat"], np.float64)
            curves = Curves(content["facsNames"], values, float(content["exportFps"]))
        else:
            curves = _read_table(path)
        if curves.values.ndim != 2 or curves.values.shape[1] != len(curves.names) or not len(curves.values):
            raise ValueError("rows of another length")
    except OSError as error:
        raise SceneError(f"{path} cannot be read: {error.strerror or error}", _EXPORT_AGAIN) from error
    except (ValueError, KeyError, TypeError, StopIteration) as error:
        raise SceneError(f"{path} holds no table of weights: {error}", _EXPORT_AGAIN) from error
    return curves


def _read_table(path: Path) -> Curves:
    with path.open(encoding="utf-8-sig", newline="") as handle:
        rows = csv.reader(handle)
        header = next(rows)
        content = [row for row in rows if row]
    text = [place for place, name in enumerate(header) if name.lower() == "timecode"]
    numbers = [place for place in range(len(header)) if place not in text]
    values = np.array([[float(row[place]) for place in numbers] for row in content])
    names = [header[place] for place in numbers]
    if "seconds" in names:
        seconds = values[:, names.index("seconds")]
    elif text:
        seconds = np.array([_seconds(row[text[0]]) for row in content])
    else:
        seconds = np.zeros(0)
    span = float(seconds[-1] - seconds[0]) if len(seconds) > 1 else 0.0
    return Curves(names, values, (len(seconds) - 1) / span if span > 0 else None)


def _seconds(timecode: str) -> float:
    """Seconds of a time code of Live Link Face, whose last field counts sixtieths."""
    hours, minutes, seconds, ticks = map(float, timecode.split(":"))
    return 3600 * hours + 60 * minutes + seconds + ticks / _SIXTIETHS


def curves_of_shapes(curves: Curves, shapes: Sequence[str]) -> dict[str, Points]:
    """The weights `[frames]` of the shapes of a mesh that the table has, however both spell them.

    A shape of the same name is taken first; the others are matched without regard to case, separators and prefixes.
    """
    plain = {name: _without_part(name) for name in curves.names}
    found = {name: column for name, column in plain.items() if column in shapes}
    rest = {plain[name]: name for name in curves.names if name not in found}
    spelled = match_names(list(shapes), list(rest))
    pairs = {**{column: name for name, column in found.items()}}
    for standard, place in spelled.items():
        pairs.setdefault(shapes[place], rest[standard])
    order = list(curves.names)
    return {shape: curves.values[:, order.index(name)] for shape, name in pairs.items()}


def _without_part(name: str) -> str:
    part = next((part for part in _PARTS if name.startswith(part)), "")
    return name[len(part) :]


def jaw_motion(table: Curves) -> Points:
    """Motion of the jaw `[frames, 4, 4]` in centimetres, y up: rotations about the fixed axes x, y, z in this order."""
    values = table.of(_JAW)
    motion = np.tile(np.eye(4), (len(values), 1, 1))
    turns = [_about(place, np.radians(values[:, 3 + place])) for place in range(3)]
    motion[:, :3, :3] = turns[2] @ turns[1] @ turns[0]
    motion[:, :3, 3] = values[:, :3]
    return motion


def eye_motion(table: Curves, eye: str) -> Points:
    """Rotations of an eye `[frames, 3, 3]`: pitch about x (positive looks down), then yaw about y."""
    pitch, yaw = np.radians(table.of((f"{eye}_pitch", f"{eye}_yaw"))).T
    turned: Points = _about(1, yaw) @ _about(0, pitch)
    return turned


def _about(axis: int, angles: Points) -> Points:
    """Rotations `[n, 3, 3]` about an axis."""
    after, last = (axis + 1) % 3, (axis + 2) % 3
    turns = np.zeros((len(angles), 3, 3))
    turns[:, axis, axis] = 1
    turns[:, after, after] = turns[:, last, last] = np.cos(angles)
    turns[:, last, after] = np.sin(angles)
    turns[:, after, last] = -np.sin(angles)
    return turns


def one_rate(rates: Mapping[str, float | None]) -> float:
    """The rate of an animation from what its files tell.

    Raises:
        SceneError: they differ, or none tells.
    """
    known = {name: rate for name, rate in rates.items() if rate}
    if not known:
        raise SceneError("no file tells the frame rate of the animation", "Give it with --fps.")
    first = next(iter(known.values()))
    if any(abs(rate / first - 1) > 0.01 for rate in known.values()):
        listed = ", ".join(f"{name} {rate:.6g}" for name, rate in known.items())
        raise SceneError(f"the files have different frame rates: {listed}", "Name files of one animation.")
    return first
