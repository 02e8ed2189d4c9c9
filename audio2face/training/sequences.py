"""Which sequences of frames make up each batch of regression training, and every random choice about them.

A sequence is a few frames that follow each other. As with segments (`sampler`), what is drawn is a function of seeds
and position alone; here of whole epochs at a time, since there are as many sequences as frames.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property, lru_cache

import numpy as np
import numpy.typing as npt

from audio2face.training.dealing import Dealing

IntArray = npt.NDArray[np.int64]
FloatArray = npt.NDArray[np.float64]

_VARIANTS = 2**32


@dataclass(frozen=True, eq=False)
class SequencePlan:
    """A batch that is to be loaded; arrays have an entry per item.

    Attributes:
        position: number of the batch since the start of training.
        clips: index of the clip.
        starts: first frame, from the start of the clip.
        time_shifts: frames by which sound and face are both moved.
        variants: which of many renderings is meant: of the noise of a held pose, or of the features of speech, see
            `StoredFeatures`.
        is_idle: see `sampler.Plan`.
    """

    position: int
    clips: IntArray
    starts: IntArray
    time_shifts: FloatArray
    variants: IntArray
    is_idle: bool = False


@dataclass(frozen=True)
class Shifts:
    """What shifts in time are drawn from.

    Attributes:
        width: width of their range around 0, in frames.
        count: how many there are, evenly spread; None: any within the range.
    """

    width: float
    count: int | None = None

    @property
    def grid(self) -> FloatArray:
        """The shifts there are, each in the middle of its part of the range; raises ValueError where any is allowed."""
        if self.count is None:
            raise ValueError("shifts are not on a grid")
        return self.width * ((np.arange(self.count) + 0.5) / self.count - 0.5)

    def draw(self, items: int, rng: np.random.Generator) -> tuple[FloatArray, IntArray]:
        """Draws shifts and variants; on a grid the variant is the number of the shift."""
        variants = rng.integers(_VARIANTS if self.count is None else self.count, size=items)
        if self.count is not None:
            return self.grid[variants], variants
        return self.width * (rng.random(items) - 0.5), variants


@dataclass(frozen=True, eq=False)
class SequenceSampler:
    """Shuffles all sequences of all clips each epoch.

    Attributes:
        clip_frames: length of each clip.
        clip_muted: whether each clip is a held pose, which is not moved in time.
        length: frames of a sequence.
        stride: frames between the starts of neighbouring sequences.
        shifts: what is drawn beside the order.
        batch_size: items of a batch of all processes together.
        order_seed: seed of the order (RNG_SEED_TORCH).
        draw_seed: seed of all else (RNG_SEED_DATASET).
        rank: this process, of `world_size`, see `Dealing`.
        world_size: processes that train together.
    """

    clip_frames: Sequence[int]
    clip_muted: Sequence[bool]
    length: int
    stride: int
    shifts: Shifts
    batch_size: int
    order_seed: int
    draw_seed: int
    rank: int = 0
    world_size: int = 1

    def __post_init__(self) -> None:
        _ = self.dealing  # refuses what cannot be dealt out

    @cached_property
    def _ends(self) -> IntArray:
        """Number of the sequence after the last one of each clip, when all are counted through."""
        frames = np.asarray(self.clip_frames, np.int64)
        return np.cumsum(np.maximum(0, (frames - self.length) // self.stride + 1))

    @cached_property
    def dealing(self) -> Dealing:
        """How sequences are dealt out."""
        return Dealing(int(self._ends[-1]), self.batch_size, self.rank, self.world_size)

    @property
    def batches_per_epoch(self) -> int:
        """Number of batches that an epoch has."""
        return self.dealing.batches_per_epoch

    @property
    def facts(self) -> dict[str, int]:
        """What must be the same for a position to mean the same; for a checkpoint to record and compare."""
        return {
            "sequences": self.dealing.count,
            "batch_size": self.batch_size,
            "world_size": self.world_size,
            "order_seed": self.order_seed,
            "draw_seed": self.draw_seed,
        }

    def epoch(self, epoch: int, first_batch: int = 0) -> Iterator[SequencePlan]:
        """This process's part of the batches of an epoch, from `first_batch` on."""
        start = epoch * self.batches_per_epoch
        return map(self.plan, range(start + first_batch, start + self.batches_per_epoch))

    def plan(self, position: int) -> SequencePlan:
        """This process's part of a batch."""
        epoch, batch = divmod(position, self.batches_per_epoch)
        items = np.asarray(self.dealing.own(batch))
        sequences, shifts, variants = (drawn[items] for drawn in _draws(self, epoch))
        clips = np.searchsorted(self._ends, sequences, side="right")
        in_clip = sequences - np.concatenate([[0], self._ends])[clips]
        muted = np.asarray(self.clip_muted, bool)[clips]
        return SequencePlan(
            position=position,
            clips=clips,
            starts=in_clip * self.stride,
            time_shifts=np.where(muted, 0.0, shifts),
            variants=variants,
            is_idle=self.dealing.is_idle(batch),
        )


def frames_in_order(clip_frames: Sequence[int], most: int) -> tuple[SequencePlan, ...]:
    """Plans that go through every clip once, frame by frame, at most `most` of one clip in a batch, without chance."""
    plans: list[SequencePlan] = []
    for clip, frames in enumerate(clip_frames):
        for first in range(0, frames, most):
            starts = np.arange(first, min(first + most, frames))
            zeros = np.zeros_like(starts)
            plans.append(SequencePlan(len(plans), zeros + clip, starts, zeros.astype(np.float64), zeros))
    return tuple(plans)


@lru_cache(maxsize=2)
def _draws(sampler: SequenceSampler, epoch: int) -> tuple[IntArray, FloatArray, IntArray]:
    """Order, shifts and variants of all items of an epoch."""
    order = np.random.default_rng([sampler.order_seed, epoch]).permutation(sampler.dealing.count)
    shifts, variants = sampler.shifts.draw(len(order), np.random.default_rng([sampler.draw_seed, epoch]))
    return order, shifts, variants
