"""From the network's motion of a face to animation of all its parts, in blocks of frames.

Blocks may have any length: what a frame looks like depends on the frames before it, and never, not even in the last
bit, on how they were cut into blocks. Lengths are centimetres, angles degrees.
"""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction

import numpy as np
import numpy.typing as npt

from audio2face.animation.eyes import BlinkTrack, EyePostProcess
from audio2face.animation.jaw import jaw_transforms
from audio2face.animation.settings import AnimatorSettings, FaceData
from audio2face.animation.skin import SkinPostProcess
from audio2face.types import Float32Array


@dataclass(frozen=True, eq=False)
class FaceFrames:
    """Animated frames of one face, float32.

    Attributes:
        skin: positions, `[frames, verts, 3]`.
        tongue: positions, `[frames, tongue verts, 3]`.
        jaw: maps the lower teeth at rest to the frame, `p' = M[:3, :3] p + M[:3, 3]`, `[frames, 4, 4]`.
        eyes: pitch (about x) and yaw (about y) of the right eye, then of the left, `[frames, 4]`.
    """

    skin: Float32Array
    tongue: Float32Array
    jaw: Float32Array
    eyes: Float32Array


class FaceAnimator:
    """Animates one face. Parts are independent: each keeps its own place in time, and any of them may be left out.

    Motion may be given flat, `[frames, values]`, as it comes out of a network, or in the shapes named below.

    Args:
        face: the actor.
        settings: the parameters.
        fps: frames per second of motion and animation.
        blinks: blinks at that rate; None: the face never blinks.
    """

    def __init__(
        self, face: FaceData, settings: AnimatorSettings, fps: float | Fraction, blinks: BlinkTrack | None = None
    ) -> None:
        seconds = float(1 / fps)
        self._face, self._settings, self._blinks = face, settings, blinks
        self._skin = SkinPostProcess(face, settings, seconds)
        self._eyes = EyePostProcess(face, settings, seconds)
        self._tongue_rest = face.tongue + np.array(
            [0, settings.tongue_height_offset, settings.tongue_depth_offset], np.float32
        )

    def reset(self) -> None:
        """Forgets all frames so far: the next one is the first again."""
        self._skin.reset()
        self._eyes.reset()
        if self._blinks is not None:
            self._blinks.reset()

    def __call__(
        self,
        skin: npt.NDArray[np.floating],
        tongue: npt.NDArray[np.floating],
        jaw: npt.NDArray[np.floating],
        eyes: npt.NDArray[np.floating],
    ) -> FaceFrames:
        """The next frames of all parts, blinks included; arguments as of the methods below."""
        blink = None if self._blinks is None else self._blinks(len(skin))
        return FaceFrames(self.skin(skin, blink), self.tongue(tongue), self.jaw(jaw), self.eyes(eyes))

    def skin(self, delta: npt.NDArray[np.floating], blink: npt.NDArray[np.floating] | None = None) -> Float32Array:
        """The next frames of the skin.

        Args:
            delta: motion from the neutral, `[frames, verts, 3]`.
            blink: how far blinks shut the eyes, `[frames]`, 0 to 1, beside the fixed `blink_offset` (together at
                most 1); None: no blinks.

        Returns:
            Positions, `[frames, verts, 3]`.
        """
        flat = _flat(delta, self._face.skin.size, "skin")
        shut = np.full(len(flat), self._settings.blink_offset, np.float32)
        if blink is not None:
            shut = np.minimum(shut + np.asarray(blink, np.float32), np.float32(1))
        return self._skin(flat, shut).reshape(len(flat), *self._face.skin.shape)

    def tongue(self, delta: npt.NDArray[np.floating]) -> Float32Array:
        """The next frames of the tongue: positions `[frames, tongue verts, 3]` for motion of that shape."""
        flat = _flat(delta, self._face.tongue.size, "tongue")
        positions = flat * np.float32(self._settings.tongue_strength)
        positions += self._tongue_rest.reshape(-1)
        return positions.reshape(len(flat), *self._face.tongue.shape)

    def jaw(self, delta: npt.NDArray[np.floating]) -> Float32Array:
        """The next frames of the lower teeth: `[frames, 4, 4]` of `jaw_transforms` for motion `[frames, points, 3]`."""
        flat = _flat(delta, self._face.jaw.size, "jaw")
        return jaw_transforms(self._face, self._settings, flat.reshape(len(flat), *self._face.jaw.shape))

    def eyes(self, rotations: npt.NDArray[np.floating]) -> Float32Array:
        """The next frames of the eyes: degrees `[frames, 4]`, see `EyePostProcess`, for rotations `[frames, 4]`."""
        return self._eyes(_flat(rotations, 4, "eyes"))


def _flat(motion: npt.NDArray[np.floating], values: int, part: str) -> Float32Array:
    """The frames as float32 `[frames, values]`; a view where that is possible."""
    flat = np.asarray(motion, np.float32)
    if flat.ndim < 2 or flat[:1].size != values * len(flat[:1]):
        raise ValueError(f"motion of the {part} has shape {list(motion.shape)}, expected {values} values in each frame")
    return flat.reshape(len(flat), values)
