"""Animation parameters of a deployed actor before calibration, with the source of each value."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Any, Literal

from audio2face.animation import parameter_ranges

Source = Literal["configuration", "calibrated", "neutral", "default"]

# Values without effect on network output. Mask and saccade seed have no such value.
NEUTRAL: Mapping[str, float] = {
    "input_strength": 1.0,
    "upper_face_smoothing": 0.0,
    "lower_face_smoothing": 0.0,
    "upper_face_strength": 1.0,
    "lower_face_strength": 1.0,
    "skin_strength": 1.0,
    "blink_strength": 1.0,
    "lower_teeth_strength": 1.0,
    "lower_teeth_height_offset": 0.0,
    "lower_teeth_depth_offset": 0.0,
    "lip_open_offset": 0.0,
    "tongue_strength": 1.0,
    "tongue_height_offset": 0.0,
    "tongue_depth_offset": 0.0,
    "eyeballs_strength": 1.0,
    "saccade_strength": 1.0,
    "right_eye_rot_x_offset": 0.0,
    "right_eye_rot_y_offset": 0.0,
    "left_eye_rot_x_offset": 0.0,
    "left_eye_rot_y_offset": 0.0,
    "eyelid_open_offset": 0.0,
}


@dataclass(frozen=True)
class PostProcessing:
    """Settings of post-processing in a configuration.

    Attributes:
        parameters: CONFIG, merged with the defaults.
        own: names of the entries of CONFIG in the user's file; calibration does not change them.
        calibrate: CALIBRATE_POST_PROCESSING; False uses `parameters` unchanged.
    """

    parameters: Mapping[str, Any]
    own: Collection[str] = ()
    calibrate: bool = False

    def start(self) -> dict[str, Choice]:
        """The parameters before calibration: the user's, and neutral values instead of defaults."""
        return {name: self._choice(name, self.parameters[name]) for name in parameter_ranges()}

    def _choice(self, name: str, value: Any) -> Choice:
        if name in self.own:
            return Choice(value, "configuration")
        if self.calibrate and name in NEUTRAL:
            return Choice(NEUTRAL[name], "neutral")
        return Choice(value, "default")


@dataclass(frozen=True)
class Choice:
    """The value of one parameter.

    Attributes:
        value: the value.
        source: origin of the value.
        reason: why calibration kept it neutral; empty otherwise.
    """

    value: Any
    source: Source
    reason: str = ""


def values_of(choices: Mapping[str, Choice]) -> dict[str, Any]:
    """The values by name."""
    return {name: choice.value for name, choice in choices.items()}
