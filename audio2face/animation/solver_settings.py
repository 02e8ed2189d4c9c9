"""What a blend-shape solver is told about its poses, beside their geometry. Names follow `blendshape_params`."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import compress

import numpy as np

from audio2face.animation.settings import check_range
from audio2face.errors import UserError

UNPAIRED = -1
_LISTS = ("active", "cancel_pairs", "symmetry_pairs", "multipliers", "offsets")


@dataclass(frozen=True, kw_only=True)
class SolverSettings:
    """Settings of a solver; lists have one value for each pose without the neutral.

    Attributes:
        l1: strength of the preference for few poses.
        l2: strength of the preference for small weights.
        temporal: strength of the preference for the weights of the frame before.
        symmetry: strength of the preference for equal weights of paired poses.
        template_size: diagonal of the face's bounding box that the strengths are meant for, centimetres.
        active: whether a pose is used.
        cancel_pairs: poses with the same number, other than -1, exclude each other.
        symmetry_pairs: poses with the same number, other than -1, belong together.
        multipliers: applied to the solved weights.
        offsets: added then.
    """

    l1: float
    l2: float
    temporal: float
    symmetry: float
    template_size: float
    active: Sequence[bool]
    cancel_pairs: Sequence[int]
    symmetry_pairs: Sequence[int]
    multipliers: Sequence[float]
    offsets: Sequence[float]

    def check(self) -> None:
        """Refuses what no solver can work with.

        Raises:
            UserError: a strength is negative, lists have unequal lengths, no pose is active, or the number of a pair
                is not there exactly twice.
        """
        for name in ("l1", "l2", "temporal", "symmetry"):
            check_range(f"the strength {name} of the blend-shape solver", getattr(self, name), 0, 1e9)
        check_range("the template size of the blend-shape solver", self.template_size, 1, 1e9)
        for name in _LISTS:
            values = getattr(self, name)
            if len(values) != len(self.active):
                raise UserError(f"blend-shape solver: {name} has {len(values)} values, active has {len(self.active)}")
            if not np.isfinite(values).all():
                raise UserError(f"blend-shape solver: {name} holds NaN or infinity")
        if not any(self.active):
            raise UserError("blend-shape solver: no pose is active", hint="Set one of bsSolveActivePoses to 1.")
        for name in ("cancel_pairs", "symmetry_pairs"):
            for pair, times in Counter(getattr(self, name)).items():
                if pair != UNPAIRED and times != 2:
                    raise UserError(f"blend-shape solver: {name} has the number {pair} {times} times, expected twice")


def active_pairs(numbers: Sequence[int], active: Sequence[bool]) -> list[tuple[int, int]]:
    """The pairs among active poses, by the places that those have among each other.

    A pose whose partner is not active has none. As in the SDK, exactly two active poses that carry -1, which means "no
    pair", are taken for a pair too; with one such pose, or more than two, there is none.
    """
    members = defaultdict(list)
    for place, number in enumerate(compress(numbers, active)):
        members[number].append(place)
    return [(places[0], places[1]) for places in members.values() if len(places) == 2]
