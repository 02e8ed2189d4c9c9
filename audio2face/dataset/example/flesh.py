"""What a scan holds beyond its shapes: soft tissue that lags and swings, breath, and measurement noise.

All of it stays below a millimetre. It is there so that the example is no pure mixture of 52 shapes: a principal
component analysis of it does not end at rank 52, as that of no real actor does.
"""

from __future__ import annotations

import numpy as np
from scipy import ndimage, signal

from audio2face.dataset.example.curves import Curves, Floats
from audio2face.dataset.example.head import Head
from audio2face.dataset.example.shapes import ARKIT_INDEX

_NOISE_MODES = 64
_NOISE_CENTIMETRES = 0.002  # root mean square length of the noise at a vertex
_NOISE_WAVELENGTH = 4.0  # centimetres
_NOISE_SEED = 20231  # the noise's shapes are the same in every shot of an actor
_SWING_HERTZ, _SWING_DAMPING = 5.0, 0.3
_SWING_CENTIMETRES = 0.2  # per full opening of the jaw that the tissue is behind
_TISSUE_RADIUS = 2.0  # centimetres
_BREATH_CENTIMETRES, _BREATH_SECONDS = 0.025, 3.8


def flesh_deltas(head: Head, weights: Floats, fps: float, rng: np.random.Generator) -> Floats:
    """Displacements to add to the posed skin.

    Args:
        head: whose skin.
        weights: `[frames, 52]`: the jaw's motion swings the tissue.
        fps: frames per second.
        rng: draws the noise and the phase of the breath.

    Returns:
        `[frames, verts, 3]` float32, centimetres.
    """
    opened = weights[:, ARKIT_INDEX["jawOpen"]] + weights[:, ARKIT_INDEX["mouthClose"]]
    lag = _SWING_CENTIMETRES * _lag(opened, fps)
    times = np.arange(len(weights)) / fps
    breath = _BREATH_CENTIMETRES * np.sin(2 * np.pi * (times / _BREATH_SECONDS + rng.random()))
    modes = np.concatenate([_tissue_modes(head), _noise_modes(head.skin_part.vertices)])
    noise = ndimage.gaussian_filter1d(rng.standard_normal((len(weights), _NOISE_MODES)), 0.7, axis=0)
    curves = np.column_stack([lag, lag, lag, breath, _NOISE_CENTIMETRES * noise / noise.std()])
    deltas = curves.astype(np.float32) @ modes.reshape(len(modes), -1).astype(np.float32)
    return deltas.reshape(len(weights), -1, 3)


def _lag(opened: Floats, fps: float) -> Curves:
    """How far a mass on a damped spring is behind the jaw, `[frames]`, in openings of the jaw."""
    speed = 2 * np.pi * _SWING_HERTZ
    restoring = [2 * _SWING_DAMPING * speed, speed**2]
    numerator, denominator = signal.bilinear(restoring, [1, *restoring], fs=fps)
    start = signal.lfilter_zi(numerator, denominator) * opened[0]
    followed, _ = signal.lfilter(numerator, denominator, opened, zi=start)
    lag: Curves = opened - followed
    return lag


def _tissue_modes(head: Head) -> Curves:
    """Directions in which both cheeks, the flesh under the chin and the breathing neck move, `[4, verts, 3]`."""
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


def _noise_modes(vertices: Floats) -> Curves:
    """Smooth random fields of unit length together, `[modes, verts, 3]`: random Fourier features of space."""
    rng = np.random.default_rng(_NOISE_SEED)
    waves = rng.standard_normal((_NOISE_MODES, 3)) * (2 * np.pi / _NOISE_WAVELENGTH)
    phases = rng.uniform(0, 2 * np.pi, _NOISE_MODES)
    fields = np.cos(vertices @ waves.T + phases).T  # [modes, verts]
    directions = rng.standard_normal((_NOISE_MODES, 3))
    directions /= np.linalg.norm(directions, axis=1, keepdims=True)
    modes: Curves = fields[:, :, None] * directions[:, None] * np.sqrt(2 / _NOISE_MODES)
    return modes
