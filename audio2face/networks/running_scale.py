"""Brings losses of very different sizes to one size, by how large they have been lately."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor, nn

_DECAY = 0.99
_LEAST = 1e-8  # of what is raised to a power: at 0 the slope of a root has no bound

# The mean of a value over all processes of a training.
Mean = Callable[[Tensor], Tensor]


class RunningScale(nn.Module):
    """Divides a loss by a running root mean square of itself, the present value included; no gradient flows there.

    Args:
        mean: makes the same running value in all processes; None: there is one process.
    """

    squares: Tensor
    weight: Tensor

    def __init__(self, mean: Mean | None = None) -> None:
        super().__init__()
        self._mean = mean
        self.register_buffer("squares", torch.zeros(()))
        self.register_buffer("weight", torch.zeros(()))

    @torch.no_grad()
    def update(self, loss: Tensor) -> Tensor:
        """Takes a value in; returns the root mean square."""
        present = loss.detach() if self._mean is None else self._mean(loss.detach())
        self.squares.mul_(_DECAY).add_(present.square())
        self.weight.mul_(_DECAY).add_(1.0)
        return (self.squares / self.weight).sqrt()

    def forward(self, loss: Tensor, exponent: float) -> Tensor:
        """The loss divided by its running size, to a power, which fades it out as it goes from 1 to 0.

        Args:
            loss: a scalar, not negative.
            exponent: the power.
        """
        scaled = loss / (self.update(loss) + 1e-8)
        return scaled.clamp(min=_LEAST) ** exponent
