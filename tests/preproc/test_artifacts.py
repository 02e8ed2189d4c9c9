"""Artifacts: the reference's folders are read, what is not whole is refused, blend shapes are put right."""

from __future__ import annotations

import json
import shutil
import zipfile
from pathlib import Path

import numpy as np
import pytest

from audio2face.dataset import BlendshapeFiles
from audio2face.errors import FileFormatError, UserError
from audio2face.preproc.artifacts import PreprocArtifacts
from audio2face.preproc.blendshapes import copy_blendshapes
from audio2face.preproc.network_data import DataInfo, ShotRow, clips_text, parse_clips


@pytest.fixture
def reference_run(reference_data: Path, tmp_path: Path) -> Path:
    """A copy of a folder that the reference made, to be spoiled."""
    return Path(shutil.copytree(reference_data / "preproc" / "expected", tmp_path / "run"))


def test_the_references_folder_is_read(reference_run: Path) -> None:
    artifacts = PreprocArtifacts.open(reference_run)
    assert artifacts.actor == "ann"
    assert artifacts.skin.matrix.shape == (21, 200, 3)
    assert artifacts.tongue.mean.shape == (60, 3)
    assert artifacts.has_tongue
    assert artifacts.shots[1] == ShotRow("ann", "s2_joy", 95, 30.0, "joy")
    assert list(artifacts.skin_coefficients.members) == [row.shot for row in artifacts.shots]
    assert artifacts.skin_coefficients.read("s2_joy").shape == (95, 21)
    assert artifacts.clips[4] == ("ann", "s2_joy", (0, 94), "aug_v1", "en", "aug/v1/s2_joy.wav", 0)
    assert artifacts.data_info.as_json() == json.loads((reference_run / "deploy/data_info.json").read_text())
    assert artifacts.mean_geometry.shape == (799,)
    assert next(iter(artifacts.network_data.members)) == "shapes_matrix_skin"
    assert artifacts.display is None
    assert artifacts.blendshapes("skin") is None


def test_a_folder_that_is_not_whole_or_of_a_later_version_is_refused(reference_run: Path) -> None:
    version = reference_run / "configs" / "artifacts.json"
    version.parent.mkdir()
    version.write_text('{"schema_version": 2}')
    with pytest.raises(FileFormatError, match="later version"):
        PreprocArtifacts.open(reference_run)
    version.unlink()
    (reference_run / "deploy" / "shots.json").unlink()
    with pytest.raises(UserError, match=r"shots\.json is missing"):
        PreprocArtifacts.open(reference_run)


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("data_info.json", b"[]"),
        ("data_info.json", b'{"num_shapes_skin": "many"}'),
        ("shots.json", b'[["ann", "s1"]]'),
        ("shots.json", b"7"),
        ("clips_template.py", b"import os"),
        ("clips_template.py", b"CLIPS = [open('x')]"),
        ("mean_geometry.npy", b"\x93NUMPY"),
        ("network_data.npz", b"PK"),
    ],
)
def test_damaged_files_are_one_clear_error(reference_run: Path, name: str, content: bytes) -> None:
    (reference_run / "deploy" / name).write_bytes(content)
    artifacts = PreprocArtifacts.open(reference_run)
    member = {"clips_template.py": "clips"}.get(name, name.split(".")[0])
    with pytest.raises(FileFormatError) as caught:
        getattr(artifacts, member)
    assert caught.value.path == reference_run / "deploy" / name


def test_clips_survive_any_voice_name() -> None:
    rows = [ShotRow("ann", "s1", 10, 30.0, "joy"), ShotRow("ann", "s2", 1, 30.0, "joy")]
    clips = parse_clips(clips_text(rows, {'dé"\n😀': ["s2"], "silent": []}))
    assert clips[0] == ("ann", "s1", (0, 9), "ann", "en", "s1.wav", 0)
    assert clips[2] == ("ann", "s2", (0, 0), 'aug_dé"\n😀', "en", 'aug/dé"\n😀/s2.wav', 0)
    assert len(clips) == 3


def test_a_channel_without_extent_is_not_scaled() -> None:
    names = ("shapes_mean_skin", "shapes_mean_tongue", "neutral_jaw")
    data = {name: np.ones((4, 3), np.float32) for name in names} | {"saccade_rot_matrix": np.eye(2, dtype=np.float32)}
    data |= {f"shapes_matrix_{part}": np.zeros((1, 4, 3), np.float32) for part in ("skin", "tongue")}
    info = DataInfo.measure(data, {"eye": 0.5})
    assert info.scale == {"eye": 1.0, "skin": 1.0, "tongue": 1.0, "jaw": 1.0}
    assert DataInfo.from_json(info.as_json()) == info


# --- Blend shapes ------------------------------------------------------------------------------------------------

NEUTRAL = np.random.default_rng(0).normal(0, 10, (30, 3)).astype(np.float32)
DELTA = np.random.default_rng(1).normal(0, 0.1, (30, 3)).astype(np.float32)
GOOD = {
    "poseNames": np.array(["neutral", "jawOpen"], "S"),
    "neutral": NEUTRAL,
    "jawOpen": DELTA,
    "frontalMask": np.arange(5, dtype=np.int32),
    "rig_version": np.array(b"1"),
}


def _copy(folder: Path, arrays: dict[str, np.ndarray], compressed: bool = False) -> tuple[list[str], Path]:
    source = BlendshapeFiles(folder / "in.npz", folder / "in.json")
    target = BlendshapeFiles(folder / "out.npz", folder / "out.json")
    (np.savez_compressed if compressed else np.savez)(source.data, **arrays)
    source.config.write_text('{"blendshape_params": {"numPoses": 1}}')
    notes = copy_blendshapes(source, target)
    assert json.loads(target.config.read_text()) == {"blendshape_params": {"numPoses": 1}}
    return notes, target.data


def test_a_good_set_is_copied_as_it_is(tmp_path: Path) -> None:
    notes, data = _copy(tmp_path, GOOD)
    assert notes == []
    with np.load(data) as found:
        assert found.files == list(GOOD)
        for name in GOOD:
            np.testing.assert_array_equal(found[name], GOOD[name])
            assert found[name].dtype == GOOD[name].dtype


def test_everything_that_the_sdk_would_misread_is_mended(tmp_path: Path) -> None:
    spoilt = {
        "rig_version": np.array("1.0"),
        "frontalMask": np.arange(5),
        "jawOpen": np.asfortranarray((NEUTRAL + DELTA).astype(np.float64)),
        "unlisted": DELTA,
        "poseNames": np.array(["jawOpen"]),
        "neutral": NEUTRAL.astype(np.float64),
    }
    notes, data = _copy(tmp_path, spoilt, compressed=True)
    assert [note.split(":")[0] for note in notes] == [
        "poses were float64",
        "poseNames was unicode",
        'poseNames did not start with "neutral"',
        "poses were in Fortran order",
        "poses held positions",
        "frontalMask was int64",
        "rig_version was not a byte string",
        "arrays were compressed",
        "1 arrays that poseNames does not list were dropped, such as 'unlisted'",
    ]
    with np.load(data) as found:
        assert found.files == ["poseNames", "neutral", "jawOpen", "frontalMask", "rig_version"]
        assert found["poseNames"].tolist() == [b"neutral", b"jawOpen"]
        assert {found[name].dtype for name in ("neutral", "jawOpen")} == {np.dtype(np.float32)}
        assert found["frontalMask"].dtype == np.int32
        assert found["rig_version"].dtype.kind == "S"
        np.testing.assert_allclose(found["jawOpen"], DELTA, atol=1e-5)
    with zipfile.ZipFile(data) as archive:
        assert {entry.compress_type for entry in archive.infolist()} == {zipfile.ZIP_STORED}


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"jawOpen": DELTA[:20]}, "shape"),
        ({"jawOpen": np.full_like(DELTA, np.nan)}, "NaN"),
        ({"poseNames": np.array(["neutral", "jawOpen", "jawOpen"], "S")}, "more than once"),
        ({"poseNames": np.array(["neutral", "gone"], "S")}, "gone"),
        ({"poseNames": np.arange(2)}, "list of names"),
        ({"frontalMask": np.array([30], np.int32)}, "of a mesh of 30"),
    ],
)
def test_inconsistent_artifacts_are_refused(tmp_path: Path, change: dict[str, np.ndarray], message: str) -> None:
    with pytest.raises(UserError, match=message):
        _copy(tmp_path, GOOD | change)
    assert not (tmp_path / "out.npz").exists()


def test_a_solver_config_must_be_strict_json(tmp_path: Path) -> None:
    np.savez(tmp_path / "in.npz", **GOOD)
    (tmp_path / "in.json").write_text('{"blendshape_params": NaN}')
    files = [BlendshapeFiles(tmp_path / f"{name}.npz", tmp_path / f"{name}.json") for name in ("in", "out")]
    with pytest.raises(FileFormatError, match="NaN"):
        copy_blendshapes(*files)
