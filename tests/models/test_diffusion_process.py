"""The diffusion process by itself: which steps are kept, and what a perfect network would get out of it."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from torch import Tensor

from audio2face.errors import UserError
from audio2face.models.diffusion.process import (
    add_noise,
    fixed_noise,
    make_noise_schedule,
    original_timesteps,
    random_noise,
    sample,
    sample_timesteps,
    space_timesteps,
)


@pytest.mark.parametrize(
    ("respacing", "kept"),
    [
        ("2", [0, 999]),
        ("1", [0]),
        ("5", [0, 250, 500, 749, 999]),
        ([2, 2], [0, 499, 500, 999]),
        ("2,2", [0, 499, 500, 999]),
        ("1,1,1", [0, 334, 667]),
        ("ddim4", [0, 250, 500, 750]),
        ("", list(range(1000))),
        (None, list(range(1000))),
    ],
)
def test_spaced_timesteps(respacing: str | list[int] | None, kept: list[int]) -> None:
    assert space_timesteps(1000, respacing).tolist() == kept


@pytest.mark.parametrize("respacing", ["1001", "600,1", "0", "ddim999", "ddim0", "two", "2,", "-3", [0]])
def test_respacing_that_does_not_fit(respacing: str | list[int]) -> None:
    with pytest.raises(UserError, match="TIMESTEP_RESPACING"):
        space_timesteps(1000, respacing)


def test_schedule_values() -> None:
    schedule = make_noise_schedule("cosine", 1000)
    np.testing.assert_allclose(schedule.betas[[0, 1, 998, 999]], [4.128422e-05, 4.614175e-05, 0.7499994, 0.999], 1e-6)
    power = [0.99995872, 0.49384359, 2.42877e-06, 2.42877e-09]
    np.testing.assert_allclose(schedule.alphas_cumprod[[0, 499, 998, 999]], power, 1e-5)
    linear = make_noise_schedule("linear", 500)
    np.testing.assert_allclose(linear.betas[[0, -1]], [2e-4, 0.04], 1e-12)


@pytest.mark.parametrize("respacing", ["1", "2", "7", ""])
def test_tables_are_finite(respacing: str) -> None:
    schedule = make_noise_schedule("cosine", 1000, respacing)
    for name in ("betas", "posterior_log_variance_clipped", "posterior_mean_coef1", "posterior_mean_coef2"):
        assert np.isfinite(getattr(schedule, name)).all()
    np.testing.assert_allclose(np.cumprod(1 - schedule.betas), schedule.alphas_cumprod, 1e-6)


@pytest.mark.parametrize("deterministic", [False, True])
@pytest.mark.parametrize("skip_steps", [0, 2])
def test_a_perfect_network_recovers_the_signal(deterministic: bool, skip_steps: int) -> None:
    schedule = make_noise_schedule("cosine", 1000, "6")
    signal, noise = torch.randn(2, 8, 3), torch.randn(1, 7, 8, 3)
    asked: list[int] = []

    def predict(step: int, noisy: Tensor) -> Tensor:
        asked.append(step)
        return signal + 0 * noisy

    options = {"skip_steps": skip_steps, "deterministic": deterministic}
    assert torch.equal(sample(schedule, predict, fixed_noise(noise), (0, 8), **options), signal)
    assert asked == list(range(5 - skip_steps, -1, -1))


def test_ddim_with_known_noise_follows_its_trajectory() -> None:
    """A network that knows signal and noise sees, at each step, exactly that much of both."""
    schedule = make_noise_schedule("cosine", 1000, "5")
    signal, noise = torch.randn(1, 4, 3, dtype=torch.float64), torch.randn(1, 1, 4, 3, dtype=torch.float64)

    def predict(step: int, noisy: Tensor) -> Tensor:
        if step < len(schedule) - 1:
            power = schedule.alphas_cumprod[step]
            torch.testing.assert_close(noisy, math.sqrt(power) * signal + math.sqrt(1 - power) * noise[:, 0])
        return signal

    start = math.sqrt(schedule.alphas_cumprod[-1]) * signal + math.sqrt(1 - schedule.alphas_cumprod[-1]) * noise[:, 0]
    sample(schedule, predict, lambda *_: start, (0, 4), deterministic=True)


def test_skipping_every_step_is_refused() -> None:
    schedule = make_noise_schedule("cosine", 1000, "2")
    for skip_steps in (2, -1):
        with pytest.raises(UserError, match="SKIP_STEPS"):
            sample(schedule, lambda _, x: x, fixed_noise(torch.zeros(1, 3, 2, 1)), (0, 2), skip_steps=skip_steps)


def test_noise_is_drawn_by_step_and_seed() -> None:
    """All 1,001 of them, one at a time."""
    schedule = make_noise_schedule("cosine", 1000)
    results, largest = [], 0
    for seed in (7, 7, 8):
        draw = random_noise(1, 3, torch.Generator().manual_seed(seed))

        def source(index: int, start: int, stop: int, draw=draw) -> Tensor:  # type: ignore[no-untyped-def]
            nonlocal largest
            noise = draw(index, start, stop)
            largest = max(largest, noise.numel())
            return noise

        results.append(sample(schedule, lambda _, x: 0.5 * x, source, (2, 6)))
    assert torch.equal(results[0], results[1])
    assert not torch.equal(results[0], results[2])
    assert largest == 4 * 3


def test_noise_of_training_has_unit_variance() -> None:
    schedule = make_noise_schedule("cosine", 1000, "10")
    generator = torch.Generator().manual_seed(0)
    steps = sample_timesteps(schedule, 2000, generator)
    assert set(steps.tolist()) == set(range(10))
    assert set(original_timesteps(schedule, steps).tolist()) == set(schedule.timesteps.tolist())
    x0, noise = (torch.randn(2000, 5, 4, generator=generator) for _ in range(2))
    assert float(add_noise(schedule, x0, steps, noise).var()) == pytest.approx(1, abs=0.03)
