"""Characters in any unit, with any axes, mirrored or inside out, all become the same face."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
from characters import SHAPES

from audio2face.dataset.arkit_names import ARKIT_INDEX, ARKIT_NAMES, TONGUE_INDEX
from audio2face.errors import UserError
from audio2face.example.head import Head
from audio2face.geometry.mesh import triangulate
from audio2face.rigs import Rig, open_rig
from audio2face.rigs.character import rig_of
from audio2face.rigs.scene import Axis, Piece, Scene

BEN = Head.open("ben")
FACES = triangulate(BEN.skin_part.faces)
TEETH, TONGUE = BEN.lower_teeth_part, BEN.tongue_part
BACK = np.diag([-1.0, 1.0, -1.0])
Z_UP = np.array([[1.0, 0, 0], [0, 0, -1], [0, 1, 0]])  # y becomes z, z becomes -y
ON_ITS_SIDE = np.array([[0.0, 0, 1], [1, 0, 0], [0, 1, 0]])


def head_piece(matrix: np.ndarray, shapes: Sequence[str] = SHAPES, faces: np.ndarray = FACES) -> Piece:
    turn = matrix.T.astype(np.float32)
    targets = {name: BEN.skin_shapes[ARKIT_INDEX[name]] @ turn for name in shapes}
    return Piece("Head", BEN.skin_part.vertices @ turn, faces, targets, None)


def scene_of(*pieces: Piece, unit_cm: float | None = 1.0, up: Axis | None = "y") -> Scene:
    return Scene(
        path=Path("hero.xyz"),
        kind="blend shapes",
        shapes=tuple(dict.fromkeys(name for piece in pieces for name in piece.targets)),
        load=lambda wanted: list(pieces),
        unit_cm=unit_cm,
        up=up,
        digest="0",
    )


def assert_is_ben(rig: Rig, shapes: Sequence[str] = SHAPES) -> None:
    np.testing.assert_allclose(rig.neutral, BEN.skin_part.vertices, atol=1e-3)
    for name in shapes:
        np.testing.assert_allclose(rig.delta(name), BEN.skin_shapes[ARKIT_INDEX[name]], atol=1e-3)


@pytest.mark.parametrize(
    ("scale", "unit_cm", "note"),
    [
        (0.01, 100.0, None),
        (1.0, 1.0, None),
        (0.01, None, "taken as metres"),
        (10.0, None, "taken as millimetres"),
        (1.0, 100.0, "cm wide: its lengths are taken as centimetres"),
        (1.0, 0.1, "taken as centimetres"),
    ],
)
def test_units(scale: float, unit_cm: float | None, note: str | None) -> None:
    rig = rig_of(scene_of(head_piece(scale * np.eye(3)), unit_cm=unit_cm))
    assert_is_ben(rig)
    assert not rig.notes if note is None else note in rig.notes[0]


def test_a_face_in_no_unit_gets_a_usual_size() -> None:
    rig = rig_of(scene_of(head_piece(2500 * np.eye(3)), unit_cm=None))
    moved = np.linalg.norm(rig.deltas, axis=2).max(axis=0) > 0.1
    assert 9 < np.ptp(rig.neutral[moved, 0]) < 15
    assert "it is taken as 14 cm" in rig.notes[0]


@pytest.mark.parametrize(
    ("matrix", "up", "note"),
    [
        (np.eye(3), "y", None),
        (np.eye(3), None, None),
        (BACK, "y", "y is upwards in the file, the face looks along -z"),
        (Z_UP, "z", "z is upwards in the file, and the face looks along -y"),
        (Z_UP, None, "z is upwards in the file, the face looks along -y"),
        (Z_UP, "y", "z is upwards in the file, the face looks along -y"),
        (ON_ITS_SIDE, None, "z is upwards in the file, the face looks along x"),
    ],
)
@pytest.mark.parametrize("shapes", [SHAPES, ("jawOpen", "mouthFunnel")])
def test_axes(matrix: np.ndarray, up: Axis | None, note: str | None, shapes: Sequence[str]) -> None:
    rig = rig_of(scene_of(head_piece(matrix, shapes), up=up))
    assert_is_ben(rig, shapes)
    assert rig.notes == (() if note is None else (note,))


def test_a_file_that_is_wrong_about_its_axis() -> None:
    rig = rig_of(scene_of(head_piece(np.eye(3)), up="z"))
    assert_is_ben(rig)
    assert not rig.notes


def test_a_left_handed_file_is_mirrored_back() -> None:
    mirror = np.diag([-1.0, 1.0, 1.0])
    rig = rig_of(scene_of(head_piece(mirror)))
    assert_is_ben(rig)
    assert rig.notes == ("its coordinates are left-handed: x is turned round",)


def test_names_of_the_viewers_sides_change_places() -> None:
    mirror = np.diag([-1.0, 1.0, 1.0])
    rig = rig_of(scene_of(head_piece(mirror, faces=FACES[:, ::-1])))
    assert "the actor's right" in rig.notes[0]
    np.testing.assert_allclose(rig.neutral, BEN.skin_part.vertices @ mirror.astype(np.float32), atol=1e-5)
    assert rig.neutral[np.linalg.norm(rig.delta("eyeBlinkLeft"), axis=1).argmax(), 0] > 1
    assert rig.pose_names[int(rig.driving[:, ARKIT_INDEX["eyeBlinkLeft"]].argmax())] == "eyeBlinkRight"


def test_a_mesh_that_is_inside_out_is_turned_over() -> None:
    quads = BEN.skin_part.faces
    rig = rig_of(scene_of(head_piece(np.eye(3), faces=quads[:, [0, 3, 2, 1]])))
    np.testing.assert_array_equal(rig.faces, quads)
    assert rig.notes == ("its polygons look inwards: their corners are reversed",)


def test_shapes_that_move_nothing_are_refused() -> None:
    piece = Piece("Head", BEN.skin_part.vertices, FACES, {"jawOpen": np.zeros_like(BEN.skin_part.vertices)}, None)
    with pytest.raises(UserError, match="its blend shapes move nothing"):
        rig_of(scene_of(piece))


def test_one_shape_for_both_sides_and_halves_of_one() -> None:
    shapes = {name: BEN.skin_shapes[ARKIT_INDEX[name]] for name in ("jawOpen", "mouthSmileLeft", "mouthSmileRight")}
    inner = BEN.skin_shapes[ARKIT_INDEX["browInnerUp"]]
    left = np.where(BEN.skin_part.vertices[:, :1] > 0, inner, 0)
    smile = shapes["mouthSmileLeft"] + shapes["mouthSmileRight"]
    targets = {"jawOpen": shapes["jawOpen"], "BS_mouthSmile": smile}
    targets |= {"browInnerUp_L": left, "browInnerUp_R": inner - left}
    rig = rig_of(scene_of(Piece("Head", BEN.skin_part.vertices, FACES, targets, None)))
    weights = np.zeros((1, 52), np.float32)
    weights[0, [ARKIT_INDEX[name] for name in ("mouthSmileLeft", "mouthSmileRight", "browInnerUp")]] = 0.8, 0.4, 1
    np.testing.assert_allclose(rig.skin(weights)[0], BEN.skin_part.vertices + 0.6 * smile + inner, atol=1e-5)
    driven = dict(zip(rig.pose_names, rig.drive(weights)[0].tolist(), strict=True))
    expected = {"jawOpen": 0, "BS_mouthSmile": 0.6, "browInnerUp_L": 1, "browInnerUp_R": 1}
    assert driven == pytest.approx(expected)
    np.testing.assert_allclose(rig.delta("mouthSmileLeft"), smile / 2, atol=1e-6)
    assert rig.has("mouthSmileRight")
    assert not rig.has("mouthClose")


def eyes_piece(name: str) -> Piece:
    return Piece(name, BEN.eyes_part.vertices, BEN.eyes_part.faces, {}, None)


def test_a_mesh_of_both_eyes_is_taken_apart() -> None:
    rig = rig_of(scene_of(head_piece(np.eye(3)), eyes_piece("CC_Base_Eye")))
    half = len(BEN.eyes_part.vertices) // 2
    np.testing.assert_array_equal(rig.parts["extra_right_eye_vertices"], BEN.eyes_part.vertices[:half])
    np.testing.assert_array_equal(rig.parts["extra_left_eye_vertices"], BEN.eyes_part.vertices[half:])


def test_a_face_without_eyes_marks_its_lids_for_drawing_them() -> None:
    rig = rig_of(scene_of(head_piece(np.eye(3))))
    assert rig.lists.eye_dist is not None
    np.testing.assert_array_equal(rig.parts["eye_upper"], rig.lists.eye_dist.upper)
    for name in ("Eyes", "Ball", "Eyeglasses"):  # eyes by name, by place, and what is none
        own = rig_of(scene_of(head_piece(np.eye(3)), eyes_piece(name)))
        assert "eye_upper" not in own.parts
        assert ("extra_left_eye_vertices" in own.parts) == (name == "Eyes")


def test_teeth_and_tongue_become_parts_that_move_with_the_jaw() -> None:
    opened = np.zeros((1, 52), np.float32)
    opened[0, ARKIT_INDEX["jawOpen"]] = 1
    posed = BEN.lower_teeth(opened)[0]
    half = len(BEN.upper_teeth_part.vertices)
    both = np.concatenate([BEN.upper_teeth_part.vertices, TEETH.vertices])
    faces = np.concatenate([BEN.upper_teeth_part.faces, TEETH.faces + half])
    moved = np.zeros_like(both)
    moved[half:] = posed - TEETH.vertices
    teeth = Piece("Teeth", both, faces, {"jawOpen": moved}, None)
    tongue = Piece(
        "Tongue", TONGUE.vertices, TONGUE.faces, {"tongueOut": BEN.tongue_out, "Tongue_Up": BEN.tongue_shapes[8]}, None
    )
    rig = rig_of(scene_of(head_piece(np.eye(3)), teeth, tongue))
    assert len(rig.neutral) == len(BEN.skin_part.vertices)
    np.testing.assert_array_equal(rig.parts["extra_lower_teeth_vertices"], TEETH.vertices)
    np.testing.assert_array_equal(rig.parts["extra_upper_teeth_vertices"], BEN.upper_teeth_part.vertices)
    moving = rig.jaw(opened)[0]
    found = TEETH.vertices @ moving[:3, :3].T + moving[:3, 3]
    np.testing.assert_allclose(found, posed, atol=1e-3)
    assert rig.tongue is not None
    weights = np.random.default_rng(0).uniform(0, 1, (2, 52)).astype(np.float32)
    weights[:, [ARKIT_INDEX[name] for name in ARKIT_NAMES if name.startswith(("jaw", "mouth"))]] = 0
    weights[1, ARKIT_INDEX["jawOpen"]] = 1
    inside = np.zeros((2, 16), np.float32)
    inside[:, TONGUE_INDEX["tongueUp"]] = 0.7
    np.testing.assert_allclose(rig.tongue.pose(weights, inside), BEN.tongue(weights, inside), atol=1e-3)


def test_a_tongue_that_only_the_jaw_moves_becomes_a_part_of_it() -> None:
    jaw = {"jawOpen": BEN.skin_shapes[ARKIT_INDEX["jawOpen"]][: len(TONGUE.vertices)]}
    rig = rig_of(scene_of(head_piece(np.eye(3)), Piece("Tongue", TONGUE.vertices, TONGUE.faces, jaw, None)))
    assert rig.tongue is not None
    stiff = rig.with_stiff_tongue_as_part()
    assert stiff.tongue is None
    assert stiff.lists.tongue_rigid is None
    np.testing.assert_array_equal(stiff.parts["extra_lower_tongue_vertices"], TONGUE.vertices)
    assert "extra_tongue_colours" not in stiff.parts
    built_in = open_rig("example")
    assert built_in.with_stiff_tongue_as_part() is built_in
