"""Lists of vertices that mark regions of the mesh: lips, lids, rigid vertices of the tongue; and polygons.

A raw dataset has each list in a file of its own; `VertexLists` holds all of a face, which are one file for a rig.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields, replace
from pathlib import Path
from typing import Any

import numpy as np

from audio2face.errors import FileFormatError
from audio2face.geometry import canonical_polygons
from audio2face.io.arrays import read_json, read_npy
from audio2face.types import Int32Array, Int64Array

_POLYGON_HINT = (
    "Export the polygons of the caches' mesh as vertex numbers counted from 0, one row per polygon; a triangle among "
    "quadrilaterals has -1 as its fourth corner."
)
_PAIRS_HINT = "Every vertex above the opening needs one below it, at the same index of its list."


@dataclass(frozen=True)
class VertexPairs:
    """Vertices above and below an opening, paired by position: lips (any number) or lids (one pair per eye).

    Attributes:
        upper: vertices above the opening, `[pairs]`.
        lower: vertices below it, `[pairs]`.
    """

    upper: Int64Array
    lower: Int64Array

    @classmethod
    def read(cls, path: Path) -> VertexPairs:
        """Reads `{"upper": [...], "lower": [...]}`.

        Raises:
            UserError: the file is missing, or (FileFormatError) its content is invalid.
        """
        return _pairs(path, read_json(path), ("upper", "lower"))

    def to_json(self) -> dict[str, list[int]]:
        """The content of the file that `read` reads."""
        return {"upper": self.upper.tolist(), "lower": self.lower.tolist()}

    def all(self) -> Int64Array:
        """Returns all vertices of both lists, `[2 * pairs]`."""
        return np.concatenate([self.upper, self.lower])


@dataclass(frozen=True)
class LipSize:
    """Vertices along the upper and the lower edge of each lip, paired by position.

    Attributes:
        upper_lip: top and bottom edge of the upper lip.
        lower_lip: top and bottom edge of the lower lip.
    """

    upper_lip: VertexPairs
    lower_lip: VertexPairs

    @classmethod
    def read(cls, path: Path) -> LipSize:
        """Reads `{"upper_lip": {"top": [...], "bottom": [...]}, "lower_lip": {...}}`.

        Raises:
            UserError: the file is missing, or (FileFormatError) its content is invalid.
        """
        return _lip_size(path, read_json(path))

    def to_json(self) -> dict[str, dict[str, list[int]]]:
        """The content of the file that `read` reads."""
        lips = {"upper_lip": self.upper_lip, "lower_lip": self.lower_lip}
        return {name: {"top": lip.upper.tolist(), "bottom": lip.lower.tolist()} for name, lip in lips.items()}

    def all(self) -> Int64Array:
        """Returns all vertices of the four lists."""
        return np.concatenate([self.upper_lip.all(), self.lower_lip.all()])


@dataclass(frozen=True, kw_only=True)
class VertexLists:
    """The lists of one face; None for one that is not known.

    Attributes:
        lip_dist: vertices on the line where the lips meet, from the actor's right to the left.
        eye_dist: vertices at the edges of the lids, one pair for each eye, the right one first.
        lip_size: vertices along both edges of each lip.
        tongue_rigid: vertices of the tongue that move with the jaw only, `[vertices]`.
    """

    lip_dist: VertexPairs | None = None
    eye_dist: VertexPairs | None = None
    lip_size: LipSize | None = None
    tongue_rigid: Int64Array | None = None

    @classmethod
    def read(cls, path: Path) -> VertexLists:
        """Reads one file with all lists: an object with the names of this class as keys, each as in its own file.

        Raises:
            UserError: the file is missing, or (FileFormatError) its content is invalid, or it has another key.
        """
        values = _require_keys(path, read_json(path), ())
        known = [one.name for one in fields(cls)]
        for key in values:
            if key not in known:
                raise FileFormatError(
                    f"holds {key!a}, which is no list of vertices", path=path, hint=f"The lists are {', '.join(known)}."
                )
        found = {name: value for name, value in values.items() if value is not None}
        return cls(
            lip_dist=_pairs(path, found["lip_dist"], ("upper", "lower"), "lip_dist") if "lip_dist" in found else None,
            eye_dist=_pairs(path, found["eye_dist"], ("upper", "lower"), "eye_dist") if "eye_dist" in found else None,
            lip_size=_lip_size(path, found["lip_size"]) if "lip_size" in found else None,
            tongue_rigid=_indices(path, found["tongue_rigid"], "tongue_rigid") if "tongue_rigid" in found else None,
        )

    def to_json(self) -> dict[str, Any]:
        """The content of the file that `read` reads."""
        lists = {"lip_dist": self.lip_dist, "eye_dist": self.eye_dist, "lip_size": self.lip_size}
        found: dict[str, Any] = {name: value.to_json() for name, value in lists.items() if value is not None}
        return found if self.tongue_rigid is None else found | {"tongue_rigid": self.tongue_rigid.tolist()}

    def replaced(self, other: VertexLists) -> VertexLists:
        """These lists, with those that `other` knows in their place."""
        return replace(self, **{name: value for name, value in vars(other).items() if value is not None})


def read_indices(path: Path) -> Int64Array:
    """Reads a JSON list of vertices, such as those of the tongue that move rigidly, `[vertices]`."""
    return _indices(path, read_json(path), "the list")


def read_faces(path: Path) -> Int32Array:
    """Reads polygons from a `.npy` file in canonical form (`geometry.canonical_polygons`).

    Returns:
        Int32 `[faces, 3 or 4]`; the fourth corner of a triangle among quadrilaterals is -1.

    Raises:
        UserError: the file is missing, or (FileFormatError) its content is invalid, or all polygons are degenerate.
    """
    try:
        faces = canonical_polygons(read_npy(path))
    except ValueError as error:
        raise FileFormatError(str(error), path=path, hint=_POLYGON_HINT) from error
    if len(faces) == 0:
        raise FileFormatError("holds no polygon with three different corners", path=path, hint=_POLYGON_HINT)
    return faces


def _lip_size(path: Path, value: object) -> LipSize:
    lips = _require_keys(path, value, ("upper_lip", "lower_lip"))
    upper, lower = (_pairs(path, lips[name], ("top", "bottom"), name) for name in ("upper_lip", "lower_lip"))
    return LipSize(upper, lower)


def _pairs(path: Path, value: object, keys: tuple[str, str], name: str = "") -> VertexPairs:
    """Two lists of one length, under two keys; `name` is that of the list within the file."""
    lists = _require_keys(path, value, keys)
    above, below = (_indices(path, lists[key], f"{name}/{key}" if name else key) for key in keys)
    if len(above) != len(below):
        problem = f"pairs {len(above)} {keys[0]} with {len(below)} {keys[1]} vertices"
        raise FileFormatError(f"{name} {problem}" if name else problem, path=path, hint=_PAIRS_HINT)
    return VertexPairs(above, below)


def _require_keys(path: Path, value: object, keys: tuple[str, ...]) -> Mapping[str, Any]:
    if not isinstance(value, dict) or any(key not in value for key in keys):
        content = ", ".join(f'"{key}": ...' for key in keys)
        problem = f"should hold an object with the keys {', '.join(keys)}"
        raise FileFormatError(problem, path=path, hint=f"Write it as {{{content}}}.")
    return value


def _indices(path: Path, value: object, name: str) -> Int64Array:
    is_list = isinstance(value, list) and len(value) > 0
    if not is_list or any(type(item) is not int or not 0 <= item < 2**31 for item in value):  # type: ignore[attr-defined]
        problem = f"{name} should be a list of vertex numbers (0 or above)"
        raise FileFormatError(problem, path=path, hint="Write one flat list of whole numbers, such as [12, 13, 40].")
    return np.array(value, np.int64)
