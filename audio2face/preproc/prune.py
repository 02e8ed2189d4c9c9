"""Frames of one shot that look like others of it, left out.

Knows Euclidean distances between poses. Does not know other shots, nor what the poses are kept for.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np

from audio2face.geometry.pose_reader import PoseReader, blocks_of, check_finite, read_frames
from audio2face.preproc.matmul import MatmulBackend, NumpyBackend
from audio2face.types import BoolArray, FloatArray, Int64Array

_BLOCK_BYTES = 128 << 20  # of poses in float64
_MOST_ROWS = 1024  # of a block, however small poses are: distances between two blocks take 8 MB
_MOST_PAIRS = 1 << 26  # that are kept in memory: those of 8,192 frames, 64 MB


def prune_similar(
    poses: PoseReader,
    radius: float,
    stride: int = 10,
    keep_whole: int = 10,
    repeat: bool = True,
    products: MatmulBackend | None = None,
) -> Int64Array:
    """Keeps every so many frames as an anchor, and of the others those that are far from all anchors; then again.

    A pass goes over the frames that the pass before it kept, so that other frames become anchors; it ends when a
    pass drops nothing or so few frames are left that they are kept whole.

    Distances between all pairs are made once, and kept, as soon as 8,192 frames or fewer are left; passes over more
    make those that they need, so that memory does not grow with the length of a shot.

    Args:
        poses: one shot.
        radius: a frame within this Euclidean distance of an anchor is dropped, in the unit of the vertices, over all
            coordinates: 4 over 24,000 vertices is a root mean square of 0.026 per vertex.
        stride: every how many kept frames an anchor stands.
        keep_whole: with at most so many frames left, all are kept.
        repeat: False for one pass only.
        products: what makes inner products; the processor where None.

    Returns:
        Kept frames, rising.

    Raises:
        UserError: a frame holds a coordinate that is not finite.
    """
    distances = Distances.of(poses, radius, products or NumpyBackend())
    kept = np.arange(poses.num_frames)
    near, first = None, kept
    if kept.size <= keep_whole:
        distances.check(kept)
    while len(kept) > keep_whole:
        if near is None and len(kept) ** 2 <= _MOST_PAIRS:
            near, first = distances.near_pairs(kept), kept
        if near is None:
            survives = distances.far_from_anchors(kept, stride)
        else:
            places = np.searchsorted(first, kept)
            survives = np.asarray(~near[np.ix_(places[::stride], places)].any(axis=0))
        survives[::stride] = True
        if survives.all():
            break
        kept = kept[survives]
        if not repeat:
            break
    return kept


@dataclass(frozen=True)
class Distances:
    """Euclidean distances between frames of a shot, held against a radius.

    They come from inner products in float64, about the first frame so that little cancels: only pairs within rounding
    (a relative 1e-9 or so) of the radius could fall on the other side.

    Attributes:
        poses: the shot.
        radius: frames within it are near each other.
        products: what makes inner products.
        centre: the first frame, float64 `[coords]`.
    """

    poses: PoseReader
    radius: float
    products: MatmulBackend
    centre: FloatArray

    @classmethod
    def of(cls, poses: PoseReader, radius: float, products: MatmulBackend) -> Distances:
        """Prepares the distances of a shot."""
        return cls(poses, radius, products, read_frames(poses, np.zeros(1, np.int64))[0].reshape(-1).astype(np.float64))

    def check(self, frames: Int64Array) -> None:
        """Refuses frames that hold a coordinate that is not finite.

        Raises:
            UserError: names the first such frame.
        """
        for cut in self._blocks(len(frames)):
            self._read(frames[cut])

    def near_pairs(self, frames: Int64Array) -> BoolArray:
        """Which pairs of frames are near each other, `[frames, frames]`.

        Raises:
            UserError: a frame holds a coordinate that is not finite.
        """
        near = np.ones((len(frames), len(frames)), np.bool_)
        blocks = list(self._blocks(len(frames)))
        for index, rows in enumerate(blocks):
            block = self._read(frames[rows])
            for columns in blocks[index:]:
                other = block if columns is rows else self._read(frames[columns])
                near[rows, columns] = self._near(block, other)
                near[columns, rows] = near[rows, columns].T
        return near

    def far_from_anchors(self, frames: Int64Array, stride: int) -> BoolArray:
        """Which frames are near no anchor, `[frames]`; every so many of them is one.

        A frame that is near one anchor is compared with no further one. Anchors of the same time come first: most
        frames are near those.

        Raises:
            UserError: a frame holds a coordinate that is not finite.
        """
        far = np.ones(len(frames), np.bool_)
        anchors = frames[::stride]
        cuts = list(self._blocks(len(anchors)))
        for cut in self._blocks(len(frames)):
            values, norms = self._read(frames[cut])
            left = np.arange(len(norms))
            for near_cut in sorted(cuts, key=lambda other: abs(stride * other.start - cut.start)):
                found = self._near(self._read(anchors[near_cut]), (values[left], norms[left])).any(axis=0)
                left = left[~found]
                if not left.size:
                    break
            far[cut] = np.isin(np.arange(len(norms)), left)
        return far

    def _blocks(self, count: int) -> Iterator[slice]:
        return blocks_of(count, max(self.centre.nbytes, _BLOCK_BYTES // _MOST_ROWS), _BLOCK_BYTES)

    def _read(self, frames: Int64Array) -> tuple[Any, FloatArray]:
        """Centred poses where products are made, and their squared lengths `[frames]`."""
        rows = read_frames(self.poses, frames).reshape(len(frames), -1)
        check_finite(rows, frames)
        block = self.products.centred(rows, self.centre)
        return block, self.products.squared_norms(block)

    def _near(self, one: tuple[Any, FloatArray], other: tuple[Any, FloatArray]) -> BoolArray:
        squared = one[1][:, None] + other[1] - 2.0 * self.products.inner(one[0], other[0])
        return np.asarray(squared <= self.radius**2)
