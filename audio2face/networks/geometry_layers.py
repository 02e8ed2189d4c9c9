"""From the values of a frame to a few latent ones, and from a network's features to the values of a frame, by part."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional

from audio2face.networks.layers import two_layers, zero_last_layer
from audio2face.networks.parts import PartSizes

_FILTER_TAPS = 9


class FilteredLinear(nn.Module):
    """A linear layer whose outputs, in their order, are then smoothed by one short learned filter; ReLU."""

    def __init__(self, inputs: int, outputs: int) -> None:
        super().__init__()
        self.linear = nn.Linear(inputs, outputs)
        self.filter = nn.Conv1d(1, 1, _FILTER_TAPS, padding=_FILTER_TAPS // 2)

    def forward(self, x: Tensor) -> Tensor:
        """`[batch, frames, inputs]` to `[batch, frames, outputs]`."""
        rows: Tensor = self.linear(x)
        filtered: Tensor = self.filter(rows.reshape(-1, 1, rows.shape[2]))
        return functional.relu(filtered).reshape(rows.shape)


class GeometryEmbedding(nn.Module):
    """Reduces each frame of noisy animation to a few values, part by part; frames do not mix."""

    def __init__(self, sizes: PartSizes, latents: PartSizes) -> None:
        super().__init__()
        self.sizes = sizes
        self.skin = FilteredLinear(sizes.skin, 2 * latents.skin)
        self.tongue = FilteredLinear(sizes.tongue, 2 * latents.tongue)
        self.jaw = nn.Sequential(two_layers(sizes.jaw, 2 * latents.jaw, 2 * latents.jaw), nn.ReLU())
        self.eye = nn.Sequential(two_layers(sizes.eye, 2 * latents.eye, 2 * latents.eye), nn.ReLU())
        self.merge = two_layers(2 * latents.total, 2 * latents.total, latents.total)

    def forward(self, x: Tensor) -> Tensor:
        """`[batch, frames, values]` to `[batch, frames, latents]`."""
        parts = self.sizes.split(x)
        reduced = [self.skin(parts.skin), self.tongue(parts.tongue), self.jaw(parts.jaw), self.eye(parts.eye)]
        merged: Tensor = self.merge(torch.cat(reduced, dim=-1))
        return merged


class GeometryHeads(nn.Module):
    """Unfolds the GRU's output to the difference from the neutral face, part by part; at first that is zero."""

    def __init__(self, width: int, sizes: PartSizes) -> None:
        super().__init__()
        self.skin = zero_last_layer(two_layers(width, 2 * width, sizes.skin))
        self.tongue = zero_last_layer(two_layers(width, 2 * width, sizes.tongue))
        self.jaw = zero_last_layer(two_layers(width, width // 2, sizes.jaw))
        self.eye = zero_last_layer(two_layers(width, width // 2, sizes.eye))

    def forward(self, x: Tensor) -> Tensor:
        """`[batch, frames, width]` to `[batch, frames, values]`."""
        return torch.cat([self.skin(x), self.tongue(x), self.jaw(x), self.eye(x)], dim=-1)
