"""The recorded motion of a dataset as a finished animation, to show beside what a network makes of the same sound."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from audio2face.animation import rigid_transforms
from audio2face.dataset import ActorDataset
from audio2face.errors import UserError
from audio2face.export.animation import Animation, Float32Array, Surface
from audio2face.export.spooling import Spool
from audio2face.geometry import PointCache
from audio2face.preproc.display import display_data

_DRAWN_ELSEWHERE = ("skin_faces", "tongue_faces", "blink_keys", "fps")


def true_animation(dataset: ActorDataset, shot_name: str, folder: Path) -> Animation:
    """The motion of a shot as it was recorded: no gains, offsets or blinks of an animator.

    Args:
        dataset: the actor's data.
        shot_name: the shot.
        folder: where the frames lie while the animation is in use, in files without a name; it exists.

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
    frames = min(lengths)
    return Animation(
        actor=dataset.actor,
        fps=dataset.fps,
        skin=Surface(dataset.skin_neutral, _positions(skin, frames, folder), dataset.skin_faces),
        tongue=_tongue(dataset, tongue, frames, folder),
        jaw=_jaw(dataset.jaw_keypoints_neutral, jaw, frames),
        eyes=np.zeros((frames, 4), np.float32) if eyes is None else eyes[:frames].reshape(-1, 4),
        emotions=(shot.emotion,),
        emotion=np.ones((frames, 1), np.float32),
        parts={name: array for name, array in display_data(dataset).items() if name not in _DRAWN_ELSEWHERE},
        audio=shot.audio if shot.audio.is_file() else None,
        facts={"actor": dataset.actor, "shot": shot.name, "emotion": shot.emotion, "fps": dataset.fps},
    )


def _positions(cache: PointCache, frames: int, folder: Path) -> Float32Array:
    spool = Spool((cache.num_verts, 3), folder)
    for block in cache.blocks():
        spool.append(np.asarray(block, np.float32))
    return spool.finish(frames)


def _tongue(dataset: ActorDataset, cache: PointCache | None, frames: int, folder: Path) -> Surface | None:
    if cache is None or dataset.tongue_neutral is None:
        return None
    return Surface(dataset.tongue_neutral, _positions(cache, frames, folder), dataset.tongue_faces)


def _jaw(rest: Float32Array | None, deltas: Float32Array | None, frames: int) -> Float32Array:
    """Rigid motion of the lower teeth, `[frames, 4, 4]`; none where the dataset has no jaw."""
    if rest is None or deltas is None:
        return np.tile(np.eye(4, dtype=np.float32), (frames, 1, 1))
    return rigid_transforms(rest, rest + deltas[:frames])
