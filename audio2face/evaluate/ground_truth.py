"""The recorded motion of a dataset as a finished animation, to show beside what a network makes of the same sound."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from audio2face.animation import rigid_transforms
from audio2face.animation.animation import BLOCK_FRAMES, Animation, Surface
from audio2face.dataset import ActorDataset
from audio2face.errors import UserError
from audio2face.geometry import PointCache
from audio2face.geometry.frame_times import recorded_indices
from audio2face.io.frame_buffer import FrameBuffer
from audio2face.preproc.network_data import display_data
from audio2face.types import Float32Array, Float64Array

_DRAWN_ELSEWHERE = ("skin_faces", "tongue_faces", "blink_keys", "fps")


def true_animation(dataset: ActorDataset, shot_name: str, folder: Path, fps: float | None = None) -> Animation:
    """The motion of a shot as it was recorded: no gains, offsets or blinks of an animator.

    Args:
        dataset: the actor's data.
        shot_name: the shot.
        folder: where the frames lie while the animation is in use, in files without a name; it exists.
        fps: of an animation to stand beside, frame by frame at the same times: a recorded frame shows the middle of its
            time (`geometry.frame_times`), so that what lies between two is drawn from both. None leaves the frames as
            they were recorded, half a frame early.

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
    places = _places(min(lengths), dataset.fps, fps)
    return Animation(
        actor=dataset.actor,
        fps=fps or dataset.fps,
        skin=Surface(dataset.skin_neutral, _positions(skin, places, folder), dataset.skin_faces),
        tongue=_tongue(dataset, tongue, places, folder),
        jaw=_jaw(dataset.jaw_keypoints_neutral, jaw, places),
        eyes=np.zeros((len(places), 4), np.float32) if eyes is None else _between(eyes, places).reshape(-1, 4),
        emotions=(shot.emotion,),
        emotion=np.ones((len(places), 1), np.float32),
        parts={name: array for name, array in display_data(dataset).items() if name not in _DRAWN_ELSEWHERE},
        audio=shot.audio if shot.audio.is_file() else None,
        facts={"actor": dataset.actor, "shot": shot.name, "emotion": shot.emotion, "fps": dataset.fps},
    )


def _places(frames: int, recorded_fps: float, fps: float | None) -> Float64Array:
    """Where in the recorded frames those of the animation lie, `[animation frames]`."""
    if fps is None:
        return np.arange(frames, dtype=np.float64)
    times = np.arange(round(frames * fps / recorded_fps)) * (recorded_fps / fps)  # in recorded frames
    return np.clip(recorded_indices(times), 0, frames - 1)


def _positions(cache: PointCache, places: Float64Array, folder: Path) -> Float32Array:
    spool = FrameBuffer((cache.num_verts, 3), folder)
    for start in range(0, len(places), BLOCK_FRAMES):
        part = places[start : start + BLOCK_FRAMES]
        first = int(part[0])
        spool.append(_between(cache.read(first, min(int(part[-1]) + 2, cache.num_frames)), part - first))
    return spool.finish()


def _between(frames: Float32Array, places: Float64Array) -> Float32Array:
    """Frames `[places, ...]` on straight lines between those given."""
    before = np.floor(places).astype(np.intp)
    share = (places - before).astype(np.float32).reshape(-1, *(1,) * (frames.ndim - 1))
    if not share.any():
        return frames[before]
    return np.asarray(frames[before] * (1 - share) + frames[np.minimum(before + 1, len(frames) - 1)] * share)


def _tongue(dataset: ActorDataset, cache: PointCache | None, places: Float64Array, folder: Path) -> Surface | None:
    if cache is None or dataset.tongue_neutral is None:
        return None
    return Surface(dataset.tongue_neutral, _positions(cache, places, folder), dataset.tongue_faces)


def _jaw(rest: Float32Array | None, deltas: Float32Array | None, places: Float64Array) -> Float32Array:
    """Rigid motion of the lower teeth, `[frames, 4, 4]`; none where the dataset has no jaw."""
    if rest is None or deltas is None:
        return np.tile(np.eye(4, dtype=np.float32), (len(places), 1, 1))
    return rigid_transforms(rest, rest + _between(deltas, places))
