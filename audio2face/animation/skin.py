"""The skin: offsets, a mask that parts the face in upper and lower, smoothing and strength for each.

Formulas: contract of the Audio2Face-3D SDK's animator. Everything is float32, as there.
"""

from __future__ import annotations

import numpy as np
from scipy.special import expit

from audio2face.animation.face import FaceData, Float32Array
from audio2face.animation.settings import AnimatorSettings

# Values worked on at once: the arrays that belong to them stay in the cache of a core from frame to frame.
_PART = 12 * 1024


def face_mask(skin: Float32Array, level: float, softness: float) -> Float32Array:
    """How far each vertex belongs to the lower face, `[verts]`: 1 below, 0 above.

    Args:
        skin: the skin at rest, `[verts, 3]`, y upwards.
        level: where the mask is a half, as a share of the height from the lowest to the highest vertex.
        softness: the distance from there, likewise, at which it has gone to 0.73 and 0.27.
    """
    height = skin[:, 1].astype(np.float64)
    share = (height - height.min()) / np.ptp(height)
    return np.asarray(expit((level - share) / softness), np.float32)


def smoothing_factor(half_life: float, seconds: float) -> np.float32:
    """What a filter of that half-life takes over of its input in so many seconds, 0 to 1; all, for a half-life of 0."""
    return np.float32(1 - 0.5 ** (seconds / half_life) if half_life > 0 else 1)


class SkinMotion:
    """Turns the network's motion of the skin into positions, frame after frame; remembers what smoothing needs.

    Frame by frame, with the constants of the settings: `d = skin_strength delta + eye_close (blink_strength blink -
    eyelid_open_offset) + lip_open lip_open_offset`. Two filters in a row, `s1 += (d - s1) a; s2 += (s1 - s2) a`, which
    start at the first d, smooth it once with the factor of the lower and once with that of the upper face. With the
    mask m, `neutral + lower_face_strength m s2_lower + upper_face_strength (1 - m) s2_upper`.

    Args:
        face: the actor.
        settings: the parameters.
        seconds: from frame to frame.
    """

    def __init__(self, face: FaceData, settings: AnimatorSettings, seconds: float) -> None:
        mask = face_mask(face.skin, settings.face_mask_level, settings.face_mask_softness)
        self._strength = np.float32(settings.skin_strength)
        self._neutral = face.skin.reshape(-1)
        self._shut = (face.eye_close * np.float32(settings.blink_strength)).reshape(-1)
        self._offset = (
            face.eye_close * np.float32(-settings.eyelid_open_offset)
            + face.lip_open * np.float32(settings.lip_open_offset)
        ).reshape(-1)
        self._lower = _Half(mask * np.float32(settings.lower_face_strength), settings.lower_face_smoothing, seconds)
        self._upper = _Half(
            (1 - mask) * np.float32(settings.upper_face_strength), settings.upper_face_smoothing, seconds
        )
        self._is_first = True

    def reset(self) -> None:
        """Forgets the frames so far."""
        self._is_first = True

    def __call__(self, delta: Float32Array, blink: Float32Array) -> Float32Array:
        """The next frames.

        Args:
            delta: motion, `[frames, verts * 3]`, centimetres.
            blink: how far the eyes are shut, `[frames]`, 0 to 1.

        Returns:
            Positions, `[frames, verts * 3]`.
        """
        positions = np.empty(delta.shape, np.float32)
        for start in range(0, len(self._neutral), _PART):
            part = slice(start, start + _PART)
            self._animate(part, delta[:, part], blink, positions[:, part])
        self._is_first = self._is_first and len(delta) == 0
        return positions

    def _animate(self, part: slice, delta: Float32Array, blink: Float32Array, positions: Float32Array) -> None:
        """Some of the vertices, in all frames."""
        neutral, offset, shut = self._neutral[part], self._offset[part], self._shut[part]
        blinks = blink if shut.any() else np.zeros_like(blink)
        motion, room = np.empty_like(neutral), np.empty_like(neutral)
        restart = self._is_first
        for moved, blink_now, placed in zip(delta, blinks, positions, strict=True):
            np.multiply(moved, self._strength, out=motion)
            motion += offset
            if blink_now != 0:
                np.multiply(shut, blink_now, out=room)
                motion += room
            np.multiply(self._lower.smooth(part, motion, room, restart), self._lower.gain[part], out=placed)
            placed += neutral
            np.multiply(self._upper.smooth(part, motion, room, restart), self._upper.gain[part], out=room)
            placed += room
            restart = False


class _Half:
    """The lower or the upper face: a gain for each value, and the two filters."""

    def __init__(self, gain: Float32Array, half_life: float, seconds: float) -> None:
        self.gain = np.repeat(gain, 3)
        self._factor = smoothing_factor(half_life, seconds)
        # A factor that rounds to 1 lets everything pass, and there is nothing to remember.
        self._states = None if self._factor == 1 else np.empty((2, self.gain.size), np.float32)

    def smooth(self, part: slice, motion: Float32Array, room: Float32Array, restart: bool) -> Float32Array:
        """The smoothed motion of some values in the next frame; may be a view of what is remembered, or `motion`."""
        if self._states is None:
            return motion
        first, second = self._states[0, part], self._states[1, part]
        if restart:
            first[:] = second[:] = motion
            return second
        for state, target in ((first, motion), (second, first)):
            np.subtract(target, state, out=room)
            room *= self._factor
            state += room
        return second
