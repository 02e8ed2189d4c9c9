"""How the size of a training step changes from epoch to epoch. Numbers only."""

from __future__ import annotations

import math


def diffusion_learning_rate(
    epoch: int, epochs: int, base: float, *, start: float = 1e-4, lowest: float = 1e-5, warmup: int = 10
) -> float:
    """The learning rate of the diffusion network: a straight line to the base rate, then half a cosine.

    It equals timm's CosineLRScheduler when that is told, after each epoch, the number of the epoch just done: the first
    two epochs share a rate, and the cosine, which counts from the first epoch, begins a little below the base rate. The
    start lies above the base rate of 5e-5; the "warm-up" of the reference comes down.

    Args:
        epoch: from 0.
        epochs: length of the whole training; at most `warmup` of them never leave the line.
        base: the rate configured.
        start: the rate of the first epoch.
        lowest: the rate that the cosine ends at.
        warmup: epochs of the line.
    """
    done = max(epoch - 1, 0)
    if done < warmup:
        return start + (base - start) * done / warmup
    if done >= epochs:
        return lowest
    return lowest + 0.5 * (base - lowest) * (1 + math.cos(math.pi * done / epochs))


def regression_learning_rate(epoch: int, base: float, gamma: float) -> float:
    """The learning rate of the regression network: smaller by the factor `gamma` after every epoch, from 0 on."""
    return base * gamma**epoch
