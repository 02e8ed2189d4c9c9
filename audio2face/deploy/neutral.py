"""Which animation parameters a deployed actor starts from, and what each value rests on."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Any, Literal

from audio2face.animation import parameter_ranges

Source = Literal["configuration", "calibrated", "neutral", "default"]

# Values that leave network output as it is. Where the face is divided, and where saccades start, has no such value.
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
    """What a configuration says of post-processing.

    Attributes:
        parameters: CONFIG, the defaults filled in.
        own: the entries of CONFIG that the user's file gives; they are never changed.
        calibrate: CALIBRATE_POST_PROCESSING; False takes `parameters` as they are.
    """

    parameters: Mapping[str, Any]
    own: Collection[str] = ()
    calibrate: bool = False

    def start(self) -> dict[str, Choice]:
        """The parameters before any calibration: the user's, and neutral ones in the place of defaults."""
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
        source: what it rests on.
        reason: why it is neutral where calibration might have chosen it; empty otherwise.
    """

    value: Any
    source: Source
    reason: str = ""


def values_of(choices: Mapping[str, Choice]) -> dict[str, Any]:
    """The parameters alone, by name."""
    return {name: choice.value for name, choice in choices.items()}
