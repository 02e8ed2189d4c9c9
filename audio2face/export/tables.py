"""Jaw, eyes, emotion and blend-shape weights of an animation as a CSV table, and its audio as a WAV file."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

import numpy as np

from audio2face.animation.animation import Animation
from audio2face.audio import read_header, sample_blocks
from audio2face.audio.writing import WavWriter
from audio2face.io.atomic import atomic_write
from audio2face.types import Float32Array

_ROWS = 4096
_JAW = ("jaw_x", "jaw_y", "jaw_z", "jaw_rotate_x", "jaw_rotate_y", "jaw_rotate_z")
_EYES = ("right_eye_pitch", "right_eye_yaw", "left_eye_pitch", "left_eye_yaw")


def write_table(animation: Animation, folder: Path, name: str) -> list[Path]:
    """Writes `<name>.csv`, one row per frame.

    Columns: `frame`, `seconds` since the start of the recording, `timecode` if the animation has one; the jaw's
    translation in centimetres and rotation in degrees, about x first, then y, then z, each axis fixed (Maya's and
    Blender's order "xyz"); pitch and yaw of the eyes in degrees; `emotion_<name>`; `skin_<pose>` and `tongue_<pose>`
    if blend-shape weights were solved.

    Raises:
        UserError: the file cannot be written.
    """
    time = ["frame", "seconds"] if animation.timecode(0) is None else ["frame", "seconds", "timecode"]
    columns = [*time, *_JAW, *_EYES, *(f"emotion_{emotion}" for emotion in animation.emotions)]
    for part, weights in (("skin", animation.skin_weights), ("tongue", animation.tongue_weights)):
        columns += [f"{part}_{pose}" for pose in weights.names] if weights is not None else []
    path = folder / f"{name}.csv"
    write_csv(path, columns, _rows(animation))
    return [path]


def write_csv(path: Path, columns: Sequence[str], rows: Iterable[Sequence[object]]) -> None:
    """Writes a table as comma-separated UTF-8 with a header line, in one pass over `rows`.

    Raises:
        UserError: the file cannot be written.
    """
    with atomic_write(path) as handle:
        text = io.TextIOWrapper(handle, "utf-8", newline="", write_through=True)
        writer = csv.writer(text, lineterminator="\n")
        writer.writerow(columns)
        writer.writerows(rows)
        text.detach()


def jaw_angles(jaw: Float32Array) -> Float32Array:
    """Rotations of jaw matrices `[frames, 4, 4]` in degrees `[frames, 3]`, about the fixed axes x, y, z in order."""
    from scipy.spatial.transform import Rotation  # loads in a fifth of a second

    return np.asarray(Rotation.from_matrix(jaw[:, :3, :3]).as_euler("xyz", degrees=True), np.float32)


def _rows(animation: Animation) -> Iterator[list[object]]:
    weights = [part.values for part in (animation.skin_weights, animation.tongue_weights) if part is not None]
    for first in range(0, animation.num_frames, _ROWS):
        cut = slice(first, first + _ROWS)
        jaw = np.asarray(animation.jaw[cut])
        values = [jaw[:, :3, 3], jaw_angles(jaw), animation.eyes[cut], animation.emotion[cut]]
        block = np.concatenate([*values, *(part[cut] for part in weights)], axis=1)
        for frame, row in enumerate(block.tolist(), first):
            label = animation.timecode(frame)
            time = [animation.first_frame + frame, f"{frame / animation.fps:.6f}", *([] if label is None else [label])]
            yield [*time, *(f"{value:.6g}" for value in row)]


def write_sound(animation: Animation, folder: Path, name: str) -> Path | None:
    """Writes the recording as `<name>.wav` at its own sample rate with all channels, from any audio or video file.

    Sources of up to 16 bits, and lossy ones, become 16-bit PCM (identical samples for 16-bit sources), others 32-bit
    floats. The file is read and written in blocks.

    Returns:
        The file; None for an animation without a recording.

    Raises:
        UserError: the recording cannot be read, or the file cannot be written.
    """
    if animation.audio is None:
        return None
    header = read_header(animation.audio)
    path = folder / f"{name}.wav"
    with atomic_write(path) as handle, WavWriter(handle, header) as sound:
        for samples in sample_blocks(animation.audio):
            sound.write(samples)
    return path
