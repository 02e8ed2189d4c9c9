"""What an animation is shown beside: the recorded motion of a shot, or another animation, and how far they differ."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from audio2face.animation import rigid_transforms
from audio2face.animation.animation import BLOCK_FRAMES, Animation, FrameBuffer, Surface
from audio2face.dataset import ActorDataset
from audio2face.errors import UserError
from audio2face.geometry import PointCache
from audio2face.geometry.frames import interpolate_frames, recorded_indices
from audio2face.preproc.network_data import display_data
from audio2face.types import MM_PER_CM, Float32Array, Float64Array

_DRAWN_ELSEWHERE = ("skin_faces", "tongue_faces", "blink_keys", "fps")


def ground_truth_animation(dataset: ActorDataset, shot_name: str, folder: Path, fps: float | None = None) -> Animation:
    """The recorded motion of a shot, without gains, offsets or blinks of post-processing.

    Args:
        dataset: the actor's data.
        shot_name: name of the shot.
        folder: existing folder for unnamed temporary files of the frames, in use as long as the animation.
        fps: rate of an animation to compare with, at the same times: a recorded frame is at (i + 0.5) / fps, one of the
            animation at i / fps, so frames are interpolated. None keeps the recorded frames, half a frame early.

    Raises:
        UserError: there is no such shot, a file of it cannot be read, or the actor has no neutral pose.
    """
    shot = dataset.shot(shot_name)
    if dataset.skin_neutral is None:
        raise UserError(
            f"actor {dataset.actor!r} has no neutral pose", hint="Give SKIN_NEUTRAL_FPATH in config_dataset.py."
        )
    skin, tongue = shot.skin(), shot.tongue()
    jaw, eyes = shot.jaw_deltas(), shot.eye_rotations()
    lengths = [len(part) for part in (skin, tongue, jaw, eyes) if part is not None]
    positions = _positions(min(lengths), dataset.fps, fps)
    return Animation(
        actor=dataset.actor,
        fps=fps or dataset.fps,
        skin=Surface(dataset.skin_neutral, _resampled(skin, positions, folder), dataset.skin_faces),
        tongue=_tongue(dataset, tongue, positions, folder),
        jaw=_jaw(dataset.jaw_keypoints_neutral, jaw, positions),
        eyes=np.zeros((len(positions), 4), np.float32)
        if eyes is None
        else _interpolate(eyes, positions).reshape(-1, 4),
        emotions=(shot.emotion,),
        emotion=np.ones((len(positions), 1), np.float32),
        parts={name: array for name, array in display_data(dataset).items() if name not in _DRAWN_ELSEWHERE},
        audio=shot.audio if shot.audio.is_file() else None,
        facts={"actor": dataset.actor, "shot": shot.name, "emotion": shot.emotion, "fps": dataset.fps},
    )


def _positions(frames: int, recorded_fps: float, fps: float | None) -> Float64Array:
    """Positions of the animation's frames in recorded frames, `[animation frames]`."""
    if fps is None:
        return np.arange(frames, dtype=np.float64)
    times = np.arange(round(frames * fps / recorded_fps)) * (recorded_fps / fps)  # in recorded frames
    return np.clip(recorded_indices(times), 0, frames - 1)


def _resampled(cache: PointCache, positions: Float64Array, folder: Path) -> Float32Array:
    buffer = FrameBuffer((cache.num_verts, 3), folder)
    for start in range(0, len(positions), BLOCK_FRAMES):
        part = positions[start : start + BLOCK_FRAMES]
        first = int(part[0])
        buffer.append(_interpolate(cache.read(first, min(int(part[-1]) + 2, cache.num_frames)), part - first))
    return buffer.finish()


def _interpolate(frames: Float32Array, positions: Float64Array) -> Float32Array:
    """Frames `[positions, ...]`, linearly interpolated."""
    if not (positions % 1).any():
        return frames[positions.astype(np.intp)]
    return np.asarray(interpolate_frames(frames, positions), np.float32)


def _tongue(dataset: ActorDataset, cache: PointCache | None, positions: Float64Array, folder: Path) -> Surface | None:
    if cache is None or dataset.tongue_neutral is None:
        return None
    return Surface(dataset.tongue_neutral, _resampled(cache, positions, folder), dataset.tongue_faces)


def _jaw(neutral: Float32Array | None, deltas: Float32Array | None, positions: Float64Array) -> Float32Array:
    """Rigid transforms of the lower teeth, `[frames, 4, 4]`; the identity if the dataset has no jaw."""
    if neutral is None or deltas is None:
        return np.tile(np.eye(4, dtype=np.float32), (len(positions), 1, 1))
    return rigid_transforms(neutral, neutral + _interpolate(deltas, positions))


_BLOCK_FRAMES = 64


@dataclass(frozen=True)
class Difference:
    """Distances between the vertices of two animations, in millimetres.

    Attributes:
        mean_mm: over all vertices and frames.
        largest_mm: of all.
        largest_frame: the frame with that maximum.
        motion_mm: mean distance of the first animation's vertices from neutral, for comparison.
    """

    mean_mm: float
    largest_mm: float
    largest_frame: int
    motion_mm: float

    def __str__(self) -> str:
        """One line for a log."""
        return (
            f"{self.mean_mm:.2g} mm on average, {self.largest_mm:.2g} mm at most (frame {self.largest_frame}), where "
            f"the face moves by {self.motion_mm:.2g} mm on average"
        )


def compare_motion(
    one: Float32Array, other: Float32Array, skin_size: int, block_frames: int = _BLOCK_FRAMES
) -> Difference:
    """Compares the skin of two animations.

    Args:
        one: offsets from the neutral face, `[frames, channels]`, centimetres, the skin first.
        other: offsets of the same shape.
        skin_size: channels of the skin, three per vertex.
        block_frames: frames processed at once, which bounds memory.

    Raises:
        ValueError: the shapes differ.
    """
    if one.shape != other.shape:
        raise ValueError(f"animations {one.shape} and {other.shape} cannot be compared")
    means, largest, motion = [], [], []
    for start in range(0, len(one), block_frames):
        rows = slice(start, start + block_frames)
        vertices = one[rows, :skin_size].reshape(-1, skin_size // 3, 3)
        distances = np.linalg.norm(vertices - other[rows, :skin_size].reshape(vertices.shape), axis=-1)
        means.append(distances.mean(axis=1))
        largest.append(distances.max(axis=1))
        motion.append(np.linalg.norm(vertices, axis=-1).mean(axis=1))
    by_frame = np.concatenate(largest)
    return Difference(
        mean_mm=MM_PER_CM * float(np.concatenate(means).mean()),
        largest_mm=MM_PER_CM * float(by_frame.max()),
        largest_frame=int(by_frame.argmax()),
        motion_mm=MM_PER_CM * float(np.concatenate(motion).mean()),
    )
