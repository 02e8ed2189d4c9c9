"""A running average of the weights, which is steadier than the weights themselves (Polyak and Juditsky 1992)."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager

import torch
from torch import Tensor, nn


class ExponentialMovingAverage:
    """Follows the trained weights of a network; frozen ones it leaves out.

    Args:
        network: what is followed.
        decay: what is kept of the average at a step. The first steps keep less, (1 + n) / (10 + n) after n of them, so
            that weights of chance are soon forgotten.
    """

    def __init__(self, network: nn.Module, decay: float) -> None:
        self.decay = decay
        self._weights = {name: weight for name, weight in network.named_parameters() if weight.requires_grad}
        self.values = {name: weight.detach().clone() for name, weight in self._weights.items()}

    @torch.no_grad()
    def update(self, step: int) -> None:
        """Takes the weights in.

        Args:
            step: steps made, this one included.
        """
        decay = min(self.decay, (1 + step) / (10 + step))
        for name, value in self.values.items():
            value.lerp_(self._weights[name], 1 - decay)

    @torch.no_grad()
    def load(self, values: Mapping[str, Tensor]) -> None:
        """Goes on from values that were kept."""
        for name, value in self.values.items():
            value.copy_(values[name])

    @contextmanager
    def swapped_in(self) -> Iterator[None]:
        """The network has the average as its weights inside."""
        self._swap()
        try:
            yield
        finally:
            self._swap()

    @torch.no_grad()
    def _swap(self) -> None:
        for name, weight in self._weights.items():
            own = weight.detach().clone()
            weight.copy_(self.values[name])
            self.values[name].copy_(own)
