"""Inner products of every pose with some of them, computed a few dozen columns at a time.

Knows one large matrix of poses, on disk as a rule, and how to go over it seldom. Does not know what the products are
for.
"""

from __future__ import annotations

import numpy as np

from audio2face.geometry.eigenpairs import numerical_rank
from audio2face.geometry.pose_reader import FloatArray, IntArray, blocks_of


class GramColumns:
    """Columns of the Gram matrix of all poses about a fixed pose, in float64.

    The fixed pose keeps the numbers small: the distances that are differences of inner products lose little.

    Attributes:
        num_passes: how often the poses were read as a whole.
        num_fetched: columns computed so far.
    """

    def __init__(self, poses: FloatArray) -> None:
        """Reads no more than the first pose.

        Args:
            poses: `[poses, coords]` float32, may be a memory map; finite.
        """
        self._poses = poses
        self._centre = poses[0].astype(np.float64)
        self._squared_norms: FloatArray | None = None
        self._fetched: dict[int, FloatArray] = {}
        self.num_passes = 0
        self.num_fetched = 0

    def __len__(self) -> int:
        """Number of poses."""
        return len(self._poses)

    def __contains__(self, row: int) -> bool:
        """Whether `take` has the column of this pose."""
        return row in self._fetched

    @property
    def squared_norms(self) -> FloatArray:
        """The diagonal of the Gram matrix, `[poses]`; there after the first `fetch`."""
        assert self._squared_norms is not None, "nothing was fetched yet"
        return self._squared_norms

    def take(self, row: int) -> FloatArray:
        """The inner products `[poses]` with a pose that was fetched; the column is then forgotten here."""
        return self._fetched.pop(row)

    def fetch(self, rows: IntArray) -> None:
        """Computes the columns of these poses in one pass; earlier ones that were not taken stay."""
        anchors = self._poses[rows] - self._centre
        columns = np.empty((len(rows), len(self._poses)))
        norms = np.empty(len(self._poses))
        cuts = list(blocks_of(len(self._poses), anchors.shape[1] * 8))
        buffer = np.empty((cuts[0].stop, anchors.shape[1]))
        for cut in cuts:
            block = np.subtract(self._poses[cut], self._centre, out=buffer[: cut.stop - cut.start])
            np.matmul(anchors, block.T, out=columns[:, cut])
            if self._squared_norms is None:
                np.einsum("ij,ij->i", block, block, out=norms[cut])
        if self._squared_norms is None:
            self._squared_norms = norms
        self._fetched.update(zip(rows.tolist(), columns, strict=True))
        self.num_passes += 1
        self.num_fetched += len(rows)


class SketchedGram:
    """The Gram matrix as a few of its columns foretell it (Nystrom's approximation), without going over the poses.

    Exact where the few poses span all the others, as good as they come near to that elsewhere.
    """

    def __init__(self, columns: GramColumns, sample: IntArray) -> None:
        """Takes the columns of `sample`, which were fetched."""
        taken = np.stack([columns.take(row) for row in sample.tolist()])
        values, vectors = np.linalg.eigh(taken[:, sample])
        rank = numerical_rank(values[::-1], len(values))
        first = len(values) - rank
        self._scores = (vectors[:, first:] / np.sqrt(values[first:])).T @ taken
        self._squared_norms = columns.squared_norms

    def column(self, row: int) -> FloatArray:
        """Foretold inner products `[poses]` with one pose; that with itself is exact."""
        found = np.asarray(self._scores[:, row] @ self._scores)
        found[row] = self._squared_norms[row]
        return found
