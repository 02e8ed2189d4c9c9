"""Blinks: one recorded blink, played again and again after pauses that vary as those of people do.

Neither the Audio2Face-3D SDK nor the reference framework blinks; this is ours. How the pauses are drawn is part of the
contract, so that a seed means the same blinks in every version:

PCG64 of NumPy, seeded with the seed, draws one standard normal z per pause. From the beginning of one blink to that of
the next it takes `interval * exp(SPREAD z - SPREAD² / 2)` seconds, on average `interval`, and never less than a
blink and LEAST_PAUSE. The first blink comes half of such a time after the start. Each is shifted by up to half a
frame, so that the eyes are most shut in a frame and not between two.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from fractions import Fraction

import numpy as np
import numpy.typing as npt

from audio2face.animation.face import Float32Array
from audio2face.animation.settings import check_range
from audio2face.errors import UserError

KEYS_FPS = 30.0
NATURAL_BLINK: tuple[float, ...] = (0.0, 0.35, 0.9, 1.0, 0.95, 0.7, 0.42, 0.2, 0.07, 0.0)
"""For actors without a recorded blink: 0 open to 1 shut, 30 values a second; lids fall twice as fast as they rise."""
# Seconds: 20 blinks a minute. People at rest have 17, in conversation 26 (A. R. Bentivoglio et al., Movement Disorders
# 12, 1997).
INTERVAL = 3.0
SPREAD = 0.5  # of the logarithm of a pause
LEAST_PAUSE = 0.2  # seconds between two blinks
_SHORTEST, _LONGEST = 0.5, 600.0  # seconds that may be asked for as an interval


class BlinkTrack:
    """How far blinks shut the eyes, frame after frame; bit-equal however frames are cut into blocks.

    Args:
        keys: one blink, values from 0 (open) to 1 (shut), 30 a second. All zeros never blink.
        fps: frames per second of what is asked for.
        interval: seconds from blink to blink, on average.
        seed: chooses the pauses, 0 or above.

    Raises:
        UserError: a value is out of its range.
    """

    def __init__(
        self,
        keys: Sequence[float] | npt.NDArray[np.floating],
        fps: float | Fraction,
        *,
        interval: float = INTERVAL,
        seed: int = 0,
    ) -> None:
        self._keys = np.asarray(keys, np.float64)
        if self._keys.ndim != 1 or not self._keys.size or not np.all((self._keys >= 0) & (self._keys <= 1)):
            raise UserError(
                "the keys of a blink are not a list of numbers from 0 (open) to 1 (shut)",
                hint="Correct EYE_BLINK_KEYS_FPATH of the dataset, or leave it out.",
            )
        check_range("the interval between blinks", interval, _SHORTEST, _LONGEST)
        check_range("the seed of blinks", seed, 0, 2**63)
        self._fps, self._interval, self._seed = float(fps), interval, seed
        self._times = np.arange(self._keys.size) / KEYS_FPS
        self._peak = float(self._times[self._keys.argmax()])
        self.reset()

    def reset(self) -> None:
        """Begins anew, with the same pauses."""
        self._draw = np.random.default_rng(self._seed)
        self._frame = 0
        self._due = 0.0  # when the blink begins that is being played or comes next, seconds
        self._await(self._pause() / 2)

    def __call__(self, frames: int) -> Float32Array:
        """The next frames, `[frames]`, 0 open to 1 shut; frame i shows the time i / fps."""
        numbers = np.arange(self._frame, self._frame + frames)
        shut = np.zeros(frames)
        self._frame += frames
        done = 0
        while done < frames:
            since = (numbers[done:] - self._shut_frame) / self._fps + self._peak
            reached = int(np.searchsorted(since, self._times[-1], side="right"))
            shut[done : done + reached] = np.interp(since[:reached], self._times, self._keys, left=0)
            done += reached
            if done < frames:
                self._await(self._pause())
        return shut.astype(np.float32)

    def _pause(self) -> float:
        drawn = self._interval * math.exp(SPREAD * self._draw.standard_normal() - SPREAD**2 / 2)
        return max(drawn, float(self._times[-1]) + LEAST_PAUSE)

    def _await(self, pause: float) -> None:
        """Sets the next blink such that its peak falls on a frame."""
        self._due += pause
        self._shut_frame = round((self._due + self._peak) * self._fps)
