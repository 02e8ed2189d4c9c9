"""The losses of the regression network against what the reference computed, and their weighted sum."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from audio2face.models.layers import ChannelSizes
from audio2face.models.losses import (
    PhonemeTargets,
    RunningLossNormalizer,
    embedding_smoothness_loss,
    explained_variance,
    lip_distance_loss,
    lip_size_loss,
    phoneme_loss,
    phoneme_velocity_loss,
    silence_smoothness_loss,
    velocity_loss,
)
from audio2face.models.regression.loss import R2, RegressionLoss, RegressionLossWeights, SkinGeometry
from audio2face.models.regression.network import RegressionOutput

SIZES = ChannelSizes(7, 0, 3, 4)
LIPS = torch.tensor([[1, 2, 3, 4, 5], [11, 12, 13, 14, 15]])
UPPER, LOWER = torch.tensor([[1, 2, 3], [4, 5, 6]]), torch.tensor([[7, 8, 9], [10, 11, 12]])
LIDS = torch.tensor([[21, 22], [31, 32]])


def load(folder: Path, name: str) -> dict[str, Tensor]:
    with np.load(folder / "networks" / f"{name}.npz", allow_pickle=False) as arrays:
        return {key: torch.as_tensor(arrays[key]) for key in arrays.files}


def close(ours: Tensor, reference: Tensor) -> None:
    torch.testing.assert_close(ours, reference.to(ours.dtype), rtol=1e-5, atol=1e-6)


def heights(poses: Tensor, pairs: Tensor) -> Tensor:
    return poses[..., pairs[0], 1] - poses[..., pairs[1], 1]


def weights(**changes: Any) -> RegressionLossWeights:
    values = {
        "mse": 1.0,
        "velocity": 10.0,
        "embedding_smoothness": 1.0,
        "lip_distance": 100.0,
        "lip_distance_exponent": 1.0,
        "lip_size": 3.0,
        "silence_smoothness": 100.0,
        "silence_exponent": 5000.0,
        "phoneme": 0.1,
        "phoneme_silence": 1.0,
        "phoneme_velocity": 0.05,
        "reference_phoneme_velocity": False,
        "eye_threshold": None,
    }
    return RegressionLossWeights(**{**values, **changes})


def test_losses_agree_with_the_reference(reference_data: Path) -> None:
    data = load(reference_data, "losses")
    predicted, true, items = data["y_pred"], data["y_true"], data["sample_weights"]
    close((predicted - true).square().mean(), data["mse"])
    close(velocity_loss(predicted.flatten(2), true.flatten(2)), data["motion"])
    close(embedding_smoothness_loss(predicted.flatten(2)), data["motion_reg"])
    close(lip_distance_loss(heights(predicted, LIPS), heights(true, LIPS), 1), data["lip_dist_exp1"])
    for name, item_weights in (("lip_size", None), ("lip_size_w", items)):
        sizes = [lip_size_loss(heights(predicted, lip), heights(true, lip), item_weights) for lip in (UPPER, LOWER)]
        close(sizes[0] + sizes[1], data[name])
    loudness = data["audio"].abs().mean((1, 2))
    close(silence_smoothness_loss(data["coeffs"][..., :-4], loudness, 5000), data["vol_stab"])
    close(explained_variance(predicted, true), data["r2"])


def test_running_scale_agrees_with_the_reference(reference_data: Path) -> None:
    data, scale = load(reference_data, "loss_normalizer"), RunningLossNormalizer()
    # The file calls them standard deviations; they are the losses divided by them.
    close(torch.stack([scale(loss, 1.0) for loss in data["losses"]]), data["stddev"])


@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf, 1e30])
def test_running_scale_ignores_non_finite_losses(value: float) -> None:
    """Neither its value nor its square is added; later losses are divided as without it."""
    scale, finite_only = RunningLossNormalizer(), RunningLossNormalizer()
    losses = [torch.tensor(loss) for loss in (2.0, 3.0)]
    for loss in losses:
        expected = finite_only(loss, 0.5)
        assert scale(torch.tensor(value), 0.0).isfinite() == math.isfinite(value)
        assert torch.equal(scale(loss, 0.5), expected)
    scale.commit()
    finite_only.commit()
    assert all(torch.equal(kept, finite_only.state_dict()[name]) for name, kept in scale.state_dict().items())


def test_running_scale_reverts_discarded_updates() -> None:
    scale = RunningLossNormalizer()
    scale(torch.tensor(2.0), 1.0)
    scale.commit()
    scale(torch.tensor(50.0), 1.0)
    scale.discard()
    assert scale(torch.tensor(2.0), 1.0) == pytest.approx(1.0)
    assert scale.squares == 4.0  # what is not committed is not in the state
    scale.load_state_dict({"squares": torch.tensor(9.0), "weight": torch.tensor(1.0)})
    assert scale(torch.tensor(3.0), 1.0) == pytest.approx(1.0)


def test_phoneme_losses_agree_with_the_reference(reference_data: Path) -> None:
    data = load(reference_data, "losses_extra")
    logits, target = {"en": data["phoneme_logits"]}, PhonemeTargets(torch.arange(3), data["phoneme_probs"])
    close(phoneme_loss(logits, {"en": target}, {"en": torch.ones(11)}), data["phoneme"])
    close(phoneme_loss(logits, {"en": target}, {"en": data["phoneme_weights"]}), data["phoneme_weighted"])
    close(phoneme_velocity_loss(logits, {"en": target}, as_reference=True), data["phoneme_motion_reference"])
    same = {"en": data["phoneme_probs"].clamp(min=1e-9).log()}
    close(phoneme_velocity_loss(same, {"en": target}), torch.zeros(()))


def test_each_item_counts_in_its_own_language() -> None:
    logits = {"en": torch.randn(3, 2, 25, 5, requires_grad=True), "zh": torch.randn(3, 2, 25, 8)}
    probabilities = {name: torch.softmax(torch.randn(3, 2, 25, n), -1) for name, n in (("en", 5), ("zh", 8))}
    ones = {"en": torch.ones(5), "zh": torch.ones(8)}

    def target(language: str, *items: int) -> PhonemeTargets:
        chosen = torch.tensor(items)
        return PhonemeTargets(chosen, probabilities[language][chosen])

    english = phoneme_loss(logits, {"en": target("en", 0, 2)}, ones)
    both = phoneme_loss(logits, {"en": target("en", 0, 2), "zh": target("zh", 1)}, ones)
    close(
        both - english,
        phoneme_loss(
            {"zh": logits["zh"][1:2]}, {"zh": PhonemeTargets(torch.tensor([0]), probabilities["zh"][1:2])}, ones
        ),
    )
    nothing = phoneme_loss(logits, {}, ones) + phoneme_velocity_loss(logits, {})
    assert not nothing.detach().any()
    nothing.backward()
    assert torch.equal(logits["en"].grad, torch.zeros(3, 2, 25, 5))  # type: ignore[arg-type]


@pytest.fixture
def face(reference_data: Path) -> SkinGeometry:
    data = load(reference_data, "losses_extra")
    return SkinGeometry(data["shapes_mean"], data["shapes_matrix"], LIPS, UPPER, LOWER, LIDS)


def make_batch(items: int = 4, sequence: int = 2) -> tuple[Tensor, Tensor]:
    """Target and audio."""
    torch.manual_seed(1)
    return torch.randn(items, sequence, SIZES.total), 1e-4 * torch.randn(items, sequence, 100)


def predict(target: Tensor, logits: Tensor | None = None) -> RegressionOutput:
    """A prediction near the target."""
    predicted = (target + 0.1 * torch.randn_like(target)).requires_grad_()
    implicit = 0.01 * torch.randn(*target.shape[:2], 16)
    return RegressionOutput(predicted, {} if logits is None else {"en": logits}, implicit)


def test_lips_need_no_poses(face: SkinGeometry) -> None:
    target, audio = make_batch()
    output, item_weights = predict(target), torch.tensor([1.0, 0.0, 2.0, 1.0])
    loss_fn = RegressionLoss(SIZES, weights(), face)
    terms = loss_fn(output, target, audio, 1.0, lip_distance_weights=item_weights).terms
    predicted, true = (
        torch.einsum("bsk,kvd->bsvd", values[..., :7], face.components.float()) + face.mean
        for values in (output.values, target)
    )
    distance = lip_distance_loss(heights(predicted, LIPS), heights(true, LIPS), 1.0, item_weights)
    close(terms["lip_dist"], distance)
    size = sum(lip_size_loss(heights(predicted, lip), heights(true, lip)) for lip in (UPPER, LOWER))
    close(terms["lip_size"], torch.as_tensor(size))


def test_positions_of_the_lips_need_no_poses(face: SkinGeometry) -> None:
    target, audio = make_batch()
    output = predict(target)
    losses = RegressionLoss(SIZES, weights(lip_position=5.0), face)(output, target, audio, 0.0)
    difference = (output.values - target)[..., :7]
    moved = torch.einsum("bsk,kvd->bsvd", difference, face.components.float())[:, :, LIPS.flatten()].norm(dim=-1)
    torch.testing.assert_close(losses.terms["lip_position"], moved.mean(), rtol=1e-3, atol=2e-3)
    without = RegressionLoss(SIZES, weights(), face)(output, target, audio, 0.0)
    close(losses.total - without.total, 5 * losses.terms["lip_position"])


def test_some_losses_fade_out(face: SkinGeometry) -> None:
    target, audio = make_batch()
    gradients = []
    for exponent in (1.0, 0.5, 0.0):
        torch.manual_seed(2)
        output = predict(target)
        loss_fn = RegressionLoss(SIZES, weights(), face)
        losses = loss_fn(output, target, audio, exponent)
        terms = losses.terms
        kept = 100 * terms["lip_dist"] + 3 * terms["lip_size"] + 100 * terms["vol_stab_reg"]
        # Of the first values of all, each is its own size; to any power that is 1.
        close(losses.total, kept + 1.0 + 10.0 + 1.0)
        losses.total.backward()
        loss_fn.commit()
        close(loss_fn.scales["mse"].squares.sqrt(), terms["mse"])  # type: ignore[union-attr, operator]
        gradients.append(float(output.values.grad[..., -1].norm()))  # type: ignore[index]
    assert gradients[0] > gradients[1] > gradients[2] == 0


def test_items_with_shut_eyes_are_masked(face: SkinGeometry) -> None:
    target, audio = make_batch(6)
    lids = torch.einsum("bsk,kvd->bsvd", target[..., :7], face.components.float()) + face.mean
    opening = heights(lids, LIDS).mean((1, 2))
    threshold = float(opening.sort().values[2:4].mean())
    output = predict(target)
    RegressionLoss(SIZES, weights(eye_threshold=threshold), face)(output, target, audio, 1.0).total.backward()
    has_gradient = output.values.grad.flatten(1).norm(dim=1) > 0  # type: ignore[union-attr]
    assert torch.equal(has_gradient, opening > threshold)
    every = RegressionLoss(SIZES, weights(eye_threshold=1e6), face)
    output = predict(target)
    losses = every(output, target, audio, 0.5)
    losses.total.backward()  # every item is masked
    assert torch.isfinite(losses.total)
    assert torch.equal(output.values.grad, torch.zeros_like(output.values))  # type: ignore[arg-type]


def test_channels_without_data_have_no_gradient(face: SkinGeometry) -> None:
    valid = torch.ones(4, SIZES.total, dtype=torch.bool)
    valid[1, 7:10] = False
    target, audio = make_batch()
    output = predict(target)
    target = torch.where(valid[:, None], target, torch.nan)
    loss_fn = RegressionLoss(SIZES, weights(silence_smoothness=None), face)
    loss_fn(output, target, audio, 1.0, valid=valid).total.backward()
    assert torch.equal(output.values.grad != 0, valid[:, None].expand(4, 2, -1))  # type: ignore[arg-type]


def test_what_has_no_weight_or_no_list_is_not_computed(face: SkinGeometry) -> None:
    (target, audio), logits = make_batch(), torch.randn(4, 2, 25, 5)
    phonemes = {"en": PhonemeTargets(torch.tensor([1, 3]), torch.softmax(torch.randn(2, 2, 25, 5), -1))}
    silence = {"en": (5, 0)}
    every = ["mse", "motion", "emo_reg", "lip_dist", "lip_size", "vol_stab_reg", "phoneme", "phoneme_motion", R2]
    loss_fn = RegressionLoss(SIZES, weights(), face, silence)
    full = loss_fn(predict(target, logits), target, audio, 1.0, phonemes=phonemes)
    assert list(full.terms) == every
    plain = SkinGeometry(face.mean, face.components)
    bare = RegressionLoss(SIZES, weights(phoneme=None, velocity=None, silence_smoothness=0.0), plain, silence)
    assert list(bare(predict(target), target, audio, 1.0, phonemes=phonemes).terms) == [
        "mse",
        "emo_reg",
        "vol_stab_reg",
        R2,
    ]


def test_single_frames_have_no_motion(face: SkinGeometry) -> None:
    target, audio = make_batch(3, sequence=1)
    output = predict(target)
    losses = RegressionLoss(SIZES, weights(), face)(output, target, audio, 0.3)
    losses.total.backward()
    assert not (losses.terms["motion"] + losses.terms["emo_reg"]).detach().any()
    assert torch.isfinite(output.values.grad).all()  # type: ignore[arg-type]
