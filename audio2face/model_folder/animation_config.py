"""`model_config*.json`: how a consumer shapes the network's output into animation, with the ranges it accepts.

Names and ranges are those of the animator, which has them from the configuration; this module knows the file.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from audio2face.animation import parameter_ranges
from audio2face.model_folder.json_object import JsonObject


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
        return cls(parameters, config.name("source_shot"), config.count("source_frame"))
