"""The input of the encoder: mel bands every 10 ms, relative to a level that follows the speaker. Nothing looks ahead.

Frame f is made of samples 160 f - 240 to 160 f + 159, so it is known as soon as its last sample is; before a recording
lies silence. The level at a frame is the greatest of the mean powers of the last `WINDOW` frames, each less by
`DECAY` per frame since: it rises at once with a loud voice, and falls slowly in pauses. Bands below 0.00001 of it are
equal, so that silence of every kind looks alike.
"""

from __future__ import annotations

import numpy as np

from audio2face.audio.mel import MEL_BANDS, MEL_HOP, MEL_TAPS, mel_bands
from audio2face.types import Float32Array

OVERLAP = MEL_TAPS - MEL_HOP  # samples of a frame before its own 10 ms
SMOOTHED = 5  # frames whose mean power counts as one level
DOUBLINGS = 11
WINDOW = 2**DOUBLINGS  # frames, 20 s
DECAY = 0.003  # natural logarithms of power per frame: 1.3 dB per second
POWER_FLOOR = 1e-10
QUIETEST = 1e-6  # level of the quietest speech; white noise at -66 dB of full scale has it
RELATIVE_FLOOR = 1e-5
CENTRE, SCALE = -5.0, 3.0  # of the logarithms, for inputs of the size of 1

# In natural logarithms of power, of frames in the window, the newest last.
_RAMP = (DECAY * np.arange(1 - WINDOW, 1)).astype(np.float32)
_BANDS = np.ascontiguousarray(mel_bands().T)
_HANN = np.hanning(MEL_TAPS + 1)[:-1].astype(np.float32)
_BLOCK = 4096  # frames that are transformed at once, which bounds memory
SILENT_FRAME = float((np.log(RELATIVE_FLOOR) - CENTRE) / SCALE)


def mel_power(samples: Float32Array) -> Float32Array:
    """Computes the power in mel bands of frames whose samples are all there.

    Args:
        samples: float32 `[240 + 160 frames]` at 16 kHz; the first 240 lie before the first frame's own.

    Returns:
        float32 `[frames, 80]`.
    """
    count = (len(samples) - OVERLAP) // MEL_HOP
    if count <= 0:
        return np.zeros((0, MEL_BANDS), np.float32)
    windows = np.lib.stride_tricks.sliding_window_view(samples, MEL_TAPS)[::MEL_HOP][:count]
    blocks = []
    for start in range(0, count, _BLOCK):
        spectrum = np.fft.rfft(windows[start : start + _BLOCK] * _HANN, axis=1).astype(np.complex64)
        blocks.append((spectrum.real**2 + spectrum.imag**2) @ _BANDS)
    return np.concatenate(blocks)


class FrontEnd:
    """Turns samples that arrive in chunks into the encoder's input frames.

    Args:
        level: level of a voice before the first sample, as the mean power of mel bands; at least `QUIETEST`.
    """

    def __init__(self, level: float = QUIETEST) -> None:
        self._samples = np.zeros(OVERLAP, np.float32)
        self._powers = np.zeros(SMOOTHED - 1, np.float32)  # mean over bands, of the last frames
        self._levels = np.full(WINDOW - 1, np.log(QUIETEST), np.float32)
        self._levels[-1] = np.log(level)

    def push(self, samples: Float32Array) -> Float32Array:
        """Returns the frames `[frames, 80]`, float32, that samples `[samples]` at 16 kHz complete."""
        pending = np.concatenate([self._samples, samples])
        power = mel_power(pending)
        self._samples = pending[len(power) * MEL_HOP :]
        if not len(power):
            return power
        reference = np.exp(self._running_level(power))[:, None]
        relative = np.log(power / reference + np.float32(RELATIVE_FLOOR))
        return np.asarray((relative - CENTRE) / SCALE, np.float32)

    def _running_level(self, power: Float32Array) -> Float32Array:
        """The level at each frame, in natural logarithms `[frames]`."""
        powers = np.concatenate([self._powers, power.mean(axis=1)])
        self._powers = powers[len(power) :]
        smoothed = np.lib.stride_tricks.sliding_window_view(powers, SMOOTHED).mean(axis=1)
        levels = np.concatenate([self._levels, np.log(np.maximum(smoothed, np.float32(QUIETEST)))])
        self._levels = levels[len(power) :]
        if len(power) < DOUBLINGS:
            recent = np.lib.stride_tricks.sliding_window_view(levels, WINDOW)
            return np.asarray((recent + _RAMP).max(axis=1), np.float32)
        for doubling in range(DOUBLINGS):  # each doubles the frames over which the greatest is taken
            span = 2**doubling
            levels = np.maximum(levels[span:], levels[:-span] - np.float32(DECAY * span))
        return levels
