"""What a network says of one track, in blocks that the animator works on well."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import chain

import numpy as np

from audio2face.errors import UserError
from audio2face.inference import Motion

BLOCK_FRAMES = 32  # worked on at once; a network may give its frames one by one


def grouped(motions: Iterator[Motion], num_frames: int = BLOCK_FRAMES) -> Iterator[Motion]:
    """Joins motions of one track, so that all but the last have as many frames as that, or more."""
    waiting: list[Motion] = []
    for motion in motions:
        waiting.append(motion)
        if sum(len(part.values) for part in waiting) >= num_frames:
            yield _joined(waiting)
            waiting = []
    if waiting:
        yield _joined(waiting)


def _joined(motions: list[Motion]) -> Motion:
    if len(motions) == 1:
        return motions[0]
    return Motion(
        motions[0].track,
        tuple(chain.from_iterable(motion.stamps for motion in motions)),
        motions[-1].next_stamp,
        np.concatenate([motion.values for motion in motions]),
        np.concatenate([motion.emotion for motion in motions]),
    )


def checked(motion: Motion) -> Motion:
    """The motion itself, which the animator's memory takes for good.

    Raises:
        UserError: a value is NaN or infinite.
    """
    if not np.isfinite(motion.values).all():
        raise UserError(
            f"the network gives NaN or infinity from sample {motion.stamps[0]} on",
            hint="The training went astray; deploy an earlier run, or choose another seed.",
        )
    return motion
