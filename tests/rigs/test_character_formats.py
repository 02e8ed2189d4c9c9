"""The same face as USD, as a folder of OBJ files, as an archive of blend shapes, and through Blender."""

from __future__ import annotations

import os
import stat
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from characters import SHAPES, add_eyes, add_tongue, head_builder
from pxr import Gf, Usd, UsdGeom, UsdSkel, Vt

import audio2face
from audio2face.dataset.arkit_names import ARKIT_INDEX, ARKIT_NAMES, TONGUE_NAMES
from audio2face.dataset.layout import ActorGeometry, ShapeSet, TongueGeometry, write_actor_geometry
from audio2face.errors import UserError
from audio2face.example.head import Head
from audio2face.io.atomic import write_npz
from audio2face.rigs import Rig, open_rig

ROOT = Path(__file__).parents[2]
SPEECH = ROOT / "tests/data/espeak/en_low.wav"
BEN = Head.open("ben")
SKIN, TONGUE, TEETH = BEN.skin_part, BEN.tongue_part, BEN.lower_teeth_part


def assert_is_ben(rig: Rig, atol: float) -> None:
    np.testing.assert_allclose(rig.neutral, SKIN.vertices, atol=atol)
    np.testing.assert_array_equal(rig.faces, SKIN.faces)
    for name in SHAPES:
        np.testing.assert_allclose(rig.delta(name), BEN.skin_shapes[ARKIT_INDEX[name]], atol=atol)


# --- what the exporters write -----------------------------------------------------------------------------------------


@pytest.mark.parametrize("ending", [".glb", "_blendshapes.usdc"])
def test_the_example_head_comes_back_from_its_exports(tmp_path: Path, ending: str) -> None:
    spoken = audio2face.load_rig("example:ben").animate(SPEECH)
    (folder,) = {path.parent for path in spoken.save(tmp_path, formats=["glb", "usd"])}
    (path,) = folder.glob(f"*{ending}")
    rig = open_rig(path)
    assert rig.notes == ()
    assert len(rig.columns) == 52
    assert np.abs(rig.neutral - SKIN.vertices).max() < 1e-5
    assert max(np.abs(rig.delta(name) - BEN.skin_shapes[ARKIT_INDEX[name]]).max() for name in ARKIT_NAMES) < 1e-5
    assert rig.tongue is not None
    assert np.abs(rig.tongue.neutral - TONGUE.vertices).max() < 1e-5
    np.testing.assert_allclose(rig.parts["extra_lower_teeth_vertices"], TEETH.vertices, atol=1e-5)
    middle = rig.parts["extra_left_eye_vertices"].mean(axis=0)
    np.testing.assert_allclose(
        middle, BEN.eyes_part.vertices[len(BEN.eyes_part.vertices) // 2 :].mean(axis=0), atol=1e-3
    )
    np.testing.assert_array_equal(rig.parts["extra_skin_colours"], SKIN.colours)


# --- USD --------------------------------------------------------------------------------------------------------------


def usd_head(path: Path, *, up: str = "y", unit: float = 0.01, change: Callable[[Any], None] | None = None) -> Path:
    """The head as a program would write it: a transform above, sparse shapes, a mesh of another format beside it."""
    stage = Usd.Stage.CreateInMemory()
    UsdGeom.SetStageUpAxis(stage, UsdGeom.Tokens.z if up == "z" else UsdGeom.Tokens.y)
    UsdGeom.SetStageMetersPerUnit(stage, unit)
    root = UsdGeom.Xform.Define(stage, "/hero")
    if up == "z":
        root.AddRotateXOp().Set(90.0)
    root.AddScaleOp().Set(Gf.Vec3f(0.01 / unit))
    mesh = UsdGeom.Mesh.Define(stage, "/hero/Head")
    mesh.CreatePointsAttr(Vt.Vec3fArray.FromNumpy(SKIN.vertices))
    mesh.CreateFaceVertexCountsAttr(Vt.IntArray.FromNumpy(np.full(len(SKIN.faces), 4, np.int32)))
    mesh.CreateFaceVertexIndicesAttr(Vt.IntArray.FromNumpy(SKIN.faces.reshape(-1)))
    binding = UsdSkel.BindingAPI.Apply(mesh.GetPrim())
    targets = []
    for name in SHAPES:
        delta = BEN.skin_shapes[ARKIT_INDEX[name]]
        rows = np.flatnonzero(delta.any(axis=1)).astype(np.int32)
        shape = UsdSkel.BlendShape.Define(stage, f"/hero/Head/{name}")
        shape.CreateOffsetsAttr(Vt.Vec3fArray.FromNumpy(np.ascontiguousarray(delta[rows])))
        shape.CreatePointIndicesAttr(Vt.IntArray.FromNumpy(rows))
        targets.append(shape.GetPath())
    binding.CreateBlendShapesAttr(list(SHAPES))
    binding.CreateBlendShapeTargetsRel().SetTargets(targets)
    if change is not None:
        change(stage)
    stage.Export(str(path))
    return path


@pytest.mark.parametrize("suffix", [".usda", ".usdc", ".usd"])
@pytest.mark.parametrize(("up", "unit"), [("y", 0.01), ("z", 1.0)])
def test_usd(tmp_path: Path, suffix: str, up: str, unit: float) -> None:
    rig = open_rig(usd_head(tmp_path / f"hero{suffix}", up=up, unit=unit))
    assert_is_ben(rig, 2e-4)
    assert rig.path is None
    assert rig.notes == (("z is upwards in the file, and the face looks along -y",) if up == "z" else ())


def test_a_usdz_package(tmp_path: Path) -> None:
    from pxr import UsdUtils

    layer = usd_head(tmp_path / "hero.usdc")
    assert UsdUtils.CreateNewUsdzPackage(str(layer), str(tmp_path / "hero.usdz"))
    assert_is_ben(open_rig(tmp_path / "hero.usdz"), 1e-5)


def left_handed(stage: Any) -> None:
    mesh = UsdGeom.Mesh.Get(stage, "/hero/Head")
    mesh.CreateOrientationAttr(UsdGeom.Tokens.leftHanded)
    mesh.GetFaceVertexIndicesAttr().Set(Vt.IntArray.FromNumpy(SKIN.faces[:, [0, 3, 2, 1]].reshape(-1)))


def hidden_and_guide(stage: Any) -> None:
    for name in ("Cage", "Low"):
        UsdGeom.Mesh.Define(stage, f"/hero/{name}").CreatePointsAttr([(0, 0, 0)])
    UsdGeom.Imageable.Get(stage, "/hero/Cage").MakeInvisible()
    UsdGeom.Imageable.Get(stage, "/hero/Low").CreatePurposeAttr(UsdGeom.Tokens.guide)


def skinned(stage: Any) -> None:
    """The skeleton places the mesh, not the mesh's own transform."""
    skeleton = UsdSkel.Skeleton.Define(stage, "/hero/rig")
    skeleton.CreateJointsAttr(["head"])
    UsdGeom.Xformable.Get(stage, "/hero/Head").AddTranslateOp().Set(Gf.Vec3d(9, 9, 9))
    binding = UsdSkel.BindingAPI.Apply(stage.GetPrimAtPath("/hero/Head"))
    binding.CreateSkeletonRel().SetTargets([skeleton.GetPath()])
    binding.CreateJointIndicesPrimvar(constant=True).Set([0])
    binding.CreateJointWeightsPrimvar(constant=True).Set([1.0])
    UsdSkel.Root.Define(stage, "/hero")


@pytest.mark.parametrize("change", [left_handed, hidden_and_guide, skinned])
def test_usd_in_other_forms(tmp_path: Path, change: Callable[[Any], None]) -> None:
    assert_is_ben(open_rig(usd_head(tmp_path / "hero.usda", change=change)), 1e-5)


def test_in_between_shapes_are_left_out_and_said(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    def bend(stage: Any) -> None:
        shape = UsdSkel.BlendShape.Get(stage, "/hero/Head/jawOpen")
        between = shape.CreateInbetween("half")
        between.SetWeight(0.5)
        between.SetOffsets(shape.GetOffsetsAttr().Get())

    rig = open_rig(usd_head(tmp_path / "hero.usda", change=bend))
    assert_is_ben(rig, 1e-5)
    assert "hero.usda: in-between shapes are left out, so these move along straight lines: jawOpen" in caplog.text


def no_shapes(stage: Any) -> None:
    UsdSkel.BindingAPI(stage.GetPrimAtPath("/hero/Head")).GetBlendShapesAttr().Clear()
    UsdSkel.BindingAPI(stage.GetPrimAtPath("/hero/Head")).GetBlendShapeTargetsRel().ClearTargets(True)


def too_few_names(stage: Any) -> None:
    UsdSkel.BindingAPI(stage.GetPrimAtPath("/hero/Head")).GetBlendShapesAttr().Set(["jawOpen"])


def no_target(stage: Any) -> None:
    stage.RemovePrim("/hero/Head/jawOpen")


def wrong_corner(stage: Any) -> None:
    UsdGeom.Mesh.Get(stage, "/hero/Head").GetFaceVertexCountsAttr().Set([4])
    UsdGeom.Mesh.Get(stage, "/hero/Head").GetFaceVertexIndicesAttr().Set([0, 1, 2, 9999])


def too_few_corners(stage: Any) -> None:
    UsdGeom.Mesh.Get(stage, "/hero/Head").GetFaceVertexIndicesAttr().Set([0, 1, 2])


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (no_shapes, "has no blend shapes, so its face cannot move"),
        (too_few_names, "names 1 blend shapes, and has 14 targets"),
        (no_target, "there is no blend shape /hero/Head/jawOpen"),
        (wrong_corner, "names vertex 9999 of"),
        (too_few_corners, "corners, and there are 3"),
    ],
)
def test_damaged_stages(tmp_path: Path, change: Callable[[Any], None], message: str) -> None:
    path = usd_head(tmp_path / "hero.usda", change=change)
    with pytest.raises(UserError, match=message) as caught:
        open_rig(path)
    assert caught.value.path == path


@pytest.mark.parametrize("content", [b"", b"#usda 1.0\ndef Mesh {", b"PXR-USDC" + bytes(20), b"glTF"])
@pytest.mark.parametrize("suffix", [".usda", ".usdc", ".usdz"])
def test_files_that_are_no_usd(tmp_path: Path, content: bytes, suffix: str) -> None:
    (tmp_path / f"x{suffix}").write_bytes(content)
    with pytest.raises(UserError, match=r"not a valid USD stage|file is empty") as caught:
        open_rig(tmp_path / f"x{suffix}")
    assert "stage.cpp" not in str(caught.value)


def test_what_reading_usd_needs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("audio2face.extras.missing", lambda extra: ["pxr"])
    with pytest.raises(UserError, match=r"Reading a character as \.usda needs what is not installed here: pxr"):
        open_rig(tmp_path / "hero.usda")


# --- a folder of OBJ files --------------------------------------------------------------------------------------------


def write_obj(path: Path, vertices: np.ndarray, faces: np.ndarray | None, head: str = "") -> None:
    lines = [head, *("v {:.7g} {:.7g} {:.7g}".format(*row) for row in vertices.tolist())]
    if faces is not None:
        lines += [
            "f " + " ".join(f"{corner + 1}/{corner + 1}" for corner in row if corner >= 0) for row in faces.tolist()
        ]
    path.write_text("\n".join(lines) + "\n")


def obj_folder(folder: Path, neutral: str = "neutral", scale: float = 1.0, with_faces: bool = True) -> Path:
    folder.mkdir()
    write_obj(folder / f"{neutral}.obj", scale * SKIN.vertices, SKIN.faces, "# a comment\nvt 0 0\no Head")
    for name in ("jawOpen", "eyeBlink_L", "eyeBlink_R", "mouthClose"):
        delta = BEN.skin_shapes[ARKIT_INDEX[name.replace("_L", "Left").replace("_R", "Right")]]
        write_obj(folder / f"{name}.obj", scale * (SKIN.vertices + delta), SKIN.faces if with_faces else None)
    return folder


@pytest.mark.parametrize(
    ("neutral", "scale", "with_faces"),
    [("neutral", 1.0, True), ("generic_neutral_mesh", 10.0, False), ("hero_Neutral", 0.01, True)],
)
def test_a_folder_of_obj_files(tmp_path: Path, neutral: str, scale: float, with_faces: bool) -> None:
    rig = open_rig(obj_folder(tmp_path / "hero", neutral, scale, with_faces))
    np.testing.assert_allclose(rig.neutral, SKIN.vertices, atol=1e-4)
    np.testing.assert_array_equal(rig.faces, SKIN.faces)
    np.testing.assert_allclose(rig.delta("eyeBlinkLeft"), BEN.skin_shapes[ARKIT_INDEX["eyeBlinkLeft"]], atol=1e-4)
    assert rig.name == "hero"
    assert rig.pose_names == ("eyeBlink_L", "eyeBlink_R", "jawOpen", "mouthClose")


def test_parts_of_one_mesh_are_taken_apart_by_their_materials(tmp_path: Path) -> None:
    """Named as in ICT-FaceKit, where gums and tongue have one material; rounding moves eyes by 2 um."""
    folder, half = obj_folder(tmp_path / "hero"), len(BEN.eyes_part.vertices) // 2
    right = BEN.eyes_part.faces[BEN.eyes_part.faces.max(axis=1) < half]
    left = BEN.eyes_part.faces[BEN.eyes_part.faces.min(axis=1) >= half] - half
    upper = BEN.upper_teeth_part
    parts = {
        "M_Face": (SKIN.vertices, SKIN.faces),
        "M_Teeth": (TEETH.vertices, TEETH.faces),
        "M_GumsTongue": (
            np.concatenate([TONGUE.vertices, TEETH.vertices - np.float32([0, 0.5, 0]), upper.vertices]),
            np.concatenate(
                [
                    TONGUE.faces,
                    TEETH.faces + len(TONGUE.vertices),
                    upper.faces + len(TONGUE.vertices) + len(TEETH.vertices),
                ]
            ),
        ),
        "M_ScleraRight": (BEN.eyes_part.vertices[:half], right),
        "M_IrisLeft": (BEN.eyes_part.vertices[half:], left),
    }
    vertices = np.concatenate([points for points, _ in parts.values()])
    starts = np.cumsum([0, *(len(points) for points, _ in parts.values())])
    write_obj(folder / "neutral.obj", vertices, None)
    with (folder / "neutral.obj").open("a") as file:
        for (name, (_, faces)), start in zip(parts.items(), starts, strict=False):
            file.write(f"usemtl {name}\n" + "".join("f " + " ".join(map(str, row + start + 1)) + "\n" for row in faces))
    opened, still = np.zeros((1, 52), np.float32), np.zeros((1, 16), np.float32)
    opened[0, ARKIT_INDEX["jawOpen"]] = 1
    turn, shift = BEN.jaw_transforms(opened)
    inside = slice(starts[1], starts[2] + len(TONGUE.vertices) + len(TEETH.vertices))
    for path in folder.glob("*.obj"):
        if path.stem != "neutral":
            posed = vertices + np.float32(2e-4)
            if path.stem == "jawOpen":
                posed[: starts[1]] = SKIN.vertices + BEN.skin_shapes[ARKIT_INDEX["jawOpen"]]
                posed[inside] = vertices[inside] @ turn[0].T + shift[0]
            write_obj(path, posed, None)
    rig = open_rig(folder)
    np.testing.assert_allclose(rig.neutral, SKIN.vertices, atol=1e-4)
    lower = np.concatenate([TEETH.vertices, TEETH.vertices - np.float32([0, 0.5, 0])])
    np.testing.assert_allclose(rig.parts["extra_lower_teeth_vertices"], lower, atol=1e-4)
    np.testing.assert_allclose(rig.parts["extra_upper_teeth_vertices"], upper.vertices, atol=1e-4)
    np.testing.assert_allclose(rig.parts["extra_right_eye_vertices"], BEN.eyes_part.vertices[:half], atol=1e-4)
    np.testing.assert_allclose(rig.parts["extra_left_eye_vertices"], BEN.eyes_part.vertices[half:], atol=1e-4)
    assert rig.tongue is not None
    np.testing.assert_allclose(rig.tongue.neutral, TONGUE.vertices, atol=1e-4)
    np.testing.assert_allclose(rig.tongue.pose(opened, still), BEN.tongue(opened, still), atol=1e-3)


def lacks_vertices(folder: Path) -> None:
    write_obj(folder / "jawOpen.obj", SKIN.vertices[:-3], None)


def other_order(folder: Path) -> None:
    write_obj(folder / "jawOpen.obj", SKIN.vertices, SKIN.faces[::-1])


def cut_off(folder: Path) -> None:
    path = folder / "jawOpen.obj"
    path.write_bytes(path.read_bytes()[:5000])


def no_number(folder: Path) -> None:
    (folder / "neutral.obj").write_text("v 0 0 zero\nf 1 1 1\n")


def no_neutral(folder: Path) -> None:
    (folder / "neutral.obj").unlink()


def no_polygons(folder: Path) -> None:
    write_obj(folder / "neutral.obj", SKIN.vertices, None)


def outside(folder: Path) -> None:
    write_obj(folder / "neutral.obj", SKIN.vertices[:100], SKIN.faces)


@pytest.mark.parametrize(
    ("change", "file", "message"),
    [
        (lacks_vertices, "jawOpen.obj", "has 4,449 vertices, and neutral.obj has 4,452\n .*one mesh"),
        (other_order, "jawOpen.obj", "other polygons than neutral.obj, so its vertices are in another order"),
        (cut_off, "jawOpen.obj", "vertices, and neutral.obj has|not a valid OBJ"),
        (no_number, "neutral.obj", "not a valid OBJ file: could not convert"),
        (no_neutral, "", "has no neutral face: it has eyeBlink_L.obj.*\n .*neutral.obj"),
        (no_polygons, "neutral.obj", "holds no polygons"),
        (outside, "neutral.obj", "names a vertex that is not among its 100"),
    ],
)
def test_folders_that_are_wrong(tmp_path: Path, change: Callable[[Path], None], file: str, message: str) -> None:
    folder = obj_folder(tmp_path / "hero")
    change(folder)
    with pytest.raises(UserError, match=message) as caught:
        open_rig(folder)
    assert caught.value.path == folder / file


def test_one_obj_file_is_no_character(tmp_path: Path) -> None:
    write_obj(tmp_path / "neutral.obj", SKIN.vertices, SKIN.faces)
    with pytest.raises(UserError, match=r"names no rig\n .*Give the folder"):
        open_rig(tmp_path / "neutral.obj")


# --- blend shapes of a raw data set -----------------------------------------------------------------------------------


def test_blend_shapes_of_a_data_set(tmp_path: Path) -> None:
    data = tmp_path / "bs_data"
    inside = ShapeSet(names=TONGUE_NAMES, deltas=BEN.tongue_shapes)
    tongue = TongueGeometry(neutral=TONGUE.vertices, faces=TONGUE.faces, shapes=inside)
    shapes = ShapeSet(names=ARKIT_NAMES, deltas=BEN.skin_shapes)
    face = ActorGeometry(neutral=SKIN.vertices, faces=SKIN.faces, shapes=shapes, tongue=tongue)
    write_actor_geometry(tmp_path, face)
    rig = open_rig(data / "bs_skin.npz")
    assert_is_ben(rig, 0)
    assert rig.tongue is not None
    np.testing.assert_array_equal(rig.tongue.deltas, BEN.tongue_shapes)
    np.testing.assert_array_equal(rig.tongue.faces, TONGUE.faces)
    (tmp_path / "geom/skin/faces.npy").unlink()
    with pytest.raises(UserError, match=r"no array faces, and no faces\.npy lies beside it"):
        open_rig(data / "bs_skin.npz")


def test_archives_that_are_no_blend_shapes(tmp_path: Path) -> None:
    path = tmp_path / "x.npz"
    write_npz(path, {"vertices": SKIN.vertices})
    with pytest.raises(UserError, match="has no arrays poseNames and neutral"):
        open_rig(path)
    names = np.array(["neutral", "jawOpen"])
    write_npz(path, {"poseNames": names, "neutral": SKIN.vertices, "jawOpen": SKIN.vertices[:9], "faces": SKIN.faces})
    with pytest.raises(UserError, match=r"array 'jawOpen' has the shape \[9, 3\]"):
        open_rig(path)
    write_npz(path, {"poseNames": names, "neutral": SKIN.vertices[:50], "faces": SKIN.faces})
    with pytest.raises(UserError, match="has 50 vertices, and a polygon names vertex"):
        open_rig(path)


# --- through Blender --------------------------------------------------------------------------------------------------


def stand_in(folder: Path, body: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """A program named blender, whose last two arguments are the file and what it is converted to."""
    program = folder / "blender"
    program.write_text(f"#!{sys.executable}\nimport shutil, sys\nsource, target = sys.argv[-2:]\n{body}\n")
    program.chmod(program.stat().st_mode | stat.S_IXUSR)
    monkeypatch.setenv("PATH", str(folder), prepend=os.pathsep)


def test_blender_converts_fbx(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    made = head_builder().glb(tmp_path / "made.glb")
    stand_in(tmp_path, f"assert '--background' in sys.argv; shutil.copy({str(made)!r}, target)", monkeypatch)
    (tmp_path / "Hero.fbx").write_bytes(b"Kaydara FBX Binary")
    rig = open_rig(tmp_path / "Hero.fbx")
    np.testing.assert_allclose(rig.neutral, SKIN.vertices, atol=1e-5)
    assert (rig.name, rig.source, rig.path) == ("Hero", "Hero.fbx", None)


def test_what_blender_says_is_shown(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    stand_in(tmp_path, "print('Version 6100 unsupported', file=sys.stderr); sys.exit(1)", monkeypatch)
    (tmp_path / "hero.fbx").write_bytes(b"Kaydara")
    with pytest.raises(UserError, match=r"could not convert it \(status 1\):\n  Version 6100 unsupported"):
        open_rig(tmp_path / "hero.fbx")


def test_without_blender_it_says_what_to_do(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    (tmp_path / "hero.fbx").write_bytes(b"Kaydara")
    with pytest.raises(UserError, match=r"read by Blender, which is not installed here\n  Install Blender.*\.glb"):
        open_rig(tmp_path / "hero.fbx")


_FBX = """\
import sys, bpy
bpy.ops.wm.read_factory_settings(use_empty=True)
bpy.ops.import_scene.gltf(filepath=sys.argv[-2])
bpy.ops.export_scene.fbx(filepath=sys.argv[-1])
bpy.ops.wm.save_as_mainfile(filepath=sys.argv[-1].replace(".fbx", ".blend"))
"""


@pytest.mark.slow
def test_fbx_and_blend_files_of_blender_itself(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, blender: str) -> None:
    """Within 0.005 mm: FBX stores shapes in another unit."""
    made = head_builder()
    add_eyes(made)
    add_tongue(made, "Tongue_Up", "tongueUp")
    (tmp_path / "make.py").write_text(_FBX)
    words = [blender, str(tmp_path / "make.py"), str(made.glb(tmp_path / "ben.glb")), str(tmp_path / "ben.fbx")]
    clean = {name: value for name, value in os.environ.items() if not name.startswith("PYTHON")}
    subprocess.run(words, check=True, capture_output=True, env=clean)
    stand_in(tmp_path, f"import os; os.execv({blender!r}, [{blender!r}, *sys.argv[6:]])", monkeypatch)
    expected = open_rig(tmp_path / "ben.glb")
    for suffix in (".fbx", ".blend"):
        rig = open_rig(tmp_path / f"ben{suffix}")
        assert rig.notes == ()
        assert rig.pose_names == expected.pose_names
        np.testing.assert_allclose(rig.neutral, expected.neutral, atol=5e-4)
        np.testing.assert_allclose(rig.deltas, expected.deltas, atol=5e-4)
        assert rig.tongue is not None
        assert rig.tongue.pose_names[8] == "Tongue_Up"
        assert set(rig.parts) == set(expected.parts)
