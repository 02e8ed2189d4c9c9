"""How the hidden layers of a network become one feature vector per step.

Every module maps `[layers, batch, steps, features]` to `[batch, steps, width]`.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

import torch
from torch import Tensor, nn

from audio2face.errors import UserError

Combination = Literal["weighted", "concat"]


class OnlyLayer(nn.Module):
    """Takes the only layer there is."""

    def forward(self, hidden: Tensor) -> Tensor:
        """See the module."""
        return hidden[0]


class Concatenation(nn.Module):
    """All layers side by side: `width` is `layers * features`."""

    def forward(self, hidden: Tensor) -> Tensor:
        """See the module."""
        return torch.cat(hidden.unbind(0), dim=-1)


class WeightedLayers(nn.Module):
    """A learned mean of the layers, each normalised first; all layers weigh alike at the beginning.

    Normalisation makes weights comparable: the layers of one network differ several times in size.
    """

    def __init__(self, layers: int, features: int) -> None:
        super().__init__()
        self.norms = nn.ModuleList(nn.LayerNorm(features) for _ in range(layers))
        self.scores = nn.Parameter(torch.zeros(layers))

    def forward(self, hidden: Tensor) -> Tensor:
        """See the module."""
        normalised = torch.stack([norm(layer) for norm, layer in zip(self.norms, hidden.unbind(0), strict=True)])
        return (torch.softmax(self.scores, 0)[:, None, None, None] * normalised).sum(0)


class ScaledMean(nn.Module):
    """The reference's way: sum of a_l times layer l over sum of a_l, where a starts as ones."""

    def __init__(self, layers: int) -> None:
        super().__init__()
        self.coefficients = nn.Parameter(torch.ones(layers))

    def forward(self, hidden: Tensor) -> Tensor:
        """See the module."""
        weights = self.coefficients / self.coefficients.sum()
        return (weights[:, None, None, None] * hidden).sum(0)


def chosen_layers(wanted: Sequence[int], there: int) -> tuple[int, ...]:
    """The hidden layers that are heard, in rising order; all of them where none is named.

    Raises:
        UserError: there is no such layer, or one is named twice.
    """
    layers = tuple(sorted(wanted)) or tuple(range(there))
    if len(set(layers)) < len(layers) or not set(layers) <= set(range(there)):
        raise UserError(
            f"layers {list(wanted)} of the speech encoder: each may be named once, from 0 to {there - 1}",
            hint="Layers in the middle tell phonemes apart best.",
        )
    return layers


def combination(kind: Combination, layers: int, features: int) -> tuple[nn.Module, int]:
    """The module of a chosen combination, and the width of what it returns."""
    if kind == "concat":
        return Concatenation(), layers * features
    return WeightedLayers(layers, features), features
