"""Adds lip contact, soft-tissue motion, breathing and measurement noise to the example's animation.

All of these but contact stay below a millimetre. Without them the example would be an exact mixture of 52 shapes, and a
principal component analysis would end at rank 52, unlike that of a recorded actor.
"""

from __future__ import annotations

from collections.abc import Sequence, Set
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy import ndimage, signal

from audio2face.dataset.arkit_names import ARKIT_INDEX
from audio2face.example.head import Head
from audio2face.example.sentences import SILENCE, Phone
from audio2face.example.visemes import BILABIALS, LABIODENTALS, Curves, ease, frame_centres
from audio2face.types import Float32Array

_NOISE_MODES = 64
_NOISE_CENTIMETRES = 0.002  # root mean square length of the noise at a vertex
_NOISE_WAVELENGTH = 4.0  # centimetres
_NOISE_SEED = 20231  # the spatial modes of the noise are the same in every shot of an actor
_SWING_HERTZ, _SWING_DAMPING = 5.0, 0.3
_SWING_CENTIMETRES = 0.2  # per full opening of the jaw by which the tissue lags
_TISSUE_RADIUS = 2.0  # centimetres
_BREATH_CENTIMETRES, _BREATH_SECONDS = 0.025, 3.8


def flesh_deltas(head: Head, weights: Float32Array, fps: float, rng: np.random.Generator) -> Float32Array:
    """Returns deltas to add to the posed skin.

    Args:
        head: the head of the skin.
        weights: `[frames, 52]`: the jaw's motion swings the tissue.
        fps: frames per second.
        rng: source of the noise and of the phase of the breath.

    Returns:
        `[frames, verts, 3]` float32, centimetres.
    """
    opened = weights[:, ARKIT_INDEX["jawOpen"]] + weights[:, ARKIT_INDEX["mouthClose"]]
    lag = _SWING_CENTIMETRES * _tissue_lag(opened, fps)
    times = np.arange(len(weights)) / fps
    breath = _BREATH_CENTIMETRES * np.sin(2 * np.pi * (times / _BREATH_SECONDS + rng.random()))
    modes = np.concatenate([_tissue_modes(head), _noise_modes(head.skin_part.vertices)])
    noise = ndimage.gaussian_filter1d(rng.standard_normal((len(weights), _NOISE_MODES)), 0.7, axis=0)
    curves = np.column_stack([lag, lag, lag, breath, _NOISE_CENTIMETRES * noise / noise.std()])
    deltas = curves.astype(np.float32) @ modes.reshape(len(modes), -1).astype(np.float32)
    return deltas.reshape(len(weights), -1, 3)


def _tissue_lag(opened: Float32Array, fps: float) -> Curves:
    """Returns the lag of a mass on a damped spring behind the jaw, `[frames]`, in openings of the jaw."""
    speed = 2 * np.pi * _SWING_HERTZ
    restoring = [2 * _SWING_DAMPING * speed, speed**2]
    numerator, denominator = signal.bilinear(restoring, [1, *restoring], fs=fps)
    start = signal.lfilter_zi(numerator, denominator) * opened[0]
    followed, _ = signal.lfilter(numerator, denominator, opened, zi=start)
    lag: Curves = opened - followed
    return lag


def _tissue_modes(head: Head) -> Curves:
    """Returns the directions in which cheeks, chin tissue and the breathing neck move, `[4, verts, 3]`."""
    skin = head.skin_part.vertices
    mouth = skin[head.lip_dist["upper"]]
    right, left = (
        (head.eye_centres[side] + mouth[corner]) / 2 + np.array((outward, -0.8, 0.0))
        for side, corner, outward in ((0, 0, -1.5), (1, -1, 1.5))
    )
    chin = mouth.mean(axis=0) + np.array((0.0, -4.5, -3.0))
    neck = np.array((0.0, skin[:, 1].min(), mouth[:, 2].mean() - 5.0))
    places = (
        (right, _TISSUE_RADIUS, (-0.3, 1.0, 0.2)),
        (left, _TISSUE_RADIUS, (0.3, 1.0, 0.2)),
        (chin, _TISSUE_RADIUS, (0.0, 1.0, -0.3)),
        (neck, 2 * _TISSUE_RADIUS, (0.0, 0.5, 1.0)),
    )
    modes = []
    for centre, radius, direction in places:
        nearness = np.exp(-0.5 * np.square((skin - centre) / radius).sum(axis=1))
        modes.append(nearness[:, None] * np.array(direction))
    return np.stack(modes)


def _noise_modes(vertices: Float32Array) -> Curves:
    """Returns smooth random fields of unit total length, `[modes, verts, 3]`: random Fourier features of space."""
    rng = np.random.default_rng(_NOISE_SEED)
    waves = rng.standard_normal((_NOISE_MODES, 3)) * (2 * np.pi / _NOISE_WAVELENGTH)
    phases = rng.uniform(0, 2 * np.pi, _NOISE_MODES)
    fields = np.cos(vertices @ waves.T + phases).T  # [modes, verts]
    directions = rng.standard_normal((_NOISE_MODES, 3))
    directions /= np.linalg.norm(directions, axis=1, keepdims=True)
    modes: Curves = fields[:, :, None] * directions[:, None] * np.sqrt(2 / _NOISE_MODES)
    return modes


_APPROACH, _RELEASE = 0.06, 0.05  # seconds that the lips take to meet and to part
_GATHER = 0.15  # seconds that neutral lips stay closed before a first p, b or m
_BURST_SHARE = 0.3  # of a p or b, at its end: the lips are open already
_TOUCH_MM = 0.15  # opening above the neutral one that still counts as touching
_PRESS_MM = 0.6  # maximum depth by which soft lips press into one another

_JAW = ARKIT_INDEX["jawOpen"]
_CLOSED_JAW = ARKIT_INDEX["mouthClose"]
_CLOSER = ARKIT_INDEX["mouthPucker"]  # closes all five pairs of lip points equally
_LOWER_LIP_OPENERS = [ARKIT_INDEX[name] for name in ("mouthFunnel", "mouthLowerDownLeft", "mouthLowerDownRight")]
_UPPER_LIP_OPENERS = [ARKIT_INDEX[name] for name in ("mouthUpperUpLeft", "mouthUpperUpRight", "mouthShrugUpper")]
_ROLL = ARKIT_INDEX["mouthRollLower"]
_SHUT_ROLL = 0.1  # more would draw the lower lip behind the upper one, as next to an f
_BITE_AGAINST = [*_LOWER_LIP_OPENERS, ARKIT_INDEX["mouthPucker"]]  # these draw the lower lip off the teeth
_BITE_JAW = 0.04  # opening of the jaw at which the lower lip still reaches the upper teeth
_BITE_AT_LEAST = {_ROLL: 0.8, ARKIT_INDEX["mouthShrugLower"]: 0.2}


@dataclass(frozen=True)
class Contact:
    """A time interval in which lips touch something.

    Attributes:
        frames: frames of contact: all between its start and end, or the nearest one if there is none.
        closeness: `[frames of the sentence]`, 1 in `frames`, 0 far away.
    """

    frames: npt.NDArray[np.intp]
    closeness: Curves


def contacts(phones: Sequence[Phone], symbols: Set[str], num_frames: int, fps: float) -> list[Contact]:
    """Returns the contacts of every phone in `symbols`, in order of time."""
    times = frame_centres(num_frames, fps)
    found = []
    for previous, phone in zip((None, *phones), phones, strict=False):
        if phone.symbol not in symbols:
            continue
        end = phone.end - (_BURST_SHARE * (phone.end - phone.start) if phone.symbol in "pb" else 0.0)
        frames = np.flatnonzero((times >= phone.start) & (times < end))
        if not len(frames):
            frames = np.array([int(np.argmin(np.abs(times - phone.centre)))])
        from_rest = previous is not None and previous.symbol == SILENCE
        start = phone.start - (_GATHER if from_rest else 0.0)
        closeness = ease(1 - (start - times) / _APPROACH) * ease(1 - (times - end) / _RELEASE)
        closeness[frames] = 1.0
        found.append(Contact(frames, closeness))
    return found


def make_contacts(weights: Curves, phones: Sequence[Phone], fps: float, head: Head) -> Curves:
    """Adjusts weights so that lips touch where phones require it.

    Args:
        weights: `[frames, 52]` of speech and expression together.
        phones: without gaps.
        fps: frames per second.
        head: the head of the lips.

    Returns:
        `[frames, 52]`: in at least one frame of every p, b and m all pairs of `lip_dist` are within 0.15 mm of their
        neutral gap or closer.
    """
    closures = contacts(phones, BILABIALS, len(weights), fps)
    shut = _combined_closeness(closures, len(weights))
    bite = _combined_closeness(contacts(phones, LABIODENTALS, len(weights), fps), len(weights)) * (1 - shut)
    touching = _bite(weights, bite)
    touching[:, _LOWER_LIP_OPENERS + _UPPER_LIP_OPENERS] *= 1 - shut[:, None]
    touching[:, _ROLL] += (np.minimum(touching[:, _ROLL], _SHUT_ROLL) - touching[:, _ROLL]) * shut
    touching[:, _CLOSED_JAW] += touching[:, _JAW] * shut  # `mouthClose` takes over the jaw opening of `jawOpen`
    touching[:, _JAW] *= 1 - shut
    touching = _press(touching, closures, head)
    return _open_pressed(touching, shut, head)


def _combined_closeness(found: Sequence[Contact], num_frames: int) -> Curves:
    closeness: Curves = np.max([np.zeros(num_frames), *(contact.closeness for contact in found)], axis=0)
    return closeness


def _bite(weights: Curves, bite: Curves) -> Curves:
    """Moves the lower lip to the upper teeth where `bite [frames]` is 1."""
    biting = weights.copy()
    biting[:, _BITE_AGAINST] *= 1 - bite[:, None]
    biting[:, _JAW] += (np.minimum(biting[:, _JAW], _BITE_JAW) - biting[:, _JAW]) * bite
    for shape, least in _BITE_AT_LEAST.items():
        biting[:, shape] = np.maximum(biting[:, shape], least * bite)
    return biting


def _press(weights: Curves, closures: Sequence[Contact], head: Head) -> Curves:
    """Closes the gaps that other shapes (a smile, a frown) leave open in the closures."""
    excess = _gap_above_neutral(weights, head).max(axis=1) - _TOUCH_MM
    reach = -float(_gap_of_shape(_CLOSER, head).max())
    extra = np.zeros(len(weights))
    for closure in closures:
        needed = max(float(excess[closure.frames].max()), 0.0) / reach
        extra = np.maximum(extra, needed * closure.closeness)
    pressed = weights.copy()
    pressed[:, _CLOSER] += extra
    return pressed


def _open_pressed(weights: Curves, shut: Curves, head: Head) -> Curves:
    """Opens the jaw where lips press too deep into one another, unless this would open a closure."""
    gap, opening = _gap_above_neutral(weights, head), _gap_of_shape(_JAW, head)
    wanted = np.maximum((-_PRESS_MM - gap) / opening, 0.0).max(axis=1)
    allowed = np.maximum((_TOUCH_MM - gap) / opening, 0.0).min(axis=1)
    parted = weights.copy()
    parted[:, _JAW] += np.where(shut >= 1.0, np.minimum(wanted, allowed), wanted)
    return parted


def _gap_above_neutral(weights: Curves, head: Head) -> Curves:
    """Returns the lip gap above the neutral one, millimetres `[frames, 5]`."""
    neutral = np.zeros((1, weights.shape[1]), np.float32)
    return (head.lip_gap(weights.astype(np.float32)) - head.lip_gap(neutral)).astype(np.float64)


def _gap_of_shape(shape: int, head: Head) -> Curves:
    """Returns the change of the gap by one shape at weight 1, millimetres `[5]`."""
    alone = np.eye(1, len(ARKIT_INDEX), shape)
    return _gap_above_neutral(alone, head).reshape(-1)
