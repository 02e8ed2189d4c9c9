"""What is exported of a diffusion network: a window in, the animation of its middle out, all steps unrolled."""

from __future__ import annotations

import copy
from functools import partial

import torch
from torch import Tensor

from audio2face.deploy.diffusion_parity import measure_diffusion_parity
from audio2face.deploy.diffusion_plan import DiffusionPlan
from audio2face.deploy.exported import Exported
from audio2face.model_folder import DiffusionInfo
from audio2face.networks.diffusion_rnn import Network
from audio2face.networks.diffusion_sampling import WindowSampler


def exported_diffusion(network: Network, plan: DiffusionPlan) -> Exported:
    """The network with its sampling."""
    sampler, info = make_sampler(network, plan), plan.info
    inputs = partial(example_inputs, info)
    return Exported(sampler, info, inputs, lambda path: measure_diffusion_parity(sampler, info, inputs, path))


def make_sampler(network: Network, plan: DiffusionPlan) -> WindowSampler:
    """A copy of the network on the CPU, in evaluation mode, with its sampling.

    The column of a stand-in for emotions was never trained; it is zeroed, so that it really does nothing.
    """
    still = copy.deepcopy(network).to(device="cpu", dtype=torch.float32).eval().requires_grad_(False)
    if not plan.has_emotions:
        still.emotion_projection.weight.zero_()
    return WindowSampler(still, plan.schedule, plan.frames, skip_steps=plan.sampling.skip_steps).eval()


def example_inputs(info: DiffusionInfo, batch: int, generator: torch.Generator) -> dict[str, Tensor]:
    """Inputs of a first window such as consumers give them, by name: audio at the level of speech, no state yet."""
    shapes = {tensor.name: [batch if length is None else length for length in tensor.shape] for tensor in info.inputs}
    rows = torch.arange(batch) % len(info.identities)
    return {
        "window": 0.1 * torch.randn(shapes["window"], generator=generator),
        "identity": torch.eye(len(info.identities))[rows],
        "emotion": torch.rand(shapes["emotion"], generator=generator),
        "input_latents": torch.zeros(shapes["input_latents"]),
        "noise": torch.randn(shapes["noise"], generator=generator),
    }
