"""Research data sets of the example actor come back, whatever their form; what is said of bad ones."""

from __future__ import annotations

import pickle
from pathlib import Path

import numpy as np
import pytest
import soundfile
from example_performances import performed
from research_sets import (
    FPS,
    faces,
    head_angles,
    neutral,
    padded,
    skin,
    with_head_motion,
    write_array,
    write_bin,
    write_obj,
    write_ply,
    write_sound,
    write_vl,
    z_up_metres,
)

from audio2face.cli import import_data
from audio2face.config import load
from audio2face.dataset import ActorDataset
from audio2face.errors import UserError
from audio2face.example.head import Head
from audio2face.importers.kinds import Importer, ImportOptions, new_importer
from audio2face.importers.mesh_files import read_mesh
from audio2face.importers.take import Take
from audio2face.types import Float32Array

LAYOUT = """
[takes]
files = "motion/{subject}_{sentence}.npy"
audio = "sound/{subject}_{sentence}.*"
fps = 30

[face]
template = "rest/{subject}.obj"
"""
FEW = 60  # frames of large topologies


def study(folder: Path, *, subject: str = "ada", layout: str = LAYOUT) -> Path:
    """A data set in metres with z upwards, whose head moves."""
    folder.mkdir(exist_ok=True)
    (folder / "layout.toml").write_text(layout)
    write_array(folder / f"motion/{subject}_joy.npy", z_up_metres(with_head_motion(skin())))
    write_obj(folder / f"rest/{subject}.obj", z_up_metres(neutral()))
    write_sound(folder / f"sound/{subject}_joy.wav")
    return folder


def opened(*sources: Path, fps: float | None = None, audio: Path | None = None, **more: str) -> tuple[Importer, Take]:
    importer = new_importer("vertices", ImportOptions(fps=fps, audio=audio, more=more))
    return importer, importer.read(importer.inspect(sources)[0].name)


def skin_of(take: Take) -> Float32Array:
    assert take.meshes is not None
    return np.asarray(take.meshes.skin.read(0, take.num_frames))


def apart_mm(take: Take, truth: Float32Array) -> float:
    return float(10 * np.linalg.norm(skin_of(take) - truth, axis=2).max())


def refused(*sources: Path, fps: float | None = None, **more: str) -> str:
    with pytest.raises(UserError) as caught:
        opened(*sources, fps=fps, **more)
    return str(caught.value)


def test_the_example_actor_comes_back(tmp_path: Path) -> None:
    """Metres with z upwards and a moving head: in place within a thousandth of a millimetre, the head beside it."""
    importer, take = opened(study(tmp_path / "set"))
    assert (take.name, take.emotion, take.fps, take.audio) == ("joy", "joy", FPS, tmp_path / "set/sound/ada_joy.wav")
    assert apart_mm(take, skin()) < 1e-3
    assert take.head is not None
    np.testing.assert_allclose(take.head.angles, head_angles(len(skin())), atol=1e-3)
    assert "z is upwards in the file, the face looks along -y" in take.notes
    assert "its lengths are taken as metres" in take.notes
    np.testing.assert_array_equal(importer.geometry().faces, faces())


def test_lips_lids_and_jaw_are_found_by_the_motion(tmp_path: Path) -> None:
    importer, take = opened(study(tmp_path / "set"))
    actor, head = importer.geometry(), Head.open("ada")
    lips, lids = actor.lists.lip_dist, actor.lists.eye_dist
    assert lips is not None
    assert lids is not None
    assert actor.eye_close is not None
    true = head.lists.lip_dist
    assert true is not None
    middle = neutral()[true.upper].mean(axis=0)
    assert len(lips.upper) == 5
    assert np.abs(neutral()[lips.upper] - middle).max(axis=0)[1:] == pytest.approx([0, 0], abs=0.6)
    gap = skin()[:, lips.upper] - skin()[:, lips.lower]
    truly = skin()[:, true.upper] - skin()[:, true.lower]
    apart = [np.linalg.norm(each, axis=2).mean(axis=1) for each in (gap, truly)]
    assert np.corrcoef(apart[0], apart[1])[0, 1] > 0.95
    assert [neutral()[side, 0].tolist()[0] < 0 < neutral()[side, 0].tolist()[1] for side in (lids.upper, lids.lower)]
    assert take.meshes is not None
    assert take.meshes.jaw is not None
    assert actor.jaw_keypoints is not None
    turn, shift = head.jaw_transforms(performed().weights)
    posed = actor.jaw_keypoints @ turn.transpose(0, 2, 1) + shift[:, None]
    assert 10 * np.abs(take.meshes.jaw - (posed - actor.jaw_keypoints)).max() < 2.5  # mm, of the skin over it


def test_arrays_without_anything_else(tmp_path: Path) -> None:
    """No template, no polygons, no unit: the frame with closed lips is the face at rest."""
    write_array(tmp_path / "joy.npy", skin(), flat=False)
    importer, take = opened(tmp_path, fps=30)
    assert apart_mm(take, skin()) < 1e-3
    actor = importer.geometry()
    assert actor.faces is None
    lips = Head.open("ada").lists.lip_dist
    assert lips is not None
    found, frames = (10 * np.linalg.norm(each[..., lips.upper, :] - each[..., lips.lower, :], axis=-1).mean(axis=-1)
                     for each in (actor.neutral, skin()))  # fmt: skip
    assert found < frames.min() + 0.5
    assert actor.lists.lip_dist is not None
    assert "nothing tells the frames per second" in refused(tmp_path)


def test_archives_offsets_and_given_lists(tmp_path: Path) -> None:
    layout = LAYOUT.replace('.npy"', '.npz"').replace("fps", 'key = "d"\noffsets = true\nunit = "m"\nfps')
    folder = study(tmp_path / "set", layout=layout + 'lists = "lists.json"\n')
    (folder / "lists.json").write_text('{"lip_dist": {"upper": [421], "lower": [536]}}')
    offsets = z_up_metres(with_head_motion(skin())) - z_up_metres(neutral())
    np.savez_compressed(folder / "motion/ada_joy.npz", d=offsets, other=offsets[:, :, 0])
    importer, take = opened(folder)
    assert apart_mm(take, skin()) < 2e-3
    assert importer.geometry().lists.to_json()["lip_dist"] == {"upper": [421], "lower": [536]}
    assert "--layout" not in refused(folder, subject="bob")
    assert "has no subject 'bob': its subjects are ada" in refused(folder, subject="bob")


def vocaset(folder: Path) -> None:
    for subject in ("FaceTalk_170725_00137_TA", "FaceTalk_170728_03272_TA"):
        write_array(folder / f"vertices_npy/{subject}_sentence01.npy", padded(skin() / 100, 5023))
        write_array(folder / f"templates/{subject}.npy", padded(neutral() / 100, 5023), flat=False)
        write_sound(folder / f"wav/{subject}_sentence01.wav")
    write_ply(folder / "templates/FLAME_sample.ply", padded(neutral() / 100, 5023))


def biwi(folder: Path) -> None:
    for number, frame in enumerate(skin()[:FEW], 1):
        write_vl(folder / f"faces/F1/e01/frame_{number:03d}.vl", frame)
    write_obj(folder / "rigid_scans/F1.obj", neutral())
    write_sound(folder / "audio/F1/e01.wav")


def biwi_arrays(folder: Path) -> None:
    write_array(folder / "vertices_npy/F1_e01.npy", padded(skin()[:FEW] / 30, 23370))
    write_obj(folder / "rigid_scans/F1.obj", padded(neutral(), 23370))
    write_sound(folder / "wav/F1_e01.wav")


def multiface(folder: Path) -> None:
    entity = folder / "m--20180227--0000--6795937--GHS"
    for number, frame in enumerate(skin()[:FEW]):
        write_bin(entity / f"tracked_mesh/SEN_hello/{102 + 3 * number:06d}.bin", padded(10 * frame, 7306))
        (entity / f"tracked_mesh/SEN_hello/{102 + 3 * number:06d}_transform.txt").write_text("1 0 0 0")
    write_obj(entity / "tracked_mesh/SEN_hello/000102.obj", padded(10 * neutral(), 7306))
    write_sound(entity / "audio/SEN_hello.wav")


def coma(folder: Path) -> None:
    for number, frame in enumerate(skin()[:FEW], 1):
        write_ply(folder / f"FaceTalk_1/bareteeth/bareteeth.{number:06d}.ply", padded(frame / 100, 5023))


@pytest.mark.parametrize(
    ("layout", "write", "fps", "subject"),
    [
        ("vocaset", vocaset, 60, "FaceTalk_170728_03272_TA"),
        ("biwi", biwi, 25, "F1"),
        ("biwi_arrays", biwi_arrays, 25, "F1"),
        ("multiface", multiface, 30, "m--20180227--0000--6795937--GHS"),
        ("coma", coma, 60, "FaceTalk_1"),
    ],
)
def test_ready_layouts(tmp_path: Path, layout: str, write: object, fps: int, subject: str) -> None:
    assert callable(write)
    write(tmp_path)
    importer, take = opened(tmp_path, layout=layout, subject=subject)
    assert (take.fps, take.audio is None) == (fps, layout == "coma")
    actor, found = importer.geometry(), skin_of(take)
    known = len(neutral())
    assert actor.faces is not None
    if layout != "biwi_arrays":  # whose unit is found by the size of the face only
        assert 10 * np.abs(found[:, :known] - skin()[: len(found)]).max() < 1e-3
    width = np.ptp(found[0, :known, 0])
    assert width == pytest.approx(np.ptp(skin()[0, :, 0]), rel=1e-3 if layout != "biwi_arrays" else 0.7)


def test_one_subject_must_be_chosen(tmp_path: Path) -> None:
    vocaset(tmp_path)
    assert "holds 2 subjects: FaceTalk_170725_00137_TA" in refused(tmp_path, layout="vocaset")


def test_the_folder_of_one_subject_will_do(tmp_path: Path) -> None:
    multiface(tmp_path)
    (entity,) = tmp_path.iterdir()
    _, take = opened(entity, layout="multiface")
    assert (take.name, take.num_frames, take.audio) == ("hello", FEW, entity / "audio/SEN_hello.wav")


def test_frames_without_a_file_are_lost_and_interpolated(tmp_path: Path) -> None:
    multiface(tmp_path)
    (entity,) = tmp_path.iterdir()
    (entity / f"tracked_mesh/SEN_hello/{102 + 30:06d}.bin").unlink()
    _, take = opened(tmp_path, layout="multiface")
    assert np.flatnonzero(take.lost).tolist() == [10]
    between = (skin()[9] + skin()[11]) / 2
    assert 10 * np.abs(skin_of(take)[10][: len(between)] - between).max() < 1e-3


@pytest.mark.parametrize("encoding", ["ascii", "binary_little_endian", "binary_big_endian"])
def test_ply_in_its_encodings(tmp_path: Path, encoding: str) -> None:
    write_ply(tmp_path / "a.ply", neutral(), encoding)
    mesh = read_mesh(tmp_path / "a.ply")
    np.testing.assert_allclose(mesh.vertices, neutral(), atol=1e-6)
    np.testing.assert_array_equal(mesh.faces, faces())
    whole = (tmp_path / "a.ply").read_bytes()
    for size in (2, 60, len(whole) // 2, len(whole) - 30):
        (tmp_path / "a.ply").write_bytes(whole[:size])
        with pytest.raises(UserError, match=r"a\.ply"):
            read_mesh(tmp_path / "a.ply")


def test_bad_input(tmp_path: Path) -> None:
    folder = study(tmp_path / "set")
    array = folder / "motion/ada_joy.npy"
    whole = array.read_bytes()
    array.write_bytes(whole[: len(whole) // 2])
    assert "ada_joy.npy" in refused(folder)
    write_array(array, skin()[:, :-5])
    assert f"has {len(neutral()) - 5:,} vertices, and its template or layout has {len(neutral()):,}" in refused(folder)
    write_array(array, np.repeat(skin()[:1], 40, axis=0))
    assert "do not move as a speaking face does" in refused(folder)
    write_array(array, np.where(np.arange(len(skin()))[:, None, None] == 33, np.nan, skin()))
    assert "NaN, infinity" in refused(folder)
    for frame, value in ((33, 1e30), (71, 0.0)):  # a damaged number, and a part of the file that was lost
        whole = skin().copy()
        whole[frame, 5 if value else slice(None)] = value
        write_array(array, whole)
        assert "far from everything else, or all in one place" in refused(folder)
    np.save(array, np.zeros((4, 7), np.float32))
    assert "which are no frames of vertices" in refused(folder)
    (folder / "rest/ada.obj").unlink()
    assert "the template of its layout is missing" in refused(folder)
    (folder / "layout.toml").write_text("[takes]\nfile = 'a'\n")
    assert "has a key that no layout has: takes.file" in refused(folder)
    assert "there is no such layout" in refused(folder, layout="nothing")
    (tmp_path / "empty").mkdir()
    assert "holds no arrays" in refused(tmp_path / "empty")


def test_no_pickle_is_loaded(tmp_path: Path) -> None:
    path = tmp_path / "templates.pkl"
    path.write_bytes(pickle.dumps({"a": 1}))
    assert "is a pickle, which holds Python objects" in refused(path)
    assert "its content is in pickles: templates.pkl" in refused(tmp_path, layout="vocaset")


def test_the_command_writes_a_data_set_in_step(tmp_path: Path, home: Path) -> None:
    study(tmp_path / "set")
    assert import_data.main(["vertices", str(tmp_path / "set"), "--name", "mary"]) == 0
    dataset = ActorDataset.open("mary", load("mary", stage="check").dataset)
    shot = dataset.shot(dataset.shot_names[0])
    cache = shot.skin()
    assert 10 * np.abs(cache.read(0, cache.num_frames) - skin()[: cache.num_frames]).max() < 1e-3
    written, samplerate = soundfile.read(shot.audio, dtype="float32")
    lead = round(0.5 / FPS * samplerate)  # frame 0 is at the middle of its interval
    count = min(len(written) - lead, len(performed().samples))
    np.testing.assert_allclose(written[lead : lead + count], performed().samples[:count], atol=2**-15)
    assert (home / "datasets/mary/xform/head_motion_all.npz").is_file()


def test_a_missing_recording_leaves_nothing(tmp_path: Path, home: Path) -> None:
    study(tmp_path / "set")
    (tmp_path / "set/sound/ada_joy.wav").unlink()
    with pytest.raises(UserError, match="no take has a recording"):
        import_data.main(["vertices", str(tmp_path / "set"), "--name", "mary"])
    assert not (home / "datasets").exists()
