"""Log-mel spectrograms as a convolution with stored kernels, which every exporter and device supports."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from audio2face.models.layers import full_precision

TAPS = 400  # 25 ms
HOP = 160  # 10 ms
BINS = TAPS // 2 + 1
BANDS = 80
_FLOOR = 1e-10  # of band power, before the logarithm

_HZ_PER_MEL = 200.0 / 3.0  # of the scale's linear part
_LINEAR_HZ, _LINEAR_MELS = 1000.0, 15.0
_OCTAVE_MELS = 27.0 / np.log(6.4)  # per natural logarithm of the frequency, above the linear part


class MelPower(nn.Module):
    """Computes log power in mel bands every 10 ms; the first frame is centred on the first sample, ends are mirrored.

    Kernels and bands are constants in the state dict, since an encoder may load its own.
    """

    kernels: Tensor
    bands: Tensor

    def __init__(self) -> None:
        super().__init__()
        self.register_buffer("kernels", fourier_kernels())
        self.register_buffer("bands", mel_bands())

    def forward(self, audio: Tensor) -> Tensor:
        """Computes the natural logarithm of the power in each band.

        Args:
            audio: `[batch, samples]`, more than 200 samples.

        Returns:
            float32 `[batch, bands, samples // 160 + 1]`; autocast, which would lose most of the precision, is disabled.
        """
        with full_precision(audio.device.type):
            mirrored = functional.pad(audio.float()[:, None], (TAPS // 2, TAPS // 2), mode="reflect")
            real, imaginary = functional.conv1d(mirrored, self.kernels, stride=HOP).chunk(2, dim=1)
            power = real * real + imaginary * imaginary
            return torch.log((self.bands @ power).clamp(min=_FLOOR))


def fourier_kernels() -> Tensor:
    """Computes the kernels of a Fourier transform of 400 samples with a periodic Hann window.

    Returns:
        float32 `[2 * bins, 1, taps]`, real parts first.
    """
    window = np.hanning(TAPS + 1)[:-1]
    phase = 2.0 * np.pi / TAPS * (np.outer(np.arange(BINS), np.arange(TAPS)) % TAPS)
    kernels = np.concatenate([np.cos(phase), -np.sin(phase)]) * window
    return torch.from_numpy(kernels[:, None].astype(np.float32))


def mel_bands(sample_rate: int = 16_000) -> Tensor:
    """Computes triangular filters of equal area, evenly spaced on Slaney's mel scale from 0 to the Nyquist frequency.

    Source: M. Slaney, Auditory Toolbox version 2 (1998).

    Returns:
        float32 `[bands, bins]`.
    """
    nyquist = sample_rate / 2
    mels = np.linspace(0.0, _LINEAR_MELS + _OCTAVE_MELS * np.log(nyquist / _LINEAR_HZ), BANDS + 2)
    logarithmic = _LINEAR_HZ * np.exp((mels - _LINEAR_MELS) / _OCTAVE_MELS)
    edges = np.where(mels < _LINEAR_MELS, mels * _HZ_PER_MEL, logarithmic)
    bins = np.linspace(0.0, nyquist, BINS)
    rising = (bins - edges[:-2, None]) / np.diff(edges)[:-1, None]
    falling = (edges[2:, None] - bins) / np.diff(edges)[1:, None]
    triangles = np.maximum(0.0, np.minimum(rising, falling))
    areas = 2.0 / (edges[2:] - edges[:-2])
    return torch.from_numpy((triangles * areas[:, None]).astype(np.float32))
