"""Lists of vertices that mark a place on the mesh: lips, lids, faces. Knows their files, not the mesh."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from audio2face.dataset.arrays import read_json, read_npy
from audio2face.errors import FileFormatError

Indices = npt.NDArray[np.int64]


@dataclass(frozen=True)
class VertexPairs:
    """Vertices above and below an opening, paired by position: lips (any number) or lids (one pair per eye).

    Attributes:
        upper: vertices above the opening, `[pairs]`.
        lower: vertices below it, `[pairs]`.
    """

    upper: Indices
    lower: Indices

    @classmethod
    def read(cls, path: Path) -> VertexPairs:
        """Reads `{"upper": [...], "lower": [...]}`.

        Raises:
            UserError: the file is missing, or (FileFormatError) it holds something else.
        """
        lists = _require_keys(path, read_json(path), ("upper", "lower"))
        upper, lower = (_indices(path, lists[key], key) for key in ("upper", "lower"))
        if len(upper) != len(lower):
            raise FileFormatError(f"pairs {len(upper)} upper with {len(lower)} lower vertices", path=path)
        return cls(upper, lower)

    def all(self) -> Indices:
        """Every vertex of both lists, `[2 * pairs]`."""
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
            UserError: the file is missing, or (FileFormatError) it holds something else.
        """
        lips = _require_keys(path, read_json(path), ("upper_lip", "lower_lip"))
        return cls(_edges(path, lips["upper_lip"], "upper_lip"), _edges(path, lips["lower_lip"], "lower_lip"))

    def all(self) -> Indices:
        """Every vertex of all four lists."""
        return np.concatenate([self.upper_lip.all(), self.lower_lip.all()])


def read_indices(path: Path) -> Indices:
    """Reads a JSON list of vertices, such as those of the tongue that move rigidly, `[vertices]`."""
    return _indices(path, read_json(path), "the list")


def read_faces(path: Path) -> npt.NDArray[np.int32]:
    """Reads polygons from a `.npy` file, int32 `[faces, corners]` with 3 or 4 corners; -1 as fourth: a triangle.

    Raises:
        UserError: the file is missing, or (FileFormatError) it holds something else.
    """
    faces = read_npy(path)
    if faces.ndim != 2 or faces.shape[1] not in (3, 4) or len(faces) == 0 or faces.dtype.kind not in "iu":
        raise FileFormatError(
            f"holds {faces.dtype} of shape {list(faces.shape)}, expected integers [faces, 3 or 4]", path=path
        )
    if int(faces.max()) > np.iinfo(np.int32).max:
        raise FileFormatError(f"names vertex {int(faces.max())}", path=path)
    return np.array(faces, np.int32)


def _edges(path: Path, value: object, name: str) -> VertexPairs:
    lists = _require_keys(path, value, ("top", "bottom"))
    top, bottom = (_indices(path, lists[key], f"{name}/{key}") for key in ("top", "bottom"))
    if len(top) != len(bottom):
        raise FileFormatError(f"{name} pairs {len(top)} top with {len(bottom)} bottom vertices", path=path)
    return VertexPairs(top, bottom)


def _require_keys(path: Path, value: object, keys: tuple[str, ...]) -> Mapping[str, Any]:
    if not isinstance(value, dict) or any(key not in value for key in keys):
        raise FileFormatError(f"should hold an object with the keys {', '.join(keys)}", path=path)
    return value


def _indices(path: Path, value: object, name: str) -> Indices:
    is_list = isinstance(value, list) and len(value) > 0
    if not is_list or any(type(item) is not int or not 0 <= item < 2**31 for item in value):  # type: ignore[attr-defined]
        raise FileFormatError(f"{name} should be a list of vertex numbers (0 or above)", path=path)
    return np.array(value, np.int64)
