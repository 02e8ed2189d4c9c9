"""Weights of blend shapes under ARKit's names: the table of the Live Link Face app, and Audio2Face's JSON.

Knows the names and their order there. Weights are matched by name, whatever the case of its letters.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from pathlib import Path

import numpy as np

from audio2face.console import LOGGER
from audio2face.errors import UserError
from audio2face.export.animation import Animation, BlendWeights, Float32Array
from audio2face.export.tables import write_csv
from audio2face.files import atomic_files, atomic_write

# fmt: off
LIVE_LINK_NAMES: tuple[str, ...] = (
    "EyeBlinkLeft", "EyeLookDownLeft", "EyeLookInLeft", "EyeLookOutLeft", "EyeLookUpLeft", "EyeSquintLeft",
    "EyeWideLeft", "EyeBlinkRight", "EyeLookDownRight", "EyeLookInRight", "EyeLookOutRight", "EyeLookUpRight",
    "EyeSquintRight", "EyeWideRight", "JawForward", "JawRight", "JawLeft", "JawOpen", "MouthClose", "MouthFunnel",
    "MouthPucker", "MouthRight", "MouthLeft", "MouthSmileLeft", "MouthSmileRight", "MouthFrownLeft", "MouthFrownRight",
    "MouthDimpleLeft", "MouthDimpleRight", "MouthStretchLeft", "MouthStretchRight", "MouthRollLower", "MouthRollUpper",
    "MouthShrugLower", "MouthShrugUpper", "MouthPressLeft", "MouthPressRight", "MouthLowerDownLeft",
    "MouthLowerDownRight", "MouthUpperUpLeft", "MouthUpperUpRight", "BrowDownLeft", "BrowDownRight", "BrowInnerUp",
    "BrowOuterUpLeft", "BrowOuterUpRight", "CheekPuff", "CheekSquintLeft", "CheekSquintRight", "NoseSneerLeft",
    "NoseSneerRight", "TongueOut",
)
"""The 52 shapes in the order of the columns of Live Link Face, which follows Apple's but for right before left."""
_ANGLES = (
    "HeadYaw", "HeadPitch", "HeadRoll", "LeftEyeYaw", "LeftEyePitch", "LeftEyeRoll",
    "RightEyeYaw", "RightEyePitch", "RightEyeRoll",
)
# fmt: on
_ROWS = 4096


def write_arkit(animation: Animation, folder: Path, name: str) -> list[Path]:
    """Writes `<name>_arkit.csv`, as the Live Link Face app records, and `<name>_arkit.json`, as Audio2Face exports.

    The table has the 52 weights, the head's angles (0: the head is still) and the eyes' in radians. The JSON has the
    52 under ARKit's own names and then the tongue's poses under theirs. A shape without a solved weight is 0 and is
    named in the log.

    Raises:
        UserError: no weights were solved, or a file cannot be written.
    """
    if animation.skin_weights is None:
        raise UserError(
            "the ARKit export needs weights of blend shapes, and none were solved",
            hint="Deploy the actor with blend shapes (BS_SKIN_* of the dataset), or choose another format.",
        )
    columns = _columns(animation.skin_weights)
    missing = [shape for shape in LIVE_LINK_NAMES if shape not in columns]
    if missing:
        LOGGER.info("ARKit export: no weights were solved for %s; they are 0", ", ".join(missing))
    with atomic_files(folder) as made:
        table, document = f"{name}_arkit.csv", f"{name}_arkit.json"
        header = ["Timecode", "BlendShapeCount", *LIVE_LINK_NAMES, *_ANGLES]
        write_csv(made / table, header, _live_link_rows(animation, animation.skin_weights, columns))
        _write_json(made / document, animation, columns, f"{name}.wav")
    return [folder / table, folder / document]


def _columns(weights: BlendWeights) -> dict[str, int]:
    """Which column of the weights holds each ARKit shape that is there."""
    found = {pose.lower(): index for index, pose in enumerate(weights.names)}
    return {shape: found[shape.lower()] for shape in LIVE_LINK_NAMES if shape.lower() in found}


def _arkit_weights(weights: BlendWeights, columns: Mapping[str, int], frames: slice) -> Float32Array:
    """Weights `[frames, 52]` in the order of `LIVE_LINK_NAMES`."""
    block = np.asarray(weights.values[frames], np.float32)
    found = np.zeros((len(block), len(LIVE_LINK_NAMES)), np.float32)
    for target, shape in enumerate(LIVE_LINK_NAMES):
        if shape in columns:
            found[:, target] = block[:, columns[shape]]
    return found


def _live_link_rows(
    animation: Animation, weights: BlendWeights, columns: Mapping[str, int]
) -> Iterator[tuple[object, ...]]:
    count = len(LIVE_LINK_NAMES) + len(_ANGLES)
    for cut in _cuts(animation):
        shapes = _arkit_weights(weights, columns, cut)
        eyes = np.radians(animation.eyes[cut])
        still = np.zeros(len(eyes), np.float32)
        angles = np.stack([still, still, still, eyes[:, 3], eyes[:, 2], still, eyes[:, 1], eyes[:, 0], still], axis=1)
        for frame, row in enumerate(np.concatenate([shapes, angles], axis=1).tolist(), cut.start):
            yield timecode(frame, animation.fps), count, *(f"{value:.9f}" for value in row)


def timecode(frame: int, fps: float) -> str:
    """The time of a frame as hours, minutes, seconds and frames with a fraction, `00:00:02:13.000`.

    Frames are counted within each second, so that rates such as 29.97 stay true to the clock.
    """
    seconds = int(frame / fps + 1e-9)
    rest = max(frame - seconds * fps, 0.0)
    return f"{seconds // 3600:02d}:{seconds // 60 % 60:02d}:{seconds % 60:02d}:{rest:06.3f}"


def _write_json(path: Path, animation: Animation, columns: Mapping[str, int], sound: str) -> None:
    """Writes the JSON row by row, so that a long animation is never held as text."""
    skin, tongue = animation.skin_weights, animation.tongue_weights
    assert skin is not None
    names = [shape[0].lower() + shape[1:] for shape in LIVE_LINK_NAMES]
    names += [f"{pose[:1].lower()}{pose[1:]}" for pose in tongue.names] if tongue is not None else []
    head = {
        "exportFps": animation.fps,
        "trackPath": sound if animation.audio is not None else "",
        "numPoses": len(names),
        "numFrames": animation.num_frames,
        "facsNames": names,
    }
    with atomic_write(path) as handle:
        handle.write((json.dumps(head)[:-1] + ', "weightMat": [').encode())
        for cut in _cuts(animation):
            block = _arkit_weights(skin, columns, cut)
            if tongue is not None:
                block = np.concatenate([block, tongue.values[cut]], axis=1)
            rows = ",\n".join(json.dumps(row) for row in np.round(block.astype(np.float64), 9).tolist())
            handle.write(f"{',' if cut.start else ''}\n{rows}".encode())
        handle.write(b"\n]}\n")


def _cuts(animation: Animation) -> Iterator[slice]:
    for first in range(0, animation.num_frames, _ROWS):
        yield slice(first, min(first + _ROWS, animation.num_frames))
