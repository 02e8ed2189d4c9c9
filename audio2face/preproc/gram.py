"""Inner products of every pose with some of them, computed when they are first needed.

Knows one large matrix on disk and how to go over it seldom. Does not know what the products are for.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from audio2face.geometry.pose_reader import FloatArray, IntArray, blocks_of


class GramColumns:
    """Columns of the Gram matrix of all poses about a fixed pose, in float64.

    Every pass over the poses brings the columns of many; a column that is taken leaves the store.

    Attributes:
        squared_norms: `[poses]`, squared distance of every pose from the fixed one.
        num_passes: how often the poses were read.
        num_fetched: columns computed.
    """

    def __init__(self, poses: FloatArray, first: IntArray) -> None:
        """Goes over the poses once, for the squared norms and the columns of `first`, whose mean is the fixed pose.

        Args:
            poses: `[poses, coords]` float32, may be a memory map.
            first: `[n]` rows whose columns are needed first.
        """
        self._poses = poses
        self._centre = poses[first].mean(axis=0, dtype=np.float64)
        self._waiting: dict[int, FloatArray] = {}
        self.squared_norms = np.empty(len(poses))
        self.num_passes = 0
        self.num_fetched = 0
        self.fetch(first)

    def __contains__(self, row: int) -> bool:
        return row in self._waiting

    def take(self, row: int) -> FloatArray:
        """The column `[poses]` of a pose that was fetched."""
        return self._waiting.pop(row)

    def fetch(self, rows: npt.NDArray[np.integer]) -> None:
        """Computes the columns of `rows` in one pass; those computed before and not taken stay."""
        anchors = self._poses[rows] - self._centre
        columns = np.empty((len(rows), len(self._poses)))
        cuts = list(blocks_of(len(self._poses), anchors.shape[1] * 8))
        buffer = np.empty((cuts[0].stop, anchors.shape[1]))
        for cut in cuts:
            block = np.subtract(self._poses[cut], self._centre, out=buffer[: cut.stop - cut.start])
            if not self.num_passes:
                np.einsum("ij,ij->i", block, block, out=self.squared_norms[cut])
            np.matmul(anchors, block.T, out=columns[:, cut])
        self._waiting.update(zip(rows.tolist(), columns, strict=True))
        self.num_passes += 1
        self.num_fetched += len(rows)
