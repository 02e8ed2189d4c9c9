"""Which items make up the batches of an epoch, and which of them belong to this process.

A batch is a pure function of the seeds and of its position, its number since the start of training: a resumed training
draws the same items from any position on, and no state has to be saved.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction
from functools import cached_property, lru_cache
from typing import ClassVar, Generic, TypeVar

import numpy as np

from audio2face.config import TrainDiffusion, TrainStreaming
from audio2face.errors import UserError
from audio2face.types import BoolArray, Float64Array, Int64Array

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


# --- Segments of clips, for the diffusion and the streaming network --------------------------------------------------

_NUM_DRAWS = 7
_NUM_NOISE_SEEDS = 2**32


@dataclass(frozen=True)
class SegmentSpec:
    """One drawn segment and its augmentation.

    Attributes:
        clip: index of the clip.
        start: first frame, at the rate of the network, from the start of the clip.
        num_frames: length in such frames.
        time_shift: shift of audio and motion, in frames of the shot.
        semitones: shift of the voice's pitch; None: the pitch stays.
        noise_gain: factor on the noise of a muted clip.
        noise_seed: seed of that noise.
    """

    clip: int
    start: int
    num_frames: int
    time_shift: float = 0.0
    semitones: float | None = None
    noise_gain: float = 1.0
    noise_seed: int = 0


@dataclass(frozen=True)
class SegmentBatchSpec:
    """A batch of segments to load.

    Attributes:
        position: number of the batch since the start of training.
        segments: its items.
        is_padding: whether the one item is padding, which counts as no item.
        num_synthetic: number of synthetic items, which are the last; None in a training without any.
    """

    position: int
    segments: tuple[SegmentSpec, ...]
    is_padding: bool = False
    num_synthetic: int | None = None


@dataclass(frozen=True, eq=False, kw_only=True)
class SegmentSampler(BatchSampler[SegmentBatchSpec]):
    """Draws a segment of every clip in each epoch.

    Attributes:
        min_frames: shortest segment; a shorter clip is taken whole.
        max_frames: longest segment.
        whole_clips: takes every clip in full length.
        time_shift: width of the range of time shifts around 0, in frames of the shot.
        pitch_probability: share of the items whose pitch is shifted.
        semitones: limits of that shift.
        noise_gain: limits of the factor on the noise of muted clips.
        own_lengths: whether each item of a batch keeps its own drawn length. Otherwise all have that of the first, or
            of the shortest clip among them, so that no item needs padding.
    """

    item_name = "clips"

    min_frames: int
    max_frames: int
    whole_clips: bool = False
    time_shift: float = 0.0
    pitch_probability: float = 0.0
    semitones: tuple[float, float] = (0.0, 0.0)
    noise_gain: tuple[float, float] = (1.0, 1.0)
    own_lengths: bool = False

    @classmethod
    def from_config(
        cls,
        train: TrainDiffusion | TrainStreaming,
        clip_frames: Sequence[int],
        clip_muted: Sequence[bool],
        *,
        batch_size: int,
        rank: int = 0,
        world_size: int = 1,
        synthetic: SyntheticShare | None = None,
    ) -> SegmentSampler:
        """The sampler of a training section; the other arguments are those of `BatchSampler`."""
        pitch = train.AUGMENT["pitch_shift"]
        return cls(
            clip_frames=clip_frames,
            clip_muted=clip_muted,
            batch_size=batch_size,
            order_seed=train.RNG_SEED_TORCH,
            draw_seed=train.RNG_SEED_DATASET,
            rank=rank,
            world_size=world_size,
            synthetic=synthetic,
            min_frames=train.SUBSEGMENT_MIN_FRAME,
            max_frames=train.SUBSEGMENT_MAX_FRAME,
            whole_clips=not train.TRAIN_ON_RANDOM_SUBSEGMENT,
            time_shift=train.AUGMENT["timeshift"],
            pitch_probability=pitch["p"] if pitch else 0.0,
            semitones=(pitch["min_semitones"], pitch["max_semitones"]) if pitch else (0.0, 0.0),
            noise_gain=train.AUG_MUTED_AUDIO_NOISE_LOCAL_SCALE_RANGE or (1.0, 1.0),
            own_lengths=train.PAD_BATCHES or not train.TRAIN_ON_RANDOM_SUBSEGMENT,
        )

    @property
    def _ends(self) -> Int64Array:
        """One segment of each clip."""
        return np.arange(1, len(self.clip_frames) + 1)

    def _draw(self, position: int, epoch: int, batch: int) -> SegmentBatchSpec:
        clips = {item: int(self.order(epoch)[item]) for item in self.global_items(batch)}
        lengths = {item: self._length(epoch, item, clip) for item, clip in clips.items()}
        if not self.own_lengths:
            first = next(iter(lengths.values()))
            lengths = dict.fromkeys(lengths, min(first, *(self.clip_frames[clip] for clip in clips.values())))
        items = self.local_items(epoch, batch)
        segments = tuple(self._segment(epoch, item, clips[item], lengths[item]) for item in items)
        return SegmentBatchSpec(position, segments, self.is_padding(batch), self.num_synthetic(epoch, items))

    def _length(self, epoch: int, item: int, clip: int) -> int:
        if self.whole_clips:
            return self.clip_frames[clip]
        drawn = self.min_frames + int(self._uniform(epoch, item)[0] * (self.max_frames - self.min_frames + 1))
        return min(drawn, self.clip_frames[clip])

    def _segment(self, epoch: int, item: int, clip: int, num_frames: int) -> SegmentSpec:
        _, start, shift, pitch, semitones, gain, seed = self._uniform(epoch, item)
        first = int(start * (self.clip_frames[clip] - num_frames + 1))
        if self.clip_muted[clip]:
            noise_gain = _lerp(self.noise_gain, gain)
            return SegmentSpec(clip, first, num_frames, noise_gain=noise_gain, noise_seed=int(seed * _NUM_NOISE_SEEDS))
        return SegmentSpec(
            clip,
            first,
            num_frames,
            time_shift=(shift - 0.5) * self.time_shift,
            semitones=_lerp(self.semitones, semitones) if pitch < self.pitch_probability else None,
        )

    def _uniform(self, epoch: int, item: int) -> list[float]:
        """The random numbers of an item in [0, 1), always all of them, so that no draw depends on another."""
        numbers: list[float] = np.random.default_rng([self.draw_seed, epoch, item]).random(_NUM_DRAWS).tolist()
        return numbers


def whole_clips(clip_frames: Sequence[int]) -> tuple[SegmentBatchSpec, ...]:
    """The batches of a validation: every clip once and whole, one per batch, without augmentation."""
    return tuple(SegmentBatchSpec(clip, (SegmentSpec(clip, 0, frames),)) for clip, frames in enumerate(clip_frames))


def _lerp(limits: tuple[float, float], number: float) -> float:
    """Maps [0, 1) to the range between limits."""
    return limits[0] + (limits[1] - limits[0]) * number


# --- Sequences of audio windows, for the regression network -----------------------------------------------------------

_AUGMENTATION_IDS = 2**32


@dataclass(frozen=True, eq=False)
class SequenceBatchSpec:
    """A batch of sequences to load; arrays `[batch]` have an entry per item.

    Attributes:
        position: number of the batch since the start of training.
        clips: index of the clip.
        starts: first frame, from the start of the clip.
        time_shifts: shift of audio and motion, in frames.
        augmentation_ids: number of the augmentation: the seed of the noise of a muted clip, or the shift of cached
            speech features, see `CachedFeatures`.
        is_padding: whether the one item is padding, which counts as no item.
        num_synthetic: number of synthetic items, which are the last; None in a training without any.
    """

    position: int
    clips: Int64Array
    starts: Int64Array
    time_shifts: Float64Array
    augmentation_ids: Int64Array
    is_padding: bool = False
    num_synthetic: int | None = None


@dataclass(frozen=True)
class TimeShiftGrid:
    """The shifts in time to draw from.

    Attributes:
        width: width of their range around 0, in frames.
        count: number of shifts, evenly spread over the range; None: any within the range.
    """

    width: float
    count: int | None = None

    @property
    def grid(self) -> Float64Array:
        """The shifts, each in the middle of its part of the range; raises ValueError where `count` is None."""
        if self.count is None:
            raise ValueError("shifts are not on a grid")
        return self.width * ((np.arange(self.count) + 0.5) / self.count - 0.5)

    def draw(self, items: int, rng: np.random.Generator) -> tuple[Float64Array, Int64Array]:
        """Draws shifts and augmentation ids, each `[items]`; on a grid the id is the index of the shift."""
        ids = rng.integers(_AUGMENTATION_IDS if self.count is None else self.count, size=items)
        if self.count is not None:
            return self.grid[ids], ids
        return self.width * (rng.random(items) - 0.5), ids


@dataclass(frozen=True, eq=False, kw_only=True)
class SequenceSampler(BatchSampler[SequenceBatchSpec]):
    """Draws every sequence of every clip once in each epoch.

    Attributes:
        length: frames of a sequence.
        stride: frames between the starts of neighbouring sequences.
        shifts: the shifts in time to draw from.
    """

    item_name = "sequences"

    length: int
    stride: int
    shifts: TimeShiftGrid

    @cached_property
    def _ends(self) -> Int64Array:
        """The sequences of each clip, and of all before it."""
        frames = np.asarray(self.clip_frames, np.int64)
        return np.cumsum(np.maximum(0, (frames - self.length) // self.stride + 1))

    def _draw(self, position: int, epoch: int, batch: int) -> SequenceBatchSpec:
        items = np.asarray(self.local_items(epoch, batch))
        shifts, ids = _epoch_shifts(self.shifts, self.num_items, self.draw_seed, epoch)
        sequences = self.order(epoch)[items]
        clips = np.searchsorted(self._ends, sequences, side="right")
        in_clip = sequences - np.concatenate([[0], self._ends])[clips]
        muted = np.asarray(self.clip_muted, bool)[clips]
        return SequenceBatchSpec(
            position=position,
            clips=clips,
            starts=in_clip * self.stride,
            time_shifts=np.where(muted, 0.0, shifts[items]),
            augmentation_ids=ids[items],
            is_padding=self.is_padding(batch),
            num_synthetic=self.num_synthetic(epoch, items.tolist()),
        )


@lru_cache(maxsize=2)
def _epoch_shifts(shifts: TimeShiftGrid, items: int, seed: int, epoch: int) -> tuple[Float64Array, Int64Array]:
    return shifts.draw(items, np.random.default_rng([seed, epoch]))


def frames_in_order(clip_frames: Sequence[int], most: int) -> tuple[SequenceBatchSpec, ...]:
    """The batches of a validation: every frame of every clip in order, at most `most` per batch and of one clip."""
    specs: list[SequenceBatchSpec] = []
    for clip, frames in enumerate(clip_frames):
        for first in range(0, frames, most):
            starts = np.arange(first, min(first + most, frames))
            zeros = np.zeros_like(starts)
            specs.append(SequenceBatchSpec(len(specs), zeros + clip, starts, zeros.astype(np.float64), zeros))
    return tuple(specs)
