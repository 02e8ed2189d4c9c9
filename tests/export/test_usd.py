"""The USD files, evaluated and judged by USD itself: its skinning, its transforms, its validators."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from faces import bare_face, example_face, without_weights
from pxr import Gf, Usd, UsdGeom, UsdMedia, UsdSkel, UsdValidation

from audio2face.example.head import Head
from audio2face.export import Animation, write_formats

FRAMES = (0, 11, 23)


@pytest.fixture(scope="module")
def face(tmp_path_factory: pytest.TempPathFactory) -> Animation:
    return example_face(tmp_path_factory.mktemp("face"))


def points_at(stage: Usd.Stage, path: str, frame: int) -> np.ndarray:
    """World positions `[verts, 3]` of a mesh."""
    mesh = UsdGeom.PointBased(stage.GetPrimAtPath(path))
    world = UsdGeom.XformCache(frame).GetLocalToWorldTransform(mesh.GetPrim())
    return np.array([world.Transform(Gf.Vec3d(*point)) for point in np.array(mesh.GetPointsAttr().Get(frame)).tolist()])


def expected(face: Animation, frame: int) -> dict[str, np.ndarray]:
    assert face.tongue is not None
    eyes = Head.open("ada").eyes(face.eyes[frame].reshape(1, 2, 2))[0]
    teeth = face.parts["extra_lower_teeth_vertices"] @ face.jaw[frame, :3, :3].T + face.jaw[frame, :3, 3]
    half = len(eyes) // 2
    return {
        "skin": face.skin.frames[frame],
        "tongue": face.tongue.frames[frame],
        "jaw/lower_teeth": teeth,
        "right_eye/right_eye_mesh": eyes[:half],
        "left_eye/left_eye_mesh": eyes[half:],
        "upper_teeth": face.parts["extra_upper_teeth_vertices"],
    }


def test_positions_transforms_units_and_sound(face: Animation, tmp_path: Path) -> None:
    frames_file, _, sound = write_formats(face, tmp_path, "x.y", ["usd"])
    stage = Usd.Stage.Open(str(frames_file))
    assert UsdGeom.GetStageUpAxis(stage) == "Y"
    assert UsdGeom.GetStageMetersPerUnit(stage) == 0.01
    assert (stage.GetTimeCodesPerSecond(), stage.GetEndTimeCode()) == (face.fps, face.num_frames - 1)
    for frame in FRAMES:
        for part, points in expected(face, frame).items():
            np.testing.assert_allclose(points_at(stage, f"/ada/{part}", frame), points, atol=1e-4, err_msg=part)
    audio = UsdMedia.SpatialAudio(stage.GetPrimAtPath("/ada/sound"))
    assert Path(audio.GetFilePathAttr().Get().resolvedPath) == sound


@pytest.mark.parametrize("solved", [True, False], ids=["blend shapes", "principal shapes"])
def test_the_character_moves_alike(face: Animation, tmp_path: Path, solved: bool) -> None:
    _, character, _ = write_formats(face if solved else without_weights(face), tmp_path, "x", ["usd"])
    stage = Usd.Stage.Open(str(character))
    assert UsdSkel.BakeSkinning(UsdSkel.Root(stage.GetPrimAtPath("/ada")), Gf.Interval(0, face.num_frames))
    for frame in FRAMES:
        for part, points in expected(face, frame).items():
            path = f"/ada/{part.rpartition('/')[2]}"
            np.testing.assert_allclose(points_at(stage, path, frame), points, atol=0.01, err_msg=part)


def test_its_own_validators_find_nothing(face: Animation, tmp_path: Path) -> None:
    files = write_formats(face, tmp_path, "x", ["usd"])[:2]
    files += write_formats(bare_face(), tmp_path, "bare", ["usd"])
    assert [file.name for file in files] == ["x.usdc", "x_blendshapes.usdc", "bare.usdc"]
    registry = UsdValidation.ValidationRegistry()
    for file in files:
        context = UsdValidation.ValidationContext(registry.GetOrLoadAllValidators())
        errors = context.Validate(Usd.Stage.Open(str(file)))
        assert not [f"{error.GetName()}: {error.GetMessage()}" for error in errors]
