"""Caches, arrays, tables, weights and sound of a finished face, read back by other means than they were written."""

from __future__ import annotations

import csv
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import soundfile
from faces import bare_face, example_face, tone

from audio2face.errors import UserError
from audio2face.export import FORMATS, Animation, Surface, write_formats, write_sound
from audio2face.geometry import open_cache


@pytest.fixture
def face(tmp_path: Path) -> Animation:
    return example_face(tmp_path)


def rows_of(path: Path) -> list[dict[str, str]]:
    with path.open(newline="") as file:
        return list(csv.DictReader(file))


@pytest.mark.parametrize(("key", "extension"), [("maya", ".xml"), ("pc2", ".pc2"), ("mdd", ".mdd")])
def test_caches_hold_skin_and_tongue(face: Animation, tmp_path: Path, key: str, extension: str) -> None:
    files = FORMATS[key].write(face, tmp_path / "out", "take.1")
    assert [path.name for path in files] == [f"take.1{extension}", f"take.1_tongue{extension}"]
    skin, tongue = (open_cache(path) for path in files)
    assert face.tongue is not None
    np.testing.assert_array_equal(skin[:], face.skin.frames)
    np.testing.assert_array_equal(tongue[:], face.tongue.frames)
    assert skin.fps in (None, pytest.approx(face.fps))


def test_arrays(face: Animation, tmp_path: Path) -> None:
    files = {path.stem: np.load(path) for path in FORMATS["npy"].write(face, tmp_path, "x")}
    assert files.keys() == {"x_skin", "x_tongue", "x_jaw", "x_eyes"}
    np.testing.assert_array_equal(files["x_skin"], face.skin.frames)
    np.testing.assert_array_equal(files["x_jaw"], face.jaw)
    np.testing.assert_array_equal(files["x_eyes"], face.eyes)


def test_the_table_moves_the_jaw_as_the_matrix_does(face: Animation, tmp_path: Path) -> None:
    rows = rows_of(FORMATS["csv"].write(face, tmp_path, "x")[0])
    assert len(rows) == face.num_frames
    frame = 9
    row = {column: float(value) for column, value in rows[frame].items()}
    matrix = np.eye(3)
    for axis in range(3):
        angle = np.radians(row[f"jaw_rotate_{'xyz'[axis]}"])
        one, other = [(1, 2), (2, 0), (0, 1)][axis]
        turn = np.eye(3)
        turn[one, one] = turn[other, other] = np.cos(angle)
        turn[one, other], turn[other, one] = -np.sin(angle), np.sin(angle)
        matrix = turn @ matrix
    np.testing.assert_allclose(matrix, face.jaw[frame, :3, :3], atol=1e-5)
    np.testing.assert_allclose([row["jaw_x"], row["jaw_y"], row["jaw_z"]], face.jaw[frame, :3, 3], atol=1e-5)
    assert row["seconds"] == pytest.approx(frame / face.fps, abs=1e-6)
    assert row["left_eye_yaw"] == pytest.approx(face.eyes[frame, 3], rel=1e-5)
    assert row["emotion_anger"] == pytest.approx(face.emotion[frame, 1], rel=1e-5)
    assert face.skin_weights is not None
    assert row["skin_jawOpen"] == pytest.approx(face.skin_weights.values[frame, 17], rel=1e-5)


@pytest.mark.parametrize(
    ("file", "subtype", "written"),
    [
        ("a.wav", "PCM_16", "PCM_16"),
        ("a.flac", "PCM_24", "FLOAT"),
        ("a.wav", "DOUBLE", "FLOAT"),
        ("a.ogg", None, "PCM_16"),
    ],
)
def test_the_sound_keeps_its_samples(tmp_path: Path, file: str, subtype: str | None, written: str) -> None:
    samples = np.random.default_rng(1).uniform(-0.2, 0.2, (4000, 2))
    soundfile.write(tmp_path / file, samples, 44_100, subtype=subtype)
    out = write_sound(replace(bare_face(), audio=tmp_path / file), tmp_path / "out", "x")
    assert out is not None
    assert (soundfile.info(out).subtype, soundfile.info(out).samplerate) == (written, 44_100)
    np.testing.assert_allclose(soundfile.read(out)[0], soundfile.read(tmp_path / file)[0], atol=2**-15)
    if subtype == "PCM_16":
        np.testing.assert_array_equal(
            soundfile.read(out, dtype="int16")[0], soundfile.read(tmp_path / file, dtype="int16")[0]
        )


def test_a_tongue_without_vertices_is_no_tongue(tmp_path: Path) -> None:
    nothing = Surface(np.zeros((0, 3), np.float32), np.zeros((5, 0, 3), np.float32))
    face = replace(bare_face(), tongue=nothing)
    files = [path for key in ("maya", "npy", "glb", "usd") for path in FORMATS[key].write(face, tmp_path, "x")]
    assert not [path for path in files if "tongue" in path.name]


def test_a_bare_face_and_several_formats(tmp_path: Path) -> None:
    assert write_sound(bare_face(), tmp_path, "x") is None
    files = write_formats(bare_face(), tmp_path, "x", ["pc2", "csv", "pc2"])
    assert [path.name for path in files] == ["x.pc2", "x.csv"]
    with pytest.raises(UserError, match="'fbx' is unknown"):
        write_formats(bare_face(), tmp_path, "x", ["pc2", "fbx"])


def test_a_failure_leaves_no_file(face: Animation, tmp_path: Path) -> None:
    face = replace(face, tongue=replace(face.tongue, frames=face.skin.frames))
    out = tmp_path / "out"
    with pytest.raises(ValueError, match="expected"):
        FORMATS["maya"].write(face, out, "x")
    assert not list(out.iterdir())
    broken = replace(face, audio=tone(tmp_path / "b.wav", 0.1))
    (tmp_path / "b.wav").write_bytes((tmp_path / "b.wav").read_bytes()[:200])
    with pytest.raises(UserError, match="states"):
        write_sound(broken, out, "x")
    assert not list(out.iterdir())
