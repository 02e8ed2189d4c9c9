"""Which items make up the batches of an epoch, and which of them belong to this process.

A batch is a pure function of the seeds and of its position, its number since the start of training: a resumed training
draws the same items from any position on, and no state has to be saved.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property, lru_cache
from typing import ClassVar, Generic, TypeVar

import numpy as np

from audio2face.config import TrainDiffusion
from audio2face.errors import UserError
from audio2face.types import Float64Array, Int64Array

BatchSpec = TypeVar("BatchSpec")


@dataclass(frozen=True, eq=False, kw_only=True)
class BatchSampler(ABC, Generic[BatchSpec]):
    """Shuffles the items of each epoch, and shards each batch over the processes that train together.

    The items of a global batch go to the processes in turn, so that all processes together draw what a single one
    would. In the last batch of an epoch some processes may have one item less than others. A process without any gets
    the first item of the batch as padding, which keeps it in step and has no weight in loss and metrics.

    Attributes:
        clip_frames: length of each clip in frames of the network.
        clip_muted: whether each clip is a muted shot, which is not shifted in time.
        batch_size: items of a global batch, a multiple of `world_size`.
        order_seed: seed of the order of items (RNG_SEED_TORCH).
        draw_seed: seed of all other draws (RNG_SEED_DATASET).
        rank: this process.
        world_size: number of processes.
    """

    item_name: ClassVar[str]  # plural, a key of the fingerprint

    clip_frames: Sequence[int]
    clip_muted: Sequence[bool]
    batch_size: int
    order_seed: int
    draw_seed: int
    rank: int = 0
    world_size: int = 1

    def __post_init__(self) -> None:
        if self.batch_size % self.world_size:
            raise ValueError(f"a batch of {self.batch_size} cannot be shared equally by {self.world_size} processes")

    @property
    @abstractmethod
    def num_items(self) -> int:
        """Items of an epoch."""

    @abstractmethod
    def _draw(self, position: int, epoch: int, batch: int) -> BatchSpec:
        """Draws this process's part of batch `batch` of an epoch."""

    @property
    def batches_per_epoch(self) -> int:
        """Batches of an epoch, the same in every process."""
        return -(-self.num_items // self.batch_size)

    @property
    def fingerprint(self) -> dict[str, int]:
        """The values that must stay the same for a position to mean the same batch; part of every checkpoint."""
        return {
            self.item_name: self.num_items,
            "batch_size": self.batch_size,
            "world_size": self.world_size,
            "order_seed": self.order_seed,
            "draw_seed": self.draw_seed,
        }

    def epoch(self, epoch: int, first_batch: int = 0) -> Iterator[BatchSpec]:
        """This process's part of the batches of an epoch, from `first_batch` on."""
        start = epoch * self.batches_per_epoch
        return map(self.batch_spec, range(start + first_batch, start + self.batches_per_epoch))

    def batch_spec(self, position: int) -> BatchSpec:
        """This process's part of the batch at a position."""
        epoch, batch = divmod(position, self.batches_per_epoch)
        return self._draw(position, epoch, batch)

    def order(self, epoch: int) -> Int64Array:
        """The items of an epoch in shuffled order, `[num_items]`."""
        return _permutation(self.order_seed, epoch, self.num_items)

    def global_items(self, batch: int) -> range:
        """The positions in the epoch's order that belong to a batch."""
        first = batch * self.batch_size
        return range(first, min(first + self.batch_size, self.num_items))

    def local_items(self, batch: int) -> range:
        """The part of `global_items` of this process, at least one: the first of the batch where it is padding."""
        items = self.global_items(batch)
        return items[self.rank :: self.world_size] or items[:1]

    def is_padding(self, batch: int) -> bool:
        """Whether a batch has fewer items than there are processes, and none for this one."""
        return self.rank >= len(self.global_items(batch))


@lru_cache(maxsize=2)
def _permutation(seed: int, epoch: int, count: int) -> Int64Array:
    return np.random.default_rng([seed, epoch]).permutation(count)


def check_same_data(before: Mapping[str, int] | None, now: Mapping[str, int]) -> None:
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


# --- Segments of clips, for the diffusion network ---------------------------------------------------------------------

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
    """

    position: int
    segments: tuple[SegmentSpec, ...]
    is_padding: bool = False


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
        train: TrainDiffusion,
        clip_frames: Sequence[int],
        clip_muted: Sequence[bool],
        *,
        batch_size: int,
        rank: int = 0,
        world_size: int = 1,
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
    def num_items(self) -> int:
        """One segment of each clip."""
        return len(self.clip_frames)

    def _draw(self, position: int, epoch: int, batch: int) -> SegmentBatchSpec:
        clips = {item: int(self.order(epoch)[item]) for item in self.global_items(batch)}
        lengths = {item: self._length(epoch, item, clip) for item, clip in clips.items()}
        if not self.own_lengths:
            first = next(iter(lengths.values()))
            lengths = dict.fromkeys(lengths, min(first, *(self.clip_frames[clip] for clip in clips.values())))
        segments = tuple(self._segment(epoch, item, clips[item], lengths[item]) for item in self.local_items(batch))
        return SegmentBatchSpec(position, segments, is_padding=self.is_padding(batch))

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
    """

    position: int
    clips: Int64Array
    starts: Int64Array
    time_shifts: Float64Array
    augmentation_ids: Int64Array
    is_padding: bool = False


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
        """The cumulative number of sequences up to and including each clip, `[clips]`."""
        frames = np.asarray(self.clip_frames, np.int64)
        return np.cumsum(np.maximum(0, (frames - self.length) // self.stride + 1))

    @property
    def num_items(self) -> int:
        """All sequences of all clips."""
        return int(self._ends[-1])

    def _draw(self, position: int, epoch: int, batch: int) -> SequenceBatchSpec:
        items = np.asarray(self.local_items(batch))
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
