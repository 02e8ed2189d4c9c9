"""The losses of the diffusion network: the denoising loss on all channels, and additional losses on the skin.

They work on normalised animation `[batch, frames, channels]` and on the geometry of each actor's face.

Usage::

    loss_fn = DiffusionLoss(sizes, DiffusionLossWeights(...), [ActorGeometry(...), ...])
    noisy = add_noise(schedule, target, steps, noise)
    predicted = network(noisy, original_timesteps(schedule, steps), audio, actor, emotion)
    loss_fn(predicted, target, actors).total.backward()
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional

from audio2face.models.gram import GramLosses
from audio2face.models.layers import ChannelSizes, ChannelSlices
from audio2face.models.losses import (
    Losses,
    frame_mean,
    lip_distance_loss,
    position_loss,
    upper_face_smoothness_loss,
    upper_face_weights,
    velocity_loss,
)
from audio2face.models.shaped_targets import ShapedTargets
from audio2face.models.wide import FaceOutputs, FaceTerms, Readout


@dataclass(frozen=True)
class DiffusionLossWeights:
    """The weights of the losses; None or 0 disables one.

    Attributes:
        tongue: factor on the tongue's channels in the denoising loss, applied before small errors are squared.
        jaw: factor on the jaw's channels, applied in the same way.
        lip_distance: weight of the error in the distance between the lips.
        lip_distance_exponent: decay of that error with the lips' true distance, per unit of length.
        velocity: weight of the error in the skin's velocity, in normalised channels.
        upper_face_smoothness: weight of all motion of the upper face, in normalised channels.
        lip_position: weight of the distance of the lip vertices from their target positions, in the mesh's unit.
    """

    tongue: float
    jaw: float
    lip_distance: float | None
    lip_distance_exponent: float
    velocity: float | None
    upper_face_smoothness: float | None
    lip_position: float | None = None


@dataclass(frozen=True)
class ActorGeometry:
    """An actor's skin, as the additional losses use it.

    Attributes:
        scale: divisor of the skin's normalisation.
        translate: offset that normalisation subtracts before it divides, `[3]`.
        mean: mean pose of the PCA, `[verts, 3]`.
        components: orthonormal PCA components, or blend shapes, `[components, verts, 3]`; actors may differ in their
            number.
        lips: pairs of vertices of the upper and the lower lip, int64 `[2, pairs]`; None disables the lip losses.
        lower_lids: a vertex of the lower lid of each eye, int64 `[2]`; None disables upper-face smoothness.
        dual: takes offsets to coefficients (`geometry.pca.dual_components`), `[components, verts, 3]`; None: the
            components themselves.
    """

    scale: float
    translate: Tensor
    mean: Tensor
    components: Tensor
    lips: Tensor | None = None
    lower_lids: Tensor | None = None
    dual: Tensor | None = None


class DiffusionLoss(nn.Module):
    """The weighted sum of all losses; keeps the geometry of the actors' faces on the device.

    Args:
        sizes: channels of each group of a frame.
        weights: weights of the losses.
        faces: the geometry of each actor, in the order of the one-hot vectors.

    Attributes:
        gram: trains the last layers where losses are quadratic (`of_outputs`); None: whole faces are always made.
    """

    def __init__(self, sizes: ChannelSizes, weights: DiffusionLossWeights, faces: Sequence[ActorGeometry]) -> None:
        super().__init__()
        self.sizes = sizes
        self.weights = weights
        self.faces = nn.ModuleList(_ActorTerms(face) for face in faces)
        self.gram: GramLosses | None = None
        table: list[tuple[str, float | None, _Term]] = [
            ("diffusion", 1.0, self._diffusion),
            ("lip_dist", weights.lip_distance, self._lip_distance),
            ("lip_position", weights.lip_position, self._lip_position),
            ("velocity", weights.velocity, self._velocity),
            ("expression_smooth", weights.upper_face_smoothness, self._upper_face_smoothness),
        ]
        self._terms = [(name, weight, term) for name, weight, term in table if weight]

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
            # Split once: each split of the prediction costs a tensor of its full size in the backward pass.
            slices, target_slices = self.sizes.split(predicted.float()), self.sizes.split(target.float())
            terms = {name: term(slices, target_slices, actors, lengths) for name, _, term in self._terms}
            total = torch.stack([weight * terms[name] for name, weight, _ in self._terms]).sum()
        return Losses(total, terms)

    def fused(
        self,
        predicted: Tensor,
        target: Tensor,
        actors: Sequence[int],
        lengths: Tensor | None = None,
        valid: Tensor | None = None,
    ) -> Losses:
        """Computes the losses of `forward` in one pass over whole faces, in the memory of `target`, for training.

        Args:
            predicted: as for `forward`.
            target: as for `forward`; undefined afterwards.
            actors: as for `forward`.
            lengths: as for `forward`.
            valid: as for `forward`.
        """
        if valid is not None:
            target = torch.where(valid[:, None], target, predicted.detach())
        with torch.autocast(predicted.device.type, enabled=False):
            if len(set(actors)) == 1:
                return self._fused(predicted, target, actors[0], lengths)
            sides = zip(torch.split(predicted, 1), torch.split(target, 1), actors, _each(lengths, actors), strict=True)
            return _item_mean([self._fused(*side) for side in sides])

    def of_outputs(
        self,
        outputs: FaceOutputs,
        target: ShapedTargets,
        actors: Sequence[int],
        lengths: Tensor | None = None,
        valid: Tensor | None = None,
    ) -> Losses:
        """Computes the losses of `fused`, without whole faces where their errors are small enough.

        Args:
            outputs: of the network.
            target: decoded only where it has to be; undefined afterwards.
            actors: as for `forward`.
            lengths: as for `forward`.
            valid: as for `forward`.
        """
        items = [(outputs, target, actors[0], lengths)]
        if len(set(actors)) > 1:
            ones = [1] * len(actors)
            items = list(zip(outputs.split(ones), target.split(ones), actors, _each(lengths, actors), strict=True))
        if self.gram is None or valid is not None or not all(self._is_quadratic(*item) for item in items):
            return self.fused(outputs.whole(), target.whole(), actors, lengths, valid)
        with torch.autocast(outputs.narrow.device.type, enabled=False):
            return _item_mean([self._quadratic(*item) for item in items])

    def _fused(self, predicted: Tensor, target: Tensor, actor: int, lengths: Tensor | None) -> Losses:
        """The losses of items of one actor."""
        lips = self._lips(actor)
        true = None if lips is None else target[..., lips.lip_values]
        return self._weighted(actor, self._face_terms(actor).compute(predicted, target, lengths), true, lengths)

    def _is_quadratic(self, outputs: FaceOutputs, target: ShapedTargets, actor: int, lengths: Tensor | None) -> bool:
        assert self.gram is not None
        hidden = [values for values, _ in outputs.layers]
        return self.gram.applies(self._face_terms(actor), actor, hidden, target.parts, lengths)

    def _quadratic(self, outputs: FaceOutputs, target: ShapedTargets, actor: int, lengths: Tensor | None) -> Losses:
        """The losses of items of one actor, as quadratic forms."""
        assert self.gram is not None
        terms, sizes = self._face_terms(actor), self.sizes
        hidden = [values for values, _ in outputs.layers]
        total, values, heights, columns = self.gram.compute(terms, actor, hidden, target.parts, lengths, outputs.low)
        own = outputs.narrow.float() + outputs.offset[..., sizes.skin + sizes.tongue :]
        widths = [sizes.jaw, sizes.eye]
        factors = (self.weights.jaw, 1.0)
        parts = zip(torch.split(own, widths, -1), torch.split(target.narrow, widths, -1), factors, strict=True)
        sums = [_scaled_smooth_l1(mine, true, factor).sum(dim=-1) for mine, true, factor in parts if factor]
        narrow = frame_mean(torch.stack(sums).sum(dim=0) / sizes.total, lengths)
        values = values + torch.stack([narrow.detach(), *values.new_zeros(2)])
        lips = self._lips(actor)
        true = None if lips is None else self.gram.targets(actor, target.parts[0], lips.lip_values)
        return self._weighted(actor, (total + narrow, values, heights, columns), true, lengths)

    def _face_terms(self, actor: int) -> FaceTerms:
        """The sums over channels of an actor's face."""
        weights, sizes = self.weights, self.sizes
        face, lips = self._actor_terms(actor) if len(self.faces) else None, self._lips(actor)
        return FaceTerms(
            parts=[(sizes.skin, 1.0), (sizes.tongue, weights.tongue), (sizes.jaw, weights.jaw), (sizes.eye, 1.0)],
            velocity=weights.velocity or 0.0,
            stillness=weights.upper_face_smoothness or 0.0,
            still=face.still if face is not None and face.has_lids else None,
            readout=None if lips is None else lips.readout(bool(weights.lip_distance), bool(weights.lip_position)),
        )

    def _lips(self, actor: int) -> _ActorTerms | None:
        """The geometry of an actor with lips."""
        face = self._actor_terms(actor) if len(self.faces) else None
        return face if face is not None and face.has_lips else None

    def _weighted(
        self,
        actor: int,
        found: tuple[Tensor, Tensor, Tensor, Tensor],
        true_lips: Tensor | None,
        lengths: Tensor | None,
    ) -> Losses:
        """All losses, of the result of `FaceTerms.compute` and the true values of the channels `lip_values`."""
        weights, lips = self.weights, self._lips(actor)
        total, values, heights, columns = found
        terms = {"diffusion": values[0]}
        zero = total.new_zeros(())
        if weights.lip_distance:
            exponent = weights.lip_distance_exponent
            distance = (
                zero
                if lips is None or true_lips is None
                else lip_distance_loss(heights + lips.lip_mean, lips.heights(true_lips), exponent, lengths=lengths)
            )
            terms["lip_dist"], total = distance, total + weights.lip_distance * distance
        if weights.lip_position:
            position = zero
            if lips is not None and true_lips is not None:
                position = position_loss(lips.positions(columns), lips.positions(true_lips), lengths)
            terms["lip_position"], total = position, total + weights.lip_position * position
        if weights.velocity:
            terms["velocity"] = values[1]
        if weights.upper_face_smoothness:
            terms["expression_smooth"] = values[2]
        return Losses(total, terms)

    def _diffusion(
        self, predicted: ChannelSlices, target: ChannelSlices, _: Sequence[int], lengths: Tensor | None
    ) -> Tensor:
        factors = (1.0, self.weights.tongue, self.weights.jaw, 1.0)
        parts = zip(predicted, target, factors, strict=True)
        sums = [_scaled_smooth_l1(own, true, factor).sum(dim=-1) for own, true, factor in parts if factor]
        return frame_mean(torch.stack(sums).sum(dim=0) / self.sizes.total, lengths)

    def _velocity(
        self, predicted: ChannelSlices, target: ChannelSlices, _: Sequence[int], lengths: Tensor | None
    ) -> Tensor:
        return velocity_loss(predicted.skin, target.skin, lengths)

    def _lip_distance(
        self, predicted: ChannelSlices, target: ChannelSlices, actors: Sequence[int], lengths: Tensor | None
    ) -> Tensor:
        exponent = self.weights.lip_distance_exponent

        def term(face: _ActorTerms, skin: Tensor, true_skin: Tensor, valid: Tensor | None) -> Tensor:
            return face.lip_distance(skin, true_skin, exponent, valid)

        return self._per_actor(term, predicted.skin, target.skin, actors, lengths)

    def _lip_position(
        self, predicted: ChannelSlices, target: ChannelSlices, actors: Sequence[int], lengths: Tensor | None
    ) -> Tensor:
        return self._per_actor(_ActorTerms.lip_position, predicted.skin, target.skin, actors, lengths)

    def _upper_face_smoothness(
        self, predicted: ChannelSlices, target: ChannelSlices, actors: Sequence[int], lengths: Tensor | None
    ) -> Tensor:
        def term(face: _ActorTerms, skin: Tensor, _: Tensor, valid: Tensor | None) -> Tensor:
            return face.upper_face_smoothness(skin, valid)

        return self._per_actor(term, predicted.skin, target.skin, actors, lengths)

    def _per_actor(
        self,
        term: Callable[[_ActorTerms, Tensor, Tensor, Tensor | None], Tensor],
        skin: Tensor,
        target_skin: Tensor,
        actors: Sequence[int],
        lengths: Tensor | None,
    ) -> Tensor:
        """Averages a term over items, each with its own actor's geometry."""
        if len(set(actors)) == 1:
            return term(self._actor_terms(actors[0]), skin, target_skin, lengths)
        # All split at once: splitting item by item would cost a tensor of the batch's size each in the backward pass.
        sides = zip(torch.split(skin, 1), torch.split(target_skin, 1), actors, strict=True)
        item_lengths = [None] * len(actors) if lengths is None else torch.split(lengths, 1)
        values = [
            term(self._actor_terms(actor), predicted, target, length)
            for (predicted, target, actor), length in zip(sides, item_lengths, strict=True)
        ]
        return torch.stack(values).mean()

    def _actor_terms(self, actor: int) -> _ActorTerms:
        face = self.faces[actor]
        assert isinstance(face, _ActorTerms)
        return face


# Of prediction and target, the actor of each item, and the valid frames of each item.
_Term = Callable[[ChannelSlices, ChannelSlices, Sequence[int], Tensor | None], Tensor]


class _ActorTerms(nn.Module):
    """The losses on one actor's face; keeps only the parts of the geometry that they use."""

    mean: Tensor
    lip_values: Tensor
    lip_projection: Tensor
    lip_mean: Tensor
    upper_face: Tensor
    still: Tensor

    def __init__(self, face: ActorGeometry) -> None:
        super().__init__()
        self.scale = face.scale
        self.has_lips = face.lips is not None
        self.has_lids = face.lower_lids is not None
        mean, components = face.mean.float(), face.components.float()
        self._register("mean", (mean - face.translate.float()).flatten() / face.scale)
        if face.lips is not None:
            upper, lower = face.lips
            # Projects onto the components and reads the heights of the lips back: one matrix [verts * 3, pairs].
            difference = components[:, upper, 1] - components[:, lower, 1]
            dual = components if face.dual is None else face.dual.float()
            self._register("lip_projection", face.scale * (dual.flatten(1).t() @ difference))
            self._register("lip_mean", mean[upper, 1] - mean[lower, 1])
            self._register("lip_values", (3 * face.lips.flatten()[:, None] + torch.arange(3)).flatten())
        if face.lower_lids is not None:
            self._register("upper_face", upper_face_weights(mean, face.lower_lids))
            self._register("still", self.upper_face.repeat_interleave(3))

    def lip_distance(self, skin: Tensor, target_skin: Tensor, exponent: float, lengths: Tensor | None) -> Tensor:
        """Computes the lip distance loss on the prediction's PCA projection; 0 without lip vertices."""
        if not self.has_lips:
            return skin.new_zeros(())
        # The mean is subtracted before the product: in TF32 the product of whole faces would be off by millimetres.
        predicted = (skin - self.mean) @ self.lip_projection + self.lip_mean
        return lip_distance_loss(predicted, self.heights(target_skin[..., self.lip_values]), exponent, lengths=lengths)

    def heights(self, values: Tensor) -> Tensor:
        """Turns the normalised channels `lip_values` into heights of the upper lip, `[batch, frames, pairs]`."""
        upper, lower = torch.chunk(values[..., 1::3], 2, dim=-1)
        return self.scale * (upper - lower)

    def positions(self, values: Tensor) -> Tensor:
        """Turns the normalised channels `lip_values` into positions, `[batch, frames, points, 3]`."""
        return (self.scale * values).reshape(*values.shape[:-1], -1, 3)

    def readout(self, distance: bool, position: bool) -> Readout:
        """What the lip losses read of predicted skin: `lip_distance` its projection, `lip_position` single channels."""
        projection = self.lip_projection if distance else self.lip_projection[:, :0]
        return Readout(projection, self.mean, self.lip_values if position else self.lip_values[:0])

    def lip_position(self, skin: Tensor, target_skin: Tensor, lengths: Tensor | None) -> Tensor:
        """Computes the loss on the positions of the lip vertices; 0 without lip vertices."""
        if not self.has_lips:
            return skin.new_zeros(())
        predicted, target = (self.positions(side[..., self.lip_values]) for side in (skin, target_skin))
        return position_loss(predicted, target, lengths)

    def upper_face_smoothness(self, skin: Tensor, lengths: Tensor | None) -> Tensor:
        """Computes the loss on all motion of the upper face; 0 without lid vertices."""
        return upper_face_smoothness_loss(skin, self.upper_face, lengths) if self.has_lids else skin.new_zeros(())

    def _register(self, name: str, constant: Tensor) -> None:
        self.register_buffer(name, constant, persistent=False)


def _each(lengths: Tensor | None, items: Sequence[int]) -> Sequence[Tensor | None]:
    """The lengths of each item."""
    return [None] * len(items) if lengths is None else torch.split(lengths, 1)


def _item_mean(items: Sequence[Losses]) -> Losses:
    """Averages the losses of items."""
    if len(items) == 1:
        return items[0]
    terms = {name: torch.stack([item.terms[name] for item in items]).mean() for name in items[0].terms}
    return Losses(torch.stack([item.total for item in items]).mean(), terms)


def _scaled_smooth_l1(predicted: Tensor, target: Tensor, factor: float) -> Tensor:
    """Computes the smooth L1 loss of both tensors times a factor above 0, without forming these products."""
    return factor * functional.smooth_l1_loss(predicted, target, reduction="none", beta=1 / factor)
