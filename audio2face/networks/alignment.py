"""Brings the steps of a speech encoder, about 50 a second, to the frames of an animation. Knows no encoder.

Frame i is what is seen i / fps seconds after the first sample that the encoder was given.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from audio2face.networks.layers import corner_positions, read_rows


@dataclass(frozen=True)
class Alignment:
    """How steps and frames lie in time.

    Attributes:
        fps: frames per second.
        first_step: time that the first step describes, in seconds after the first sample. None stretches the steps over
            the frames, first on first and last on last, whatever their times; the reference does so with HuBERT.
        step: seconds from one step to the next.
    """

    fps: float
    first_step: float | None
    step: float

    @property
    def points_per_frame(self) -> int:
        """How many times a frame reads the steps: once at 60 frames per second, twice at 30, with steps of 0.02 s."""
        return max(1, round(1 / (self.fps * self.step)))

    def apply(
        self, features: Tensor, frames: int, steps: Tensor | None = None, frame_lengths: Tensor | None = None
    ) -> Tensor:
        """Reads the steps at the times of the frames.

        Args:
            features: output of the encoder, `[batch, steps, width]`.
            frames: frames wanted.
            steps: steps of each item that are not padding, int64 `[batch]`. None: all.
            frame_lengths: frames of each item that are not padding, int64 `[batch]`. None: all.

        Returns:
            `[batch, frames, points_per_frame * width]`, the points of a frame side by side.
        """
        per_frame = self.points_per_frame
        positions = self._positions(features, frames, steps, frame_lengths)
        return read_rows(features, positions, steps).reshape(-1, frames, per_frame * features.shape[2])

    def _positions(self, features: Tensor, frames: int, steps: Tensor | None, frame_lengths: Tensor | None) -> Tensor:
        """Where each point lies, in steps: `[points]`, or `[batch, points]` where lengths differ."""
        per_frame = self.points_per_frame
        count = per_frame * frames
        if self.first_step is not None:
            seconds = torch.arange(count, dtype=torch.float64) / (self.fps * per_frame)
            return ((seconds - self.first_step) / self.step).to(features.device, torch.float32)
        rows = features.shape[1] if steps is None else steps
        points_wanted = count if frame_lengths is None else per_frame * frame_lengths
        return corner_positions(rows, points_wanted, count, features.device)
