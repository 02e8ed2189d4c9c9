"""`display_<actor>.npz`: data for drawing an actor, read only by this framework; lengths are centimetres.

The shape of every array is known from the face that it belongs to, and looked at before the array is unpacked.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path

import numpy as np

from audio2face.errors import LABEL_WORDS, UserError, is_label
from audio2face.geometry import canonical_polygons
from audio2face.io.arrays import Archive
from audio2face.model_folder.validation import FileDiagnostics
from audio2face.preproc.tongue import FOLLOWS_ARRAY, TO_JAW_ARRAY
from audio2face.types import AnyArray

Arrays = dict[str, AnyArray]
Verts = Mapping[str, int]

_EXTRA = "extra_"
_MAX_POLYGONS = 8  # per vertex; closed meshes have two triangles
_MAX_KEYS = 10_000  # of a blink
_FARTHEST_CM = 1e5
_FASTEST = 1_000  # frames per second
_PAIRS = (("lip_upper", "lip_lower"), ("eye_upper", "eye_lower"))
_AGAIN = "Preprocess and deploy the actor once more."


def read_display(path: Path, verts: Verts, faults: FileDiagnostics) -> Arrays:
    """Reads the file of an actor; reports invalid values.

    Args:
        path: the file.
        verts: vertices of "skin" and "tongue".
        faults: collects problems.

    Returns:
        The arrays that are right, by name; polygons as `geometry.canonical_polygons` makes them.
    """
    try:
        archive = Archive.open(path)
    except UserError as error:
        faults.error(error.problem, error.hint or _AGAIN)
        return {}
    found: Arrays = {}
    for name in archive.members:
        try:
            found[name] = _read(archive, name, verts)
        except (UserError, ValueError) as error:
            problem = error.problem if isinstance(error, UserError) else f"array {name!a} {error}"
            faults.error(problem, _AGAIN)
    for upper, lower in _PAIRS:
        if len(found.get(upper, ())) != len(found.get(lower, ())):
            faults.error(f"arrays {upper} and {lower} are not paired: they differ in length", _AGAIN)
    return found


def _read(archive: Archive, name: str, verts: Verts) -> AnyArray:
    """One array, checked.

    Raises:
        UserError: it cannot be read, or has another shape.
        ValueError: its values are not what they should be.
    """
    if not is_label(name):
        raise ValueError(f"has an invalid name, expected {LABEL_WORDS}")
    shape = _shape(archive, name, verts)
    if shape is not None:
        archive.require(name, shape)
    own = _own_verts(archive, name, verts)
    if name.endswith("_faces") and own is not None:
        if archive.members[name].shape[:1] > (_MAX_POLYGONS * own,):
            raise ValueError(f"lists {archive.members[name].shape[0]} polygons of {own} vertices")
        return canonical_polygons(archive.read(name), own)
    values = archive.read(name)
    if values.dtype.kind not in "fiub":
        raise ValueError(f"holds {values.dtype}, expected numbers")
    if not np.isfinite(values).all():
        raise ValueError("contains NaN or infinity")
    _check_values(name, values, verts)
    return values


def _shape(archive: Archive, name: str, verts: Verts) -> tuple[int | None, ...] | None:
    """The required shape of an array (None: any length); None if it depends on its content."""
    known: Mapping[str, tuple[int | None, ...]] = {
        "blink_keys": (None,),
        TO_JAW_ARRAY: (4, 4),
        f"{_EXTRA}eye_centres": (2, 3),
        **{list_name: (None,) for pair in _PAIRS for list_name in pair},
    }
    if name in known:
        return known[name]
    if name.startswith(_EXTRA) and name.endswith("_vertices"):
        return (None, 3)
    if name.startswith(_EXTRA) and name.endswith("_colours"):
        return (_own_verts(archive, name, verts), 3)
    return None


def _own_verts(archive: Archive, name: str, verts: Verts) -> int | None:
    """Number of vertices of the mesh of an array; None if unknown."""
    part = name.removeprefix(_EXTRA).rpartition("_")[0]
    vertices = archive.members.get(f"{_EXTRA}{part}_vertices")
    if part in verts:
        return verts[part]
    return vertices.shape[0] if vertices is not None and vertices.shape else None


def _is_rigid(values: AnyArray, _verts: Verts) -> bool:
    rotation = values[:3, :3].astype(np.float64)
    return bool(np.allclose(rotation @ rotation.T, np.eye(3), atol=1e-3) and np.linalg.det(rotation) > 0)


def _are_vertices(values: AnyArray, verts: Verts) -> bool:
    return values.dtype.kind in "iu" and int(values.min()) >= 0 and int(values.max()) < verts["skin"]


_VALUES: Mapping[str, tuple[str, Callable[[AnyArray, Verts], bool]]] = {
    "fps": (
        f"one number of frames per second, from 1 to {_FASTEST}",
        lambda values, _: values.size == 1 and bool(1 <= float(values.reshape(-1)[0]) <= _FASTEST),
    ),
    "blink_keys": (
        f"up to {_MAX_KEYS} numbers from 0 to 1",
        lambda values, _: len(values) <= _MAX_KEYS and bool(((values >= 0) & (values <= 1)).all()),
    ),
    TO_JAW_ARRAY: ("a rigid motion", _is_rigid),
    FOLLOWS_ARRAY: ("one value", lambda values, _: values.size == 1),
    **{name: ("numbers of vertices of the skin", _are_vertices) for pair in _PAIRS for name in pair},
}


def _check_values(name: str, values: AnyArray, verts: Verts) -> None:
    words, fits = "", True
    if name in _VALUES:
        words, check = _VALUES[name]
        fits = check(values, verts)
    elif name.endswith("_colours"):
        words, fits = "colours from 0 to 255", bool(((values >= 0) & (values <= 255)).all())
    elif values.dtype.kind == "f":
        words, fits = "lengths in centimetres", bool((np.abs(values) <= _FARTHEST_CM).all())
    if not fits:
        raise ValueError(f"does not hold what it should: {words}")
