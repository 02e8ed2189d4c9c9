"""`bs_skin*` and `bs_tongue*`: blend shapes of a deployed folder, and settings of their solver."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from audio2face.animation import SolverSettings
from audio2face.errors import LABEL_WORDS
from audio2face.model_folder.actor import decoded_names, is_finite
from audio2face.model_folder.npz import StoredArchive
from audio2face.model_folder.validation import FileDiagnostics, JsonObject
from audio2face.types import Float32Array, Int32Array

NEUTRAL = "neutral"
_MASK = "frontalMask"
_VERSION = "rig_version"
_TEMPLATE_SIZE = 54.7  # cm; the SDK's default
_MAX_POSES = 10_000
_STRONGEST = 1e9
_SIMILAR = 0.95  # cosine to the neutral: positions instead of offsets
_EXPORT = "Export the blend shapes once more, preprocess the actor and deploy."


def read_solver_settings(file: JsonObject) -> SolverSettings:
    """Reads `blendshape_params` from the file; reports invalid values."""
    params = file.child("blendshape_params")
    poses = params.count("numPoses", 1, _MAX_POSES)
    active = _whole(params, "bsSolveActivePoses", poses)
    if active and not any(active):
        params.wrong("bsSolveActivePoses", list(active), "at least one pose that is not 0")
    return SolverSettings(
        l1=params.number("strengthL1regularization", 0, _STRONGEST),
        l2=params.number("strengthL2regularization", 0, _STRONGEST),
        temporal=params.number("strengthTemporalSmoothing", 0, _STRONGEST),
        symmetry=params.number("strengthSymmetry", 0, _STRONGEST),
        template_size=_template_size(params),
        active=tuple(value != 0 for value in active),
        cancel_pairs=_pairs(params, "bsSolveCancelPoses", poses),
        symmetry_pairs=_pairs(params, "bsSolveSymmetryPoses", poses),
        multipliers=params.numbers("bsWeightMultipliers", poses),
        offsets=params.numbers("bsWeightOffsets", poses),
    )


def _template_size(params: JsonObject) -> float:
    return params.number("templateBBSize", 1, _STRONGEST) if params.has("templateBBSize") else _TEMPLATE_SIZE


def _whole(params: JsonObject, key: str, length: int) -> tuple[int, ...]:
    values = params.numbers(key, length)
    if any(value != int(value) for value in values):
        params.wrong(key, list(values), "whole numbers")
    return tuple(int(value) for value in values)


def _pairs(params: JsonObject, key: str, length: int) -> tuple[int, ...]:
    values = _whole(params, key, length)
    for pair, times in Counter(values).items():
        if pair != -1 and times != 2:
            params.wrong(key, list(values), f"every number but -1 exactly twice ({pair} is there {times} times)")
    return values


@dataclass(frozen=True)
class BlendshapeSet:
    """Blend shapes of the skin or of the tongue of one actor.

    Attributes:
        names: the poses without the neutral, in the order of the weights.
        settings: the solver's settings.
        archive: the file with the poses.
    """

    names: tuple[str, ...]
    settings: SolverSettings
    archive: StoredArchive

    @cached_property
    def neutral(self) -> Float32Array:
        """The neutral, `[verts, 3]` in cm."""
        return self.archive.read(NEUTRAL)

    @cached_property
    def deltas(self) -> Float32Array:
        """Offsets from the neutral, `[poses, verts, 3]` in cm."""
        return np.stack([self.archive.read(name) for name in self.names])

    @cached_property
    def mask(self) -> Int32Array | None:
        """Vertices compared by the solver, int32 `[any]`; None: all."""
        return self.archive.read(_MASK) if _MASK in self.archive.entries else None

    @classmethod
    def read(
        cls, archive: StoredArchive, config: JsonObject, verts: int, faults: FileDiagnostics
    ) -> BlendshapeSet | None:
        """Reads both files; reports invalid values, and returns None if the poses are invalid.

        Args:
            archive: the poses.
            config: the solver's settings.
            verts: vertices of the model's skin or tongue.
            faults: collects problems of the poses.
        """
        settings = read_solver_settings(config)
        names = _read_names(archive, faults)
        if names is None:
            return None
        if config.faults.is_sound and len(settings.active) != len(names):
            faults.error(
                f"holds {len(names)} poses without the neutral, {config.faults.file} says {len(settings.active)}",
                _EXPORT,
            )
        for name in (NEUTRAL, *names):
            entry = archive.entries.get(name)
            if entry is None:
                faults.error(f"has no array for pose {name!a}, or no readable one", _EXPORT)
            elif entry.dtype != np.dtype("<f4") or entry.shape != (verts, 3):
                faults.error(
                    f"pose {name!a} is {entry.dtype.str} of shape {list(entry.shape)}, expected float32 [{verts}, 3]",
                    _EXPORT,
                )
        _check_mask(archive, verts, faults)
        return cls(names, settings, archive)


def _read_names(archive: StoredArchive, faults: FileDiagnostics) -> tuple[str, ...] | None:
    entry = archive.entries.get("poseNames")
    if entry is None or entry.dtype.kind != "S" or len(entry.shape) != 1:
        found = "is missing" if entry is None else f"is {entry.dtype.str} of shape {list(entry.shape)}"
        faults.error(f"poseNames {found}, expected a list of byte strings", 'Store the names, "neutral" first, as S.')
        return None
    names = decoded_names(archive.read("poseNames"))
    if names is None:
        faults.error(f"poseNames contains an invalid name, expected {LABEL_WORDS}", "Rename the pose.")
        return None
    if names[:1] != (NEUTRAL,) or len(names) < 2 or len(set(names)) != len(names):
        faults.error(f"poseNames are {ascii(names)[:60]}, expected neutral, then other poses, each once", _EXPORT)
        return None
    return names[1:]


def _check_mask(archive: StoredArchive, verts: int, faults: FileDiagnostics) -> None:
    entry = archive.entries.get(_MASK)
    if entry is None:
        return
    if entry.dtype != np.dtype("<i4") or len(entry.shape) != 1 or entry.shape[0] == 0:
        faults.error(f"{_MASK} is {entry.dtype.str} of shape {list(entry.shape)}, expected int32 [vertices]", _EXPORT)
        return
    mask = archive.read(_MASK)
    if mask.min() < 0 or mask.max() >= verts:
        faults.error(
            f"{_MASK} names vertices {mask.min()} to {mask.max()} of {verts}: the SDK reads out of bounds", _EXPORT
        )


def check_blendshape_values(shapes: BlendshapeSet, model_neutral: Float32Array | None, faults: FileDiagnostics) -> None:
    """Reports values that a solver cannot process.

    Args:
        shapes: the set, with valid types and sizes.
        model_neutral: the model's neutral, `[verts, 3]`; None if it is unreadable.
        faults: collects problems.
    """
    neutral = shapes.neutral
    for name in (NEUTRAL, *shapes.names):
        pose = shapes.archive.read(name)
        if not is_finite(pose):
            faults.error(f"pose {name!a} contains NaN or infinity", _EXPORT)
        elif name != NEUTRAL and _resembles(pose, neutral):
            faults.error(f"pose {name!a} holds positions, expected offsets from the neutral", _EXPORT)
    unlisted = set(shapes.archive.entries) - {"poseNames", NEUTRAL, *shapes.names, _MASK, _VERSION}
    if unlisted:
        listed = ", ".join(map(ascii, sorted(unlisted)[:5]))
        faults.warning(f"has arrays that poseNames does not list: {listed}", "List them.")
    if model_neutral is not None and model_neutral.shape == neutral.shape:
        far = float(np.abs(model_neutral - neutral).max())
        if not far <= 1e-3 * float(np.abs(model_neutral - model_neutral.mean(axis=0)).max()):
            faults.warning(
                f"its neutral lies up to {far:.3g} cm from that of the model: weights will not be zero at rest",
                "Make blend shapes on the neutral that the dataset names.",
            )


def _resembles(delta: Float32Array, neutral: Float32Array) -> bool:
    pose, base = delta.astype(np.float64), neutral.astype(np.float64)
    length, size = float(np.linalg.norm(pose)), float(np.linalg.norm(base))
    return length > size / 2 and float((pose * base).sum()) > _SIMILAR * length * size
