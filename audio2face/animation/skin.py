"""The skin: offsets, a mask that parts the face in upper and lower, smoothing and strength for each.

Formulas: contract of the Audio2Face-3D SDK's animator, in float32. Each frame is, with m the mask,

    d = skin_strength delta + eye_close (blink_strength blink - eyelid_open_offset) + lip_open lip_open_offset
    neutral + lower_face_strength m smooth_lower(d) + upper_face_strength (1 - m) smooth_upper(d)

where smoothing is two filters in a row, `s += (input - s) a`, which start at the first input. It is linear and leaves
what never changes as it is. So only the network's motion is filtered vertex by vertex; blinks are one number a frame.
"""

from __future__ import annotations

import numpy as np
from scipy.special import expit

from audio2face.animation.settings import AnimatorSettings, FaceData
from audio2face.types import Float32Array

# Values worked on at once: the arrays that belong to them stay in the cache of a core from frame to frame.
_PART = 24 * 1024


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


class SkinPostProcess:
    """Turns the network's motion of the skin into positions, frame after frame; remembers what smoothing needs.

    Args:
        face: the actor.
        settings: the parameters.
        seconds: from frame to frame.
    """

    def __init__(self, face: FaceData, settings: AnimatorSettings, seconds: float) -> None:
        mask = face_mask(face.skin, settings.face_mask_level, settings.face_mask_softness)
        lower = mask[:, None] * np.float32(settings.lower_face_strength)
        upper = (1 - mask)[:, None] * np.float32(settings.upper_face_strength)
        still = face.lip_open * np.float32(settings.lip_open_offset)
        still -= face.eye_close * np.float32(settings.eyelid_open_offset)
        self._rest = (face.skin + (lower + upper) * still).reshape(-1)
        lids = face.eye_close.any(axis=1)
        shut = (face.eye_close * np.float32(settings.blink_strength))[lids]
        self._lids = np.flatnonzero(np.repeat(lids, 3))
        strength = np.float32(settings.skin_strength)
        self._halves = [
            _FaceHalf(np.broadcast_to(gain * strength, face.skin.shape), gain[lids] * shut, half_life, seconds)
            for gain, half_life in ((lower, settings.lower_face_smoothing), (upper, settings.upper_face_smoothing))
        ]
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
        if not len(delta):
            return positions
        for start in range(0, len(self._rest), _PART):
            part = slice(start, start + _PART)
            self._move(part, delta[:, part], positions[:, part])
        for half in self._halves:
            smooth = half.blink(blink, self._is_first)
            for frame in np.flatnonzero(smooth):
                positions[frame, self._lids] += half.shut * smooth[frame]
        self._is_first = False
        return positions

    def _move(self, part: slice, delta: Float32Array, positions: Float32Array) -> None:
        """Positions of some values in all frames, blinks left out."""
        rest, room, restart = self._rest[part], np.empty(len(self._rest[part]), np.float32), self._is_first
        lower, upper = (half.filter(part) for half in self._halves)
        for moved, placed in zip(delta, positions, strict=True):
            np.multiply(lower.smooth(moved, restart), lower.gain, out=placed)
            placed += rest
            np.multiply(upper.smooth(moved, restart), upper.gain, out=room)
            placed += room
            restart = False


class _Filter:
    """Two filters in a row on some values. States are kept divided by a and a², which saves a multiplication each.

    Args:
        states: `[2, values]`; filled here.
        gain: what the second state is multiplied with to have the result, `[values]`.
        factor: a; 1 lets everything pass.
    """

    def __init__(self, states: Float32Array, gain: Float32Array, factor: float) -> None:
        self.gain = gain
        self._first: Float32Array = states[0]
        self._second: Float32Array = states[1]
        self._factor, self._kept = np.float32(factor), np.float32(1 - factor)

    def smooth(self, moved: Float32Array, restart: bool) -> Float32Array:
        """The next frame, to be multiplied with the gain; may be a view of what is remembered, or `moved`."""
        if self._factor == 1:
            return moved
        if restart:
            np.divide(moved, self._factor, out=self._first)
            np.divide(self._first, self._factor, out=self._second)
            return self._second
        self._first *= self._kept
        self._first += moved
        self._second *= self._kept
        self._second += self._first
        return self._second


class _FaceHalf:
    """The lower or the upper face.

    Args:
        gain: on the network's motion, `[verts, 3]`.
        shut: what a blink adds to the values of lids, `[lids, 3]`.
        half_life: of each filter, seconds; 0 lets everything pass.
        seconds: from frame to frame.
    """

    def __init__(self, gain: Float32Array, shut: Float32Array, half_life: float, seconds: float) -> None:
        self._factor = float(np.float32(1 - 0.5 ** (seconds / half_life) if half_life > 0 else 1))
        scale = np.float32(self._factor**2)
        self._gain = (gain * scale).reshape(-1)
        self.shut = shut.reshape(-1)
        self._states = np.empty((2, self._gain.size), np.float32)
        self._blink = _Filter(np.empty((2, 1), np.float32), np.full(1, scale), self._factor)

    def filter(self, part: slice) -> _Filter:
        """The filters of some values."""
        return _Filter(self._states[:, part], self._gain[part], self._factor)

    def blink(self, blink: Float32Array, restart: bool) -> Float32Array:
        """The smoothed blink, `[frames]`."""
        smooth = np.empty_like(blink)
        for index in range(len(blink)):
            smooth[index : index + 1] = self._blink.smooth(blink[index : index + 1], restart) * self._blink.gain
            restart = False
        return smooth
