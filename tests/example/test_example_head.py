"""The example actor's head: complete, small, closes its lips and lids, and moves its jaw and tongue rigidly."""

from __future__ import annotations

import numpy as np
import pytest

from audio2face.dataset.arkit_names import ARKIT_INDEX, ARKIT_NAMES, TONGUE_NAMES
from audio2face.errors import UserError
from audio2face.example.head import HEAD_FILE, IDENTITIES, Float32Array, Head, HeadPart


@pytest.fixture(scope="module", params=IDENTITIES)
def head(request: pytest.FixtureRequest) -> Head:
    return Head.open(request.param)


def weights(**shapes: float) -> Float32Array:
    row = np.zeros((1, len(ARKIT_NAMES)), np.float32)
    for name, value in shapes.items():
        row[0, ARKIT_INDEX[name]] = value
    return row


def parts(head: Head) -> list[HeadPart]:
    return [head.skin_part, head.tongue_part, head.upper_teeth_part, head.lower_teeth_part, head.eyes_part]


def test_shape_names_follow_the_sdk() -> None:
    assert len(set(ARKIT_NAMES)) == 52
    assert len(set(TONGUE_NAMES)) == 16
    landmarks = {0: "eyeBlinkLeft", 17: "jawOpen", 18: "mouthClose", 43: "browInnerUp", 51: "tongueOut"}
    assert {index: ARKIT_NAMES[index] for index in landmarks} == landmarks
    assert (TONGUE_NAMES[0], TONGUE_NAMES[4], TONGUE_NAMES[15]) == ("tongueTipUp", "tongueRollUp", "tongueNarrow")


def test_size(head: Head) -> None:
    assert HEAD_FILE.stat().st_size < 3_000_000
    assert 3_000 <= len(head.skin_part.vertices) <= 7_000
    assert len(head.tongue_part.vertices) == 226
    assert head.skin_shapes.shape == (52, len(head.skin_part.vertices), 3)
    assert head.tongue_shapes.shape == (16, 226, 3)
    assert (np.abs(head.skin_shapes).max(axis=(1, 2)) > 0.05)[:-1].all(), "a shape that moves no skin"
    assert 18 < np.ptp(head.skin_part.vertices[:, 1]) < 40, "not a head in centimetres"


def test_every_part_is_a_well_formed_mesh(head: Head) -> None:
    for part in parts(head):
        used = np.unique(part.faces)
        assert used[0] >= 0
        assert used[-1] < len(part.vertices)
        assert np.isfinite(part.vertices).all()
        assert part.colours.shape == part.vertices.shape
        # Each edge is run through once in each direction where two faces meet: all faces look to the same side.
        edges = np.stack([part.faces, np.roll(part.faces, -1, axis=1)], axis=-1).reshape(-1, 2)
        assert len(np.unique(edges, axis=0)) == len(edges)
        assert signed_volume(part) > 0, "faces look inwards"


def signed_volume(part: HeadPart) -> float:
    corners = (part.vertices - part.vertices.mean(axis=0))[part.faces].astype(np.float64)
    first, second = corners[:, [0, 1, 2]], corners[:, [0, 2, 3]]
    return float(np.linalg.det(first).sum() + np.linalg.det(second).sum())


def test_lips_meet_when_shut(head: Head) -> None:
    shut = [
        {},
        {"mouthClose": 1.0},
        {"mouthClose": 0.3},
        {"mouthPressLeft": 1.0, "mouthPressRight": 1.0},
        {"mouthPucker": 1.0},
        {"mouthSmileLeft": 1.0, "mouthSmileRight": 1.0},
        {"eyeBlinkLeft": 1.0},
    ]
    for shapes in shut:
        assert head.lip_gap(weights(**shapes)).max() < 0.3, shapes


def test_jaw_opens_the_mouth(head: Head) -> None:
    assert head.lip_gap(weights(jawOpen=1))[0, 2] > 15
    low, high = (head.lip_gap(weights(jawOpen=0.5, mouthClose=close))[0, 2] for close in (0.5, 0.0))
    assert low == pytest.approx(high, abs=0.5), "mouthClose must carry its own jaw"


def test_blinks_close_each_eye_alone(head: Head) -> None:
    assert (head.lid_gap(weights()) > 5).all()
    assert (head.lid_gap(weights(eyeBlinkLeft=1, eyeBlinkRight=1)) < 0.2).all()
    right, left = head.lid_gap(weights(eyeBlinkLeft=1))[0]
    assert right > 5
    assert left < 0.2


def test_shut_lids_cover_the_eyes(head: Head) -> None:
    """No point of the iris is in front of the shut lids."""
    closed = head.skin(weights(eyeBlinkLeft=1, eyeBlinkRight=1))[0]
    for centre in head.eye_centres:
        eye = head.eyes_part.vertices
        front = eye[(np.abs(eye - centre).max(axis=1) < 3) & (eye[:, 2] > centre[2] + 1.3)]
        lids = closed[head.frontal_mask]
        near = lids[np.argmin(np.linalg.norm(lids[:, None, :2] - front[None, :, :2], axis=2), axis=0)]
        assert (near[:, 2] > front[:, 2] - 0.05).all()


def test_jaw_turns_rigidly(head: Head) -> None:
    centred = head.jaw_keypoints - head.jaw_keypoints.mean(axis=0)
    assert np.linalg.svd(centred, compute_uv=False)[-1] > 0.5, "key points lie in a plane"
    opened = weights(jawOpen=0.7, mouthClose=0.3, jawLeft=0.5)
    turn, shift = head.jaw_transforms(opened)
    angle = np.degrees(np.arccos((np.trace(turn[0]) - 1) / 2))
    assert angle == pytest.approx(20.7, abs=0.1)
    expected = head.jaw_keypoints @ turn[0].T + shift[0] - head.jaw_keypoints
    np.testing.assert_allclose(head.jaw_keypoint_deltas(opened)[0], expected, atol=1e-5)
    assert head.jaw_keypoint_deltas(opened)[0, 0, 1] < -1.5, "the jaw must open downwards"
    np.testing.assert_allclose(head.jaw_keypoint_deltas(weights())[0], 0, atol=1e-5)


def test_rigid_tongue_vertices_only_follow_the_jaw(head: Head) -> None:
    assert len(head.rigid_tongue) >= 4
    rest = head.tongue_part.vertices[head.rigid_tongue]
    assert np.linalg.svd(rest - rest.mean(axis=0), compute_uv=False)[-1] > 0.2
    poses = np.concatenate([np.eye(52), np.zeros((16, 52))]).astype(np.float32)
    tongues = np.concatenate([np.zeros((52, 16)), np.eye(16)]).astype(np.float32)
    posed = head.tongue(poses, tongues)[:, head.rigid_tongue]
    turn, shift = head.jaw_transforms(poses)
    assert np.abs(posed - (rest @ turn.transpose(0, 2, 1) + shift[:, None])).max() < 0.005
    assert (np.abs(head.tongue_shapes).max(axis=(1, 2)) > 0.2).all()


def test_eyes_turn_about_their_centres(head: Head) -> None:
    rest = head.eyes(np.zeros((1, 2, 2), np.float32))[0]
    np.testing.assert_allclose(rest, head.eyes_part.vertices, atol=1e-5)
    half = len(rest) // 2
    turned = head.eyes(np.array([[[10.0, 0.0], [0.0, 10.0]]], np.float32))[0]
    assert turned[0, 1] < rest[0, 1] - 0.1, "positive pitch looks down"
    assert turned[half, 0] > rest[half, 0] + 0.1, "positive yaw looks to the actor's left"


def test_lists_lie_where_they_should(head: Head) -> None:
    skin = head.skin_part.vertices
    for pair in (head.lip_dist, head.eye_dist):
        assert np.abs(skin[pair["upper"], 0] - skin[pair["lower"], 0]).max() < 0.15
    assert (np.diff(skin[head.lip_dist["upper"], 0]) > 0.3).all(), "from the actor's right to left"
    assert skin[head.eye_dist["upper"], 0][0] < 0 < skin[head.eye_dist["upper"], 0][1]
    for lip in head.lip_size.values():
        assert (skin[lip["top"], 1] > skin[lip["bottom"], 1]).all()
    opened = head.skin(weights(jawOpen=1))[0] - skin
    assert (opened[head.lip_dist["lower"], 1] < opened[head.lip_dist["upper"], 1] - 0.5).all()
    assert 1_000 < len(head.frontal_mask) < len(skin)
    lips, lids = head.lip_open_delta, head.eye_close_delta
    assert np.abs(lips[head.lip_dist["lower"]]).max() > 0.1 > np.abs(lips[head.eye_dist["upper"]]).max()
    assert np.abs(lids[head.eye_dist["upper"]]).max() > 0.5 > np.abs(lids[head.lip_dist["lower"]]).max()


def test_block_and_subset_agree_with_the_whole(head: Head) -> None:
    rows = np.random.default_rng(3).random((7, 52), dtype=np.float32)
    whole = head.skin(rows)
    np.testing.assert_allclose(head.skin(rows[2:5]), whole[2:5], atol=1e-4)
    np.testing.assert_allclose(head.skin(rows, head.frontal_mask), whole[:, head.frontal_mask], atol=1e-4)
    assert whole.dtype == np.float32


def test_the_two_people_differ() -> None:
    ada, ben = (Head.open(name) for name in IDENTITIES)
    np.testing.assert_array_equal(ada.skin_part.faces, ben.skin_part.faces)
    face = ada.frontal_mask
    assert np.linalg.norm(ada.skin_part.vertices[face] - ben.skin_part.vertices[face], axis=1).mean() > 0.3


def test_unknown_identity_is_refused() -> None:
    with pytest.raises(UserError, match="ada, ben"):
        Head.open("eve")
