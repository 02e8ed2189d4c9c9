"""How layers and losses of whole faces are trained: frames of tens of thousands of channels, block by block.

The first and the last layer of the diffusion network, and its losses, work on tensors `[batch, frames, channels]` of
hundreds of megabytes. Made anew for every operation, the memory of these tensors costs more than their arithmetic. Here
each exists once, in memory that a `Workspace` keeps from step to step, and is passed over in blocks of channels that
stay in the processor's cache. The results are those of the plain layers and losses, up to rounding:

- `wide_input`: `layer(x)` of an input that needs no gradient;
- `wide_output`: `cat([layer(hidden) for ...]) + offset`;
- `FaceTerms.compute`: smooth L1, velocity and smoothness of frames, and what the lip losses read of them.

Gradients of weights are added straight into `.grad`, whose memory is kept as well, beside autograd: where there are
several processes, they are averaged by the training task. Under autocast the products are made in bfloat16, and all
sums and gradients are kept in float32.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn

from audio2face.models.layers import full_precision

_CACHED_VALUES = 1 << 18  # of a block: a megabyte, which fits into the cache of one core
_SMALLEST_BLOCK = 64  # channels
_DEVICE_VALUES = 1 << 25  # of a block on an accelerator, where the number of its kernels counts


class Workspace:
    """Memory that is kept between the steps of a training; what is taken under a name, the next step overwrites."""

    def __init__(self) -> None:
        self._kept: dict[Any, Tensor] = {}

    def take(self, name: str, shape: Sequence[int], device: torch.device) -> Tensor:
        """A float32 tensor of undefined values."""
        count = torch.Size(shape).numel()
        kept = self._kept.get(name)
        if kept is None or len(kept) < count or kept.device != device:
            self._kept.pop(name, None)  # released before its successor is made
            kept = self._kept[name] = torch.empty(count, device=device)
        return kept[:count].view(*shape)

    def add_gradient(self, weight: Tensor) -> tuple[Tensor, float]:
        """The tensor to add a gradient into, and the factor of what it holds: 0 where it holds nothing yet."""
        if weight.grad is not None:
            return weight.grad, 1.0
        kept = self._kept.get(id(weight))
        if kept is None or kept.device != weight.device or kept.shape != weight.shape:
            kept = self._kept[id(weight)] = torch.empty_like(weight)
        weight.grad = kept
        return kept, 0.0


def _blocks(rows: int, width: int, device: torch.device) -> Iterator[slice]:
    """Cuts the channels into blocks, of which a number of rows fits into the cache."""
    size = max(_SMALLEST_BLOCK, (_CACHED_VALUES if device.type == "cpu" else _DEVICE_VALUES) // max(rows, 1))
    for start in range(0, width, size):
        yield slice(start, min(start + size, width))


def operand(values: Tensor, low: bool) -> Tensor:
    """What a product is made of: a copy in bfloat16, or the values themselves."""
    return values.bfloat16() if low else values


def add_product(target: Tensor, left: Tensor, right: Tensor, beta: float = 1.0) -> None:
    """Adds a product of operands to `beta * target`, which is ignored where beta is 0."""
    if left.dtype == target.dtype:
        torch.addmm(target, left, right, beta=beta, out=target)
    elif beta:
        target.add_(left @ right)
    else:
        target.copy_(left @ right)


class _WideInput(torch.autograd.Function):
    """`x @ weight.T + bias`."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, weight: Tensor, bias: Tensor, workspace: Workspace, low: bool) -> Tensor:
        ctx.save_for_backward(x, weight)
        ctx.workspace, ctx.low = workspace, low
        rows = x.flatten(0, -2)
        out = bias.expand(len(rows), -1).clone()
        blocks = _blocks(len(rows), rows.shape[1], x.device) if low else [slice(None)]
        for block in blocks:
            add_product(out, operand(rows[:, block], low), operand(weight[:, block], low).t())
        return out.view(*x.shape[:-1], -1)

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> Any:
        x, weight = ctx.saved_tensors
        rows, grad = x.flatten(0, -2), grads[0].flatten(0, -2)
        target, beta = ctx.workspace.add_gradient(weight)
        left = operand(grad, ctx.low).t()
        blocks = _blocks(len(rows), rows.shape[1], x.device) if ctx.low else [slice(None)]
        for block in blocks:
            add_product(target[:, block], left, operand(rows[:, block], ctx.low), beta)
        return None, None, grad.sum(0), None, None


class _WideOutput(torch.autograd.Function):
    """Layers side by side, and narrow channels after them, plus an offset."""

    @staticmethod
    def forward(ctx: Any, workspace: Workspace, low: bool, offset: Tensor, narrow: Tensor, *layers: Tensor) -> Tensor:
        ctx.save_for_backward(*layers)
        ctx.workspace, ctx.low = workspace, low
        batch, frames = narrow.shape[:2]
        out = workspace.take("output", (batch, frames, offset.shape[-1]), narrow.device)
        start = 0
        for hidden, weight, bias in zip(*[iter(layers)] * 3, strict=True):
            rows = operand(hidden.flatten(0, 1), low)
            for block in _blocks(len(rows), len(weight), rows.device):
                part = slice(start + block.start, start + block.stop)
                values = out[..., part]
                add_product(values.flatten(0, 1), rows, operand(weight[block], low).t(), beta=0.0)
                values += offset[..., part] + bias[block]
            start += len(weight)
        torch.add(narrow, offset[..., start:], out=out[..., start:])
        return out

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> Any:
        grad, low, workspace = grads[0].flatten(0, 1), ctx.low, ctx.workspace
        found: list[Tensor | None] = []
        start = 0
        for hidden, weight, bias in zip(*[iter(ctx.saved_tensors)] * 3, strict=True):
            rows = hidden.flatten(0, 1)
            grad_hidden, grad_bias = torch.zeros_like(rows), torch.empty_like(bias)
            target, beta = workspace.add_gradient(weight)
            right = operand(rows, low)
            for block in _blocks(len(rows), len(weight), rows.device):
                values = grad[:, start + block.start : start + block.stop]
                left = operand(values, low)
                add_product(grad_hidden, left, operand(weight[block], low))
                add_product(target[block], left.t(), right, beta)
                torch.sum(values, 0, out=grad_bias[block])
            found += [grad_hidden.view_as(hidden), None, grad_bias]
            start += len(weight)
        return None, None, None, grads[0][..., start:], *found


@torch.compiler.disable  # type: ignore[untyped-decorator]
def wide_input(layer: nn.Linear, x: Tensor, workspace: Workspace) -> Tensor:
    """Computes `layer(x)` in training.

    Args:
        layer: its weight is `[outputs, channels]`.
        x: `[batch, frames, channels]`; its memory must stay unchanged until the backward pass.
        workspace: keeps the gradient's memory.

    Returns:
        Float32 `[batch, frames, outputs]`.
    """
    low = torch.is_autocast_enabled(x.device.type)
    with full_precision(x.device.type):
        found: Tensor = _WideInput.apply(x, layer.weight, layer.bias, workspace, low)  # type: ignore[no-untyped-call]
    return found


@torch.compiler.disable  # type: ignore[untyped-decorator]
def wide_output(
    layers: Sequence[tuple[Tensor, nn.Linear]], narrow: Tensor, offset: Tensor, workspace: Workspace
) -> Tensor:
    """Computes `cat([layer(hidden) for hidden, layer in layers] + [narrow]) + offset` in training.

    Args:
        layers: each with its input `[batch, frames, width]`.
        narrow: the remaining channels, `[batch, frames, narrow]`.
        offset: `[batch, 1, channels]`; without a gradient.
        workspace: keeps memory; the next call overwrites the result of this one.

    Returns:
        Float32 `[batch, frames, channels]`.
    """
    low = torch.is_autocast_enabled(narrow.device.type)
    with full_precision(narrow.device.type):
        flat = [tensor for hidden, layer in layers for tensor in (hidden.float(), layer.weight, layer.bias)]
        found: Tensor = _WideOutput.apply(workspace, low, offset, narrow.float(), *flat)  # type: ignore[no-untyped-call]
    return found


class FaceOutputs(NamedTuple):
    """What the last layers of a network make whole faces of, in training.

    A tuple, in which DistributedDataParallel finds the tensors.

    Attributes:
        layers: the last layers, each with its input `[batch, frames, width]`.
        narrow: the remaining channels, `[batch, frames, narrow]`.
        offset: as for `wide_output`.
        workspace: as for `wide_output`.
        low: whether products are made in bfloat16.
    """

    layers: Sequence[tuple[Tensor, nn.Linear]]
    narrow: Tensor
    offset: Tensor
    workspace: Workspace
    low: bool

    def split(self, sizes: list[int]) -> Sequence[FaceOutputs]:
        """The outputs of groups of items that follow each other."""
        hidden = zip(*[torch.split(values, sizes) for values, _ in self.layers], strict=True)
        sides = zip(hidden, torch.split(self.narrow, sizes), torch.split(self.offset, sizes), strict=True)
        layers = [layer for _, layer in self.layers]
        return [
            FaceOutputs(list(zip(values, layers, strict=True)), narrow, offset, self.workspace, self.low)
            for values, narrow, offset in sides
        ]

    def whole(self) -> Tensor:
        """The faces, as `wide_output` makes them."""
        with torch.autocast(self.narrow.device.type, torch.bfloat16, enabled=self.low):
            found: Tensor = wide_output(self.layers, self.narrow, self.offset, self.workspace)
        return found


@dataclass(frozen=True)
class Readout:
    """What further losses read of the frames: a projection of the first channels, and some single channels.

    Attributes:
        projection: `[channels, pairs]`, of channels minus `mean`; there may be more channels in a frame.
        mean: `[channels]`.
        columns: single channels, int64 `[columns]`.
    """

    projection: Tensor
    mean: Tensor
    columns: Tensor


@dataclass(frozen=True)
class FaceTerms:
    """The losses that are sums over channels, of items of one actor.

    Attributes:
        parts: number of channels of each part, and the factor on it before the smooth L1 loss; 0 leaves it out.
        velocity: weight of the mean square of the error's change from frame to frame, in the first part.
        stillness: weight of the weighted mean square of the prediction's change from frame to frame.
        still: weight of each channel of the first part in it, `[channels]`; None: it is 0.
        readout: what other losses read; None: nothing.
    """

    parts: Sequence[tuple[int, float]]
    velocity: float
    stillness: float
    still: Tensor | None
    readout: Readout | None

    def compute(
        self, predicted: Tensor, target: Tensor, lengths: Tensor | None
    ) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        """Computes the terms. The memory of `target` is taken for the gradient.

        Args:
            predicted: `[batch, frames, channels]`.
            target: `[batch, frames, channels]`; undefined afterwards where the prediction needs a gradient.
            lengths: valid frames of each item, int64 `[batch]`; None: all.

        Returns:
            The weighted sum of the terms, a scalar; the terms smooth L1, velocity and stillness before their weights,
            `[3]`, without a gradient; the projection `[batch, frames, pairs]`; the columns `[batch, frames, columns]`.
        """
        found: tuple[Tensor, Tensor, Tensor, Tensor] = _FaceLoss.apply(self, predicted, target, lengths)  # type: ignore[no-untyped-call]
        return found


def frame_weights(batch: int, frames: int, lengths: Tensor | None, device: torch.device) -> Tensor:
    """The share of each frame in a mean over an item's frames and then over items, `[batch, frames, 1]`."""
    if lengths is None:
        return torch.full((batch, frames, 1), 1 / max(batch * frames, 1), device=device)
    valid = torch.arange(frames, device=device) < lengths[:, None]
    return (valid / (batch * lengths.clamp(min=1)[:, None]))[..., None]


class _FaceLoss(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, terms: FaceTerms, predicted: Tensor, target: Tensor, lengths: Tensor | None) -> Any:
        batch, frames, channels = predicted.shape
        pass_over = _Pass(terms, predicted, lengths)
        start = 0
        for width, factor in terms.parts:
            for block in _blocks(batch * frames, width, predicted.device):
                part = slice(start + block.start, start + block.stop)
                pass_over.block(predicted[..., part], target[..., part], part, factor, start == 0)
            start += width
        assert start == channels
        read = terms.readout
        columns = predicted.new_zeros(batch, frames, 0) if read is None else predicted[..., read.columns]
        ctx.terms, ctx.gradient = terms, target
        values = torch.stack([pass_over.smooth_l1.sum(), pass_over.velocity.sum(), pass_over.stillness.sum()])
        weights = values.new_tensor([1.0, terms.velocity, terms.stillness])
        ctx.mark_non_differentiable(values)
        return (values * weights).sum(), values, pass_over.projected, columns

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> Any:
        gradient, read = ctx.gradient, ctx.terms.readout
        scale, _, projected, columns = grads
        rows = gradient.flatten(0, 1)
        for block in _blocks(len(rows), rows.shape[1], rows.device):
            values = rows[:, block]
            values *= scale
            if read is not None and read.projection.shape[1] and block.start < len(read.projection):
                within = values[:, : len(read.projection) - block.start]
                within.addmm_(projected.flatten(0, 1), read.projection[block].t())
        if read is not None and len(read.columns):
            rows.index_add_(1, read.columns, columns.flatten(0, 1))
        return None, gradient, None, None


class _Pass:
    """One pass over blocks of channels: adds up the terms, and turns targets into gradients."""

    def __init__(self, terms: FaceTerms, predicted: Tensor, lengths: Tensor | None) -> None:
        batch, frames, channels = predicted.shape
        device = predicted.device
        self._terms, self._channels = terms, channels
        self._weights = frame_weights(batch, frames, lengths, device)
        later = None if lengths is None else (lengths - 1).clamp(min=0)
        self._change_weights = frame_weights(batch, max(frames - 1, 0), later, device)
        self._padding = None if lengths is None else self._weights == 0
        self.smooth_l1 = torch.zeros(batch, frames, device=device)
        self.velocity = torch.zeros(batch, max(frames - 1, 0), device=device)
        self.stillness = torch.zeros_like(self.velocity)
        pairs = 0 if terms.readout is None else terms.readout.projection.shape[1]
        self.projected = torch.zeros(batch, frames, pairs, device=device)

    def block(self, predicted: Tensor, target: Tensor, part: slice, factor: float, is_first: bool) -> None:
        """Adds a block `[batch, frames, channels]` of a part; the first part has the terms of changes."""
        terms = self._terms
        error = predicted - target
        if self._padding is not None:
            error.masked_fill_(self._padding, 0.0)
        gradient = target
        if not factor:
            gradient.zero_()
        else:
            torch.clamp(error, -1 / factor, 1 / factor, out=gradient)
        if is_first and terms.readout is not None and self.projected.shape[-1]:
            centred = predicted - terms.readout.mean[part]
            self.projected += centred @ terms.readout.projection[part]
        changes = []
        if is_first and terms.velocity:
            change = error[:, 1:] - error[:, :-1]
            changes.append(self._add_change(change, change, self.velocity, terms.velocity))
        if is_first and terms.stillness and terms.still is not None:
            change = predicted[:, 1:] - predicted[:, :-1]
            changes.append(self._add_change(change, change * terms.still[part], self.stillness, terms.stillness))
        if factor:
            scale = factor * factor / self._channels
            # factor^2 (g e - g^2 / 2) with the clamped error g is the smooth L1 loss of both sides times the factor.
            values = error.sub_(gradient, alpha=0.5).mul_(gradient).sum(-1)
            self.smooth_l1.addcmul_(values, self._weights[..., 0], value=scale)
            gradient.mul_(self._weights * scale)
        for change in changes:
            gradient[:, 1:] += change
            gradient[:, :-1] -= change

    def _add_change(self, change: Tensor, weighted: Tensor, value: Tensor, weight: float) -> Tensor:
        """Adds the term of a change from frame to frame; returns its gradient."""
        width = self._terms.parts[0][0]
        if self._padding is not None:
            weighted = weighted.masked_fill(self._change_weights == 0, 0.0)
            change = change.masked_fill(self._change_weights == 0, 0.0)
        value.addcmul_((change * weighted).sum(-1), self._change_weights[..., 0], value=1 / width)
        return weighted * (self._change_weights * (2 * weight / width))
