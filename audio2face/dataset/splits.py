"""The test set of an actor: shots that preprocessing and training leave out, so that only evaluation sees them.

Whole shots are chosen, never frames: neighbouring frames of a sentence are nearly equal, so that a network which was
trained on one frame of it has seen the others.
"""

from __future__ import annotations

import hashlib
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from audio2face.config import Dataset
from audio2face.errors import UserError

_MIN_SHOTS = 10  # an actor with at least 10 shots has at least one in the test set, as in the validation set


@dataclass(frozen=True)
class SplitSettings:
    """The parameters of one actor's test set.

    Attributes:
        named: TEST_SHOTS of the actor; None for an actor without an entry.
        fraction: TEST_FRACTION, for an actor without an entry.
        seed: SPLIT_SEED.
    """

    named: tuple[str, ...] | None = None
    fraction: float = 0.0
    seed: int = 0

    @classmethod
    def of_actor(cls, actor: str, section: Dataset) -> SplitSettings:
        """The parameters of one actor in the dataset section of a configuration."""
        named = section.TEST_SHOTS.get(actor)
        return cls(None if named is None else tuple(named), section.TEST_FRACTION, section.SPLIT_SEED)

    @property
    def asks_for_none(self) -> bool:
        """Whether the test set is empty whatever shots there are."""
        return not self.fraction if self.named is None else not self.named

    def choose(self, actor: str, emotions: Mapping[str, str]) -> tuple[str, ...]:
        """The test shots of an actor, in byte order.

        Args:
            actor: name of the actor.
            emotions: the emotion of each of the actor's shots.

        Raises:
            UserError: a named shot does not exist, or no other shot is left.
        """
        if self.named is None:
            return draw_shots(emotions, self.fraction, seed=self.seed, actor=actor)
        unknown = unknown_shots(self.named, emotions)
        if unknown:
            raise UserError(
                f"TEST_SHOTS[{actor!r}]: there is no shot {unknown[0]!r}",
                hint="Correct the name: a shot that was meant for the test set would be trained on.",
            )
        if emotions and len(set(self.named)) == len(emotions):
            raise UserError(
                f"TEST_SHOTS[{actor!r}] names all {len(emotions)} shots: none is left to train with",
                hint="Name fewer; one in ten is usual.",
            )
        return tuple(sorted(set(self.named)))


def unknown_shots(named: Iterable[str], known: Iterable[str]) -> list[str]:
    """The named shots that do not exist, each once, in the order of the names."""
    existing = set(known)
    return [name for name in dict.fromkeys(named) if name not in existing]


def draw_shots(emotions: Mapping[str, str], fraction: float, *, seed: int, actor: str) -> tuple[str, ...]:
    """Draws a fraction of an actor's shots at random, in equal proportion of every emotion.

    The fraction is rounded to whole shots, with a minimum of one from ten shots on, and shared among the emotions by
    the method of largest remainders. One shot of every emotion is never drawn. Within an emotion the shots with the
    smallest digests of seed, actor and name are taken: the choice of an actor depends on no other actor, and a shot
    that is added later rarely moves another one.

    Args:
        emotions: the emotion of each shot.
        fraction: of the shots, from 0 to below 1.
        seed: of the draw.
        actor: name of the actor.

    Returns:
        The names of the shots, in byte order.
    """
    by_emotion: dict[str, list[str]] = defaultdict(list)
    for shot in sorted(emotions, key=lambda shot: _digest(seed, actor, "shot", shot)):
        by_emotion[emotions[shot]].append(shot)
    count = round(fraction * len(emotions))
    if fraction and len(emotions) >= _MIN_SHOTS:
        count = max(count, 1)
    order = sorted(by_emotion, key=lambda emotion: _digest(seed, actor, "emotion", emotion))
    shares = share_out(count, [len(by_emotion[emotion]) for emotion in order])
    return tuple(
        sorted(shot for emotion, share in zip(order, shares, strict=True) for shot in by_emotion[emotion][:share])
    )


def share_out(count: int, sizes: Sequence[int]) -> list[int]:
    """Shares a count among groups in proportion to their sizes, and leaves at least one member of each.

    The method of largest remainders (Hamilton): every group gets the whole part of its quota, and the largest
    fractions get one more until the count is reached; of equal fractions the first. What a full group cannot take
    passes to the others in the same order.

    Args:
        count: number of members to take.
        sizes: number of members of each group.

    Returns:
        The number of members to take from each group, each below its size; their sum is `count`, or less where the
        groups are too small.
    """
    total = sum(sizes)
    taken: Counter[int] = Counter()
    for group, size in enumerate(sizes):
        taken[group] = min(count * size // total, size - 1)
    # The fractions as whole numbers, which no rounding can reorder.
    order = sorted(range(len(sizes)), key=lambda group: -(count * sizes[group] % total))
    left = min(count, total - len(sizes)) - taken.total()
    while left > 0:
        for group in order:
            if left > 0 and taken[group] < sizes[group] - 1:
                taken[group] += 1
                left -= 1
    return [taken[group] for group in range(len(sizes))]


def _digest(seed: int, *words: str) -> bytes:
    return hashlib.sha256("\0".join([str(seed), *words]).encode()).digest()
