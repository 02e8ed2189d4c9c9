"""Checks blend shapes and their solver's settings against the requirements of readers of a deployed model.

Faults that packaging repairs (types, compression, order) are warnings; faults that break the solve are errors.
"""

from __future__ import annotations

import json
import math
from collections import Counter
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from audio2face.config_base.types import SkinBasis
from audio2face.dataset.actor import BLENDSHAPE_PATHS, ActorDataset
from audio2face.dataset.checks.report import Findings, Severity, first_few
from audio2face.dataset.checks.static import check_finite, resembles_pose
from audio2face.errors import LABEL_WORDS, UserError, is_label
from audio2face.io.arrays import Archive, read_json, require_shape
from audio2face.types import AnyArray, Float32Array

_NEUTRAL = "neutral"
_NOT_POSES = ("poseNames", _NEUTRAL, "frontalMask", "rig_version")
_STRENGTHS = (
    "strengthL1regularization",
    "strengthL2regularization",
    "strengthTemporalSmoothing",
    "strengthSymmetry",
)
_INT_LISTS = ("bsSolveActivePoses", "bsSolveCancelPoses", "bsSolveSymmetryPoses")
_FLOAT_LISTS = ("bsWeightMultipliers", "bsWeightOffsets")
_PAIRS = ("bsSolveCancelPoses", "bsSolveSymmetryPoses")
_SMALLEST_BOX = 1.0  # cm
_WORST_CONDITION = 1e7  # of the matrix that inference solves with
_REPAIRED = "Packaging the model fixes this; export it as float32, uncompressed and in C order to be tidy."


def check_blendshapes(
    dataset: ActorDataset, verts: Mapping[str, int | None], findings: Findings, skin_basis: SkinBasis = "pca"
) -> None:
    """Checks the sets of skin and tongue.

    Args:
        dataset: the actor.
        verts: vertices of "skin" and "tongue"; None if unknown.
        findings: receives the findings.
        skin_basis: SKIN_BASIS of preprocessing.
    """
    if skin_basis == "blendshapes" and dataset.blendshapes("skin") is None:
        findings.error(
            "blendshape-basis",
            'SKIN_BASIS is "blendshapes", but there are no blend shapes of the skin',
            'Give BLENDSHAPE_SKIN_FPATH and BLENDSHAPE_SKIN_CONFIG_FPATH, or set SKIN_BASIS = "pca".',
        )
    present = []
    for part, parameters in BLENDSHAPE_PATHS.items():
        given = [name for name in parameters if name in dataset.paths]
        files = dataset.blendshapes(part)
        if files is not None:
            present.append(part)
            poses = _check_data(files.data, verts[part], findings)
            settings = _check_config(files.config, poses, findings)
            if poses is not None and settings is not None:
                _check_solvable(files.data, settings, findings)
        elif given:
            findings.warning(
                "blendshape-incomplete",
                f"{given[0]} is given without its counterpart: the set is ignored",
                f"Give both {' and '.join(parameters)}, or none.",
                file=dataset.paths[given[0]],
            )
    if present == ["skin"]:
        findings.warning(
            "blendshape-no-tongue",
            "there are blend shapes of the skin and none of the tongue: the SDK requires both to return weights",
            "Give a set for the tongue as well if weights are wanted.",
            file=dataset.paths["BLENDSHAPE_SKIN_FPATH"],
        )


def _check_data(path: Path, verts: int | None, findings: Findings) -> int | None:
    """Checks the poses; returns their number without the neutral, None if they cannot be counted."""
    archive = findings.attempt(lambda: Archive.open(path), "file-unreadable", path)
    if archive is None:
        return None
    names = _pose_names(archive, findings)
    neutral = _read(archive, _NEUTRAL, (None, 3), findings)
    if neutral is not None:
        check_finite(neutral, path, findings)
        if verts not in (None, len(neutral)):
            findings.error(
                "blendshape-shape",
                f"the neutral has {len(neutral)} vertices, the caches have {verts}",
                "Export the blend shapes from the mesh of the caches.",
                file=path,
            )
    expected = verts if neutral is None else len(neutral)
    for name in names or ():
        _check_pose(archive, name, neutral, expected, findings)
    if "frontalMask" in archive.members:
        _check_mask(archive, expected, findings)
    _check_storage(archive, findings)
    return None if names is None else len(names)


def _pose_names(archive: Archive, findings: Findings) -> list[str] | None:
    """Returns the poses without the neutral, as `poseNames` lists them."""
    path = archive.path
    if "poseNames" not in archive.members:
        findings.error(
            "blendshape-names", "has no array poseNames", 'Add the names, "neutral" first, as bytes (S).', file=path
        )
        return None
    array = findings.attempt(lambda: archive.read("poseNames"), "file-unreadable", path)
    if array is None:
        return None
    if array.ndim != 1 or array.dtype.kind not in "SU":
        findings.error(
            "blendshape-names",
            f"poseNames is {array.dtype} of shape {list(array.shape)}, expected a list of names",
            'Store the names, "neutral" first, as bytes (S).',
            file=path,
        )
        return None
    names = _decoded(array)
    doubled = [name for name, times in Counter(names).items() if times > 1]
    if doubled:
        findings.error(
            "blendshape-names", f"poseNames lists {doubled[0]!r} more than once", "List every pose once.", file=path
        )
    check_names(names, path, findings)
    if not names or names[0] != _NEUTRAL:
        findings.warning(
            "blendshape-neutral",
            f'poseNames does not start with "{_NEUTRAL}"',
            "Packaging the model adds it.",
            file=path,
        )
    return [name for name in names if name != _NEUTRAL]


def _decoded(names: AnyArray) -> list[str]:
    """Decodes names; bytes as UTF-8."""
    return [name.decode("utf-8", "replace") if isinstance(name, bytes) else str(name) for name in names.tolist()]


def check_names(names: Iterable[str], path: Path, findings: Findings) -> None:
    """Reports names that a deployed model does not allow."""
    wrong = [name for name in names if not is_label(name)]
    if wrong:
        findings.error(
            "name-not-allowed",
            f"{first_few(wrong)} cannot be deployed: expected {LABEL_WORDS}",
            "Rename it in the animation package and export once more.",
            file=path,
        )


def _read(archive: Archive, name: str, shape: tuple[int | None, ...], findings: Findings) -> Float32Array | None:
    if name not in archive.members:
        findings.error(
            "blendshape-missing",
            f"has no array {name!a}",
            "Add the pose, or remove its name from poseNames.",
            file=archive.path,
        )
        return None
    try:
        require_shape(archive.path, archive.members[name].shape, archive.members[name].dtype, shape)
    except UserError as error:
        findings.error(
            "blendshape-shape",
            f"pose {name!a} {error.problem}",
            "Export every pose from the mesh of the neutral.",
            file=archive.path,
        )
        return None
    return findings.attempt(lambda: archive.read_floats(name, shape), "file-unreadable", archive.path)


def _check_pose(
    archive: Archive, name: str, neutral: Float32Array | None, verts: int | None, findings: Findings
) -> None:
    pose = _read(archive, name, (verts, 3), findings)
    if pose is None:
        return
    if not np.isfinite(pose).all():
        vertex = int(np.argmin(np.isfinite(pose).all(axis=1)))
        findings.error(
            "not-finite",
            f"pose {name!r} is NaN or infinite, first at vertex {vertex}",
            "Export the pose once more.",
            file=archive.path,
            vertex=vertex,
        )
    elif resembles_pose(pose, neutral):
        findings.error(
            "blendshape-absolute",
            f"pose {name!r} holds positions instead of offsets from the neutral",
            "Subtract the neutral from every pose.",
            file=archive.path,
        )


def _check_mask(archive: Archive, verts: int | None, findings: Findings) -> None:
    mask = findings.attempt(lambda: archive.read("frontalMask"), "file-unreadable", archive.path)
    if mask is None:
        return
    if mask.ndim != 1 or mask.dtype.kind not in "iu" or len(mask) == 0:
        findings.error(
            "blendshape-mask",
            f"frontalMask is {mask.dtype} of shape {list(mask.shape)}, expected a list of vertices",
            "Store vertex numbers as int32.",
            file=archive.path,
        )
        return
    lowest, highest = int(mask.min()), int(mask.max())
    if lowest < 0 or (verts is not None and highest >= verts):
        findings.error(
            "blendshape-mask",
            f"frontalMask names vertices {lowest} to {highest}, the poses have {verts} vertices",
            "Export the mask from the mesh of the neutral; numbers start at 0.",
            file=archive.path,
            vertex=lowest if lowest < 0 else highest,
        )
    if mask.dtype != np.dtype("<i4"):
        findings.warning(
            "blendshape-storage", f"frontalMask is {mask.dtype}, expected int32", _REPAIRED, file=archive.path
        )


def _check_storage(archive: Archive, findings: Findings) -> None:
    """Reports formats that the SDK's reader would misread and that packaging converts."""
    poses = {name: member for name, member in archive.members.items() if name not in _NOT_POSES or name == _NEUTRAL}
    for what, names in (
        ("are not float32", [name for name, member in poses.items() if member.dtype != np.dtype("<f4")]),
        ("are compressed", [name for name, member in archive.members.items() if member.compressed]),
        ("are in Fortran order", [name for name, member in poses.items() if member.fortran]),
        ("hold unicode text", [name for name, member in archive.members.items() if member.dtype.kind == "U"]),
    ):
        if names:
            findings.warning(
                "blendshape-storage",
                f"{len(names)} arrays {what}, such as {names[0]!a}",
                _REPAIRED,
                file=archive.path,
            )


def _check_solvable(path: Path, settings: Mapping[str, Any], findings: Findings) -> None:
    """Reports active poses whose weights a face does not determine, and no regularisation decides between."""
    is_wrong = any(item.file == path and item.severity is Severity.ERROR for item in findings.items)
    if is_wrong or settings["strengthL2regularization"] > 0:
        return
    archive = Archive.open(path)
    names = [name for name in _decoded(archive.read("poseNames")) if name != _NEUTRAL]
    active = [name for name, is_active in zip(names, settings["bsSolveActivePoses"], strict=True) if is_active]
    rows = archive.read("frontalMask") if "frontalMask" in archive.members else slice(None)
    deltas = np.stack([archive.read_floats(name, (None, 3))[rows].reshape(-1).astype(np.float64) for name in active])
    values, vectors = np.linalg.eigh(deltas @ deltas.T)
    if values[0] * _WORST_CONDITION <= values[-1]:
        shares = np.abs(vectors[:, 0])
        findings.error(
            "blendshape-solvable",
            f"the weights of {first_few([active[place] for place in np.flatnonzero(shares >= 0.5 * shares.max())])} "
            "cannot be told from a face: they move nothing that the solver looks at, or all the same",
            "Raise strengthL2regularization, or set these poses to 0 in bsSolveActivePoses.",
            file=path,
        )


def _check_config(path: Path, poses: int | None, findings: Findings) -> Mapping[str, Any] | None:
    """Checks the solver's settings and returns them; None if they are invalid."""
    values = findings.attempt(lambda: read_json(path), "file-unreadable", path)
    if values is None:
        return None
    parameters = values.get("blendshape_params") if isinstance(values, dict) else None
    if not isinstance(parameters, dict):
        findings.error(
            "blendshape-config",
            "has no object blendshape_params",
            "Put the solver's settings under blendshape_params.",
            file=path,
        )
        return None
    problems = _problems(parameters, poses)
    if not problems and not _is_strict_json(values):
        problems = ["holds NaN or Infinity, which JSON does not have"]
    for problem in problems:
        findings.error("blendshape-config", problem, "Correct the solver's settings.", file=path)
    return None if problems else parameters


def _is_strict_json(values: object) -> bool:
    try:
        json.dumps(values, allow_nan=False)
    except ValueError:
        return False
    return True


def _problems(parameters: Mapping[str, Any], poses: int | None) -> list[str]:
    """Returns all faults of a solver's settings, given the number of poses without the neutral."""
    count = parameters.get("numPoses")
    problems = []
    if not _is_number(count, int) or count is None or count < 1:
        problems.append(f"numPoses is {count!r}, expected the number of poses without the neutral")
        count = None
    elif poses is not None and count != poses:
        problems.append(f"numPoses is {count}, the data hold {poses} poses without the neutral")
    problems += [
        f"{name} is {parameters.get(name)!r}, expected a number of 0 or above"
        for name in _STRENGTHS
        if not _is_number(parameters.get(name), int | float) or parameters[name] < 0
    ]
    box = parameters.get("templateBBSize", _SMALLEST_BOX)
    if not _is_number(box, int | float) or box < _SMALLEST_BOX:
        problems.append(f"templateBBSize is {box!r}, expected {_SMALLEST_BOX:g} cm or more")
    for name in (*_INT_LISTS, *_FLOAT_LISTS):
        problems += _list_problems(parameters, name, int if name in _INT_LISTS else int | float, poses or count)
    return problems


def _list_problems(parameters: Mapping[str, Any], name: str, kind: Any, count: int | None) -> list[str]:
    values = parameters.get(name)
    if not isinstance(values, list) or not all(_is_number(value, kind) for value in values):
        return [f"{name} should be a list of {'integers' if kind is int else 'numbers'}"]
    if count is not None and len(values) != count:
        return [f"{name} has {len(values)} values, expected {count}: one per pose"]
    if name == "bsSolveActivePoses" and not any(values):
        return [f"{name} makes no pose active"]
    if name in _PAIRS:
        return [
            f"{name} has the pair number {pair} {times} times, expected twice"
            for pair, times in Counter(values).items()
            if pair != -1 and times != 2
        ]
    return []


def _is_number(value: object, kind: Any) -> bool:
    return (
        isinstance(value, kind)
        and not isinstance(value, bool)
        and not (isinstance(value, float) and not math.isfinite(value))
    )
