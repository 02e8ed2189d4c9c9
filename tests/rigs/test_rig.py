"""What a rig gives beside its shapes: jaw, regions, and offsets that a raw dataset has."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from characters import head_builder

from audio2face.dataset.arkit_names import ARKIT_INDEX
from audio2face.dataset.vertex_lists import LipSize, VertexLists, VertexPairs
from audio2face.errors import UserError
from audio2face.example.head import Head
from audio2face.io.atomic import write_json
from audio2face.rigs import open_rig

BEN = Head.open("ben")


def test_the_built_in_head_has_all_of_its_lists_and_offsets() -> None:
    rig = open_rig("example:ben")
    weights = np.random.default_rng(0).uniform(0, 1, (3, 52)).astype(np.float32)
    np.testing.assert_allclose(rig.jaw_point_deltas(weights), BEN.jaw_keypoint_deltas(weights), atol=1e-5)
    np.testing.assert_array_equal(rig.lip_open_delta(), BEN.lip_open_delta)
    np.testing.assert_array_equal(rig.eye_close_delta(), BEN.eye_close_delta)
    assert rig.lists.lip_size is not None
    np.testing.assert_array_equal(rig.lists.lip_size.upper_lip.lower, BEN.lip_dist["upper"])
    np.testing.assert_array_equal(rig.lists.tongue_rigid, BEN.rigid_tongue)


def test_the_jaw_points_of_a_file_span_space_and_follow_the_chin(tmp_path: Path) -> None:
    rig = open_rig(head_builder().glb(tmp_path / "x.glb"))
    assert rig.jaw_points.shape == (5, 3)
    assert np.linalg.svd(rig.jaw_points - rig.jaw_points.mean(axis=0), compute_uv=False)[2] > 0.5
    weights = np.zeros((2, 52), np.float32)
    weights[1, ARKIT_INDEX["jawOpen"]] = 0.5
    moved = rig.jaw_point_deltas(weights)
    assert not moved[0].any() or np.abs(moved[0]).max() < 1e-5
    turn, shift = BEN.jaw_transforms(weights)
    expected = rig.jaw_points @ turn[1].T + shift[1] - rig.jaw_points
    assert np.linalg.norm(moved[1] - expected, axis=1).max() < 0.35  # of 2 cm: the skin of the chin slides a little


def test_frontal_vertices_are_those_of_the_example(tmp_path: Path) -> None:
    rig = open_rig(head_builder().glb(tmp_path / "x.glb"))
    found, known = set(rig.frontal.tolist()), set(BEN.frontal_mask.tolist())
    assert len(found & known) / len(known) > 0.9
    assert len(found & known) / len(found) > 0.8  # of all vertices 0.46 are in the example's list


def test_all_lists_in_one_file(tmp_path: Path) -> None:
    pairs = VertexPairs(np.array([1, 2]), np.array([3, 4]))
    lists = VertexLists(lip_dist=pairs, lip_size=LipSize(pairs, pairs), tongue_rigid=np.array([5]))
    write_json(tmp_path / "lists.json", lists.to_json())
    read = VertexLists.read(tmp_path / "lists.json")
    assert read.to_json() == lists.to_json()
    assert read.eye_dist is None
    other = VertexLists(eye_dist=pairs, tongue_rigid=np.array([6]))
    assert read.replaced(other).to_json() == lists.to_json() | other.to_json()


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ({"lids": [1]}, "holds 'lids', which is no list"),
        ({"lip_dist": {"upper": [1], "lower": [1, 2]}}, "lip_dist pairs 1 upper with 2 lower"),
        ({"lip_size": {"upper_lip": {"top": [1], "bottom": []}}}, "keys upper_lip, lower_lip"),
        ({"tongue_rigid": [0.5]}, "tongue_rigid should be a list of vertex numbers"),
        ([], "should hold an object"),
    ],
)
def test_wrong_lists_are_refused(content: object, message: str, tmp_path: Path) -> None:
    write_json(tmp_path / "lists.json", content)
    with pytest.raises(UserError, match=message):
        VertexLists.read(tmp_path / "lists.json")
