"""How much noise each step of a diffusion process adds, and the tables that follow from it, in float64.

Knows numbers only: no tensors, no network. After Ho et al. 2020 (the process) and Nichol and Dhariwal 2021 (the cosine
schedule, and leaving out steps).
"""

from __future__ import annotations

import itertools
import math
import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
import numpy.typing as npt

from audio2face.errors import UserError

Table = npt.NDArray[np.float64]
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

    timesteps: npt.NDArray[np.int64]
    betas: Table
    signal_power: Table
    posterior_variance: Table
    posterior_log_variance: Table
    posterior_x0: Table
    posterior_xt: Table

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
        respacing: which are kept, see `kept_timesteps`.

    Raises:
        UserError: the respacing does not fit the number of steps.
    """
    betas = _cosine_betas(steps) if kind == "cosine" else _linear_betas(steps)
    timesteps = kept_timesteps(steps, respacing)
    power = np.multiply.accumulate(1 - betas)[timesteps]
    before = np.append(1.0, power[:-1])
    if len(timesteps) < steps:
        betas = 1 - power / before
    variance = betas * (1 - before) / (1 - power)
    return NoiseSchedule(
        timesteps=timesteps,
        betas=betas,
        signal_power=power,
        posterior_variance=variance,
        posterior_log_variance=np.log(np.append(variance[1:2] if len(variance) > 1 else betas, variance[1:])),
        posterior_x0=betas * np.sqrt(before) / (1 - power),
        posterior_xt=(1 - before) * np.sqrt(1 - betas) / (1 - power),
    )


def kept_timesteps(steps: int, respacing: str | Sequence[int] | None = None) -> npt.NDArray[np.int64]:
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


def _even_stride(steps: int, count: int) -> npt.NDArray[np.int64]:
    for stride in range(1, steps + 1):
        if len(range(0, steps, stride)) == count:
            return np.arange(0, steps, stride)
    raise UserError(
        f"TIMESTEP_RESPACING asks for {count:,} evenly spaced steps; no distance between them gives that many of "
        f"{steps:,}",
        hint="Take a count that divides the number of steps.",
    )
