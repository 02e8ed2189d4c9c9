"""Layers and losses of whole faces in kept memory against the plain form, which is the oracle."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
from reference_diffusion import EVERY_LOSS, random_face, random_network
from torch import Tensor

from audio2face.models import wide
from audio2face.models.diffusion.loss import DiffusionLoss
from audio2face.models.diffusion.network import DiffusionNetwork
from audio2face.models.losses import Losses
from audio2face.models.wide import Workspace

FRAMES = 12
WIDE = ("geometry.skin.linear.weight", "heads.skin.2.weight", "heads.tongue.2.weight")


class Case:
    """Inputs of a batch, and the losses and gradients that a form makes of them."""

    def __init__(self, actors: list[int], lengths: list[int] | None, masked: bool) -> None:
        self.actors = actors
        batch = len(actors)
        torch.manual_seed(9)
        self.noisy = torch.randn(batch, FRAMES, 139)
        self.target = torch.randn(batch, FRAMES, 139)  # beyond the quadratic range of smooth L1 in places
        self.features = torch.randn(batch, 20, 24)
        self.lengths = None if lengths is None else torch.tensor(lengths)
        self.steps = None if lengths is None else torch.full((batch,), 20)
        self.valid = None
        if masked:
            self.valid = torch.ones(batch, 139, dtype=torch.bool)
            self.valid[0, 90:120] = False

    def run(self, network: DiffusionNetwork, loss: Callable[..., Losses], share: float) -> Losses:
        torch.manual_seed(1)  # of dropout
        actor = torch.eye(2)[self.actors]
        timesteps = torch.full((len(actor),), 300)
        predicted = network(self.noisy.clone(), timesteps, self.features, actor, 0.5 * actor, self.lengths, self.steps)
        losses = loss(predicted, self.target.clone(), self.actors, self.lengths, self.valid)
        torch.autograd.backward(share * losses.total)
        return losses


CASES = {
    "one": Case([1], None, False),
    "batch of one actor": Case([0, 0, 0], None, False),
    "batch of two actors": Case([0, 1, 0], None, False),
    "padded": Case([1, 1], [FRAMES, 5], False),
    "an item of one frame": Case([0, 1], [1, FRAMES], False),
    "without a tongue": Case([0, 0], None, True),
}


def gradients(network: DiffusionNetwork) -> dict[str, Tensor]:
    return {name: weight.grad.clone() for name, weight in network.named_parameters() if weight.grad is not None}


def difference(one: dict[str, Tensor], other: dict[str, Tensor]) -> float:
    assert one.keys() == other.keys()
    return max(float((one[name] - other[name]).norm() / other[name].norm().clamp(min=1e-12)) for name in one)


@pytest.fixture(autouse=True)
def small_blocks(monkeypatch: pytest.MonkeyPatch) -> None:
    """Several blocks in each part."""
    monkeypatch.setattr(wide, "_CACHED_VALUES", 700)
    monkeypatch.setattr(wide, "_SMALLEST_BLOCK", 8)


@pytest.mark.parametrize("name", CASES)
def test_losses_and_gradients_are_those_of_the_plain_form(name: str) -> None:
    """Over two updates of two batches each, of which the second finds kept memory."""
    case, loss_fn = (
        CASES[name],
        DiffusionLoss(random_network().settings.sizes, EVERY_LOSS, [random_face(0), random_face(1)]),
    )
    plain, fused = random_network().train(), random_network().train()
    fused.workspace = Workspace()
    for _ in range(2):
        for network in (plain, fused):
            network.zero_grad(set_to_none=True)
        for share in (0.75, 0.25):
            expected, found = case.run(plain, loss_fn, share), case.run(fused, loss_fn.fused, share)
            assert list(found.terms) == list(expected.terms)
            torch.testing.assert_close(found.total, expected.total, rtol=1e-5, atol=0.0)
            for term, value in expected.terms.items():
                torch.testing.assert_close(found.terms[term], value, rtol=1e-5, atol=1e-9)
        assert difference(gradients(fused), gradients(plain)) < 1e-5


def test_products_in_bfloat16_are_near() -> None:
    case, loss_fn = (
        CASES["padded"],
        DiffusionLoss(random_network().settings.sizes, EVERY_LOSS, [random_face(0), random_face(1)]),
    )
    plain, fused = random_network().train(), random_network().train()
    fused.workspace = Workspace()
    expected = case.run(plain, loss_fn, 1.0)
    with torch.autocast("cpu", torch.bfloat16):
        found = case.run(fused, loss_fn.fused, 1.0)
    one, other = ({name: grad for name, grad in gradients(net).items() if name in WIDE} for net in (fused, plain))
    assert 1e-4 < difference(one, other) < 0.05
    torch.testing.assert_close(found.total, expected.total, rtol=1e-2, atol=0.0)


def test_evaluation_makes_new_tensors() -> None:
    network = random_network()
    network.workspace = Workspace()
    case = CASES["one"]
    inputs = (case.noisy, torch.tensor([3]), case.features, torch.eye(2)[[1]], torch.ones(1, 2))
    first = network(*inputs)
    kept = first.clone()
    network(2 * inputs[0], *inputs[1:])
    assert torch.equal(first, kept)
