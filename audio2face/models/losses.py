"""Brings losses of very different sizes to one size, by how large they have been lately."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional

_DECAY = 0.99
_SMALLEST_SCALE = 1e-8  # of what is raised to a power: at 0 the slope of a root has no bound

# The mean of a value over all processes of a training, each of which counts by its number of items.
Mean = Callable[[Tensor, int], Tensor]


class RunningLossNormalizer(nn.Module):
    """Divides a loss by a running root mean square of itself, the present value included; no gradient flows there.

    Values are taken in for the time being: `commit` keeps those of a step that changed the weights, `discard` forgets
    those of a step that was skipped. A value that is not finite is never taken in. The loss itself is then not finite
    either, by which the step is recognised, and the losses after it are divided as if it had not been.

    Args:
        mean: makes the same running value in all processes; None: there is one process.

    Attributes:
        squares: sum of squared values, older ones faded, of steps that changed the weights; float32 scalar.
        weight: sum of what the values count in it; float32 scalar.
    """

    squares: Tensor
    weight: Tensor
    _squares: Tensor
    _weight: Tensor

    def __init__(self, mean: Mean | None = None) -> None:
        super().__init__()
        self._mean = mean
        for name in ("squares", "weight"):
            self.register_buffer(name, torch.zeros(()))
            self.register_buffer(f"_{name}", torch.zeros(()), persistent=False)
        self.register_load_state_dict_post_hook(lambda module, _: module.discard())  # type: ignore[no-untyped-call]

    @torch.no_grad()
    def update(self, loss: Tensor, items: int = 1) -> Tensor:
        """Takes a value in until `commit` or `discard`; returns the root mean square.

        Args:
            loss: a scalar.
            items: number of items that it is the mean of; 0 where this process has none.
        """
        present = loss.detach() if self._mean is None else self._mean(loss.detach(), items)
        squares = self._squares * _DECAY + present.square()
        is_finite = squares.isfinite()
        self._squares.copy_(torch.where(is_finite, squares, self._squares))
        self._weight.copy_(torch.where(is_finite, self._weight * _DECAY + 1.0, self._weight))
        has_values = self._weight > 0
        return torch.where(has_values, (self._squares / self._weight).sqrt(), loss.detach().abs())

    def commit(self) -> None:
        """Keeps what was taken in since the last step."""
        self.squares.copy_(self._squares)
        self.weight.copy_(self._weight)

    def discard(self) -> None:
        """Forgets what was taken in since the last step."""
        self._squares.copy_(self.squares)
        self._weight.copy_(self.weight)

    def forward(self, loss: Tensor, exponent: float, items: int = 1) -> Tensor:
        """The loss divided by its running size, to a power, which fades it out as it goes from 1 to 0.

        Args:
            loss: a scalar, not negative.
            exponent: the power.
            items: see `update`.

        Returns:
            A scalar; not finite where the loss is not finite, whatever the exponent.
        """
        scaled = loss / (self.update(loss, items) + 1e-8)
        faded = scaled.clamp(min=_SMALLEST_SCALE) ** exponent
        return torch.where(loss.isfinite(), faded, loss)


_LEAST_SQUARE = 1e-12


_TIP = 1e-3  # of the length unit: where a distance stops counting as its square


@dataclass(frozen=True)
class Losses:
    """The loss that is minimised, and the terms it is made of, before they are weighted."""

    total: Tensor
    terms: dict[str, Tensor]


def frame_mean(frame_values: Tensor, lengths: Tensor | None = None) -> Tensor:
    """The mean over each item's frames, then over items.

    Args:
        per_frame: `[batch, frames]`; what stands in padding does not matter.
        lengths: see above. An item of no frames counts as 0.

    Returns:
        A scalar.
    """
    batch, frames = frame_values.shape
    if lengths is None:
        return frame_values.sum() / max(batch * frames, 1)
    valid = torch.arange(frames, device=frame_values.device) < lengths[:, None]
    return (frame_values.where(valid, 0).sum(dim=1) / lengths.clamp(min=1)).mean()


def velocity_loss(predicted: Tensor, true: Tensor, lengths: Tensor | None = None) -> Tensor:
    """The mean square of how the change from frame to frame differs from the true one.

    Args:
        predicted: `[batch, frames, values]`.
        true: likewise.
        lengths: see the module.
    """
    change = (predicted - true).diff(dim=1)
    return frame_mean(change.square().mean(dim=-1), _between(lengths))


def upper_face_smoothness_loss(predicted: Tensor, weights: Tensor, lengths: Tensor | None = None) -> Tensor:
    """The weighted mean square of the change from frame to frame, whatever the true one is.

    Args:
        predicted: `[batch, frames, verts * 3]`.
        weights: of each vertex, `[verts]`.
        lengths: see the module.
    """
    change = predicted.diff(dim=1)
    per_vertex = change.square().reshape(*change.shape[:2], len(weights), 3).mean(dim=-1)
    return frame_mean((per_vertex * weights).mean(dim=-1), _between(lengths))


def lip_distance_loss(
    predicted: Tensor,
    true: Tensor,
    exponent: float,
    item_weights: Tensor | None = None,
    lengths: Tensor | None = None,
) -> Tensor:
    """The mean square of the error in how far the lips are apart, fading where they truly are open.

    An error counts by exp(-exponent * true distance), applied before squaring; lips that overlap count as closed.

    Args:
        predicted: height of the upper above the lower lip at pairs of vertices, `[batch, frames, pairs]`.
        true: likewise.
        exponent: per unit of length; 0 weighs open and closed alike.
        item_weights: weight of each item, `[batch]`.
        lengths: see the module.
    """
    closeness = torch.exp(-exponent * true.clamp(min=0))
    per_frame = (closeness * (predicted - true)).square().mean(dim=-1)
    if item_weights is not None:
        per_frame = per_frame * item_weights[:, None]
    return frame_mean(per_frame, lengths)


def lip_size_loss(predicted: Tensor, true: Tensor, item_weights: Tensor | None = None) -> Tensor:
    """The mean square of the error in how thick a lip is.

    Args:
        predicted: height of the top above the bottom of the lip at pairs of vertices, `[batch, frames, pairs]`.
        true: likewise.
        item_weights: weight of each item, `[batch]`.
    """
    return lip_distance_loss(predicted, true, 0.0, item_weights)


def silence_smoothness_loss(predicted: Tensor, loudness: Tensor, exponent: float) -> Tensor:
    """The mean square of the change from frame to frame, fading with loudness.

    A change counts by exp(-exponent * loudness).

    Args:
        predicted: `[batch, frames, values]`.
        loudness: of each item, `[batch]`.
        exponent: per unit of loudness.
    """
    change = predicted.diff(dim=1).square().mean(dim=-1)
    return frame_mean(change * torch.exp(-exponent * loudness)[:, None])


def embedding_smoothness_loss(values: Tensor) -> Tensor:
    """The mean square of the change from frame to frame over the mean square of the values, `[batch, frames, values]`.

    Values that are all but zero count as still.
    """
    size = values.square().mean().clamp(min=_LEAST_SQUARE)
    return frame_mean(values.diff(dim=1).square().mean(dim=-1)) / size


def explained_variance(predicted: Tensor, true: Tensor) -> Tensor:
    """R2: 1 less the mean square error over the variance of the true values; 0 where they do not vary.

    Args:
        predicted: `[batch, frames, ...]`.
        true: likewise; its mean is taken over batch and frames.
    """
    variance = (true - true.mean(dim=(0, 1), keepdim=True)).square().mean()
    error = (predicted - true).square().mean()
    return torch.where(variance > 0, 1 - error / variance, 0.0)


def position_loss(predicted: Tensor, true: Tensor, lengths: Tensor | None = None) -> Tensor:
    """The mean distance of points from their true places; unlike its square, it is not ruled by the worst frames.

    Args:
        predicted: `[batch, frames, points, 3]`.
        true: likewise.
        lengths: see the module.
    """
    # Rounded at its tip, so that the gradient is defined where a point is in its place.
    distances = ((predicted - true).square().sum(dim=-1) + _TIP * _TIP).sqrt() - _TIP
    return frame_mean(distances.mean(dim=-1), lengths)


def upper_face_weights(face: Tensor, lower_lids: Tensor) -> Tensor:
    """How much each vertex belongs to the front of the face above the lower lids, from 0 to 1.

    The borders are soft, over a width that depends on the distance of the eyes; made for centimetres, y up, z forward.

    Args:
        face: a face at rest, `[verts, 3]`.
        lower_lids: a vertex of the lower lid of either eye, int64 `[2]`.

    Returns:
        `[verts]`.
    """
    lids = face[lower_lids]
    eye_distance = (lids[0] - lids[1]).norm()
    sharpness = eye_distance / 2
    above = torch.sigmoid(sharpness * (face[:, 1] - lids[:, 1].min()))
    in_front = torch.sigmoid(sharpness * (face[:, 2] - (lids[:, 2].mean() - eye_distance)))
    return above * in_front


def _between(lengths: Tensor | None) -> Tensor | None:
    """Number of steps between the frames of each item."""
    return None if lengths is None else (lengths - 1).clamp(min=0)


@dataclass(frozen=True)
class PhonemeTargets:
    """What is said in a batch, in one language.

    Attributes:
        items: the items of the batch that speak it, int64 `[items]`; not empty.
        probabilities: `[items, sequence, steps, phonemes]`.
    """

    items: Tensor
    probabilities: Tensor


def phoneme_loss(
    logits: Mapping[str, Tensor], targets: Mapping[str, PhonemeTargets], weights: Mapping[str, Tensor]
) -> Tensor:
    """The cross entropy of logits and probabilities, the mean over all steps of a language, summed over languages.

    Args:
        logits: `[batch, sequence, steps, phonemes]` by language.
        targets: of the languages that are spoken in the batch.
        weights: of each phoneme, `[phonemes]` by language.
    """
    losses = []
    for language, target in targets.items():
        said = logits[language].index_select(0, target.items).flatten(0, -2).float()
        losses.append(functional.cross_entropy(said, target.probabilities.flatten(0, -2), weights[language]))
    return _sum(losses, logits)


def phoneme_velocity_loss(
    logits: Mapping[str, Tensor], targets: Mapping[str, PhonemeTargets], *, as_reference: bool = False
) -> Tensor:
    """The mean square of how the change of probabilities from frame to frame differs, summed over languages.

    Args:
        logits: see `phoneme_loss`.
        targets: likewise.
        as_reference: compares the change of logits with that of probabilities.
    """
    losses = []
    for language, target in targets.items():
        said = logits[language].index_select(0, target.items).float()
        said = said if as_reference else torch.softmax(said, dim=-1)
        if said.shape[1] > 1:
            losses.append(functional.mse_loss(said.diff(dim=1), target.probabilities.diff(dim=1)))
    return _sum(losses, logits)


def _sum(losses: list[Tensor], logits: Mapping[str, Tensor]) -> Tensor:
    """The sum; of nothing, a 0 with a gradient of 0, so that every process of a training has one."""
    nothing = torch.stack([value.float().sum() for value in logits.values()]).sum() * 0.0
    return torch.stack([nothing, *losses]).sum()
