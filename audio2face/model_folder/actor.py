"""`model_config*.json`: animation parameters of an actor and their ranges.

Names and ranges are those of the animator, which has them from the configuration; this module knows the file.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from audio2face.animation import parameter_ranges, stated_parameters
from audio2face.config_base.types import OWN_PARAMETERS
from audio2face.errors import is_label
from audio2face.model_folder.network_info import NetworkInfo, Shape
from audio2face.model_folder.npz import StoredArchive
from audio2face.model_folder.validation import FileDiagnostics, JsonObject
from audio2face.types import AnyArray, Float32Array


@dataclass(frozen=True)
class AnimationConfig:
    """The content of one `model_config*.json`.

    Attributes:
        parameters: all of `parameter_ranges`, by name.
        source_shot: the shot of the emotion database whose implicit emotion is used; None without a database.
        source_frame: the frame of that shot; None without a database.
    """

    parameters: Mapping[str, float]
    source_shot: str | None = None
    source_frame: int | None = None

    def as_json(self) -> dict[str, Any]:
        """The content of the file: parameters in the standard order, `OWN_PARAMETERS` only where they are set."""
        config: dict[str, Any] = {name: self.parameters[name] for name in stated_parameters(self.parameters)}
        if self.source_shot is not None:
            config |= {"source_shot": self.source_shot, "source_frame": self.source_frame}
        return {"config": config}

    @classmethod
    def read(cls, file: JsonObject, info: NetworkInfo) -> AnimationConfig:
        """Reads the file of a network's actor; reports invalid values."""
        config = file.child("config")
        parameters = {
            name: config.number(name, *limits) if config.has(name) or name not in OWN_PARAMETERS else 0.0
            for name, limits in parameter_ranges().items()
        }
        unknown = sorted(set(config.values or {}) - set(parameters) - {"source_shot", "source_frame"})
        if unknown:
            config.faults.warning(
                f"config has values that the SDK does not read: {', '.join(map(ascii, unknown[:5]))}",
                "Remove them, or correct the names.",
            )
        if not info.applies_input_strength and config.has("input_strength") and parameters["input_strength"] != 1.0:
            config.faults.note(
                f"input_strength is {parameters['input_strength']:g}; the SDK does not apply it to such networks",
                "Nothing needs to be done.",
            )
        if not info.has_emotion_database:
            return cls(parameters)
        return cls(parameters, config.name("source_shot"), config.count("source_frame"))


_BLOCK = 1 << 22  # values per block
_CAST = "Cast it to float32 (numpy astype) and write the archive with numpy.savez."


def select_arrays(info: NetworkInfo, found: Mapping[str, AnyArray]) -> dict[str, Float32Array]:
    """Selects the arrays of the archive, with the stored type.

    Raises:
        KeyError: one is not there.
    """
    return {name: np.asarray(found[name], np.float32, order="C") for name in info.actor_arrays}


def check_actor_arrays(archive: StoredArchive, info: NetworkInfo, faults: FileDiagnostics) -> None:
    """Reports missing and surplus arrays, and wrong sizes and types; values are not read."""
    expected = info.actor_arrays
    for name, shape in expected.items():
        if name not in archive.entries:
            faults.error(f"has no array {name!a}, or no readable one", "Deploy the model again.")
            continue
        found = archive.entries[name].shape
        if len(found) != len(shape) or any(want not in (None, has) for want, has in zip(shape, found, strict=True)):
            faults.error(
                f"array {name!a} has the shape {list(found)}, expected {_words(shape)}",
                "Make it agree with network_info.json: export and deploy the same training run.",
            )
    for name, entry in archive.entries.items():
        if entry.dtype != np.dtype("<f4"):
            faults.error(f"array {name!a} is {entry.dtype.str}; the SDK reads all arrays as float32", _CAST)
    surplus = [name for name in archive.entries if name not in expected]
    if surplus:
        faults.warning(f"has arrays that are not read: {', '.join(map(ascii, surplus[:5]))}", "Remove them.")
    saccades = archive.entries.get("saccade_rot_matrix")
    if saccades is not None and saccades.shape[:1] == (0,):
        faults.error("array 'saccade_rot_matrix' is empty", "Give at least one row; zeros keep the eyes still.")


def check_actor_values(archive: StoredArchive, info: NetworkInfo, faults: FileDiagnostics) -> None:
    """Reports values that the SDK cannot process."""
    for name, entry in archive.entries.items():
        if entry.dtype == np.dtype("<f4") and not is_finite(archive.read(name)):
            faults.error(f"array {name!a} contains NaN or infinity", "Correct the dataset; preprocess it again.")
    name = info.neutral_arrays[0]
    skin = archive.entries.get(name)
    if skin is not None and skin.shape == (info.skin_verts, 3) and skin.dtype == np.dtype("<f4"):
        heights = archive.read(name)[:, 1]
        if not heights.max() > heights.min():
            faults.error(f"array {name!a} has no height (y): the SDK divides by it", "Give a neutral face, y upwards.")


def is_finite(array: AnyArray) -> bool:
    """Whether all values are finite, checked in blocks."""
    flat = array.reshape(-1)
    return all(bool(np.isfinite(flat[start : start + _BLOCK]).all()) for start in range(0, flat.size, _BLOCK))


def decoded_names(stored: npt.NDArray[np.bytes_]) -> tuple[str, ...] | None:
    """The names in an array of byte strings; None if one is not printable UTF-8."""
    try:
        names = tuple(name.decode("utf-8") for name in stored.tolist())
    except UnicodeDecodeError:
        return None
    return names if all(map(is_label, names)) else None


def _words(shape: Shape) -> str:
    return "[" + ", ".join("any" if length is None else str(length) for length in shape) + "]"
