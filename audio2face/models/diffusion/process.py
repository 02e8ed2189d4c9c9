"""How much noise each step of a diffusion process adds, and the tables that follow from it, in float64.

Knows numbers only: no tensors, no network. After Ho et al. 2020 (the process) and Nichol and Dhariwal 2021 (the cosine
schedule, and leaving out steps).
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
    """Tables over the steps that are kept, from the least noise to the most; each `[steps]`.

    Attributes:
        timesteps: the numbers that the steps had among all steps, int64; what a network is told.
        betas: variance of the noise that a step adds.
        signal_power: share of the signal's variance that is left after a step (the cumulative product of 1 - beta).
        posterior_variance: variance of x before a step, given x after it and x0.
        posterior_log_variance: its logarithm; the first, of zero, is replaced by the second.
        posterior_x0: weight of x0 in the mean of x before a step.
        posterior_xt: weight of x after the step in that mean.
    """

    timesteps: Int64Array
    betas: Table
    alphas_cumprod: Table
    posterior_variance: Table
    posterior_log_variance_clipped: Table
    posterior_mean_coef1: Table
    posterior_mean_coef2: Table

    def __len__(self) -> int:
        """Number of steps that are kept."""
        return len(self.timesteps)


def make_noise_schedule(
    kind: Literal["cosine", "linear"], steps: int, respacing: str | Sequence[int] | None = None
) -> NoiseSchedule:
    """Builds the tables.

    Args:
        kind: "cosine", or "linear" from 1e-4 to 0.02 (for 1,000 steps, and accordingly more for fewer).
        steps: number of steps before any are left out.
        respacing: which are kept, see `space_timesteps`.

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
    """The steps that are kept, in rising order, int64 `[kept]`.

    Args:
        steps: number of steps.
        respacing: None or "" keeps all. Counts, such as "2" or "10,5" or a list, divide the steps into as many equal
            sections (the first ones take the remainder) and keep that many of each, evenly spread, ends included.
            "ddim50" keeps 50 with one distance between all.

    Raises:
        UserError: a section has fewer steps than are to be kept, or no distance gives the number wanted.
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
    kept: list[int] = []
    start = 0
    for section, count in enumerate(respacing):
        length = size + (section < extra)
        if not 1 <= count <= length:
            raise UserError(
                f"TIMESTEP_RESPACING asks for {count:,} of the {length:,} steps of section {section + 1}",
                hint=f"Sections share {steps:,} steps; each count must be from 1 to the length of its section.",
            )
        kept += _spread(start, length, count)
        start += length
    return np.array(kept, np.int64)


def _cosine_betas(steps: int) -> Table:
    power = [math.cos((step / steps + 0.008) / 1.008 * math.pi / 2) ** 2 for step in range(steps + 1)]
    return np.array([min(1 - after / before, _MAX_BETA) for before, after in itertools.pairwise(power)])


def _linear_betas(steps: int) -> Table:
    return np.linspace(0.1 / steps, 20 / steps, steps, dtype=np.float64)


def _spread(start: int, length: int, count: int) -> list[int]:
    """`count` of the numbers from `start` on, ends included, rounded as the reference rounds (halves to even)."""
    stride = (length - 1) / (count - 1) if count > 1 else 1.0
    kept = []
    position = 0.0
    for _ in range(count):
        kept.append(start + round(position))
        position += stride  # summed, not multiplied: halves fall as they do in the reference
    return kept


def _even_stride(steps: int, count: int) -> Int64Array:
    for stride in range(1, steps + 1):
        if len(range(0, steps, stride)) == count:
            return np.arange(0, steps, stride)
    raise UserError(
        f"TIMESTEP_RESPACING asks for {count:,} evenly spaced steps; no distance between them gives that many of "
        f"{steps:,}",
        hint="Take a count that divides the number of steps.",
    )


# Predicts the clean signal: index of the step in the schedule, noisy signal -> signal, both [batch, frames, values].
DenoiseFn = Callable[[int, Tensor], Tensor]
# Noise for an index and a range of frames [start, stop): the index `len(schedule)` is where sampling starts from, the
# index i > 0 what step i adds. Nothing is added after step 0.
NoiseSource = Callable[[int, int, int], Tensor]


def sample_timesteps(schedule: NoiseSchedule, batch: int, generator: torch.Generator) -> Tensor:
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
    signal = _per_item(np.sqrt(schedule.alphas_cumprod), steps, x0)
    spread = _per_item(np.sqrt(1 - schedule.alphas_cumprod), steps, x0)
    return signal * x0 + spread * noise


def fixed_noise(noise: Tensor) -> NoiseSource:
    """Noise from a tensor `[batch, steps + 1, frames, values]`; a batch of one serves any batch."""
    return lambda index, start, stop: noise[:, index, start:stop]


def random_noise(
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
    predict: DenoiseFn,
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
        x = math.sqrt(1 - schedule.alphas_cumprod[first]) * x
    for step in range(first, 0, -1):
        x0 = predict(step, x)
        if deterministic:
            x = _ddim_step(schedule, step, x, x0)
        else:
            x = _ddpm_step(schedule, step, x, x0, noise(step, *frames))
    return predict(0, x)


def _ddpm_step(schedule: NoiseSchedule, step: int, x: Tensor, x0: Tensor, noise: Tensor) -> Tensor:
    """A draw from the posterior of x before the step."""
    mean = float(schedule.posterior_mean_coef1[step]) * x0 + float(schedule.posterior_mean_coef2[step]) * x
    return mean + math.exp(0.5 * schedule.posterior_log_variance_clipped[step]) * noise


def _ddim_step(schedule: NoiseSchedule, step: int, x: Tensor, x0: Tensor) -> Tensor:
    """Keeps the noise that x was predicted to hold, scaled to the step before."""
    power, before = float(schedule.alphas_cumprod[step]), float(schedule.alphas_cumprod[step - 1])
    noise = (x - math.sqrt(power) * x0) / math.sqrt(1 - power)
    return math.sqrt(before) * x0 + math.sqrt(1 - before) * noise


def _per_item(table: Table, steps: Tensor, like: Tensor) -> Tensor:
    """Entries of a table as `[batch, 1, 1]`; rounded to float32 before the device, as some have no float64."""
    entries = torch.from_numpy(table).to(torch.float32)[steps.cpu()]
    return entries.to(like.device)[:, None, None]
