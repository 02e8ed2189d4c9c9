"""The difference of two animations of one face, from offsets in centimetres."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from audio2face.types import MM_PER_CM, Float32Array

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
