"""Frames on their way into a cache file: any array or stream of blocks, checked as it passes.

Knows shapes and counts. Does not know any file format.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np

from audio2face.geometry.point_cache import BLOCK_FRAMES, FloatArray

Frames = FloatArray | Iterable[FloatArray]


@dataclass(frozen=True)
class FrameStream:
    """Frames `[num_frames, num_verts, 3]` that are never held as a whole."""

    num_frames: int
    num_verts: int
    source: Iterable[FloatArray]

    @classmethod
    def of(cls, frames: Frames, num_frames: int | None, num_verts: int | None) -> FrameStream:
        """A stream over an array `[frames, verts, 3]`, or over blocks `[n, verts, 3]` with the totals given.

        Raises:
            ValueError: the totals are missing, below 1, or not those of the array.
        """
        if isinstance(frames, np.ndarray):
            if frames.ndim != 3 or frames.shape[2] != 3:
                raise ValueError(f"frames of shape {frames.shape}; [frames, verts, 3] expected")
            if num_frames not in (None, frames.shape[0]) or num_verts not in (None, frames.shape[1]):
                raise ValueError(f"array {frames.shape}, but {num_frames} frames of {num_verts} vertices announced")
            num_frames, num_verts = frames.shape[:2]
            frames = [frames]
        if num_frames is None or num_verts is None or min(num_frames, num_verts) < 1:
            raise ValueError(f"{num_frames} frames of {num_verts} vertices; both must be known and at least 1")
        return cls(num_frames, num_verts, frames)

    def blocks(self, dtype: np.dtype[Any]) -> Iterator[FloatArray]:
        """C-ordered blocks `[up to BLOCK_FRAMES, num_verts, 3]` of `dtype`.

        Raises:
            ValueError: a block of another shape or not of floats, or another total number of frames.
        """
        passed = 0
        for block in self.source:
            if block.ndim != 3 or block.shape[1:] != (self.num_verts, 3) or block.dtype.kind != "f":
                raise ValueError(f"block {block.shape} of {block.dtype}; floats [n, {self.num_verts}, 3] expected")
            passed += len(block)
            if passed > self.num_frames:
                break
            for start in range(0, len(block), BLOCK_FRAMES):
                with np.errstate(over="ignore", invalid="ignore"):
                    converted = np.ascontiguousarray(block[start : start + BLOCK_FRAMES], dtype=dtype)
                yield converted
        if passed != self.num_frames:
            raise ValueError(f"{passed} frames came, {self.num_frames} were announced")
