"""What an item of a batch is: segments of clips, and sequences of audio windows, with their augmentation."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property, lru_cache

import numpy as np

from audio2face.config import TrainDiffusion, TrainStreaming
from audio2face.training.data.batch_sampler import BatchSampler
from audio2face.training.data.pseudo_labels import Mixture
from audio2face.types import Float64Array, Int64Array

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
        groups: number of items of each group, which follow each other; empty in a training of recorded ones alone.
    """

    position: int
    segments: tuple[SegmentSpec, ...]
    is_padding: bool = False
    groups: Mapping[str, int] = field(default_factory=dict)


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
        mixture: Mixture | None = None,
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
            mixture=mixture,
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
        return SegmentBatchSpec(position, segments, self.is_padding(batch), self.groups(epoch, items))

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
        groups: number of items of each group, which follow each other; empty in a training of recorded ones alone.
    """

    position: int
    clips: Int64Array
    starts: Int64Array
    time_shifts: Float64Array
    augmentation_ids: Int64Array
    is_padding: bool = False
    groups: Mapping[str, int] = field(default_factory=dict)


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
            groups=self.groups(epoch, items.tolist()),
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
