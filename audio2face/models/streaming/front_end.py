"""Windows of samples to the speech encoder's input frames, with a state that is carried from step to step.

The same input as `audio2face.phonetic.front_end`, but for two things: mel frames lie where the steps of the network
need them (`timing.StepTiming.offsets`), and the level is a recursion, which falls for as long as nothing louder comes,
where the encoder's own forgets after 20 seconds.
"""

from __future__ import annotations

import math

import numpy as np
import torch
from torch import Tensor, nn

from audio2face.audio.mel import MEL_HOP, MEL_TAPS, mel_bands
from audio2face.models.encoders.base import fourier_kernels
from audio2face.models.layers import full_precision
from audio2face.models.streaming.timing import StepTiming
from audio2face.phonetic.front_end import CENTRE, DECAY, QUIETEST, RELATIVE_FLOOR, SCALE, SMOOTHED

POWERS = SMOOTHED - 1  # mean powers that are remembered
_LOWEST = float(np.log(QUIETEST))


class FrontEnd(nn.Module):
    """Input frames of the encoder.

    Args:
        timing: the windows.
    """

    kernels: Tensor
    bands: Tensor

    def __init__(self, timing: StepTiming) -> None:
        super().__init__()
        self._offsets = timing.offsets
        self._decay = DECAY * timing.mel_hop / MEL_HOP  # in natural logarithms per mel frame
        # Constants, which the weights need not hold.
        self.register_buffer("kernels", fourier_kernels()[:, 0].t().contiguous(), persistent=False)
        self.register_buffer("bands", torch.from_numpy(mel_bands()).t().contiguous(), persistent=False)

    def forward(self, windows: Tensor, powers: Tensor, level: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Computes the frames of windows, in order.

        Args:
            windows: `[batch, windows, samples]`.
            powers: mean powers of the last frames before, `[batch, POWERS]`; zeros at the start.
            level: above the lowest, of the last frame before, in natural logarithms, `[batch, 1]`; zeros at the start.

        Returns:
            Float32 `[batch, windows * frames, 80]`; and powers and level for the windows after.
        """
        with full_precision(windows.device.type):
            power = self._mel_power(windows.float())
            powers = torch.cat([powers, power.mean(dim=2)], dim=1)
            levels = self._levels(powers, level)
            relative = torch.log(power / (levels + _LOWEST).exp()[:, :, None] + RELATIVE_FLOOR)
            return (relative - CENTRE) / SCALE, powers[:, power.shape[1] :], levels[:, -1:]

    def _mel_power(self, windows: Tensor) -> Tensor:
        """Power in mel bands, `[batch, frames, 80]`."""
        cut = torch.stack([windows[..., offset : offset + MEL_TAPS] for offset in self._offsets], dim=2)
        real, imaginary = (cut.flatten(1, 2) @ self.kernels).chunk(2, dim=2)
        return (real * real + imaginary * imaginary) @ self.bands

    def _levels(self, powers: Tensor, level: Tensor) -> Tensor:
        """The level at each new frame, `[batch, frames]`: the greatest power so far, less what it has fallen since."""
        count = powers.shape[1] - POWERS
        summed = torch.stack([powers[:, shift : shift + count] for shift in range(SMOOTHED)]).sum(dim=0)
        levels = torch.cat([level, (summed / SMOOTHED).clamp(min=QUIETEST).log() - _LOWEST], dim=1)
        for doubling in range(math.ceil(math.log2(count + 1))):  # each doubles the frames that are compared
            span = 2**doubling
            fallen = levels[:, :-span] - self._decay * span
            levels = torch.cat([levels[:, :span], torch.maximum(levels[:, span:], fallen)], dim=1)
        return levels[:, 1:]
