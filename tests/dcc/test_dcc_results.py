"""The way back: files of stage 4 are read without this framework, and placed where a face stands in a scene."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import numpy as np
import pytest
from a2f_dcc import SceneError
from a2f_dcc.arguments import import_options
from a2f_dcc.placing import find_placement
from a2f_dcc.results import (
    Cache,
    curves_of_shapes,
    eye_motion,
    find_result,
    jaw_motion,
    one_rate,
    open_cache,
    read_curves,
)

from audio2face.animation.animation import Animation, BlendWeights, Surface
from audio2face.dataset.arkit_names import ARKIT_INDEX, ARKIT_NAMES
from audio2face.example.head import Head
from audio2face.outputs import write_outputs

FPS, FRAMES = 25.0, 40


@pytest.fixture(scope="module")
def head() -> Head:
    return Head.open("ada")


@pytest.fixture(scope="module")
def weights() -> np.ndarray:
    values = np.zeros((FRAMES, 52), np.float32)
    values[:, ARKIT_INDEX["jawOpen"]] = 0.5 + 0.5 * np.sin(np.arange(FRAMES))
    values[:, ARKIT_INDEX["eyeBlinkLeft"]] = np.linspace(0, 1, FRAMES)
    return values


@pytest.fixture(scope="module")
def folder(head: Head, weights: np.ndarray, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An animation as stage 4 writes it."""
    jaw = np.tile(np.eye(4, dtype=np.float32), (FRAMES, 1, 1))
    jaw[:, :3, :3], jaw[:, :3, 3] = head.jaw_transforms(weights)
    eyes = np.random.default_rng(0).uniform(-9, 9, (FRAMES, 4)).astype(np.float32)
    animation = make_animation(head, weights, jaw, eyes)
    path = tmp_path_factory.mktemp("result") / "speech"
    write_outputs(animation, path, "speech_ada", ["mdd", "pc2", "csv", "arkit", "npy"])
    return path


def make_animation(head: Head, weights: np.ndarray, jaw: np.ndarray, eyes: np.ndarray) -> Animation:
    skin = head.skin_part
    return Animation(
        actor="ada",
        fps=FPS,
        skin=Surface(skin.vertices, head.skin(weights), skin.faces),
        tongue=None,
        jaw=jaw,
        eyes=eyes,
        emotion=np.zeros((FRAMES, 0), np.float32),
        skin_weights=BlendWeights(ARKIT_NAMES, weights, skin.vertices, head.skin_shapes),
        facts={"fps": FPS},
    )


def test_the_folder_of_an_animation_is_understood(folder: Path) -> None:
    result = find_result(folder)
    assert (result.name, result.fps, result.tongue, result.sound) == ("speech", FPS, None, None)
    assert result.skin is not None
    assert result.weights is not None
    assert result.table is not None
    named = [path.name for path in (result.skin, result.weights, result.table)]
    assert named == ["speech_ada.mdd", "speech_ada_arkit.json", "speech_ada.csv"]
    with pytest.raises(SceneError, match=r"is no folder of an animation: animation\.json is missing"):
        find_result(folder.parent)


@pytest.mark.parametrize(("ending", "fps"), [("mdd", FPS), ("pc2", None)])
def test_caches_are_read(ending: str, fps: float | None, folder: Path, tmp_path: Path) -> None:
    path = folder / f"speech_ada.{ending}"
    cache = open_cache(path)
    np.testing.assert_array_equal(cache.frames, np.load(folder / "speech_ada_skin.npy"))
    assert cache.fps == (None if fps is None else pytest.approx(fps, rel=1e-6))
    cut = tmp_path / path.name
    cut.write_bytes(path.read_bytes()[:-4])
    with pytest.raises(SceneError, match=r"is no complete \.mdd or \.pc2 file"):
        open_cache(cut)
    shutil.copy(folder / "speech_ada_skin.npy", cut)
    with pytest.raises(SceneError, match="is no complete"):
        open_cache(cut)


@pytest.mark.parametrize("name", ["speech_ada_arkit.json", "speech_ada_arkit.csv", "speech_ada.csv"])
def test_weights_reach_the_shapes_that_spell_them_otherwise(name: str, folder: Path, weights: np.ndarray) -> None:
    curves = read_curves(folder / name)
    assert curves.fps == pytest.approx(FPS, rel=1e-5)
    shapes = ["Jaw_Open", "eyeBlink_L", "eyeBlinkRight", "Smile", "browInnerUp"]
    found = curves_of_shapes(curves, shapes)
    assert found.keys() == {"Jaw_Open", "eyeBlink_L", "eyeBlinkRight", "browInnerUp"}
    np.testing.assert_allclose(found["Jaw_Open"], weights[:, ARKIT_INDEX["jawOpen"]], atol=1e-6)
    np.testing.assert_allclose(found["eyeBlink_L"], weights[:, ARKIT_INDEX["eyeBlinkLeft"]], atol=1e-6)


def test_jaw_and_eyes_are_those_of_the_arrays(folder: Path) -> None:
    table = read_curves(folder / "speech_ada.csv")
    np.testing.assert_allclose(jaw_motion(table), np.load(folder / "speech_ada_jaw.npy"), atol=2e-5)
    pitch, yaw = np.radians(np.load(folder / "speech_ada_eyes.npy")[:, 2:]).T
    gaze = np.stack([np.sin(yaw) * np.cos(pitch), -np.sin(pitch), np.cos(yaw) * np.cos(pitch)], axis=1)
    np.testing.assert_allclose(eye_motion(table, "left_eye")[:, :, 2], gaze, atol=1e-5)


@pytest.mark.parametrize(
    ("name", "content", "said"),
    [
        ("a.json", json.dumps({"facsNames": ["jawOpen"], "exportFps": 30, "weightMat": [[0, 1]]}), "another length"),
        ("a.json", "{}", "holds no table of weights"),
        ("a.csv", "seconds,skin_jawOpen\n0,x\n", "holds no table of weights"),
        ("a.csv", "", "holds no table of weights"),
    ],
)
def test_what_is_no_table_is_refused(name: str, content: str, said: str, tmp_path: Path) -> None:
    (tmp_path / name).write_text(content)
    with pytest.raises(SceneError, match=said):
        read_curves(tmp_path / name)


def test_rates_that_differ_are_refused() -> None:
    assert one_rate({"a": None, "b": 23.976, "c": 24 / 1.001}) == 23.976
    with pytest.raises(SceneError, match="different frame rates: a 24, b 30"):
        one_rate({"a": 24.0, "b": 30.0})
    with pytest.raises(SceneError, match="no file tells the frame rate"):
        one_rate({"a": None})


def test_an_animation_is_placed_where_the_head_stands(head: Head, weights: np.ndarray) -> None:
    """A scene of inches with z up, whose face looks to +y."""
    frames = head.skin(weights)
    axes = np.array([[-1.0, 0, 0], [0, 0, 1], [0, 1, 0]]) / 2.54
    rest = head.skin_part.vertices @ axes.T + [3.0, -4.0, 65.0]
    said: list[str] = []
    up = np.array([0.0, 0.0, 1.0])
    placement = find_placement(rest, Cache(frames, FPS), up, 2.54, "Head", said.append)
    np.testing.assert_allclose(placement[:3, :3], axes, atol=1e-9)
    np.testing.assert_allclose(placement[:3, 3], [3.0, -4.0, 65.0], atol=1e-3)
    assert "165" in said[0]
    with pytest.raises(SceneError, match=r"the animation has 4452 vertices, 'Head' has 4451"):
        find_placement(rest[1:], Cache(frames, FPS), up, 2.54, "Head", said.append)
    with pytest.raises(SceneError, match=r"differ by .* cm on average in every direction\n.*taken for 100 cm"):
        find_placement(rest, Cache(frames, FPS), up, 100.0, "Head", said.append)


def test_the_way_back_needs_an_animation(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        import_options("blender_import.py", ["--skin", "Head"])
    assert "give --result FOLDER, or --weights FILE" in capsys.readouterr().err
