"""Which items make up the batches of an epoch, and which of them belong to this process.

A batch is a pure function of the seeds and of its position, its number since the start of training: a resumed training
draws the same items from any position on, and no state has to be saved.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction
from functools import lru_cache
from typing import ClassVar, Generic, TypeVar

import numpy as np

from audio2face.errors import UserError
from audio2face.types import BoolArray, Int64Array

BatchSpec = TypeVar("BatchSpec")


@dataclass(frozen=True)
class SyntheticShare:
    """How much of a training is synthetic talking.

    Item k of an epoch, counted from 0, is synthetic where floor((k + 1) share) exceeds floor(k share), so that any
    stretch of n items has n times the share, give or take one. Synthetic items are drawn in random order, each once
    before any is drawn again.

    Attributes:
        clips: number of synthetic clips, which are the last of all.
        share: of the items of an epoch, from 0 to below 1.
        epochs: number of epochs at the start whose items are all synthetic.
    """

    clips: int
    share: float
    epochs: int = 0

    @property
    def exact(self) -> Fraction:
        """The share as it is written, without the rounding of its binary number."""
        return Fraction(str(self.share))

    def positions(self, recorded: int) -> int:
        """The number of items of an epoch that has each of `recorded` items once."""
        return int(recorded / (1 - self.exact))

    def counts(self, positions: Int64Array) -> Int64Array:
        """The number of synthetic items before positions of an epoch."""
        share = self.exact
        return positions * share.numerator // share.denominator

    def is_synthetic(self, epoch: int, positions: int) -> BoolArray:
        """Whether each item of an epoch is synthetic, bool `[positions]`."""
        if epoch < self.epochs:
            return np.ones(positions, bool)
        return np.diff(self.counts(np.arange(positions + 1))) > 0

    def drawn_before(self, epoch: int, positions: int) -> int:
        """The number of synthetic items in all epochs before one."""
        per_epoch = int(self.counts(np.array([positions]))[0])
        return min(epoch, self.epochs) * positions + max(epoch - self.epochs, 0) * per_epoch


@dataclass(frozen=True, eq=False, kw_only=True)
class BatchSampler(ABC, Generic[BatchSpec]):
    """Shuffles the items of each epoch, and shards each batch over the processes that train together.

    An epoch has each recorded item once, and between them items of synthetic clips where there are any
    (`SyntheticShare`). The items of a global batch go to the processes in turn, so that all processes together draw
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
        synthetic: which clips are synthetic, and how many items of them are drawn; None: none.
    """

    item_name: ClassVar[str]  # plural, a key of the fingerprint

    clip_frames: Sequence[int]
    clip_muted: Sequence[bool]
    batch_size: int
    order_seed: int
    draw_seed: int
    rank: int = 0
    world_size: int = 1
    synthetic: SyntheticShare | None = None

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
        if self.synthetic is None:
            return self._num_recorded
        return self.synthetic.positions(self._num_recorded)

    @property
    def _num_recorded(self) -> int:
        """Items of recorded clips."""
        clips = len(self.clip_frames) - (0 if self.synthetic is None else self.synthetic.clips)
        return int(self._ends[clips - 1])

    @property
    def _num_synthetic(self) -> int:
        """Items of synthetic clips."""
        return int(self._ends[-1]) - self._num_recorded

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
        if self.synthetic is not None:
            values |= {
                f"synthetic_{self.item_name}": self._num_synthetic,
                "synthetic_share": self.synthetic.share,
                "synthetic_epochs": self.synthetic.epochs,
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
        """The items of an epoch in shuffled order, `[num_items]`; those of synthetic clips follow all others."""
        if self.synthetic is None:
            return _permutation(self.order_seed, epoch, self._num_recorded)
        return _mixed_order(self.order_seed, epoch, self._num_recorded, self._num_synthetic, self.synthetic)

    def global_items(self, batch: int) -> range:
        """The positions in the epoch's order that belong to a batch."""
        first = batch * self.batch_size
        return range(first, min(first + self.batch_size, self.num_items))

    def local_items(self, epoch: int, batch: int) -> Sequence[int]:
        """The part of `global_items` of this process, at least one: the first of the batch where it is padding.

        Recorded items come first, so that each process gets its share of the synthetic ones.
        """
        items: Sequence[int] = self.global_items(batch)
        if self.synthetic is not None:
            items = sorted(items, key=lambda item: self.order(epoch)[item] >= self._num_recorded)
        return items[self.rank :: self.world_size] or items[:1]

    def num_synthetic(self, epoch: int, items: Sequence[int]) -> int | None:
        """The number of synthetic items among those of an epoch; None in a training without any."""
        if self.synthetic is None:
            return None
        return int((self.order(epoch)[np.asarray(items)] >= self._num_recorded).sum())

    def is_padding(self, batch: int) -> bool:
        """Whether a batch has fewer items than there are processes, and none for this one."""
        return self.rank >= len(self.global_items(batch))


@lru_cache(maxsize=2)
def _permutation(seed: int, epoch: int, count: int) -> Int64Array:
    return np.random.default_rng([seed, epoch]).permutation(count)


@lru_cache(maxsize=2)
def _mixed_order(seed: int, epoch: int, recorded: int, synthetic: int, share: SyntheticShare) -> Int64Array:
    """The items of an epoch: recorded ones, and from number `recorded` on synthetic ones, `[positions]`."""
    positions = share.positions(recorded)
    is_synthetic = share.is_synthetic(epoch, positions)
    order = np.empty(positions, np.int64)
    order[~is_synthetic] = _permutation(seed, epoch, recorded)[: positions - is_synthetic.sum()]
    drawn = share.drawn_before(epoch, positions) + np.arange(is_synthetic.sum())
    rounds = {
        int(number): np.random.default_rng([seed, int(number), _SYNTHETIC]).permutation(synthetic)
        for number in np.unique(drawn // synthetic)
    }
    order[is_synthetic] = [recorded + rounds[number // synthetic][number % synthetic] for number in drawn.tolist()]
    return order


_SYNTHETIC = 1  # tells the order of synthetic items from that of recorded ones


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
