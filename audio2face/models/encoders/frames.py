"""Encoders of mel frames, relative to the speaker's level: two frames of 10 ms make a step.

`FrontEnd` computes the frames of audio, which `audio2face.phonetic.front_end` describes; `FrameNetwork` is a stem and
gated dilated convolutions over their steps; a `CausalEncoder` computes steps one after another, for live speech.
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from audio2face.audio.mel import MEL_BANDS, MEL_HOP, mel_bands
from audio2face.models.encoders.base import SpeechEncoder, fourier_kernels
from audio2face.models.layers import GatedLayer, convolve_steps, full_precision
from audio2face.phonetic import front_end
from audio2face.phonetic.network import AHEAD_FRAMES, STEM_TAPS, STEP_SAMPLES, TAPS


class CausalEncoder(SpeechEncoder):
    """A speech encoder that carries its state from step to step, as a streaming network needs it."""

    @property
    @abstractmethod
    def past_shapes(self) -> list[tuple[int, int]]:
        """Shapes of what `advance` remembers of each item."""

    @abstractmethod
    def advance(self, frames: Tensor, past: Sequence[Tensor]) -> tuple[Tensor, list[Tensor]]:
        """Computes the steps that further mel frames complete.

        Args:
            frames: an even number, `[batch, 2 steps, 80]`, relative to the level.
            past: what it gave for the frames before, `[batch, *shape]` of each of `past_shapes`; zeros at the start.

        Returns:
            Hidden layers `[layers, batch, steps, features]`, for `combine_hidden`, and `past` for the frames after.
        """


class FrameNetwork(nn.Module):
    """A convolution with stride 2 that makes steps of mel frames, gated dilated convolutions, and a normalisation.

    Args:
        width: features of a step.
        dilations: steps between the taps of each layer.
        causal: whether layers look back only.
    """

    def __init__(self, width: int, dilations: Sequence[int], causal: bool) -> None:
        super().__init__()
        self.stem = nn.Conv1d(MEL_BANDS, width, STEM_TAPS, stride=2)
        self.layers = nn.ModuleList(GatedLayer(width, dilation, causal, TAPS) for dilation in dilations)
        self.norm = nn.LayerNorm(width)

    def steps(self, frames: Tensor) -> Tensor:
        """Computes `[batch, steps, width]` of frames `[batch, 2 steps + 4, 80]`: those of the steps, and four more."""
        padded = functional.pad(frames.transpose(1, 2), (1, 0), value=front_end.SILENT_FRAME)
        hidden = functional.silu(self.stem(padded)).transpose(1, 2)
        for layer in self.layers:
            hidden = layer(hidden)
        normalised: Tensor = self.norm(hidden)
        return normalised

    @property
    def past_shapes(self) -> list[tuple[int, int]]:
        """Shapes of what `advance_steps` remembers of each item: input frames, then the inputs of each layer."""
        layers = [layer for layer in self.layers if isinstance(layer, GatedLayer)]
        width = self.norm.normalized_shape[0]
        return [(STEM_TAPS - 2, MEL_BANDS), *((layer.reach, width) for layer in layers)]

    def advance_steps(self, frames: Tensor, past: Sequence[Tensor]) -> tuple[Tensor, list[Tensor]]:
        """Computes the steps that further frames complete; of a network that looks back.

        Args:
            frames: an even number, `[batch, 2 steps, 80]`.
            past: what it gave for the frames before, `[batch, *shape]` of each of `past_shapes`; zeros at the start.

        Returns:
            The steps `[batch, steps, width]`, of which the last depends on all frames, and `past` for the frames after.
        """
        padded = torch.cat([past[0] + front_end.SILENT_FRAME, frames], dim=1)
        kept = [padded[:, frames.shape[1] :] - front_end.SILENT_FRAME]
        hidden = functional.silu(convolve_steps(self.stem, padded, frames.shape[1] // 2))
        for layer, before in zip(self.layers, past[1:], strict=True):
            assert isinstance(layer, GatedLayer)
            hidden, after = layer.advance(hidden, before)
            kept.append(after)
        return self.norm(hidden), kept


class FrontEnd(nn.Module):
    """Audio to input frames, as `audio2face.phonetic.front_end` describes them."""

    kernels: Tensor
    bands: Tensor

    def __init__(self) -> None:
        super().__init__()
        # Constants, which the weights need not hold.
        self.register_buffer("kernels", fourier_kernels(), persistent=False)
        self.register_buffer("bands", torch.from_numpy(mel_bands()), persistent=False)

    def forward(self, audio: Tensor) -> Tensor:
        """Maps `[batch, samples]` to float32 `[batch, 2 steps + 4, 80]`; behind the end lies silence."""
        frames = audio.shape[1] // STEP_SAMPLES * 2 + AHEAD_FRAMES
        behind = frames * MEL_HOP - audio.shape[1]
        with full_precision(audio.device.type):
            padded = functional.pad(audio.float()[:, None], (front_end.OVERLAP, behind))
            real, imaginary = functional.conv1d(padded, self.kernels, stride=MEL_HOP).chunk(2, dim=1)
            return relative_to_level((self.bands @ (real * real + imaginary * imaginary)).transpose(1, 2))


def relative_to_level(power: Tensor) -> Tensor:
    """Maps power in mel bands `[batch, frames, 80]` to input frames, relative to the running level."""
    before = functional.pad(power.mean(dim=2), (front_end.SMOOTHED - 1, 0))
    frames = power.shape[1]  # shifted copies, because not every runtime has pooling
    summed = torch.stack([before[:, shift : shift + frames] for shift in range(front_end.SMOOTHED)]).sum(dim=0)
    level = (summed / front_end.SMOOTHED).clamp(min=front_end.QUIETEST).log()
    lowest = float(np.log(front_end.QUIETEST))
    for doubling in range(front_end.DOUBLINGS):
        span = 2**doubling
        if span >= level.shape[1]:
            break  # nothing is that long ago
        earlier = functional.pad(level[:, :-span], (span, 0), value=lowest) - front_end.DECAY * span
        level = torch.maximum(level, earlier)
    reference = level.exp()[:, :, None]
    relative = torch.log(power / reference + front_end.RELATIVE_FLOOR)
    return (relative - front_end.CENTRE) / front_end.SCALE
