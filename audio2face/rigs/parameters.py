"""Parameters of a face that is animated by rules: name, range, default, meaning."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType

from audio2face.errors import UserError


@dataclass(frozen=True)
class Parameter:
    """One parameter.

    Attributes:
        default: its value where none is given.
        lowest, highest: its range, inclusive.
        meaning: what it does.
    """

    default: float
    lowest: float
    highest: float
    meaning: str


RIG_PARAMETERS: Mapping[str, Parameter] = MappingProxyType(
    {
        "lower_face_strength": Parameter(1, 0, 2, "gain on what speech does to jaw and lips"),
        "jaw_strength": Parameter(1, 0, 2, "gain on the jaw alone, on top of it"),
        "closure_strength": Parameter(1, 0, 1, "how far lips are brought together on p, b, m and f, v"),
        "speech_smoothing": Parameter(0.01, 0, 0.1, "smoothing of speech, standard deviation in seconds"),
        "upper_face_strength": Parameter(1, 0, 2, "gain on brows and lids that accompany speech"),
        "tongue_strength": Parameter(1, 0, 3, "gain on the tongue"),
        "blink_strength": Parameter(1, 0, 2, "gain on blinks"),
        "saccade_strength": Parameter(1, 0, 2, "gain on the motion of the eyes"),
    }
)


def rig_parameters(changes: Mapping[str, float]) -> dict[str, float]:
    """All parameters, with changes applied.

    Raises:
        UserError: there is no such parameter, or a value is out of its range.
    """
    for name, value in changes.items():
        if name not in RIG_PARAMETERS:
            raise UserError(f"a rig has no parameter {name!r}", hint=f"There are: {', '.join(RIG_PARAMETERS)}.")
        known = RIG_PARAMETERS[name]
        if not (math.isfinite(value) and known.lowest <= value <= known.highest):
            raise UserError(
                f"{name} is {value:g}, expected a number from {known.lowest:g} to {known.highest:g}",
                hint=f"It is the {known.meaning}.",
            )
    return {name: float(changes.get(name, known.default)) for name, known in RIG_PARAMETERS.items()}
