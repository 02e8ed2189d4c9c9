"""Columns of weights under ARKit's names: found in any habit of naming, checked, and put in the standard order."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from audio2face.dataset.arkit_names import ARKIT_INDEX, ARKIT_NAMES, TONGUE_INDEX, TONGUE_NAMES, listed, match_names
from audio2face.errors import FileFormatError, UserError
from audio2face.types import Float32Array, FloatArray

NEEDED = ("jawOpen", "mouthClose", "mouthFunnel", "mouthPucker")
"""The shapes without which a mouth does not speak."""
_FEWEST = 8
_COLUMNS_HINT = (
    "Columns are named as ARKit's shapes: jawOpen, mouthClose, mouthFunnel, eyeBlinkLeft, ... (spellings such as "
    "JawOpen, jaw_open and eyeBlink_L are understood)."
)
_FARTHEST = 2.0  # from 0: weights are from 0 to 1, a larger number is another unit or damage
_SPEAKS = 0.05  # range of jawOpen in speech at least
_TOLERANCE = 0.02  # outside 0 to 1 that is not worth a word
_LOOK_YAW, _LOOK_PITCH = 34.0, 29.0  # degrees of ARKit's eyes at weight 1, measured on takes of Live Link Face
_EYES = (("Right", "In", "Out"), ("Left", "Out", "In"))  # of each eye: the look to the actor's left and right


@dataclass(frozen=True)
class WeightColumns:
    """Where the weights are among the columns of a table.

    Attributes:
        skin: column of each of ARKit's shapes that there is, by name.
        tongue: column of each of Audio2Face's shapes of the tongue.
    """

    skin: dict[str, int]
    tongue: dict[str, int]

    @property
    def numbers(self) -> list[int]:
        """All columns, those of the skin first."""
        return [*self.skin.values(), *self.tongue.values()]


def find_weights(names: Sequence[str], path: Path) -> WeightColumns:
    """Finds the columns of weights.

    Raises:
        FileFormatError: there are too few, or none for the jaw.
    """
    found = match_names(names).columns
    tongue = match_names(names, TONGUE_NAMES).columns
    if len(found) < _FEWEST or "jawOpen" not in found:
        if not names:
            raise FileFormatError("is no table of text", path=path, hint=_COLUMNS_HINT)
        lack = "without jawOpen" if len(found) >= _FEWEST else f"{len(found)} of its {len(names)} columns are ARKit's"
        raise FileFormatError(
            f"holds no weights of a speaking face: {lack}; it has {listed(list(names))}",
            path=path,
            hint=_COLUMNS_HINT,
        )
    return WeightColumns(found, {} if len(tongue) < len(TONGUE_NAMES) // 2 else tongue)


def skin_weights(values: FloatArray, columns: Sequence[str], path: Path) -> tuple[Float32Array, list[str]]:
    """Weights in ARKit's order.

    Args:
        values: finite, `[frames, columns]`.
        columns: the shape of each column.
        path: the file, for messages.

    Returns:
        Float32 `[frames, 52]` from 0 to 1, and what is worth knowing of them.

    Raises:
        UserError: they are no weights: in percent, far below 0, or all zero.
    """
    weights = np.zeros((len(values), len(ARKIT_NAMES)), np.float32)
    weights[:, [ARKIT_INDEX[name] for name in columns]] = values
    return weights, _checked(weights, ARKIT_NAMES, columns, path)


def tongue_weights(values: FloatArray, columns: Sequence[str]) -> Float32Array | None:
    """Weights of the tongue in Audio2Face's order, float32 `[frames, 16]` from 0 to 1; None where all are 0."""
    weights = np.zeros((len(values), len(TONGUE_NAMES)), np.float32)
    weights[:, [TONGUE_INDEX[name] for name in columns]] = np.clip(values, 0, 1)
    return weights if weights.any() else None


def _checked(weights: Float32Array, names: Sequence[str], columns: Sequence[str], path: Path) -> list[str]:
    """Clips weights to 0 to 1 in place; returns notes."""
    farthest = np.abs(weights)
    if farthest.max(initial=0) > _FARTHEST:
        frame, column = divmod(int(farthest.argmax()), len(names))
        raise UserError(
            f"frame {frame}: {names[column]} is {weights[frame, column]:g}, weights are from 0 to 1",
            path=path,
            hint="Divide the table by 100 if it is in percent; otherwise its columns are not the shapes they are named "
            "after.",
        )
    if not weights[:, ARKIT_INDEX["jawOpen"]].any():
        raise UserError(
            "jawOpen is 0 in every frame: the mouth was not captured",
            path=path,
            hint="Record the take again with the face in view.",
        )
    notes = []
    moves = float(np.ptp(np.percentile(weights[:, ARKIT_INDEX["jawOpen"]], (5, 95))))
    if moves < _SPEAKS:
        notes.append(f"the jaw hardly moves (jawOpen by {moves:.2f}): nobody seems to speak")
    outside = float(np.mean((weights < -_TOLERANCE) | (weights > 1 + _TOLERANCE)))
    if outside:
        notes.append(f"{outside:.2%} of the weights were below 0 or above 1 and were clipped")
    np.clip(weights, 0, 1, out=weights)
    missing = [name for name in ARKIT_NAMES if name not in columns]
    if missing:
        notes.append(f"{len(missing)} shapes are not in it and stay 0: {listed(missing)}")
    return notes


def eyes_of_weights(weights: Float32Array) -> Float32Array | None:
    """Rotations of the eyes that the `eyeLook` shapes tell, float32 `[frames, 2, 2]`; None where they tell none."""
    eyes = np.zeros((len(weights), 2, 2), np.float32)
    for eye, (side, left, right) in enumerate(_EYES):
        down, up, to_left, to_right = (
            weights[:, ARKIT_INDEX[f"eyeLook{way}{side}"]] for way in ("Down", "Up", left, right)
        )
        eyes[:, eye, 0] = _LOOK_PITCH * (down - up)
        eyes[:, eye, 1] = _LOOK_YAW * (to_left - to_right)
    return eyes if eyes.any() else None
