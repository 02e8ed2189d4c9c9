"""What is exported of a regression network: windows in, one frame each out."""

from __future__ import annotations

import copy
from functools import partial

import torch
from torch import Tensor

from audio2face.deploy.exported import Exported
from audio2face.deploy.regression_parity import measure_regression_parity
from audio2face.deploy.regression_plan import RegressionPlan
from audio2face.model_folder import RegressionInfo
from audio2face.networks.regression import RegressionGraph, RegressionNetwork


def exported_regression(network: RegressionNetwork, plan: RegressionPlan) -> Exported:
    """The network without what only training needs.

    The column of a stand-in for emotions was never trained; it is zeroed, so that it really does nothing.
    """
    still = copy.deepcopy(network).to(device="cpu", dtype=torch.float32).requires_grad_(False)
    if not plan.has_emotions:
        still.explicit_emotion.weight.zero_()
    module, info = RegressionGraph(still), plan.info
    inputs = partial(example_inputs, info)
    return Exported(
        module, info, inputs, lambda path: measure_regression_parity(module, info, inputs, path, plan.recording)
    )


def example_inputs(info: RegressionInfo, batch: int, generator: torch.Generator) -> dict[str, Tensor]:
    """Inputs such as consumers give them, by name: audio at the level of speech, emotions of the usual size."""
    implicit = torch.randn(batch, 1, info.implicit_emotion_len, generator=generator)
    explicit = torch.rand(batch, 1, len(info.emotions), generator=generator)
    return {
        "input": 0.1 * torch.randn(batch, 1, info.buffer_len, generator=generator),
        "emotion": torch.cat([implicit, explicit], dim=-1),
    }
