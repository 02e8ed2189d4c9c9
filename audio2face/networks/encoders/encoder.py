"""The base of all speech encoders: audio of any length in, steps of features out.

Knows how audio that is too short or too long for a network is handled, how hidden layers become one, and what is
frozen. Knows no particular network.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

from audio2face.networks.encoders.info import SAMPLE_RATE, EncoderInfo

SHORTEST_SAMPLES = 400  # what the hungriest front end needs for its first step
CONTEXT_SAMPLES = 4 * SAMPLE_RATE  # what a step of long audio hears at least on either side


class SpeechEncoder(nn.Module, ABC):
    """Maps 16 kHz mono audio to features about 50 times per second.

    Audio shorter than `SHORTEST_SAMPLES` is followed by zeros up to that length.

    Audio longer than `info.longest_samples` is encoded in windows of that length, each of which overlaps the next by
    twice `CONTEXT_SAMPLES`; a step is taken from the window in which it lies deeper. Memory is bounded so. The steps
    are not quite those of one pass, since attention and normalisation then see a window rather than the whole.

    Attributes:
        info: facts about the encoder.
        options: what was chosen when it was made; with its name enough to make it again (JSON values).
        noise: how much noise the features get in training, as a share of their own size.
    """

    def __init__(self, info: EncoderInfo, options: dict[str, Any], combine: nn.Module) -> None:
        super().__init__()
        self.info = info
        self.options = options
        self.combine = combine
        self.noise = 0.0

    @abstractmethod
    def encode_window(self, audio: Tensor) -> Tensor:
        """Hidden layers of audio that fits into one pass.

        Args:
            audio: float32 `[batch, samples]`.

        Returns:
            `[layers, batch, info.steps(samples), features]`.
        """

    def forward(self, audio: Tensor) -> Tensor:
        """Encodes audio.

        Args:
            audio: float32 `[batch, samples]` at 16 kHz, in [-1, 1].

        Returns:
            `[batch, steps, width]`, where `steps` is `info.steps(max(samples, SHORTEST_SAMPLES))`.
        """
        return self.combined(self.hidden_layers(audio))

    def combined(self, hidden: Tensor) -> Tensor:
        """What `forward` returns, of the output of `hidden_layers`; with noise in training."""
        features: Tensor = self.combine(hidden)
        if self.training and self.noise > 0:
            size = features.detach().square().mean(dim=-1, keepdim=True).sqrt()
            features = features + self.noise * size * torch.randn_like(features)
        return features

    def hidden_layers(self, audio: Tensor) -> Tensor:
        """The hidden layers before they are combined: `[layers, batch, steps, features]`; see `forward`."""
        samples = audio.shape[1]
        if samples < SHORTEST_SAMPLES:
            audio = functional.pad(audio, (0, SHORTEST_SAMPLES - samples))
        if samples <= self.info.longest_samples:
            return self.encode_window(audio)
        windows = window_plan(samples, self.info)
        return torch.cat([self.encode_window(audio[:, begin:end])[:, :, kept] for begin, end, kept in windows], dim=2)

    def freeze(self) -> None:
        """Excludes the parameters named by `info.frozen` from training; a subclass calls it when it is complete."""
        for name, parameter in self.named_parameters():
            if any(f"{name}.".startswith(f"{part}.") for part in self.info.frozen):
                parameter.requires_grad_(False)


def window_plan(samples: int, info: EncoderInfo) -> list[tuple[int, int, slice]]:
    """Cuts long audio into windows.

    Args:
        samples: length of the audio, more than `info.longest_samples`.
        info: facts about the encoder.

    Returns:
        Per window its first sample, the sample after its last, and which of its steps are kept.
    """
    margin = CONTEXT_SAMPLES // info.step_samples  # steps
    longest = info.longest_samples
    hop = longest // info.step_samples - 2 * margin  # steps, so that windows share one grid of steps
    begins = range(0, samples - longest + hop * info.step_samples, hop * info.step_samples)
    last = len(begins) - 1
    return [
        (
            begin,
            min(begin + longest, samples),
            slice(margin if index > 0 else 0, margin + hop if index < last else None),
        )
        for index, begin in enumerate(begins)
    ]
