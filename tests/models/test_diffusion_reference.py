"""The diffusion network against what the reference computed."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from reference_diffusion import Vectors
from torch import Tensor

from audio2face.errors import UserError
from audio2face.models.diffusion.loss import DiffusionLoss, DiffusionLossWeights
from audio2face.models.diffusion.process import add_noise, fixed_noise, make_noise_schedule, original_timesteps
from audio2face.models.diffusion.sampling import WindowSampler, initial_hidden_state, sample_clip
from audio2face.training.diffusion import diffusion_learning_rate
from audio2face.training.pretrained import convert_reference_weights

SCHEDULE = make_noise_schedule("cosine", 1000)
TWO_STEPS = make_noise_schedule("cosine", 1000, "2")


@pytest.fixture(params=[60, 30])
def vectors(request: pytest.FixtureRequest, reference_data: Path) -> Vectors:
    return Vectors(reference_data, request.param)


def assert_equal(ours: Tensor, reference: Tensor) -> None:
    """Equal to 1e-5 of the largest value."""
    assert ours.shape == reference.shape
    torch.testing.assert_close(ours, reference, rtol=1e-5, atol=1e-5 * float(reference.abs().max()))


@torch.no_grad()
def test_forward(vectors: Vectors) -> None:
    result = vectors.network()(
        vectors["noisy"], vectors["t"], vectors["hubert_features"], vectors["actor"], vectors["emotion"]
    )
    assert_equal(result, vectors["result"])


def test_schedule(vectors: Vectors) -> None:
    def close(ours: np.ndarray, name: str) -> None:
        np.testing.assert_allclose(ours, vectors.arrays[name], rtol=1e-9, atol=0)

    close(SCHEDULE.betas, "betas")
    assert TWO_STEPS.timesteps.tolist() == vectors["respaced2_timesteps"].tolist()
    close(TWO_STEPS.betas, "respaced2_betas")
    close(TWO_STEPS.posterior_variance, "respaced2_posterior_variance")
    close(TWO_STEPS.posterior_log_variance_clipped, "respaced2_posterior_log_variance_clipped")


@torch.no_grad()
def test_training(vectors: Vectors) -> None:
    noisy = add_noise(SCHEDULE, vectors["x0"], vectors["t"], vectors["q_noise"])
    assert_equal(noisy, vectors["q_sample"])

    network = vectors.network()
    weights = DiffusionLossWeights(0.1, 1.0, None, 10.0, None, None)
    objective = DiffusionLoss(network.settings.sizes, weights, [])
    timesteps = original_timesteps(SCHEDULE, vectors["t"])
    predicted = network(noisy, timesteps, vectors["hubert_features"], vectors["actor"], vectors["emotion"])
    losses = objective(predicted, vectors["x0"], [1])
    assert float(losses.total) == pytest.approx(float(vectors["train_loss"]), rel=1e-5)
    assert list(losses.terms) == ["diffusion"]


@pytest.mark.parametrize("block_frames", [1000, 20])
def test_offline_sampling(vectors: Vectors, block_frames: int) -> None:
    network, frames = vectors.network(), vectors["x0"].shape[1]
    with torch.no_grad():
        conditions = network.conditions(vectors["hubert_features"], frames, vectors["actor"], vectors["emotion"])
    noise = fixed_noise(vectors["sample_noise"])
    blocks = list(sample_clip(network, TWO_STEPS, conditions, noise, block_frames=block_frames))
    assert_equal(torch.cat(blocks, dim=1), vectors["sample_offline"])


@torch.no_grad()
def test_two_windows_of_a_stream(vectors: Vectors) -> None:
    network, window = vectors.network(), vectors.window
    sampler = WindowSampler(network, TWO_STEPS, window)
    latents = initial_hidden_state(network, TWO_STEPS, 2)
    kept = window.kept
    for index in range(2):
        prediction, latents = sampler(
            vectors["stream_features"][index],
            vectors["stream_actor"],
            vectors["stream_emotion"][index],
            latents,
            vectors["stream_noise"],
        )
        assert_equal(prediction[:, kept], vectors["stream_prediction"][index][:, kept])
        assert_equal(latents, vectors["stream_latents"][index])
        assert not prediction[:, : window.left_context].any()
        assert not prediction[:, kept.stop :].any()


def test_learning_rates(reference_data: Path) -> None:
    with np.load(reference_data / "networks" / "diffusion_lr_per_epoch.npz", allow_pickle=False) as arrays:
        rates = [diffusion_learning_rate(epoch, 400, 5e-5) for epoch in range(400)]
        np.testing.assert_allclose(rates, arrays["lr"], rtol=1e-9)


def test_reference_weights_with_their_encoder(vectors: Vectors, tmp_path: Path) -> None:
    state = {**vectors.weights(), "audio_encoder.encoder.layer_norm.weight": torch.ones(3)}
    torch.save(state, tmp_path / "weights.pth")
    network, encoder = convert_reference_weights(torch.load(tmp_path / "weights.pth", weights_only=True))
    assert set(network) == set(vectors.network().state_dict())
    assert list(encoder) == ["encoder.layer_norm.weight"]


def test_weights_of_another_network_are_refused(vectors: Vectors) -> None:
    with pytest.raises(UserError, match="not the weights of a diffusion network"):
        convert_reference_weights({"time1.weight": torch.ones(1)})
    with pytest.raises(UserError, match="unknown one, two"):
        convert_reference_weights({**vectors.weights(), "one.a": torch.ones(1), "two.a": torch.ones(1)})
