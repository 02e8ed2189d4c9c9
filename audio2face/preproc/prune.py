"""Prunes frames of one shot that are similar to others, by the Euclidean distance of poses."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np

from audio2face.geometry.frames import PoseReader, blocks_of, check_finite, read_frames
from audio2face.preproc.matmul import MatmulBackend, NumpyBackend
from audio2face.types import BoolArray, FloatArray, Int64Array

_BLOCK_BYTES = 128 << 20  # of poses in float64
_MOST_ROWS = 1024  # of a block, however small poses are: distances between two blocks take 8 MB
_MOST_PAIRS = 1 << 26  # kept in memory: those of 8,192 frames, 64 MB


def prune_similar(
    poses: PoseReader,
    radius: float,
    stride: int = 10,
    keep_whole: int = 10,
    repeat: bool = True,
    products: MatmulBackend | None = None,
) -> Int64Array:
    """Keeps every `stride`-th frame as an anchor, and other frames that are far from all anchors; then repeats.

    Each pass processes the frames that the previous pass kept, so that other frames become anchors; passes end when
    one drops nothing or at most `keep_whole` frames are left.

    With up to 8,192 frames, distances between all pairs are computed once and kept; passes over more frames compute
    distances as needed, so that memory is independent of the length of a shot.

    Args:
        poses: one shot.
        radius: a frame within this Euclidean distance of an anchor is dropped, in the unit of the vertices, over all
            coordinates: 4 over 24,000 vertices is a root mean square of 0.026 per vertex.
        stride: distance of anchors, in kept frames.
        keep_whole: number of frames up to which all are kept.
        repeat: False for a single pass.
        products: backend for inner products; None for the CPU.

    Returns:
        Kept frames, increasing.

    Raises:
        UserError: a frame has a non-finite coordinate.
    """
    distances = Distances.create(poses, radius, products or NumpyBackend())
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
    """Euclidean distances between frames of a shot, compared with a radius.

    They are computed from inner products in float64, about the first frame to reduce cancellation: only pairs within
    rounding (a relative 1e-9 or so) of the radius could be classified differently.

    Attributes:
        poses: the shot.
        radius: frames within it are near each other.
        products: backend for inner products.
        centre: the first frame, float64 `[coords]`.
    """

    poses: PoseReader
    radius: float
    products: MatmulBackend
    centre: FloatArray

    @classmethod
    def create(cls, poses: PoseReader, radius: float, products: MatmulBackend) -> Distances:
        """Prepares the distances of a shot."""
        return cls(poses, radius, products, read_frames(poses, np.zeros(1, np.int64))[0].reshape(-1).astype(np.float64))

    def check(self, frames: Int64Array) -> None:
        """Refuses frames with a non-finite coordinate.

        Raises:
            UserError: names the first such frame.
        """
        for cut in self._blocks(len(frames)):
            self._read(frames[cut])

    def near_pairs(self, frames: Int64Array) -> BoolArray:
        """Returns which pairs of frames are near each other, `[frames, frames]`.

        Raises:
            UserError: a frame has a non-finite coordinate.
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
        """Returns which frames are far from all anchors, `[frames]`; every `stride`-th frame is an anchor.

        A frame that is near one anchor is not compared with others. Anchors close in time come first, since most
        frames are near those.

        Raises:
            UserError: a frame has a non-finite coordinate.
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
        """Returns centred poses on the backend's device, and their squared norms `[frames]`."""
        rows = read_frames(self.poses, frames).reshape(len(frames), -1)
        check_finite(rows, frames)
        block = self.products.centred(rows, self.centre)
        return block, self.products.squared_norms(block)

    def _near(self, one: tuple[Any, FloatArray], other: tuple[Any, FloatArray]) -> BoolArray:
        squared = one[1][:, None] + other[1] - 2.0 * self.products.inner(one[0], other[0])
        return np.asarray(squared <= self.radius**2)
