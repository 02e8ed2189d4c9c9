"""What the regression network is trained to do: its values, their motion, lips, stillness in pauses, phonemes.

Some losses are normalised by their running scale and annealed over the training (those in `_ANNEALED`); the rest keep
their weights, so that lips and smoothness decide more and more. Knows coefficients, and of the face the few heights
that matter; makes no pose. Knows neither where the data come from nor the training loop.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

import torch
from torch import Tensor, nn

from audio2face.models.layout import ChannelSizes
from audio2face.models.losses import (
    Losses,
    Mean,
    PhonemeTargets,
    RunningLossNormalizer,
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

R2 = "r2"  # a figure beside the losses: the share of the variance that is explained
_ANNEALED = ("mse", "motion", "emo_reg", "phoneme", "phoneme_motion")


@dataclass(frozen=True, kw_only=True)
class RegressionLossWeights:
    """How much the losses count; None leaves one out.

    Attributes:
        mse: weight of the error in all values.
        velocity: weight of the error in their motion.
        embedding_smoothness: weight of changes of the implicit emotion, relative to its size.
        lip_distance: weight of the error in how far the lips are apart.
        lip_distance_exponent: how quickly that fades where they truly are open, per unit of length.
        lip_size: weight of the error in how thick the lips are.
        silence_smoothness: weight of motion where it is quiet.
        silence_exponent: how quickly that fades with the mean magnitude of the samples.
        phoneme: weight of naming phonemes; None leaves both losses on phonemes out.
        phoneme_silence: how much silence counts among them.
        phoneme_velocity: weight of their changes.
        reference_phoneme_velocity: compares logits with probabilities, as the reference does.
        eye_threshold: distance of the lids up to which a sample is left out; None: none is.
        lip_position: weight of the distance of the lips from their true places, in the mesh's unit.
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
    """What the losses need to know of the skin; pairs of vertices are int64 `[2, pairs]`, the upper ones first.

    Attributes:
        mean: mean of the shapes, `[verts, 3]`.
        shapes: `[shapes, verts, 3]`.
        lips: upper and lower lip; None: no loss on their distance and places.
        upper_lip: its top and bottom; None: no loss on the size of the lips.
        lower_lip: likewise.
        lids: upper and lower lid of each eye; None: no sample is left out for shut eyes.
    """

    mean: Tensor
    components: Tensor
    lips: Tensor | None = None
    upper_lip: Tensor | None = None
    lower_lip: Tensor | None = None
    lids: Tensor | None = None


@dataclass(frozen=True)
class RegressionLossBatch:
    """What one training step learns from.

    Attributes:
        target: true values, `[batch, sequence, values]`.
        audio: windows at their own level, `[batch, sequence, samples]`.
        implicit: implicit emotions that the network was given, `[batch, sequence, implicit_emotion_len]`.
        known: whether each value is data to learn from, bool `[batch, values]`; None: all.
        lip_distance_weights: of each item, `[batch]`; None: 1.
        lip_size_weights: likewise.
        phonemes: by language, those that are spoken in the batch.
        items: how many items count in means over processes; 0: the batch only keeps this process in step; None: all.
    """

    target: Tensor
    audio: Tensor
    implicit: Tensor
    valid: Tensor | None = None
    lip_distance_weights: Tensor | None = None
    lip_size_weights: Tensor | None = None
    phonemes: Mapping[str, PhonemeTargets] = field(default_factory=dict)
    items: int | None = None


class RegressionLoss(nn.Module):
    """The weighted sum of all losses; holds what it needs of the face on the device.

    Its buffers are the running sizes of losses, which training keeps. What a batch adds to them counts once `commit` is
    called, after a step that changed the weights; `discard` forgets it.

    Args:
        sizes: the parts of a frame.
        weights: see `RegressionLossWeights`.
        skin: see `SkinGeometry`.
        silence: of each language, how many phonemes it has and which of them is silence; empty: none are learnt.
        mean: see `RunningLossNormalizer`.
    """

    def __init__(
        self,
        sizes: ChannelSizes,
        weights: RegressionLossWeights,
        skin: SkinGeometry,
        silence: Mapping[str, tuple[int, int]] | None = None,
        mean: Mean | None = None,
    ) -> None:
        super().__init__()
        self.sizes = sizes
        self.weights = weights
        self.lips, self.upper_lip, self.lower_lip, self.lids = (
            None if pairs is None else _LipHeights(skin, pairs)
            for pairs in (skin.lips, skin.upper_lip, skin.lower_lip, skin.lids)
        )
        self.lip_places = None if skin.lips is None else _VertexPositions(skin, skin.lips)
        self._phonemes = _PhonemeWeights(silence or {}, weights.phoneme_silence)
        naming = bool(silence) and weights.phoneme is not None
        table: list[tuple[str, float | None, _Term]] = [
            ("mse", weights.mse, lambda pair: (pair.predicted - pair.true).square().mean()),
            ("motion", weights.velocity, lambda pair: velocity_loss(pair.predicted, pair.true)),
            (
                "emo_reg",
                weights.embedding_smoothness,
                lambda pair: embedding_smoothness_loss(pair.batch.implicit.float()),
            ),
            ("lip_dist", weights.lip_distance if self.lips else None, self._lip_distance),
            ("lip_position", weights.lip_position if self.lip_places else None, self._lip_position),
            ("lip_size", weights.lip_size if self.upper_lip else None, self._lip_size),
            ("vol_stab_reg", weights.silence_smoothness, self._silence_smoothness),
            ("phoneme", weights.phoneme if naming else None, self._phoneme),
            ("phoneme_motion", weights.phoneme_velocity if naming else None, self._phoneme_velocity),
        ]
        self._terms = [(name, weight, term) for name, weight, term in table if weight is not None]
        self.scales = nn.ModuleDict(
            {name: RunningLossNormalizer(mean) for name, *_ in self._terms if name in _ANNEALED}
        )

    def forward(self, output: RegressionOutput, batch: RegressionLossBatch, anneal_exponent: float) -> Losses:
        """Compares a prediction with the truth, in float32 also under mixed precision.

        Args:
            output: of the network.
            batch: the truth.
            exponent: how much of the fading losses is left, from 1 at the start of the training to 0 at its end.

        Returns:
            The losses, and beside them `R2`.
        """
        with torch.autocast(output.values.device.type, enabled=False):
            predicted, true = self._compare(output.values.float(), batch)
            pair = _RegressionPair(predicted, true, batch, output.phonemes)
            terms = {name: term(pair) for name, _, term in self._terms}
            items = len(batch.target) if batch.items is None else batch.items
            weighted = [
                weight * self._annealed(name, terms[name], anneal_exponent, items) for name, weight, _ in self._terms
            ]
            return Losses(torch.stack(weighted).sum(), {**terms, R2: explained_variance(predicted.detach(), true)})

    def _compare(self, predicted: Tensor, batch: RegressionLossBatch) -> tuple[Tensor, Tensor]:
        """Prediction and truth, equal where nothing is known, and both zero where the eyes are shut."""
        true = batch.target
        if batch.valid is not None:
            true = torch.where(batch.valid[:, None], true, predicted.detach())
        if self.lids is None or self.weights.eye_threshold is None:
            return predicted, true
        opening = self.lids(batch.target).mean(dim=(1, 2))
        is_open = (opening > self.weights.eye_threshold).float()[:, None, None]
        return predicted * is_open, true * is_open

    def commit(self) -> None:
        """See `RunningLossNormalizer.commit`."""
        for scale in self._running_scales():
            scale.commit()

    def discard(self) -> None:
        """See `RunningLossNormalizer.discard`."""
        for scale in self._running_scales():
            scale.discard()

    def _running_scales(self) -> list[RunningLossNormalizer]:
        return [scale for scale in self.scales.values() if isinstance(scale, RunningLossNormalizer)]

    def _annealed(self, name: str, loss: Tensor, exponent: float, items: int) -> Tensor:
        if name not in self.scales:
            return loss
        faded: Tensor = self.scales[name](loss, exponent, items)
        return faded

    def _lip_distance(self, pair: _RegressionPair) -> Tensor:
        assert self.lips is not None
        exponent, weights = self.weights.lip_distance_exponent, pair.batch.lip_distance_weights
        return lip_distance_loss(self.lips(pair.predicted), self.lips(pair.true), exponent, weights)

    def _lip_position(self, pair: _RegressionPair) -> Tensor:
        assert self.lip_places is not None
        return position_loss(self.lip_places(pair.predicted), self.lip_places(pair.true))

    def _lip_size(self, pair: _RegressionPair) -> Tensor:
        weights = pair.batch.lip_size_weights
        lips = [lip for lip in (self.upper_lip, self.lower_lip) if lip is not None]
        return torch.stack([lip_size_loss(lip(pair.predicted), lip(pair.true), weights) for lip in lips]).sum()

    def _silence_smoothness(self, pair: _RegressionPair) -> Tensor:
        """Without the eyes, which may move at any time; they are the last values."""
        loudness = pair.batch.audio.float().abs().mean(dim=(1, 2))
        moving = pair.predicted[..., : self.sizes.total - self.sizes.eye]
        return silence_smoothness_loss(moving, loudness, self.weights.silence_exponent)

    def _phoneme(self, pair: _RegressionPair) -> Tensor:
        return phoneme_loss(pair.phonemes, pair.batch.phonemes, self._phonemes.by_language())

    def _phoneme_velocity(self, pair: _RegressionPair) -> Tensor:
        as_reference = self.weights.reference_phoneme_velocity
        return phoneme_velocity_loss(pair.phonemes, pair.batch.phonemes, as_reference=as_reference)


@dataclass(frozen=True)
class _RegressionPair:
    """A prediction and the truth."""

    predicted: Tensor
    true: Tensor
    batch: RegressionLossBatch
    phonemes: Mapping[str, Tensor]


_Term = Callable[[_RegressionPair], Tensor]


class _LipHeights(nn.Module):
    """How much higher one vertex of each pair lies than the other: values `[..., values]` to `[..., pairs]`."""

    shapes: Tensor
    mean: Tensor

    def __init__(self, skin: SkinGeometry, pairs: Tensor) -> None:
        super().__init__()
        upper, lower = pairs
        shapes, mean = skin.components.float(), skin.mean.float()
        self.register_buffer("shapes", shapes[:, upper, 1] - shapes[:, lower, 1], persistent=False)
        self.register_buffer("mean", mean[upper, 1] - mean[lower, 1], persistent=False)

    def forward(self, values: Tensor) -> Tensor:
        return values[..., : len(self.shapes)] @ self.shapes + self.mean


class _VertexPositions(nn.Module):
    """Where vertices are: values `[..., values]` to `[..., points, 3]`."""

    shapes: Tensor
    mean: Tensor

    def __init__(self, skin: SkinGeometry, vertices: Tensor) -> None:
        super().__init__()
        points = vertices.flatten()
        self.register_buffer("shapes", skin.components.float()[:, points].flatten(1), persistent=False)
        self.register_buffer("mean", skin.mean.float()[points].flatten(), persistent=False)

    def forward(self, values: Tensor) -> Tensor:
        places = values[..., : len(self.shapes)] @ self.shapes + self.mean
        return places.reshape(*values.shape[:-1], -1, 3)


class _PhonemeWeights(nn.Module):
    """How much each phoneme of each language counts."""

    def __init__(self, silence: Mapping[str, tuple[int, int]], weight: float) -> None:
        super().__init__()
        self._languages = tuple(silence)
        for language, (count, column) in silence.items():
            weights = torch.ones(count)
            weights[column] = weight
            self.register_buffer(language, weights, persistent=False)

    def by_language(self) -> dict[str, Tensor]:
        return {language: self.get_buffer(language) for language in self._languages}
