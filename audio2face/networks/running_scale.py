"""Brings losses of very different sizes to one size, by how large they have been lately."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor, nn

_DECAY = 0.99
_LEAST = 1e-8  # of what is raised to a power: at 0 the slope of a root has no bound

# The mean of a value over all processes of a training, each of which counts by its number of items.
Mean = Callable[[Tensor, int], Tensor]


class RunningScale(nn.Module):
    """Divides a loss by a running root mean square of itself, the present value included; no gradient flows there.

    Values are taken in for the time being: `commit` keeps those of a step that changed the weights, `discard` forgets
    those of a step that was skipped. A value that is not finite is never taken in. The loss itself is then not finite
    either, by which the step is recognised, and the losses after it are divided as if it had not been.

    Args:
        mean: makes the same running value in all processes; None: there is one process.

    Attributes:
        squares: sum of squared values, older ones faded, of steps that changed the weights; float32 scalar.
        weight: sum of what the values count in it; float32 scalar.
    """

    squares: Tensor
    weight: Tensor
    _squares: Tensor
    _weight: Tensor

    def __init__(self, mean: Mean | None = None) -> None:
        super().__init__()
        self._mean = mean
        for name in ("squares", "weight"):
            self.register_buffer(name, torch.zeros(()))
            self.register_buffer(f"_{name}", torch.zeros(()), persistent=False)
        self.register_load_state_dict_post_hook(lambda module, _: module.discard())  # type: ignore[no-untyped-call]

    @torch.no_grad()
    def update(self, loss: Tensor, items: int = 1) -> Tensor:
        """Takes a value in until `commit` or `discard`; returns the root mean square.

        Args:
            loss: a scalar.
            items: number of items that it is the mean of; 0 where this process has none.
        """
        present = loss.detach() if self._mean is None else self._mean(loss.detach(), items)
        squares = self._squares * _DECAY + present.square()
        is_finite = squares.isfinite()
        self._squares.copy_(torch.where(is_finite, squares, self._squares))
        self._weight.copy_(torch.where(is_finite, self._weight * _DECAY + 1.0, self._weight))
        has_values = self._weight > 0
        return torch.where(has_values, (self._squares / self._weight).sqrt(), loss.detach().abs())

    def commit(self) -> None:
        """Keeps what was taken in since the last step."""
        self.squares.copy_(self._squares)
        self.weight.copy_(self._weight)

    def discard(self) -> None:
        """Forgets what was taken in since the last step."""
        self._squares.copy_(self.squares)
        self._weight.copy_(self.weight)

    def forward(self, loss: Tensor, exponent: float, items: int = 1) -> Tensor:
        """The loss divided by its running size, to a power, which fades it out as it goes from 1 to 0.

        Args:
            loss: a scalar, not negative.
            exponent: the power.
            items: see `update`.

        Returns:
            A scalar; not finite where the loss is not finite, whatever the exponent.
        """
        scaled = loss / (self.update(loss, items) + 1e-8)
        faded = scaled.clamp(min=_LEAST) ** exponent
        return torch.where(loss.isfinite(), faded, loss)
