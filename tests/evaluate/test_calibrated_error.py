"""The lip error with each clip's own mean face and one gain for all clips."""

from __future__ import annotations

import math

import numpy as np
import pytest
from scipy.optimize import lsq_linear

from audio2face.evaluate.calibrated_error import GAINS, GainCurve, common_gain


def clip(seed: int, frames: int = 300, verts: int = 6) -> np.ndarray:
    steps = np.random.default_rng(seed).standard_normal((frames, verts, 3))
    return 5 + 0.3 * steps.cumsum(axis=0)


def test_only_mean_faces_and_one_gain_are_wrong() -> None:
    """Two clips at 5/8 of the recorded motion, each on another mean face: nothing is left, at the gain 1.6."""
    true = [clip(1), clip(2, 90)]
    curves = [GainCurve.measure(0.625 * each + offset, each) for each, offset in zip(true, (3.0, -8.0), strict=True)]
    assert common_gain(curves) == pytest.approx(1.6)
    assert [curve.error_at(1.6) for curve in curves] == pytest.approx([0, 0], abs=1e-6)
    assert curves[0].error_at(1.0) > 0.3


def test_a_gain_of_one_clip_is_not_that_of_both() -> None:
    quiet, loud = (GainCurve.measure(part * each, each) for part, each in ((0.5, clip(3)), (2.0, clip(4))))
    assert common_gain([quiet]) == pytest.approx(2)
    assert common_gain([loud]) == pytest.approx(0.5)
    gain = common_gain([quiet, loud])
    assert 0.5 < gain < 1
    assert quiet.error_at(gain) > 0.3
    assert loud.error_at(gain) > 0.1


@pytest.mark.parametrize("moving", [0.0, 1e-8])
def test_a_still_face_has_the_error_of_the_mean_face(moving: float) -> None:
    true = clip(5).astype(np.float32)
    still = np.full_like(true, 7.1) + moving
    curve = GainCurve.measure(still.astype(np.float32), true)
    assert curve.square == 0
    assert common_gain([curve]) == 0
    centred = true - true.mean(axis=0, dtype=np.float64)
    assert curve.error_at(0) == pytest.approx(np.linalg.norm(centred, axis=2).max(axis=1).mean())


def test_motion_the_wrong_way_round_is_taken_away() -> None:
    true = clip(6)
    assert common_gain([GainCurve.measure(-true, true)]) == 0


def test_by_another_route() -> None:
    """The gain by an optimiser, and the error frame by frame."""
    clips = [(clip(10 + seed, 40 + 300 * seed), clip(20 + seed, 40 + 300 * seed)) for seed in range(3)]
    clips = [(2.0 * (one + 0.8 * other), other) for one, other in clips]
    flat = [[(face - face.mean(axis=0)).ravel() for face in pair] for pair in clips]
    ours, theirs = (np.concatenate([pair[side] for pair in flat]) for side in (0, 1))
    curves = [GainCurve.measure(*pair) for pair in clips]
    gain = common_gain(curves)
    assert gain == pytest.approx(lsq_linear(ours[:, None], theirs).x[0])
    for (one, other), curve in zip(clips, curves, strict=True):
        calibrated = other.mean(axis=0) + gain * (one - one.mean(axis=0))
        largest = [
            max(math.dist(a, b) for a, b in zip(*frames, strict=True)) for frames in zip(calibrated, other, strict=True)
        ]
        assert curve.error_at(gain) == pytest.approx(np.mean(largest), rel=5e-4)  # linear between gains


def test_errors_are_convex_in_the_gain() -> None:
    curve = GainCurve.measure(clip(7), clip(8)).error_mm
    assert len(curve) == len(GAINS)
    assert (np.diff(curve, n=2) > -1e-9).all()
