"""The order in which a frame's values lie: skin, tongue, jaw, eyes. Knows sizes, not what the values mean."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import torch
from torch import Tensor


class ChannelSlices(NamedTuple):
    """The values of a frame, or something per part, by part."""

    skin: Tensor
    tongue: Tensor
    jaw: Tensor
    eye: Tensor


@dataclass(frozen=True)
class ChannelSizes:
    """How many values of a frame belong to each part.

    Attributes:
        skin: three for each vertex, or one for each shape.
        tongue: likewise.
        jaw: three for each key point.
        eye: rotations, usually four.
    """

    skin: int
    tongue: int
    jaw: int
    eye: int

    @property
    def total(self) -> int:
        """Values of one frame."""
        return self.skin + self.tongue + self.jaw + self.eye

    def split(self, values: Tensor) -> ChannelSlices:
        """Views of the parts of `values` `[..., total]`."""
        return ChannelSlices(*torch.split(values, [self.skin, self.tongue, self.jaw, self.eye], dim=-1))
