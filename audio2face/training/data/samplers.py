"""How the items of an epoch are dealt out: into batches, and each batch to the processes that train together."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property, lru_cache

import numpy as np
import numpy.typing as npt

from audio2face.config import TrainDiffusion
from audio2face.errors import UserError
from audio2face.types import IntArray


@dataclass(frozen=True)
class BatchSharding:
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

    def local_items(self, batch: int) -> range:
        """Those of this process; where that is none, the batch's first, which stands in: see `is_padding`."""
        items = self.items(batch)
        return items[self.rank :: self.world_size] or items[:1]

    def is_padding(self, batch: int) -> bool:
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


_NUM_DRAWS = 7
_NUM_NOISE_SEEDS = 2**32


@dataclass(frozen=True)
class SegmentSpec:
    """What was decided about one item.

    Attributes:
        clip: index of the clip.
        start: first frame, at the rate of the network, from the start of the clip.
        num_frames: length in such frames.
        time_shift: frames of the shot by which sound and face are both moved.
        semitones: how much the voice is raised; None: not at all.
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
    """A batch that is to be loaded.

    Attributes:
        position: number of the batch since the start of training.
        epoch: the epoch it belongs to, from 0.
        ends_epoch: whether it is the epoch's last.
        draws: its items.
        is_idle: whether this process goes without an item, because the batch has fewer than there are processes. Its
            one draw keeps it in step with the others and counts for nothing.
    """

    position: int
    epoch: int
    ends_epoch: bool
    segments: tuple[SegmentSpec, ...]
    is_padding: bool = False


@dataclass(frozen=True)
class SegmentAugmentation:
    """What items are drawn from.

    Attributes:
        least_frames: shortest segment; a shorter clip is taken whole.
        most_frames: longest segment.
        whole_clips: takes every clip whole instead.
        time_shift: width of the range of time shifts, in frames of the shot.
        pitch_share: part of the items whose pitch is shifted.
        semitones: limits of that shift.
        noise_gain: limits of the factor on the noise of muted clips.
    """

    least_frames: int
    most_frames: int
    whole_clips: bool = False
    time_shift: float = 0.0
    pitch_share: float = 0.0
    semitones: tuple[float, float] = (0.0, 0.0)
    noise_gain: tuple[float, float] = (1.0, 1.0)

    @classmethod
    def from_config(cls, train: TrainDiffusion) -> SegmentAugmentation:
        """As a configuration says."""
        pitch = train.AUGMENT["pitch_shift"]
        return cls(
            least_frames=train.SUBSEGMENT_MIN_FRAME,
            most_frames=train.SUBSEGMENT_MAX_FRAME,
            whole_clips=not train.TRAIN_ON_RANDOM_SUBSEGMENT,
            time_shift=train.AUGMENT["timeshift"],
            pitch_share=pitch["p"] if pitch else 0.0,
            semitones=(pitch["min_semitones"], pitch["max_semitones"]) if pitch else (0.0, 0.0),
            noise_gain=train.AUG_MUTED_AUDIO_NOISE_LOCAL_SCALE_RANGE or (1.0, 1.0),
        )


@dataclass(frozen=True)
class SegmentSampler:
    """Shuffles clips each epoch and draws a segment of each.

    Attributes:
        clip_frames: length of each clip in frames of the network.
        clip_muted: whether each clip is a held pose, which is not augmented.
        chances: what is drawn from.
        batch_size: items of a batch of all processes together.
        order_seed: seed of the order (RNG_SEED_TORCH).
        draw_seed: seed of all else (RNG_SEED_DATASET).
        own_lengths: whether each item of a batch keeps its own drawn length. Otherwise all have that of the first, or
            of the shortest clip among them, so that nothing is padded.
        rank: this process, of `world_size`, see `BatchSharding`.
        world_size: processes that train together.
    """

    clip_frames: Sequence[int]
    clip_muted: Sequence[bool]
    chances: SegmentAugmentation
    batch_size: int
    order_seed: int
    draw_seed: int
    own_lengths: bool = False
    rank: int = 0
    world_size: int = 1

    def __post_init__(self) -> None:
        _ = self.dealing  # refuses what cannot be dealt out

    @cached_property
    def dealing(self) -> BatchSharding:
        """How clips are dealt out."""
        return BatchSharding(len(self.clip_frames), self.batch_size, self.rank, self.world_size)

    @property
    def batches_per_epoch(self) -> int:
        """Number of batches that an epoch has."""
        return self.dealing.batches_per_epoch

    @property
    def fingerprint(self) -> dict[str, int]:
        """What must be the same for a position to mean the same; for a checkpoint to record and compare."""
        return {
            "clips": len(self.clip_frames),
            "batch_size": self.batch_size,
            "world_size": self.world_size,
            "order_seed": self.order_seed,
            "draw_seed": self.draw_seed,
        }

    def epoch(self, epoch: int, first_batch: int = 0) -> Iterator[SegmentBatchSpec]:
        """This process's part of the batches of an epoch, from `first_batch` on."""
        start = epoch * self.batches_per_epoch
        return map(self.plan, range(start + first_batch, start + self.batches_per_epoch))

    def plan(self, position: int) -> SegmentBatchSpec:
        """This process's part of a batch."""
        epoch, batch = divmod(position, self.batches_per_epoch)
        order = np.random.default_rng([self.order_seed, epoch]).permutation(len(self.clip_frames)).tolist()
        lengths = {item: self._length(epoch, item, order[item]) for item in self.dealing.items(batch)}
        if not self.own_lengths:
            first = next(iter(lengths.values()))
            lengths = dict.fromkeys(lengths, min(first, *(self.clip_frames[order[item]] for item in lengths)))
        draws = tuple(self._draw(epoch, item, order[item], lengths[item]) for item in self.dealing.local_items(batch))
        is_last = batch == self.batches_per_epoch - 1
        return SegmentBatchSpec(position, epoch, is_last, draws, is_padding=self.dealing.is_padding(batch))

    def _length(self, epoch: int, item: int, clip: int) -> int:
        if self.chances.whole_clips:
            return self.clip_frames[clip]
        least, most = self.chances.least_frames, self.chances.most_frames
        drawn = least + int(self._numbers(epoch, item)[0] * (most - least + 1))
        return min(drawn, self.clip_frames[clip])

    def _draw(self, epoch: int, item: int, clip: int, num_frames: int) -> SegmentSpec:
        _, start, shift, pitch, semitones, gain, seed = self._numbers(epoch, item)
        first = int(start * (self.clip_frames[clip] - num_frames + 1))
        if self.clip_muted[clip]:
            noise_gain = _within(self.chances.noise_gain, gain)
            return SegmentSpec(clip, first, num_frames, noise_gain=noise_gain, noise_seed=int(seed * _NUM_NOISE_SEEDS))
        return SegmentSpec(
            clip,
            first,
            num_frames,
            time_shift=(shift - 0.5) * self.chances.time_shift,
            semitones=_within(self.chances.semitones, semitones) if pitch < self.chances.pitch_share else None,
        )

    def _numbers(self, epoch: int, item: int) -> list[float]:
        """The random numbers of an item in [0, 1), always all of them, so that one choice does not move another."""
        numbers: list[float] = np.random.default_rng([self.draw_seed, epoch, item]).random(_NUM_DRAWS).tolist()
        return numbers


def whole_clips(clip_frames: Sequence[int]) -> tuple[SegmentBatchSpec, ...]:
    """Plans that go through every clip once and whole, one a batch, without any chance."""
    last = len(clip_frames) - 1
    return tuple(
        SegmentBatchSpec(clip, 0, clip == last, (SegmentSpec(clip, 0, frames),))
        for clip, frames in enumerate(clip_frames)
    )


def _within(limits: tuple[float, float], number: float) -> float:
    """A number in [0, 1) brought between limits."""
    return limits[0] + (limits[1] - limits[0]) * number


FloatArray = npt.NDArray[np.float64]

_VARIANTS = 2**32


@dataclass(frozen=True, eq=False)
class SequenceBatchSpec:
    """A batch that is to be loaded; arrays have an entry per item.

    Attributes:
        position: number of the batch since the start of training.
        clips: index of the clip.
        starts: first frame, from the start of the clip.
        time_shifts: frames by which sound and face are both moved.
        variants: which of many renderings is meant: of the noise of a held pose, or of the features of speech, see
            `CachedFeatures`.
        is_idle: see `sampler.SegmentBatchSpec`.
    """

    position: int
    clips: IntArray
    starts: IntArray
    time_shifts: FloatArray
    augmentation_ids: IntArray
    is_padding: bool = False


@dataclass(frozen=True)
class TimeShiftGrid:
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
        rank: this process, of `world_size`, see `BatchSharding`.
        world_size: processes that train together.
    """

    clip_frames: Sequence[int]
    clip_muted: Sequence[bool]
    length: int
    stride: int
    shifts: TimeShiftGrid
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
    def dealing(self) -> BatchSharding:
        """How sequences are dealt out."""
        return BatchSharding(int(self._ends[-1]), self.batch_size, self.rank, self.world_size)

    @property
    def batches_per_epoch(self) -> int:
        """Number of batches that an epoch has."""
        return self.dealing.batches_per_epoch

    @property
    def fingerprint(self) -> dict[str, int]:
        """What must be the same for a position to mean the same; for a checkpoint to record and compare."""
        return {
            "sequences": self.dealing.count,
            "batch_size": self.batch_size,
            "world_size": self.world_size,
            "order_seed": self.order_seed,
            "draw_seed": self.draw_seed,
        }

    def epoch(self, epoch: int, first_batch: int = 0) -> Iterator[SequenceBatchSpec]:
        """This process's part of the batches of an epoch, from `first_batch` on."""
        start = epoch * self.batches_per_epoch
        return map(self.plan, range(start + first_batch, start + self.batches_per_epoch))

    def plan(self, position: int) -> SequenceBatchSpec:
        """This process's part of a batch."""
        epoch, batch = divmod(position, self.batches_per_epoch)
        items = np.asarray(self.dealing.local_items(batch))
        sequences, shifts, variants = (drawn[items] for drawn in _draws(self, epoch))
        clips = np.searchsorted(self._ends, sequences, side="right")
        in_clip = sequences - np.concatenate([[0], self._ends])[clips]
        muted = np.asarray(self.clip_muted, bool)[clips]
        return SequenceBatchSpec(
            position=position,
            clips=clips,
            starts=in_clip * self.stride,
            time_shifts=np.where(muted, 0.0, shifts),
            augmentation_ids=variants,
            is_padding=self.dealing.is_padding(batch),
        )


def frames_in_order(clip_frames: Sequence[int], most: int) -> tuple[SequenceBatchSpec, ...]:
    """Plans that go through every clip once, frame by frame, at most `most` of one clip in a batch, without chance."""
    plans: list[SequenceBatchSpec] = []
    for clip, frames in enumerate(clip_frames):
        for first in range(0, frames, most):
            starts = np.arange(first, min(first + most, frames))
            zeros = np.zeros_like(starts)
            plans.append(SequenceBatchSpec(len(plans), zeros + clip, starts, zeros.astype(np.float64), zeros))
    return tuple(plans)


@lru_cache(maxsize=2)
def _draws(sampler: SequenceSampler, epoch: int) -> tuple[IntArray, FloatArray, IntArray]:
    """Order, shifts and variants of all items of an epoch."""
    order = np.random.default_rng([sampler.order_seed, epoch]).permutation(sampler.dealing.count)
    shifts, variants = sampler.shifts.draw(len(order), np.random.default_rng([sampler.draw_seed, epoch]))
    return order, shifts, variants
