"""Adding noise and taking it away again: the diffusion process, for any network that predicts the clean signal.

Knows tensors `[batch, frames, values]` and a noise schedule. Knows neither what the values mean, nor what a network
looks like, nor what it remembers: it is a function of the index of the step and the noisy signal.
"""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np
import torch
from torch import Tensor

from audio2face.errors import UserError
from audio2face.networks.noise_schedule import NoiseSchedule, Table

# Predicts the clean signal: index of the step in the schedule, noisy signal -> signal, both [batch, frames, values].
Denoiser = Callable[[int, Tensor], Tensor]
# Noise for an index and a range of frames [start, stop): the index `len(schedule)` is where sampling starts from, the
# index i > 0 what step i adds. Nothing is added after step 0.
NoiseSource = Callable[[int, int, int], Tensor]


def draw_steps(schedule: NoiseSchedule, batch: int, generator: torch.Generator) -> Tensor:
    """Draws an index into the schedule for each item, uniformly, int64 `[batch]` on the generator's device."""
    return torch.randint(len(schedule), (batch,), generator=generator, device=generator.device)


def original_timesteps(schedule: NoiseSchedule, steps: Tensor) -> Tensor:
    """The numbers among all steps, which a network is told, for indices into the schedule, int64 `[batch]`."""
    return torch.from_numpy(schedule.timesteps).to(steps.device)[steps]


def add_noise(schedule: NoiseSchedule, x0: Tensor, steps: Tensor, noise: Tensor) -> Tensor:
    """The signal after the given steps of noise: sqrt(power) x0 + sqrt(1 - power) noise.

    Args:
        schedule: the noise schedule.
        x0: the clean signal, `[batch, frames, values]`.
        steps: an index into the schedule for each item, int64 `[batch]`.
        noise: standard normal, as `x0`.

    Returns:
        As `x0`.
    """
    signal = _per_item(np.sqrt(schedule.signal_power), steps, x0)
    spread = _per_item(np.sqrt(1 - schedule.signal_power), steps, x0)
    return signal * x0 + spread * noise


def given_noise(noise: Tensor) -> NoiseSource:
    """Noise from a tensor `[batch, steps + 1, frames, values]`; a batch of one serves any batch."""
    return lambda index, start, stop: noise[:, index, start:stop]


def drawn_noise(
    batch: int, values: int, generator: torch.Generator | None, device: torch.device | str = "cpu"
) -> NoiseSource:
    """Noise that is drawn when it is needed, and never held for all steps at once.

    Args:
        batch: items; a batch of one serves any batch.
        values: values of a frame.
        generator: a generator for the CPU gives the same noise for every device that samples. For the same noise in
            every window of a stream, make one of the same seed for each. None: torch's global one of the device.
        device: where the noise is needed.
    """
    source = generator.device if generator is not None else torch.device(device)

    def draw(_: int, start: int, stop: int) -> Tensor:
        return torch.randn((batch, stop - start, values), generator=generator, device=source).to(device)

    return draw


def sample(
    schedule: NoiseSchedule,
    predict: Denoiser,
    noise: NoiseSource,
    frames: tuple[int, int],
    *,
    skip_steps: int = 0,
    deterministic: bool = False,
) -> Tensor:
    """Starts from noise and takes it away, step by step.

    Args:
        schedule: the steps to go through, from the last to the first.
        predict: the network.
        noise: where noise comes from.
        frames: the range of frames [start, stop) that is sampled; only this range is asked for noise.
        skip_steps: how many of the noisiest steps are left out; the start is then as noisy as the first step taken.
        deterministic: adds no noise on the way (DDIM with eta 0, Song et al. 2020); otherwise that of the posterior
            (DDPM, Ho et al. 2020).

    Returns:
        The signal, `[batch, frames, values]`.

    Raises:
        UserError: no step is left.
    """
    if not 0 <= skip_steps < len(schedule):
        raise UserError(
            f"SKIP_STEPS leaves out {skip_steps:,} of {len(schedule):,} steps; at least one must be taken",
            hint="Lower SKIP_STEPS, or take more steps with TIMESTEP_RESPACING.",
        )
    first = len(schedule) - 1 - skip_steps
    x = noise(len(schedule), *frames)
    if skip_steps:
        x = math.sqrt(1 - schedule.signal_power[first]) * x
    for step in range(first, 0, -1):
        x0 = predict(step, x)
        if deterministic:
            x = _ddim_step(schedule, step, x, x0)
        else:
            x = _ddpm_step(schedule, step, x, x0, noise(step, *frames))
    return predict(0, x)


def _ddpm_step(schedule: NoiseSchedule, step: int, x: Tensor, x0: Tensor, noise: Tensor) -> Tensor:
    """A draw from the posterior of x before the step."""
    mean = float(schedule.posterior_x0[step]) * x0 + float(schedule.posterior_xt[step]) * x
    return mean + math.exp(0.5 * schedule.posterior_log_variance[step]) * noise


def _ddim_step(schedule: NoiseSchedule, step: int, x: Tensor, x0: Tensor) -> Tensor:
    """Keeps the noise that x was predicted to hold, scaled to the step before."""
    power, before = float(schedule.signal_power[step]), float(schedule.signal_power[step - 1])
    noise = (x - math.sqrt(power) * x0) / math.sqrt(1 - power)
    return math.sqrt(before) * x0 + math.sqrt(1 - before) * noise


def _per_item(table: Table, steps: Tensor, like: Tensor) -> Tensor:
    """Entries of a table as `[batch, 1, 1]`; rounded to float32 before the device, as some have no float64."""
    entries = torch.from_numpy(table).to(torch.float32)[steps.cpu()]
    return entries.to(like.device)[:, None, None]
