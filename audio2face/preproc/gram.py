"""Inner products of every pose with some of them, computed a few dozen columns at a time.

Knows one large matrix of poses, on disk as a rule, and how to go over it seldom. Does not know what the products are
for.
"""

from __future__ import annotations

import numpy as np

from audio2face.geometry.pca import principal_pairs
from audio2face.geometry.pose_reader import FloatArray, IntArray, blocks_of, in_threads
from audio2face.preproc.products import ProcessorProducts, Products

_ANCHOR_BYTES = 384 << 20  # of the poses whose columns are computed in one pass, in float64


class GramColumns:
    """Columns of the Gram matrix of all poses about a fixed pose, in float64.

    The fixed pose keeps the numbers small: the distances that are differences of inner products lose little.

    Attributes:
        products: what makes the products.
        num_passes: how often the poses were read as a whole.
        num_fetched: columns computed so far.
    """

    def __init__(self, poses: FloatArray, products: Products | None = None) -> None:
        """Reads no more than the first pose.

        Args:
            poses: `[poses, coords]` float32, may be a memory map; finite.
            products: what makes the products; the processor where None.
        """
        self.products = products or ProcessorProducts()
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
        """Computes the columns of these poses, in one pass as a rule; earlier ones that were not taken stay."""
        for part in blocks_of(len(rows), len(self._centre) * 8, _ANCHOR_BYTES):
            self._fetch(rows[part])

    def _fetch(self, rows: IntArray) -> None:
        """Computes the columns of some poses in one pass."""
        products = self.products
        anchors = products.centred(self._poses[rows], self._centre)
        columns = np.empty((len(rows), len(self._poses)))
        norms = np.empty(len(self._poses)) if self._squared_norms is None else None

        def fill(cut: slice) -> None:
            block = products.centred(self._poses[cut], self._centre)
            columns[:, cut] = products.inner(anchors, block)
            if norms is not None:
                norms[cut] = products.squared_norms(block)

        in_threads(fill, blocks_of(len(self._poses), len(self._centre) * 8))
        if norms is not None:
            self._squared_norms = norms
        self._fetched.update(zip(rows.tolist(), columns, strict=True))
        self.num_passes += 1
        self.num_fetched += len(rows)


class SketchedGram:
    """The Gram matrix as a few of its columns foretell it (Nystrom's approximation), without going over the poses.

    Exact on its diagonal, and where the few poses span all the others.
    """

    def __init__(self, columns: GramColumns, sample: IntArray) -> None:
        """Fetches the columns of `sample`, in one pass."""
        columns.fetch(sample)
        taken = np.stack([columns.take(row) for row in sample.tolist()])
        values, vectors = principal_pairs(taken[:, sample], 1.0)
        self._scores: FloatArray = (vectors / np.sqrt(values)).T @ taken
        self._squared_norms = columns.squared_norms

    def column(self, row: int) -> FloatArray:
        """Foretold inner products `[poses]` with one pose."""
        found = self._scores[:, row] @ self._scores
        found[row] = self._squared_norms[row]
        return np.asarray(found)
