"""Autocorrelation of short windows of audio: pitch and voicing, without any speech encoder.

Knows samples. Nothing in here is learnt.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from audio2face.networks.precision import full_precision

WindowFunction = Literal["hanning", "kaiser6"]
_KAISER_BETA = 6.0


@dataclass(frozen=True, kw_only=True)
class AutocorrelationSettings:
    """How autocorrelations are made; the defaults are the reference's.

    Attributes:
        num_autocorr: values of a window: lags from 0 on, in samples.
        num_windows: windows.
        win_len: samples of a window.
        win_stride: samples from one window to the next.
        preemph: share of each sample that is subtracted from the next one.
        remove_dc: whether the mean of each window is subtracted.
        win_func: what each window is multiplied by; None: nothing.
    """

    num_autocorr: int = 32
    num_windows: int = 25
    win_len: int = 640
    win_stride: int = 320
    preemph: float = 0.0
    remove_dc: bool = True
    win_func: WindowFunction | None = "hanning"

    @property
    def num_samples(self) -> int:
        """Samples that all windows together need."""
        return (self.num_windows - 1) * self.win_stride + self.win_len

    def window(self) -> Tensor:
        """What each window is multiplied by, float32 `[win_len]`."""
        shapes = {
            "hanning": np.hanning(self.win_len),
            "kaiser6": np.kaiser(self.win_len, _KAISER_BETA),
            None: np.ones(self.win_len),
        }
        return torch.from_numpy(shapes[self.win_func].astype(np.float32))


class Autocorrelation(nn.Module):
    """Audio to the autocorrelation of its windows.

    Args:
        settings: see `AutocorrelationSettings`.
    """

    window: Tensor

    def __init__(self, settings: AutocorrelationSettings) -> None:
        super().__init__()
        self.settings = settings
        self.register_buffer("window", settings.window(), persistent=False)

    def forward(self, audio: Tensor) -> Tensor:
        """The mean product of a window with itself, moved by each lag.

        Args:
            audio: float32 `[batch, samples]`; what follows the last window is not heard.

        Returns:
            Float32 `[batch, num_windows, num_autocorr]`, also under autocast.
        """
        settings = self.settings
        with full_precision(audio.device.type):
            audio = audio.float()
            if settings.preemph:
                audio = torch.cat([audio[:, :1], audio[:, 1:] - settings.preemph * audio[:, :-1]], dim=1)
            windows = audio.unfold(1, settings.win_len, settings.win_stride)[:, : settings.num_windows]
            if settings.remove_dc:
                windows = windows - windows.mean(dim=-1, keepdim=True)
            sums: Tensor = lag_sums(windows * self.window, settings.num_autocorr)
            return sums / settings.win_len


def lag_sums(values: Tensor, lags: int) -> Tensor:
    """The sums of x[i] x[i + lag] for each lag, from 0 on.

    The values are cut into blocks of `lags`; one product of matrices gives all products of an element of a block with
    one of that block or the next, and each lag is a diagonal of it, summed by laying the rows out askew.

    Args:
        values: `[..., length]`; zeros follow.
        lags: how many.

    Returns:
        `[..., lags]`.
    """
    length = values.shape[-1]
    blocks = -(-length // lags)
    padded = functional.pad(values, (0, (blocks + 1) * lags - length))
    padded = padded.reshape(*values.shape[:-1], blocks + 1, lags)
    here, following = padded[..., :-1, :], padded[..., 1:, :]
    turned = here.transpose(-1, -2)
    products = torch.cat([turned @ here, turned @ following], dim=-1)  # [..., lags, 2 * lags]
    askew = functional.pad(products.flatten(-2), (0, lags)).reshape(*values.shape[:-1], lags, 2 * lags + 1)
    return askew[..., :lags].sum(dim=-2)
