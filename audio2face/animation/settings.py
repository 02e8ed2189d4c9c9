"""Inputs of post-processing: the constant arrays of an actor, and the animation parameters with their ranges."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields, replace
from functools import cache
from typing import Any, get_args, get_origin, get_type_hints

import numpy as np
from annotated_types import Interval

from audio2face.animation.shapes import FaceShapes
from audio2face.config_base.types import OWN_PARAMETERS, AnimationParameters
from audio2face.errors import UserError
from audio2face.types import Float32Array, Int64Array


@dataclass(frozen=True, eq=False, kw_only=True)
class FaceData:
    """The constant arrays of one actor, converted to contiguous float32.

    Attributes:
        skin: the neutral skin, `[verts, 3]`, centimetres, y upwards, z out of the face.
        tongue: the neutral tongue, `[tongue verts, 3]`; no rows for an actor without one.
        jaw: neutral key points on the lower teeth, `[points, 3]`.
        lip_open: offsets from the neutral that open the lips, `[verts, 3]`.
        eye_close: offsets from the neutral that shut both eyes, `[verts, 3]`.
        saccades: pitch and yaw of both eyes, degrees, `[rows, 2]`, 30 rows per second.
        shapes: blend shapes whose weights the network predicts; None where it predicts motion of vertices, or
            coefficients of principal components.

    Raises:
        UserError: an array has another shape, holds NaN or infinity, or the skin has no height.
    """

    skin: Float32Array
    tongue: Float32Array
    jaw: Float32Array
    lip_open: Float32Array
    eye_close: Float32Array
    saccades: Float32Array
    shapes: FaceShapes | None = None

    def __post_init__(self) -> None:
        for field in fields(self):
            if field.name == "shapes":
                continue
            array = np.ascontiguousarray(getattr(self, field.name), np.float32)
            self._check(field.name, array)
            object.__setattr__(self, field.name, array)
        if not np.ptp(self.skin[:, 1]) > 0:
            raise UserError(
                "the neutral skin is flat: all vertices have the same y, so there is no upper and lower face",
                hint="The y axis must point upwards.",
            )

    @property
    def skin_values(self) -> int:
        """Numbers of a frame of the skin's motion: three a vertex, or one a shape."""
        return self.skin.size if self.shapes is None else len(self.shapes.deltas)

    def at_vertices(self, vertices: Int64Array) -> FaceData:
        """The face with some of the skin's vertices."""
        return replace(
            self,
            skin=self.skin[vertices],
            lip_open=self.lip_open[vertices],
            eye_close=self.eye_close[vertices],
            shapes=None if self.shapes is None else self.shapes.at_vertices(vertices),
        )

    def _check(self, name: str, array: Float32Array) -> None:
        columns = 2 if name == "saccades" else 3
        rows = len(self.skin) if name in ("lip_open", "eye_close") else None
        right = array.ndim == 2 and array.shape[1] == columns and rows in (None, len(array))
        if not right or (len(array) == 0 and name != "tongue"):
            expected = f"[{rows or 'any'}, {columns}]"
            raise UserError(f"array {name} of the face has shape {list(array.shape)}, expected {expected}")
        if not np.isfinite(array).all():
            raise UserError(f"array {name} of the face holds NaN or infinity")


@cache
def parameter_ranges() -> dict[str, tuple[float, float]]:
    """Inclusive range of each parameter; the SDK rejects models with values outside of it."""
    hints = get_type_hints(AnimationParameters, include_extras=True)
    return {name: _range(hint) for name, hint in hints.items()}


def stated_parameters(parameters: Mapping[str, Any]) -> list[str]:
    """The names of parameters that files state, in the standard order: of `OWN_PARAMETERS` only those that are set."""
    return [name for name in parameter_ranges() if name not in OWN_PARAMETERS or parameters.get(name)]


def _range(hint: Any) -> tuple[float, float]:
    marks = get_args(hint)[1:] if get_origin(hint) is not None else ()
    lowest, highest = -math.inf, math.inf
    for mark in marks:
        if isinstance(mark, Interval):
            lowest = float(mark.ge) if isinstance(mark.ge, int | float) else lowest
            highest = float(mark.le) if isinstance(mark.le, int | float) else highest
    return lowest, highest


def check_range(name: str, value: float, lowest: float, highest: float) -> None:
    """Checks that a value is a number from `lowest` to `highest`, inclusive.

    Raises:
        UserError: with the name, the value and the range.
    """
    if not lowest <= value <= highest:
        raise UserError(
            f"{name} is {value:g}, expected a number from {lowest:g} to {highest:g}",
            hint="Values are not clamped; choose one in this range.",
        )


@dataclass(frozen=True, kw_only=True)
class AnimatorSettings:
    """Animation parameters.

    Attributes:
        lower_face_smoothing: half-life of each of two filters on the lower face, seconds; 0 disables them.
        upper_face_smoothing: half-life of each of two filters on the upper face, seconds; 0 disables them.
        lower_face_strength: gain on all motion of the lower face.
        upper_face_strength: gain on all motion of the upper face.
        face_mask_level: height of the boundary between lower and upper face, as a fraction of the neutral's height.
        face_mask_softness: half the height over which the mask rises from 27 % to 73 %, as a fraction of that height.
        skin_strength: gain on the skin's network output.
        blink_strength: gain on blinks.
        eyelid_open_offset: multiple of the eye-close pose that is subtracted: positive opens the eyes.
        lip_open_offset: multiple of the lip-open pose that is added: positive opens the lips.
        tongue_strength: gain on the motion of the tongue.
        tongue_height_offset: moves the tongue along +y, centimetres.
        tongue_depth_offset: moves the tongue along +z, centimetres.
        lower_teeth_strength: gain on the motion of the jaw.
        lower_teeth_height_offset: moves the lower teeth along +y, centimetres.
        lower_teeth_depth_offset: moves the lower teeth along +z, centimetres.
        eyeballs_strength: gain on the network's rotation of the eyes.
        saccade_strength: gain on the saccades.
        right_eye_rot_x_offset: pitch added to the right eye, degrees.
        right_eye_rot_y_offset: yaw added to the right eye, degrees.
        left_eye_rot_x_offset: pitch added to the left eye, degrees.
        left_eye_rot_y_offset: yaw added to the left eye, degrees.
        eye_saccade_seed: row of the table of saccades that playback starts from.
        blink_offset: constant closure of the eyes, 0 to 1; set by programs, not by model folders.

    Raises:
        UserError: a value is out of its range.
    """

    lower_face_smoothing: float
    upper_face_smoothing: float
    lower_face_strength: float
    upper_face_strength: float
    face_mask_level: float
    face_mask_softness: float
    skin_strength: float
    blink_strength: float
    eyelid_open_offset: float
    lip_open_offset: float
    tongue_strength: float
    tongue_height_offset: float
    tongue_depth_offset: float
    lower_teeth_strength: float
    lower_teeth_height_offset: float
    lower_teeth_depth_offset: float
    eyeballs_strength: float
    saccade_strength: float
    right_eye_rot_x_offset: float
    right_eye_rot_y_offset: float
    left_eye_rot_x_offset: float
    left_eye_rot_y_offset: float
    eye_saccade_seed: float
    blink_offset: float = 0.0

    def __post_init__(self) -> None:
        ranges = parameter_ranges() | {"blink_offset": (0.0, 1.0)}
        for name, value in asdict(self).items():
            check_range(name, value, *ranges[name])

    @classmethod
    def from_parameters(cls, parameters: Mapping[str, float], blink_offset: float = 0.0) -> AnimatorSettings:
        """The settings among the parameters of a model; others, such as the gain on the sound, are left to their users.

        Raises:
            UserError: one is missing, or out of its range.
        """
        names = [field.name for field in fields(cls) if field.name != "blink_offset"]
        missing = [name for name in names if name not in parameters]
        if missing:
            raise UserError(f"animation parameters are missing: {', '.join(missing)}", hint="Deploy the model again.")
        return cls(**{name: parameters[name] for name in names}, blink_offset=blink_offset)
