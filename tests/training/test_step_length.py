"""The first optimiser steps of a large face are those of the reference, however an update is cut."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file
from step_task import SEGMENTS, make_loss, make_network, make_segments, reference_steps, train_steps
from step_task import loss as loss_of
from test_distributed import TIMEOUT, start

VALUES = [14_053, 88_831]
STEPS = 3
WIDE = ("geometry.skin.linear.weight", "heads.skin.2.weight")


def test_gradients_of_wide_layers_lie_at_the_epsilon_of_adam() -> None:
    """Why epsilon sets the length of steps: the loss is a mean over values, so the gradient of one falls with them."""
    medians = []
    for values in VALUES:
        network = make_network(values)
        torch.autograd.backward(loss_of(network, make_loss(values), make_segments(values)))
        gradient = network.heads.skin[2].weight.grad
        assert gradient is not None
        medians.append(float(gradient[gradient != 0].abs().median()))
    assert 5e-9 < medians[1] < 5e-8
    assert 3 < medians[0] / medians[1] < 20  # 6.3 times as many values


@pytest.fixture(scope="module")
def two_ranks(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The weights after the steps of two processes, in a folder for each number of values."""
    folder = tmp_path_factory.mktemp("ranks")
    assert start(2, "steps", folder, STEPS, *VALUES).wait(TIMEOUT) == 0
    return folder


@pytest.mark.parametrize("values", VALUES)
def test_steps_are_those_of_the_reference(two_ranks: Path, tmp_path: Path, values: int) -> None:
    """Whatever the number of micro-batches, items of a batch, and ranks."""
    before, reference = make_network(values).state_dict(), reference_steps(values, STEPS).state_dict()
    cuts = [train_steps(tmp_path / str(batch), values, batch, STEPS).state_dict() for batch in (1, 2, SEGMENTS)]
    cuts.append(load_file(two_ranks / str(values) / "weights_0.safetensors"))
    for name in WIDE:
        step = reference[name] - before[name]
        # With Adam's own epsilon for means the difference is a quarter of the step and more.
        differences = [float((after[name] - reference[name]).norm() / step.norm()) for after in cuts]
        assert max(differences) < 1e-4
