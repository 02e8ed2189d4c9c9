"""The layers of the regression network: autocorrelation of audio, convolutions over time, heads for face and phonemes.

The autocorrelation of short windows represents pitch and voicing without a speech encoder; it has no parameters.
Axis `windows` holds the frames of all sequences, flattened.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from itertools import pairwise
from typing import Literal

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from audio2face.models.layers import ChannelGainNoise, ChannelSizes, ChannelSlices, NormRelu, full_precision

WindowFunction = Literal["hanning", "kaiser6"]
_KAISER_BETA = 6.0


@dataclass(frozen=True, kw_only=True)
class AutocorrelationSettings:
    """Settings of the autocorrelation; the defaults are the reference's.

    Attributes:
        num_autocorr: number of lags, from 0 on, in samples.
        num_windows: number of windows.
        win_len: samples of a window.
        win_stride: samples from one window to the next.
        preemph: coefficient of the pre-emphasis filter.
        remove_dc: subtracts the mean of each window.
        win_func: window function; None: rectangular.
    """

    num_autocorr: int = 32
    num_windows: int = 25
    win_len: int = 640
    win_stride: int = 320
    preemph: float = 0.0
    remove_dc: bool = True
    win_func: WindowFunction | None = "hanning"

    @property
    def num_samples(self) -> int:
        """Samples that all windows together span."""
        return (self.num_windows - 1) * self.win_stride + self.win_len

    def window(self) -> Tensor:
        """Computes the window function, float32 `[win_len]`."""
        shapes = {
            "hanning": np.hanning(self.win_len),
            "kaiser6": np.kaiser(self.win_len, _KAISER_BETA),
            None: np.ones(self.win_len),
        }
        return torch.from_numpy(shapes[self.win_func].astype(np.float32))


class Autocorrelation(nn.Module):
    """Computes the autocorrelation of short windows of audio."""

    window: Tensor

    def __init__(self, settings: AutocorrelationSettings) -> None:
        super().__init__()
        self.settings = settings
        self.register_buffer("window", settings.window(), persistent=False)

    def forward(self, audio: Tensor) -> Tensor:
        """Averages the product of each window with itself, shifted by each lag.

        Args:
            audio: float32 `[batch, samples]`; samples after the last window are ignored.

        Returns:
            Float32 `[batch, num_windows, num_autocorr]`, also under autocast.
        """
        settings = self.settings
        with full_precision(audio.device.type):
            audio = audio.float()
            if settings.preemph:
                audio = torch.cat([audio[:, :1], audio[:, 1:] - settings.preemph * audio[:, :-1]], dim=1)
            windows = audio.unfold(1, settings.win_len, settings.win_stride)[:, : settings.num_windows]
            if settings.remove_dc:
                windows = windows - windows.mean(dim=-1, keepdim=True)
            sums: Tensor = lag_sums(windows * self.window, settings.num_autocorr)
            return sums / settings.win_len


def lag_sums(values: Tensor, lags: int) -> Tensor:
    """Sums x[i] x[i + lag] for each lag, from 0 on.

    The values are split into blocks of `lags`. One matrix product gives all products of an element of a block with one
    of that block or the next; each lag is a diagonal of it, summed by skewing the rows.

    Args:
        values: `[..., length]`; zero-padded at the end.
        lags: number of lags.

    Returns:
        `[..., lags]`.
    """
    length = values.shape[-1]
    blocks = -(-length // lags)
    padded = functional.pad(values, (0, (blocks + 1) * lags - length))
    padded = padded.reshape(*values.shape[:-1], blocks + 1, lags)
    current, following = padded[..., :-1, :], padded[..., 1:, :]
    transposed = current.transpose(-1, -2)
    products = torch.cat([transposed @ current, transposed @ following], dim=-1)  # [..., lags, 2 * lags]
    skewed = functional.pad(products.flatten(-2), (0, lags)).reshape(*values.shape[:-1], lags, 2 * lags + 1)
    return skewed[..., :lags].sum(dim=-2)


WIDTH = 256  # channels of each branch, and of all following layers
_LAG_WIDTHS = (1, 72, 108, 162, 243)  # channels from one convolution over the lags to the next
_TIME_LAYERS = 4


class AutocorrelationBranch(nn.Module):
    """Convolves over the lags of each autocorrelation window."""

    # Gain for normalised speech.
    _LEVEL = 8.912028121636435

    def __init__(self, settings: AutocorrelationSettings) -> None:
        super().__init__()
        self.autocorrelation = Autocorrelation(settings)
        lags, layers = settings.num_autocorr, []
        for before, after in pairwise(_LAG_WIDTHS):
            layers.append(nn.Conv2d(before, after, (1, 3), stride=(1, 2), padding=(0, 1)))
            lags = _strided_length(lags)
        layers.append(nn.Conv2d(_LAG_WIDTHS[-1], WIDTH, (1, lags)))
        self.layers = nn.ModuleList(layers)
        self.activation = NormRelu()
        self.noise = nn.ModuleList(ChannelGainNoise(layer.out_channels) for layer in layers)

    def forward(self, windows: Tensor, sequence: int) -> Tensor:
        """Maps windows `[windows, samples]`, in sequences of `sequence`, to `[windows, 256, steps]`."""
        x = self.autocorrelation(windows * self._LEVEL)[:, None]
        for layer, noise in zip(self.layers, self.noise, strict=True):
            x = noise(self.activation(layer(x)), sequence)
        return torch.squeeze(x, -1)


class TimeLayers(nn.Module):
    """Reduces the steps of a window to one frame by convolutions over time; emotion is an input of every layer."""

    def __init__(self, channels: int, emotion: int, steps: int) -> None:
        super().__init__()
        layers = []
        for _ in range(_TIME_LAYERS):
            layers.append(nn.Conv1d(channels, WIDTH, 3, stride=2, padding=1))
            channels, steps = WIDTH + emotion, _strided_length(steps)
        self.layers = nn.ModuleList(layers)
        self.merge = nn.Linear(channels * steps, WIDTH)
        self.activation = NormRelu()
        self.noise = nn.ModuleList(ChannelGainNoise(WIDTH) for _ in layers)

    def forward(self, x: Tensor, emotion: Tensor, sequence: int) -> Tensor:
        """Maps `[windows, channels, steps]` and emotions `[windows, emotion]` to `[windows, 256 + emotion]`."""
        for layer, noise in zip(self.layers, self.noise, strict=True):
            x = noise(self.activation(layer(x)), sequence)
            x = torch.cat([x, emotion[:, :, None].expand(-1, -1, x.shape[2])], dim=1)
        return torch.cat([self.activation(self.merge(x.flatten(1))), emotion], dim=1)


class Heads(nn.Module):
    """Predicts the channels of a frame; skin, jaw and eyes share a head, since they move together."""

    def __init__(self, width: int, sizes: ChannelSizes) -> None:
        super().__init__()
        self.sizes = sizes
        face = sizes.skin + sizes.jaw + sizes.eye
        self.face = nn.Sequential(nn.Linear(width, face), nn.Linear(face, face))
        self.tongue = nn.Sequential(nn.Linear(width, sizes.tongue), nn.Linear(sizes.tongue, sizes.tongue))

    def forward(self, x: Tensor) -> Tensor:
        """Maps features `[windows, width]` to `[windows, channels]`."""
        sizes = self.sizes
        skin, jaw, eye = torch.split(self.face(x), [sizes.skin, sizes.jaw, sizes.eye], dim=-1)
        return torch.cat(ChannelSlices(skin, self.tongue(x), jaw, eye), dim=-1)


class PhonemeHead(nn.Module):
    """Predicts the phoneme of each step."""

    def __init__(self, phonemes: Mapping[str, int]) -> None:
        super().__init__()
        self.layers = nn.ModuleList(nn.Conv1d(WIDTH, WIDTH, 3, padding=1) for _ in range(2))
        self.activation = NormRelu()
        self.noise = nn.ModuleList(ChannelGainNoise(WIDTH) for _ in self.layers)
        self.languages = nn.ModuleDict({language: nn.Linear(WIDTH, count) for language, count in phonemes.items()})

    def forward(self, x: Tensor, sequence: int) -> dict[str, Tensor]:
        """Maps `[windows, 256, steps]` to logits `[windows, steps, phonemes]` by language."""
        for layer, noise in zip(self.layers, self.noise, strict=True):
            x = noise(self.activation(layer(x)), sequence)
        return {language: layer(x.transpose(1, 2)) for language, layer in self.languages.items()}


def _strided_length(length: int) -> int:
    """Computes the output length of a convolution of kernel 3, stride 2 and padding 1."""
    return (length + 1) // 2
