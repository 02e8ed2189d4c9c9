"""Prunes poses of a shot that are similar to others, without comparing most of them in full.

A sketch of the shot (`pose_sketch`), which one pass over it makes, bounds the distance of any two poses from below and
from above, and only pairs whose bounds lie on both sides of the radius are compared in full.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from audio2face.geometry.frames import PoseReader, blocks_of, check_finite, read_frames
from audio2face.preproc.matmul import MatmulBackend, NumpyBackend
from audio2face.preproc.pose_sketch import SLACK, PoseSketch
from audio2face.types import BoolArray, Float32Array, FloatArray, Int64Array

_MOST_DIRECTIONS = 64
_SKETCH_BYTES = 64 << 20  # of the coordinates of all poses: fewer directions for shots of hours
_READ_BYTES = 32 << 20  # float32 poses of a block
_FULL_BYTES = 128 << 20  # float64 poses that are compared in full
_MOST_PAIRS = 1 << 20  # whose bounds are computed together


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
    distances = Distances.create(poses, radius, stride, products or NumpyBackend())
    kept = np.arange(poses.num_frames)
    while len(kept) > keep_whole:
        survives = distances.far_from_anchors(kept, stride)
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

    What the bounds leave open is computed from inner products in float64, about the sketch's centre to reduce
    cancellation: only pairs within rounding (a relative 1e-9 or so) of the radius could be classified differently.

    Attributes:
        poses: the shot.
        radius: frames within it are near each other.
        products: backend for inner products.
        sketch: of all frames.
        shortest: lower bound of the length of what lies outside of the sketched space, `[frames]`.
        longest: its upper bound, `[frames]`.
    """

    poses: PoseReader
    radius: float
    products: MatmulBackend
    sketch: PoseSketch
    shortest: FloatArray
    longest: FloatArray

    @classmethod
    def create(cls, poses: PoseReader, radius: float, stride: int, products: MatmulBackend) -> Distances:
        """Sketches a shot: reads each frame once, and up to 64 of the anchors of the first pass before.

        Raises:
            UserError: a frame has a non-finite coordinate.
        """
        count = poses.num_frames
        directions = max(1, min(_MOST_DIRECTIONS, _SKETCH_BYTES // (4 * count)))
        anchors = np.arange(0, count, stride * -(-count // (stride * directions)))
        rows = read_frames(poses, anchors).reshape(len(anchors), -1)
        check_finite(rows, anchors)

        def read(cut: slice, buffer: Float32Array) -> Float32Array:
            block = poses.read(cut.start, cut.stop, buffer.reshape(len(buffer), -1, 3))
            return np.asarray(block).reshape(cut.stop - cut.start, -1)

        sketch = PoseSketch.create(rows, count, read, products)
        return cls(poses, radius, products, sketch, *sketch.outside())

    def far_from_anchors(self, frames: Int64Array, stride: int) -> BoolArray:
        """Returns which frames are far from all anchors, `[frames]`; every `stride`-th frame is an anchor.

        A frame that is near one anchor is not compared with others. Anchors close in time come first, since most
        frames are near those.
        """
        far, anchors = np.ones(len(frames), np.bool_), frames[::stride]
        side = int(_MOST_PAIRS**0.5)
        cuts = list(blocks_of(len(anchors), 1, side))
        for cut in blocks_of(len(frames), 1, side):
            left = np.arange(cut.start, cut.stop)
            for near_cut in sorted(cuts, key=lambda other: abs(stride * other.start - cut.start)):
                left = left[~self._near_any(anchors[near_cut], frames[left])]
                if not left.size:
                    break
            far[cut] = False
            far[left] = True
        return far

    def _near_any(self, anchors: Int64Array, frames: Int64Array) -> BoolArray:
        """Returns which frames are near any of the anchors, `[frames]`."""
        lower, upper = self._bounds(anchors, frames)
        near = np.asarray((upper <= self.radius**2).any(axis=0), np.bool_)
        doubtful = (lower <= self.radius**2) & ~near
        columns = np.flatnonzero(doubtful.any(axis=0))
        if columns.size:
            near[columns] = self._near_in_full(anchors[doubtful.any(axis=1)], frames[columns])
        return near

    def _bounds(self, anchors: Int64Array, frames: Int64Array) -> tuple[FloatArray, FloatArray]:
        """Returns bounds of the squared distances from below and above, `[anchors, frames]` each."""
        one, other = (self.sketch.inside[:, chosen].astype(np.float64) for chosen in (anchors, frames))
        squared = np.einsum("ij,ij->j", one, one)[:, None] + np.einsum("ij,ij->j", other, other) - 2 * one.T @ other
        slack = 2 * SLACK * (self.sketch.norms[anchors][:, None] + self.sketch.norms[frames])
        shortest, longest = self.shortest[anchors][:, None], self.longest[anchors][:, None]
        # The triangle inequality outside of the sketched space.
        apart = np.maximum(np.maximum(shortest - self.longest[frames], self.shortest[frames] - longest), 0)
        return squared + apart**2 - slack, squared + (longest + self.longest[frames]) ** 2 + slack

    def _near_in_full(self, anchors: Int64Array, frames: Int64Array) -> BoolArray:
        """Returns which frames are near any of the anchors, from all coordinates."""
        near = np.zeros(len(frames), np.bool_)
        for chosen in blocks_of(len(anchors), self.sketch.centre.nbytes, _FULL_BYTES):
            rows = self._read(anchors[chosen])
            centred = self.products.centred(rows, self.sketch.centre)
            lengths = np.empty(len(rows))
            self.products.against(centred[:1], rows, self.sketch.centre, lengths)
            for cut in blocks_of(len(frames), self.sketch.centre.nbytes // 2, _READ_BYTES):
                norms = np.empty(cut.stop - cut.start)
                inner = self.products.against(centred, self._read(frames[cut]), self.sketch.centre, norms)
                near[cut] |= (lengths[:, None] + norms - 2.0 * inner <= self.radius**2).any(axis=0)
        return near

    def _read(self, frames: Int64Array) -> FloatArray:
        return np.asarray(read_frames(self.poses, frames).reshape(len(frames), -1))
