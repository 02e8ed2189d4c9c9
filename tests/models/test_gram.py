"""Losses as quadratic forms against the plain form, which is the oracle."""

from __future__ import annotations

import pytest
import torch
from reference_diffusion import EVERY_LOSS, random_face, random_network
from torch import Tensor

from audio2face.models import gram
from audio2face.models.diffusion.loss import DiffusionLoss
from audio2face.models.diffusion.network import DiffusionNetwork
from audio2face.models.gram import GramLosses, is_shorter
from audio2face.models.losses import Losses
from audio2face.models.shaped_targets import ShapedTargets, Shapes
from audio2face.models.wide import Workspace

Batches = list[tuple[list[int], list[int] | None, float]]  # actors, lengths and size of the motion
SMALL, LARGE = 0.3, 60.0  # of the motion: errors within the quadratic range, and beyond it
FRAMES, SKIN, TONGUE, NARROW = 12, 90, 30, 19
LAYERS = ("heads.skin.2", "heads.tongue.2")


def shapes(network: DiffusionNetwork) -> list[list[Shapes]]:
    """Of two actors, the first of whom has more shapes; their mean is near the neutral face."""
    torch.manual_seed(3)
    found = []
    for neutral, count in zip(network.neutral, (5, 4), strict=True):
        skin, tongue = neutral[:SKIN], neutral[SKIN : SKIN + TONGUE]
        found.append(
            [
                Shapes(torch.randn(count, SKIN) / 20, skin + 0.01 * torch.randn(SKIN), skin),
                Shapes(torch.randn(3, TONGUE) / 20, tongue + 0.01 * torch.randn(TONGUE), tongue),
            ]
        )
    return found


class Trained:
    """A network that is trained with whole faces by the plain form, or as quadratic forms."""

    def __init__(self, quadratic: bool) -> None:
        self.network = random_network().train()
        self.loss = DiffusionLoss(self.network.settings.sizes, EVERY_LOSS, [random_face(0), random_face(1)])
        self.shapes = shapes(self.network)
        self.quadratic, self.low = quadratic, False
        for head in (self.network.heads.skin, self.network.heads.tongue):
            torch.nn.init.normal_(head[2].weight, std=0.01)
            torch.nn.init.normal_(head[2].bias, std=0.01)
        if quadratic:
            self.network.workspace, self.network.leaves_faces = Workspace(), True
            self.loss.gram = GramLosses(self.network.heads.wide_layers, self.shapes, self.network.workspace)

    def run(self, actors: list[int], lengths: list[int] | None, size: float, share: float) -> Losses:
        """A batch, whose motion has a size."""
        generator = torch.Generator().manual_seed(9)
        batch = len(actors)
        noisy, features = (torch.randn(batch, *of, generator=generator) for of in ((FRAMES, 139), (20, 24)))
        parts = [size * torch.randn(batch, FRAMES, count, generator=generator) for count in (5, 3)]
        narrow = torch.randn(batch, FRAMES, NARROW, generator=generator)
        target = ShapedTargets(parts, narrow, lambda: self._whole(actors, parts, narrow))
        frames = None if lengths is None else torch.tensor(lengths)
        steps = None if lengths is None else torch.full((batch,), 20)
        torch.manual_seed(1)  # of dropout
        actor = torch.eye(2)[actors]
        timesteps = torch.full((batch,), 300)
        with torch.autocast("cpu", torch.bfloat16, enabled=self.low):
            predicted = self.network(noisy, timesteps, features, actor, 0.5 * actor, frames, steps)
        if self.quadratic:
            losses = self.loss.of_outputs(predicted, target, actors, frames)
        else:
            losses = self.loss(predicted, target.whole(), actors, frames)
        torch.autograd.backward(share * losses.total)
        return losses

    def _whole(self, actors: list[int], parts: list[Tensor], narrow: Tensor) -> Tensor:
        items = []
        for item, actor in enumerate(actors):
            own = zip(self.shapes[actor], parts, strict=True)
            wide = [values[item, :, : len(part.components)] @ part.components + part.mean for part, values in own]
            items.append(torch.cat([*wide, narrow[item]], dim=-1))
        return torch.stack(items)

    def update(self, batches: Batches) -> tuple[list[Losses], dict[str, Tensor]]:
        """The losses of batches, and the gradients of all."""
        self.network.zero_grad(set_to_none=True)
        losses = [self.run(*batch, share) for batch, share in zip(batches, (0.75, 0.25), strict=True)]
        if self.loss.gram is not None:
            self.loss.gram.finish()
        return losses, {
            name: weight.grad for name, weight in self.network.named_parameters() if weight.grad is not None
        }


BATCHES: dict[str, Batches] = {
    "one": [([1], None, SMALL), ([1], None, SMALL)],
    "a batch of one actor": [([0, 0, 0], None, SMALL), ([0], None, SMALL)],
    "batches of two actors": [([0, 1, 0], None, SMALL), ([1, 0], None, SMALL)],
    "padded": [([1, 1], [FRAMES, 5], SMALL), ([0, 1], [1, FRAMES], SMALL)],
    "the second beyond": [([0, 1], None, SMALL), ([1], None, LARGE)],
    "the first beyond": [([0], None, LARGE), ([0, 1], [4, FRAMES], SMALL)],
    "all beyond": [([0], None, LARGE), ([0, 1], None, LARGE)],
}


@pytest.fixture(autouse=True)
def small_blocks(monkeypatch: pytest.MonkeyPatch) -> None:
    """Several blocks in each part."""
    monkeypatch.setattr(gram, "_BLOCK_ROWS", 16)


@pytest.mark.parametrize("name", BATCHES)
def test_losses_and_gradients_are_those_of_the_plain_form(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Over two updates of two batches each; how many batches are quadratic is part of the answer."""
    used: list[int] = []
    compute = GramLosses.compute
    monkeypatch.setattr(GramLosses, "compute", lambda *of: used.append(of[2]) or compute(*of))  # type: ignore[func-returns-value]
    plain, forms = Trained(quadratic=False), Trained(quadratic=True)
    for turn in range(2):
        expected, true = plain.update(BATCHES[name])
        found, own = forms.update(BATCHES[name])
        for one, other in zip(found, expected, strict=True):
            assert list(one.terms) == list(other.terms)
            torch.testing.assert_close(one.total, other.total, rtol=1e-5, atol=0.0)
            for term, value in other.terms.items():
                torch.testing.assert_close(one.terms[term], value, rtol=1e-5, atol=1e-9)
        assert own.keys() == true.keys()
        largest = max(float(gradient.norm()) for gradient in true.values())
        for weight, gradient in true.items():
            smallest = 1e-3 * largest  # below it, sums of a single weight cancel
            assert float((own[weight] - gradient).norm()) < 1e-5 * max(float(gradient.norm()), smallest), weight
        for trained in (plain, forms):  # matrices belong to weights, which change
            with torch.no_grad():
                for layer in trained.network.heads.wide_layers:
                    layer.weight.mul_(1.1).add_(0.001 * turn)
                    layer.bias.add_(0.01)
    items = [len(actors) if len(set(actors)) > 1 else 1 for actors, _, size in BATCHES[name] if size == SMALL]
    assert len(used) == 2 * sum(items)


@pytest.mark.parametrize("size", [SMALL, 3.0, LARGE])
def test_no_error_exceeds_the_bound(size: float) -> None:
    forms, plain = Trained(quadratic=True), Trained(quadratic=False)
    largest: list[float] = []
    bounds: list[float] = []

    def remember(part: gram._Part, *of: Tensor) -> float:
        bounds.append(bound(part, *of))
        return bounds[-1]

    bound = gram._Part.bound
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(gram._Part, "bound", remember)
        patch.setattr(gram, "_LINEAR_RANGE", float("inf"))  # of both parts
        forms.run([1], None, size, 1.0)
    patched = DiffusionLoss.forward

    def errors(loss: DiffusionLoss, predicted: Tensor, target: Tensor, *of: object) -> Losses:
        largest.extend(
            float(part.abs().max())
            for part in torch.split((predicted - target).detach(), [SKIN, TONGUE, NARROW], -1)[:2]
        )
        return patched(loss, predicted, target, *of)  # type: ignore[arg-type]

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(DiffusionLoss, "forward", errors)
        plain.run([1], None, size, 1.0)
    for error, limit in zip(largest, bounds, strict=True):
        assert error <= limit < 20 * error


@pytest.mark.parametrize("size", [SMALL, LARGE])
def test_products_in_bfloat16_are_near(size: float) -> None:
    """Within and beyond the quadratic range; the network is called under autocast, and losses are computed outside."""
    forms, plain = Trained(quadratic=True), Trained(quadratic=False)
    forms.low = True
    batches: Batches = [([1], None, size), ([1], None, size)]
    found, own = forms.update(batches)
    expected, true = plain.update(batches)
    torch.testing.assert_close(found[0].total, expected[0].total, rtol=1e-2, atol=0.0)
    for layer in LAYERS:
        weight = f"{layer}.weight"
        assert 1e-4 < float((own[weight] - true[weight]).norm() / true[weight].norm()) < 0.05


def test_gradients_that_are_dropped_leave_no_trace() -> None:
    once, twice = Trained(quadratic=True), Trained(quadratic=True)
    twice.run([0, 1], None, SMALL, 1.0)
    assert twice.loss.gram is not None
    twice.loss.gram.clear()
    _, expected = once.update(BATCHES["one"])
    _, found = twice.update(BATCHES["one"])
    assert all(
        torch.equal(found[f"{layer}.{name}"], expected[f"{layer}.{name}"])
        for layer in LAYERS
        for name in ("weight", "bias")
    )


def test_values_that_are_not_finite_go_the_long_way() -> None:
    forms = Trained(quadratic=True)
    assert not forms.run([0], None, float("nan"), 1.0).total.isfinite()
    assert not forms.run([0], None, float("inf"), 1.0).total.isfinite()


def test_few_frames_are_shorter_as_whole_faces() -> None:
    assert is_shorter(1260, 512, 272)  # four segments of 30 to 600 frames of a large actor
    assert not is_shorter(300, 512, 140)
