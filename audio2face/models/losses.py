"""Losses shared by the networks: lips, velocity, smoothness, positions, phonemes; and their running normalisation.

Tensors are `[batch, frames, ...]`. Every loss is a mean over an item's frames and then over items, so that a batch
counts like its items one by one, regardless of their lengths. `lengths`, where given, is the number of valid frames
of each item, before its padding, int64 `[batch]`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional

_DECAY = 0.99
_SMALLEST_SCALE = 1e-8  # least base of a power: at 0 the slope of a root is infinite

# Averages a value over all processes of a training, weighted by their numbers of items.
AllReduceMean = Callable[[Tensor, int], Tensor]


class RunningLossNormalizer(nn.Module):
    """Divides a loss by its running root mean square, the current value included; the divisor has no gradient.

    Updates are provisional: `commit` keeps those of a step that changed the weights, `discard` reverts those of a
    skipped step. Non-finite values are ignored in the running mean; the loss itself stays non-finite, which identifies
    the step to skip.

    Args:
        mean: averages a value over all processes; None: there is one process.

    Attributes:
        squares: exponentially weighted sum of squared values of committed steps; float32 scalar.
        weight: sum of the weights in it; float32 scalar.
    """

    squares: Tensor
    weight: Tensor
    _squares: Tensor
    _weight: Tensor

    def __init__(self, mean: AllReduceMean | None = None) -> None:
        super().__init__()
        self._mean = mean
        for name in ("squares", "weight"):
            self.register_buffer(name, torch.zeros(()))
            self.register_buffer(f"_{name}", torch.zeros(()), persistent=False)
        self.register_load_state_dict_post_hook(lambda module, _: module.discard())  # type: ignore[no-untyped-call]

    @torch.no_grad()
    def update(self, loss: Tensor, items: int = 1) -> Tensor:
        """Updates the running mean provisionally; returns the root mean square.

        Args:
            loss: a scalar.
            items: number of items that it averages; 0 where this process has none.
        """
        current = loss.detach() if self._mean is None else self._mean(loss.detach(), items)
        squares = self._squares * _DECAY + current.square()
        is_finite = squares.isfinite()
        self._squares.copy_(torch.where(is_finite, squares, self._squares))
        self._weight.copy_(torch.where(is_finite, self._weight * _DECAY + 1.0, self._weight))
        has_values = self._weight > 0
        return torch.where(has_values, (self._squares / self._weight).sqrt(), loss.detach().abs())

    def commit(self) -> None:
        """Keeps the updates since the last step."""
        self.squares.copy_(self._squares)
        self.weight.copy_(self._weight)

    def discard(self) -> None:
        """Reverts the updates since the last step."""
        self._squares.copy_(self.squares)
        self._weight.copy_(self.weight)

    def forward(self, loss: Tensor, exponent: float, items: int = 1) -> Tensor:
        """Normalises a loss and raises it to a power, which anneals it as the exponent falls from 1 to 0.

        Args:
            loss: a scalar of 0 or more.
            exponent: the power.
            items: number of items that the loss averages; 0 where this process has none.

        Returns:
            A scalar; non-finite wherever the loss is, for every exponent.
        """
        scaled = loss / (self.update(loss, items) + 1e-8)
        annealed = scaled.clamp(min=_SMALLEST_SCALE) ** exponent
        return torch.where(loss.isfinite(), annealed, loss)


_SMALLEST_MEAN_SQUARE = 1e-12
_ROUNDED_TIP = 1e-3  # in length units: below it a distance counts about quadratically


@dataclass(frozen=True)
class Losses:
    """The total loss and its unweighted terms, by name."""

    total: Tensor
    terms: dict[str, Tensor]


def frame_mean(frame_values: Tensor, lengths: Tensor | None = None) -> Tensor:
    """Averages over each item's frames, then over items.

    Args:
        frame_values: `[batch, frames]`; padding is ignored.
        lengths: valid frames of each item; an item of length 0 counts as 0.

    Returns:
        A scalar.
    """
    batch, frames = frame_values.shape
    if lengths is None:
        return frame_values.sum() / max(batch * frames, 1)
    valid = torch.arange(frames, device=frame_values.device) < lengths[:, None]
    return (frame_values.where(valid, 0).sum(dim=1) / lengths.clamp(min=1)).mean()


def velocity_loss(predicted: Tensor, target: Tensor, lengths: Tensor | None = None) -> Tensor:
    """Computes the mean squared error of the velocity, the difference between consecutive frames.

    Args:
        predicted: `[batch, frames, channels]`.
        target: `[batch, frames, channels]`.
        lengths: valid frames of each item.
    """
    change = (predicted - target).diff(dim=1)
    return frame_mean(change.square().mean(dim=-1), _difference_lengths(lengths))


def upper_face_smoothness_loss(predicted: Tensor, weights: Tensor, lengths: Tensor | None = None) -> Tensor:
    """Computes the weighted mean square of the predicted velocity; it needs no target.

    Args:
        predicted: `[batch, frames, verts * 3]`.
        weights: of each vertex, `[verts]`.
        lengths: valid frames of each item.
    """
    change = predicted.diff(dim=1)
    per_vertex = change.square().reshape(*change.shape[:2], len(weights), 3).mean(dim=-1)
    return frame_mean((per_vertex * weights).mean(dim=-1), _difference_lengths(lengths))


def lip_distance_loss(
    predicted: Tensor,
    target: Tensor,
    exponent: float,
    item_weights: Tensor | None = None,
    lengths: Tensor | None = None,
) -> Tensor:
    """Computes the mean squared error of the distance between the lips, weighted towards closed lips.

    An error is weighted by exp(-exponent * target distance) before squaring; overlapping lips count as closed.

    Args:
        predicted: height of the upper above the lower lip at pairs of vertices, `[batch, frames, pairs]`.
        target: `[batch, frames, pairs]`.
        exponent: per unit of length; 0 weights open and closed lips equally.
        item_weights: weight of each item, `[batch]`.
        lengths: valid frames of each item.
    """
    closeness = torch.exp(-exponent * target.clamp(min=0))
    per_frame = (closeness * (predicted - target)).square().mean(dim=-1)
    if item_weights is not None:
        per_frame = per_frame * item_weights[:, None]
    return frame_mean(per_frame, lengths)


def lip_size_loss(predicted: Tensor, target: Tensor, item_weights: Tensor | None = None) -> Tensor:
    """Computes the mean squared error of the thickness of a lip.

    Args:
        predicted: height of the top above the bottom of the lip at pairs of vertices, `[batch, frames, pairs]`.
        target: `[batch, frames, pairs]`.
        item_weights: weight of each item, `[batch]`.
    """
    return lip_distance_loss(predicted, target, 0.0, item_weights)


def silence_smoothness_loss(predicted: Tensor, loudness: Tensor, exponent: float) -> Tensor:
    """Computes the mean square of the predicted velocity, weighted towards silence by exp(-exponent * loudness).

    Args:
        predicted: `[batch, frames, channels]`.
        loudness: of each item, `[batch]`.
        exponent: per unit of loudness.
    """
    change = predicted.diff(dim=1).square().mean(dim=-1)
    return frame_mean(change * torch.exp(-exponent * loudness)[:, None])


def embedding_smoothness_loss(values: Tensor) -> Tensor:
    """Computes the mean squared velocity of embeddings `[batch, frames, width]`, relative to their mean square.

    The mean square is clamped from below, so that embeddings near zero give a loss near zero.
    """
    size = values.square().mean().clamp(min=_SMALLEST_MEAN_SQUARE)
    return frame_mean(values.diff(dim=1).square().mean(dim=-1)) / size


def explained_variance(predicted: Tensor, target: Tensor) -> Tensor:
    """Computes R2: 1 minus the mean squared error over the variance of the target; 0 for a constant target.

    Args:
        predicted: `[batch, frames, ...]`.
        target: `[batch, frames, ...]`; its mean is taken over batch and frames.
    """
    variance = (target - target.mean(dim=(0, 1), keepdim=True)).square().mean()
    error = (predicted - target).square().mean()
    return torch.where(variance > 0, 1 - error / variance, 0.0)


def position_loss(predicted: Tensor, target: Tensor, lengths: Tensor | None = None) -> Tensor:
    """Computes the mean distance of points from their target positions, which outliers dominate less than its square.

    Args:
        predicted: `[batch, frames, points, 3]`.
        target: `[batch, frames, points, 3]`.
        lengths: valid frames of each item.
    """
    # Rounded near 0, so that the gradient is defined for a point on its target.
    distances = ((predicted - target).square().sum(dim=-1) + _ROUNDED_TIP * _ROUNDED_TIP).sqrt() - _ROUNDED_TIP
    return frame_mean(distances.mean(dim=-1), lengths)


def upper_face_weights(face: Tensor, lower_lids: Tensor) -> Tensor:
    """Computes soft vertex weights of the front of the face above the lower lids, from 0 to 1.

    The width of the transition depends on the distance between the eyes. Expects centimetres, y up, z forward.

    Args:
        face: a neutral face, `[verts, 3]`.
        lower_lids: a vertex of the lower lid of each eye, int64 `[2]`.

    Returns:
        `[verts]`.
    """
    lids = face[lower_lids]
    eye_distance = (lids[0] - lids[1]).norm()
    sharpness = eye_distance / 2
    above = torch.sigmoid(sharpness * (face[:, 1] - lids[:, 1].min()))
    in_front = torch.sigmoid(sharpness * (face[:, 2] - (lids[:, 2].mean() - eye_distance)))
    return above * in_front


def _difference_lengths(lengths: Tensor | None) -> Tensor | None:
    """Counts the differences between consecutive frames of each item."""
    return None if lengths is None else (lengths - 1).clamp(min=0)


class LipHeights(nn.Module):
    """Computes the height of one vertex above the other: coefficients `[..., channels]` to `[..., pairs]`.

    Args:
        mean: mean pose of the PCA, `[verts, 3]`.
        components: PCA components, `[components, verts, 3]`; their coefficients are the first channels.
        pairs: upper and lower vertices, int64 `[2, pairs]`.
    """

    components: Tensor
    mean: Tensor

    def __init__(self, mean: Tensor, components: Tensor, pairs: Tensor) -> None:
        super().__init__()
        upper, lower = pairs
        components, mean = components.float(), mean.float()
        self.register_buffer("components", components[:, upper, 1] - components[:, lower, 1], persistent=False)
        self.register_buffer("mean", mean[upper, 1] - mean[lower, 1], persistent=False)

    def forward(self, values: Tensor) -> Tensor:
        """The heights."""
        return values[..., : len(self.components)] @ self.components + self.mean


class VertexPositions(nn.Module):
    """Computes vertex positions: coefficients `[..., channels]` to `[..., points, 3]`.

    Args:
        mean: mean pose of the PCA, `[verts, 3]`.
        components: PCA components, `[components, verts, 3]`; their coefficients are the first channels.
        vertices: the points, int64 of any shape.
    """

    components: Tensor
    mean: Tensor

    def __init__(self, mean: Tensor, components: Tensor, vertices: Tensor) -> None:
        super().__init__()
        points = vertices.flatten()
        self.register_buffer("components", components.float()[:, points].flatten(1), persistent=False)
        self.register_buffer("mean", mean.float()[points].flatten(), persistent=False)

    def forward(self, values: Tensor) -> Tensor:
        """The positions."""
        positions = values[..., : len(self.components)] @ self.components + self.mean
        return positions.reshape(*values.shape[:-1], -1, 3)


@dataclass(frozen=True)
class PhonemeTargets:
    """The target phonemes of a batch in one language.

    Attributes:
        items: indices of the batch's items in this language, int64 `[items]`; at least one.
        probabilities: `[items, sequence, steps, phonemes]`.
    """

    items: Tensor
    probabilities: Tensor


def phoneme_loss(
    logits: Mapping[str, Tensor], targets: Mapping[str, PhonemeTargets], weights: Mapping[str, Tensor]
) -> Tensor:
    """Computes the cross entropy with target probabilities, the mean of a language's steps, summed over languages.

    Args:
        logits: `[batch, sequence, steps, phonemes]` by language.
        targets: of the languages in the batch.
        weights: of each phoneme, `[phonemes]` by language; silence may have its own.
    """
    losses = []
    for language, target in targets.items():
        predicted = logits[language].index_select(0, target.items).flatten(0, -2).float()
        losses.append(functional.cross_entropy(predicted, target.probabilities.flatten(0, -2), weights[language]))
    return _sum_or_zero(losses, logits)


def phoneme_velocity_loss(
    logits: Mapping[str, Tensor], targets: Mapping[str, PhonemeTargets], *, as_reference: bool = False
) -> Tensor:
    """Computes the mean squared error of the velocity of phoneme probabilities, summed over languages.

    Args:
        logits: `[batch, sequence, steps, phonemes]` by language.
        targets: of the languages in the batch.
        as_reference: uses the velocity of logits instead of predicted probabilities, like the reference.
    """
    losses = []
    for language, target in targets.items():
        predicted = logits[language].index_select(0, target.items).float()
        predicted = predicted if as_reference else torch.softmax(predicted, dim=-1)
        if predicted.shape[1] > 1:
            losses.append(functional.mse_loss(predicted.diff(dim=1), target.probabilities.diff(dim=1)))
    return _sum_or_zero(losses, logits)


def _sum_or_zero(losses: list[Tensor], logits: Mapping[str, Tensor]) -> Tensor:
    """Sums losses; an empty sum is 0 with a gradient of 0, so that every process has a gradient to all-reduce."""
    zero = torch.stack([value.float().sum() for value in logits.values()]).sum() * 0.0
    return torch.stack([zero, *losses]).sum()
