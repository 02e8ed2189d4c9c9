"""Where mixed precision must not reach."""

from __future__ import annotations

import math
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional


def full_precision(device_type: str) -> AbstractContextManager[None]:
    """A context in which operations keep the precision of what they are given, also under autocast.

    Args:
        device_type: such as "cuda".
    """
    # Only where it is needed: exporters do not know the context.
    if torch.is_autocast_enabled(device_type):
        return torch.autocast(device_type, enabled=False)
    return nullcontext()


class Mish(nn.Module):
    """The activation x tanh(softplus(x)) (Misra 2019), in operators that every ONNX runtime has.

    Exporters turn `nn.Mish` into the operator of that name, for which onnxruntime has no CPU kernel.
    """

    def forward(self, x: Tensor) -> Tensor:
        """Applies the activation to each value."""
        return x * torch.tanh(functional.softplus(x))


class Gru(nn.Module):
    """Gated recurrent units in layers, with dropout between them in training.

    Unlike that of `nn.GRU` with several layers, the dropout comes from torch's generator on every device: cuDNN draws
    its own, which cannot be put back to where it was when a training goes on. It calculates in float32; autocast would
    take float16, in which small gradients vanish.

    Args:
        inputs: width of what goes in.
        width: of each layer.
        layers: how many.
        dropout: share of values that are zeroed between layers.
    """

    def __init__(self, inputs: int, width: int, layers: int, dropout: float) -> None:
        super().__init__()
        self.dropout = dropout
        self.layers = nn.ModuleList(
            nn.GRU(width if index else inputs, width, batch_first=True) for index in range(layers)
        )

    def forward(self, x: Tensor, state: Tensor | None = None) -> tuple[Tensor, Tensor]:
        """Goes through time.

        Args:
            x: `[batch, frames, inputs]`.
            state: before the first frame, `[layers, batch, width]`. None: zeros.

        Returns:
            The last layer's output `[batch, frames, width]`, and the state after the last frame.
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
    """Linear, ReLU, linear."""
    return nn.Sequential(nn.Linear(inputs, hidden), nn.ReLU(), nn.Linear(hidden, outputs))


def zero_init_last(layers: nn.Sequential) -> nn.Sequential:
    """Zeroes weight and bias of the last linear layer, so that training starts from an output of zero."""
    last = layers[-1]
    assert isinstance(last, nn.Linear)
    nn.init.zeros_(last.weight)
    nn.init.zeros_(last.bias)
    return layers


def select_rows(weights: Tensor, table: Tensor) -> Tensor:
    """A weighted sum of the rows of a table, such as one actor's constants picked by a one-hot vector.

    This is `weights @ table`, but exact for a one-hot vector and kept out of reach of mixed precision: in bfloat16 a
    vertex 20 cm from the origin would move by up to 0.4 mm.

    Args:
        weights: `[batch, rows]`.
        table: `[rows, values]`.

    Returns:
        `[batch, values]`.
    """
    return (weights.to(table.dtype)[:, :, None] * table).sum(dim=1)


def align_corners_grid(rows: int | Tensor, points: int | Tensor, count: int, device: torch.device) -> Tensor:
    """Where to read rows 0 to rows - 1 so that the first point meets the first row and the last the last.

    Point i lies at i (rows - 1) / (points - 1). Computed in float32, in this order, which agrees with what other
    implementations call `align_corners`.

    Args:
        rows: rows there are, or `[batch]`.
        points: points that they spread over, or `[batch]`; a single point lies on the first row.
        count: positions to return; those past `points` run on beyond the last row.
        device: where to compute.

    Returns:
        Float32 `[count]`, or `[batch, count]` where rows or points differ between items.
    """
    last_row = torch.as_tensor(rows - 1, dtype=torch.float32, device=device)
    last_point = torch.as_tensor(points - 1, dtype=torch.float32, device=device).clamp(min=1)
    return torch.arange(count, dtype=torch.float32, device=device) * (last_row / last_point)[..., None]


def interpolate_rows(values: Tensor, positions: Tensor, rows: Tensor | None = None) -> Tensor:
    """Reads rows at fractional positions by linear interpolation; beyond either end lies the row at that end.

    Args:
        values: `[batch, rows, width]`.
        positions: in rows, `[points]` or `[batch, points]`.
        rows: rows of each item that count, int64 `[batch]`; the others are padding. None: all.

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
    """Stretches a sequence to another length by linear interpolation, first and last row kept.

    Args:
        values: `[batch, rows, width]`.
        points: rows wanted; one gives the first row.

    Returns:
        `[batch, points, width]`.
    """
    rows = values.shape[1]
    return interpolate_rows(values, align_corners_grid(rows, points, points, values.device))


class NormRelu(nn.Module):
    """ReLU, times the square root of 2, so that the output has the mean square of a normally distributed input."""

    def forward(self, x: Tensor) -> Tensor:
        """Applies the activation to each value."""
        return functional.relu(x) * math.sqrt(2.0)


class ChannelGainNoise(nn.Module):
    """Multiplies each channel of each item by a random gain; in training mode only. The reference calls it GDropout.

    Gains are 1 + strength to the power of a standard normal number, divided by their root mean square over the channels
    of the item. A gain holds for all time steps and whatever else follows the channels, and for all frames of a
    sequence; one channel alone would always have the gain 1.

    Args:
        channels: channels.
        strength: see above.

    Attributes:
        generator: where the numbers come from, on the CPU whatever the device; None: torch's global one.
    """

    def __init__(self, channels: int, strength: float = 0.4) -> None:
        super().__init__()
        self.channels = channels
        self.strength = strength
        self.generator: torch.Generator | None = None

    def forward(self, x: Tensor, sequence: int) -> Tensor:
        """Applies the gains.

        Args:
            x: `[batch * sequence, channels, ...]`, the frames of a sequence one after the other.
            sequence: frames of a sequence.
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
        return interpolate_rows(features, positions, steps).reshape(-1, frames, per_frame * features.shape[2])

    def _positions(self, features: Tensor, frames: int, steps: Tensor | None, frame_lengths: Tensor | None) -> Tensor:
        """Where each point lies, in steps: `[points]`, or `[batch, points]` where lengths differ."""
        per_frame = self.points_per_frame
        count = per_frame * frames
        if self.first_step is not None:
            seconds = torch.arange(count, dtype=torch.float64) / (self.fps * per_frame)
            return ((seconds - self.first_step) / self.step).to(features.device, torch.float32)
        rows = features.shape[1] if steps is None else steps
        points_wanted = count if frame_lengths is None else per_frame * frame_lengths
        return align_corners_grid(rows, points_wanted, count, features.device)
