"""Characters as files: what other programs export is read, and what cannot speak says why."""

from __future__ import annotations

import json
import struct
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from characters import SHAPES, Builder, add_eyes, head_builder

from audio2face.dataset.arkit_names import ARKIT_INDEX
from audio2face.errors import UserError
from audio2face.example.head import Head
from audio2face.geometry.mesh import encoded, linear
from audio2face.rigs import Rig, open_rig

BEN = Head.open("ben")
JAW = BEN.skin_shapes[ARKIT_INDEX["jawOpen"]]


@pytest.fixture(scope="module")
def character(tmp_path_factory: pytest.TempPathFactory) -> Rig:
    made = head_builder()
    add_eyes(made)
    return open_rig(made.glb(tmp_path_factory.mktemp("rig") / "Old Ben.glb"))


def test_the_face_is_the_one_that_was_exported(character: Rig) -> None:
    np.testing.assert_allclose(character.neutral, BEN.skin_part.vertices, atol=1e-5)
    np.testing.assert_allclose(character.delta("jawOpen"), JAW, atol=1e-5)
    assert character.name == "Old-Ben"
    assert set(character.pose_names) == set(SHAPES)
    assert not character.delta("tongueOut").any()


def test_posing_is_a_sum_of_shapes(character: Rig) -> None:
    weights = np.zeros((2, 52), np.float32)
    weights[1, ARKIT_INDEX["jawOpen"]] = 0.5
    posed = character.skin(weights)
    np.testing.assert_array_equal(posed[0], character.neutral)
    np.testing.assert_allclose(posed[1], BEN.skin_part.vertices + 0.5 * JAW, atol=1e-4)
    kept = character.weights(weights)
    assert kept.values[1].sum() == 0.5
    assert kept.values[1, kept.names.index("jawOpen")] == 0.5


def test_eyes_of_their_own_turn_about_their_centres(character: Rig) -> None:
    for side, name in enumerate(("right_eye", "left_eye")):
        vertices = character.parts[f"extra_{name}_vertices"]
        assert len(vertices) == len(BEN.eyes_part.vertices) // 2
        middle = (vertices.min(axis=0) + vertices.max(axis=0)) / 2  # where `rigid_parts` turns it
        np.testing.assert_allclose(middle, BEN.eye_centres[side], atol=0.1)
    assert len(character.neutral) == len(BEN.skin_part.vertices)


def test_the_jaw_turns_as_the_chin_does(character: Rig) -> None:
    weights = np.zeros((1, 52), np.float32)
    weights[0, ARKIT_INDEX["jawOpen"]] = 0.4
    turned = np.degrees(np.arccos((np.trace(character.jaw(weights)[0, :3, :3]) - 1) / 2))
    assert turned == pytest.approx(0.4 * BEN.jaw_open_degrees, abs=2.5)
    np.testing.assert_allclose(character.jaw(np.zeros((1, 52), np.float32))[0], np.eye(4), atol=1e-6)


def test_lips_are_found_where_they_meet(character: Rig) -> None:
    upper, lower = character.neutral[character.lips]
    assert character.lips.shape == (2, 5)
    assert np.linalg.norm(upper - lower, axis=1).max() < 0.5
    assert np.abs(upper[:, 1] - BEN.skin_part.vertices[BEN.lip_dist["upper"], 1].mean()).max() < 0.3
    assert (np.diff(upper[:, 0]) > 0).all()
    assert character.lip_gaps()[ARKIT_INDEX["jawOpen"]].min() > 10


def test_what_mouth_close_does_to_the_jaw_is_measured(character: Rig, tmp_path: Path) -> None:
    assert character.close_keeps_the_jaw()
    assert not open_rig("example").close_keeps_the_jaw()
    assert not open_rig(head_builder(as_arkit=False).glb(tmp_path / "x.glb")).close_keeps_the_jaw()


SPELLINGS: dict[str, Callable[[str], str]] = {
    "sides by letter": lambda name: name.replace("Left", "_L").replace("Right", "_R"),
    "nodes in front": lambda name: f"head_blendShapes.{name}",
    "capitals": str.upper,
}


@pytest.mark.parametrize("spelling", SPELLINGS)
def test_spellings_of_other_programs(tmp_path: Path, spelling: str) -> None:
    rig = open_rig(head_builder(rename=SPELLINGS[spelling]).glb(tmp_path / "x.glb"))
    assert len(rig.columns) == len(SHAPES)
    assert rig.pose_names[rig.columns.index(ARKIT_INDEX["jawOpen"])] == SPELLINGS[spelling]("jawOpen")


def quantised(made: Builder) -> None:
    """Positions as normalised 16-bit integers, scaled back by the node (KHR_mesh_quantization)."""
    reach = np.abs(BEN.skin_part.vertices).max()
    whole = np.rint(BEN.skin_part.vertices / reach * 32767).astype(np.int16)
    padded = np.zeros((len(whole), 4), np.int16)
    padded[:, :3] = whole
    view = made.view(padded, stride=8)
    entry = {"bufferView": view, "componentType": 5122, "normalized": True, "count": len(whole), "type": "VEC3"}
    made.document["accessors"].append(entry)
    primitive = made.document["meshes"][0]["primitives"][0]
    primitive["attributes"]["POSITION"] = len(made.document["accessors"]) - 1
    made.document["nodes"][0]["scale"] = [float(reach) * 0.01] * 3
    for target in primitive["targets"]:
        array = made.read(target["POSITION"])
        target["POSITION"] = made.accessor(np.asarray(array / (reach * 0.01), np.float32))


def turned(made: Builder) -> None:
    """The mesh lies on its back and is twice as large; its node and the parent of that put it right."""
    primitive = made.document["meshes"][0]["primitives"][0]
    for holder in (primitive["attributes"], *primitive["targets"]):
        x, y, z = made.read(holder["POSITION"]).T
        holder["POSITION"] = made.accessor(np.ascontiguousarray(np.stack([x, -z, y], axis=1) * np.float32(2)))
    half = 0.5**0.5
    made.document["nodes"] = [
        {"children": [1], "rotation": [-half, 0, 0, half]},
        {"mesh": 0, "matrix": [0.5, 0, 0, 0, 0, 0.5, 0, 0, 0, 0, 0.5, 0, 0, 0, 0, 1]},
    ]


def skinned(made: Builder) -> None:
    """A skeleton whose bind pose is not where the node is: the node's own place does not count."""
    primitive = made.document["meshes"][0]["primitives"][0]
    count = len(BEN.skin_part.vertices)
    primitive["attributes"]["JOINTS_0"] = made.accessor(np.zeros((count, 4), np.uint8))
    shares = np.zeros((count, 4), np.float32)
    shares[:, 0] = 1
    primitive["attributes"]["WEIGHTS_0"] = made.accessor(shares)
    inverse = np.eye(4, dtype=np.float32)
    inverse[3, :3] = (0, -1.5, 0)  # column-major: a shift down
    made.document["skins"] = [{"joints": [1], "inverseBindMatrices": made.accessor(inverse.reshape(1, 16))}]
    made.document["nodes"][0] |= {"skin": 0, "translation": [9, 9, 9]}
    made.document["nodes"].append({"name": "Head", "translation": [0, 1.5, 0]})
    made.document["scenes"][0]["nodes"] = [0, 1]


@pytest.mark.parametrize("change", [quantised, turned, skinned])
def test_the_same_face_in_other_forms(tmp_path: Path, change: Callable[[Builder], None]) -> None:
    made = head_builder(sparse=False)
    change(made)
    rig = open_rig(made.glb(tmp_path / "x.glb"))
    np.testing.assert_allclose(rig.neutral, BEN.skin_part.vertices, atol=2e-3)
    np.testing.assert_allclose(rig.delta("jawOpen"), JAW, atol=2e-3)


def test_a_text_file_with_its_buffer_inside_or_beside(tmp_path: Path) -> None:
    inside = open_rig(head_builder().gltf(tmp_path / "a.gltf"))
    beside = open_rig(head_builder().gltf(tmp_path / "b.gltf", "b data.bin"))
    np.testing.assert_array_equal(inside.neutral, beside.neutral)
    (tmp_path / "b data.bin").unlink()
    with pytest.raises(UserError, match="buffer of a character is missing"):
        open_rig(tmp_path / "b.gltf")


def test_other_units_become_a_face_of_usual_size_and_one_from_behind_is_turned(tmp_path: Path) -> None:
    rig = open_rig(head_builder(scale=1.0).glb(tmp_path / "x.glb"))
    ratio = np.ptp(rig.neutral, axis=0) / np.ptp(BEN.skin_part.vertices, axis=0)
    np.testing.assert_allclose(ratio, ratio[0], rtol=1e-4)
    assert 0.5 < ratio[0] < 1.5
    made = head_builder()
    made.document["nodes"][0]["rotation"] = [0, 1, 0, 0]
    np.testing.assert_allclose(open_rig(made.glb(tmp_path / "y.glb")).neutral, BEN.skin_part.vertices, atol=1e-4)


def test_hair_around_the_face_stays_and_a_sword_far_away_goes(tmp_path: Path) -> None:
    made = head_builder()
    cube = np.array([[0, 0.1, 0], [0.01, 0.1, 0], [0, 0.11, 0]], np.float32)
    for number, (name, shift) in enumerate((("Hair", 0.0), ("Sword", 3.0)), start=1):
        primitive = {"attributes": {"POSITION": made.accessor(cube + np.float32(shift))}}
        primitive["indices"] = made.accessor(np.arange(3, dtype=np.uint16))
        made.document["meshes"].append({"name": name, "primitives": [primitive]})
        made.document["nodes"].append({"name": name, "mesh": number})
        made.document["scenes"][0]["nodes"].append(number)
    assert len(open_rig(made.glb(tmp_path / "x.glb")).neutral) == len(BEN.skin_part.vertices) + 3


def test_colours_survive_the_way_to_linear_light_and_back() -> None:
    colours = np.arange(256, dtype=np.uint8).repeat(3).reshape(-1, 3)
    np.testing.assert_array_equal(encoded(linear(colours)), colours)


# --- what cannot speak ------------------------------------------------------------------------------------------------


def no_targets(made: Builder) -> None:
    del made.document["meshes"][0]["primitives"][0]["targets"]


def unnamed(made: Builder) -> None:
    del made.document["meshes"][0]["extras"]


def unknown(made: Builder) -> None:
    names = made.document["meshes"][0]["extras"]["targetNames"]
    made.document["meshes"][0]["extras"]["targetNames"] = ["jawOpn", *(f"Key {index}" for index in range(len(names)))]


def compressed(made: Builder) -> None:
    made.document["extensionsUsed"] = ["KHR_draco_mesh_compression"]


def outside(made: Builder) -> None:
    made.document["bufferViews"][-1]["byteLength"] = 10**9


def circular(made: Builder) -> None:
    made.document["nodes"][0]["children"] = [0]


def wrong_triangle(made: Builder) -> None:
    made.document["meshes"][0]["primitives"][0]["indices"] = made.accessor(np.array([0, 1, 60_000], np.uint16))


def negative(made: Builder) -> None:
    made.document["nodes"][0]["mesh"] = -1


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (no_targets, "has no morph targets, so its face cannot move\n .*Shape Keys"),
        (unnamed, "14 morph targets without names\n .*targetNames"),
        (unknown, r"none of its 14 morph targets is ARKit's, without jawOpen.* it has jawOpn \(jawOpen\?\)"),
        (compressed, "compressed .KHR_draco"),
        (outside, "not a valid glTF 2.0 file: a buffer view lies outside"),
        (circular, "nodes form no tree"),
        (wrong_triangle, "names vertex 60000 of"),
        (negative, "-1 is not an index"),
    ],
)
def test_one_clear_error(tmp_path: Path, change: Callable[[Builder], None], message: str) -> None:
    made = head_builder()
    change(made)
    with pytest.raises(UserError, match=message) as caught:
        open_rig(made.glb(tmp_path / "x.glb"))
    assert caught.value.path == tmp_path / "x.glb"


@pytest.mark.parametrize("keep", [0, 3, 11, 30, 5000])
def test_a_file_that_is_cut_off(tmp_path: Path, keep: int) -> None:
    path = head_builder(["jawOpen"]).glb(tmp_path / "x.glb")
    path.write_bytes(path.read_bytes()[:keep])
    with pytest.raises(UserError, match=r"cut off|not a valid glTF|is empty"):
        open_rig(path)


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("nobody.glb", "there is no such character"),
        ("hero.ma", "'hero.ma' names no rig\n .*glb .*usdz .*folder of .obj"),
        ("hero.fbx", "there is no such character"),
        ("heads/hero", "there is no such character"),
        ("hero", "'hero' names no rig"),
        ("example:eve", "no example head 'eve'"),
    ],
)
def test_no_such_rig(name: str, message: str) -> None:
    with pytest.raises(UserError, match=message):
        open_rig(name)


def test_a_buffer_elsewhere_is_not_read(tmp_path: Path) -> None:
    (tmp_path / "inside").mkdir()
    path = head_builder(["jawOpen"]).gltf(tmp_path / "inside/x.gltf")
    document = json.loads(path.read_text())
    for uri in ("../secret.bin", "https://example.org/a.bin"):
        document["buffers"][0]["uri"] = uri
        path.write_text(json.dumps(document))
        with pytest.raises(UserError, match="lies elsewhere"):
            open_rig(path)


def test_an_older_version_says_so(tmp_path: Path) -> None:
    (tmp_path / "x.glb").write_bytes(struct.pack("<III", 0x46546C67, 1, 12))
    with pytest.raises(UserError, match="is glTF 1, expected 2"):
        open_rig(tmp_path / "x.glb")


def test_missing_shapes_are_named_with_what_they_cost(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level("INFO"):
        open_rig(head_builder(["jawOpen", "eyeBlinkLeft", "eyeBlinkRight"]).glb(tmp_path / "x.glb"))
    assert "has 3 of ARKit's 52 shapes; without mouthClose: lips close by shutting the jaw" in caplog.text
    assert "no blinks" not in caplog.text
