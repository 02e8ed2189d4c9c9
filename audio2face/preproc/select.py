"""Poses that differ most from what the poses chosen before can express: the greedy selection before the skin PCA.

Each step fits a PCA to the poses chosen so far and takes the pose that it reconstructs worst. All of it follows from
inner products: with S the chosen poses, C the inner products of all poses with S about the mean of S, and U, L the
eigenpairs of the rows of C that belong to S, the coordinates of a pose are C U / sqrt(L), and what they lack of its
squared length is its squared error. So no step touches a coordinate, and the result is that of the direct way up to
ties within rounding.

Columns of inner products are costly, as each pass over the poses reads them all. So the next steps are rehearsed with
a sketch of the Gram matrix, and the columns that the rehearsal took are fetched together. The result does not depend
on it: whatever the rehearsal got wrong is fetched when it is needed.

Knows rows of one matrix. Does not know shots or files.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from audio2face.geometry.pca import principal_pairs
from audio2face.geometry.pose_reader import FloatArray
from audio2face.preproc.gram import GramColumns, SketchedGram
from audio2face.preproc.products import Table

_FEW_POSES = 2048  # all their columns take 32 MB: cheaper to fetch at once than to foretell which are needed
_SKETCH_POSES = 512  # span the motion of an actor but for details: most rehearsed steps come true
_REHEARSED_STEPS = 64  # columns of one pass: enough for the product to take as long as the reading
_COLUMN_BYTES = 128 << 20  # of columns that are sketched, or fetched together: fewer are where there are many poses
_EXHAUSTED = 1e-6  # errors below this part of the largest distance are rounding


@dataclass(frozen=True)
class Pick:
    """One step of the selection.

    Attributes:
        row: the pose that was chosen.
        error: Euclidean distance between this pose and its reconstruction from those before; infinite for a seed.
        num_components: components of the PCA that reconstructed it; 0 for a seed.
    """

    row: int
    error: float
    num_components: int


def select_distinct(
    columns: GramColumns,
    max_iterations: int = 787,
    variance_threshold: float = 0.9999,
    num_seeds: int = 4,
    scratch: Path | None = None,
) -> Iterator[Pick]:
    """Chooses seeds at equal distances, then again and again the pose that is reconstructed worst.

    Ends early where every pose is chosen or reconstructed to within rounding, so that none comes twice. Of equally
    bad poses the first is taken.

    Args:
        columns: inner products of the poses to choose from.
        max_iterations: poses to choose beyond the seeds.
        variance_threshold: each PCA keeps the fewest components whose share of the variance exceeds this.
        num_seeds: poses chosen before the first PCA; fewer where there are fewer poses.
        scratch: a folder for what would take much memory; None to keep everything in memory.

    Yields:
        The picks in the order of choice, seeds first, as they are found.
    """
    count = len(columns)
    seeds = np.unique((count / num_seeds * np.arange(num_seeds)).astype(np.int64))
    few = count <= _FEW_POSES
    columns.fetch(np.arange(count) if few else seeds)
    capacity = min(len(seeds) + max_iterations, count)
    table = columns.products.table(capacity, count, scratch)
    chosen = _Chosen(columns.squared_norms, table, capacity, variance_threshold)
    for row in seeds.tolist():
        chosen.add(row, columns.take(row))
        yield Pick(row, float("inf"), 0)
    at_once = max(1, _COLUMN_BYTES // (8 * count))
    sketched = np.linspace(0, count - 1, min(_SKETCH_POSES, at_once)).astype(np.int64)
    sketch = None if few else SketchedGram(columns, sketched)
    for step in range(max_iterations):
        pick = chosen.worst()
        if pick is None:
            return
        if sketch is not None and pick.row not in columns:
            expected = _rehearse(chosen, sketch, pick, min(_REHEARSED_STEPS, at_once, max_iterations - step))
            columns.fetch(np.array([row for row in expected if row not in columns]))
        chosen.add(pick.row, columns.take(pick.row))
        yield pick


def _rehearse(chosen: _Chosen, sketch: SketchedGram, first: Pick, steps: int) -> list[int]:
    """The rows of the next steps as the sketch foretells them; that of `first` is known."""
    before = len(chosen.rows)
    pick: Pick | None = first
    while pick is not None:
        chosen.add(pick.row, sketch.column(pick.row))
        pick = chosen.worst() if len(chosen.rows) < before + steps else None
    expected = chosen.rows[before:]
    chosen.forget_after(before)
    return expected


class _Chosen:
    """The chosen poses, their columns, and the errors of all others.

    Args:
        squared_norms: `[poses]`, diagonal of the Gram matrix.
        table: keeps the columns of the chosen poses.
        capacity: the most poses that will be chosen.
        variance_threshold: share of the variance that the PCA of the chosen poses exceeds.
    """

    def __init__(self, squared_norms: FloatArray, table: Table, capacity: int, variance_threshold: float) -> None:
        self.rows: list[int] = []
        self._columns = table
        self._products = np.empty((capacity, capacity))  # of the chosen poses with each other
        self._column_sum: FloatArray = np.zeros(len(squared_norms))
        self._squared_norms = squared_norms
        self._variance_threshold = variance_threshold

    def add(self, row: int, column: FloatArray) -> None:
        count = len(self.rows)
        self.rows.append(row)
        self._columns.set(count, column)
        self._column_sum += column
        self._products[count, : count + 1] = self._products[: count + 1, count] = column[self.rows]

    def forget_after(self, count: int) -> None:
        del self.rows[count:]
        self._column_sum = self._columns.sum(count)

    def worst(self) -> Pick | None:
        """The pose that the PCA of the chosen ones reconstructs worst; None where all are reconstructed."""
        count = len(self.rows)
        products = self._products[:count, :count]
        row_means = self._column_sum / count
        chosen_means = row_means[self.rows]
        grand_mean = chosen_means.mean()
        centred = products - chosen_means[:, None] - chosen_means + grand_mean
        # Distances from the mean of the chosen poses.
        squared: FloatArray = self._squared_norms - 2.0 * row_means + grand_mean
        farthest = squared.max()
        values, vectors = principal_pairs(centred, self._variance_threshold)
        # Eigenvectors of centred products sum to zero, so of all means only those of the chosen poses matter.
        weights = (vectors - vectors.mean(axis=0)) / np.sqrt(values)
        squared -= self._columns.squared_scores(weights, chosen_means @ weights)
        squared[self.rows] = 0.0
        row = int(squared.argmax())
        if squared[row] <= farthest * _EXHAUSTED**2:
            return None
        return Pick(row, float(np.sqrt(squared[row])), weights.shape[1])
