"""The layout of a frame: its channels are those of the skin, the tongue, the jaw and the eyes, in this order.

This module knows the sizes of the groups. What a channel means (a coordinate, a PCA coefficient, an angle) differs
between the networks.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import torch
from torch import Tensor


class ChannelSlices(NamedTuple):
    """The channels of frames, or one item per group of channels."""

    skin: Tensor
    tongue: Tensor
    jaw: Tensor
    eye: Tensor


@dataclass(frozen=True)
class ChannelSizes:
    """The number of channels of each group.

    Attributes:
        skin: three per vertex, or one per PCA component.
        tongue: three per vertex, or one per PCA component.
        jaw: three per key point.
        eye: rotations, usually four.
    """

    skin: int
    tongue: int
    jaw: int
    eye: int

    @property
    def total(self) -> int:
        """Channels of one frame."""
        return self.skin + self.tongue + self.jaw + self.eye

    def split(self, values: Tensor) -> ChannelSlices:
        """Splits `values` `[..., total]` into views of its groups."""
        return ChannelSlices(*torch.split(values, [self.skin, self.tongue, self.jaw, self.eye], dim=-1))
