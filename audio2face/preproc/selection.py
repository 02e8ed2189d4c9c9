"""Selects distinct poses by greedy reconstruction error.

One pass over all poses, usually on disk, sketches them. From the sketch follow bounds of every error; the few poses
whose bounds allow for the largest error are read, and compared in float64.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import astuple, dataclass
from pathlib import Path

import numpy as np

from audio2face.config import Preproc
from audio2face.console import LOGGER
from audio2face.geometry.frames import PoseReader, blocks_of, in_threads
from audio2face.geometry.pca import principal_pairs
from audio2face.preproc.artifacts import intermediate_folder, write_frame_lists
from audio2face.preproc.matmul import MatmulBackend, NumpyBackend, fastest_backend
from audio2face.preproc.pose_sketch import SLACK, PoseSketch
from audio2face.preproc.poses import KeptPoses, frames_by_shot, stack_poses
from audio2face.preproc.steps import Steps, StepStore
from audio2face.types import AnyArray, Float32Array, Float64Array, FloatArray, Int64Array

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
        expected = min(settings.SKIN_SELECT_DISTINCT_MAX_ITER, len(copy))
        for pick in select_distinct(
            copy,
            max_iterations=settings.SKIN_SELECT_DISTINCT_MAX_ITER,
            num_seeds=settings.SKIN_SELECT_DISTINCT_NUM_SEEDS,
            variance_threshold=settings.SKIN_SELECT_DISTINCT_VARIANCE_THRESHOLD,
            products=fastest_backend(),
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


_FEWEST_SKETCHED, _MOST_SKETCHED = 192, 512  # poses that span the motion of an actor except for details
_SKETCH_BYTES = 256 << 20  # of which there may be fewer where poses are very many
_SCORE_BYTES = 4 << 20
_FIRST, _LIKELY = 4, 48  # poses that are compared first; that are read together, as they may soon be compared
_AT_ONCE = 256 << 20  # bytes of float64 poses that are compared together
_KNOWN_BYTES = 256 << 20  # of products with selected poses that are kept for the next steps
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
    poses: FloatArray | KeptPoses,
    max_iterations: int = 787,
    variance_threshold: float = 0.9999,
    num_seeds: int = 4,
    products: MatmulBackend | None = None,
) -> Iterator[Selection]:
    """Selects evenly spaced seeds, then repeatedly the pose with the largest reconstruction error.

    Ends early when every pose is selected or reconstructed to within rounding, so that none is selected twice. Of
    equal errors the first is taken.

    Args:
        poses: the candidates, `[poses, coords]` float32, may be a memory map or read from the shots; finite.
        max_iterations: number of poses to select after the seeds.
        variance_threshold: each PCA keeps the fewest components whose share of the variance exceeds this.
        num_seeds: poses selected before the first PCA; fewer if there are fewer poses.
        products: backend for products; None for the CPU.

    Yields:
        The selection step by step, seeds first.
    """
    count = len(poses)
    seeds = np.unique((count / num_seeds * np.arange(num_seeds)).astype(np.int64))
    chosen = _SelectedPoses(
        _Rows(poses),
        capacity=min(len(seeds) + max_iterations, count),
        variance_threshold=variance_threshold,
        products=products or NumpyBackend(),
    )
    for row in seeds.tolist():
        chosen.add(row)
        yield Selection(row, float("inf"), 0)
    for _ in range(max_iterations):
        pick = chosen.worst()
        if pick is None:
            return
        chosen.add(pick.row)
        yield pick


@dataclass(frozen=True)
class _Rows:
    """The candidates as rows."""

    poses: FloatArray | KeptPoses

    def __len__(self) -> int:
        return len(self.poses)

    def read(self, rows: Int64Array) -> Float32Array:
        """Reads poses of increasing number."""
        return np.asarray(self.poses.read(rows) if isinstance(self.poses, KeptPoses) else self.poses[rows])

    def block(self, cut: slice, buffer: Float32Array) -> Float32Array:
        """Reads consecutive poses, into the buffer if they must be copied."""
        if isinstance(self.poses, KeptPoses):
            return self.poses.read(np.arange(cut.start, cut.stop), buffer)
        return self.poses[cut]


class _ExactProducts:
    """Inner products with the selected poses about a centre, in float64, of those poses that are asked for.

    Attributes:
        count: number of selected poses.
    """

    def __init__(self, rows: _Rows, centre: FloatArray, capacity: int, products: MatmulBackend) -> None:
        self.count = 0
        self._rows, self._centre, self._products = rows, centre, products
        self._selected = np.empty((capacity, len(centre)), np.float32)
        self._gram = np.empty((capacity, capacity))
        self._known: dict[int, tuple[int, float, Float64Array]] = {}  # number of products, squared norm, products

    def __contains__(self, row: int) -> bool:
        """Whether products of this pose are known."""
        return row in self._known

    @property
    def gram(self) -> Float64Array:
        """Inner products of the selected poses, `[selected, selected]`."""
        return self._gram[: self.count, : self.count]

    def select(self, row: int) -> None:
        """Appends a pose."""
        inner, norms = self.of(np.array([row]))
        count = self.count
        self._selected[count] = self._rows.read(np.array([row]))[0]
        self._gram[count, :count] = self._gram[:count, count] = inner[0]
        self._gram[count, count] = norms[0]
        self._known.pop(row)
        self.count += 1

    def of(self, rows: Int64Array) -> tuple[Float64Array, Float64Array]:
        """Returns the products of poses of increasing number `[rows, selected]`, and their squared norms `[rows]`."""
        if len(self._known) * self._gram[0].nbytes > _KNOWN_BYTES:
            self._known = {row: self._known[row] for row in rows.tolist() if row in self._known}
        known = np.array([self._known[row][0] if row in self._known else -1 for row in rows.tolist()])
        for done in np.unique(known[known < self.count]).tolist():
            behind = rows[known == done]
            for cut in blocks_of(len(behind), self._centre.nbytes, _AT_ONCE):
                self._extend(behind[cut], done)
        found = [self._known[row] for row in rows.tolist()]
        return np.stack([inner[: self.count] for _, _, inner in found]), np.array([norm for _, norm, _ in found])

    def _extend(self, rows: Int64Array, done: int) -> None:
        """Adds the products with the poses selected since, and those with all to poses that are new (`done` -1)."""
        poses = self._rows.read(rows)
        centred = self._products.centred(poses, self._centre)
        norms = np.empty(len(rows))
        if done < 0:
            self._products.against(centred[:1], poses, self._centre, norms)
        since = slice(max(done, 0), self.count)
        inner = self._products.against(centred, self._selected[since], self._centre)
        for number, row in enumerate(rows.tolist()):
            _, norm, table = self._known.get(row, (0, float(norms[number]), np.empty(len(self._gram))))
            table[since] = inner[number]
            self._known[row] = self.count, norm, table


class _SelectedPoses:
    """The selected poses, and the errors of all others.

    A pose is x = q + r, with q in the space of the sketch and r outside of it, known by its length only. With the
    mean m of the selected poses and the components U of their PCA, its squared error is

        |x - m|^2 - |U'(x - m)|^2 = |x|^2 - 2 q.m + |m|^2 - |s|^2 - 2 r.b - |U'r|^2,  s = U'q - U'm,  b = r_m + U_out s

    where r_m and U_out are what lies outside of m and U. These are sums of selected poses, whose products are known
    exactly, so that |b| follows, and with it a bound of all but the last two terms.

    Args:
        rows: all poses.
        capacity: maximum number of selected poses.
        variance_threshold: share of the variance that the PCA of the selected poses exceeds.
        products: backend for products.
    """

    def __init__(self, rows: _Rows, capacity: int, variance_threshold: float, products: MatmulBackend) -> None:
        wanted = min(max(_FEWEST_SKETCHED, capacity), _MOST_SKETCHED, max(1, _SKETCH_BYTES // (4 * len(rows))))
        anchors = np.unique(np.linspace(0, len(rows) - 1, wanted).astype(np.int64))
        self.rows: list[int] = []
        self._sketch = PoseSketch.create(rows.read(anchors), len(rows), rows.block, products, threads=True)
        self._outside = self._sketch.outside()[1]
        self._exact = _ExactProducts(rows, self._sketch.centre, capacity, products)
        self._variance_threshold = variance_threshold

    def add(self, row: int) -> None:
        """Appends a pose."""
        self._exact.select(row)
        self.rows.append(row)

    def worst(self) -> Selection | None:
        """Returns the pose with the largest reconstruction error; None if all are reconstructed."""
        if len(self.rows) == len(self._outside):
            return None
        products = self._exact.gram
        means = products.mean(axis=0)
        square = float(means.mean())  # of the mean
        values, vectors = principal_pairs(products - means[:, None] - means + square, self._variance_threshold)
        # Eigenvectors of centred products sum to zero, so only the mean of the selected poses matters.
        weights = (vectors - vectors.mean(axis=0)) / np.sqrt(values)
        bounds = _Bounds.create(self._sketch, self._outside, self.rows, products, weights)

        def errors(rows: Int64Array) -> FloatArray:
            inner, norms = self._exact.of(rows)
            scores = inner @ weights - means @ weights
            return np.asarray(norms - 2.0 * inner.mean(axis=1) + square - np.einsum("ij,ij->i", scores, scores))

        row, error = self._largest(bounds, errors)
        if error <= bounds.farthest * _EXHAUSTED**2:
            return None
        return Selection(row, float(np.sqrt(error)), weights.shape[1])

    def _largest(self, bounds: _Bounds, errors: Callable[[Int64Array], FloatArray]) -> tuple[int, float]:
        """Returns the pose of the largest squared error, and this error."""
        likely = np.argpartition(-bounds.estimate, min(_LIKELY, len(bounds.estimate)) - 1)[:_LIKELY]
        likely = likely[np.isfinite(bounds.estimate[likely])]
        likely = likely[np.argsort(-bounds.estimate[likely])]
        first = np.sort(likely[:_FIRST])
        if any(row not in self._exact for row in first.tolist()):
            self._exact.of(np.sort([row for row in likely.tolist() if row not in self._exact]))
        least = float(errors(first).max())
        rows = bounds.above(least, first)
        found = errors(rows)
        best = int(found.argmax())
        return int(rows[best]), float(found[best])


@dataclass(frozen=True, eq=False)
class _Bounds:
    """Bounds of the squared errors of all poses.

    Attributes:
        farthest: about the largest squared distance of a pose from the mean of the selected ones.
        estimate: about the squared errors, `[poses]`; minus infinity for selected poses.
    """

    farthest: float
    estimate: FloatArray
    _loose: FloatArray  # bound of |b|, [poses]
    _sketch: PoseSketch
    _components: Float32Array  # U' in the space of the sketch, [components, directions]
    _offset: Float32Array  # U'm, [components, 1]
    _beyond: FloatArray  # inner products of r_m and of the columns of U_out, [1 + components, 1 + components]
    _outside: FloatArray  # |r|, [poses]
    _slack: FloatArray  # rounding, [poses]

    @classmethod
    def create(
        cls, sketch: PoseSketch, outside: FloatArray, chosen: list[int], products: FloatArray, weights: FloatArray
    ) -> _Bounds:
        """Estimates all errors.

        Args:
            sketch: of all poses.
            outside: upper bound of the length of each outside of the sketch, `[poses]`.
            chosen: the selected poses.
            products: their inner products.
            weights: the components as sums of them, `[selected, components]`.
        """
        inside = sketch.inside[:, chosen].astype(np.float64)
        mean, means = inside.mean(axis=1), products.mean(axis=0)
        square = float(means.mean())
        sums = np.hstack([np.full((len(chosen), 1), 1 / len(chosen)), weights])
        beyond = sums.T @ (products - inside.T @ inside) @ sums
        beyond += SLACK * float(np.trace(products)) / len(chosen) * (sums.T @ sums)
        lengths = np.sqrt(np.maximum(np.diag(beyond), 0)).astype(np.float32)
        components, offset = (inside @ weights).T.astype(np.float32), (means @ weights)[:, None].astype(np.float32)
        distances = sketch.norms - 2.0 * (mean.astype(np.float32) @ sketch.inside) + square
        estimate, loose = distances.copy(), np.empty(len(distances))

        def fill(part: slice) -> None:
            block = components @ sketch.inside[:, part] - offset
            estimate[part] -= np.einsum("ij,ij->j", block, block)
            loose[part] = lengths[0] + lengths[1:] @ np.abs(block)

        in_threads(fill, blocks_of(len(distances), 4 * max(len(components), 1), _SCORE_BYTES))
        estimate[chosen] = -np.inf
        slack = SLACK * (sketch.norms + square)
        return cls(float(distances.max()), estimate, loose, sketch, components, offset, beyond, outside, slack)

    def above(self, least: float, always: Int64Array) -> Int64Array:
        """Returns the poses whose squared error may reach a value, and some given ones, in increasing order."""
        rows = np.flatnonzero(self.estimate + self._slack + 2 * self._outside * self._loose >= least)
        scores = np.vstack([np.ones(len(rows)), self._components @ self._sketch.inside[:, rows] - self._offset])
        tight = np.sqrt(np.maximum(np.einsum("ij,ij->j", scores, self._beyond @ scores), 0))
        upper = self.estimate[rows] + self._slack[rows] + 2 * self._outside[rows] * tight
        return np.union1d(rows[upper >= least], always)
