"""Builds further data of later stages and the deployed model: transforms, shot list, clip table, display data.

Arrays that the actor lacks are replaced by zeros. Arrays and rows in, arrays, rows and text out.
"""

from __future__ import annotations

import ast
import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from sys import intern
from typing import Any

import numpy as np

from audio2face.dataset import ActorDataset
from audio2face.types import CHANNELS, AnyArray, Float32Array, Float64Array

ClipRow = tuple[str, str, tuple[int, int], str, str, str, float]

# The array of the network data that defines centre and scale of each channel.
_REFERENCE = {
    "skin": "shapes_mean_skin",
    "tongue": "shapes_mean_tongue",
    "jaw": "neutral_jaw",
    "eye": "saccade_rot_matrix",
}
_SEPARATOR = "    " + "#" * 116
_LANGUAGE = "en"


@dataclass(frozen=True)
class PcaComponents:
    """Principal components of a part of the face, or blend shapes in their place.

    Attributes:
        matrix: `[components, verts, 3]` float32, orthonormal over all coordinates; blend shapes as they are, in
            centimetres, see `geometry.pca.coefficient_metric`.
        mean: `[verts, 3]` float32, centimetres: the pose of all coefficients zero.
    """

    matrix: Float32Array
    mean: Float32Array


@dataclass(frozen=True)
class OptionalPoses:
    """Small optional arrays of the actor (None if missing), float32; lengths in centimetres.

    Attributes:
        skin_neutral: `[verts, 3]`, neutral pose of the deployed skin, instead of the components' mean.
        tongue_neutral: `[tongue verts, 3]`, the same for the tongue.
        lip_open_delta: `[verts, 3]` deltas that open the lips.
        eye_close_delta: `[verts, 3]` deltas that close the eyes.
        jaw_neutral: `[points, 3]` key points of the lower jaw.
        blink_keys: `[keys]` blink curve, 0 open to 1 closed.
        saccades: `[frames, 2]` saccades in degrees.
    """

    skin_neutral: Float32Array | None = None
    tongue_neutral: Float32Array | None = None
    lip_open_delta: Float32Array | None = None
    eye_close_delta: Float32Array | None = None
    jaw_neutral: Float32Array | None = None
    blink_keys: Float32Array | None = None
    saccades: Float32Array | None = None


@dataclass(frozen=True)
class PlaceholderShapes:
    """Shapes of the zeros that replace missing arrays: `[points, 3]`, `[keys]`, `[frames, 2]`."""

    jaw: tuple[int, ...]
    blink_keys: tuple[int, ...]
    saccades: tuple[int, ...]


def network_data(
    skin: PcaComponents, tongue: PcaComponents, poses: OptionalPoses, stand_ins: PlaceholderShapes
) -> dict[str, Float32Array]:
    """Returns the arrays of `network_data.npz` in their order: float32, zeros for missing ones."""
    skin_mean = skin.mean if poses.skin_neutral is None else poses.skin_neutral
    tongue_mean = tongue.mean if poses.tongue_neutral is None else poses.tongue_neutral
    found: dict[str, Float32Array] = {
        "shapes_matrix_skin": skin.matrix,
        "shapes_mean_skin": skin_mean,
        "neutral_skin": skin_mean,
        "lip_open_pose_delta": _or_zeros(poses.lip_open_delta, skin_mean.shape),
        "eye_close_pose_delta": _or_zeros(poses.eye_close_delta, skin_mean.shape),
        "shapes_matrix_tongue": tongue.matrix,
        "shapes_mean_tongue": tongue_mean,
        "neutral_tongue": tongue_mean,
        "neutral_jaw": _or_zeros(poses.jaw_neutral, stand_ins.jaw),
        "blink_keys": _or_zeros(poses.blink_keys, stand_ins.blink_keys),
        "saccade_rot_matrix": _or_zeros(poses.saccades, stand_ins.saccades),
    }
    return {name: np.ascontiguousarray(array, np.float32) for name, array in found.items()}


def _or_zeros(array: Float32Array | None, shape: tuple[int, ...]) -> Float32Array:
    return np.zeros(shape, np.float32) if array is None else array


@dataclass(frozen=True)
class DataInfo:
    """Sizes of the parts of a face, and the normalisation of each.

    A value is normalised as `(value - translate) / scale`; jaw and eyes are deltas already, so training omits their
    translation.

    Attributes:
        counts: components, vertices, key points and angles by their names in the file, such as "num_verts_skin".
        translate: centre of each channel, `[3]` in centimetres, `[2]` in degrees for the eyes.
        scale: divisor, in the unit of the channel; never 0.
    """

    counts: Mapping[str, int]
    translate: Mapping[str, tuple[float, ...]]
    scale: Mapping[str, float]

    @classmethod
    def measure(cls, data: Mapping[str, Float32Array], transform_scale: Mapping[str, float]) -> DataInfo:
        """Computes centre and extent of each channel from the neutral poses.

        Args:
            data: the arrays of `network_data`.
            transform_scale: by channel, the largest absolute value after normalisation; 1 for missing channels.
        """
        translate, scale = {}, {}
        for channel in dict.fromkeys([*transform_scale, *CHANNELS]):
            reference = data[_REFERENCE[channel]]
            # In float32 like the reference implementation, so that the results agree to the digit.
            centre = reference.mean(axis=0)
            extent = float(np.abs(reference - centre).max())
            translate[channel] = tuple(float(value) for value in centre)
            scale[channel] = extent / transform_scale.get(channel, 1.0) if extent else 1.0
        return cls(
            counts={
                "num_shapes_skin": data["shapes_matrix_skin"].shape[0],
                "num_verts_skin": data["shapes_mean_skin"].shape[0],
                "num_shapes_tongue": data["shapes_matrix_tongue"].shape[0],
                "num_verts_tongue": data["shapes_mean_tongue"].shape[0],
                "num_keypoints_jaw": data["neutral_jaw"].shape[0],
                "num_angles_eye": data["saccade_rot_matrix"].shape[1],
            },
            translate=translate,
            scale=scale,
        )

    @classmethod
    def from_json(cls, values: Mapping[str, Any]) -> DataInfo:
        """Restores the info from the values of `as_json`.

        Raises:
            KeyError, TypeError, ValueError: a value is missing or not a number.
        """
        return cls(
            counts={name: int(values[name]) for name in values if name.startswith("num_")},
            translate={
                channel: tuple(float(value) for value in values[f"translate_{channel}"]) for channel in CHANNELS
            },
            scale={channel: float(values[f"scale_{channel}"]) for channel in CHANNELS},
        )

    def as_json(self) -> dict[str, Any]:
        """Returns the values in plain types, in the order of the file."""
        values: dict[str, Any] = dict(self.counts)
        for channel in self.scale:
            values[f"translate_{channel}"] = list(self.translate[channel])
            values[f"scale_{channel}"] = self.scale[channel]
        return values


def mean_geometry(data: Mapping[str, Float32Array], info: DataInfo) -> Float64Array:
    """Returns the normalised neutral face as one vector, float64 `[3 verts + 3 tongue verts + 3 points + 2 angles]`.

    Skin and tongue are normalised as in `DataInfo`; jaw and eyes are zero.
    """
    parts = [
        (data[_REFERENCE[channel]].astype(np.float64) - info.translate[channel]).reshape(-1) / info.scale[channel]
        for channel in ("skin", "tongue")
    ]
    still = 3 * info.counts["num_keypoints_jaw"] + 2 * info.counts["num_angles_eye"]
    return np.concatenate([*parts, np.zeros(still)])


@dataclass(frozen=True, slots=True)
class ShotRow:
    """One row of the shot list.

    Attributes:
        actor: name of the actor.
        shot: name of the shot.
        num_frames: its length in frames.
        fps: its frames per second.
        emotion: the emotion that it is trained with.
    """

    actor: str
    shot: str
    num_frames: int
    fps: float
    emotion: str

    def as_json(self) -> list[str | int | float]:
        """Returns the row as stored in the shot list."""
        return [self.actor, self.shot, self.num_frames, self.fps, self.emotion]


def shots_text(rows: Iterable[ShotRow]) -> str:
    """Returns the JSON of the shot list: one row per line."""
    return "[\n" + ",\n".join("    " + json.dumps(row.as_json()) for row in rows) + "\n]\n"


def clips_text(
    rows: Iterable[ShotRow], voices: Mapping[str, Iterable[str]], recordings: Mapping[str, str] | None = None
) -> str:
    """Returns a table of clips to paste into a configuration: every whole shot, then its recordings in other voices.

    Args:
        rows: the shots.
        voices: names of augmented speakers, and the shots that each has recordings of.
        recordings: paths of recordings with a suffix other than `.wav`, by the path without suffix.
    """
    unusual = recordings or {}
    by_name = {row.shot: row for row in rows}
    lines = [_clip_line(row, row.actor, unusual.get(row.shot, f"{row.shot}.wav")) for row in by_name.values()]
    for voice, shots in voices.items():
        recorded = set(shots)
        spoken = [row for row in by_name.values() if row.shot in recorded]
        if spoken:
            lines.append(_SEPARATOR)
            for row in spoken:
                path = f"aug/{voice}/{row.shot}"
                lines.append(_clip_line(row, f"aug_{voice}", unusual.get(path, f"{path}.wav")))
    return "\n".join(["CLIPS = [", *lines, "]", ""])


def _clip_line(row: ShotRow, speaker: str, file: str) -> str:
    last = row.num_frames - 1
    fields = [_quoted(row.actor), _quoted(row.shot), f"(0, {last})"]
    fields += [_quoted(text) for text in (speaker, _LANGUAGE, file)]
    return f"    ({', '.join(fields)}, 0),  # Shot: [0, {last}]"


def _quoted(text: str) -> str:
    """Returns a Python string literal in double quotes."""
    return json.dumps(text, ensure_ascii=False)


def parse_clips(text: str) -> list[ClipRow]:
    """Parses a table of clips as `clips_text` writes it, whole rows in a line, without executing it.

    Raises:
        ValueError, SyntaxError, TypeError: the text is not `CLIPS = [...]` of plain values.
    """
    first_line, *lines = text.strip().split("\n")
    if first_line.replace(" ", "") != "CLIPS=[" or lines[-1:] != ["]"]:
        raise ValueError("is not a single list CLIPS")
    clips: list[ClipRow] = []
    for line in lines[:-1]:  # the syntax tree of a whole table of 20 hours would take 20 MB
        for actor, shot, (first, last), speaker, language, file, offset in ast.literal_eval(f"[{line.strip()}\n]"):
            clips.append((intern(actor), shot, (first, last), intern(speaker), intern(language), file, offset))
    return clips


def display_data(dataset: ActorDataset) -> dict[str, AnyArray]:
    """Returns the arrays of the display archive, without those that the actor lacks.

    Returns:
        `skin_faces`, `tongue_faces` int32 `[faces, 3 or 4]`; every array of EXTRA_PARTS_FPATH as `extra_<name>`;
        `lip_upper`, `lip_lower`, `eye_upper`, `eye_lower` int32 vertex numbers, paired by position; `blink_keys`
        float32 `[keys]` at 30 frames per second; `fps` float32, frames per second of the actor's animation.
    """
    found: dict[str, AnyArray | None] = {
        "skin_faces": dataset.skin_faces,
        "tongue_faces": dataset.tongue_faces,
        "blink_keys": dataset.eye_blink_keys,
        "fps": np.asarray(dataset.fps, np.float32),
    }
    for name, pairs in (("lip", dataset.lip_dist), ("eye", dataset.eye_dist)):
        if pairs is not None:
            found |= {
                f"{name}_upper": pairs.upper.astype(np.int32),
                f"{name}_lower": pairs.lower.astype(np.int32),
            }
    if dataset.extra_parts is not None:
        found |= {f"extra_{name}": dataset.extra_parts.read(name) for name in dataset.extra_parts.members}
    return {name: array for name, array in found.items() if array is not None}
