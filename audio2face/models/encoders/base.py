"""The base class of all speech encoders: audio of any length in, features about 50 times per second out.

`EncoderInfo` describes an encoder (rate, timing, width, source, licence). `SpeechEncoder` pads audio that is too short,
encodes audio that is too long in overlapping windows, combines the hidden layers and freezes parameters. A combination
of layers is a module that maps `[layers, batch, steps, features]` to `[batch, steps, width]`. `MelPower` is the
spectrogram that several encoders take.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from audio2face.audio.mel import MEL_BINS, MEL_HOP, MEL_TAPS, mel_bands
from audio2face.errors import UserError
from audio2face.models.layers import Alignment, full_precision

SAMPLE_RATE = 16_000  # Hz, of the audio that every encoder takes

AlignmentRule = Literal["corners", "times"]
Combination = Literal["weighted", "concat"]
SHORTEST_SAMPLES = 400  # the largest receptive field of a front end's first step
CONTEXT_SAMPLES = 4 * SAMPLE_RATE  # least context of a step on either side in long audio
_POWER_FLOOR = 1e-10  # of band power, before the logarithm


@dataclass(frozen=True)
class EncoderInfo:
    """The properties of a speech encoder; checkpoints record all of them.

    Attributes:
        name: its name in the registry.
        width: features per step of its output.
        layers: hidden layers that are combined.
        window_samples: samples that the first step needs; every `step_samples` more give one more step.
        step_samples: distance between two steps.
        first_sample: the sample that the first step describes (the middle of its receptive field).
        longest_samples: the longest input of one forward pass; longer audio is encoded in overlapping windows.
        alignment: how steps are aligned to frames. `"corners"`: the first step to the first frame and the last to the
            last, regardless of their times. `"times"`: by time.
        frozen: names of the submodules whose parameters are frozen.
        licence: of the weights, as stated by their publisher.
        source: origin of the weights.
        weights_sha256: of the file with the pretrained weights; None for randomly initialised weights.
        sample_rate: Hz.
    """

    name: str
    width: int
    layers: int
    window_samples: int
    step_samples: int
    first_sample: int
    longest_samples: int
    alignment: AlignmentRule
    frozen: tuple[str, ...]
    licence: str
    source: str
    weights_sha256: str | None
    sample_rate: int = SAMPLE_RATE

    @property
    def first_step_seconds(self) -> float:
        """Time of the first step."""
        return self.first_sample / self.sample_rate

    @property
    def step_seconds(self) -> float:
        """Time between two steps."""
        return self.step_samples / self.sample_rate

    def steps(self, samples: int) -> int:
        """Counts the steps of `samples` samples."""
        return (samples - self.window_samples) // self.step_samples + 1

    def frame_alignment(self, fps: float) -> Alignment:
        """Aligns the encoder's steps to frames at `fps` frames per second."""
        first_step = None if self.alignment == "corners" else self.first_step_seconds
        return Alignment(fps, first_step, self.step_seconds)


class SingleLayer(nn.Module):
    """Returns the single layer."""

    def forward(self, hidden: Tensor) -> Tensor:
        """Maps `[1, batch, steps, features]` to `[batch, steps, features]`."""
        return hidden[0]


class Concatenation(nn.Module):
    """Concatenates the layers."""

    def forward(self, hidden: Tensor) -> Tensor:
        """Maps `[layers, batch, steps, features]` to `[batch, steps, layers * features]`."""
        return torch.cat(hidden.unbind(0), dim=-1)


class WeightedLayers(nn.Module):
    """Averages the layers with learned weights (equal at first) after normalising each.

    Normalisation makes the weights comparable: the magnitudes of a network's layers differ several times.
    """

    def __init__(self, layers: int, features: int) -> None:
        super().__init__()
        self.norms = nn.ModuleList(nn.LayerNorm(features) for _ in range(layers))
        self.scores = nn.Parameter(torch.zeros(layers))

    def forward(self, hidden: Tensor) -> Tensor:
        """Maps `[layers, batch, steps, features]` to `[batch, steps, features]`."""
        normalised = torch.stack([norm(layer) for norm, layer in zip(self.norms, hidden.unbind(0), strict=True)])
        return (torch.softmax(self.scores, 0)[:, None, None, None] * normalised).sum(0)


class WeightedLayerSum(nn.Module):
    """Averages the layers like the reference: the sum of a_l times layer l over the sum of a_l; a starts as ones."""

    def __init__(self, layers: int) -> None:
        super().__init__()
        self.coefficients = nn.Parameter(torch.ones(layers))

    def forward(self, hidden: Tensor) -> Tensor:
        """Maps `[layers, batch, steps, features]` to `[batch, steps, features]`."""
        weights = self.coefficients / self.coefficients.sum()
        return (weights[:, None, None, None] * hidden).sum(0)


def select_layers(requested: Sequence[int], count: int) -> tuple[int, ...]:
    """Sorts the requested hidden layers; an empty request selects all.

    Raises:
        UserError: a layer is out of range or named twice.
    """
    layers = tuple(sorted(requested)) or tuple(range(count))
    if len(set(layers)) < len(layers) or not set(layers) <= set(range(count)):
        raise UserError(
            f"layers {list(requested)} of the speech encoder: each may be named once, from 0 to {count - 1}",
            hint="The middle layers distinguish phonemes best.",
        )
    return layers


def build_layer_combination(kind: Combination, layers: int, features: int) -> tuple[nn.Module, int]:
    """Makes the module of a combination; returns it and the width of its output."""
    if kind == "concat":
        return Concatenation(), layers * features
    return WeightedLayers(layers, features), features


class SpeechEncoder(nn.Module, ABC):
    """Maps 16 kHz mono audio to features about 50 times per second.

    Audio shorter than `SHORTEST_SAMPLES` is padded with zeros to that length.

    Audio longer than `info.longest_samples` is encoded in windows of that length, each of which overlaps the next by
    twice `CONTEXT_SAMPLES`; a step is taken from the window in which it has more context. This bounds memory. The steps
    differ slightly from those of one pass, since attention and normalisation cover a window instead of the whole.

    Attributes:
        info: properties of the encoder.
        options: its options as JSON values; with its name, they rebuild it.
        noise: standard deviation of the noise added to features in training, relative to their own magnitude.
    """

    def __init__(self, info: EncoderInfo, options: dict[str, Any], combine: nn.Module) -> None:
        super().__init__()
        self.info = info
        self.options = options
        self.combine = combine
        self.noise = 0.0

    @abstractmethod
    def encode_window(self, audio: Tensor) -> Tensor:
        """Computes the hidden layers of audio that fits into one forward pass.

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
        return self.combine_hidden(self.hidden_layers(audio))

    def combine_hidden(self, hidden: Tensor) -> Tensor:
        """Combines the output of `hidden_layers` into features and adds noise in training mode."""
        features: Tensor = self.combine(hidden)
        if self.training and self.noise > 0:
            size = features.detach().square().mean(dim=-1, keepdim=True).sqrt()
            features = features + self.noise * size * torch.randn_like(features)
        return features

    def hidden_layers(self, audio: Tensor) -> Tensor:
        """Computes the hidden layers `[layers, batch, steps, features]` of audio `[batch, samples]` of any length."""
        samples = audio.shape[1]
        if samples < SHORTEST_SAMPLES:
            audio = functional.pad(audio, (0, SHORTEST_SAMPLES - samples))
        if samples <= self.info.longest_samples:
            return self.encode_window(audio)
        windows = split_into_windows(samples, self.info)
        return torch.cat([self.encode_window(audio[:, begin:end])[:, :, steps] for begin, end, steps in windows], dim=2)

    def freeze(self) -> None:
        """Freezes the submodules named in `info.frozen`; subclasses call it at the end of `__init__`."""
        for name, parameter in self.named_parameters():
            if any(f"{name}.".startswith(f"{part}.") for part in self.info.frozen):
                parameter.requires_grad_(False)


def split_into_windows(samples: int, info: EncoderInfo) -> list[tuple[int, int, slice]]:
    """Splits long audio into overlapping windows.

    Args:
        samples: length of the audio, more than `info.longest_samples`.
        info: properties of the encoder.

    Returns:
        Per window its first sample, the sample after its last, and the steps to take from it.
    """
    margin = CONTEXT_SAMPLES // info.step_samples  # steps
    longest = info.longest_samples
    hop = longest // info.step_samples - 2 * margin  # steps, so that windows share one grid of steps
    starts = range(0, samples - longest + hop * info.step_samples, hop * info.step_samples)
    last = len(starts) - 1
    return [
        (
            begin,
            min(begin + longest, samples),
            slice(margin if index > 0 else 0, margin + hop if index < last else None),
        )
        for index, begin in enumerate(starts)
    ]


class MelPower(nn.Module):
    """Computes log power in mel bands every 10 ms; the first frame is centred on the first sample, ends are mirrored.

    Kernels and bands are constants in the state dict, since an encoder may load its own.
    """

    kernels: Tensor
    bands: Tensor

    def __init__(self) -> None:
        super().__init__()
        self.register_buffer("kernels", fourier_kernels())
        self.register_buffer("bands", torch.from_numpy(mel_bands()))

    def forward(self, audio: Tensor) -> Tensor:
        """Computes the natural logarithm of the power in each band.

        Args:
            audio: `[batch, samples]`, more than 200 samples.

        Returns:
            float32 `[batch, bands, samples // 160 + 1]`; autocast, which would lose most of the precision, is disabled.
        """
        with full_precision(audio.device.type):
            mirrored = functional.pad(audio.float()[:, None], (MEL_TAPS // 2, MEL_TAPS // 2), mode="reflect")
            real, imaginary = functional.conv1d(mirrored, self.kernels, stride=MEL_HOP).chunk(2, dim=1)
            power = real * real + imaginary * imaginary
            return torch.log((self.bands @ power).clamp(min=_POWER_FLOOR))


def fourier_kernels() -> Tensor:
    """Computes the kernels of a Fourier transform of 400 samples with a periodic Hann window.

    Returns:
        float32 `[2 * bins, 1, taps]`, real parts first.
    """
    window = np.hanning(MEL_TAPS + 1)[:-1]
    phase = 2.0 * np.pi / MEL_TAPS * (np.outer(np.arange(MEL_BINS), np.arange(MEL_TAPS)) % MEL_TAPS)
    kernels = np.concatenate([np.cos(phase), -np.sin(phase)]) * window
    return torch.from_numpy(kernels[:, None].astype(np.float32))
