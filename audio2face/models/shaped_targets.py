"""Targets of training as coefficients of shapes, from which losses follow without whole faces (`models.gram`).

Data are read without the losses, whose libraries take a second to load.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial

import torch
from torch import Tensor


@dataclass(frozen=True)
class Shapes:
    """Targets of one part of an actor: `coefficients @ components + mean`.

    Attributes:
        components: `[shapes, channels]`.
        mean: `[channels]`.
        offset: what is added to the layer's output, `[channels]`.
    """

    components: Tensor
    mean: Tensor
    offset: Tensor


@dataclass(frozen=True)
class ShapedTargets:
    """Targets of a batch, as coefficients of shapes.

    Attributes:
        parts: coefficients of each wide part, `[batch, frames, shapes]`; an actor with fewer shapes has zeros.
        narrow: values of the other channels, `[batch, frames, narrow]`.
        whole: the targets themselves, `[batch, frames, channels]`; always the same tensor.
    """

    parts: Sequence[Tensor]
    narrow: Tensor
    whole: Callable[[], Tensor]

    def __len__(self) -> int:
        """Number of items."""
        return len(self.narrow)

    def split(self, sizes: list[int]) -> Sequence[ShapedTargets]:
        """The targets of groups of items that follow each other."""
        parts = zip(*[torch.split(part, sizes) for part in self.parts], strict=True)
        stops = list(itertools.accumulate(sizes))
        return [
            ShapedTargets(part, narrow, partial(self._items, stop - size, stop))
            for part, narrow, size, stop in zip(parts, torch.split(self.narrow, sizes), sizes, stops, strict=True)
        ]

    def _items(self, start: int, stop: int) -> Tensor:
        return self.whole()[start:stop]
