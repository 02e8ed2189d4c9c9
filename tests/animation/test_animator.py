"""The animator: numbers that the SDK's own tests rest on, blocks of any length, and what is refused."""

from __future__ import annotations

from dataclasses import replace
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from audio2face.animation import (
    NATURAL_BLINK,
    AnimatorSettings,
    BlinkTrack,
    FaceAnimator,
    FaceData,
    FaceFrames,
    parameter_ranges,
    unproject,
)
from audio2face.animation.skin import face_mask
from audio2face.errors import UserError

SETTINGS = AnimatorSettings(
    lower_face_smoothing=0.02,
    upper_face_smoothing=0.01,
    lower_face_strength=1.4,
    upper_face_strength=0.9,
    face_mask_level=0.6,
    face_mask_softness=0.1,
    skin_strength=1.1,
    blink_strength=1.0,
    eyelid_open_offset=0.06,
    lip_open_offset=-0.05,
    tongue_strength=1.5,
    tongue_height_offset=0.2,
    tongue_depth_offset=0.13,
    lower_teeth_strength=1.3,
    lower_teeth_height_offset=-0.1,
    lower_teeth_depth_offset=0.25,
    eyeballs_strength=1.2,
    saccade_strength=0.9,
    right_eye_rot_x_offset=0.5,
    right_eye_rot_y_offset=-2,
    left_eye_rot_x_offset=-0.25,
    left_eye_rot_y_offset=2,
    eye_saccade_seed=2,
    blink_offset=0.5,
)
FACE = FaceData(
    skin=np.array([[0, 0, 0], [1, 5, 0.5], [-1, 10, 1]], np.float32),
    tongue=np.array([[0, 1, 2], [3, 4, 5]], np.float32),
    jaw=(2 * np.sin(1.3 * np.arange(15)) + 0.1 * np.arange(15)).reshape(5, 3).astype(np.float32),
    lip_open=np.array([[0, -0.5, 0.05], [0, 0.02, 0], [0, 0, 0]], np.float32),
    eye_close=np.array([[0, 0, 0], [0, 0.1, 0], [0, -0.4, 0.1]], np.float32),
    saccades=np.array([[0.1, -0.2], [0.3, 0.4], [-0.5, 0.6], [0.7, -0.8]], np.float32),
)
JAW_DELTA = np.stack([[0.1 * np.cos(k), -0.5 - 0.2 * k, 0.3 * np.sin(k)] for k in range(5)])


def columns(matrix: np.ndarray) -> np.ndarray:
    """A transform as the SDK's sixteen numbers."""
    return matrix.T.reshape(16)


def test_skin_golden() -> None:
    frame, vert = np.mgrid[:3, :3]
    delta = np.stack([np.sin(frame + 1 + vert), np.cos(frame + vert), 0.1 * (frame + 1) * (vert + 1)], axis=-1)
    expected = [
        [1.294721, 1.573609, 0.150367, 2.265817, 5.806563, 0.778416, -0.858895, 9.423915, 1.339963],
        [1.343749, 1.241318, 0.222652, 1.694032, 5.094640, 0.927284, -1.578897, 8.963775, 1.580519],
        [0.819302, 0.341014, 0.340387, 0.737087, 4.308190, 1.151287, -1.888872, 9.138956, 1.870490],
    ]
    animator = FaceAnimator(FACE, SETTINGS, 30)
    for _ in range(2):
        skin = animator.skin(delta)
        assert skin.dtype == np.float32
        np.testing.assert_allclose(skin.reshape(3, 9), expected, atol=1e-5, rtol=0)
        animator.reset()


@pytest.mark.parametrize("half_lives", [(0.0, 0.0), (0.02, 0.0), (0.1, 0.0004), (0.003, 0.05)])
def test_skin_follows_the_formula_with_blinks(half_lives: tuple[float, float]) -> None:
    lower, upper = half_lives
    settings = replace(SETTINGS, lower_face_smoothing=lower, upper_face_smoothing=upper, blink_offset=0.25)
    rng = np.random.default_rng(0)
    delta, blink = rng.standard_normal((12, 3, 3)), np.array([0, 0, 0.5, 1, 0.7, 0, 0, 0, 0.1, 0, 0, 0])
    rest = FACE.skin.astype(np.float64)
    mask = 1 / (1 + np.exp(-(0.6 - rest[:, 1:2] / 10) / 0.1))
    shut = np.minimum(0.25 + blink, 1)[:, None, None]
    motion = 1.1 * delta + FACE.eye_close * (shut - 0.06) + FACE.lip_open * -0.05
    expected = np.broadcast_to(rest, delta.shape).copy()
    for half_life, gain in ((lower, 1.4 * mask), (upper, 0.9 * (1 - mask))):
        share = 1 - 0.5 ** (1 / 60 / half_life) if half_life > 0 else 1.0
        first = second = motion[0]
        for index, wanted in enumerate(motion):
            first = first + (wanted - first) * share
            second = second + (first - second) * share
            expected[index] += gain * second
    np.testing.assert_allclose(FaceAnimator(FACE, settings, 60).skin(delta, blink), expected, atol=1e-5)


def test_jaw_golden() -> None:
    expected = [
        *(0.998667, -0.051330, 0.005439, 0),
        *(0.051206, 0.998468, 0.020964, 0),
        *(-0.006507, -0.020658, 0.999765, 0),
        *(-0.040539, -1.226370, 0.322480, 1),
    ]
    jaw = FaceAnimator(FACE, SETTINGS, 30).jaw(JAW_DELTA[None])
    assert jaw.dtype == np.float32
    np.testing.assert_allclose(columns(jaw[0]), expected, atol=1e-5)


def test_jaw_without_key_points_worth_the_name_only_shifts() -> None:
    still = replace(FACE, jaw=np.zeros((5, 3), np.float32))
    moved = FaceAnimator(still, SETTINGS, 30).jaw(np.stack([np.zeros((5, 3)), JAW_DELTA]))
    np.testing.assert_allclose(moved[:, :3, :3], np.stack([np.eye(3)] * 2), atol=1e-6)
    offset = np.array([0, -0.1, 0.25])
    np.testing.assert_allclose(moved[:, :3, 3], [offset, 1.3 * JAW_DELTA.mean(axis=0) + offset], atol=1e-6)


@given(st.integers(0, 2**32 - 1))
def test_jaw_recovers_rigid_motion(seed: int) -> None:
    rng = np.random.default_rng(seed)
    turn = np.linalg.qr(rng.standard_normal((3, 3)))[0]
    turn *= np.linalg.det(turn)
    shift = rng.uniform(-3, 3, 3)
    settings = replace(SETTINGS, lower_teeth_strength=1.0, lower_teeth_height_offset=0.0, lower_teeth_depth_offset=0.0)
    matrix = FaceAnimator(FACE, settings, 30).jaw((FACE.jaw @ turn.T + shift - FACE.jaw)[None])[0]
    np.testing.assert_allclose(matrix, np.block([[turn, shift[:, None]], [np.zeros(3), 1]]), atol=1e-4)


def test_eyes_golden() -> None:
    row2, row3, row0 = [1.25, 0.94, 2.90, 7.34], [2.33, -0.32, 3.98, 6.08], [1.79, 0.22, 3.44, 6.62]
    animator = FaceAnimator(FACE, SETTINGS, 60)
    for _ in range(2):
        eyes = animator.eyes(np.tile([1.0, 2, 3, 4], (5, 1)))
        assert eyes.dtype == np.float32
        np.testing.assert_allclose(eyes, [row2, row2, row3, row3, row0], atol=1e-5)
        animator.reset()


def test_saccades_play_thirty_rows_a_second_on_a_float32_clock() -> None:
    face = replace(FACE, saccades=np.stack([np.arange(5000), np.zeros(5000)], axis=1))
    settings = replace(SETTINGS, saccade_strength=1.0, right_eye_rot_x_offset=0)

    def rows(fps: float | Fraction, seed: int, frames: int) -> list[float]:
        eyes = FaceAnimator(face, replace(settings, eye_saccade_seed=seed), fps).eyes(np.zeros((frames, 4)))
        return eyes[:, 0].tolist()

    assert rows(30, 4998, 4) == [4998, 4999, 0, 1]
    assert rows(15, 4999, 4) == [4999, 1, 3, 5]
    assert rows(25, 0, 7) == [0, 1, 2, 3, 4, 5, 7]  # exact arithmetic has row 6 in frame 5
    assert rows(Fraction(30000, 1001), 0, 3) == [0, 1, 2]


def test_tongue() -> None:
    delta = np.arange(12.0).reshape(2, 2, 3)
    expected = FACE.tongue + 1.5 * delta + np.array([0, 0.2, 0.13])
    np.testing.assert_allclose(FaceAnimator(FACE, SETTINGS, 30).tongue(delta), expected, rtol=1e-6)
    bare = replace(FACE, tongue=np.zeros((0, 3), np.float32))
    assert FaceAnimator(bare, SETTINGS, 30).tongue(np.zeros((2, 0))).shape == (2, 0, 3)


def random_face(verts: int) -> FaceData:
    rng = np.random.default_rng(verts)
    numbers = rng.standard_normal((4, verts, 3)).astype(np.float32)
    numbers[3, verts // 4 :] = 0  # most of a face is not eyelids
    return replace(FACE, skin=numbers[0], tongue=numbers[1, :5], lip_open=numbers[2], eye_close=numbers[3])


@pytest.mark.parametrize("half_life", [0.0, 0.004, 0.08])
@pytest.mark.parametrize("cut", [1, 3, 8, 30])
def test_frames_do_not_depend_on_blocks(cut: int, half_life: float) -> None:
    face, rng = random_face(9001), np.random.default_rng(1)
    settings = replace(SETTINGS, lower_face_smoothing=half_life, blink_offset=0.0)
    coefficients, shapes = rng.standard_normal((70, 10)), rng.standard_normal((10, 9001, 3))
    coefficients, shapes = coefficients.astype(np.float32), shapes.astype(np.float32)
    others = [rng.standard_normal((70, size)) for size in (15, 15, 4)]

    def animate(length: int) -> list[FaceFrames]:
        animator = FaceAnimator(face, settings, 50, BlinkTrack(NATURAL_BLINK, 50, interval=0.6, seed=3))
        blocks = [slice(start, start + length) for start in range(0, 70, length)]
        return [animator(unproject(coefficients[part], shapes), *(other[part] for other in others)) for part in blocks]

    (whole,) = animate(70)
    for part in ("skin", "tongue", "jaw", "eyes"):
        joined = np.concatenate([getattr(frames, part) for frames in animate(cut)])
        np.testing.assert_array_equal(joined, getattr(whole, part), err_msg=part)


def test_the_lower_face_may_follow_motion_of_its_own() -> None:
    face = random_face(60)
    skin, lower = (np.random.default_rng(seed).normal(size=(5, 60, 3)).astype(np.float32) for seed in (1, 2))
    both, above, below = (
        FaceAnimator(face, SETTINGS, 30).skin(one, None, other)
        for one, other in ((skin, lower), (skin, None), (lower, None))
    )
    mask = face_mask(face.skin, SETTINGS.face_mask_level, SETTINGS.face_mask_softness)
    np.testing.assert_array_equal(both[:, mask == 1], below[:, mask == 1])
    np.testing.assert_array_equal(both[:, mask < 1e-9], above[:, mask < 1e-9])
    same = FaceAnimator(face, SETTINGS, 30).skin(skin, None, skin.copy())
    np.testing.assert_array_equal(same, above)


def test_flat_motion_is_the_same_motion_and_no_frames_are_none() -> None:
    rng, face = np.random.default_rng(2), random_face(50)
    row = rng.standard_normal((4, 150 + 15 + 15 + 4)).astype(np.float32)
    flat = FaceAnimator(face, SETTINGS, 30)(row[:, :150], row[:, 150:165], row[:, 165:180], row[:, 180:])
    animator = FaceAnimator(face, SETTINGS, 30)
    none = animator(*(np.zeros((0, size)) for size in (150, 15, 15, 4)))
    assert [none.skin.shape, none.tongue.shape, none.jaw.shape] == [(0, 50, 3), (0, 5, 3), (0, 4, 4)]
    shaped = animator(
        row[:, :150].reshape(4, 50, 3), row[:, 150:165].reshape(4, 5, 3), row[:, 165:180].reshape(4, 5, 3), row[:, 180:]
    )
    for part in ("skin", "tongue", "jaw", "eyes"):
        np.testing.assert_array_equal(getattr(flat, part), getattr(shaped, part))
    with pytest.raises(ValueError, match="motion of the skin has shape"):
        animator.skin(np.zeros((4, 149)))


_APPLIED_BEFORE = ("input_strength", "speech_guard_strength")  # to the sound, and to the network's output


@pytest.mark.parametrize(
    "name", [*(name for name in parameter_ranges() if name not in _APPLIED_BEFORE), "blink_offset"]
)
def test_values_out_of_range_are_refused_with_name_value_and_range(name: str) -> None:
    lowest, highest = (parameter_ranges() | {"blink_offset": (0.0, 1.0)})[name]
    for edge in (lowest, highest):
        assert getattr(replace(SETTINGS, **{name: edge}), name) == edge
    for value in (lowest - 0.01, highest + 0.01, np.nan):
        with pytest.raises(UserError, match=f"{name} is {value:g}, expected a number from {lowest:g} to {highest:g}"):
            replace(SETTINGS, **{name: value})


def test_settings_are_taken_out_of_the_parameters_of_a_model() -> None:
    parameters = {name: getattr(SETTINGS, name, 1.3) for name in parameter_ranges()}
    assert AnimatorSettings.from_parameters(parameters, blink_offset=0.5) == SETTINGS
    del parameters["skin_strength"]
    with pytest.raises(UserError, match="missing: skin_strength"):
        AnimatorSettings.from_parameters(parameters)


@pytest.mark.parametrize(
    ("name", "array", "problem"),
    [
        ("skin", np.ones((3, 3)), "flat"),
        ("lip_open", np.zeros((2, 3)), r"lip_open of the face has shape \[2, 3\], expected \[3, 3\]"),
        ("saccades", np.zeros((0, 2)), "saccades"),
        ("saccades", np.zeros((4, 3)), "saccades"),
        ("jaw", np.zeros(15), "jaw"),
        ("eye_close", np.full((3, 3), np.nan), "eye_close of the face holds NaN"),
    ],
)
def test_faces_that_cannot_be_animated_are_refused(name: str, array: np.ndarray, problem: str) -> None:
    with pytest.raises(UserError, match=problem):
        replace(FACE, **{name: array})
