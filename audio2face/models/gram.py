"""Losses of whole faces as quadratic forms: what training needs of the last layers is a few small matrices.

The error of a frame is linear in a short vector. With the last layer's input `h`, the target's coefficients `c` of the
shapes `S`, and `g`, its bias and all else that is constant::

    error = A z,    A = [W, g, S^T] [channels, terms],    z = [h, 1, -c] [terms]

While every |error| stays below the linear range of the smooth L1 loss, all terms on whole faces are quadratic forms of
z: the loss of a frame is z^T (A^T A) z / 2, its gradient of h are rows of (A^T A) z, and the gradient of W over all
frames is A (sum of z h^T). `A^T A` belongs to the weights and is computed once an update of them, and the sum is
multiplied by A once an update, so that no product depends on the number of frames times the number of channels.

`GramLosses.applies` proves beforehand that no error of a batch can reach the linear range, by norms (|w h| <= |w| |h|):
results are those of the long way (`models.wide`) up to rounding. Sums over channels and frames that cancel are kept in
float64. Under autocast only the gradient of W is made of products in bfloat16, in whose rounding losses would be lost.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from audio2face.models.layers import full_precision
from audio2face.models.shaped_targets import Shapes
from audio2face.models.wide import FaceTerms, Readout, Workspace, add_product, frame_weights, operand

_BLOCK_ROWS = 2048  # channels, whose weights stay in the processor's cache
_DEVICE_BLOCK_ROWS = 1 << 15
_CHUNKS = 4  # of a symmetric product, of which those below the diagonal are spared
_NEGLIGIBLE = 1e-8  # weight of a channel relative to the largest
_LINEAR_RANGE = 0.999  # share of it that a bound may reach, whatever its rounding


class GramLosses:
    """Trains the last layers of a network on quadratic losses.

    Args:
        layers: the last layer of each wide part, whose `.grad` gets no gradient until `finish`.
        shapes: for each actor, those of each part.
        workspace: keeps the memory of gradients.
    """

    def __init__(self, layers: Sequence[nn.Linear], shapes: Sequence[Sequence[Shapes]], workspace: Workspace) -> None:
        self._layers, self._shapes, self._workspace = layers, shapes, workspace
        self._weights = [_LayerGram(layer) for layer in layers]
        self._parts: dict[tuple[int, int], _Part] = {}
        self._low = False

    def applies(
        self, terms: FaceTerms, actor: int, hidden: Sequence[Tensor], targets: Sequence[Tensor], lengths: Tensor | None
    ) -> bool:
        """Whether no error of items of one actor can reach the linear range of the smooth L1 loss.

        Args:
            terms: the losses.
            actor: index of the actor.
            hidden: inputs of the last layers, `[batch, frames, width]`.
            targets: coefficients of each part, `[batch, frames, shapes]`.
            lengths: valid frames of each item; None: all.
        """
        batch, frames = hidden[0].shape[:2]
        valid = None if lengths is None else frame_weights(batch, frames, lengths, hidden[0].device) > 0
        for index, (values, coefficients) in enumerate(zip(hidden, targets, strict=True)):
            factor = terms.parts[index][1]
            if (
                factor
                and not self._part(terms, actor, index).bound(values, coefficients, valid) < _LINEAR_RANGE / factor
            ):
                return False
        return True

    def compute(
        self,
        terms: FaceTerms,
        actor: int,
        hidden: Sequence[Tensor],
        targets: Sequence[Tensor],
        lengths: Tensor | None,
        low: bool = False,
    ) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        """Computes the terms of the wide parts; arguments as for `applies`, which must hold.

        Args:
            low: makes the products of `finish` in bfloat16.

        Returns:
            As `FaceTerms.compute`: the weighted sum, the terms before their weights, projection, and columns.
        """
        self._low = low
        found = []
        with full_precision(hidden[0].device.type):
            for index, (values, coefficients) in enumerate(zip(hidden, targets, strict=True)):
                part = self._part(terms, actor, index)
                found.append(_QuadraticLoss.apply(part, values.float(), coefficients, lengths))  # type: ignore[no-untyped-call]
        return (found[0][0] + found[1][0], found[0][1] + found[1][1], *found[0][2:])

    def targets(self, actor: int, coefficients: Tensor, columns: Tensor) -> Tensor:
        """Single channels of the first part's targets, `[batch, frames, columns]`.

        Args:
            actor: index of the actor.
            coefficients: `[batch, frames, shapes]`.
            columns: int64 `[columns]`.
        """
        shapes = self._shapes[actor][0]
        selected = shapes.components[:, columns]
        return coefficients[..., : len(selected)] @ selected + shapes.mean[columns]

    def finish(self) -> None:
        """Adds the gradients of weights and biases since the last call to `.grad`; what belongs to the weights ends."""
        for index, gram in enumerate(self._weights):
            parts = [part for (_, of), part in self._parts.items() if of == index and part.has_gradient]
            if parts:
                _add_gradients(gram.layer, parts, self._workspace, self._low)
        self.clear()

    def clear(self) -> None:
        """Drops gradients, and what belongs to the present weights."""
        for gram in self._weights:
            gram.clear()
        for part in self._parts.values():
            part.clear()

    def _part(self, terms: FaceTerms, actor: int, index: int) -> _Part:
        part = self._parts.get((actor, index))
        if part is None:
            shapes = self._shapes[actor][index]
            part = self._parts[actor, index] = _Part(self._weights[index], shapes, terms, index)
        return part


def is_shorter(frames: float, width: int, shapes: int) -> bool:
    """Whether updates of this many frames have fewer operations as quadratic forms.

    Args:
        frames: of an update of the weights.
        width: of the last layer's input.
        shapes: coefficients of a target.
    """
    quadratic = width * (2.5 * width + 2 * shapes)  # Gram matrices, stillness on half a face, and the gradient
    return frames * 1.2 * (3 * width + shapes) > quadratic  # three products and the target, and passes over them


def _rows(weight: Tensor) -> Iterator[slice]:
    size = _BLOCK_ROWS if weight.device.type == "cpu" else _DEVICE_BLOCK_ROWS
    for start in range(0, len(weight), size):
        yield slice(start, min(start + size, len(weight)))


def _add_gram(total: Tensor, rows: Tensor, weights: Tensor | None = None) -> None:
    """Adds the upper triangle of `rows^T diag(weights) rows` to `total`, float64 `[width, width]`."""
    right = rows if weights is None else rows * weights[:, None]
    size = -(-len(total) // _CHUNKS)
    for start in range(0, len(total), size):
        total[start : start + size, start:] += rows[:, start : start + size].t() @ right[:, start:]


def _mirrored(upper: Tensor) -> Tensor:
    return upper.triu() + upper.triu(1).t()


class _LayerGram:
    """What belongs to the present weights of a layer, whatever the actor; computed when it is first asked for."""

    def __init__(self, layer: nn.Linear) -> None:
        self.layer = layer
        self._products: Tensor | None = None
        self._norms: Tensor | None = None

    @property
    def products(self) -> Tensor:
        """`W^T W`, float64 `[width, width]`."""
        if self._products is None:
            weight = self.layer.weight.detach()
            total = weight.new_zeros(weight.shape[1], weight.shape[1], dtype=torch.float64)
            for block in _rows(weight):
                _add_gram(total, weight[block])
            self._products = _mirrored(total)
        return self._products

    @property
    def norms(self) -> Tensor:
        """Of the rows of W, `[channels]`."""
        if self._norms is None:
            self._norms = self.layer.weight.detach().norm(dim=1)
        return self._norms

    def clear(self) -> None:
        self._products = self._norms = None


@dataclass(frozen=True)
class _Forms:
    """The matrices of a part and the present weights, float64.

    Attributes:
        errors: `A^T A`, `[terms, terms]`.
        still: `W^T diag(still) W`, `[width, width]`; None where there is no such loss.
        projection: of the readout, `[width + 1, pairs]`.
    """

    errors: Tensor
    still: Tensor | None
    projection: Tensor


class _Part:
    """A wide part of an actor: its quadratic forms, and the gradients that wait for `finish`."""

    def __init__(self, weights: _LayerGram, shapes: Shapes, terms: FaceTerms, index: int) -> None:
        self._gram, self.shapes = weights, shapes
        self.channels = sum(width for width, _ in terms.parts)
        self.width, self.factor = terms.parts[index]
        first = index == 0
        self.velocity = terms.velocity if first else 0.0
        self.stillness = terms.stillness if first and terms.still is not None else 0.0
        self.readout: Readout | None = terms.readout if first else None
        self._constant = shapes.offset - shapes.mean
        self._shape_norms = shapes.components.norm(dim=0)
        own = shapes.components.new_zeros(len(shapes.components), len(shapes.components), dtype=torch.float64)
        for block in _rows(shapes.components.t()):
            _add_gram(own, shapes.components[:, block].t())
        self._shape_products = _mirrored(own)
        if self.stillness:
            assert terms.still is not None
            self.still_rows = (terms.still > _NEGLIGIBLE * terms.still.max()).nonzero()[:, 0]
            self.still = terms.still[self.still_rows]
        self.clear()

    def clear(self) -> None:
        """Drops gradients and forms."""
        self._forms: _Forms | None = None
        self.has_gradient = False
        zero = self._shape_products.new_zeros(())
        self.outer = zero  # A times it is the gradient of [W, bias], [terms, width + 1]
        self.still_outer = zero  # diag(still) W times it is one of W, [width, width]
        self.projected = zero  # projection times it is one of [W, bias], [pairs, width + 1]
        self.columns = zero  # rows of a gradient of [W, bias], [columns, width + 1]

    @property
    def layer(self) -> nn.Linear:
        """Its layer."""
        return self._gram.layer

    @property
    def constant(self) -> Tensor:
        """The column g, `[channels]`."""
        return self.layer.bias.detach() + self._constant

    def bound(self, hidden: Tensor, coefficients: Tensor, valid: Tensor | None) -> float:
        """A number that no absolute error of valid frames exceeds; NaN where values are not finite."""
        sizes = [values.detach().float().norm(dim=-1) for values in (hidden, coefficients)]
        if valid is not None:
            sizes = [size * valid[..., 0] for size in sizes]
        longest = [size.max() for size in sizes]
        bounds = self.constant.abs() + longest[0] * self._gram.norms + longest[1] * self._shape_norms
        return float(bounds.max())

    def forms(self) -> _Forms:
        """The quadratic forms of the present weights."""
        if self._forms is None:
            self._forms = _Forms(self._errors(), self._still() if self.stillness else None, self._projection())
        return self._forms

    def _errors(self) -> Tensor:
        weight, components, constant = self.layer.weight.detach(), self.shapes.components, self.constant
        width = weight.shape[1]
        terms = width + 1 + len(components)
        found = weight.new_zeros(terms, terms, dtype=torch.float64)
        for block in _rows(weight):
            part, shapes, column = weight[block], components[:, block], constant[block]
            found[width + 1 :, :width] += shapes @ part
            found[width, :width] += column @ part
            found[width, width] += column @ column
            found[width + 1 :, width] += shapes @ column
        found += found.tril(-1).t()
        found[:width, :width] = self._gram.products
        found[width + 1 :, width + 1 :] = self._shape_products
        return found

    def _still(self) -> Tensor:
        weight = self.layer.weight.detach()
        total = weight.new_zeros(weight.shape[1], weight.shape[1], dtype=torch.float64)
        for block in _rows(self.still_rows[:, None]):
            _add_gram(total, weight[self.still_rows[block]], self.still[block])
        return _mirrored(total)

    def _projection(self) -> Tensor:
        weight, read = self.layer.weight.detach(), self.readout
        pairs = 0 if read is None else read.projection.shape[1]
        found = weight.new_zeros(weight.shape[1] + 1, pairs, dtype=torch.float64)
        if read is not None and pairs:
            centred = self.layer.bias.detach() + self.shapes.offset - read.mean
            for block in _rows(weight):
                found[:-1] += weight[block].t() @ read.projection[block]
                found[-1] += centred[block] @ read.projection[block]
        return found


def _extended(hidden: Tensor) -> Tensor:
    """`[h, 1]` in float64."""
    return torch.cat([hidden.double(), hidden.new_ones(*hidden.shape[:-1], 1, dtype=torch.float64)], dim=-1)


def _gather_changes(changes: Tensor) -> Tensor:
    """The transpose of the change from frame to frame: `[batch, frames - 1, terms]` to `[batch, frames, terms]`."""
    zero = changes.new_zeros(len(changes), 1, changes.shape[-1])
    return torch.cat([zero, changes], dim=1) - torch.cat([changes, zero], dim=1)


class _QuadraticLoss(torch.autograd.Function):
    """The losses of a part, whose gradients of weights are kept for `GramLosses.finish`."""

    @staticmethod
    def forward(ctx: Any, part: _Part, hidden: Tensor, coefficients: Tensor, lengths: Tensor | None) -> Any:
        forms, device = part.forms(), hidden.device
        batch, frames = hidden.shape[:2]
        own = _extended(hidden)
        shaped = coefficients[..., : len(part.shapes.components)]
        terms = torch.cat([own, -shaped.double()], dim=-1)
        images = terms @ forms.errors
        weights = frame_weights(batch, frames, lengths, device) * (part.factor**2 / part.channels)
        later = None if lengths is None else (lengths - 1).clamp(min=0)
        changing = frame_weights(batch, max(frames - 1, 0), later, device) * (2 / part.width)
        outer, gradient = weights * terms, weights * images
        values = [(gradient * terms).sum() / 2, own.new_zeros(()), own.new_zeros(())]
        if part.velocity:
            change, image = terms.diff(dim=1), changing * images.diff(dim=1)
            values[1] = (change * image).sum() / 2
            outer += part.velocity * _gather_changes(changing * change)
            gradient += part.velocity * _gather_changes(image)
        gradient = gradient[..., : hidden.shape[-1]]
        still_outer = None
        if forms.still is not None:
            change = changing * own[..., :-1].diff(dim=1)
            still_outer = part.stillness * _gather_changes(change)
            image = still_outer @ forms.still
            values[2] = (own[..., :-1] * image).sum() / (2 * part.stillness)
            gradient = gradient + image
        read = part.readout
        columns = own.new_zeros(batch, frames, 0)
        if read is not None:
            rows = torch.cat([part.layer.weight[read.columns], _column_offsets(part, read)[:, None]], dim=1)
            columns = own @ rows.t().double()
        ctx.part, ctx.kept = part, (own, outer, gradient, still_outer)
        terms_found = torch.stack(values)
        total = terms_found @ terms_found.new_tensor([1.0, part.velocity, part.stillness])
        ctx.mark_non_differentiable(terms_found)
        found = (total, terms_found, own @ forms.projection, columns)
        return tuple(value.float() for value in found)

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> Any:
        part, (own, outer, gradient, still_outer) = ctx.part, ctx.kept
        scale, _, projected, columns = (value.double() for value in grads)
        rows = own.flatten(0, 1)
        found = scale * gradient
        part.has_gradient = True
        part.outer = part.outer + scale * (outer.flatten(0, 1).t() @ rows)
        if still_outer is not None:
            part.still_outer = part.still_outer + scale * (still_outer.flatten(0, 1).t() @ rows[:, :-1])
        read = part.readout
        if read is not None:
            found = found + projected @ part.forms().projection[:-1].t()
            found = found + columns @ part.layer.weight.detach()[read.columns].double()
            part.projected = part.projected + projected.flatten(0, 1).t() @ rows
            part.columns = part.columns + columns.flatten(0, 1).t() @ rows
        return None, found.float(), None, None


def _column_offsets(part: _Part, read: Readout) -> Tensor:
    return part.layer.bias.detach()[read.columns] + part.shapes.offset[read.columns]


def _add_gradients(layer: nn.Linear, parts: Sequence[_Part], workspace: Workspace, low: bool) -> None:
    """Multiplies what the parts of all actors gathered by A, block by block of channels, and adds it to `.grad`."""
    weight = layer.weight.detach()
    width = weight.shape[1]
    shared = operand(torch.stack([part.outer[:width] for part in parts]).sum(0).float(), low)
    target, beta = workspace.add_gradient(layer.weight)
    bias = torch.empty_like(layer.bias)
    gathered = [_Gathered(part, low) for part in parts]
    for block in _rows(weight):
        found = (operand(weight[block], low) @ shared).float()
        for one in gathered:
            one.add(found, block)
        if beta:
            target[block] += found[:, :-1]
        else:
            target[block] = found[:, :-1]
        bias[block] = found[:, -1]
    for one in gathered:
        one.add_columns(target, bias)
    layer.bias.grad = bias if layer.bias.grad is None else layer.bias.grad.add_(bias)


class _Gathered:
    """The gradients that a part gathered, beside those that go through the layer's weights alone, in float32."""

    def __init__(self, part: _Part, low: bool) -> None:
        self._low = low
        width = part.layer.weight.shape[1]
        self._part, self._constant = part, part.constant
        self._outer_constant, self._outer_shapes = (
            part.outer[width].float(),
            operand(part.outer[width + 1 :].float(), low),
        )
        self._weight, self._read = part.layer.weight.detach(), part.readout
        if part.stillness:
            self._still_outer = operand(part.still_outer.float(), low)
            still = torch.zeros_like(self._constant).index_copy_(0, part.still_rows, part.still)
            self._still = still[:, None]
        if self._read is not None:
            self._projected, self._columns = part.projected.float(), part.columns.float()

    def add(self, found: Tensor, block: slice) -> None:
        """Adds the gradient of a block of channels to `[channels, width + 1]`, of weights and bias."""
        part, read = self._part, self._read
        add_product(found, operand(part.shapes.components[:, block].t(), self._low), self._outer_shapes)
        found.addr_(self._constant[block], self._outer_constant)
        if part.stillness:
            rows = self._still[block, 0].nonzero()[:, 0]
            if len(rows):
                moved = operand(self._weight[block][rows], self._low) @ self._still_outer
                found[:, :-1].index_add_(0, rows, self._still[block][rows] * moved)
        if read is not None and read.projection.shape[1]:
            found.addmm_(read.projection[block], self._projected)

    def add_columns(self, target: Tensor, bias: Tensor) -> None:
        """Adds the gradient of the single channels."""
        if self._read is not None and len(self._read.columns):
            target.index_add_(0, self._read.columns, self._columns[:, :-1])
            bias.index_add_(0, self._read.columns, self._columns[:, -1])
