"""The export of a scene without a program: time, space, jaw, lists, and what is refused."""

from __future__ import annotations

import struct
from pathlib import Path

import numpy as np
import pytest
import soundfile
from a2f_dcc import SceneError
from a2f_dcc.arguments import export_options
from a2f_dcc.dataset import polygons
from a2f_dcc.export_scene import export
from a2f_dcc.regions import match_names as match_in_scene
from a2f_dcc.scene import ExportOptions, Mesh, Report
from a2f_dcc.shots import find_shots
from a2f_dcc.sound import cut_wav
from a2f_dcc.space import eye_angles, find_front, new_space
from stand_in import FPS, LAST, StandIn

from audio2face.dataset.arkit_names import ARKIT_NAMES, match_names
from audio2face.dataset.discovery import find_actors
from audio2face.example.gaze import BLINK_KEYS
from audio2face.geometry import open_cache

RATE = 16_000
HALF = 0.5 / FPS


@pytest.fixture
def recording(tmp_path: Path) -> Path:
    """A WAV file from frame 1 on, whose samples tell their own number."""
    path = tmp_path / "take.wav"
    soundfile.write(path, np.arange(int((LAST + 1) / FPS * RATE), dtype=np.int16), RATE)
    return path


def options(tmp_path: Path, *more: str) -> ExportOptions:
    words = "--actor mary --skin Head --tongue Tongue --lower-teeth Teeth --jaw Rig:jaw --head Rig:skull"
    return export_options("export", [*words.split(), "--out", str(tmp_path / "data/mary"), *more])


def test_a_scene_becomes_a_data_set(tmp_path: Path, recording: Path) -> None:
    scene, report = StandIn(recording), Report(lambda _: None)
    export(scene, options(tmp_path), report)
    assert report.warnings == []
    (found,) = find_actors(tmp_path / "data")
    assert found.shots == ("s001_joy", "s002_neutral")
    assert found.rate == pytest.approx(FPS, abs=1e-9)  # not 24
    assert found.missing.keys() <= {
        "SKIN_LIP_SIZE_VERTEX_LIST_FPATH",
        "EYE_ANIM_DATA_FPATH",
        "EYE_SACCADE_ROTATIONS_FPATH",
        "BLENDSHAPE_TONGUE_FPATH",
        "BLENDSHAPE_TONGUE_CONFIG_FPATH",
    }
    folder = tmp_path / "data/mary"
    for shot, first, count in (("s001_joy", 3, 18), ("s002_neutral", 21, 14)):
        cache = open_cache(folder / f"cache/skin/{shot}/{shot}.mdd")
        weights = np.stack([scene.weights(first + i) for i in range(count)])
        np.testing.assert_allclose(cache[:], scene.head.skin(weights), atol=1e-4)
        points = np.load(folder / "xform/jaw_keypoints_neutral.npy")
        jaw = np.load(folder / "xform/jaw_keypoints_cache_all.npz")[shot]
        np.testing.assert_allclose(jaw, scene.head._with_jaw(weights, points) - points, atol=1e-4)
        samples, rate = soundfile.read(folder / f"audio/{shot}.wav", dtype="int16")
        # Frame `first` is at (first - 1) / fps of the recording, and at half a frame of the shot's.
        assert samples[RATE // 10] == round(((first - 1) / FPS - HALF) * RATE) + RATE // 10
        assert (len(samples), rate) == (round(count / FPS * RATE), RATE)
    np.testing.assert_allclose(np.load(folder / "geom/skin/neutral_pose.npy"), scene.head.skin_part.vertices, atol=1e-5)
    shapes = np.load(folder / "bs_data/bs_skin.npz")
    np.testing.assert_allclose(shapes["face|jawOpen"], scene.head.skin_shapes[17], atol=1e-5)
    assert np.load(folder / "xform/eye_blink_keys.npy") == pytest.approx(BLINK_KEYS)
    assert "+x" in (folder / "about.md").read_text()


@pytest.mark.parametrize(
    ("change", "words", "said"),
    [
        ("lose vertices", [], r"'Head' has 4451 vertices .* in frame 25 of shot 's002_neutral'.*\n.*Cut \(decimate\)"),
        ("", ["--tongue", "Tung"], r"no tongue 'Tung'\n.*Head, Teeth, Tongue"),
        ("", ["--jaw", "Rig:jow", "--head", "Rig:scull"], r"no jaw 'Rig:jow'; no head 'Rig:scull'"),
        ("no sound", [], r"no sound lies in the frames of the shots"),
        ("", ["--scale", "0.05"], r"is 2.\d+ cm high .*\n.*--scale 0\.4\d\b"),
        ("", ["--shots", "s1=5-5"], r"shot 's1' has 1 frames"),
        ("", ["--shots", "s1=5-9", "S1=11-19"], r"several shots are called 's1'"),
        ("", ["--front", "z"], r"cannot look to z: that is up or down"),
        ("", ["--neutral", "first"], r"'first' is no frame"),
    ],
)
def test_what_is_refused_leaves_nothing(
    change: str, words: list[str], said: str, tmp_path: Path, recording: Path
) -> None:
    scene = StandIn(None if change == "no sound" else recording)
    scene.lost_vertices = {25} if change == "lose vertices" else set()
    with pytest.raises(SceneError, match=said):
        export(scene, options(tmp_path, *words), Report(lambda _: None))
    folder = tmp_path / "data"
    assert not folder.exists() or list(folder.iterdir()) == []


def test_shapes_are_turned_as_the_head_is_in_the_neutral_frame(tmp_path: Path, recording: Path) -> None:
    scene = StandIn(recording)
    export(scene, options(tmp_path, "--neutral", "8"), Report(lambda _: None))
    scene.frame = 8
    turned = scene.head.skin_shapes[17] @ scene.nod()[:3, :3].T
    shapes = np.load(tmp_path / "data/mary/bs_data/bs_skin.npz")
    np.testing.assert_allclose(shapes["face|jawOpen"], turned, atol=1e-5)
    assert np.abs(turned - scene.head.skin_shapes[17]).max() > 0.1


def test_a_face_that_does_not_move_is_warned_of(tmp_path: Path, recording: Path) -> None:
    scene, report = StandIn(recording), Report(lambda _: None)
    scene.is_still = True
    export(scene, options(tmp_path), report)
    assert sum("does not move in shot" in text for text in report.warnings) == 2
    assert any("'Rig:jaw' does not move" in text for text in report.warnings)


def test_a_head_that_moves_is_warned_of(tmp_path: Path, recording: Path) -> None:
    report = Report(lambda _: None)
    words = ["--actor", "mary", "--skin", "Head", "--out"]
    export(StandIn(recording), export_options("export", [*words, str(tmp_path / "data/mary")]), report)
    assert any("has to be stabilised: name the bone of the skull with --head" in text for text in report.warnings)


def test_shots_are_added_to_a_data_set_of_the_same_mesh_and_rate(tmp_path: Path, recording: Path) -> None:
    export(StandIn(recording), options(tmp_path, "--shots", "a=1-9"), Report(lambda _: None))
    with pytest.raises(SceneError, match="holds files already"):
        export(StandIn(recording), options(tmp_path, "--shots", "b=10-19"), Report(lambda _: None))
    other = StandIn(recording)
    other.fps = 25.0
    with pytest.raises(SceneError, match=r"the scene has 25 frames per second, the data set in .* 23\.976"):
        export(other, options(tmp_path, "--shots", "b=10-19", "--add"), Report(lambda _: None))
    export(StandIn(recording), options(tmp_path, "--shots", "b=10-19", "--add"), Report(lambda _: None))
    folder = tmp_path / "data/mary"
    assert sorted(np.load(folder / "xform/jaw_keypoints_cache_all.npz").files) == ["a", "b"]
    assert sorted(path.name for path in (folder / "cache/skin").iterdir()) == ["a", "b"]
    assert sorted(path.name for path in (tmp_path / "data").iterdir()) == ["mary"]


def test_markers_begin_shots_and_end_ends_them() -> None:
    marks = [(50, "s 2/joy"), (10, "s1"), (30, "End"), (70, "s2.end"), (200, "outside")]
    found = find_shots(["markers"], marks, (1, 100), "mary")
    assert [(shot.name, shot.first, shot.last) for shot in found] == [("s1", 10, 29), ("s_2_joy", 50, 69)]
    assert find_shots(["markers"], [(90, "late")], (1, 100), "mary")[0].last == 100
    with pytest.raises(SceneError, match="no marker lies in the scene's range, frames 1 to 100"):
        find_shots(["markers"], [(200, "outside")], (1, 100), "mary")


@pytest.mark.parametrize(("front", "vector"), [("-y", (0, -1, 0)), ("x", (1, 0, 0)), ("+y", (0, 1, 0))])
def test_the_face_looks_to_z_with_y_up_and_is_not_mirrored(front: str, vector: tuple[int, ...]) -> None:
    space = new_space(np.array([0.0, 0.0, 1.0]), front, 100.0)
    np.testing.assert_allclose(space.points(np.array([vector, (0, 0, 1)], float)), [[0, 0, 100], [0, 100, 0]])
    assert np.linalg.det(space.matrix) == pytest.approx(1e6)
    up = np.array([0.0, 0.0, 1.0])
    assert new_space(up, str(find_front(up, np.zeros(3), np.array(vector, float))), 100.0).front[-1] == front[-1]


def test_an_axis_is_no_option(tmp_path: Path) -> None:
    assert options(tmp_path, "--front", "-y", "--add").front == "-y"
    assert options(tmp_path, "--front=+x").front == "+x"


def test_angles_of_eyes_are_those_of_the_data_set() -> None:
    pitch, yaw = np.radians([10.0, -25.0])
    down = np.array([[1, 0, 0], [0, np.cos(pitch), -np.sin(pitch)], [0, np.sin(pitch), np.cos(pitch)]])
    left = np.array([[np.cos(yaw), 0, np.sin(yaw)], [0, 1, 0], [-np.sin(yaw), 0, np.cos(yaw)]])
    assert eye_angles(left @ down) == pytest.approx((10.0, -25.0))


def test_polygons_of_any_size_become_rows() -> None:
    mesh = Mesh(np.zeros((7, 3)), np.array([0, 1, 2, 0, 1, 2, 3, 0, 1, 2, 3, 4]), np.array([3, 4, 5]))
    rows = polygons(mesh).tolist()
    assert rows == [[0, 1, 2, 3], [0, 1, 2, -1], [0, 1, 2, -1], [0, 2, 3, -1], [0, 3, 4, -1]]


@pytest.mark.parametrize("subtype", ["PCM_U8", "PCM_16", "PCM_24", "FLOAT"])
def test_a_cut_is_exact_and_silent_outside(subtype: str, tmp_path: Path) -> None:
    samples = np.round(np.random.default_rng(0).uniform(-0.9, 0.9, (1000, 2)) * 64) / 64
    soundfile.write(tmp_path / "a.wav", samples, 8000, subtype=subtype)
    cut_wav(tmp_path / "a.wav", tmp_path / "b.wav", -0.01, 0.145)
    cut, rate = soundfile.read(tmp_path / "b.wav")
    np.testing.assert_array_equal(cut, np.concatenate([np.zeros((80, 2)), samples, np.zeros((80, 2))]))
    assert (rate, soundfile.info(tmp_path / "b.wav").subtype) == (8000, subtype)


@pytest.mark.parametrize(
    ("content", "said"),
    [(b"ID3" + bytes(40), "is not a WAV file"), (b"RIFF\4\0\0\0WAVE", "holds no sound"), (None, "cannot be read")],
)
def test_what_is_no_wav_is_refused(content: bytes | None, said: str, tmp_path: Path) -> None:
    if content is not None:
        (tmp_path / "a.wav").write_bytes(content)
    with pytest.raises(SceneError, match=said):
        cut_wav(tmp_path / "a.wav", tmp_path / "b.wav", 0, 1)
    form = struct.pack("<HHIIHH", 85, 1, 8000, 1000, 1, 0)  # MP3 in WAV
    (tmp_path / "c.wav").write_bytes(b"RIFF\x28\0\0\0WAVEfmt \x10\0\0\0" + form + b"data\4\0\0\0abcd")
    with pytest.raises(SceneError, match="compressed sound"):
        cut_wav(tmp_path / "c.wav", tmp_path / "b.wav", 0, 1)


def test_names_match_as_in_the_framework() -> None:
    habits = ["jawOpen", "head.browDownLeft", "EYEBLINKLEFT", "eyeBlink_R", "L_browInnerUp", "mouth_smile_l.001"]
    habits += ["blendShape1|mouthFunnel", "left_cheek_squint", "noseSneer_R2", "Basis", "smile", "CC_Jaw-Open", "R"]
    assert match_in_scene(habits, ARKIT_NAMES) == match_names(habits).columns
