"""Frames of one shot that look like others of it, left out.

Knows Euclidean distances between poses. Does not know other shots, nor what the poses are kept for.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from audio2face.geometry.pose_reader import IntArray, PoseReader, blocks_of, check_finite, read_rows
from audio2face.preproc.products import ProcessorProducts, Products

_BLOCK_BYTES = 256 << 20  # most shots of 24,000 vertices fit into one block of float64 and are read once


def prune_similar(
    poses: PoseReader,
    radius: float,
    stride: int = 10,
    keep_whole: int = 10,
    repeat: bool = True,
    products: Products | None = None,
) -> IntArray:
    """Keeps every so many frames as an anchor, and of the others those that are far from all anchors; then again.

    A pass goes over the frames that the pass before it kept, so that other frames become anchors; it ends when a
    pass drops nothing or so few frames are left that they are kept whole.

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
    near = near_pairs(poses, radius, products or ProcessorProducts())
    kept = np.arange(len(near))
    while len(kept) > keep_whole:
        survives = np.asarray(~near[np.ix_(kept[::stride], kept)].any(axis=0))
        survives[::stride] = True
        if survives.all():
            break
        kept = kept[survives]
        if not repeat:
            break
    return kept


def near_pairs(poses: PoseReader, radius: float, products: Products) -> npt.NDArray[np.bool_]:
    """Which pairs of frames lie within a Euclidean distance of each other, `[frames, frames]`.

    The distances come from inner products in float64, about the first frame so that little cancels: only pairs
    within rounding (a relative 1e-9 or so) of the radius could fall on the other side.

    Raises:
        UserError: a frame holds a coordinate that is not finite.
    """
    offset = read_rows(poses, slice(0, 1))[0].astype(np.float64)
    near = np.ones((poses.num_frames, poses.num_frames), np.bool_)
    norms = np.empty(poses.num_frames)
    blocks = list(blocks_of(poses.num_frames, offset.nbytes, _BLOCK_BYTES))

    def read(frames: slice) -> Any:
        rows = read_rows(poses, frames)
        check_finite(rows, frames.start)
        block = products.centred(rows, offset)
        norms[frames] = products.squared_norms(block)
        return block

    for index, rows in enumerate(blocks):
        block = read(rows)
        for columns in blocks[index:]:
            other = block if columns is rows else read(columns)
            squared = norms[rows, None] + norms[columns] - 2.0 * products.inner(block, other)
            near[rows, columns] = squared <= radius**2
            near[columns, rows] = near[rows, columns].T
    return near
