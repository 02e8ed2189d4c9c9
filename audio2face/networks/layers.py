"""Building blocks that belong to no particular network."""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn
from torch.nn import functional

from audio2face.networks.precision import full_precision


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


def two_layers(inputs: int, hidden: int, outputs: int) -> nn.Sequential:
    """Linear, ReLU, linear."""
    return nn.Sequential(nn.Linear(inputs, hidden), nn.ReLU(), nn.Linear(hidden, outputs))


def zero_last_layer(layers: nn.Sequential) -> nn.Sequential:
    """Zeroes weight and bias of the last linear layer, so that training starts from an output of zero."""
    last = layers[-1]
    assert isinstance(last, nn.Linear)
    nn.init.zeros_(last.weight)
    nn.init.zeros_(last.bias)
    return layers


def mix_rows(weights: Tensor, table: Tensor) -> Tensor:
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


def corner_positions(rows: int | Tensor, points: int | Tensor, count: int, device: torch.device) -> Tensor:
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


def read_rows(values: Tensor, positions: Tensor, rows: Tensor | None = None) -> Tensor:
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


def resample_corners(values: Tensor, points: int) -> Tensor:
    """Stretches a sequence to another length by linear interpolation, first and last row kept.

    Args:
        values: `[batch, rows, width]`.
        points: rows wanted; one gives the first row.

    Returns:
        `[batch, points, width]`.
    """
    rows = values.shape[1]
    return read_rows(values, corner_positions(rows, points, points, values.device))


class NormRelu(nn.Module):
    """ReLU, times the square root of 2, so that the output has the mean square of a normally distributed input."""

    def forward(self, x: Tensor) -> Tensor:
        """Applies the activation to each value."""
        return functional.relu(x) * math.sqrt(2.0)


class GainNoise(nn.Module):
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
