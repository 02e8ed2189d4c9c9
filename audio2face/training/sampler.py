"""Which segments make up each batch, and every random choice about them, as a pure function of seeds and position.

Item k of epoch e depends on the seeds, e and k alone: not on what was drawn before, on how many processes load the data
or on how many train. So a position, which is one number, is all that resuming needs.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from audio2face.config import TrainDiffusion
from audio2face.training.dealing import Dealing

_NUM_DRAWS = 7
_NUM_NOISE_SEEDS = 2**32


@dataclass(frozen=True)
class Draw:
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
class Plan:
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
    draws: tuple[Draw, ...]
    is_idle: bool = False


@dataclass(frozen=True)
class Chances:
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
    def of(cls, train: TrainDiffusion) -> Chances:
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
class Sampler:
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
        rank: this process, of `world_size`, see `Dealing`.
        world_size: processes that train together.
    """

    clip_frames: Sequence[int]
    clip_muted: Sequence[bool]
    chances: Chances
    batch_size: int
    order_seed: int
    draw_seed: int
    own_lengths: bool = False
    rank: int = 0
    world_size: int = 1

    def __post_init__(self) -> None:
        _ = self.dealing  # refuses what cannot be dealt out

    @cached_property
    def dealing(self) -> Dealing:
        """How clips are dealt out."""
        return Dealing(len(self.clip_frames), self.batch_size, self.rank, self.world_size)

    @property
    def batches_per_epoch(self) -> int:
        """Number of batches that an epoch has."""
        return self.dealing.batches_per_epoch

    @property
    def facts(self) -> dict[str, int]:
        """What must be the same for a position to mean the same; for a checkpoint to record and compare."""
        return {
            "clips": len(self.clip_frames),
            "batch_size": self.batch_size,
            "world_size": self.world_size,
            "order_seed": self.order_seed,
            "draw_seed": self.draw_seed,
        }

    def epoch(self, epoch: int, first_batch: int = 0) -> Iterator[Plan]:
        """This process's part of the batches of an epoch, from `first_batch` on."""
        start = epoch * self.batches_per_epoch
        return map(self.plan, range(start + first_batch, start + self.batches_per_epoch))

    def plan(self, position: int) -> Plan:
        """This process's part of a batch."""
        epoch, batch = divmod(position, self.batches_per_epoch)
        order = np.random.default_rng([self.order_seed, epoch]).permutation(len(self.clip_frames)).tolist()
        lengths = {item: self._length(epoch, item, order[item]) for item in self.dealing.items(batch)}
        if not self.own_lengths:
            first = next(iter(lengths.values()))
            lengths = dict.fromkeys(lengths, min(first, *(self.clip_frames[order[item]] for item in lengths)))
        draws = tuple(self._draw(epoch, item, order[item], lengths[item]) for item in self.dealing.own(batch))
        is_last = batch == self.batches_per_epoch - 1
        return Plan(position, epoch, is_last, draws, is_idle=self.dealing.is_idle(batch))

    def _length(self, epoch: int, item: int, clip: int) -> int:
        if self.chances.whole_clips:
            return self.clip_frames[clip]
        least, most = self.chances.least_frames, self.chances.most_frames
        drawn = least + int(self._numbers(epoch, item)[0] * (most - least + 1))
        return min(drawn, self.clip_frames[clip])

    def _draw(self, epoch: int, item: int, clip: int, num_frames: int) -> Draw:
        _, start, shift, pitch, semitones, gain, seed = self._numbers(epoch, item)
        first = int(start * (self.clip_frames[clip] - num_frames + 1))
        if self.clip_muted[clip]:
            noise_gain = _within(self.chances.noise_gain, gain)
            return Draw(clip, first, num_frames, noise_gain=noise_gain, noise_seed=int(seed * _NUM_NOISE_SEEDS))
        return Draw(
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


def whole_clips(clip_frames: Sequence[int]) -> tuple[Plan, ...]:
    """Plans that go through every clip once and whole, one a batch, without any chance."""
    last = len(clip_frames) - 1
    return tuple(Plan(clip, 0, clip == last, (Draw(clip, 0, frames),)) for clip, frames in enumerate(clip_frames))


def _within(limits: tuple[float, float], number: float) -> float:
    """A number in [0, 1) brought between limits."""
    return limits[0] + (limits[1] - limits[0]) * number
