"""Lips, lids and the root of a tongue are found by geometry and motion, and corrected in a file of the user."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from characters import head_builder

from audio2face.dataset.arkit_names import ARKIT_INDEX, ARKIT_NAMES
from audio2face.errors import UserError
from audio2face.example.head import Head
from audio2face.geometry.mesh import refine, triangulate
from audio2face.rigs import open_rig
from audio2face.rigs.lists_file import lists_path
from audio2face.rigs.regions import find_lists, find_root
from audio2face.rigs.rigid_pieces import part_of
from audio2face.rigs.scene import Piece

HEADS = {name: Head.open(name) for name in ("ada", "ben")}
EDGES = (("upper_lip", "top"), ("upper_lip", "bottom"), ("lower_lip", "top"), ("lower_lip", "bottom"))


def piece_of(head: Head) -> Piece:
    shapes = dict(zip(ARKIT_NAMES, head.skin_shapes, strict=True))
    return Piece("Head", head.skin_part.vertices, head.skin_part.faces, shapes, None)


def refined(piece: Piece) -> Piece:
    matrix, faces = refine(piece.faces, len(piece.vertices))
    targets = {name: np.asarray(matrix @ delta, np.float32) for name, delta in piece.targets.items()}
    return replace(piece, vertices=np.asarray(matrix @ piece.vertices, np.float32), faces=faces, targets=targets)


def taken(piece: Piece, rows: np.ndarray, faces: np.ndarray) -> Piece:
    targets = {name: delta[rows] for name, delta in piece.targets.items()}
    return replace(piece, vertices=piece.vertices[rows], faces=faces.astype(np.int32), targets=targets)


def renumbered(piece: Piece) -> Piece:
    order = np.random.default_rng(0).permutation(len(piece.vertices))
    return taken(piece, order, np.argsort(order)[piece.faces])


def split_at_every_seam(piece: Piece) -> Piece:
    triangles = triangulate(piece.faces)
    return taken(piece, triangles.reshape(-1), np.arange(triangles.size).reshape(-1, 3))


def cropped(piece: Piece) -> Piece:
    low = piece.vertices[:, 1].min() + 0.25 * np.ptp(piece.vertices[:, 1])
    return part_of(piece, (piece.vertices[:, 2] > np.median(piece.vertices[:, 2])) & (piece.vertices[:, 1] > low))


def with_lashes(piece: Piece) -> Piece:
    """Strips in front of both lids that move with them, as lashes do."""
    rows = np.flatnonzero(np.linalg.norm(piece.targets["eyeBlinkLeft"] + piece.targets["eyeBlinkRight"], axis=1) > 0.5)
    count = len(piece.vertices)
    both = np.concatenate([np.arange(count), rows])
    strips = count + np.arange(len(rows) - 2)[:, None] + np.arange(3)
    made = taken(piece, both, np.concatenate([triangulate(piece.faces), strips]))
    made.vertices[count:, 2] += 0.3
    return made


def to_line(points: np.ndarray, line: np.ndarray) -> float:
    """The largest distance of points from a polyline, millimetres."""
    starts, steps = line[:-1], np.diff(line, axis=0)
    along = np.einsum("psc,sc->ps", points[:, None] - starts, steps) / np.square(steps).sum(axis=1)
    nearest = starts + np.clip(along, 0, 1)[..., None] * steps
    return float(10 * np.linalg.norm(points[:, None] - nearest, axis=2).min(axis=1).max())


@pytest.mark.parametrize("change", [piece_of, refined, renumbered, split_at_every_seam, cropped, with_lashes])
@pytest.mark.parametrize("name", HEADS)
def test_lists_of_the_heads_are_found_on_any_mesh_of_them(name: str, change: Callable[[Piece], Piece]) -> None:
    """Within 6 mm of the known lines; the mouth is 41 mm wide, an eye 35 mm, and a quarter of a lip is 2 to 4 mm."""
    head = HEADS[name]
    piece = piece_of(head) if change is piece_of else change(piece_of(head))
    blinks = [piece.targets["eyeBlinkRight"], piece.targets["eyeBlinkLeft"]]
    found = find_lists(piece.vertices, piece.faces, piece.targets["jawOpen"], blinks)
    points, known = piece.vertices, head.skin_part.vertices
    assert found.lip_dist is not None
    assert found.lip_size is not None
    assert found.eye_dist is not None
    assert len(found.lip_dist.upper) == 5
    for (lip, edge), most in zip(EDGES, (2, 4, 5, 5), strict=True):
        pairs = getattr(found.lip_size, lip)
        own = pairs.upper if edge == "top" else pairs.lower
        assert to_line(points[own], known[head.lip_size[lip][edge]]) < most, (lip, edge)
        assert (np.diff(points[own, 0]) > 0).all()
    for own, true in ((found.eye_dist.upper, head.eye_dist["upper"]), (found.eye_dist.lower, head.eye_dist["lower"])):
        assert 10 * np.linalg.norm(points[own] - known[true], axis=1).max() < 5
    shut = points + piece.targets["eyeBlinkRight"] + piece.targets["eyeBlinkLeft"]
    gaps = 10 * np.linalg.norm(shut[found.eye_dist.upper] - shut[found.eye_dist.lower], axis=1)
    assert gaps.max() < 3  # the neutral eye is 9 mm high


def test_a_face_without_such_shapes_has_no_such_lists() -> None:
    piece = piece_of(HEADS["ben"])
    still = np.zeros_like(piece.vertices)
    found = find_lists(piece.vertices, piece.faces, still, [still, still])
    assert found.to_json() == {}
    found = find_lists(piece.vertices, piece.faces, piece.targets["jawOpen"], [still, piece.targets["eyeBlinkLeft"]])
    assert found.eye_dist is None
    assert found.lip_dist is not None


def test_the_root_of_a_tongue_is_what_its_shapes_leave_alone() -> None:
    head = HEADS["ben"]
    root = find_root(head.tongue_part.vertices, head.tongue_shapes)
    assert set(head.rigid_tongue.tolist()) <= set(root.tolist())
    assert len(root) <= 1.2 * len(head.rigid_tongue)
    back = find_root(head.tongue_part.vertices, np.zeros_like(head.tongue_shapes))
    assert head.tongue_part.vertices[back, 2].max() < np.median(head.tongue_part.vertices[:, 2])
    assert len(back) >= 4


def test_a_file_beside_the_character_corrects_the_lists(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    character = head_builder().glb(tmp_path / "hero.v2.glb")
    before = open_rig(character)
    path = lists_path(character)
    assert path == tmp_path / "hero.v2.lists.json"
    path.write_text(json.dumps({"eye_dist": {"upper": [1, 2], "lower": [3, 4]}}))
    with caplog.at_level("INFO"):
        after = open_rig(character)
    assert "vertex lists are those of hero.v2.lists.json" in caplog.text
    assert after.lists.to_json() == before.lists.to_json() | {"eye_dist": {"upper": [1, 2], "lower": [3, 4]}}
    assert after.digest != before.digest
    path.write_text(json.dumps({"lip_dist": {"upper": [1], "lower": [9999]}}))
    with pytest.raises(UserError, match="lip_dist names vertex 9999, and the mesh has 4,452"):
        open_rig(character)


def test_the_jaw_of_a_file_follows_the_known_one(tmp_path: Path) -> None:
    """Key points of the teeth, from the skin of the chin alone: within a quarter of their way."""
    rig, head = open_rig(head_builder().glb(tmp_path / "x.glb")), HEADS["ben"]
    weights = np.zeros((1, 52), np.float32)
    weights[0, ARKIT_INDEX["jawOpen"]] = 0.5
    moved = rig.jaw(weights)[0]
    found = head.jaw_keypoints @ moved[:3, :3].T + moved[:3, 3]
    known = head.jaw_keypoints + head.jaw_keypoint_deltas(weights)[0]
    way = np.linalg.norm(known - head.jaw_keypoints, axis=1).max()
    assert np.linalg.norm(found - known, axis=1).max() < 0.25 * way
