"""The implicit emotions of a training as the table that is deployed, and the row of it that a network is driven with.

Knows frames and shots. Knows no network.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import numpy as np
import numpy.typing as npt

from audio2face.config.merge import nearest
from audio2face.config_base.types import AnimationParametersRegression
from audio2face.dataset.arrays import Float32Array
from audio2face.errors import UserError
from audio2face.model_folder.emotion_database import EmotionDatabase
from audio2face.training.clips import Clip, Shot

IntArray = npt.NDArray[np.int64]


def num_rows(shots: Iterable[Shot]) -> int:
    """Rows for all frames of all shots."""
    return max(shot.first_global_frame + shot.num_frames for shot in shots)


def emotion_database(
    rows: Float32Array, shots: Sequence[Shot], clips: Sequence[Clip], learnt: Sequence[Clip], *, compact: bool
) -> EmotionDatabase:
    """The table by shot.

    Rows of frames that nothing was learnt from are as chance made them; here they are the mean of all that were learnt.

    Args:
        rows: `[frames of all shots, length]`.
        shots: all shots.
        clips: all clips.
        learnt: those of them that were learnt from.
        compact: keeps the frames of clips only; the frames of a shot are counted anew then.
    """
    trained = np.unique(np.concatenate([_global_frames(clip) for clip in learnt]))
    table = np.tile(rows[trained].mean(axis=0, dtype=np.float64).astype(np.float32), (len(rows), 1))
    table[trained] = rows[trained]
    kept = _kept_frames(shots, clips, compact=compact)
    sizes = [len(frames) for _, frames in kept]
    return EmotionDatabase(
        names=tuple(shot.id for shot, _ in kept),
        starts=tuple(np.cumsum([0, *sizes])[:-1].tolist()),
        sizes=tuple(sizes),
        rows=table[np.concatenate([shot.first_global_frame + frames for shot, frames in kept])],
    )


def check_source(
    config: AnimationParametersRegression, shots: Sequence[Shot], clips: Sequence[Clip], *, compact: bool
) -> None:
    """Makes sure that the frame whose implicit emotion is to drive the network will be in the table.

    Args:
        config: CONFIG of the inference configuration, with source_shot and source_frame; either may be None.
        shots: see `emotion_database`.
        clips: see `emotion_database`.
        compact: see `emotion_database`.

    Raises:
        UserError: there is no such shot or frame.
    """
    name, frame = config["source_shot"], config["source_frame"]
    if name is None:
        return
    sizes = {shot.id: len(frames) for shot, frames in _kept_frames(shots, clips, compact=compact)}
    if name not in sizes:
        close = nearest(name, list(sizes))
        meant = f"; did you mean {close!r}?" if close else ""
        raise UserError(
            f"CONFIG['source_shot'] is {name!r}, a shot that training does not know{meant}",
            hint="Name a shot of CLIPS in config_inference.py, or None to let one be chosen.",
        )
    if frame is not None and frame >= sizes[name]:
        counted = ", counted without the frames that COMPACTIFY_IMPLICIT_EMO_DB leaves out" if compact else ""
        raise UserError(
            f"CONFIG['source_frame'] is {frame}, and shot {name!r} has {sizes[name]} frames{counted}",
            hint=f"Choose one up to {sizes[name] - 1} in config_inference.py.",
        )


def _kept_frames(shots: Sequence[Shot], clips: Sequence[Clip], *, compact: bool) -> list[tuple[Shot, IntArray]]:
    """The shots of the table in order, and which of their frames it holds."""
    ordered = sorted(shots, key=lambda shot: shot.first_global_frame)
    if not compact:
        return [(shot, np.arange(shot.num_frames)) for shot in ordered]
    used: dict[str, list[IntArray]] = {}
    for clip in clips:
        used.setdefault(clip.shot.id, []).append(np.arange(clip.first, clip.last + 1))
    return [(shot, np.unique(np.concatenate(used[shot.id]))) for shot in ordered if shot.id in used]


def _global_frames(clip: Clip) -> IntArray:
    return clip.shot.first_global_frame + np.arange(clip.first, clip.last + 1)
