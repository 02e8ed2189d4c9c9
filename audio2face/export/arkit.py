"""Blend-shape weights under ARKit's names: the table of the Live Link Face app, and Audio2Face's JSON.

Defines columns, order, time codes and signs of both; names are matched by `dataset.arkit_names`.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from pathlib import Path

import numpy as np

from audio2face.animation.animation import Animation, BlendWeights
from audio2face.animation.timecode import Start, TimecodeRate
from audio2face.console import LOGGER
from audio2face.dataset.arkit_names import (
    ARKIT_NAMES,
    LIVE_LINK_NAMES,
    TONGUE_NAMES,
    NameMatch,
    listed,
    match_arkit,
    match_names,
)
from audio2face.errors import UserError
from audio2face.export.tables import write_csv
from audio2face.io.atomic import atomic_files, atomic_write
from audio2face.types import Float32Array

ANGLES = (
    "HeadYaw",
    "HeadPitch",
    "HeadRoll",
    "LeftEyeYaw",
    "LeftEyePitch",
    "LeftEyeRoll",
    "RightEyeYaw",
    "RightEyePitch",
    "RightEyeRoll",
)
"""The nine columns behind the weights, radians."""
_ROWS = 4096
_TICKS = 60  # per second, counted by the last field of a time code at every frame rate
_THOUSANDTHS = 1000


def write_arkit(animation: Animation, folder: Path, name: str) -> list[Path]:
    """Writes `<name>_arkit.csv`, as the Live Link Face app records, and `<name>_arkit.json`, as Audio2Face exports.

    The table has the 52 weights, the angles of the head (0) and of the eyes in radians, with the signs of
    the app: yaw decreases when an eye turns to the actor's left, pitch increases when it turns down. The JSON has the
        52
    in Audio2Face's order under ARKit's names, then the tongue's poses; `posesWithoutColumn` lists the poses that match
    none of the 52. A shape without a pose is 0 and is logged.

    Raises:
        UserError: no weights were solved, most poses have no counterpart among the 52, or a file cannot be written.
    """
    if animation.skin_weights is None:
        raise UserError(
            "the ARKit export needs weights of blend shapes, and none were solved",
            hint="Deploy the actor with blend shapes (BS_SKIN_* of the dataset), or choose another format.",
        )
    match = match_arkit(animation.skin_weights.names)
    _report(match)
    with atomic_files(folder) as made:
        table, document = f"{name}_arkit.csv", f"{name}_arkit.json"
        header = ["Timecode", "BlendShapeCount", *LIVE_LINK_NAMES, *ANGLES]
        write_csv(made / table, header, _live_link_rows(animation, animation.skin_weights, match.columns))
        _write_json(made / document, animation, match, f"{name}.wav")
    return [folder / table, folder / document]


def _report(match: NameMatch) -> None:
    missing = [shape for shape in ARKIT_NAMES if shape not in match.columns]
    if missing:
        LOGGER.info("ARKit export: the set has no pose for %s; they are 0", ", ".join(missing))
    if match.unmatched:
        LOGGER.warning(
            "ARKit export: %d poses are none of ARKit's 52 and found no column: %s",
            len(match.unmatched),
            listed(match.unmatched),
        )


def weights_in_order(weights: Float32Array, columns: Mapping[str, int], order: Sequence[str]) -> Float32Array:
    """Weights of ARKit's shapes in the given order, float32 `[frames, len(order)]`; 0 where the set has no pose.

    Args:
        weights: of the poses of a set, float32 `[frames, poses]`.
        columns: the pose of each shape (`NameMatch.columns`).
        order: names of the shapes.
    """
    found = np.zeros((len(weights), len(order)), np.float32)
    for target, shape in enumerate(order):
        if shape in columns:
            found[:, target] = weights[:, columns[shape]]
    return found


def eye_angles(eyes: Float32Array) -> Float32Array:
    """The angles of head (0) and eyes in the order of `ANGLES`, float32 `[frames, 9]`, radians.

    Args:
        eyes: float32 `[frames, 4]`, degrees: pitch and yaw of the right eye, then of the left.
    """
    right_pitch, right_yaw, left_pitch, left_yaw = np.radians(eyes).T
    still = np.zeros(len(eyes), np.float32)
    # The app's yaw has the opposite sign: in its takes it is -0.6 times (EyeLookOutLeft - EyeLookInLeft).
    angles = [still, still, still, -left_yaw, left_pitch, still, -right_yaw, right_pitch, still]
    stacked: Float32Array = np.stack(angles, axis=1).astype(np.float32) + np.float32(0)  # + 0: no -0.0
    return stacked


def _live_link_rows(
    animation: Animation, weights: BlendWeights, columns: Mapping[str, int]
) -> Iterator[tuple[object, ...]]:
    count = len(LIVE_LINK_NAMES) + len(ANGLES)
    order = [shape[0].lower() + shape[1:] for shape in LIVE_LINK_NAMES]
    for frames in _blocks(animation):
        shapes = weights_in_order(np.asarray(weights.values[frames], np.float32), columns, order)
        rows = np.concatenate([shapes, eye_angles(animation.eyes[frames])], axis=1)
        for frame, row in enumerate(rows.tolist(), frames.start):
            yield timecode(frame, animation.fps, animation.start), count, *(f"{value:.9f}" for value in row)


def timecode(frame: int, fps: float, start: Start | None = None) -> str:
    """The time of a frame as hours, minutes, seconds and sixtieths of a second with a fraction, `00:00:02:13.500`.

    The app counts sixtieths at every rate. Readers interpret the field that way, so frames of the take's own rate would
    compress each second. With a start, hours, minutes and seconds are those of the SMPTE time code, and the last field
    is its share of a labelled second; at a rate without time code, the start is a time of the day.

    Args:
        frame: number of the frame, counted from 0.
        fps: frames per second.
        start: where frame 0 lies.
    """
    if start is not None:
        frame += start.frame
        with suppress(UserError):
            rate = TimecodeRate.of(fps, drop=start.drop)
            hours, minutes, seconds, tick = rate.fields(frame)
            return f"{hours:02d}:{minutes:02d}:{seconds:02d}:{_ticks(tick, rate.nominal)}"
    seconds, part = divmod(round(frame * _TICKS * _THOUSANDTHS / fps), _TICKS * _THOUSANDTHS)
    sixtieths = _ticks(part, _TICKS * _THOUSANDTHS)
    return f"{seconds // 3600 % 24:02d}:{seconds // 60 % 60:02d}:{seconds % 60:02d}:{sixtieths}"


def _ticks(part: int, whole: int) -> str:
    """A share of a second in sixtieths, `13.500`."""
    ticks, thousandths = divmod(round(part * _TICKS * _THOUSANDTHS / whole), _THOUSANDTHS)
    return f"{ticks:02d}.{thousandths:03d}"


def _write_json(path: Path, animation: Animation, match: NameMatch, sound: str) -> None:
    """Writes the JSON row by row, so a long animation is never in memory as text."""
    skin, tongue = animation.skin_weights, animation.tongue_weights
    assert skin is not None
    names = [*ARKIT_NAMES, *(_tongue_names(tongue.names) if tongue is not None else ())]
    head = {
        "exportFps": animation.fps,
        "trackPath": sound if animation.audio is not None else "",
        "numPoses": len(names),
        "numFrames": animation.num_frames,
        "facsNames": names,
        "posesWithoutColumn": list(match.unmatched),
    }
    with atomic_write(path) as handle:
        handle.write((json.dumps(head)[:-1] + ', "weightMat": [').encode())
        for frames in _blocks(animation):
            block = weights_in_order(np.asarray(skin.values[frames], np.float32), match.columns, ARKIT_NAMES)
            if tongue is not None:
                block = np.concatenate([block, tongue.values[frames]], axis=1)
            rows = ",\n".join(json.dumps(row) for row in np.round(block.astype(np.float64), 9).tolist())
            handle.write(f"{',' if frames.start else ''}\n{rows}".encode())
        handle.write(b"\n]}\n")


def _tongue_names(poses: Sequence[str]) -> list[str]:
    """Audio2Face's name of each pose of the tongue, or the pose's own name in lower camel case if there is none."""
    standard = {index: name for name, index in match_names(poses, TONGUE_NAMES).columns.items()}
    return [standard.get(index, pose[:1].lower() + pose[1:]) for index, pose in enumerate(poses)]


def _blocks(animation: Animation) -> Iterator[slice]:
    for first in range(0, animation.num_frames, _ROWS):
        yield slice(first, min(first + _ROWS, animation.num_frames))
