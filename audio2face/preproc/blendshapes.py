"""Copies a set of blend shapes and converts it to the form that all readers of a deployed model accept.

The SDK's archive reader only uses item sizes: it reads float64 as twice as many float32, unicode as short bytes and
Fortran order as C order, and loses the rest of a compressed file. These defects are repaired here and listed; others
are errors. The dataset's checks judge the poses themselves.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import NoReturn

import numpy as np
import numpy.typing as npt

from audio2face.dataset import BlendshapeFiles
from audio2face.dataset.checks.static import resembles_pose
from audio2face.errors import LABEL_WORDS, FileFormatError, UserError, is_label
from audio2face.io.arrays import Archive, read_json
from audio2face.io.atomic import write_json, write_npz
from audio2face.types import AnyArray, Float32Array, Int32Array

NEUTRAL = "neutral"
_NOT_POSES = ("poseNames", "frontalMask", "rig_version")


def copy_blendshapes(source: BlendshapeFiles, target: BlendshapeFiles) -> list[str]:
    """Copies both files of a set.

    Args:
        source: the actor's files.
        target: paths in the run folder.

    Returns:
        Descriptions of all repairs; empty if the copy equals the source.

    Raises:
        UserError: a file is missing or damaged, lacks poses that it names, or is not strict JSON.
    """
    repairs: list[str] = []
    arrays = _repair(Archive.open(source.data), repairs)
    config = read_json(source.config)
    try:
        json.dumps(config, allow_nan=False)
    except ValueError as error:
        raise FileFormatError("holds NaN or Infinity, which JSON does not have", path=source.config) from error
    write_npz(target.data, arrays)
    write_json(target.config, config)
    return list(dict.fromkeys(repairs))  # once for each kind of repair


def read_poses(path: Path) -> dict[str, Float32Array]:
    """Reads the poses of a set, repaired as `copy_blendshapes` repairs them, the neutral first.

    Returns:
        `neutral` `[verts, 3]`, then offsets from it `[verts, 3]` of each pose, float32, centimetres.

    Raises:
        UserError: the file is damaged, or lacks poses that it names.
    """
    arrays = _repair(Archive.open(path), [])
    return {name: array for name, array in arrays.items() if name not in _NOT_POSES}


def _repair(archive: Archive, repairs: list[str]) -> dict[str, AnyArray]:
    """Returns the arrays in the order that every reader accepts: names, neutral, poses, mask, version."""
    neutral = _pose(archive, NEUTRAL, None, repairs)
    names = _pose_names(archive, repairs)
    arrays: dict[str, AnyArray] = {"poseNames": np.array([name.encode() for name in names]), NEUTRAL: neutral}
    for name in names[1:]:
        pose = _pose(archive, name, len(neutral), repairs)
        if resembles_pose(pose, neutral):
            repairs.append("poses held positions: the neutral was subtracted")
            pose = pose - neutral
        arrays[name] = pose
    if "frontalMask" in archive.members:
        arrays["frontalMask"] = _mask(archive, len(neutral), repairs)
    if "rig_version" in archive.members:
        arrays["rig_version"] = _version(archive, repairs)
    if any(member.compressed for member in archive.members.values()):
        repairs.append("arrays were compressed: stored plainly")
    if dropped := [name for name in archive.members if name not in arrays]:
        repairs.append(f"{len(dropped)} arrays that poseNames does not list were dropped, such as {dropped[0]!a}")
    elif not repairs and list(archive.members) != list(arrays):
        repairs.append("arrays were sorted into the usual order")
    return arrays


def _pose_names(archive: Archive, repairs: list[str]) -> list[str]:
    if "poseNames" not in archive.members:
        repairs.append("poseNames was missing: made from the names of the arrays")
        return [NEUTRAL, *(name for name in archive.members if name not in (*_NOT_POSES, NEUTRAL))]
    stored = archive.read("poseNames")
    if stored.ndim != 1 or stored.dtype.kind not in "SU":
        _refuse(archive, f"poseNames is {stored.dtype} of shape {list(stored.shape)}, expected a list of names")
    if stored.dtype.kind == "U":
        repairs.append("poseNames was unicode: stored as bytes")
    names = [name.decode("utf-8", "replace") if isinstance(name, bytes) else str(name) for name in stored.tolist()]
    if len(set(names)) != len(names):
        _refuse(archive, "poseNames lists a pose more than once")
    strange = [name for name in names if not is_label(name)]
    if strange:
        _refuse(archive, f"poseNames lists {strange[0]!a}, expected {LABEL_WORDS}")
    if names[:1] != [NEUTRAL]:
        repairs.append('poseNames did not start with "neutral": put first')
    return [NEUTRAL, *(name for name in names if name != NEUTRAL)]


def _pose(archive: Archive, name: str, verts: int | None, repairs: list[str]) -> Float32Array:
    pose = archive.read_floats(name, (verts, 3))
    if not np.isfinite(pose).all():
        _refuse(archive, f"pose {name!a} is NaN or infinite in places")
    member = archive.members[name]
    if member.dtype != np.dtype("<f4"):
        repairs.append(f"poses were {member.dtype}: stored as float32")
    if member.fortran:
        repairs.append("poses were in Fortran order: stored in C order")
    return pose


def _mask(archive: Archive, verts: int, repairs: list[str]) -> Int32Array:
    mask = archive.read("frontalMask")
    if mask.ndim != 1 or mask.dtype.kind not in "iu" or not mask.size:
        _refuse(archive, f"frontalMask is {mask.dtype} of shape {list(mask.shape)}, expected vertex numbers")
    if mask.min() < 0 or mask.max() >= verts:
        _refuse(archive, f"frontalMask names vertices {mask.min()} to {mask.max()} of a mesh of {verts}")
    if mask.dtype != np.dtype("<i4"):
        repairs.append(f"frontalMask was {mask.dtype}: stored as int32")
    return mask.astype(np.int32)


def _version(archive: Archive, repairs: list[str]) -> npt.NDArray[np.bytes_]:
    stored = archive.read("rig_version")
    if stored.dtype.kind == "S":
        return stored
    repairs.append("rig_version was not a byte string: stored as one")
    return np.array(str(stored.tolist()).encode())


def _refuse(archive: Archive, problem: str) -> NoReturn:
    raise UserError(
        problem,
        path=archive.path,
        hint="Export the blend shapes once more. For all findings: python run_check.py CONFIG_NAME",
    )
