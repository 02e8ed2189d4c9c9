"""The losses of the regression network: coefficients, velocity, lips, smoothness in silence, phonemes.

Losses in `_ANNEALED` are normalised by their running scale and annealed over the training; the others keep their
weights, so that lips and smoothness gain influence. The losses work on PCA coefficients `[batch, sequence, channels]`
and on the few vertices of the lips and lids, never on whole poses.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from audio2face.models.layers import ChannelSizes
from audio2face.models.losses import (
    AllReduceMean,
    LipHeights,
    Losses,
    PhonemeTargets,
    RunningLossNormalizer,
    VertexPositions,
    embedding_smoothness_loss,
    explained_variance,
    lip_distance_loss,
    lip_size_loss,
    phoneme_loss,
    phoneme_velocity_loss,
    position_loss,
    silence_smoothness_loss,
    velocity_loss,
)
from audio2face.models.regression.network import RegressionOutput

R2 = "r2"  # name of a metric among the terms: the explained variance
_ANNEALED = ("mse", "motion", "emo_reg", "phoneme", "phoneme_motion")


@dataclass(frozen=True, kw_only=True)
class RegressionLossWeights:
    """The weights of the losses; None disables one.

    Attributes:
        mse: weight of the mean squared error of all channels.
        velocity: weight of the error in their velocity.
        embedding_smoothness: weight of the velocity of the implicit emotion, relative to its magnitude.
        lip_distance: weight of the error in the distance between the lips.
        lip_distance_exponent: decay of that error with the lips' true distance, per unit of length.
        lip_size: weight of the error in the thickness of the lips.
        silence_smoothness: weight of motion in silence.
        silence_exponent: decay of that weight with the mean magnitude of the samples.
        phoneme: weight of the phoneme cross entropy; None disables both phoneme losses.
        phoneme_silence: class weight of silence in it.
        phoneme_velocity: weight of the velocity of phonemes.
        reference_phoneme_velocity: computes it like the reference, on logits.
        eye_threshold: distance of the lids up to which an item counts as a blink and is masked; None: none are.
        lip_position: weight of the distance of the lip vertices from their target positions, in the mesh's unit.
    """

    mse: float | None
    velocity: float | None
    embedding_smoothness: float | None
    lip_distance: float | None
    lip_distance_exponent: float
    lip_size: float | None
    silence_smoothness: float | None
    silence_exponent: float
    phoneme: float | None
    phoneme_silence: float
    phoneme_velocity: float | None
    reference_phoneme_velocity: bool
    eye_threshold: float | None
    lip_position: float | None = None


@dataclass(frozen=True)
class SkinGeometry:
    """The skin, as the losses use it; pairs of vertices are int64 `[2, pairs]`, upper ones first.

    Attributes:
        mean: mean pose of the PCA, `[verts, 3]`.
        components: PCA components, `[components, verts, 3]`.
        lips: upper and lower lip; None disables the losses on their distance and positions.
        upper_lip: top and bottom of the upper lip; None disables the loss on lip size.
        lower_lip: top and bottom of the lower lip.
        lids: upper and lower lid of each eye; None disables the masking of blinks.
        metric: turns differences of the skin's coefficients into distances (`geometry.pca.coefficient_metric`), float32
            `[components, components]`; None for orthonormal components.
    """

    mean: Tensor
    components: Tensor
    lips: Tensor | None = None
    upper_lip: Tensor | None = None
    lower_lip: Tensor | None = None
    lids: Tensor | None = None
    metric: Tensor | None = None


class RegressionLoss(nn.Module):
    """The weighted sum of all losses; keeps the geometry of lips and lids on the device.

    Its state dict holds the running scales of losses. `commit` keeps their updates after a step that changed the
    weights; `discard` reverts them after a skipped step.

    Args:
        sizes: channels of each group of a frame.
        weights: weights of the losses.
        skin: geometry of the skin.
        silence: number of phonemes and column of silence by language; empty: no phoneme losses.
        mean: averages a value over all processes; None: there is one process.
    """

    metric: Tensor | None

    def __init__(
        self,
        sizes: ChannelSizes,
        weights: RegressionLossWeights,
        skin: SkinGeometry,
        silence: Mapping[str, tuple[int, int]] | None = None,
        mean: AllReduceMean | None = None,
    ) -> None:
        super().__init__()
        self.sizes = sizes
        self.weights = weights
        self.lips, self.upper_lip, self.lower_lip, self.lids = (
            None if pairs is None else LipHeights(skin.mean, skin.components, pairs)
            for pairs in (skin.lips, skin.upper_lip, skin.lower_lip, skin.lids)
        )
        self.lip_positions = None if skin.lips is None else VertexPositions(skin.mean, skin.components, skin.lips)
        self.register_buffer("metric", skin.metric, persistent=False)
        self._phonemes = _PhonemeWeights(silence or {}, weights.phoneme_silence)
        uses_phonemes = bool(silence) and weights.phoneme is not None
        table = {
            "mse": weights.mse,
            "motion": weights.velocity,
            "emo_reg": weights.embedding_smoothness,
            "lip_dist": weights.lip_distance if self.lips else None,
            "lip_position": weights.lip_position if self.lip_positions else None,
            "lip_size": weights.lip_size if self.upper_lip else None,
            "vol_stab_reg": weights.silence_smoothness,
            "phoneme": weights.phoneme if uses_phonemes else None,
            "phoneme_motion": weights.phoneme_velocity if uses_phonemes else None,
        }
        self._weights = {name: weight for name, weight in table.items() if weight is not None}
        self.scales = nn.ModuleDict({name: RunningLossNormalizer(mean) for name in self._weights if name in _ANNEALED})

    def forward(
        self,
        output: RegressionOutput,
        target: Tensor,
        audio: Tensor,
        anneal_exponent: float,
        *,
        valid: Tensor | None = None,
        lip_distance_weights: Tensor | None = None,
        lip_size_weights: Tensor | None = None,
        phonemes: Mapping[str, PhonemeTargets] | None = None,
        items: int | None = None,
    ) -> Losses:
        """Computes the losses of a prediction, in float32 also under mixed precision.

        Args:
            output: of the network.
            target: `[batch, sequence, channels]`.
            audio: windows at their original level, `[batch, sequence, samples]`.
            anneal_exponent: exponent of the annealed losses, from 1 at the start of the training to 0 at its end.
            valid: mask of the channels with data, bool `[batch, channels]`; None: all.
            lip_distance_weights: of each item, `[batch]`; None: 1.
            lip_size_weights: of each item, `[batch]`; None: 1.
            phonemes: target phonemes by language, of the languages in the batch; None: none.
            items: number of items in means over processes; 0 for a padding batch; None: all.

        Returns:
            The losses; their terms include `R2`.
        """
        with torch.autocast(output.values.device.type, enabled=False):
            predicted, true = self._mask(output.values.float(), target, valid)
            compute: dict[str, Callable[[], Tensor]] = {
                **self._of_the_face(predicted, true, output.implicit, audio, lip_distance_weights, lip_size_weights),
                "phoneme": lambda: phoneme_loss(output.phonemes, phonemes or {}, self._phonemes.by_language()),
                "phoneme_motion": lambda: phoneme_velocity_loss(
                    output.phonemes, phonemes or {}, as_reference=self.weights.reference_phoneme_velocity
                ),
            }
            terms = {name: compute[name]() for name in self._weights}
            items = len(target) if items is None else items
            weighted = [
                weight * self._annealed(name, terms[name], anneal_exponent, items)
                for name, weight in self._weights.items()
            ]
            return Losses(torch.stack(weighted).sum(), {**terms, R2: self._explained(predicted, true)})

    def _explained(self, predicted: Tensor, true: Tensor) -> Tensor:
        return explained_variance(self._in_space(predicted.detach()), self._in_space(true))

    @torch.no_grad()
    def face_terms(
        self,
        output: RegressionOutput,
        target: Tensor,
        audio: Tensor,
        items: slice,
        *,
        valid: Tensor | None = None,
        lip_distance_weights: Tensor | None = None,
        lip_size_weights: Tensor | None = None,
    ) -> dict[str, Tensor]:
        """The unweighted terms of some items of a batch, without those of phonemes; running scales stay as they are.

        Args:
            items: the items; without any, all terms are 0.
            output: arguments of `forward`, for all items of the batch, like all others.
        """

        def chosen(values: Tensor | None) -> Tensor | None:
            return None if values is None else values[items]

        names = [name for name in self._weights if not name.startswith("phoneme")]
        if not len(target[items]):
            return {name: target.new_zeros(()) for name in names}
        with torch.autocast(output.values.device.type, enabled=False):
            predicted, true = self._mask(output.values[items].float(), target[items], chosen(valid))
            compute = self._of_the_face(
                predicted,
                true,
                output.implicit[items],
                audio[items],
                chosen(lip_distance_weights),
                chosen(lip_size_weights),
            )
            return {name: compute[name]() for name in names}

    def _of_the_face(
        self,
        predicted: Tensor,
        true: Tensor,
        implicit: Tensor,
        audio: Tensor,
        lip_distance_weights: Tensor | None,
        lip_size_weights: Tensor | None,
    ) -> dict[str, Callable[[], Tensor]]:
        """The formulas of all terms but those of phonemes, by name."""
        moved, target = self._in_space(predicted), self._in_space(true)
        return {
            "mse": lambda: (moved - target).square().mean(),
            "motion": lambda: velocity_loss(moved, target),
            "emo_reg": lambda: embedding_smoothness_loss(implicit.float()),
            "lip_dist": lambda: self._lip_distance(predicted, true, lip_distance_weights),
            "lip_position": lambda: self._lip_position(predicted, true),
            "lip_size": lambda: self._lip_size(predicted, true, lip_size_weights),
            "vol_stab_reg": lambda: self._silence_smoothness(moved, audio),
        }

    def _in_space(self, values: Tensor) -> Tensor:
        """Values whose differences are distances of skin, as those of orthonormal components are."""
        if self.metric is None:
            return values
        skin, others = values[..., : len(self.metric)], values[..., len(self.metric) :]
        return torch.cat([skin @ self.metric, others], dim=-1)

    def _mask(self, predicted: Tensor, target: Tensor, valid: Tensor | None) -> tuple[Tensor, Tensor]:
        """Masks prediction and target: equal in invalid channels, both zero where the eyes are shut."""
        masked = target if valid is None else torch.where(valid[:, None], target, predicted.detach())
        if self.lids is None or self.weights.eye_threshold is None:
            return predicted, masked
        opening = self.lids(target).mean(dim=(1, 2))
        is_open = (opening > self.weights.eye_threshold).float()[:, None, None]
        return predicted * is_open, masked * is_open

    def commit(self) -> None:
        """Keeps the updates of the running scales since the last step."""
        for scale in self._running_scales():
            scale.commit()

    def discard(self) -> None:
        """Reverts the updates of the running scales since the last step."""
        for scale in self._running_scales():
            scale.discard()

    def _running_scales(self) -> list[RunningLossNormalizer]:
        return [scale for scale in self.scales.values() if isinstance(scale, RunningLossNormalizer)]

    def _annealed(self, name: str, loss: Tensor, exponent: float, items: int) -> Tensor:
        if name not in self.scales:
            return loss
        annealed: Tensor = self.scales[name](loss, exponent, items)
        return annealed

    def _lip_distance(self, predicted: Tensor, target: Tensor, weights: Tensor | None) -> Tensor:
        assert self.lips is not None
        return lip_distance_loss(self.lips(predicted), self.lips(target), self.weights.lip_distance_exponent, weights)

    def _lip_position(self, predicted: Tensor, target: Tensor) -> Tensor:
        assert self.lip_positions is not None
        return position_loss(self.lip_positions(predicted), self.lip_positions(target))

    def _lip_size(self, predicted: Tensor, target: Tensor, weights: Tensor | None) -> Tensor:
        lips = [lip for lip in (self.upper_lip, self.lower_lip) if lip is not None]
        return torch.stack([lip_size_loss(lip(predicted), lip(target), weights) for lip in lips]).sum()

    def _silence_smoothness(self, predicted: Tensor, audio: Tensor) -> Tensor:
        """Computes the loss without the eyes, the last channels, which may move at any time."""
        loudness = audio.float().abs().mean(dim=(1, 2))
        moving = predicted[..., : self.sizes.total - self.sizes.eye]
        return silence_smoothness_loss(moving, loudness, self.weights.silence_exponent)


class _PhonemeWeights(nn.Module):
    """The class weights of the phonemes of each language."""

    def __init__(self, silence: Mapping[str, tuple[int, int]], weight: float) -> None:
        super().__init__()
        self._languages = tuple(silence)
        for language, (count, column) in silence.items():
            weights = torch.ones(count)
            weights[column] = weight
            self.register_buffer(language, weights, persistent=False)

    def by_language(self) -> dict[str, Tensor]:
        return {language: self.get_buffer(language) for language in self._languages}
