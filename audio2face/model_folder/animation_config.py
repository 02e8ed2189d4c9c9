"""`model_config*.json`: how a consumer shapes the network's output into animation, with the ranges it accepts.

Names and ranges are those of the configuration (`config_base`), which knows them for users; this module knows the file.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from typing import Any, get_args, get_origin, get_type_hints

from annotated_types import Interval

from audio2face.config_base.types import AnimationParameters
from audio2face.model_folder.json_object import JsonObject


@cache
def parameter_ranges() -> dict[str, tuple[float, float]]:
    """Lowest and highest value of each parameter, both allowed; outside, the SDK refuses to run a model."""
    hints = get_type_hints(AnimationParameters, include_extras=True)
    return {name: _range(hint) for name, hint in hints.items()}


def _range(hint: Any) -> tuple[float, float]:
    marks = get_args(hint)[1:] if get_origin(hint) is not None else ()
    lowest, highest = -math.inf, math.inf
    for mark in marks:
        if isinstance(mark, Interval):
            lowest = float(mark.ge) if isinstance(mark.ge, int | float) else lowest
            highest = float(mark.le) if isinstance(mark.le, int | float) else highest
    return lowest, highest


@dataclass(frozen=True)
class AnimationConfig:
    """The content of one `model_config*.json`.

    Attributes:
        parameters: all of `parameter_ranges`, by name.
        source_shot: regression: the shot of the emotion database whose implicit emotion is used.
        source_frame: regression: the frame of that shot.
    """

    parameters: Mapping[str, float]
    source_shot: str | None = None
    source_frame: int | None = None

    def as_json(self) -> dict[str, Any]:
        """The content of the file, parameters in their usual order."""
        config: dict[str, Any] = {name: self.parameters[name] for name in parameter_ranges()}
        if self.source_shot is not None:
            config |= {"source_shot": self.source_shot, "source_frame": self.source_frame}
        return {"config": config}

    @classmethod
    def read(cls, file: JsonObject, regression: bool) -> AnimationConfig:
        """Takes the values out of the file; notes what does not fit."""
        config = file.child("config")
        parameters = {name: config.number(name, *limits) for name, limits in parameter_ranges().items()}
        unknown = sorted(set(config.values or {}) - set(parameters) - {"source_shot", "source_frame"})
        if unknown:
            config.faults.warning(
                f"config has values that the SDK does not read: {', '.join(map(ascii, unknown[:5]))}",
                "Remove them, or correct the names.",
            )
        if not regression:
            if parameters["input_strength"] != 1.0 and config.has("input_strength"):
                config.faults.note(
                    f"input_strength is {parameters['input_strength']:g}; the SDK does not apply it to such networks",
                    "Nothing needs to be done.",
                )
            return cls(parameters)
        return cls(parameters, config.text("source_shot"), config.count("source_frame"))
