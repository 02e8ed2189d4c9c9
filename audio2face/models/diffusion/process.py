"""The diffusion process: noise schedules, adding noise, and sampling with DDPM or DDIM.

The network predicts the clean signal x0. Here it is a function of the index of a step and the noisy signal
`[batch, frames, channels]`; what it computes, and the hidden state it keeps, are up to the caller.

Conventions: a schedule holds the selected steps from the least noise to the most, in float64. A *step* is an index into
the schedule, a *timestep* the number of that step among all steps of training, which conditions the network.

Sources: Ho et al., Denoising Diffusion Probabilistic Models (2020); Nichol and Dhariwal, Improved Denoising Diffusion
Probabilistic Models (2021): the cosine schedule and respacing; Song et al., Denoising Diffusion Implicit Models (2020).
"""

from __future__ import annotations

import itertools
import math
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
import torch
from torch import Tensor

from audio2face.errors import UserError
from audio2face.types import Float64Array, Int64Array

Table = Float64Array
_RESPACING = re.compile(r"ddim[0-9]{1,6}|[0-9]{1,6}(,[0-9]{1,6})*", re.ASCII)
_MAX_BETA = 0.999  # keeps the last steps of the cosine schedule from dividing by zero


@dataclass(frozen=True)
class NoiseSchedule:
    """Coefficients of the selected steps, from the least noise to the most; each `[steps]`, float64.

    Attributes:
        timesteps: the number of each step among all steps, int64; it conditions the network.
        betas: variance of the noise that a step adds.
        alphas_cumprod: the cumulative product of 1 - beta: the share of the signal's variance after a step.
        posterior_variance: variance of x before a step, given x after it and x0.
        posterior_log_variance_clipped: its logarithm; the first, of zero, is replaced by the second.
        posterior_mean_coef1: weight of x0 in the posterior mean of x before a step.
        posterior_mean_coef2: weight of x after the step in that mean.
    """

    timesteps: Int64Array
    betas: Table
    alphas_cumprod: Table
    posterior_variance: Table
    posterior_log_variance_clipped: Table
    posterior_mean_coef1: Table
    posterior_mean_coef2: Table

    def __len__(self) -> int:
        """Number of selected steps."""
        return len(self.timesteps)


def make_noise_schedule(
    kind: Literal["cosine", "linear"], steps: int, respacing: str | Sequence[int] | None = None
) -> NoiseSchedule:
    """Computes a noise schedule.

    Args:
        kind: "cosine", or "linear" from 1e-4 to 0.02 (for 1,000 steps, and in proportion more for fewer).
        steps: number of steps before respacing.
        respacing: selects steps, in the notation of `space_timesteps`.

    Raises:
        UserError: the respacing does not fit the number of steps.
    """
    betas = _cosine_betas(steps) if kind == "cosine" else _linear_betas(steps)
    timesteps = space_timesteps(steps, respacing)
    power = np.multiply.accumulate(1 - betas)[timesteps]
    before = np.append(1.0, power[:-1])
    if len(timesteps) < steps:
        betas = 1 - power / before
    variance = betas * (1 - before) / (1 - power)
    return NoiseSchedule(
        timesteps=timesteps,
        betas=betas,
        alphas_cumprod=power,
        posterior_variance=variance,
        posterior_log_variance_clipped=np.log(np.append(variance[1:2] if len(variance) > 1 else betas, variance[1:])),
        posterior_mean_coef1=betas * np.sqrt(before) / (1 - power),
        posterior_mean_coef2=(1 - before) * np.sqrt(1 - betas) / (1 - power),
    )


def space_timesteps(steps: int, respacing: str | Sequence[int] | None = None) -> Int64Array:
    """Selects timesteps in ascending order, int64 `[selected]`.

    Args:
        steps: number of steps.
        respacing: None or "" selects all. Counts, such as "2" or "10,5" or a list, divide the steps into one section
            per count, of equal length (the first ones take the remainder), and select that many of each, evenly spaced,
            ends included. "ddim50" selects 50 with a constant stride.

    Raises:
        UserError: a section has fewer steps than its count, or no stride gives the requested number.
    """
    if not respacing:
        return np.arange(steps)
    if isinstance(respacing, str):
        if not _RESPACING.fullmatch(respacing):
            raise UserError(f"TIMESTEP_RESPACING is {respacing!r}", hint="Write '2', '10,5', 'ddim50' or ''.")
        if respacing.startswith("ddim"):
            return _even_stride(steps, int(respacing.removeprefix("ddim")))
        respacing = [int(count) for count in respacing.split(",")]
    size, extra = divmod(steps, len(respacing))
    selected: list[int] = []
    start = 0
    for section, count in enumerate(respacing):
        length = size + (section < extra)
        if not 1 <= count <= length:
            raise UserError(
                f"TIMESTEP_RESPACING asks for {count:,} of the {length:,} steps of section {section + 1}",
                hint=f"Sections share {steps:,} steps; each count must be from 1 to the length of its section.",
            )
        selected += _spread_evenly(start, length, count)
        start += length
    return np.array(selected, np.int64)


def _cosine_betas(steps: int) -> Table:
    power = [math.cos((step / steps + 0.008) / 1.008 * math.pi / 2) ** 2 for step in range(steps + 1)]
    return np.array([min(1 - after / before, _MAX_BETA) for before, after in itertools.pairwise(power)])


def _linear_betas(steps: int) -> Table:
    return np.linspace(0.1 / steps, 20 / steps, steps, dtype=np.float64)


def _spread_evenly(start: int, length: int, count: int) -> list[int]:
    """Spaces `count` integers evenly over [start, start + length), ends included; halves round to even."""
    stride = (length - 1) / (count - 1) if count > 1 else 1.0
    selected = []
    position = 0.0
    for _ in range(count):
        selected.append(start + round(position))
        position += stride  # a running sum, so that halves fall as they do in the reference
    return selected


def _even_stride(steps: int, count: int) -> Int64Array:
    for stride in range(1, steps + 1):
        if len(range(0, steps, stride)) == count:
            return np.arange(0, steps, stride)
    raise UserError(
        f"TIMESTEP_RESPACING asks for {count:,} evenly spaced steps; no stride gives this number of {steps:,}",
        hint="Take a count that divides the number of steps.",
    )


# Predicts the clean signal: index of the step in the schedule, noisy signal -> signal, both [batch, frames, channels].
DenoiseFn = Callable[[int, Tensor], Tensor]
# Noise for an index and a range of frames [start, stop): index `len(schedule)` is the initial sample, index i > 0 the
# noise that step i adds. Step 0 adds none.
NoiseSource = Callable[[int, int, int], Tensor]


def sample_timesteps(schedule: NoiseSchedule, batch: int, generator: torch.Generator) -> Tensor:
    """Draws an index into the schedule for each item, uniformly, int64 `[batch]` on the generator's device."""
    return torch.randint(len(schedule), (batch,), generator=generator, device=generator.device)


def original_timesteps(schedule: NoiseSchedule, steps: Tensor) -> Tensor:
    """Looks up the timesteps of indices into the schedule, int64 `[batch]`; they condition the network."""
    return torch.from_numpy(schedule.timesteps).to(steps.device)[steps]


def add_noise(schedule: NoiseSchedule, x0: Tensor, steps: Tensor, noise: Tensor) -> Tensor:
    """Adds noise to a signal: sqrt(alphas_cumprod) x0 + sqrt(1 - alphas_cumprod) noise.

    Args:
        schedule: the noise schedule.
        x0: the clean signal, `[batch, frames, channels]`.
        steps: an index into the schedule for each item, int64 `[batch]`.
        noise: standard normal, of the shape of `x0`.

    Returns:
        The noisy signal, `[batch, frames, channels]`.
    """
    signal = _per_item(np.sqrt(schedule.alphas_cumprod), steps, x0)
    spread = _per_item(np.sqrt(1 - schedule.alphas_cumprod), steps, x0)
    return signal * x0 + spread * noise


def add_noise_(schedule: NoiseSchedule, x0: Tensor, steps: Tensor, noise: Tensor) -> Tensor:
    """Turns noise into the noisy signal of `add_noise` in its own memory, and returns it."""
    signal = _per_item(np.sqrt(schedule.alphas_cumprod), steps, x0)
    noise *= _per_item(np.sqrt(1 - schedule.alphas_cumprod), steps, x0)
    return noise.addcmul_(x0, signal)


def signal_and_spread(schedule: NoiseSchedule, steps: Tensor) -> tuple[list[float], list[float]]:
    """The factors of signal and noise in `add_noise`, of each item."""
    power = schedule.alphas_cumprod[steps.cpu().numpy()]
    return np.sqrt(power).tolist(), np.sqrt(1 - power).tolist()


def fixed_noise(noise: Tensor) -> NoiseSource:
    """Reads noise from a tensor `[batch, steps + 1, frames, channels]`; a batch of one broadcasts."""
    return lambda index, start, stop: noise[:, index, start:stop]


def random_noise(
    batch: int, values: int, generator: torch.Generator | None, device: torch.device | str = "cpu"
) -> NoiseSource:
    """Draws the noise of each step when it is requested.

    Args:
        batch: items; a batch of one broadcasts.
        values: channels of a frame.
        generator: on the CPU, it gives the same noise on every device. For the same noise in every window of a
            stream, make a new one from the same seed per window. None: torch's global generator of the device.
        device: device of the noise.
    """
    source = generator.device if generator is not None else torch.device(device)

    def draw(_: int, start: int, stop: int) -> Tensor:
        return torch.randn((batch, stop - start, values), generator=generator, device=source).to(device)

    return draw


def sample(
    schedule: NoiseSchedule,
    predict: DenoiseFn,
    noise: NoiseSource,
    frames: tuple[int, int],
    *,
    skip_steps: int = 0,
    deterministic: bool = False,
) -> Tensor:
    """Samples a signal: denoises from pure noise, step by step.

    Args:
        schedule: the steps, taken from the last to the first.
        predict: the network.
        noise: source of noise.
        frames: the range of frames [start, stop) to sample; noise is requested for this range only.
        skip_steps: number of the noisiest steps to skip; the initial sample is then as noisy as the first step taken.
        deterministic: adds no noise between steps (DDIM with eta 0); otherwise the noise of the posterior (DDPM).

    Returns:
        The signal, `[batch, frames, channels]`.

    Raises:
        UserError: `skip_steps` skips every step.
    """
    if not 0 <= skip_steps < len(schedule):
        raise UserError(
            f"SKIP_STEPS skips {skip_steps:,} of {len(schedule):,} steps; at least one must be taken",
            hint="Lower SKIP_STEPS, or take more steps with TIMESTEP_RESPACING.",
        )
    first = len(schedule) - 1 - skip_steps
    x = noise(len(schedule), *frames)
    if skip_steps:
        x = math.sqrt(1 - schedule.alphas_cumprod[first]) * x
    for step in range(first, 0, -1):
        x0 = predict(step, x)
        if deterministic:
            x = _ddim_step(schedule, step, x, x0)
        else:
            x = _ddpm_step(schedule, step, x, x0, noise(step, *frames))
    return predict(0, x)


def _ddpm_step(schedule: NoiseSchedule, step: int, x: Tensor, x0: Tensor, noise: Tensor) -> Tensor:
    """Draws x before the step from its posterior."""
    mean = float(schedule.posterior_mean_coef1[step]) * x0 + float(schedule.posterior_mean_coef2[step]) * x
    return mean + math.exp(0.5 * schedule.posterior_log_variance_clipped[step]) * noise


def _ddim_step(schedule: NoiseSchedule, step: int, x: Tensor, x0: Tensor) -> Tensor:
    """Rescales the predicted noise of x to the step before."""
    power, before = float(schedule.alphas_cumprod[step]), float(schedule.alphas_cumprod[step - 1])
    noise = (x - math.sqrt(power) * x0) / math.sqrt(1 - power)
    return math.sqrt(before) * x0 + math.sqrt(1 - before) * noise


def _per_item(table: Table, steps: Tensor, like: Tensor) -> Tensor:
    """Gathers entries of a table as `[batch, 1, 1]`; float32, since some devices have no float64."""
    entries = torch.from_numpy(table).to(torch.float32)[steps.cpu()]
    return entries.to(like.device)[:, None, None]
