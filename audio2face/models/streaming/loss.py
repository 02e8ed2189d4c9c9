"""The losses of the streaming network, on coefficients and on the lips that they give.

Errors of coefficients count relative to their spread in the training data, so that skin, tongue, jaw and eyes weigh
alike; lips count in centimetres.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from audio2face.models.layers import ChannelSizes
from audio2face.models.losses import LipHeights, Losses, VertexPositions, frame_mean, lip_distance_loss, position_loss

_LEAST_SPREAD = 1e-3  # of a group of channels; one that never moves has none


@dataclass(frozen=True, kw_only=True)
class StreamingLossWeights:
    """The weights of the losses; None disables one.

    Attributes:
        mse: weight of the squared error of all channels, relative to their variance in each group.
        velocity: weight of the squared error of their change from frame to frame, in the same unit.
        lip_position: weight of the distance of the lip vertices from their target positions, in the mesh's unit.
        lip_distance: weight of the squared error in the distance between the lips, in the mesh's unit.
        lip_distance_exponent: decay of that error with the lips' true distance, per unit of length.
        tongue: factor on the tongue's errors in the first two.
        jaw: factor on the jaw's errors.
    """

    mse: float | None
    velocity: float | None
    lip_position: float | None
    lip_distance: float | None
    lip_distance_exponent: float
    tongue: float
    jaw: float


@dataclass(frozen=True)
class StreamingGeometry:
    """An actor's face and motion, as the losses use it.

    Attributes:
        mean: mean pose of the skin's PCA, `[verts, 3]`.
        components: its components, `[components, verts, 3]`.
        deviation: standard deviation of each channel in the training data, `[channels]`.
        lips: pairs of vertices of the upper and the lower lip, int64 `[2, pairs]`; None disables the lip losses.
        metric: turns differences of the skin's coefficients into distances (`geometry.pca.coefficient_metric`), float32
            `[components, components]`; None for orthonormal components.
        spread: with a metric, standard deviation of the skin in the training data, over all coordinates together,
            centimetres.
    """

    mean: Tensor
    components: Tensor
    deviation: Tensor
    lips: Tensor | None = None
    metric: Tensor | None = None
    spread: float = 0.0


class StreamingLoss(nn.Module):
    """The weighted sum of all losses; keeps the geometry of the actors' lips on the device.

    Args:
        sizes: channels of each group of a frame.
        weights: weights of the losses.
        faces: the geometry of each actor, in the order of the one-hot vectors.
    """

    def __init__(self, sizes: ChannelSizes, weights: StreamingLossWeights, faces: Sequence[StreamingGeometry]) -> None:
        super().__init__()
        self.faces = nn.ModuleList(_ActorTerms(face, sizes, weights) for face in faces)
        table = {
            "mse": weights.mse,
            "velocity": weights.velocity,
            "lip_position": weights.lip_position,
            "lip_dist": weights.lip_distance,
        }
        self._weights = {name: weight for name, weight in table.items() if weight}

    def forward(
        self,
        predicted: Tensor,
        target: Tensor,
        actors: Sequence[int],
        lengths: Tensor | None = None,
        valid: Tensor | None = None,
    ) -> Losses:
        """Computes the losses of a prediction, in float32 also under mixed precision.

        Args:
            predicted: `[batch, frames, channels]`.
            target: `[batch, frames, channels]`.
            actors: index of the actor of each item.
            lengths: valid frames of each item, before its padding, int64 `[batch]`; None: all.
            valid: mask of the channels with data, bool `[batch, channels]`; None: all. The others have no gradient.
        """
        if valid is not None:
            target = torch.where(valid[:, None], target, predicted.detach())
        with torch.autocast(predicted.device.type, enabled=False):
            terms = {name: self._term(name, predicted.float(), target, actors, lengths) for name in self._weights}
            total = torch.stack([weight * terms[name] for name, weight in self._weights.items()]).sum()
        return Losses(total, terms)

    def _term(
        self, name: str, predicted: Tensor, target: Tensor, actors: Sequence[int], lengths: Tensor | None
    ) -> Tensor:
        """A term, averaged over items, each with its own actor's geometry."""
        if len(set(actors)) == 1:
            return self._of_actor(actors[0], name)(predicted, target, lengths)
        values = [
            self._of_actor(actor, name)(
                predicted[item : item + 1],
                target[item : item + 1],
                None if lengths is None else lengths[item : item + 1],
            )
            for item, actor in enumerate(actors)
        ]
        return torch.stack(values).mean()

    def _of_actor(self, actor: int, name: str) -> Callable[[Tensor, Tensor, Tensor | None], Tensor]:
        face = self.faces[actor]
        assert isinstance(face, _ActorTerms)
        found: Callable[[Tensor, Tensor, Tensor | None], Tensor] = getattr(face, name)
        return found


class _ActorTerms(nn.Module):
    """The losses on one actor's face, by name."""

    factors: Tensor
    metric: Tensor | None

    def __init__(self, face: StreamingGeometry, sizes: ChannelSizes, weights: StreamingLossWeights) -> None:
        super().__init__()
        self._exponent = weights.lip_distance_exponent
        self._heights = None if face.lips is None else LipHeights(face.mean, face.components, face.lips)
        self._positions = None if face.lips is None else VertexPositions(face.mean, face.components, face.lips)
        self.register_buffer("metric", face.metric, persistent=False)
        deviations = list(sizes.split(face.deviation.float()))
        if face.metric is not None:  # every channel alike: their squares add up to that of the whole skin
            deviations[0] = torch.full_like(deviations[0], face.spread / len(deviations[0]) ** 0.5)
        parts = zip(deviations, (1.0, weights.tongue, weights.jaw, 1.0), strict=True)
        # What a squared error of each channel is multiplied by.
        factors = [
            torch.full_like(part, factor / max(float(part.square().sum()), _LEAST_SPREAD**2)) for part, factor in parts
        ]
        self.register_buffer("factors", torch.cat(factors), persistent=False)

    def mse(self, predicted: Tensor, target: Tensor, lengths: Tensor | None) -> Tensor:
        error = predicted - target
        if self.metric is not None:
            size = len(self.metric)
            error = torch.cat([error[..., :size] @ self.metric, error[..., size:]], dim=-1)
        return frame_mean((error.square() * self.factors).sum(dim=-1), lengths)

    def velocity(self, predicted: Tensor, target: Tensor, lengths: Tensor | None) -> Tensor:
        shorter = None if lengths is None else (lengths - 1).clamp(min=0)
        return self.mse(predicted.diff(dim=1), target.diff(dim=1), shorter)

    def lip_position(self, predicted: Tensor, target: Tensor, lengths: Tensor | None) -> Tensor:
        if self._positions is None:
            return predicted.new_zeros(())
        return position_loss(self._positions(predicted), self._positions(target), lengths)

    def lip_dist(self, predicted: Tensor, target: Tensor, lengths: Tensor | None) -> Tensor:
        if self._heights is None:
            return predicted.new_zeros(())
        heights = self._heights(predicted), self._heights(target)
        return lip_distance_loss(*heights, self._exponent, lengths=lengths)
