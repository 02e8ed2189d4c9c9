"""A face that blend shapes pose: weights from 0 to 1, and the mesh is what they pose."""

from __future__ import annotations

from dataclasses import replace
from fractions import Fraction

import numpy as np
import pytest

from audio2face.animation import NATURAL_BLINK, AnimatorSettings, BlinkTrack, FaceAnimator, FaceData, parameter_ranges
from audio2face.animation.shapes import FaceShapes, ShapeFit
from audio2face.types import Float32Array

HEIGHT = np.linspace(0, 10, 30, dtype=np.float32)
NEUTRAL = np.stack([np.sin(HEIGHT), HEIGHT, np.cos(2 * HEIGHT)], axis=1).astype(np.float32)
NEUTRAL_SETTINGS = AnimatorSettings(
    **{
        name: 0.1 if name == "face_mask_softness" else 1.0 if name.endswith("_strength") else 0.0
        for name in parameter_ranges()
        if name not in ("input_strength", "face_mask_level", "speech_guard_strength")
    },
    face_mask_level=0.5,
)


def shapes() -> Float32Array:
    """Of the chin, the mouth, and the lids, which shut at weight 1; each moves its own height and a little more."""
    middles = np.array([[1.0], [3.0], [9.0]])
    bumps = np.exp(-0.5 * (HEIGHT - middles) ** 2)
    return (bumps[:, :, None] * [[[0, -1.0, 0.2]], [[0.5, 0.3, 0]], [[0, -0.8, 0.1]]]).astype(np.float32)


def face() -> FaceData:
    deltas, still = shapes(), np.zeros_like(NEUTRAL)
    return FaceData(
        skin=NEUTRAL,
        tongue=np.zeros((0, 3), np.float32),
        jaw=np.arange(15, dtype=np.float32).reshape(5, 3) ** 2,
        lip_open=still,
        eye_close=deltas[2],
        saccades=np.zeros((2, 2), np.float32),
        shapes=FaceShapes.of(deltas, NEUTRAL, deltas[2], still),
    )


def test_weights_pose_the_mesh_also_where_they_are_clamped_smoothed_and_blink() -> None:
    settings = replace(NEUTRAL_SETTINGS, lower_face_smoothing=0.03, lower_face_strength=1.4, eyelid_open_offset=0.05)
    predicted = np.random.default_rng(0).uniform(-0.3, 1.3, (90, 3)).astype(np.float32)
    animate = FaceAnimator(face(), settings, Fraction(30), BlinkTrack(NATURAL_BLINK, 30.0, interval=0.5, seed=1))
    parts = (np.zeros((90, 0)), np.zeros((90, 15)), np.zeros((90, 4)))
    found = animate(predicted, *parts)
    assert found.skin_weights is not None
    assert (found.skin_weights.min(), found.skin_weights.max()) == (0, 1)
    posed = NEUTRAL + np.tensordot(found.skin_weights, shapes(), axes=1)
    np.testing.assert_allclose(found.skin, posed, atol=1e-5)
    still = FaceAnimator(face(), settings, Fraction(30))(predicted, *parts)
    assert still.skin_weights is not None
    assert np.abs(found.skin_weights - still.skin_weights).max(axis=0)[2] > 0.3  # the lids alone blink
    np.testing.assert_array_equal(found.skin_weights[:, :2], still.skin_weights[:, :2])


def test_a_shape_is_of_the_half_that_it_moves() -> None:
    settings = replace(NEUTRAL_SETTINGS, lower_face_strength=0.0)
    weights = FaceAnimator(face(), settings, 30).weights(np.full((1, 3), 0.5, np.float32))
    np.testing.assert_allclose(weights, [[0.01, 0.07, 0.49]], atol=0.01)


def test_vertices_alone_move_as_in_the_whole_face() -> None:
    kept = np.array([0, 5, 29])
    predicted = np.random.default_rng(0).uniform(0, 1, (4, 3)).astype(np.float32)
    settings = replace(NEUTRAL_SETTINGS, upper_face_strength=0.3)
    whole = FaceAnimator(face(), settings, 30).skin(predicted)
    np.testing.assert_allclose(FaceAnimator(face().at_vertices(kept), settings, 30).skin(predicted), whole[:, kept])


@pytest.mark.parametrize("scale", [1.0, 0.01], ids=["alike", "one shape is tiny"])
def test_weights_of_poses_are_found_and_bounded(scale: float) -> None:
    deltas = np.concatenate([shapes() * [[[1]], [[scale]], [[1]]], np.zeros((1, *NEUTRAL.shape))]).astype(np.float32)
    weights = np.random.default_rng(0).uniform(0, 1, (20, 4))
    found = ShapeFit(deltas)(np.tensordot(weights, deltas.astype(np.float64), axes=1))
    np.testing.assert_allclose(found[:, :3], weights[:, :3], atol=1e-5 / scale**2)
    assert not found[:, 3].any()  # it moves nothing
    beyond = ShapeFit(deltas)(1.5 * deltas[:1] - 0.5 * deltas[2:3])
    assert beyond.min() >= 0
    assert beyond.max() == 1
    without = ShapeFit(deltas, np.array([True, True, False, True]))(deltas[2:3])
    assert without[0, 2] == 0
