"""Writes the files of a raw data set that belong to no shot, in the standard layout: poses, vertex lists, blend shapes.

docs/preparing_data.md describes the layout ("The folder of an actor") and each file.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from audio2face.dataset.vertex_lists import VertexLists
from audio2face.io.atomic import write_json, write_npy, write_npz
from audio2face.types import AnyArray, Float32Array

JAW_ARCHIVE, EYE_ARCHIVE = "xform/jaw_keypoints_cache_all.npz", "xform/eye_rotations_all.npz"
"""Archives of all shots: offsets of the jaw's key points, rotations of the eyes."""

_UNLIKE = ("eyeLook", "tongue")  # pairs that do not move alike
_UNSOLVED = ("eyeLook", "tongueOut")


@dataclass(frozen=True, eq=False, kw_only=True)
class ShapeSet:
    """Blend shapes of a mesh.

    Attributes:
        names: of the shapes.
        deltas: their offsets from the neutral, float32 `[shapes, verts, 3]`, centimetres.
        frontal: vertices that the solver uses, int32 `[any]`; None: all.
        sparsity: strength of the solver's preference for few shapes.
        version: of the rig.
    """

    names: Sequence[str]
    deltas: Float32Array
    frontal: AnyArray | None = None
    sparsity: float = 0.5
    version: str = "1"


@dataclass(frozen=True, eq=False, kw_only=True)
class TongueGeometry:
    """A tongue that is a mesh of its own.

    Attributes:
        neutral: float32 `[verts, 3]`, centimetres.
        faces: integer `[faces, 3 or 4]`.
        shapes: its blend shapes; None without them.
    """

    neutral: Float32Array
    faces: AnyArray
    shapes: ShapeSet | None = None


@dataclass(frozen=True, eq=False, kw_only=True)
class ActorGeometry:
    """What a raw data set holds of a face beside its motion; None for what is not known.

    Lengths are centimetres, +y up, +z out of the face.

    Attributes:
        neutral: float32 `[verts, 3]`.
        faces: integer `[faces, 3 or 4]`.
        lip_open: offsets that part the lips, float32 `[verts, 3]`.
        eye_close: offsets that shut both eyes, float32 `[verts, 3]`.
        lists: vertices that mark lips, lids and the root of the tongue.
        tongue: the tongue.
        jaw_keypoints: points that move with the lower jaw, float32 `[points, 3]`.
        blink_keys: one blink at 30 frames per second, 0 open to 1 shut, float32 `[frames]`.
        saccades: small motion of the eyes at 30 frames per second, degrees, float32 `[frames, 2]`.
        parts: rigid parts for drawing, as EXTRA_PARTS_FPATH names them.
        shapes: blend shapes of the skin.
    """

    neutral: Float32Array
    faces: AnyArray | None = None
    lip_open: Float32Array | None = None
    eye_close: Float32Array | None = None
    lists: VertexLists = field(default_factory=VertexLists)
    tongue: TongueGeometry | None = None
    jaw_keypoints: Float32Array | None = None
    blink_keys: Float32Array | None = None
    saccades: Float32Array | None = None
    parts: Mapping[str, AnyArray] = field(default_factory=dict)
    shapes: ShapeSet | None = None


def write_actor_geometry(folder: Path, actor: ActorGeometry) -> None:
    """Writes all files of an actor except those of the shots.

    Args:
        folder: folder of the actor.
        actor: the face; what is None has no file.

    Raises:
        UserError: a file cannot be written.
    """
    skin, xform = folder / "geom/skin", folder / "xform"
    arrays: dict[Path, AnyArray | None] = {
        skin / "neutral_pose.npy": actor.neutral,
        skin / "faces.npy": actor.faces,
        skin / "lip_open_pose_delta.npy": actor.lip_open,
        skin / "eye_close_pose_delta.npy": actor.eye_close,
        xform / "jaw_keypoints_neutral.npy": actor.jaw_keypoints,
        xform / "eye_blink_keys.npy": actor.blink_keys,
        xform / "eye_saccade_rotations.npy": actor.saccades,
    }
    for path, array in arrays.items():
        if array is not None:
            write_npy(path, array)
    _write_lists(folder / "geom", actor.lists)
    if actor.parts:
        write_npz(folder / "geom/extra_parts.npz", actor.parts)
    if actor.shapes is not None:
        _write_shapes(folder / "bs_data", "skin", actor.neutral, actor.shapes)
    if actor.tongue is not None:
        tongue = actor.tongue
        write_npy(folder / "geom/tongue/neutral_pose.npy", tongue.neutral)
        write_npy(folder / "geom/tongue/faces.npy", tongue.faces)
        if tongue.shapes is not None:
            _write_shapes(folder / "bs_data", "tongue", tongue.neutral, tongue.shapes)


def _write_lists(folder: Path, lists: VertexLists) -> None:
    for name in ("lip_dist", "eye_dist", "lip_size"):
        found = getattr(lists, name)
        if found is not None:
            write_json(folder / f"skin/{name}_vertex_list.json", found.to_json())
    if lists.tongue_rigid is not None:
        write_json(folder / "tongue/rigid_vertex_list.json", lists.tongue_rigid.tolist())


def _write_shapes(folder: Path, part: str, neutral: Float32Array, shapes: ShapeSet) -> None:
    """Writes the archive of a set in the SDK's form, byte strings with the neutral first, and the solver's settings."""
    arrays: dict[str, AnyArray] = {"poseNames": np.array(["neutral", *shapes.names], dtype="S"), "neutral": neutral}
    arrays |= {name: delta.astype(np.float32) for name, delta in zip(shapes.names, shapes.deltas, strict=True)}
    if shapes.frontal is not None:
        arrays["frontalMask"] = shapes.frontal.astype(np.int32)
    arrays["rig_version"] = np.array(shapes.version.encode())
    write_npz(folder / f"bs_{part}.npz", arrays)
    write_json(folder / f"bs_{part}_config.json", {"blendshape_params": _solver_parameters(neutral, shapes)})


def _solver_parameters(neutral: Float32Array, shapes: ShapeSet) -> dict[str, float | list[int] | list[float]]:
    count = len(shapes.names)
    return {
        # The effect of strengths grows with fewer vertices: those of dense scans would mute a face of few.
        "strengthL2regularization": 0.05,
        "strengthL1regularization": shapes.sparsity,
        "strengthTemporalSmoothing": 0.01,
        "strengthSymmetry": 100.0,
        "numPoses": count,
        "bsSolveActivePoses": [int(not name.startswith(_UNSOLVED)) for name in shapes.names],
        "bsSolveCancelPoses": [-1] * count,
        "bsSolveSymmetryPoses": _symmetry(shapes.names),
        "bsWeightMultipliers": [1.0] * count,
        "bsWeightOffsets": [0.0] * count,
        "templateBBSize": round(float(np.linalg.norm(np.ptp(neutral, axis=0))), 4),
    }


def _symmetry(names: Sequence[str]) -> list[int]:
    """A common id for each left and right shape that move alike, -1 for all others."""
    stems = [
        name.removesuffix("Left")
        for name in names
        if name.endswith("Left") and f"{name.removesuffix('Left')}Right" in names
        if name not in ("jawLeft", "mouthLeft") and not name.startswith(_UNLIKE)
    ]
    ids = {f"{stem}{side}": number for number, stem in enumerate(stems) for side in ("Left", "Right")}
    return [ids.get(name, -1) for name in names]
