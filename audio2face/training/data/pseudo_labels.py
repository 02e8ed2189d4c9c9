"""Pseudo-labelled speech: clips of speech whose motion was not recorded, and how much of a training they are.

There are two kinds, whose motion is that of the viseme rules (`training.data.synthetic`) or of a trained network, the
teacher (`training.distillation`). They are in neither the training nor the validation set: batches alone contain them,
behind recorded items, and their losses are logged apart.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from fractions import Fraction
from itertools import accumulate
from typing import Any

import numpy as np

from audio2face.training.data.clips import TrainingClip
from audio2face.training.data.motion import ShotMotion
from audio2face.types import BoolArray, Int64Array

RECORDED, SYNTHETIC, DISTILLATION = "recorded", "synthetic", "distillation"
GROUPS = (RECORDED, SYNTHETIC, DISTILLATION)  # of items, whose losses are logged apart


@dataclass(frozen=True)
class PseudoLabelledShare:
    """How much of a training is one kind of pseudo-labelled clips: speech whose motion was not recorded.

    Attributes:
        group: of `GROUPS`, not the recorded one.
        clips: number of clips.
        share: of the items of an epoch, from 0 to below 1.
        epochs: number of epochs at the start whose items are all of this kind.
    """

    group: str
    clips: int
    share: float
    epochs: int = 0

    @property
    def exact(self) -> Fraction:
        """The share as it is written, without the rounding of its binary number."""
        return Fraction(str(self.share))


@dataclass(frozen=True)
class Mixture:
    """Recorded and pseudo-labelled items of an epoch.

    Item k of an epoch, counted from 0, is pseudo-labelled where floor((k + 1) share) exceeds floor(k share), with the
    shares of all kinds together, so that any stretch of n items has n times the share, give or take one. The kinds
    divide these items among them by the same rule. Items of a kind are drawn in random order, each once before any is
    drawn again.

    Attributes:
        kinds: of pseudo-labelled clips, which follow the recorded ones in this order.
    """

    kinds: tuple[PseudoLabelledShare, ...]

    @property
    def exact(self) -> Fraction:
        """The share of all kinds together."""
        return sum((kind.exact for kind in self.kinds), Fraction(0))

    def positions(self, recorded: int) -> int:
        """The number of items of an epoch that has each of `recorded` items once."""
        return int(recorded / (1 - self.exact))

    def groups(self, epoch: int, positions: int) -> Int64Array:
        """The kind of each item of an epoch, counted from 1; 0 is recorded. `[positions]`."""
        found = np.zeros(positions, np.int64)
        for number, kind in enumerate(self.kinds, 1):
            if epoch < kind.epochs:
                return found + number
        left, rest = np.flatnonzero(_every(self.exact, positions)), self.exact
        for number, kind in reversed(list(enumerate(self.kinds, 1))):
            taken = _every(kind.exact / rest if rest else rest, len(left))
            found[left[taken]] = number
            left, rest = left[~taken], rest - kind.exact
        return found

    def drawn_before(self, epoch: int, positions: int) -> Int64Array:
        """The number of items of each kind in all epochs before one, `[kinds]`."""
        longest = max(kind.epochs for kind in self.kinds)
        early, late = range(min(epoch, longest)), max(epoch - longest, 0)
        counts = [self._counts(each, positions) for each in early]
        total: Int64Array = np.sum([late * self._counts(longest, positions), *counts], axis=0)
        return total

    def _counts(self, epoch: int, positions: int) -> Int64Array:
        return np.bincount(self.groups(epoch, positions), minlength=len(self.kinds) + 1)[1:]


def _every(share: Fraction, count: int) -> BoolArray:
    """Which of `count` items in a row make up a share, evenly spread, bool `[count]`."""
    return np.diff(np.arange(count + 1) * share.numerator // share.denominator) > 0


def group_sizes(num_items: int, groups: Mapping[str, int]) -> Mapping[str, int]:
    """The number of items of each group of a batch, which has none where the one item is padding.

    Args:
        num_items: without padding.
        groups: number of items of each group, with padding; empty in a training of recorded items alone.
    """
    return groups if num_items else dict.fromkeys(groups, 0)


def group_ranges(groups: Mapping[str, int]) -> Mapping[str, slice]:
    """The items of each group in a batch, in which they follow each other."""
    ends = list(accumulate(groups.values()))
    return {name: slice(end - groups[name], end) for name, end in zip(groups, ends, strict=True)}


@dataclass(frozen=True)
class PseudoLabelled:
    """Clips of speech with motion that was made for them.

    Attributes:
        share: how much of a training they are.
        clips: the clips, with shots of their own.
        motions: motion of the shots, by id.
        record: what they were made of, as JSON.
    """

    share: PseudoLabelledShare
    clips: tuple[TrainingClip, ...]
    motions: Mapping[str, ShotMotion]
    record: Mapping[str, Any]


def placed(clips: Iterable[TrainingClip], first_global_frame: int) -> tuple[TrainingClip, ...]:
    """Clips whose shots follow each other from a global frame on; clips of one shot are neighbours."""
    found: list[TrainingClip] = []
    start = first_global_frame
    for clip in clips:
        if found and found[-1].shot.id != clip.shot.id:
            start += found[-1].shot.num_frames
        found.append(replace(clip, shot=replace(clip.shot, first_global_frame=start)))
    return tuple(found)


class EmotionDraws:
    """Draws emotions in proportion to the frames of clips.

    Args:
        clips: of an actor.
        rng: drawn from once for each emotion.
    """

    def __init__(self, clips: Sequence[TrainingClip], rng: np.random.Generator) -> None:
        frames: Counter[str] = Counter()
        for clip in clips:
            frames[clip.shot.emotion] += clip.num_frames
        self._names = sorted(frames)
        self._shares = np.array([frames[name] for name in self._names]) / sum(frames.values())
        self._rng = rng

    def draw(self) -> str:
        """The next emotion."""
        return self._names[int(self._rng.choice(len(self._names), p=self._shares))]
