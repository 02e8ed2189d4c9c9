"""Which items make up the batches of an epoch, and which of them belong to this process.

A batch is a pure function of the seeds and of its position, its number since the start of training: a resumed training
draws the same items from any position on, and no state has to be saved.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from itertools import accumulate
from typing import ClassVar, Generic, TypeVar

import numpy as np

from audio2face.errors import UserError
from audio2face.training.data.pseudo_labels import GROUPS, RECORDED, Mixture, PseudoLabelledShare
from audio2face.types import Int64Array

BatchSpec = TypeVar("BatchSpec")


@dataclass(frozen=True, eq=False, kw_only=True)
class BatchSampler(ABC, Generic[BatchSpec]):
    """Shuffles the items of each epoch, and shards each batch over the processes that train together.

    An epoch has each recorded item once, and between them items of pseudo-labelled clips where there are any
    (`Mixture`). The items of a global batch go to the processes in turn, so that all processes together draw
    what a single one would. In the last batch of an epoch some processes may have one item less than others. A process
    without any gets the first item of the batch as padding, which keeps it in step and has no weight in loss and
    metrics.

    Attributes:
        clip_frames: length of each clip in frames of the network.
        clip_muted: whether each clip is a muted shot, which is not shifted in time.
        batch_size: items of a global batch, a multiple of `world_size`.
        order_seed: seed of the order of items (RNG_SEED_TORCH).
        draw_seed: seed of all other draws (RNG_SEED_DATASET).
        rank: this process.
        world_size: number of processes.
        mixture: which clips are pseudo-labelled, and how many items of them are drawn; None: none.
    """

    item_name: ClassVar[str]  # plural, a key of the fingerprint

    clip_frames: Sequence[int]
    clip_muted: Sequence[bool]
    batch_size: int
    order_seed: int
    draw_seed: int
    rank: int = 0
    world_size: int = 1
    mixture: Mixture | None = None

    def __post_init__(self) -> None:
        if self.batch_size % self.world_size:
            raise ValueError(f"a batch of {self.batch_size} cannot be shared equally by {self.world_size} processes")

    @property
    @abstractmethod
    def _ends(self) -> Int64Array:
        """The cumulative number of items up to and including each clip, `[clips]`."""

    @property
    def num_items(self) -> int:
        """Items of an epoch."""
        if self.mixture is None:
            return self._num_recorded
        return self.mixture.positions(self._num_recorded)

    @property
    def _bounds(self) -> tuple[int, ...]:
        """Number of items of recorded clips, and of these with each kind of pseudo-labelled clips."""
        counts = [kind.clips for kind in self._kinds]
        last = len(self.clip_frames) - sum(counts)
        return tuple(int(self._ends[end - 1]) for end in accumulate(counts, initial=last))

    @property
    def _kinds(self) -> tuple[PseudoLabelledShare, ...]:
        return () if self.mixture is None else self.mixture.kinds

    @property
    def _num_recorded(self) -> int:
        """Items of recorded clips."""
        return self._bounds[0]

    @abstractmethod
    def _draw(self, position: int, epoch: int, batch: int) -> BatchSpec:
        """Draws this process's part of batch `batch` of an epoch."""

    @property
    def batches_per_epoch(self) -> int:
        """Batches of an epoch, the same in every process."""
        return -(-self.num_items // self.batch_size)

    @property
    def fingerprint(self) -> dict[str, float]:
        """The values that must stay the same for a position to mean the same batch; part of every checkpoint."""
        values: dict[str, float] = {
            self.item_name: self._num_recorded,
            "batch_size": self.batch_size,
            "world_size": self.world_size,
            "order_seed": self.order_seed,
            "draw_seed": self.draw_seed,
        }
        for kind, start, end in zip(self._kinds, self._bounds, self._bounds[1:], strict=False):
            values |= {
                f"{kind.group}_{self.item_name}": end - start,
                f"{kind.group}_share": kind.share,
                f"{kind.group}_epochs": kind.epochs,
            }
        return values

    def epoch(self, epoch: int, first_batch: int = 0) -> Iterator[BatchSpec]:
        """This process's part of the batches of an epoch, from `first_batch` on."""
        start = epoch * self.batches_per_epoch
        return map(self.batch_spec, range(start + first_batch, start + self.batches_per_epoch))

    def batch_spec(self, position: int) -> BatchSpec:
        """This process's part of the batch at a position."""
        epoch, batch = divmod(position, self.batches_per_epoch)
        return self._draw(position, epoch, batch)

    def order(self, epoch: int) -> Int64Array:
        """The items of an epoch in shuffled order, `[num_items]`; those of pseudo-labelled clips follow all others."""
        if self.mixture is None:
            return _permutation(self.order_seed, epoch, self._num_recorded)
        return _mixed_order(self.order_seed, epoch, self._bounds, self.mixture)

    def global_items(self, batch: int) -> range:
        """The positions in the epoch's order that belong to a batch."""
        first = batch * self.batch_size
        return range(first, min(first + self.batch_size, self.num_items))

    def local_items(self, epoch: int, batch: int) -> Sequence[int]:
        """The part of `global_items` of this process, at least one: the first of the batch where it is padding.

        Recorded items come first, then those of each group, so that each process gets its share of all of them.
        """
        items: Sequence[int] = self.global_items(batch)
        if self.mixture is not None:
            kinds = self._group_of(epoch, items)
            items = [items[index] for index in np.argsort(kinds, kind="stable").tolist()]
        return items[self.rank :: self.world_size] or items[:1]

    def groups(self, epoch: int, items: Sequence[int]) -> Mapping[str, int]:
        """The number of items of each group among those of an epoch; empty in a training of recorded ones alone."""
        if self.mixture is None:
            return {}
        counts = np.bincount(self._group_of(epoch, items), minlength=len(self._bounds)).tolist()
        return dict(zip((RECORDED, *(kind.group for kind in self._kinds)), counts, strict=True))

    def _group_of(self, epoch: int, items: Sequence[int]) -> Int64Array:
        """The kind of items of an epoch: 0 recorded, then those of the mixture. `[items]`."""
        numbers = self.order(epoch)[np.asarray(items)]
        found: Int64Array = np.searchsorted(np.asarray(self._bounds), numbers, side="right")
        return found

    def is_padding(self, batch: int) -> bool:
        """Whether a batch has fewer items than there are processes, and none for this one."""
        return self.rank >= len(self.global_items(batch))


@lru_cache(maxsize=2)
def _permutation(seed: int, epoch: int, count: int) -> Int64Array:
    return np.random.default_rng([seed, epoch]).permutation(count)


@lru_cache(maxsize=2)
def _mixed_order(seed: int, epoch: int, bounds: tuple[int, ...], mixture: Mixture) -> Int64Array:
    """The items of an epoch, numbered in the order of recorded clips and of each kind of others, `[positions]`."""
    recorded = bounds[0]
    positions = mixture.positions(recorded)
    groups = mixture.groups(epoch, positions)
    before = mixture.drawn_before(epoch, positions).tolist()
    order = np.empty(positions, np.int64)
    order[groups == 0] = _permutation(seed, epoch, recorded)[: (groups == 0).sum()]
    for number, kind in enumerate(mixture.kinds):
        where = groups == number + 1
        first, count = bounds[number], bounds[number + 1] - bounds[number]
        drawn = before[number] + np.arange(where.sum())
        # The group in the seed tells the order of its items from those of the others.
        rounds = {
            int(each): np.random.default_rng([seed, int(each), GROUPS.index(kind.group)]).permutation(count)
            for each in np.unique(drawn // count)
        }
        order[where] = [first + rounds[item // count][item % count] for item in drawn.tolist()]
    return order


def check_same_data(before: Mapping[str, float] | None, now: Mapping[str, float]) -> None:
    """Makes sure that a position means the same batch as at the start of a resumed run.

    Args:
        before: `fingerprint` of the sampler in the checkpoint.
        now: `fingerprint` of the present sampler.

    Raises:
        UserError: they differ.
    """
    if before != now:
        raise UserError(
            f"the data differ from those that the run was started with: {before}, now {now}",
            hint="Restore them to resume this run, or start a new one.",
        )
