"""The exponential moving average (EMA) of the weights, with less noise than the weights (Polyak and Juditsky 1992)."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager

import torch
from torch import Tensor, nn


class ExponentialMovingAverage:
    """The exponential moving average of the trainable weights of a network.

    Args:
        network: its weights are averaged.
        decay: factor on the average at an update. The first updates use less, (1 + n) / (10 + n) at step n, so that the
            randomly initialised weights soon lose their influence.
    """

    def __init__(self, network: nn.Module, decay: float) -> None:
        self.decay = decay
        self._weights = {name: weight for name, weight in network.named_parameters() if weight.requires_grad}
        self.values = {name: weight.detach().clone() for name, weight in self._weights.items()}

    @torch.no_grad()
    def update(self, step: int) -> None:
        """Updates the average with the present weights.

        Args:
            step: number of the optimiser step, from 1.
        """
        decay = min(self.decay, (1 + step) / (10 + step))
        for name, value in self.values.items():
            value.lerp_(self._weights[name], 1 - decay)

    @torch.no_grad()
    def load(self, values: Mapping[str, Tensor]) -> None:
        """Restores `values` of a checkpoint."""
        for name, value in self.values.items():
            value.copy_(values[name])

    @contextmanager
    def swapped_in(self) -> Iterator[None]:
        """The network has the EMA weights inside the context."""
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
