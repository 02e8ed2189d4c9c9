"""How the items of an epoch are dealt out: into batches, and each batch to the processes that train together."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from audio2face.errors import UserError


@dataclass(frozen=True)
class Dealing:
    """The rule by which items, numbered in the order of the epoch, are dealt out.

    Attributes:
        count: items of an epoch.
        batch_size: items of a batch of all processes together.
        rank: this process, of `world_size`; a batch is dealt out in turns, so that all together learn what one process
            would. From the last batch of an epoch some may get one item less than others, or none.
        world_size: processes that train together.
    """

    count: int
    batch_size: int
    rank: int = 0
    world_size: int = 1

    def __post_init__(self) -> None:
        if self.batch_size % self.world_size:
            raise ValueError(f"a batch of {self.batch_size} cannot be dealt out to {self.world_size} processes")

    @property
    def batches_per_epoch(self) -> int:
        """Number of batches that an epoch has."""
        return -(-self.count // self.batch_size)

    def items(self, batch: int) -> range:
        """The items of a batch of an epoch."""
        first = batch * self.batch_size
        return range(first, min(first + self.batch_size, self.count))

    def own(self, batch: int) -> range:
        """Those of this process; where that is none, the batch's first, which stands in: see `is_idle`."""
        items = self.items(batch)
        return items[self.rank :: self.world_size] or items[:1]

    def is_idle(self, batch: int) -> bool:
        """Whether this process goes without an item. Its one stand-in keeps it in step and counts for nothing."""
        return self.rank >= len(self.items(batch))


def check_same_data(before: Mapping[str, int] | None, now: Mapping[str, int]) -> None:
    """Makes sure that a position in an epoch means what it meant when a run was begun.

    Args:
        before: `facts` of the sampler then.
        now: those of the sampler now.

    Raises:
        UserError: they differ.
    """
    if before != now:
        raise UserError(
            f"the data are not those that the run was begun with: {before}, now {now}",
            hint="Bring them back to go on with this run, or start a new one.",
        )
