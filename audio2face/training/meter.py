"""Averages of losses between two lines of the log, how fast training is, and how long it still takes."""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass

import torch
from lightning_fabric import Fabric
from torch import Tensor

from audio2face.training.engine import sum_over_processes

_FIGURES = ("gradient_norm", "r2")  # that are no losses


@dataclass(frozen=True)
class Pace:
    """How fast training is.

    Attributes:
        frames_per_second: frames learnt from, in all processes, since the line before.
        seconds_left: until all epochs are done or the time limit is reached.
    """

    frames_per_second: float
    seconds_left: float

    def __str__(self) -> str:
        minutes, seconds = divmod(round(self.seconds_left), 60)
        hours, minutes = divmod(minutes, 60)
        left = f"{hours} h {minutes:02d} min" if hours else f"{minutes} min {seconds:02d} s"
        return f"{self.frames_per_second:,.0f} frames/s, {left} left"


class Meter:
    """Sums up on the device, so that nothing waits for it between two lines.

    Args:
        batches: of the whole training.
        limit_seconds: time after which it ends anyway; None: never.
    """

    def __init__(self, batches: int, limit_seconds: float | None) -> None:
        self._batches = batches
        self._limit = limit_seconds
        self._sums: dict[str, Tensor] = {}
        self._weights: dict[str, float] = {}
        self._frames = 0
        self._first: tuple[int, float] | None = None
        self._began = self._said = time.monotonic()

    def start(self, spent: float) -> None:
        """Training starts, or goes on after `spent` seconds."""
        self._said = time.monotonic()
        self._began = self._said - spent

    def add(self, losses: Mapping[str, Tensor], weight: float, frames: int) -> None:
        """Takes in means over `weight` items."""
        for name, loss in losses.items():
            self._sums[name] = self._sums.get(name, 0.0) + loss.float() * weight
            self._weights[name] = self._weights.get(name, 0.0) + weight
        self._frames += frames

    def take(self, fabric: Fabric, done: int) -> tuple[dict[str, float], Pace]:
        """Averages and pace since the last call, over all processes.

        Args:
            fabric: the engine.
            done: batches of the whole training that are done.

        Returns:
            "loss", "losses/<term>" and "gradient_norm", as far as anything came in; and the pace.
        """
        now = time.monotonic()
        names = list(self._sums)
        weights = torch.tensor([self._weights[name] for name in names] + [float(self._frames)], device=fabric.device)
        sums = torch.stack([self._sums[name] for name in names]) if names else weights[:0]
        sums, weights = torch.split(
            sum_over_processes(fabric, torch.cat([sums, weights])), [len(names), len(names) + 1]
        )
        averages = (sums / weights[:-1]).tolist()
        pace = Pace(float(weights[-1]) / max(now - self._said, 1e-9), self._seconds_left(done, now))
        self._sums, self._weights, self._frames, self._said = {}, {}, 0, now
        return {_label(name): value for name, value in zip(names, averages, strict=True)}, pace

    def _seconds_left(self, done: int, now: float) -> float:
        """From the batches since the first line, which alone knows start-up."""
        self._first = self._first or (done - 1, self._said)
        batches, since = self._first
        left = (now - since) / max(done - batches, 1) * (self._batches - done)
        return left if self._limit is None else max(0.0, min(left, self._limit - (now - self._began)))


def _label(name: str) -> str:
    if name in _FIGURES:
        return name
    return "loss" if name == "total" else f"losses/{name}"
