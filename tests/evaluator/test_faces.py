"""Frames at the times of recorded frames, and the face that baselines predict."""

from __future__ import annotations

from fractions import Fraction
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from audio2face.animation import SolverSettings
from audio2face.evaluate.lips import resample_frames
from audio2face.evaluate.scorer import FaceFrames
from audio2face.evaluator.baseline_faces import FaceShape, project
from audio2face.evaluator.faces import RecordedFrames, WeightComparison, concatenate
from audio2face.preproc.network_data import PcaComponents
from audio2face.types import Float32Array

RATES = [Fraction(24), Fraction(25), Fraction(30), Fraction(60), Fraction(30000, 1001)]


def resampled(skin: Float32Array, source: Fraction, fps: Fraction, count: int, blocks: list[int]) -> FaceFrames:
    resample, found, start = RecordedFrames(source, fps, count), [], 0
    for size in blocks:
        if start < len(skin):
            found.append(resample.push(FaceFrames(skin=skin[start : start + size])))
            start += size
    found.append(resample.finish())
    parts = [part for part in found if part is not None]
    whole = parts[0]
    for part in parts[1:]:
        whole = concatenate(whole, part)
    return whole


@given(
    source=st.sampled_from(RATES),
    fps=st.sampled_from(RATES),
    count=st.integers(1, 40),
    frames=st.integers(1, 60),
    blocks=st.lists(st.integers(1, 9), min_size=60, max_size=60),
)
def test_frames_are_those_of_whole_arrays(
    source: Fraction, fps: Fraction, count: int, frames: int, blocks: list[int]
) -> None:
    skin = np.random.default_rng(frames).standard_normal((frames, 2, 3)).astype(np.float32)
    found = resampled(skin, source, fps, count, blocks)
    expected = resample_frames(skin, float(source), count, float(fps))
    np.testing.assert_allclose(found.skin, expected, atol=1e-5)
    assert found.skin.shape == (count, 2, 3)


def test_equal_rates_copy_frames() -> None:
    skin = np.random.default_rng(0).standard_normal((7, 1, 3)).astype(np.float32)
    assert resampled(skin, RATES[2], RATES[2], 7, [3, 3, 3]).skin.tobytes() == skin.tobytes()
    # One frame less than recorded: the last one stays.
    assert (resampled(skin, RATES[2], RATES[2], 9, [3, 3, 3]).skin[7:] == skin[-1]).all()


def test_a_face_from_its_values() -> None:
    random = np.random.default_rng(1)
    basis = np.linalg.qr(random.standard_normal((12, 3)))[0].T.reshape(3, 4, 3).astype(np.float32)
    skin = PcaComponents(basis, random.standard_normal((4, 3)).astype(np.float32))
    jaw = random.standard_normal((5, 3)).astype(np.float32)
    shape = FaceShape(skin=skin, tongue=None, jaw=jaw, eye_angles=4, tongue_to_jaw=None)
    coefficients = random.standard_normal((6, 3))
    lowered = np.tile([0.0, -0.5, 0.0], 5)
    values = np.concatenate([coefficients, np.tile(lowered, (6, 1)), np.full((6, 4), 2.0)], axis=1)
    face = shape.frames(values)
    assert face.tongue is None
    assert face.jaw is not None
    assert face.eyes is not None
    np.testing.assert_allclose(project(skin, face.skin[3]), coefficients[3], atol=1e-5)
    np.testing.assert_allclose(face.jaw.reshape(6, -1), np.tile(lowered, (6, 1)), atol=1e-5)
    np.testing.assert_array_equal(face.eyes, 2.0)


def test_a_bent_jaw_is_seen_as_the_rigid_one_that_is_closest() -> None:
    jaw = np.array([[0, 0, 0], [1, 0, 0], [0, 1, 0], [0, 0, 1]], np.float32)
    basis = np.zeros((1, 1, 3), np.float32)
    shape = FaceShape(skin=PcaComponents(basis, basis[0]), tongue=None, jaw=jaw, eye_angles=0, tongue_to_jaw=None)
    stretched = np.concatenate([[0.0], (0.5 * jaw).reshape(-1)])[None]  # no rotation, half a size larger
    face = shape.frames(stretched)
    assert face.jaw is not None
    moved = face.jaw[0] + jaw
    gaps = np.linalg.norm(moved[:, None] - moved, axis=-1), np.linalg.norm(jaw[:, None] - jaw, axis=-1)
    np.testing.assert_allclose(*gaps, atol=1e-5)
    assert face.jaw[0].mean() == pytest.approx((0.5 * jaw).mean(), abs=1e-5)


def three_shapes() -> Any:
    """Three shapes of different vertices, and a solver without regularisation."""
    deltas = np.zeros((3, 4, 3), np.float32)
    deltas[0, :2, 1], deltas[1, 2, 2], deltas[2, 3, 0] = -2.0, 1.0, 1.0
    none = SolverSettings(
        l1=0.0,
        l2=0.0,
        temporal=0.0,
        symmetry=0.0,
        template_size=10.0,
        active=(True, True, True),
        cancel_pairs=(-1, -1, -1),
        symmetry_pairs=(-1, -1, -1),
        multipliers=(1.0, 1.0, 1.0),
        offsets=(0.0, 0.0, 0.0),
    )
    neutral = np.random.default_rng(2).standard_normal((4, 3)).astype(np.float32)
    return SimpleNamespace(
        names=("jawOpen", "pucker", "smile"), deltas=deltas, neutral=neutral, settings=none, mask=None
    )


def test_weights_of_the_recorded_face_are_those_of_an_equal_animation() -> None:
    shapes = three_shapes()
    weights = np.random.default_rng(3).uniform(0, 1, (6, 3)).astype(np.float32)
    skin = shapes.neutral + np.tensordot(weights, shapes.deltas, axes=1)
    half = shapes.neutral + np.tensordot(weights * 0.5, shapes.deltas, axes=1)
    for frames, error, retention in ((skin, 0.0, 1.0), (half, weights.mean() / 2, 0.5)):
        comparison = WeightComparison(shapes)
        for rows in (slice(0, 4), slice(4, 6)):
            comparison.update(*(FaceFrames(skin=each[rows].astype(np.float32)) for each in (frames, skin)))
        found = comparison.finish()
        assert found["weight_error"] == pytest.approx(error, abs=1e-3)
        assert found["weight_opening_retention"] == pytest.approx(retention, abs=1e-3)
