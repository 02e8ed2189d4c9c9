"""Checks that rotations of the eyes are in degrees, and that both eyes look the same way."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

import numpy as np

from audio2face.dataset.checks.report import Findings, first_few
from audio2face.dataset.checks.static import within_reason
from audio2face.errors import UserError
from audio2face.io.arrays import Archive
from audio2face.types import Float32Array

_RADIANS = 1.0  # largest value of rotations in radians: eyes turn by less than 57 degrees
_MOVES = 0.002  # minimum standard deviation of moving eyes, in radians
_GAZE = 4.0  # degrees: the eyes of a shot usually reach this
_SACCADES = 0.2  # largest saccade of the eyes, in radians
_APART = -0.8  # correlation of the two eyes
_TURNS = 1.5  # degrees, standard deviation
_FEWEST_FRAMES = 20
_IN_RADIANS = "Convert them to degrees (multiply by 57.29578)."


def check_gaze(archive: Archive, shots: Iterable[str], findings: Findings) -> None:
    """Reports rotations in radians, of all shots or of single ones, and eyes that turn against each other.

    Args:
        archive: pitch and yaw of the right and the left eye, per shot `[frames, 2, 2]`.
        shots: the shots to check.
        findings: receives the findings.
    """
    largest, spread = {}, {}
    apart: dict[int, list[str]] = {0: [], 1: []}
    for shot in shots:
        rotations = _read(archive, shot)
        if rotations is None:
            continue
        largest[shot], spread[shot] = float(np.abs(rotations).max()), float(rotations.std(axis=0).max())
        for angle, names in apart.items():
            if _turn_apart(rotations[:, :, angle]):
                names.append(shot)
    moving = [shot for shot, value in spread.items() if value > _MOVES]
    most = max((largest[shot] for shot in moving), default=0.0)
    if moving and most < _RADIANS:
        findings.error(
            "eyes-radians",
            f"the eyes turn by {most:.2g} degrees at most in all shots: these are radians ({np.degrees(most):.0f} "
            "degrees)",
            _IN_RADIANS,
            file=archive.path,
        )
    else:
        few = [shot for shot in moving if largest[shot] < _RADIANS / 2 and np.degrees(largest[shot]) > _GAZE]
        if few and 2 * len(few) <= len(moving) and most > _GAZE:
            findings.warning(
                "eyes-radians",
                f"the eyes turn by less than {_RADIANS / 2:g} degrees in {first_few(few)}, by {most:.0f} in other "
                "shots: perhaps these are radians",
                f"If so: {_IN_RADIANS[0].lower()}{_IN_RADIANS[1:]}",
                file=archive.path,
                shot=few[0] if len(few) == 1 else None,
            )
    for angle, name in enumerate(("pitch", "yaw")):
        if apart[angle]:
            findings.error(
                "eyes-apart",
                f"the {name} of the two eyes goes opposite ways in {first_few(apart[angle])}",
                f"Give both eyes the same sign of {name}: one is mirrored.",
                file=archive.path,
                shot=apart[angle][0] if len(apart[angle]) == 1 else None,
            )


def check_saccades(rotations: Float32Array, path: Path, findings: Findings) -> None:
    """Reports saccades of the eyes in radians, `[frames, 2 angles]`."""
    most = float(np.abs(rotations).max())
    if _MOVES < most < _SACCADES:
        findings.error(
            "eyes-radians",
            f"the eyes turn by {most:.2g} degrees at most: these are radians ({np.degrees(most):.1f} degrees)",
            _IN_RADIANS,
            file=path,
        )


def _read(archive: Archive, shot: str) -> Float32Array | None:
    """Reads the rotations of a shot, if they are finite; faults are reported elsewhere."""
    if shot not in archive.members:
        return None
    try:
        rotations = archive.read_floats(shot, (None, 2, 2))
    except UserError:
        return None
    return rotations if within_reason(rotations).all() else None


def _turn_apart(eyes: Float32Array) -> bool:
    """Returns whether the two eyes `[frames, 2]` turn against each other, beyond the convergence on near objects."""
    if len(eyes) < _FEWEST_FRAMES or float(eyes.std(axis=0).min()) < _TURNS:
        return False
    return bool(np.asarray(np.corrcoef(eyes.T))[0, 1] < _APART)
