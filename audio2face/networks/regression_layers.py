"""The parts of the regression network: what it hears of autocorrelation, and how steps become a face and phonemes.

`windows` are the frames of all sequences, one after the other.
"""

from __future__ import annotations

from collections.abc import Mapping
from itertools import pairwise

import torch
from torch import Tensor, nn

from audio2face.networks.autocorrelation import Autocorrelation, AutocorrelationSettings
from audio2face.networks.layers import GainNoise, NormRelu
from audio2face.networks.parts import Parts, PartSizes

WIDTH = 256  # channels of whatever is heard, and of all that follows
_LAG_WIDTHS = (1, 72, 108, 162, 243)  # channels from one convolution over the lags to the next
_TIME_LAYERS = 4


class AutocorrelationBranch(nn.Module):
    """Audio to `[windows, 256, steps]`: convolutions over the lags of each step by itself."""

    # A constant that brings usual levels of normalised speech to a usual size.
    _LEVEL = 8.912028121636435

    def __init__(self, settings: AutocorrelationSettings) -> None:
        super().__init__()
        self.autocorrelation = Autocorrelation(settings)
        lags, layers = settings.num_autocorr, []
        for before, after in pairwise(_LAG_WIDTHS):
            layers.append(nn.Conv2d(before, after, (1, 3), stride=(1, 2), padding=(0, 1)))
            lags = _halved(lags)
        layers.append(nn.Conv2d(_LAG_WIDTHS[-1], WIDTH, (1, lags)))
        self.layers = nn.ModuleList(layers)
        self.activation = NormRelu()
        self.noise = nn.ModuleList(GainNoise(layer.out_channels) for layer in layers)

    def forward(self, windows: Tensor, sequence: int) -> Tensor:
        """Hears windows `[windows, samples]`, of which `sequence` belong together."""
        x = self.autocorrelation(windows * self._LEVEL)[:, None]
        for layer, noise in zip(self.layers, self.noise, strict=True):
            x = noise(self.activation(layer(x)), sequence)
        return torch.squeeze(x, -1)


class TimeLayers(nn.Module):
    """Steps to one frame, `[windows, channels, steps]` to `[windows, 256 + emotion]`; emotion enters at every layer."""

    def __init__(self, channels: int, emotion: int, steps: int) -> None:
        super().__init__()
        layers = []
        for _ in range(_TIME_LAYERS):
            layers.append(nn.Conv1d(channels, WIDTH, 3, stride=2, padding=1))
            channels, steps = WIDTH + emotion, _halved(steps)
        self.layers = nn.ModuleList(layers)
        self.merge = nn.Linear(channels * steps, WIDTH)
        self.activation = NormRelu()
        self.noise = nn.ModuleList(GainNoise(WIDTH) for _ in layers)

    def forward(self, x: Tensor, emotion: Tensor, sequence: int) -> Tensor:
        """Merges the steps of windows, of which `sequence` belong together, under emotions `[windows, emotion]`."""
        for layer, noise in zip(self.layers, self.noise, strict=True):
            x = noise(self.activation(layer(x)), sequence)
            x = torch.cat([x, emotion[:, :, None].expand(-1, -1, x.shape[2])], dim=1)
        return torch.cat([self.activation(self.merge(x.flatten(1))), emotion], dim=1)


class Heads(nn.Module):
    """A frame's features to its values; the skin's head gives jaw and eyes as well, which move with it."""

    def __init__(self, width: int, sizes: PartSizes) -> None:
        super().__init__()
        self.sizes = sizes
        face = sizes.skin + sizes.jaw + sizes.eye
        self.face = nn.Sequential(nn.Linear(width, face), nn.Linear(face, face))
        self.tongue = nn.Sequential(nn.Linear(width, sizes.tongue), nn.Linear(sizes.tongue, sizes.tongue))

    def forward(self, x: Tensor) -> Tensor:
        """Features `[windows, width]` to values `[windows, values]`."""
        sizes = self.sizes
        skin, jaw, eye = torch.split(self.face(x), [sizes.skin, sizes.jaw, sizes.eye], dim=-1)
        return torch.cat(Parts(skin, self.tongue(x), jaw, eye), dim=-1)


class PhonemeHead(nn.Module):
    """Names the phoneme of each step, `[windows, 256, steps]` to logits `[windows, steps, phonemes]` by language."""

    def __init__(self, phonemes: Mapping[str, int]) -> None:
        super().__init__()
        self.layers = nn.ModuleList(nn.Conv1d(WIDTH, WIDTH, 3, padding=1) for _ in range(2))
        self.activation = NormRelu()
        self.noise = nn.ModuleList(GainNoise(WIDTH) for _ in self.layers)
        self.languages = nn.ModuleDict({language: nn.Linear(WIDTH, count) for language, count in phonemes.items()})

    def forward(self, x: Tensor, sequence: int) -> dict[str, Tensor]:
        """Names the phonemes of windows, of which `sequence` belong together."""
        for layer, noise in zip(self.layers, self.noise, strict=True):
            x = noise(self.activation(layer(x)), sequence)
        return {language: layer(x.transpose(1, 2)) for language, layer in self.languages.items()}


def _halved(length: int) -> int:
    """What a convolution of 3 with stride 2 and padding 1 leaves of a length."""
    return (length + 1) // 2
