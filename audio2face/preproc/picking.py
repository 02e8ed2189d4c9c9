"""Which poses of the skin make its shapes: those that differ most from each other, over all shots.

Knows where the kept poses are stacked and how the search is resumed; the search itself is `select_distinct`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import astuple, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from audio2face.config import Preproc
from audio2face.console import LOGGER
from audio2face.geometry.pose_reader import FloatArray, IntArray, PoseReader
from audio2face.preproc.artifacts import intermediate_folder, write_frame_lists
from audio2face.preproc.gram import GramColumns
from audio2face.preproc.poses import frames_by_shot, stack_poses
from audio2face.preproc.products import fastest_products
from audio2face.preproc.select import Pick, select_distinct
from audio2face.preproc.steps import Steps, StepStore

STACK_SHARE, SELECT_SHARE = 0.05, 0.5  # of the whole stage's time


@dataclass(frozen=True)
class Picks:
    """The poses picked as distinct, in the order of choice, seeds first.

    Attributes:
        rows: `[picks]` rows of the stacked kept poses.
        errors: `[picks]` distance of each from what those before it express; infinite for seeds.
    """

    rows: IntArray
    errors: FloatArray

    @classmethod
    def gather(cls, picks: Sequence[Pick]) -> Picks:
        """Puts the picks of a selection into arrays."""
        return cls(np.array([pick.row for pick in picks]), np.array([pick.error for pick in picks]))

    def as_arrays(self) -> dict[str, npt.NDArray[Any]]:
        """The attributes by name."""
        return {"rows": self.rows, "errors": self.errors}


def pick_distinct(
    poses: Mapping[str, PoseReader], kept: Mapping[str, IntArray], settings: Preproc, store: StepStore
) -> Steps[Picks]:
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
        columns = GramColumns(np.load(path, mmap_mode="r", allow_pickle=False), fastest_products())
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
        store.once("skin_picks", lambda: Picks.gather(found).as_arrays())
    yield label, SELECT_SHARE - done  # it may end early
    if not keep:
        path.unlink(missing_ok=True)  # gigabytes that nothing reads any more
    picks = Picks(**store.once("skin_picks", dict))
    _write_lists(picks, kept, settings, store.run)
    return picks


def _write_lists(picks: Picks, kept: Mapping[str, IntArray], settings: Preproc, run: Path) -> None:
    """The picked frames by shot; for study, also what was picked after every hundred iterations."""
    write_frame_lists(run, "pca_final", frames_by_shot(picks.rows, kept))
    if settings.VERBOSE:
        for iteration in range(99, picks.errors.size - settings.SKIN_SELECT_DISTINCT_NUM_SEEDS, 100):
            chosen = picks.rows[: settings.SKIN_SELECT_DISTINCT_NUM_SEEDS + iteration + 1]
            write_frame_lists(run, f"pca_{iteration}", frames_by_shot(chosen, kept))
