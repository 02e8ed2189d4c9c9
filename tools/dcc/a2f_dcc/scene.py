"""The view of an open scene that the export needs, implemented for each program, and what it is asked to export."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt

Points = npt.NDArray[np.float64]
Integers = npt.NDArray[np.int64]


@dataclass(frozen=True, eq=False)
class Mesh:
    """A mesh as it is seen in one frame, after all deformers.

    Attributes:
        points: `[verts, 3]` in units and axes of the scene's world.
        corners: vertices of all polygons, one polygon after the other, `[corners]`.
        counts: number of corners of each polygon, `[polygons]`.
    """

    points: Points
    corners: Integers
    counts: Integers

    def same_topology(self, other: Mesh) -> bool:
        """Whether both have the same vertices and polygons."""
        return (
            self.points.shape == other.points.shape
            and np.array_equal(self.counts, other.counts)
            and np.array_equal(self.corners, other.corners)
        )


class FaceScene(Protocol):
    """An open scene.

    Attributes:
        program: name and version of the program, for the record.
        file: path of the scene; empty where it was never saved.
        fps: frames per second, exact to float precision.
        range: first and last frame, both shown.
        centimetres: length of one unit of the scene in centimetres.
        up: direction upwards, `[3]`.
    """

    program: str
    file: str
    fps: float
    range: tuple[int, int]
    centimetres: float
    up: Points

    def meshes(self) -> list[str]:
        """Names of all meshes, sorted."""

    def bones(self) -> list[str]:
        """Names of all bones, joints and other things that have a transform and no mesh."""

    def mesh(self, name: str) -> Mesh:
        """A mesh in the current frame."""

    def transform(self, name: str) -> Points:
        """The world matrix `[4, 4]` of a bone or an object in the current frame, for column vectors."""

    def colour(self, name: str) -> tuple[int, int, int] | None:
        """The sRGB colour of a mesh's first material, 0 to 255; None without one."""

    def changers(self, name: str) -> list[str]:
        """What may change the number of vertices of a mesh, such as names of modifiers."""

    def markers(self) -> list[tuple[int, str]]:
        """Frames and names of the markers of the time line."""

    def show(self, frame: int) -> None:
        """Goes to a frame."""

    @contextmanager
    def rest(self) -> Iterator[None]:
        """Shows bones in their rest pose and meshes without shapes, until the block ends."""

    def has_rest(self, name: str) -> bool:
        """Whether `rest` changes a mesh: it has shapes, or bones move it."""

    def shapes(self, name: str) -> list[str]:
        """Names of the shapes of a mesh, in order."""

    def shape_deltas(self, name: str, shape: str) -> Points:
        """Offsets of a shape at full weight, `[verts, 3]` in the world; inside `rest` only."""

    def groups(self, name: str) -> dict[str, Integers]:
        """Named sets of vertices of a mesh."""

    def write_sound(self, start: float, frames: int, path: Path) -> bool:
        """Writes the sound of `frames` frames from the (fractional) frame `start` as WAV; whether there is any."""


@dataclass(frozen=True)
class ExportOptions:
    """What to export, and how to understand it.

    Attributes:
        actor: name of the actor, and of the data set.
        out: folder of the data set.
        skin: mesh of the face.
        tongue: mesh of the tongue.
        jaw: bone or mesh that moves with the lower jaw; the lower teeth by default.
        head: bone or mesh that moves with the skull only; its motion is taken out.
        lower_teeth, upper_teeth: meshes of the teeth.
        right_eye, left_eye: meshes or bones of the eyes, the actor's own right and left.
        parts: more meshes for drawing, by name of the part.
        shots: "markers", "scene", or `name=first-last` for each.
        neutral: "rest", or the number of a frame in which the face is neutral.
        front: direction that the face looks to: "auto", or an axis such as "-y".
        scale: centimetres of one unit of the scene; from the scene's settings by default.
        sound: "scene", "none", or a WAV file.
        sound_start: frame at which that file begins; the scene's first by default.
        shapes: patterns of the names of shapes that become blend shapes; none without them.
        add: whether the shots are added to a data set that is there.
    """

    actor: str
    out: Path
    skin: str
    tongue: str | None = None
    jaw: str | None = None
    head: str | None = None
    lower_teeth: str | None = None
    upper_teeth: str | None = None
    right_eye: str | None = None
    left_eye: str | None = None
    parts: dict[str, str] = field(default_factory=dict)
    shots: Sequence[str] = ("markers",)
    neutral: str = "rest"
    front: str = "auto"
    scale: float | None = None
    sound: str = "scene"
    sound_start: float | None = None
    shapes: Sequence[str] = ("*",)
    add: bool = False

    def meshes(self) -> dict[str, str]:
        """All options that name a mesh."""
        names = ("skin", "tongue", "lower_teeth", "upper_teeth")
        given = {name: value for name in names if (value := getattr(self, name))}
        return {**given, **{f"part {name}": value for name, value in self.parts.items()}}

    def tracked(self) -> dict[str, str]:
        """All options that name a bone or a mesh."""
        return {name: value for name in ("jaw", "head", "right_eye", "left_eye") if (value := getattr(self, name))}


@dataclass(frozen=True)
class ImportOptions:
    """What to put onto a face.

    Attributes:
        skin: mesh of the face.
        result: folder of one recording that stage 4 wrote.
        weights: table or JSON of weights in its place.
        sound: WAV file in place of the folder's.
        tongue: mesh of the tongue.
        jaw: bone or mesh that the jaw moves.
        right_eye, left_eye: bones or meshes of the eyes.
        motion: "weights", "cache", or "auto": weights where the face has their shapes.
        start: first frame; the scene's by default.
        fps: rate of the animation where its files do not tell.
        scale: centimetres of one unit of the scene; from the scene's settings by default.
        save: where the scene is saved.
    """

    skin: str
    result: Path | None = None
    weights: Path | None = None
    sound: Path | None = None
    tongue: str | None = None
    jaw: str | None = None
    right_eye: str | None = None
    left_eye: str | None = None
    motion: str = "auto"
    start: int | None = None
    fps: float | None = None
    scale: float | None = None
    save: Path | None = None


class Report:
    """Says what happens, and remembers what the user should look at.

    Args:
        say: receives each line.
    """

    def __init__(self, say: Any = print) -> None:
        self._say = say
        self.warnings: list[str] = []
        self.made: list[str] = []

    def info(self, text: str) -> None:
        """Says a line."""
        self._say(text)

    def warn(self, text: str) -> None:
        """Says a warning and keeps it for the record."""
        if text not in self.warnings:
            self.warnings.append(text)
            self._say(f"warning: {text}")

    def note(self, text: str) -> None:
        """Keeps what was derived rather than given, for the record."""
        self.made.append(text)
