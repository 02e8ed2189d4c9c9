"""Blend shapes in the form of raw data sets (`bs_skin.npz`) as a character, with what a data set has beside them."""

from __future__ import annotations

import hashlib
from collections.abc import Collection
from pathlib import Path

import numpy as np

from audio2face.dataset.vertex_lists import read_faces
from audio2face.errors import FileFormatError, UserError
from audio2face.io.arrays import Archive
from audio2face.io.atomic import file_sha256
from audio2face.rigs.scene import Piece, Scene
from audio2face.types import Float32Array, Int32Array

SUFFIX = ".npz"
_NAMES, _NEUTRAL = "poseNames", "neutral"
_FACES = ("faces.npy", "{part}_faces.npy", "../geom/{part}/faces.npy")
_TONGUE = "tongue"


def read_npz(path: Path) -> Scene:
    """Opens the blend shapes of a skin, and those of the tongue where `bs_tongue.npz` lies beside `bs_skin.npz`.

    Polygons are the array `faces` of the archive, or a file `faces.npy`, `skin_faces.npy` or `../geom/skin/faces.npy`
    beside it.

    Raises:
        UserError: the file is missing, damaged, of another form, or there are no polygons.
    """
    archives = {"skin": Archive.open(path)}
    beside = path.with_name(path.name.replace("skin", _TONGUE))
    if beside != path and beside.is_file():
        archives[_TONGUE] = Archive.open(beside)
    names = {part: _pose_names(archive) for part, archive in archives.items()}
    digest = hashlib.sha256("".join(file_sha256(archive.path) for archive in archives.values()).encode())
    faces = {part: _read_faces(archive, part) for part, archive in archives.items()}
    for array in faces.values():
        digest.update(array.tobytes())
    return Scene(
        path=path,
        kind="poses",
        shapes=tuple(dict.fromkeys(name for found in names.values() for name in found)),
        load=lambda wanted: [
            _piece(archive, part, [name for name in names[part] if name in wanted], faces[part])
            for part, archive in archives.items()
        ],
        unit_cm=1.0,
        up="y",
        digest=digest.hexdigest(),
    )


def _pose_names(archive: Archive) -> tuple[str, ...]:
    if _NAMES not in archive.members or _NEUTRAL not in archive.members:
        raise FileFormatError(
            f"has no arrays {_NAMES} and {_NEUTRAL}, which blend shapes have",
            path=archive.path,
            hint="Save poseNames, neutral [verts, 3], and for each pose an array of its name with its offsets.",
        )
    array = archive.read(_NAMES)
    if array.ndim != 1 or array.dtype.kind not in "SU":
        raise FileFormatError(f"{_NAMES} is {array.dtype}, expected a list of names", path=archive.path)
    names = [name.decode("utf-8", "replace") if isinstance(name, bytes) else str(name) for name in array.tolist()]
    return tuple(name for name in names if name != _NEUTRAL)


def _read_faces(archive: Archive, part: str) -> Int32Array:
    if "faces" in archive.members:
        archive.require("faces", (None, None))
        return np.asarray(archive.read("faces"), np.int32)
    places = [archive.path.parent / place.format(part=part) for place in _FACES]
    found = next((place for place in places if place.is_file()), None)
    if found is None:
        raise UserError(
            "has no array faces, and no faces.npy lies beside it, so its polygons are not known",
            path=archive.path,
            hint="Save them as faces.npy in its folder: vertex numbers from 0, one row for each polygon.",
        )
    return read_faces(found)


def _piece(archive: Archive, part: str, names: Collection[str], faces: Int32Array) -> Piece:
    neutral = archive.read_floats(_NEUTRAL, (None, 3))
    if faces.size and faces.max() >= len(neutral):
        raise FileFormatError(
            f"has {len(neutral):,} vertices, and a polygon names vertex {faces.max():,}", path=archive.path
        )
    deltas: dict[str, Float32Array] = {name: archive.read_floats(name, neutral.shape) for name in names}
    for name, array in (deltas | {_NEUTRAL: neutral}).items():
        if not np.isfinite(array).all():
            raise FileFormatError(f"array {name!a} holds NaN or infinity", path=archive.path)
    return Piece(part, neutral, faces, deltas, None)
