"""The streaming network: windows of samples in, one frame of coefficients each, and a state that is carried.

A causal speech encoder computes features; gated dilated convolutions that look back follow, with
embeddings of emotion and actor; a linear map gives the coefficients of skin and tongue, the jaw's key points and the
eyes. All layers remember what they need, so that the network computes one frame at a time, or a whole recording at
once with the same result.

Usage::

    network = StreamingNetwork(StreamingSettings(...), encoder)
    values = network(audio, num_frames, emotion, actor)      # segments with their margins: training
    values, state = network.advance(windows, emotions, actor, network.start(batch))
    face, state = ExportedStep(network)(window, emotion, actor, state)   # one frame: the exported graph

Axes: `channels` are the PCA coefficients of skin and tongue, jaw (centimetres) and eyes (degrees). Tensors are float32.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction

import torch
from torch import Tensor, nn
from torch.nn import functional

from audio2face.models.encoders.frames import CausalEncoder
from audio2face.models.layers import ChannelSizes, GatedLayer, select_rows
from audio2face.models.streaming.front_end import POWERS, FrontEnd
from audio2face.models.streaming.timing import StepTiming


@dataclass(frozen=True, kw_only=True)
class StreamingSettings:
    """The hyperparameters of the network and the meaning of its inputs; saved with every checkpoint.

    Attributes:
        skin_size: PCA components of the skin.
        tongue_size: PCA components of the tongue.
        jaw_size: channels of the jaw, 3 per key point.
        eye_size: rotations of the eyes.
        actors: number of actors.
        emotions: number of emotions besides neutral, which is all zeros; at least one.
        fps: frames per second.
        look_ahead_frames: frames of future that a frame depends on.
        width: features of the layers.
        dilations: frames between the taps of each layer.
        dropout: dropout probability behind each layer in training.
    """

    skin_size: int
    tongue_size: int
    jaw_size: int
    eye_size: int
    actors: int
    emotions: int
    fps: float
    look_ahead_frames: int
    width: int
    dilations: Sequence[int]
    dropout: float

    @property
    def sizes(self) -> ChannelSizes:
        """Channels of each group of a frame."""
        return ChannelSizes(self.skin_size, self.tongue_size, self.jaw_size, self.eye_size)

    @property
    def timing(self) -> StepTiming:
        """The samples of each step."""
        return StepTiming(Fraction(self.fps), self.look_ahead_frames)


@dataclass(frozen=True)
class ActorScales:
    """Mean and standard deviation of each channel of each actor in the training data, float32 `[actors, channels]`."""

    mean: Tensor
    deviation: Tensor


class StreamingNetwork(nn.Module):
    """Predicts frames in order.

    Args:
        settings: hyperparameters.
        encoder: the speech encoder, causal.
        scales: of the output; None: they are in the weights that will be loaded.
    """

    mean: Tensor
    deviation: Tensor

    def __init__(self, settings: StreamingSettings, encoder: CausalEncoder, scales: ActorScales | None = None) -> None:
        super().__init__()
        self.settings, self.timing = settings, settings.timing
        self.encoder = encoder
        self.front_end = FrontEnd(self.timing)
        width, channels = settings.width, settings.sizes.total
        self.features = nn.Linear(self.timing.encoder_steps * encoder.info.width, width)
        self.emotion = nn.Linear(settings.emotions, width, bias=False)
        self.actor = nn.Linear(settings.actors, width, bias=False)
        self.layers = nn.ModuleList(GatedLayer(width, dilation, causal=True) for dilation in settings.dilations)
        self.norm = nn.LayerNorm(width)
        self.output = nn.Linear(width, channels)
        nn.init.zeros_(self.output.weight)
        nn.init.zeros_(self.output.bias)
        shape = settings.actors, channels
        self.register_buffer("mean", torch.zeros(shape) if scales is None else scales.mean.float())
        self.register_buffer("deviation", torch.ones(shape) if scales is None else scales.deviation.float())

    @property
    def state_shapes(self) -> list[tuple[int, ...]]:
        """Shapes of the parts of the state of each item, which lies flat, one part behind another."""
        width = self.settings.width
        layers = [(layer.reach, width) for layer in self.layers if isinstance(layer, GatedLayer)]
        return [(POWERS,), (1,), *self.encoder.past_shapes, *layers]

    @property
    def state_size(self) -> int:
        """Values of the state of an item."""
        return sum(math.prod(shape) for shape in self.state_shapes)

    def start(self, batch: int) -> Tensor:
        """The state before a recording, in which there was silence: zeros, `[batch, state_size]`."""
        return self.mean.new_zeros(batch, self.state_size)

    def forward(self, audio: Tensor, num_frames: int, emotion: Tensor, actor: Tensor) -> Tensor:
        """Predicts segments, from silence before their margins.

        Args:
            audio: with the margins of `timing`, `[batch, samples]`.
            num_frames: frames of the segments.
            emotion: `[batch, emotions]`.
            actor: one-hot, `[batch, actors]`.

        Returns:
            `[batch, num_frames, channels]`.
        """
        windows = cut_windows(audio, self.timing, num_frames)
        emotions = emotion[:, None].expand(-1, windows.shape[1], -1)
        values, _ = self.advance(windows, emotions, actor, self.start(len(audio)))
        return values[:, windows.shape[1] - num_frames :]

    def advance(self, windows: Tensor, emotion: Tensor, actor: Tensor, state: Tensor) -> tuple[Tensor, Tensor]:
        """Predicts the frames of windows, in order.

        Args:
            windows: `[batch, frames, samples]`.
            emotion: `[batch, frames, emotions]`.
            actor: one-hot, `[batch, actors]`.
            state: what it gave for the windows before; at first `start`.

        Returns:
            `[batch, frames, channels]`, and the state for the windows after.
        """
        powers, level, *past = self._unpack(state)
        encoded = len(self.encoder.past_shapes)
        mel, powers, level = self.front_end(windows, powers, level)
        layers, encoder_past = self.encoder.advance(mel, past[:encoded])
        features = self.encoder.combine_hidden(layers)
        hidden = self.features(features.reshape(-1, windows.shape[1], self.features.in_features))
        hidden = hidden + self.emotion(emotion) + self.actor(actor)[:, None]
        layer_past = []
        for layer, before in zip(self.layers, past[encoded:], strict=True):
            assert isinstance(layer, GatedLayer)
            hidden, after = layer.advance(hidden, before)
            hidden = functional.dropout(hidden, self.settings.dropout, self.training)
            layer_past.append(after)
        values = self.output(self.norm(hidden)).float()
        mean, deviation = (select_rows(actor, table)[:, None] for table in (self.mean, self.deviation))
        return mean + deviation * values, _pack([powers, level, *encoder_past, *layer_past])

    def _unpack(self, state: Tensor) -> list[Tensor]:
        parts = torch.split(state, [math.prod(shape) for shape in self.state_shapes], dim=1)
        return [part.reshape(-1, *shape) for part, shape in zip(parts, self.state_shapes, strict=True)]


def _pack(parts: Sequence[Tensor]) -> Tensor:
    return torch.cat([part.flatten(1) for part in parts], dim=1)


def cut_windows(audio: Tensor, timing: StepTiming, num_frames: int) -> Tensor:
    """Cuts segments with their margins, `[batch, samples]`, into windows, `[batch, context + num_frames, samples]`."""
    starts = torch.tensor(timing.window_starts(num_frames), device=audio.device)
    samples = starts[:, None] + torch.arange(timing.window, device=audio.device)
    return audio[:, samples]


class ExportedStep(nn.Module):
    """One frame: the graph of a deployed network.

    Args:
        network: in evaluation mode.
    """

    def __init__(self, network: StreamingNetwork) -> None:
        super().__init__()
        self.network = network

    def forward(self, window: Tensor, identity: Tensor, emotion: Tensor, state: Tensor) -> tuple[Tensor, Tensor]:
        """Predicts the frame of a window.

        Args:
            window: `[batch, samples]`.
            identity: the actor, one-hot, `[batch, actors]`.
            emotion: `[batch, emotions]`.
            state: what the window before gave; zeros at first.

        Returns:
            `[batch, 1, channels]`, and the state for the window after.
        """
        return self.network.advance(window[:, None], emotion[:, None], identity, state)
