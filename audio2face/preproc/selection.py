"""Inner products of every pose with some of them, computed a few dozen columns at a time.

Knows one large matrix of poses, on disk as a rule, and how to go over it seldom. Does not know what the products are
for.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import astuple, dataclass
from pathlib import Path

import numpy as np

from audio2face.config import Preproc
from audio2face.console import LOGGER
from audio2face.geometry.pca import principal_pairs
from audio2face.geometry.pose_reader import PoseReader, blocks_of, in_threads
from audio2face.preproc.artifacts import intermediate_folder, write_frame_lists
from audio2face.preproc.matmul import ColumnTable, MatmulBackend, NumpyBackend, fastest_backend
from audio2face.preproc.poses import frames_by_shot, stack_poses
from audio2face.preproc.steps import Steps, StepStore
from audio2face.types import AnyArray, FloatArray, Int64Array

_ANCHOR_BYTES = 384 << 20  # of the poses whose columns are computed in one pass, in float64


class GramColumns:
    """Columns of the Gram matrix of all poses about a fixed pose, in float64.

    The fixed pose keeps the numbers small: the distances that are differences of inner products lose little.

    Attributes:
        products: what makes the products.
        num_passes: how often the poses were read as a whole.
        num_fetched: columns computed so far.
    """

    def __init__(self, poses: FloatArray, products: MatmulBackend | None = None) -> None:
        """Reads no more than the first pose.

        Args:
            poses: `[poses, coords]` float32, may be a memory map; finite.
            products: what makes the products; the processor where None.
        """
        self.products = products or NumpyBackend()
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

    def fetch(self, rows: Int64Array) -> None:
        """Computes the columns of these poses, in one pass as a rule; earlier ones that were not taken stay."""
        for part in blocks_of(len(rows), len(self._centre) * 8, _ANCHOR_BYTES):
            self._fetch(rows[part])

    def _fetch(self, rows: Int64Array) -> None:
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


class NystromGram:
    """The Gram matrix as a few of its columns foretell it (Nystrom's approximation), without going over the poses.

    Exact on its diagonal, and where the few poses span all the others.
    """

    def __init__(self, columns: GramColumns, sample: Int64Array) -> None:
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


STACK_SHARE, SELECT_SHARE = 0.05, 0.5  # of the whole stage's time


@dataclass(frozen=True)
class Selections:
    """The poses picked as distinct, in the order of choice, seeds first.

    Attributes:
        rows: `[picks]` rows of the stacked kept poses.
        errors: `[picks]` distance of each from what those before it express; infinite for seeds.
    """

    rows: Int64Array
    errors: FloatArray

    @classmethod
    def gather(cls, picks: Sequence[Selection]) -> Selections:
        """Puts the picks of a selection into arrays."""
        return cls(np.array([pick.row for pick in picks]), np.array([pick.error for pick in picks]))

    def as_arrays(self) -> dict[str, AnyArray]:
        """The attributes by name."""
        return {"rows": self.rows, "errors": self.errors}


def select_and_record(
    poses: Mapping[str, PoseReader], kept: Mapping[str, Int64Array], settings: Preproc, store: StepStore
) -> Steps[Selections]:
    """The kept poses that differ most from each other, in the order they are picked."""
    label = "skin, distinct poses"
    keep = settings.KEEP_INTERMEDIATES
    path = (store.run / intermediate_folder("skin") if keep else store.folder) / "skin_cache_all.npy"
    yield label, 0.0
    if not path.is_file() and (keep or not store.has("skin_picks")):
        stack_poses(poses, kept, path)
    yield label, STACK_SHARE
    done = 0.0
    if not store.has("skin_picks"):
        found = []
        columns = GramColumns(np.load(path, mmap_mode="r", allow_pickle=False), fastest_backend())
        expected = min(settings.SKIN_SELECT_DISTINCT_MAX_ITER, len(columns))
        for pick in select_distinct(
            columns,
            max_iterations=settings.SKIN_SELECT_DISTINCT_MAX_ITER,
            num_seeds=settings.SKIN_SELECT_DISTINCT_NUM_SEEDS,
            variance_threshold=settings.SKIN_SELECT_DISTINCT_VARIANCE_THRESHOLD,
            scratch=path.parent,
        ):
            found.append(pick)
            if settings.VERBOSE:
                LOGGER.info("pick %d: row %d, error %.4g, %d components", len(found), *astuple(pick))
            part = min(len(found) / expected, 1.0)
            reached = SELECT_SHARE * (part + part**3) / 2  # steps take longer the more is picked
            yield label, reached - done
            done = reached
        store.once("skin_picks", lambda: Selections.gather(found).as_arrays())
    yield label, SELECT_SHARE - done  # it may end early
    if not keep:
        path.unlink(missing_ok=True)  # gigabytes that nothing reads any more
    picks = Selections(**store.once("skin_picks", dict))
    _write_lists(picks, kept, settings, store.run)
    return picks


def _write_lists(picks: Selections, kept: Mapping[str, Int64Array], settings: Preproc, run: Path) -> None:
    """The picked frames by shot; for study, also what was picked after every hundred iterations."""
    write_frame_lists(run, "pca_final", frames_by_shot(picks.rows, kept))
    if settings.VERBOSE:
        for iteration in range(99, picks.errors.size - settings.SKIN_SELECT_DISTINCT_NUM_SEEDS, 100):
            chosen = picks.rows[: settings.SKIN_SELECT_DISTINCT_NUM_SEEDS + iteration + 1]
            write_frame_lists(run, f"pca_{iteration}", frames_by_shot(chosen, kept))


_FEW_POSES = 2048  # all their columns take 32 MB: cheaper to fetch at once than to foretell which are needed
_SKETCH_POSES = 512  # span the motion of an actor but for details: most rehearsed steps come true
_LOOKAHEAD_STEPS = 64  # columns of one pass: enough for the product to take as long as the reading
_COLUMN_BYTES = 128 << 20  # of columns that are sketched, or fetched together: fewer are where there are many poses
_EXHAUSTED = 1e-6  # errors below this part of the largest distance are rounding


@dataclass(frozen=True)
class Selection:
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
) -> Iterator[Selection]:
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
        yield Selection(row, float("inf"), 0)
    at_once = max(1, _COLUMN_BYTES // (8 * count))
    sketched = np.linspace(0, count - 1, min(_SKETCH_POSES, at_once)).astype(np.int64)
    sketch = None if few else NystromGram(columns, sketched)
    for step in range(max_iterations):
        pick = chosen.worst()
        if pick is None:
            return
        if sketch is not None and pick.row not in columns:
            expected = _lookahead(chosen, sketch, pick, min(_LOOKAHEAD_STEPS, at_once, max_iterations - step))
            columns.fetch(np.array([row for row in expected if row not in columns]))
        chosen.add(pick.row, columns.take(pick.row))
        yield pick


def _lookahead(chosen: _Chosen, sketch: NystromGram, first: Selection, steps: int) -> list[int]:
    """The rows of the next steps as the sketch foretells them; that of `first` is known."""
    before = len(chosen.rows)
    pick: Selection | None = first
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

    def __init__(self, squared_norms: FloatArray, table: ColumnTable, capacity: int, variance_threshold: float) -> None:
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

    def worst(self) -> Selection | None:
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
        return Selection(row, float(np.sqrt(squared[row])), weights.shape[1])
