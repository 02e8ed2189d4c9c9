"""What the diffusion network is trained to do: the main loss on all values, and additional ones on the skin.

Knows normalised animation and facts about each actor's face. Knows neither where they come from nor the training loop.

How it is used::

    objective = DiffusionLoss(sizes, DiffusionLossWeights(...), [ActorGeometry(...), ...])
    losses = training_loss(network, schedule, objective, batch, steps, noise)
    losses.total.backward()
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional

from audio2face.models.diffusion.process import NoiseSchedule, add_noise, original_timesteps
from audio2face.models.layout import ChannelSizes, ChannelSlices
from audio2face.models.losses import (
    Losses,
    frame_mean,
    lip_distance_loss,
    position_loss,
    upper_face_smoothness_loss,
    upper_face_weights,
    velocity_loss,
)


@dataclass(frozen=True)
class DiffusionLossWeights:
    """How much the losses count; None or 0 leaves one out.

    Attributes:
        tongue: factor on the tongue's values in the main loss, applied before it squares small errors.
        jaw: likewise on the jaw's.
        lip_distance: weight of the error in how far the lips are apart.
        lip_distance_exponent: how quickly that fades where they truly are open, per unit of length.
        velocity: weight of the error in the skin's motion, in normalised values.
        stillness: weight of any motion of the upper face, in normalised values.
        lip_position: weight of the distance of the lips from their true places, in the mesh's unit.
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
    """What the additional losses need to know of an actor's skin.

    Attributes:
        scale: what the skin was divided by.
        translate: what was subtracted before, `[3]`.
        mean: mean of the shapes, `[verts, 3]`.
        shapes: orthonormal, `[shapes, verts, 3]`; their number may differ between actors.
        lips: vertices of the upper and of the lower lip, paired, int64 `[2, pairs]`; None: no loss on them.
        lower_lids: a vertex of the lower lid of either eye, int64 `[2]`; None: no loss on stillness.
    """

    scale: float
    translate: Tensor
    mean: Tensor
    shapes: Tensor
    lips: Tensor | None = None
    lower_lids: Tensor | None = None


@dataclass(frozen=True)
class DiffusionLossBatch:
    """What one training step learns from.

    Attributes:
        target: normalised animation, `[batch, frames, values]`.
        speech: audio `[batch, samples]` or features `[batch, steps, encoder_width]`.
        actor: one-hot, `[batch, actors]`.
        actor_indices: the same as numbers on the host.
        emotion: `[batch, emotions]`.
        lengths: frames of each item that are not padding, int64 `[batch]`; None: all.
        speech_lengths: samples or steps likewise.
    """

    target: Tensor
    speech: Tensor
    actor: Tensor
    actor_indices: Sequence[int]
    emotion: Tensor
    lengths: Tensor | None = None
    speech_lengths: Tensor | None = None


class DiffusionLoss(nn.Module):
    """The weighted sum of all losses; holds the actors' faces on the device.

    Args:
        sizes: the parts of a frame.
        weights: see `DiffusionLossWeights`.
        faces: by the actors' order.
    """

    def __init__(self, sizes: ChannelSizes, weights: DiffusionLossWeights, faces: Sequence[ActorGeometry]) -> None:
        super().__init__()
        self.sizes = sizes
        self.weights = weights
        self.faces = nn.ModuleList(_ActorTerms(face) for face in faces)
        table: list[tuple[str, float | None, _Term]] = [
            ("diffusion", 1.0, self._diffusion),
            ("lip_dist", weights.lip_distance, self._lip_distance),
            ("lip_position", weights.lip_position, self._lip_position),
            ("velocity", weights.velocity, self._velocity),
            ("expression_smooth", weights.upper_face_smoothness, self._upper_face_smoothness),
        ]
        self._terms = [(name, weight, term) for name, weight, term in table if weight]

    def forward(
        self, predicted: Tensor, true: Tensor, actor_indices: Sequence[int], lengths: Tensor | None = None
    ) -> Losses:
        """Compares a prediction with the truth, in float32 also under mixed precision.

        Args:
            predicted: `[batch, frames, values]`.
            true: likewise.
            actor_indices: whose face each item is.
            lengths: frames of each item that are not padding, int64 `[batch]`; None: all.
        """
        with torch.autocast(predicted.device.type, enabled=False):
            # Split once: each split of the prediction costs a tensor of its full size on the way back.
            parts, true_parts = self.sizes.split(predicted.float()), self.sizes.split(true.float())
            pair = _DiffusionPair(parts, true_parts, actor_indices, lengths)
            terms = {name: term(pair) for name, _, term in self._terms}
            total = torch.stack([weight * terms[name] for name, weight, _ in self._terms]).sum()
        return Losses(total, terms)

    def _diffusion(self, pair: _DiffusionPair) -> Tensor:
        factors = (1.0, self.weights.tongue, self.weights.jaw, 1.0)
        parts = zip(pair.predicted, pair.true, factors, strict=True)
        sums = [_scaled_smooth_l1(predicted, true, factor).sum(dim=-1) for predicted, true, factor in parts if factor]
        return frame_mean(torch.stack(sums).sum(dim=0) / self.sizes.total, pair.lengths)

    def _velocity(self, pair: _DiffusionPair) -> Tensor:
        return velocity_loss(pair.predicted.skin, pair.true.skin, pair.lengths)

    def _lip_distance(self, pair: _DiffusionPair) -> Tensor:
        exponent = self.weights.lip_distance_exponent
        return self._per_actor(pair, lambda face, skin, true, lengths: face.lip_distance(skin, true, exponent, lengths))

    def _lip_position(self, pair: _DiffusionPair) -> Tensor:
        return self._per_actor(pair, lambda face, skin, true, lengths: face.lip_position(skin, true, lengths))

    def _upper_face_smoothness(self, pair: _DiffusionPair) -> Tensor:
        return self._per_actor(pair, lambda face, skin, _, lengths: face.upper_face_smoothness(skin, lengths))

    def _per_actor(
        self, pair: _DiffusionPair, term: Callable[[_ActorTerms, Tensor, Tensor, Tensor | None], Tensor]
    ) -> Tensor:
        """The mean of a term over items, each with its own actor's face."""
        skin, true_skin, actors = pair.predicted.skin, pair.true.skin, pair.actor_indices
        if len(set(actors)) == 1:
            return term(self._actor_terms(actors[0]), skin, true_skin, pair.lengths)
        # All split at once: on the way back, each item split by itself would cost a tensor of the size of the batch.
        sides = zip(torch.split(skin, 1), torch.split(true_skin, 1), actors, strict=True)
        lengths = [None] * len(actors) if pair.lengths is None else torch.split(pair.lengths, 1)
        values = [
            term(self._actor_terms(actor), predicted, true, length)
            for (predicted, true, actor), length in zip(sides, lengths, strict=True)
        ]
        return torch.stack(values).mean()

    def _actor_terms(self, actor: int) -> _ActorTerms:
        face = self.faces[actor]
        assert isinstance(face, _ActorTerms)
        return face


def training_loss(
    network: Callable[..., Tensor],
    schedule: NoiseSchedule,
    objective: Callable[..., Losses],
    batch: DiffusionLossBatch,
    steps: Tensor,
    noise: Tensor,
) -> Losses:
    """One forward pass of training: adds noise, lets the network take it away, compares.

    Args:
        network: `diffusion_rnn.DiffusionNetwork`, as it is or wrapped (compiled, distributed).
        schedule: the noise schedule of training.
        objective: what is compared: a `DiffusionLoss`, as it is or wrapped.
        batch: what is learnt from.
        steps: an index into the schedule for each item, int64 `[batch]`, best on the host (`sample_timesteps`).
        noise: standard normal, as the target.
    """
    noisy = add_noise(schedule, batch.target, steps, noise)
    timesteps = original_timesteps(schedule, steps)
    predicted = network(noisy, timesteps, batch.speech, batch.actor, batch.emotion, batch.lengths, batch.speech_lengths)
    return objective(predicted, batch.target, batch.actor_indices, batch.lengths)


@dataclass(frozen=True)
class _DiffusionPair:
    """A prediction and the truth, see `DiffusionLoss.forward`."""

    predicted: ChannelSlices
    true: ChannelSlices
    actor_indices: Sequence[int]
    lengths: Tensor | None


_Term = Callable[[_DiffusionPair], Tensor]


class _ActorTerms(nn.Module):
    """The losses on one actor's face, reduced to what they need of it."""

    mean: Tensor
    lip_columns: Tensor
    lip_values: Tensor
    lip_projection: Tensor
    lip_mean: Tensor
    upper_face: Tensor

    def __init__(self, face: ActorGeometry) -> None:
        super().__init__()
        self.scale = face.scale
        self.has_lips = face.lips is not None
        self.has_lids = face.lower_lids is not None
        mean, shapes = face.mean.float(), face.shapes.float()
        self._register("mean", (mean - face.translate.float()).flatten() / face.scale)
        if face.lips is not None:
            upper, lower = face.lips
            # Onto the shapes and back, of which only the heights at the lips are wanted: one matrix [verts * 3, pairs].
            back = shapes[:, upper, 1] - shapes[:, lower, 1]
            self._register("lip_projection", face.scale * (shapes.flatten(1).t() @ back))
            self._register("lip_mean", mean[upper, 1] - mean[lower, 1])
            self._register("lip_columns", 3 * face.lips + 1)
            self._register("lip_values", (3 * face.lips.flatten()[:, None] + torch.arange(3)).flatten())
        if face.lower_lids is not None:
            self._register("upper_face", upper_face_weights(mean, face.lower_lids))

    def lip_distance(self, skin: Tensor, true_skin: Tensor, exponent: float, lengths: Tensor | None) -> Tensor:
        """The loss on the lips of the prediction as the shapes can express it; 0 where no lips are known."""
        if not self.has_lips:
            return skin.new_zeros(())
        upper, lower = self.lip_columns
        # The mean is taken away before the product: in TF32 the product of whole faces would be off by millimetres.
        predicted = (skin - self.mean) @ self.lip_projection + self.lip_mean
        true = self.scale * (true_skin[..., upper] - true_skin[..., lower])
        return lip_distance_loss(predicted, true, exponent, lengths=lengths)

    def lip_position(self, skin: Tensor, true_skin: Tensor, lengths: Tensor | None) -> Tensor:
        """The loss on the places of the marked vertices; 0 where no lips are known."""
        if not self.has_lips:
            return skin.new_zeros(())
        places = [self.scale * side[..., self.lip_values] for side in (skin, true_skin)]
        predicted, true = (side.reshape(*side.shape[:-1], -1, 3) for side in places)
        return position_loss(predicted, true, lengths)

    def upper_face_smoothness(self, skin: Tensor, lengths: Tensor | None) -> Tensor:
        """The loss on any motion of the upper face; 0 where no lids are known."""
        return upper_face_smoothness_loss(skin, self.upper_face, lengths) if self.has_lids else skin.new_zeros(())

    def _register(self, name: str, constant: Tensor) -> None:
        self.register_buffer(name, constant, persistent=False)


def _scaled_smooth_l1(predicted: Tensor, true: Tensor, factor: float) -> Tensor:
    """The smooth L1 loss of both values times a factor above 0, without making those products."""
    return factor * functional.smooth_l1_loss(predicted, true, reduction="none", beta=1 / factor)
