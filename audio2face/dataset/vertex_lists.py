"""Reads lists of vertices that mark regions of the mesh: lips, lids, rigid vertices of the tongue, polygons."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
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
        lists = _require_keys(path, read_json(path), ("upper", "lower"))
        upper, lower = (_indices(path, lists[key], key) for key in ("upper", "lower"))
        if len(upper) != len(lower):
            raise FileFormatError(
                f"pairs {len(upper)} upper with {len(lower)} lower vertices", path=path, hint=_PAIRS_HINT
            )
        return cls(upper, lower)

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
        lips = _require_keys(path, read_json(path), ("upper_lip", "lower_lip"))
        return cls(_edges(path, lips["upper_lip"], "upper_lip"), _edges(path, lips["lower_lip"], "lower_lip"))

    def all(self) -> Int64Array:
        """Returns all vertices of the four lists."""
        return np.concatenate([self.upper_lip.all(), self.lower_lip.all()])


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


def _edges(path: Path, value: object, name: str) -> VertexPairs:
    lists = _require_keys(path, value, ("top", "bottom"))
    top, bottom = (_indices(path, lists[key], f"{name}/{key}") for key in ("top", "bottom"))
    if len(top) != len(bottom):
        raise FileFormatError(
            f"{name} pairs {len(top)} top with {len(bottom)} bottom vertices", path=path, hint=_PAIRS_HINT
        )
    return VertexPairs(top, bottom)


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
