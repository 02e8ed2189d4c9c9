"""Augmentation of speech on its mel bands: other vocal tracts, rooms, microphones and noises, for almost no time.

All of it works on natural logarithms of power `[batch, frames, 80]`.
"""

from __future__ import annotations

import math

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from audio2face.audio.mel import MEL_BANDS, mel_edges
from audio2face.types import Float32Array

WARP = 1.25  # greatest factor on frequencies
_WARPS = 41
_SMOOTH = 6  # terms of a random smooth spectrum
_TILT = (2.2, 1.2, 0.7, 0.5, 0.4, 0.3)  # spread of each, of a microphone; the first is the level
_COLOUR = (0.0, 1.5, 0.8, 0.5, 0.4, 0.3)  # of a noise
_ECHO_FRAMES = 24
_POOL = 1 << 22


class Augmentation:
    """Alters items, each in its own way.

    Args:
        seed: of all that is random.
    """

    def __init__(self, seed: int) -> None:
        self._random = torch.Generator().manual_seed(seed)
        self._warps = torch.from_numpy(frequency_warps())
        position = torch.linspace(0, math.pi, MEL_BANDS)
        self._curves = torch.stack([torch.cos(order * position) for order in range(_SMOOTH)])
        self._pool = torch.randn(_POOL, generator=self._random)

    def __call__(self, mel: Tensor) -> Tensor:
        """Returns altered items of the same shape."""
        mel = torch.bmm(mel, self._warps[torch.randint(len(self._warps), (len(mel),), generator=self._random)])
        if self._uniform(1).item() < 0.5:
            mel = self._echo(mel)
        mel = mel + self._spectrum(len(mel), _TILT)[:, None]
        mel = self._noise(mel)
        mel = self._low_pass(mel)
        mel = self._mask_bands(self._mask_bands(mel))
        return mel + 0.15 * self._normal(*mel.shape)

    def _echo(self, mel: Tensor) -> Tensor:
        """Adds an exponentially decaying tail to some items: a room."""
        decay = self._uniform(len(mel), 2.0, 15.0)
        wet = self._uniform(len(mel), 0.0, 0.25) * (self._uniform(len(mel)) < 0.6)
        tail = torch.exp(-torch.arange(_ECHO_FRAMES) / decay[:, None]) * wet[:, None]
        tail[:, 0] = 1
        power = functional.pad(mel.exp().permute(2, 0, 1), (_ECHO_FRAMES - 1, 0))
        return (functional.conv1d(power, tail.flip(1)[:, None], groups=len(mel)).permute(1, 2, 0) + 1e-10).log()

    def _noise(self, mel: Tensor) -> Tensor:
        """Adds noise with a smooth spectrum, 0 to 35 dB below the loudest bands' mean."""
        level = mel.amax(dim=2).mean(dim=1) - self._uniform(len(mel), 1.5, 10.0) - 2.0
        noise = level[:, None] + self._spectrum(len(mel), _COLOUR)
        return torch.logaddexp(mel, noise[:, None] + 0.6 * self._normal(*mel.shape))

    def _low_pass(self, mel: Tensor) -> Tensor:
        """Empties the high bands of a quarter of the items: telephones, codecs."""
        cut = torch.randint(45, MEL_BANDS, (len(mel), 1), generator=self._random)
        emptied = (torch.arange(MEL_BANDS) >= cut) & (self._uniform(len(mel)) < 0.25)[:, None]
        return torch.where(emptied[:, None], mel.amin(dim=(1, 2), keepdim=True), mel)

    def _mask_bands(self, mel: Tensor) -> Tensor:
        """Replaces up to 8 neighbouring bands by their mean (SpecAugment, Park et al. 2019)."""
        first = torch.randint(MEL_BANDS - 8, (len(mel), 1), generator=self._random)
        width = torch.randint(9, (len(mel), 1), generator=self._random)
        bands = torch.arange(MEL_BANDS)
        masked = (bands >= first) & (bands < first + width)
        return torch.where(masked[:, None], mel.mean(dim=(1, 2), keepdim=True), mel)

    def _spectrum(self, count: int, spreads: tuple[float, ...]) -> Tensor:
        return (torch.randn(count, _SMOOTH, generator=self._random) * torch.tensor(spreads)) @ self._curves

    def _uniform(self, count: int, low: float = 0.0, high: float = 1.0) -> Tensor:
        return torch.empty(count).uniform_(low, high, generator=self._random)

    def _normal(self, *shape: int) -> Tensor:
        """Normal numbers from a pool, which is much faster than drawing them."""
        count = math.prod(shape)
        start = int(torch.randint(len(self._pool) - count, (1,), generator=self._random))
        return self._pool[start : start + count].view(*shape)


def frequency_warps() -> Float32Array:
    """Matrices `[warps, 80, 80]` that scale frequencies by 1 / WARP to WARP, as other vocal tracts do."""
    centres = mel_edges()[1:-1]
    bands = np.arange(MEL_BANDS)
    warps = np.zeros((_WARPS, MEL_BANDS, MEL_BANDS), np.float32)
    for warp, factor in zip(warps, np.exp(np.linspace(-math.log(WARP), math.log(WARP), _WARPS)), strict=True):
        at = np.interp(centres * factor, centres, bands)
        below = np.floor(at).astype(int)
        above = np.minimum(below + 1, MEL_BANDS - 1)
        np.add.at(warp, (below, bands), 1 - (at - below))
        np.add.at(warp, (above, bands), at - below)
    return warps
