"""Losses against what the reference computed, and padded batches against single items."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor

from audio2face.models.diffusion.loss import ActorGeometry, DiffusionLoss, DiffusionLossWeights
from audio2face.models.layers import ChannelSizes
from audio2face.models.losses import (
    frame_mean,
    lip_distance_loss,
    position_loss,
    upper_face_smoothness_loss,
    upper_face_weights,
    velocity_loss,
)

LIPS = torch.tensor([[1, 2, 3, 4, 5], [11, 12, 13, 14, 15]])
LOWER_LIDS = torch.tensor([31, 32])
SIZES = ChannelSizes(120, 0, 15, 4)
ALL = DiffusionLossWeights(0.1, 1.0, 1e-5, 10.0, 2.0, 25.0)


def load(folder: Path, name: str) -> dict[str, Tensor]:
    with np.load(folder / "networks" / f"{name}.npz", allow_pickle=False) as arrays:
        return {key: torch.as_tensor(arrays[key]) for key in arrays.files}


def gap(poses: Tensor) -> Tensor:
    return poses[..., LIPS[0], 1] - poses[..., LIPS[1], 1]


def close(ours: Tensor, reference: Tensor) -> None:
    torch.testing.assert_close(ours, reference.to(ours.dtype), rtol=1e-5, atol=1e-6)


def test_losses_agree_with_the_reference(reference_data: Path) -> None:
    data = load(reference_data, "losses")
    predicted, true = data["y_pred"], data["y_true"]
    close(velocity_loss(predicted.flatten(2), true.flatten(2)), data["motion"])
    close(lip_distance_loss(gap(predicted), gap(true), 1), data["lip_dist_exp1"])
    close(lip_distance_loss(gap(predicted), gap(true), 10, data["sample_weights"]), data["lip_dist_exp10_w"])
    weights = upper_face_weights(data["mean_face"], LOWER_LIDS)
    close(weights, data["softmask"])
    close(upper_face_smoothness_loss(predicted.flatten(2), weights), data["exp_smooth"])


def reference_face(data: dict[str, Tensor], **changes: Tensor | None) -> ActorGeometry:
    facts: dict[str, Tensor | None] = {"lips": LIPS, "lower_lids": LOWER_LIDS, **changes}
    return ActorGeometry(
        float(data["scale_skin"]), data["translate_skin"], data["shapes_mean"], data["shapes_matrix"], **facts
    )


def test_the_terms_of_diffusion_agree_with_the_reference(reference_data: Path) -> None:
    data = load(reference_data, "losses_extra")
    losses = DiffusionLoss(SIZES, ALL, [reference_face(data)])(data["pred"], data["true"], [0])
    for name in ("velocity", "expression_smooth"):
        close(losses.terms[name], data[f"diffusion_{name}"])
    close(losses.terms["lip_dist"], data["diffusion_lip_dist_exp10"])
    terms = losses.terms
    total = terms["diffusion"] + 1e-5 * terms["lip_dist"] + 2 * terms["velocity"] + 25 * terms["expression_smooth"]
    close(losses.total, total)


@pytest.mark.parametrize("off", [None, 0.0])
def test_losses_without_weight_are_not_computed(off: float | None) -> None:
    objective = DiffusionLoss(SIZES, DiffusionLossWeights(0.0, 1.0, off, 10.0, off, off), [])
    predicted = torch.randn(2, 5, SIZES.total, requires_grad=True)
    losses = objective(predicted, torch.randn(2, 5, SIZES.total), [0, 0])
    assert list(losses.terms) == ["diffusion"]
    losses.total.backward()


def test_lip_position_loss_is_the_distance(reference_data: Path) -> None:
    data = load(reference_data, "losses_extra")
    face, off = reference_face(data), None
    objective = DiffusionLoss(SIZES, DiffusionLossWeights(0.0, 1.0, off, 10.0, off, off, lip_position=2.0), [face])
    predicted = data["pred"].clone().requires_grad_()
    losses = objective(predicted, data["true"], [0])
    skins = [side[..., : SIZES.skin].reshape(*side.shape[:2], -1, 3) for side in (predicted, data["true"])]
    distances = face.scale * (skins[0] - skins[1])[:, :, LIPS.flatten()].norm(dim=-1)
    torch.testing.assert_close(losses.terms["lip_position"], distances.mean(), rtol=1e-3, atol=2e-3)
    close(losses.total, losses.terms["diffusion"] + 2.0 * losses.terms["lip_position"])
    losses.terms["lip_position"].backward()
    assert predicted.grad is not None
    touched = predicted.grad[..., : SIZES.skin].reshape(-1, SIZES.skin // 3, 3).abs().sum(dim=(0, 2)).nonzero()
    assert set(touched.flatten().tolist()) == set(LIPS.flatten().tolist())


def test_position_loss_has_a_gradient_at_zero_distance() -> None:
    points = torch.zeros(1, 2, 4, 3, requires_grad=True)
    loss = position_loss(points, torch.zeros(1, 2, 4, 3), torch.tensor([2]))
    loss.backward()
    assert loss.item() == pytest.approx(0.0, abs=1e-6)
    assert points.grad is not None
    assert torch.isfinite(points.grad).all()


def test_an_actor_without_vertex_lists_has_no_lip_and_lid_losses(reference_data: Path) -> None:
    data = load(reference_data, "losses_extra")
    objective = DiffusionLoss(SIZES, ALL, [reference_face(data, lips=None, lower_lids=None)])
    losses = objective(data["pred"], data["true"], [0])
    assert float(losses.terms["lip_dist"]) == float(losses.terms["expression_smooth"]) == 0


@pytest.mark.parametrize("tongue", [0.0, 0.1, 1.0, 3.0])
def test_the_tongue_is_scaled_before_the_loss(tongue: float) -> None:
    sizes = ChannelSizes(6, 9, 3, 2)
    predicted, true = 3 * torch.randn(2, 4, 20), torch.randn(2, 4, 20)
    factors = torch.cat([torch.ones(6), torch.full((9,), tongue), torch.full((3,), 0.5), torch.ones(2)])
    direct = torch.nn.functional.smooth_l1_loss(factors * predicted, factors * true)
    weights = DiffusionLossWeights(tongue, 0.5, None, 10.0, None, None)
    close(DiffusionLoss(sizes, weights, [])(predicted, true, [0, 0]).total, direct)


def test_a_padded_batch_is_the_mean_of_its_items(reference_data: Path) -> None:
    """Two actors with different numbers of shapes, and an item of a single frame."""
    data = load(reference_data, "losses_extra")
    other = ActorGeometry(3.0, torch.ones(3), torch.randn(40, 3), data["shapes_matrix"][:4], LIPS.flip(0), LOWER_LIDS)
    objective = DiffusionLoss(SIZES, ALL, [reference_face(data), other])
    predicted, true = torch.randn(3, 9, SIZES.total), torch.randn(3, 9, SIZES.total)
    lengths, actors = [9, 4, 1], [1, 0, 1]
    alone = [
        objective(predicted[i : i + 1, :n], true[i : i + 1, :n], [actor])
        for i, (n, actor) in enumerate(zip(lengths, actors, strict=True))
    ]
    for i, n in enumerate(lengths):
        predicted[i, n:] = torch.nan
    batch = objective(predicted, true, actors, torch.tensor(lengths))
    for name in batch.terms:
        close(batch.terms[name], torch.stack([losses.terms[name] for losses in alone]).mean())
    close(batch.total, torch.stack([losses.total for losses in alone]).mean())


def test_an_empty_batch_has_zero_loss() -> None:
    term: Callable[..., Tensor]
    for term in (velocity_loss, lambda a, b: upper_face_smoothness_loss(a, torch.ones(2))):
        assert float(term(torch.randn(2, 1, 6), torch.randn(2, 1, 6))) == 0
    assert float(frame_mean(torch.full((1, 3), torch.nan), torch.tensor([0]))) == 0
