"""The skin: offsets, a mask of upper and lower face, and smoothing and strength for each of them.

Formulas: contract of the Audio2Face-3D SDK's animator, in float32. Each frame is, with m the mask,

    d = skin_strength delta + eye_close (blink_strength blink - eyelid_open_offset) + lip_open lip_open_offset
    neutral + lower_face_strength m smooth_lower(d) + upper_face_strength (1 - m) smooth_upper(d)

where smoothing is two cascaded filters, `s += (input - s) a`, initialised with the first input. It is linear and keeps
constants unchanged, so only the network output is filtered per vertex; blinks are one number per frame.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from audio2face.animation.settings import AnimatorSettings, FaceData
from audio2face.types import Float32Array

# Values per block: their arrays stay in a core's cache from frame to frame.
_BLOCK = 24 * 1024


def face_mask(skin: Float32Array, level: float, softness: float) -> Float32Array:
    """Membership of each vertex in the lower face, `[verts]`: 1 below, 0 above.

    Args:
        skin: the neutral skin, `[verts, 3]`, y upwards.
        level: height at which the mask is 0.5, as a fraction of the height from the lowest to the highest vertex.
        softness: distance from there, as the same fraction, at which the mask is 0.73 and 0.27.
    """
    height = skin[:, 1].astype(np.float64)
    share = (height - height.min()) / np.ptp(height)
    with np.errstate(over="ignore"):  # far above the level: 1 / infinity
        return np.asarray(1 / (1 + np.exp((share - level) / softness)), np.float32)


class SkinPostProcess:
    """Converts the network output of the skin to positions, frame by frame; its state is that of the filters.

    A face that blend shapes pose has weights in place of vertices, `[shapes, 1]`, and their share of the lower face in
    place of the mask.

    Args:
        face: constant arrays of the actor.
        settings: animation parameters.
        seconds: duration of a frame.
    """

    def __init__(self, face: FaceData, settings: AnimatorSettings, seconds: float) -> None:
        terms = SkinTerms.of(face, settings, seconds)
        self._neutral, self._lids = terms.neutral, terms.lids
        self._halves = [_FaceHalf(half) for half in terms.halves]
        self._is_first = True

    def reset(self) -> None:
        """Clears the state."""
        self._is_first = True

    def __call__(self, delta: Float32Array, blink: Float32Array, lower: Float32Array | None = None) -> Float32Array:
        """Processes the next frames.

        Args:
            delta: offsets from the neutral, `[frames, verts * 3]`, centimetres; weights `[frames, shapes]` of a face
                that blend shapes pose.
            blink: closure of the eyes, `[frames]`, 0 to 1.
            lower: what the lower face follows, in the form of `delta`; None: `delta` too.

        Returns:
            Positions, `[frames, verts * 3]`; weights, `[frames, shapes]`, not clamped.
        """
        positions = np.empty(delta.shape, np.float32)
        if not len(delta):
            return positions
        followed = delta if lower is None else lower
        for start in range(0, len(self._neutral), _BLOCK):
            block = slice(start, start + _BLOCK)
            self._process(block, delta[:, block], followed[:, block], positions[:, block])
        for half in self._halves:
            smooth = half.blink(blink, self._is_first)
            for frame in np.flatnonzero(smooth):
                positions[frame, self._lids] += half.shut * smooth[frame]
        self._is_first = False
        return positions

    def _process(self, block: slice, delta: Float32Array, followed: Float32Array, positions: Float32Array) -> None:
        """Computes the positions of a block of values in all frames, without blinks."""
        neutral, restart = self._neutral[block], self._is_first
        scratch = np.empty(len(neutral), np.float32)
        lower, upper = (half.filter(block) for half in self._halves)
        for offsets, below, position in zip(delta, followed, positions, strict=True):
            np.multiply(lower.smooth(below, restart), lower.gain, out=position)
            position += neutral
            np.multiply(upper.smooth(offsets, restart), upper.gain, out=scratch)
            position += scratch
            restart = False


@dataclass(frozen=True, eq=False)
class _SkinPoints:
    """What is post-processed: vertices `[verts, 3]`, or weights of shapes `[shapes, 1]`.

    Attributes:
        neutral: at rest, `[points, axes]`.
        eye_close: offsets that close the eyes, `[points, axes]`.
        lip_open: offsets that open the lips, `[points, axes]`.
        mask: membership in the lower face, `[points]`.
    """

    neutral: Float32Array
    eye_close: Float32Array
    lip_open: Float32Array
    mask: Float32Array

    @classmethod
    def of(cls, face: FaceData, settings: AnimatorSettings) -> _SkinPoints:
        level, softness = settings.face_mask_level, settings.face_mask_softness
        shapes = face.shapes
        if shapes is None:
            return cls(face.skin, face.eye_close, face.lip_open, face_mask(face.skin, level, softness))
        share = shapes.lower_share(face_mask(shapes.neutral, level, softness))
        rest = np.zeros((len(share), 1), np.float32)
        return cls(rest, shapes.eye_close[:, None], shapes.lip_open[:, None], share)


class HalfTerms(NamedTuple):
    """The lower or the upper face: what is filtered, and how.

    Attributes:
        gain: on the network output, `[values]`.
        shut: what a full blink adds at the lids' values, `[lids]`.
        factor: a of both filters; 1: none.
    """

    gain: Float32Array
    shut: Float32Array
    factor: float


class SkinTerms(NamedTuple):
    """The constants of the formula above.

    Attributes:
        neutral: with the constant offsets, `[values]`.
        lids: the values that blinks move.
        halves: lower and upper face.
    """

    neutral: Float32Array
    lids: npt.NDArray[np.intp]
    halves: tuple[HalfTerms, HalfTerms]

    @classmethod
    def of(cls, face: FaceData, settings: AnimatorSettings, seconds: float) -> SkinTerms:
        """The constants for an actor; arguments as of `SkinPostProcess`."""
        points = _SkinPoints.of(face, settings)
        mask = points.mask
        lower = mask[:, None] * np.float32(settings.lower_face_strength)
        upper = (1 - mask)[:, None] * np.float32(settings.upper_face_strength)
        constant = points.lip_open * np.float32(settings.lip_open_offset)
        constant -= points.eye_close * np.float32(settings.eyelid_open_offset)
        neutral = (points.neutral + (lower + upper) * constant).reshape(-1)
        lids = points.eye_close.any(axis=1)
        shut = (points.eye_close * np.float32(settings.blink_strength))[lids]
        strength, shape = np.float32(settings.skin_strength), points.neutral.shape

        def half(gain: Float32Array, half_life: float) -> HalfTerms:
            factor = float(np.float32(1 - 0.5 ** (seconds / half_life) if half_life > 0 else 1))
            whole = np.broadcast_to(gain * strength, shape).reshape(-1)
            return HalfTerms(whole, (gain[lids] * shut).reshape(-1), factor)

        halves = half(lower, settings.lower_face_smoothing), half(upper, settings.upper_face_smoothing)
        return cls(neutral, np.flatnonzero(np.repeat(lids, shape[1])), halves)


class _Filter:
    """Two cascaded filters on a block of values. States are stored divided by a and a², which saves multiplications.

    Args:
        states: `[2, values]`; updated in place.
        gain: factor from the second state to the result, `[values]`.
        factor: a; 1 disables filtering.
    """

    def __init__(self, states: Float32Array, gain: Float32Array, factor: float) -> None:
        self.gain = gain
        self._first: Float32Array = states[0]
        self._second: Float32Array = states[1]
        self._factor, self._kept = np.float32(factor), np.float32(1 - factor)

    def smooth(self, offsets: Float32Array, restart: bool) -> Float32Array:
        """The next frame, to be multiplied by the gain; may be a view of the state, or `offsets`."""
        if self._factor == 1:
            return offsets
        if restart:
            np.divide(offsets, self._factor, out=self._first)
            np.divide(self._first, self._factor, out=self._second)
            return self._second
        self._first *= self._kept
        self._first += offsets
        self._second *= self._kept
        self._second += self._first
        return self._second


class _FaceHalf:
    """The lower or the upper face, with the state of its filters."""

    def __init__(self, terms: HalfTerms) -> None:
        self._factor = terms.factor
        scale = np.float32(self._factor**2)
        self._gain = terms.gain * scale
        self.shut = terms.shut
        self._states = np.empty((2, self._gain.size), np.float32)
        self._blink = _Filter(np.empty((2, 1), np.float32), np.full(1, scale), self._factor)

    def filter(self, block: slice) -> _Filter:
        """The filters of a block of values."""
        return _Filter(self._states[:, block], self._gain[block], self._factor)

    def blink(self, blink: Float32Array, restart: bool) -> Float32Array:
        """The smoothed blink, `[frames]`."""
        smooth = np.empty_like(blink)
        for index in range(len(blink)):
            smooth[index : index + 1] = self._blink.smooth(blink[index : index + 1], restart) * self._blink.gain
            restart = False
        return smooth
