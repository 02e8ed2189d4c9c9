"""What a selection of distinct poses will probably pick next, told from few inner products.

Knows the coordinates of all poses in a small space that holds nearly all motion, and treats what lies beyond it as
noise. Does not decide anything: whoever asks checks each pick with exact numbers.
"""

from __future__ import annotations

import numpy as np

from audio2face.geometry.pca import principal_pairs
from audio2face.geometry.pose_reader import FloatArray
from audio2face.preproc.gram import GramColumns

_SAMPLED_POSES = 512  # they span the motion of an actor but for details
_DIMENSIONS = 256
_SHARE_INSIDE = 1.0 - 1e-5  # of the variance of the sampled poses


class Rehearsal:
    """Coordinates of all poses in the leading directions of a sample of them (Nystrom's approximation)."""

    def __init__(self, columns: GramColumns, variance_threshold: float) -> None:
        """Fetches the columns of the sample, in one pass.

        Args:
            columns: inner products of the poses to choose from.
            variance_threshold: that of the selection to foretell.
        """
        count = len(columns)
        sample = np.unique(np.linspace(0, count - 1, min(count, _SAMPLED_POSES)).astype(np.int64))
        columns.fetch(sample)
        products = np.stack([columns.take(row) for row in sample.tolist()])
        values, vectors = principal_pairs(products[:, sample], _SHARE_INSIDE)
        weights = vectors[:, :_DIMENSIONS] / np.sqrt(values[:_DIMENSIONS])
        self._points: FloatArray = weights.T @ products
        self._squared_norms = columns.squared_norms
        self._squared_beyond = self._squared_norms - np.einsum("ij,ij->j", self._points, self._points)
        self._variance_threshold = variance_threshold

    def next_rows(self, chosen: list[int], first: int, count: int) -> list[int]:
        """The poses that will be picked next, as far as can be foretold.

        Args:
            chosen: the poses chosen so far.
            first: the pose known to come next; the first of the result.
            count: the most poses to foretell, `first` included.
        """
        expected = [first]
        while len(expected) < count:
            row = self._worst([*chosen, *expected])
            if row is None:
                break
            expected.append(row)
        return expected

    def _worst(self, chosen: list[int]) -> int | None:
        """The pose farthest from the leading components of the chosen ones; None where all lie in them."""
        mean = self._points[:, chosen].mean(axis=1)
        centred = self._points[:, chosen] - mean[:, None]
        beyond = max(float(self._squared_beyond[chosen].sum()), 0.0)
        _, vectors = principal_pairs(centred @ centred.T, self._variance_threshold, beyond)
        scores = vectors.T @ self._points - (vectors.T @ mean)[:, None]
        squared = self._squared_norms - 2.0 * (mean @ self._points) + mean @ mean
        squared -= np.einsum("ij,ij->j", scores, scores)
        squared[chosen] = 0.0
        row = int(squared.argmax())
        return row if squared[row] > 0.0 else None
