"""The eyes: the network's rotations, fixed offsets, and the small jumps of a gaze that a table holds."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from audio2face.animation.face import FaceData, Float32Array
from audio2face.animation.settings import AnimatorSettings

SACCADE_FPS = 30.0


class EyeMotion:
    """Turns the network's rotation of the eyes into animation; remembers where in the table of saccades it is.

    The table plays at 30 rows a second, whatever the rate of the output, over and over. Its clock is float32, as in the
    SDK: where `30 / fps` rounds down, some rows come a frame later than exact arithmetic has them.

    Args:
        face: the actor.
        settings: the parameters.
        seconds: from frame to frame.
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
        """Begins the saccades anew."""
        self._clock = np.float32(0)

    def __call__(self, rotations: Float32Array) -> Float32Array:
        """The next frames.

        Args:
            rotations: degrees, `[frames, 4]`: pitch (about x) and yaw (about y) of the right eye, then of the left.

        Returns:
            Likewise; the SDK puts a roll of 0 after each eye's two.
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
