"""Building blocks of all networks: the layout of a frame, layers, and the alignment of speech features to frames.

The channels of a frame are those of the skin, the tongue, the jaw and the eyes, in this order. What a channel means (a
coordinate, a PCA coefficient, an angle) differs between the networks. Frame i shows the face i / fps seconds after the
first sample of the encoder's input.
"""

from __future__ import annotations

import math
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional


def full_precision(device_type: str) -> AbstractContextManager[None]:
    """Disables autocast, so that operations keep the precision of their inputs.

    Args:
        device_type: such as "cuda".
    """
    # Only where autocast is on: exporters do not support the context manager.
    if torch.is_autocast_enabled(device_type):
        return torch.autocast(device_type, enabled=False)
    return nullcontext()


class Mish(nn.Module):
    """The activation x tanh(softplus(x)) (Misra 2019), in operators that every ONNX runtime supports.

    Exporters turn `nn.Mish` into the ONNX operator Mish, for which onnxruntime has no CPU kernel.
    """

    def forward(self, x: Tensor) -> Tensor:
        """Applies the activation to each value."""
        return x * torch.tanh(functional.softplus(x))


class Gru(nn.Module):
    """A GRU of several layers with dropout between them in training mode.

    The dropout draws from torch's generator on every device. That of a multi-layer `nn.GRU` draws from cuDNN's own
    generator, whose state cannot be restored when training resumes. Computes in float32; autocast would use float16, in
    which small gradients vanish.

    Args:
        inputs: width of the input.
        width: of each layer.
        layers: number of layers.
        dropout: dropout probability between layers.
    """

    def __init__(self, inputs: int, width: int, layers: int, dropout: float) -> None:
        super().__init__()
        self.dropout = dropout
        self.layers = nn.ModuleList(
            nn.GRU(width if index else inputs, width, batch_first=True) for index in range(layers)
        )

    def forward(self, x: Tensor, state: Tensor | None = None) -> tuple[Tensor, Tensor]:
        """Runs the GRU over time.

        Args:
            x: `[batch, frames, inputs]`.
            state: hidden state before the first frame, `[layers, batch, width]`. None: zeros.

        Returns:
            The last layer's output `[batch, frames, width]`, and the hidden state after the last frame.
        """
        states = []
        with full_precision(x.device.type):
            x = x.float()
            for index, layer in enumerate(self.layers):
                if index > 0:
                    x = functional.dropout(x, self.dropout, self.training)
                x, last = layer(x, None if state is None else state[index : index + 1])
                states.append(last)
            return x, torch.cat(states)


def mlp(inputs: int, hidden: int, outputs: int) -> nn.Sequential:
    """Makes a perceptron of two linear layers with ReLU between them."""
    return nn.Sequential(nn.Linear(inputs, hidden), nn.ReLU(), nn.Linear(hidden, outputs))


def zero_init_last(layers: nn.Sequential) -> nn.Sequential:
    """Zero-initialises the last linear layer, so that training starts from an output of zero."""
    last = layers[-1]
    assert isinstance(last, nn.Linear)
    nn.init.zeros_(last.weight)
    nn.init.zeros_(last.bias)
    return layers


def select_rows(weights: Tensor, table: Tensor) -> Tensor:
    """Computes a weighted sum of the rows of a table, such as one actor's constants selected by a one-hot vector.

    This is `weights @ table`, but exact for a one-hot vector and unaffected by autocast: in bfloat16 a vertex 20 cm
    from the origin would move by up to 0.4 mm.

    Args:
        weights: `[batch, rows]`.
        table: `[rows, values]`.

    Returns:
        `[batch, values]`.
    """
    return (weights.to(table.dtype)[:, :, None] * table).sum(dim=1)


def align_corners_grid(rows: int | Tensor, points: int | Tensor, count: int, device: torch.device) -> Tensor:
    """Computes fractional row positions such that the first point is the first row and the last point the last row.

    Point i is at row i (rows - 1) / (points - 1), computed in float32 in this order, as with torch's `align_corners`.

    Args:
        rows: number of rows, or `[batch]`.
        points: number of points over which the rows are stretched, or `[batch]`; a single point is at the first row.
        count: positions to return; those past `points` continue beyond the last row.
        device: device of the result.

    Returns:
        Float32 `[count]`, or `[batch, count]` where rows or points differ between items.
    """
    last_row = torch.as_tensor(rows - 1, dtype=torch.float32, device=device)
    last_point = torch.as_tensor(points - 1, dtype=torch.float32, device=device).clamp(min=1)
    return torch.arange(count, dtype=torch.float32, device=device) * (last_row / last_point)[..., None]


def interpolate_rows(values: Tensor, positions: Tensor, rows: Tensor | None = None) -> Tensor:
    """Interpolates rows linearly at fractional positions, which are clamped to the first and last row.

    Args:
        values: `[batch, rows, width]`.
        positions: in rows, `[points]` or `[batch, points]`.
        rows: valid rows of each item, before its padding, int64 `[batch]`. None: all.

    Returns:
        `[batch, points, width]`.
    """
    last = torch.as_tensor(values.shape[1] - 1, device=values.device) if rows is None else (rows - 1)[:, None]
    positions = torch.minimum(positions.clamp(min=0), last)
    lower = positions.long()
    upper = torch.minimum(lower + 1, last)
    share = (positions - lower)[..., None].to(values.dtype)
    if positions.dim() == 1:
        return values.index_select(1, lower) * (1 - share) + values.index_select(1, upper) * share
    items = torch.arange(values.shape[0], device=values.device)[:, None]
    return values[items, lower] * (1 - share) + values[items, upper] * share


def resample_linear(values: Tensor, points: int) -> Tensor:
    """Resamples a sequence to another length by linear interpolation; the first and last row are preserved.

    Args:
        values: `[batch, rows, width]`.
        points: rows of the result; 1 returns the first row.

    Returns:
        `[batch, points, width]`.
    """
    rows = values.shape[1]
    return interpolate_rows(values, align_corners_grid(rows, points, points, values.device))


class NormRelu(nn.Module):
    """ReLU times the square root of 2, which preserves the mean square of a normally distributed input."""

    def forward(self, x: Tensor) -> Tensor:
        """Applies the activation to each value."""
        return functional.relu(x) * math.sqrt(2.0)


class GatedLayer(nn.Module):
    """A gated dilated convolution over time with a residual connection; it looks back, or to both sides.

    Source of the gate: Dauphin et al., Language Modeling with Gated Convolutional Networks (2017).

    Args:
        width: features in and out.
        dilation: steps between the taps.
        causal: whether it only looks back.
        taps: of the convolution.
    """

    def __init__(self, width: int, dilation: int, causal: bool, taps: int = 3) -> None:
        super().__init__()
        self.norm = nn.LayerNorm(width)
        self.conv = nn.Conv1d(width, 2 * width, taps, dilation=dilation)
        self.reach = dilation * (taps - 1)
        self._sides = (self.reach, 0) if causal else (self.reach // 2, self.reach // 2)

    def forward(self, hidden: Tensor) -> Tensor:
        """`[batch, steps, width]`, in and out."""
        return hidden + self._gated(functional.pad(self.norm(hidden).transpose(1, 2), self._sides))

    def advance(self, hidden: Tensor, past: Tensor) -> tuple[Tensor, Tensor]:
        """Computes the steps that follow earlier ones; of a layer that looks back.

        Args:
            hidden: `[batch, steps, width]`.
            past: what it gave for the steps before, `[batch, reach, width]`; zeros at the start.

        Returns:
            `[batch, steps, width]`, and `past` for the steps after.
        """
        inputs = torch.cat([past, self.norm(hidden)], dim=1)
        gated = functional.glu(convolve_steps(self.conv, inputs, hidden.shape[1]), dim=2)
        return hidden + gated, inputs[:, hidden.shape[1] :]

    def _gated(self, inputs: Tensor) -> Tensor:
        gated: Tensor = functional.glu(self.conv(inputs), dim=1).transpose(1, 2)
        return gated


def convolve_steps(conv: nn.Conv1d, inputs: Tensor, steps: int) -> Tensor:
    """Applies a convolution over time as one matrix product, which runtimes compute fastest for a few steps.

    Args:
        conv: the convolution.
        inputs: `[batch, rows, channels]`, the rows that the steps take.
        steps: number of results.

    Returns:
        `[batch, steps, width]`.
    """
    (taps,), (stride,), (dilation,) = conv.kernel_size, conv.stride, conv.dilation
    last = stride * (steps - 1) + 1
    rows = torch.cat([inputs[:, tap * dilation : tap * dilation + last : stride] for tap in range(taps)], dim=2)
    weight = conv.weight.permute(2, 1, 0).flatten(0, 1)
    product: Tensor = rows @ weight
    return product if conv.bias is None else product + conv.bias


class ChannelGainNoise(nn.Module):
    """Multiplies each channel of each item by a random gain in training mode; GDropout in the reference.

    Gains are (1 + strength) ** n for a standard normal n, divided by their root mean square over the channels of the
    item. A gain applies to all frames of a sequence and to all axes after the channels. A single channel always has the
    gain 1.

    Args:
        channels: number of channels.
        strength: strength of the gains.

    Attributes:
        generator: random generator on the CPU, for every device; None: torch's global one.
    """

    def __init__(self, channels: int, strength: float = 0.4) -> None:
        super().__init__()
        self.channels = channels
        self.strength = strength
        self.generator: torch.Generator | None = None

    def forward(self, x: Tensor, sequence: int) -> Tensor:
        """Applies the gains.

        Args:
            x: `[batch * sequence, channels, ...]`, the frames of each sequence adjacent.
            sequence: frames per sequence.
        """
        if not self.training:
            return x
        numbers = torch.randn(x.shape[0] // sequence, self.channels, generator=self.generator)
        gains = (1.0 + self.strength) ** numbers
        gains = gains / (1e-6 + gains.square().mean(dim=1, keepdim=True).sqrt())
        gains = gains.to(x.device, x.dtype).repeat_interleave(sequence, dim=0)
        return x * gains.reshape(*gains.shape, *(1 for _ in x.shape[2:]))


@dataclass(frozen=True)
class Alignment:
    """Aligns the steps of a speech encoder, about 50 per second, to frames of animation.

    Attributes:
        fps: frames per second.
        first_step: time of the first step in seconds after the first sample. None stretches the steps over the frames,
            first on first and last on last, regardless of their times; the reference does so with HuBERT.
        step: seconds from one step to the next.
    """

    fps: float
    first_step: float | None
    step: float

    @property
    def points_per_frame(self) -> int:
        """Points at which a frame reads the steps: one at 60 frames per second, two at 30, with steps of 0.02 s."""
        return max(1, round(1 / (self.fps * self.step)))

    def apply(
        self, features: Tensor, frames: int, steps: Tensor | None = None, frame_lengths: Tensor | None = None
    ) -> Tensor:
        """Interpolates the steps at the times of the frames.

        Args:
            features: output of the encoder, `[batch, steps, width]`.
            frames: number of frames.
            steps: valid steps of each item, int64 `[batch]`. None: all.
            frame_lengths: valid frames of each item, int64 `[batch]`. None: all.

        Returns:
            `[batch, frames, points_per_frame * width]`, the points of a frame concatenated.
        """
        per_frame = self.points_per_frame
        positions = self._positions(features, frames, steps, frame_lengths)
        return interpolate_rows(features, positions, steps).reshape(-1, frames, per_frame * features.shape[2])

    def _positions(self, features: Tensor, frames: int, steps: Tensor | None, frame_lengths: Tensor | None) -> Tensor:
        """Computes the position of each point in steps: `[points]`, or `[batch, points]` where lengths differ."""
        per_frame = self.points_per_frame
        count = per_frame * frames
        if self.first_step is not None:
            seconds = torch.arange(count, dtype=torch.float64) / (self.fps * per_frame)
            return ((seconds - self.first_step) / self.step).to(features.device, torch.float32)
        rows = features.shape[1] if steps is None else steps
        points = count if frame_lengths is None else per_frame * frame_lengths
        return align_corners_grid(rows, points, count, features.device)


class ChannelSlices(NamedTuple):
    """The channels of frames, or one item per group of channels."""

    skin: Tensor
    tongue: Tensor
    jaw: Tensor
    eye: Tensor


@dataclass(frozen=True)
class ChannelSizes:
    """The number of channels of each group.

    Attributes:
        skin: three per vertex, or one per PCA component.
        tongue: three per vertex, or one per PCA component.
        jaw: three per key point.
        eye: rotations, usually four.
    """

    skin: int
    tongue: int
    jaw: int
    eye: int

    @property
    def total(self) -> int:
        """Channels of one frame."""
        return self.skin + self.tongue + self.jaw + self.eye

    def split(self, values: Tensor) -> ChannelSlices:
        """Splits `values` `[..., total]` into views of its groups."""
        return ChannelSlices(*torch.split(values, [self.skin, self.tongue, self.jaw, self.eye], dim=-1))
