"""Selects distinct poses by greedy reconstruction error, from columns of the poses' Gram matrix.

The matrix of poses, usually on disk, is read in few passes, each of which computes dozens of columns.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import astuple, dataclass
from pathlib import Path

import numpy as np

from audio2face.config import Preproc
from audio2face.console import LOGGER
from audio2face.geometry.frames import PoseReader, blocks_of, in_threads
from audio2face.geometry.pca import principal_pairs
from audio2face.preproc.artifacts import intermediate_folder, write_frame_lists
from audio2face.preproc.matmul import ColumnTable, MatmulBackend, NumpyBackend, fastest_backend
from audio2face.preproc.poses import KeptPoses, frames_by_shot, stack_poses
from audio2face.preproc.steps import Steps, StepStore
from audio2face.types import AnyArray, FloatArray, Int64Array

_ANCHOR_BYTES = 384 << 20  # float64 poses whose columns are computed in one pass
_PARTS = 4  # of all poses, which threads process
_KEPT_BYTES = 256 << 20  # of columns that are not needed yet


class GramColumns:
    """Columns of the Gram matrix of all poses about a fixed pose, in float64.

    Subtracting the fixed pose keeps the numbers small, so that distances, as differences of inner products, stay exact.

    Attributes:
        products: backend for products.
        num_passes: number of passes over all poses.
        num_fetched: number of columns computed.
    """

    def __init__(self, poses: FloatArray | KeptPoses, products: MatmulBackend | None = None) -> None:
        """Reads only the first pose.

        Args:
            poses: `[poses, coords]` float32, may be a memory map or read from the shots; finite.
            products: backend for products; None for the CPU.
        """
        self.products = products or NumpyBackend()
        self._poses = poses
        self._centre = self._read(np.zeros(1, np.int64))[0].astype(np.float64)
        self._squared_norms: FloatArray | None = None
        self._fetched: dict[int, FloatArray] = {}
        self.num_passes = 0
        self.num_fetched = 0

    def __len__(self) -> int:
        """Number of poses."""
        return len(self._poses)

    def __contains__(self, row: int) -> bool:
        """Whether `take` can return the column of this pose."""
        return row in self._fetched

    @property
    def squared_norms(self) -> FloatArray:
        """The diagonal of the Gram matrix, `[poses]`; available after the first `fetch`."""
        assert self._squared_norms is not None, "nothing was fetched yet"
        return self._squared_norms

    def take(self, row: int) -> FloatArray:
        """Returns the inner products `[poses]` with a fetched pose, and releases the column."""
        return self._fetched.pop(row)

    def fetched(self, rows: Int64Array) -> FloatArray:
        """Returns the inner products with fetched poses, `[rows, poses]`, and keeps the columns."""
        return np.stack([self._fetched[row] for row in rows.tolist()])

    def fetch(self, rows: Int64Array) -> None:
        """Computes the columns of these poses, usually in one pass; the latest ones that were not taken are kept."""
        for part in blocks_of(len(rows), len(self._centre) * 8, _ANCHOR_BYTES):
            self._fetch(rows[part])

    def _fetch(self, rows: Int64Array) -> None:
        """Computes the columns of these poses in one pass."""
        products = self.products
        order = np.argsort(rows)
        anchors = products.centred(self._read(rows[order]), self._centre)
        columns = np.empty((len(rows), len(self._poses)))
        norms = np.empty(len(self._poses)) if self._squared_norms is None else None

        def fill(part: slice) -> None:
            cuts = list(blocks_of(part.stop - part.start, len(self._centre) * 4))
            buffer = np.empty((cuts[0].stop, len(self._centre)), np.float32)  # takes no memory where it stays unused
            for block in cuts:
                cut = slice(part.start + block.start, part.start + block.stop)
                own = None if norms is None else norms[cut]
                columns[order, cut] = products.against(anchors, self._block(cut, buffer), self._centre, own)

        in_threads(fill, blocks_of(len(self), 1, -(-len(self) // _PARTS)))
        if norms is not None:
            self._squared_norms = norms
        # Each by itself: a view would keep the columns of the whole pass.
        self._fetched.update((row, column.copy()) for row, column in zip(rows.tolist(), columns, strict=True))
        while len(self._fetched) > max(len(rows), _KEPT_BYTES // columns[0].nbytes):
            self._fetched.pop(next(iter(self._fetched)))
        self.num_passes += 1
        self.num_fetched += len(rows)

    def _read(self, rows: Int64Array) -> FloatArray:
        """Reads poses of increasing number."""
        return self._poses.read(rows) if isinstance(self._poses, KeptPoses) else self._poses[rows]

    def _block(self, cut: slice, buffer: FloatArray) -> FloatArray:
        """Reads consecutive poses, into the buffer if they must be copied."""
        if isinstance(self._poses, KeptPoses):
            return self._poses.read(np.arange(cut.start, cut.stop), buffer)
        return self._poses[cut]


class NystromGram:
    """Approximates the Gram matrix from a few of its columns (Nystrom's method), without reading the poses.

    Exact on its diagonal, and where the sampled poses span all others.
    """

    def __init__(self, columns: GramColumns, sample: Int64Array) -> None:
        """Takes the columns of `sample`, which must have been fetched."""
        taken = columns.fetched(sample)
        values, vectors = principal_pairs(taken[:, sample], 1.0)
        self._scores: FloatArray = (vectors / np.sqrt(values)).T @ taken
        self._squared_norms = columns.squared_norms

    def column(self, row: int) -> FloatArray:
        """Returns approximate inner products `[poses]` with one pose."""
        found = self._scores[:, row] @ self._scores
        found[row] = self._squared_norms[row]
        return np.asarray(found)


STACK_SHARE, SELECT_SHARE = 0.05, 0.5  # of the whole stage's time
_COPIED_SHARE = 0.5  # of all frames


@dataclass(frozen=True)
class Selections:
    """The selected poses, in the order of selection, seeds first.

    Attributes:
        rows: `[picks]` rows of the stacked kept poses.
        errors: `[picks]` reconstruction error of each from earlier ones; infinite for seeds.
    """

    rows: Int64Array
    errors: FloatArray

    @classmethod
    def from_steps(cls, picks: Sequence[Selection]) -> Selections:
        """Combines the steps of a selection into arrays."""
        return cls(np.array([pick.row for pick in picks]), np.array([pick.error for pick in picks]))

    def as_arrays(self) -> dict[str, AnyArray]:
        """Returns the attributes by name."""
        return {"rows": self.rows, "errors": self.errors}


def select_and_record(
    poses: Mapping[str, PoseReader], kept: Mapping[str, Int64Array], settings: Preproc, store: StepStore
) -> Steps[Selections]:
    """Selects the kept poses that differ most from each other, and records the selection."""
    label = "skin, distinct poses"
    keep = settings.KEEP_INTERMEDIATES
    path = (store.run / intermediate_folder("skin") if keep else store.folder) / "skin_cache_all.npy"
    yield label, 0.0
    rows = KeptPoses(poses, kept)
    all_frames = sum(shot.num_frames for shot in poses.values())
    # A copy is worth its writing where it is much smaller than the caches, which every pass would read.
    copied = keep or (len(rows) < _COPIED_SHARE * all_frames and not store.has("skin_picks"))
    if copied and not path.is_file():
        stack_poses(poses, kept, path)
    yield label, STACK_SHARE
    done = 0.0
    if not store.has("skin_picks"):
        found = []
        copy = np.load(path, mmap_mode="r", allow_pickle=False) if copied else rows
        columns = GramColumns(copy, fastest_backend())
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
            reached = SELECT_SHARE * (part + part**3) / 2  # steps take longer as the selection grows
            yield label, reached - done
            done = reached
        store.once("skin_picks", lambda: Selections.from_steps(found).as_arrays())
    yield label, SELECT_SHARE - done  # it may end early
    if not keep:
        path.unlink(missing_ok=True)  # gigabytes that are no longer needed
    picks = Selections(**store.once("skin_picks", dict))
    _write_lists(picks, kept, settings, store.run)
    return picks


def _write_lists(picks: Selections, kept: Mapping[str, Int64Array], settings: Preproc, run: Path) -> None:
    """Writes the selected frames by shot; for studies, also the selection after every hundred iterations."""
    write_frame_lists(run, "pca_final", frames_by_shot(picks.rows, kept))
    if settings.VERBOSE:
        for iteration in range(99, picks.errors.size - settings.SKIN_SELECT_DISTINCT_NUM_SEEDS, 100):
            chosen = picks.rows[: settings.SKIN_SELECT_DISTINCT_NUM_SEEDS + iteration + 1]
            write_frame_lists(run, f"pca_{iteration}", frames_by_shot(chosen, kept))


_FEW_POSES = 2048  # all their columns take 32 MB
_FEW_PER_STEP = 5  # fewer poses for each step: cheaper to fetch all columns than to predict which are needed
_SKETCH_POSES = 512  # span the motion of an actor except for details: most predictions are right
_FEWEST_SKETCH_POSES = 64
_LOOKAHEAD_STEPS = 48
_PASS_COLUMNS = 64  # enough for the product to take as long as the reading
_RUNNERS_UP = 4  # poses that a step may take instead, where the sketch errs
_COLUMN_BYTES = 128 << 20  # of columns that are sketched or fetched together: fewer columns with many poses
_EXHAUSTED = 1e-6  # errors below this part of the largest distance are rounding


@dataclass(frozen=True)
class Selection:
    """One step of the selection.

    Attributes:
        row: the selected pose.
        error: Euclidean distance between this pose and its reconstruction from earlier ones; infinite for a seed.
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
    """Selects evenly spaced seeds, then repeatedly the pose with the largest reconstruction error.

    Ends early when every pose is selected or reconstructed to within rounding, so that none is selected twice. Of
    equal errors the first is taken.

    Args:
        columns: inner products of the candidate poses.
        max_iterations: number of poses to select after the seeds.
        variance_threshold: each PCA keeps the fewest components whose share of the variance exceeds this.
        num_seeds: poses selected before the first PCA; fewer if there are fewer poses.
        scratch: folder for large tables; None to keep everything in memory.

    Yields:
        The selection step by step, seeds first.
    """
    count = len(columns)
    seeds = np.unique((count / num_seeds * np.arange(num_seeds)).astype(np.int64))
    capacity = min(len(seeds) + max_iterations, count)
    few = count <= min(_FEW_POSES, _FEW_PER_STEP * capacity)
    at_once = max(1, _COLUMN_BYTES // (8 * count))
    wanted = min(_SKETCH_POSES, at_once, max(_FEWEST_SKETCH_POSES, 2 * max_iterations))
    sketched = np.unique(np.linspace(0, count - 1, wanted).astype(np.int64))
    columns.fetch(np.arange(count) if few else np.union1d(seeds, sketched))
    sketch = None if few else NystromGram(columns, sketched)
    table = columns.products.table(capacity, count, scratch)
    chosen = _SelectedPoses(columns.squared_norms, table, capacity, variance_threshold)
    for row in seeds.tolist():
        chosen.add(row, columns.take(row))
        yield Selection(row, float("inf"), 0)
    for step in range(max_iterations):
        pick = chosen.worst()
        if pick is None:
            return
        if sketch is not None and pick.row not in columns:
            most = min(_PASS_COLUMNS, at_once)
            expected = _lookahead(chosen, sketch, pick, min(_LOOKAHEAD_STEPS, most, max_iterations - step))
            columns.fetch(np.array([row for row in expected if row not in columns][:most]))
        chosen.add(pick.row, columns.take(pick.row))
        yield pick


def _lookahead(chosen: _SelectedPoses, sketch: NystromGram, first: Selection, steps: int) -> list[int]:
    """Predicts the rows of the next steps from the sketch, `first` and onwards, then those that came next to them."""
    before, others = len(chosen.rows), []
    pick: Selection | None = first
    while pick is not None:
        others += chosen.worst_rows(_RUNNERS_UP)
        chosen.add(pick.row, sketch.column(pick.row))
        pick = chosen.worst() if len(chosen.rows) < before + steps else None
    expected = chosen.rows[before:]
    chosen.truncate(before)
    return list(dict.fromkeys([*expected, *others]))


class _SelectedPoses:
    """The selected poses, their columns, and the errors of all others.

    Args:
        squared_norms: `[poses]`, diagonal of the Gram matrix.
        table: holds the columns of the selected poses.
        capacity: maximum number of selected poses.
        variance_threshold: share of the variance that the PCA of the selected poses exceeds.
    """

    def __init__(self, squared_norms: FloatArray, table: ColumnTable, capacity: int, variance_threshold: float) -> None:
        self.rows: list[int] = []
        self._columns = table
        self._products = np.empty((capacity, capacity))  # inner products of the selected poses
        self._column_sum: FloatArray = np.zeros(len(squared_norms))
        self._squared_norms = squared_norms
        self._squared_errors = squared_norms
        self._variance_threshold = variance_threshold

    def add(self, row: int, column: FloatArray) -> None:
        count = len(self.rows)
        self.rows.append(row)
        self._columns.set(count, column)
        self._column_sum += column
        self._products[count, : count + 1] = self._products[: count + 1, count] = column[self.rows]

    def truncate(self, count: int) -> None:
        del self.rows[count:]
        self._column_sum = self._columns.sum(count)

    def worst_rows(self, count: int) -> list[int]:
        """Returns the poses that were reconstructed worst when `worst` was called last, worst first."""
        errors = self._squared_errors
        worst = np.argpartition(-errors, min(count, len(errors)) - 1)[:count]
        found: list[int] = worst[np.argsort(-errors[worst])].tolist()
        return found

    def worst(self) -> Selection | None:
        """Returns the pose with the largest reconstruction error; None if all are reconstructed."""
        count = len(self.rows)
        products = self._products[:count, :count]
        row_means = self._column_sum / count
        chosen_means = row_means[self.rows]
        grand_mean = chosen_means.mean()
        centred = products - chosen_means[:, None] - chosen_means + grand_mean
        # Distances from the mean of the selected poses.
        squared: FloatArray = self._squared_norms - 2.0 * row_means + grand_mean
        farthest = squared.max()
        values, vectors = principal_pairs(centred, self._variance_threshold)
        # Eigenvectors of centred products sum to zero, so only the mean of the selected poses matters.
        weights = (vectors - vectors.mean(axis=0)) / np.sqrt(values)
        squared -= self._columns.squared_scores(weights, chosen_means @ weights)
        squared[self.rows] = 0.0
        self._squared_errors = squared
        row = int(squared.argmax())
        if squared[row] <= farthest * _EXHAUSTED**2:
            return None
        return Selection(row, float(np.sqrt(squared[row])), weights.shape[1])
