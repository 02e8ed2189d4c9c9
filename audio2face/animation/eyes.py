"""Eyes: rotations of the network with offsets and saccades, and blinks."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from fractions import Fraction

import numpy as np
import numpy.typing as npt

from audio2face.animation.settings import AnimatorSettings, FaceData, check_range
from audio2face.errors import UserError
from audio2face.types import Float32Array, FloatArray

SACCADE_FPS = 30.0


class EyePostProcess:
    """Post-processes the rotations of the eyes; its state is the position in the table of saccades.

    The table plays in a loop at 30 rows per second, independent of the output rate. Its clock is float32, as in the
    SDK: where `30 / fps` rounds down, some rows appear one frame later than in exact arithmetic.

    Args:
        face: constant arrays of the actor.
        settings: animation parameters.
        seconds: duration of a frame.
    """

    def __init__(self, face: FaceData, settings: AnimatorSettings, seconds: float) -> None:
        self._saccades = face.saccades * np.float32(settings.saccade_strength)
        self._strength = np.float32(settings.eyeballs_strength)
        self._offset = np.array(
            [
                settings.right_eye_rot_x_offset,
                settings.right_eye_rot_y_offset,
                settings.left_eye_rot_x_offset,
                settings.left_eye_rot_y_offset,
            ],
            np.float32,
        )
        self._seed = np.float32(settings.eye_saccade_seed)
        self._step = np.float32(seconds) * np.float32(SACCADE_FPS)
        self._clock = np.float32(0)

    def reset(self) -> None:
        """Restarts the saccades."""
        self._clock = np.float32(0)

    def __call__(self, rotations: Float32Array) -> Float32Array:
        """Processes the next frames.

        Args:
            rotations: degrees, `[frames, 4]`: pitch (about x) and yaw (about y) of the right eye, then of the left.

        Returns:
            The same angles with strength, offsets and saccades applied; the SDK adds a roll of 0 for each eye.
        """
        gaze = self._saccades[self._next_rows(len(rotations))]
        angles = rotations * self._strength
        angles += self._offset
        angles += np.concatenate([gaze, gaze], axis=1)
        return angles

    def _next_rows(self, frames: int) -> npt.NDArray[np.intp]:
        count = np.float32(len(self._saccades))
        rows = np.empty(frames, np.intp)
        for index in range(frames):
            rows[index] = int(np.fmod(self._seed + self._clock, count))
            self._clock = np.fmod(self._clock + self._step, count)
        return rows


KEYS_FPS = 30.0
NATURAL_BLINK: tuple[float, ...] = (0.0, 0.35, 0.9, 1.0, 0.95, 0.7, 0.42, 0.2, 0.07, 0.0)
"""For actors without a recorded blink: 0 open to 1 shut, 30 per second; lids close twice as fast as they open."""
# Seconds: 20 blinks per minute. People have 17 in silence and 26 in conversation (A. R. Bentivoglio et al., Movement
# Disorders 12, 1997).
INTERVAL = 3.0
SPREAD = 0.5  # of the logarithm of a pause
MIN_PAUSE = 0.2  # seconds between two blinks
_SHORTEST, _LONGEST = 0.5, 600.0  # allowed intervals, seconds


def blink_pauses(seconds: float, interval: float = INTERVAL, seed: int = 0) -> Iterator[float]:
    """Pauses from the start of a blink to that of the next, without end.

    Args:
        seconds: duration of a blink.
        interval: mean of the pauses, seconds.
        seed: seed of the pauses, 0 or above.
    """
    draw = np.random.default_rng(seed)
    while True:
        drawn = interval * math.exp(SPREAD * draw.standard_normal() - SPREAD**2 / 2)
        yield max(drawn, seconds + MIN_PAUSE)


class BlinkTrack:
    """Closure of the eyes by blinks; bit-equal for every division of the frames into blocks.

    Args:
        keys: one blink, values from 0 (open) to 1 (shut), 30 per second; all zeros: no blinks.
        fps: frames per second of the output.
        interval: mean time between blinks, seconds.
        seed: seed of the pauses, 0 or above.

    Raises:
        UserError: a value is out of its range.
    """

    def __init__(
        self,
        keys: Sequence[float] | FloatArray,
        fps: float | Fraction,
        *,
        interval: float = INTERVAL,
        seed: int = 0,
    ) -> None:
        self._keys = np.asarray(keys, np.float64)
        if self._keys.ndim != 1 or not self._keys.size or not np.all((self._keys >= 0) & (self._keys <= 1)):
            raise UserError(
                "the keys of a blink are not a list of numbers from 0 (open) to 1 (shut)",
                hint="Correct EYE_BLINK_KEYS_FPATH of the dataset, or remove it.",
            )
        check_range("the interval between blinks", interval, _SHORTEST, _LONGEST)
        check_range("the seed of blinks", seed, 0, 2**63)
        self._fps, self._interval, self._seed = float(fps), interval, seed
        self._times = np.arange(self._keys.size) / KEYS_FPS
        self._peak = float(self._times[self._keys.argmax()])
        self.reset()

    def reset(self) -> None:
        """Restarts with the same pauses."""
        self._pauses = blink_pauses(float(self._times[-1]), self._interval, self._seed)
        self._frame = 0
        self._due = 0.0  # start of the current or next blink, seconds
        self._schedule(next(self._pauses) / 2)

    def __call__(self, frames: int) -> Float32Array:
        """Returns the next frames, `[frames]`, 0 open to 1 shut; frame i is at the time i / fps."""
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
                self._schedule(next(self._pauses))
        return shut.astype(np.float32)

    def _schedule(self, pause: float) -> None:
        """Schedules the next blink so that its peak coincides with a frame."""
        self._due += pause
        self._shut_frame = round((self._due + self._peak) * self._fps)
