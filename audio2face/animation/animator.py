"""Post-processing of network output for all parts of a face, in blocks of frames.

Blocks may have any length: results are bit-equal for every division of the frames into blocks. Lengths are centimetres,
angles degrees.
"""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction

import numpy as np

from audio2face.animation.eyes import BlinkTrack, EyePostProcess
from audio2face.animation.rigid import jaw_transforms
from audio2face.animation.settings import AnimatorSettings, FaceData
from audio2face.animation.skin import SkinPostProcess
from audio2face.types import Float32Array, FloatArray


@dataclass(frozen=True, eq=False)
class FaceFrames:
    """Animated frames of one face, float32.

    Attributes:
        skin: positions, `[frames, verts, 3]`.
        tongue: positions, `[frames, tongue verts, 3]`.
        jaw: rigid transform of the neutral lower teeth, `p' = M[:3, :3] p + M[:3, 3]`, `[frames, 4, 4]`.
        eyes: pitch (about x) and yaw (about y) of the right eye, then of the left, `[frames, 4]`.
        skin_weights: weights from 0 to 1 that pose the skin, `[frames, shapes]`; None where no blend shapes do.
    """

    skin: Float32Array
    tongue: Float32Array
    jaw: Float32Array
    eyes: Float32Array
    skin_weights: Float32Array | None = None


class FaceAnimator:
    """Post-processes the motion of one face. Parts are independent: each has its own state in time and is optional.

    Motion may be flat, `[frames, channels]`, as a network outputs it, or in the shapes given below.

    Args:
        face: constant arrays of the actor.
        settings: animation parameters.
        fps: frames per second of network output and animation.
        blinks: blinks at this rate; None: no blinks.
    """

    def __init__(
        self, face: FaceData, settings: AnimatorSettings, fps: float | Fraction, blinks: BlinkTrack | None = None
    ) -> None:
        seconds = float(1 / fps)
        self._face, self._settings, self._blinks = face, settings, blinks
        self._skin = SkinPostProcess(face, settings, seconds)
        self._eyes = EyePostProcess(face, settings, seconds)
        self._tongue_neutral = tongue_at_rest(face, settings)

    def reset(self) -> None:
        """Clears the state: the next frame is the first one."""
        self._skin.reset()
        self._eyes.reset()
        if self._blinks is not None:
            self._blinks.reset()

    def __call__(
        self,
        skin: FloatArray,
        tongue: FloatArray,
        jaw: FloatArray,
        eyes: FloatArray,
        lower: FloatArray | None = None,
    ) -> FaceFrames:
        """Processes the next frames of all parts, including blinks; the arguments are those of the methods below."""
        blink = None if self._blinks is None else self._blinks(len(skin))
        weights = None if self._face.shapes is None else self.weights(skin, blink, lower)
        moved = self.skin(skin, blink, lower) if weights is None else self.posed(weights)
        return FaceFrames(moved, self.tongue(tongue), self.jaw(jaw), self.eyes(eyes), weights)

    def skin(self, delta: FloatArray, blink: FloatArray | None = None, lower: FloatArray | None = None) -> Float32Array:
        """Processes the next frames of the skin.

        Args:
            delta: offsets from the neutral, `[frames, verts, 3]`; of a face that blend shapes pose, their weights,
                `[frames, shapes]`.
            blink: closure of the eyes by blinks, `[frames]`, 0 to 1, added to the constant `blink_offset` (the sum is
                clipped to 1); None: no blinks.
            lower: what the lower face follows, in the form of `delta`; None: `delta` too.

        Returns:
            Positions, `[frames, verts, 3]`.
        """
        if self._face.shapes is not None:
            return self.posed(self.weights(delta, blink, lower))
        flat = self._moved(delta, blink, lower)
        return flat.reshape(len(flat), *self._face.skin.shape)

    def weights(
        self, weights: FloatArray, blink: FloatArray | None = None, lower: FloatArray | None = None
    ) -> Float32Array:
        """Processes the next frames of a face that blend shapes pose.

        Args:
            weights: `[frames, shapes]`, as predicted.
            blink: as `skin` takes it.
            lower: as `skin` takes it.

        Returns:
            Weights from 0 to 1, `[frames, shapes]`; what is beyond is clamped.
        """
        return np.clip(self._moved(weights, blink, lower), np.float32(0), np.float32(1))

    def posed(self, weights: Float32Array) -> Float32Array:
        """The skin that weights `[frames, shapes]` pose: positions, `[frames, verts, 3]`."""
        assert self._face.shapes is not None
        moved = self._face.shapes.pose(weights)
        moved += self._face.skin
        return moved

    def _moved(self, motion: FloatArray, blink: FloatArray | None, lower: FloatArray | None) -> Float32Array:
        """Post-processes motion of vertices or weights, `[frames, values]`, with blinks."""
        flat = _flat(motion, self._face.skin_values, "skin")
        below = None if lower is None else _flat(lower, self._face.skin_values, "skin")
        closure = np.full(len(flat), self._settings.blink_offset, np.float32)
        if blink is not None:
            closure = np.minimum(closure + np.asarray(blink, np.float32), np.float32(1))
        return self._skin(flat, closure, below)

    def tongue(self, delta: FloatArray) -> Float32Array:
        """Processes the next frames of the tongue: offsets to positions, both `[frames, tongue verts, 3]`."""
        flat = _flat(delta, self._face.tongue.size, "tongue")
        positions = flat * np.float32(self._settings.tongue_strength)
        positions += self._tongue_neutral.reshape(-1)
        return positions.reshape(len(flat), *self._face.tongue.shape)

    def jaw(self, delta: FloatArray) -> Float32Array:
        """Processes the next frames of the jaw: offsets `[frames, points, 3]` to `jaw_transforms` `[frames, 4, 4]`."""
        flat = _flat(delta, self._face.jaw.size, "jaw")
        return jaw_transforms(self._face, self._settings, flat.reshape(len(flat), *self._face.jaw.shape))

    def eyes(self, rotations: FloatArray) -> Float32Array:
        """Processes the next frames of the eyes: rotations in degrees, `[frames, 4]`, with offsets and saccades."""
        return self._eyes(_flat(rotations, 4, "eyes"))


def tongue_at_rest(face: FaceData, settings: AnimatorSettings) -> Float32Array:
    """The tongue where the network moves nothing, `[tongue verts, 3]`."""
    return face.tongue + np.array([0, settings.tongue_height_offset, settings.tongue_depth_offset], np.float32)


def _flat(motion: FloatArray, channels: int, part: str) -> Float32Array:
    """The frames as float32 `[frames, channels]`; a view if possible."""
    flat = np.asarray(motion, np.float32)
    if flat.ndim < 2 or flat[:1].size != channels * len(flat[:1]):
        raise ValueError(f"motion of the {part} has shape {list(motion.shape)}, expected {channels} channels per frame")
    return flat.reshape(len(flat), channels)
