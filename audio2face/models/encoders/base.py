"""What is to be known about a speech encoder without running it: its rate, timing, width, origin and licence."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

import torch
from torch import Tensor, nn
from torch.nn import functional

from audio2face.errors import UserError
from audio2face.models.layers import Alignment

SAMPLE_RATE = 16_000  # Hz; every encoder listens at this rate

AlignmentRule = Literal["corners", "times"]


@dataclass(frozen=True)
class EncoderInfo:
    """Facts about a speech encoder; all of them are recorded in checkpoints.

    Attributes:
        name: its name in the registry.
        width: values per step of its output.
        layers: hidden layers it hands out before they are combined.
        window_samples: samples that its first step needs; one more step for every `step_samples` more.
        step_samples: distance between two steps.
        first_sample: the sample that the first step describes (the middle of what it hears).
        longest_samples: the most samples that one pass takes; longer audio is encoded in overlapping windows.
        alignment: how its steps are laid on frames. `"corners"`: the first step on the first frame and the last on
            the last, whatever their times. `"times"`: every frame at its own time.
        frozen: names of the parts whose parameters are not trained; a part holds all parameters below its name.
        licence: of the weights, as far as their publisher states it.
        source: where the weights come from.
        weights_sha256: of the file with the pretrained weights; None for weights made by chance.
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
        """How many steps `samples` samples give."""
        return (samples - self.window_samples) // self.step_samples + 1

    def frame_alignment(self, fps: float) -> Alignment:
        """How the encoder's steps are laid on frames, `fps` of them per second."""
        first_step = None if self.alignment == "corners" else self.first_step_seconds
        return Alignment(fps, first_step, self.step_seconds)


Combination = Literal["weighted", "concat"]


class SingleLayer(nn.Module):
    """Takes the only layer there is."""

    def forward(self, hidden: Tensor) -> Tensor:
        """See the module."""
        return hidden[0]


class Concatenation(nn.Module):
    """All layers side by side: `width` is `layers * features`."""

    def forward(self, hidden: Tensor) -> Tensor:
        """See the module."""
        return torch.cat(hidden.unbind(0), dim=-1)


class WeightedLayers(nn.Module):
    """A learned mean of the layers, each normalised first; all layers weigh alike at the beginning.

    Normalisation makes weights comparable: the layers of one network differ several times in size.
    """

    def __init__(self, layers: int, features: int) -> None:
        super().__init__()
        self.norms = nn.ModuleList(nn.LayerNorm(features) for _ in range(layers))
        self.scores = nn.Parameter(torch.zeros(layers))

    def forward(self, hidden: Tensor) -> Tensor:
        """See the module."""
        normalised = torch.stack([norm(layer) for norm, layer in zip(self.norms, hidden.unbind(0), strict=True)])
        return (torch.softmax(self.scores, 0)[:, None, None, None] * normalised).sum(0)


class WeightedLayerSum(nn.Module):
    """The reference's way: sum of a_l times layer l over sum of a_l, where a starts as ones."""

    def __init__(self, layers: int) -> None:
        super().__init__()
        self.coefficients = nn.Parameter(torch.ones(layers))

    def forward(self, hidden: Tensor) -> Tensor:
        """See the module."""
        weights = self.coefficients / self.coefficients.sum()
        return (weights[:, None, None, None] * hidden).sum(0)


def chosen_layers(wanted: Sequence[int], there: int) -> tuple[int, ...]:
    """The hidden layers that are heard, in rising order; all of them where none is named.

    Raises:
        UserError: there is no such layer, or one is named twice.
    """
    layers = tuple(sorted(wanted)) or tuple(range(there))
    if len(set(layers)) < len(layers) or not set(layers) <= set(range(there)):
        raise UserError(
            f"layers {list(wanted)} of the speech encoder: each may be named once, from 0 to {there - 1}",
            hint="Layers in the middle tell phonemes apart best.",
        )
    return layers


def combination(kind: Combination, layers: int, features: int) -> tuple[nn.Module, int]:
    """The module of a chosen combination, and the width of what it returns."""
    if kind == "concat":
        return Concatenation(), layers * features
    return WeightedLayers(layers, features), features


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
        return self.combine_hidden(self.hidden_layers(audio))

    def combine_hidden(self, hidden: Tensor) -> Tensor:
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
