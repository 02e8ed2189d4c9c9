"""The typed view of a raw dataset: its contents, its messages for user errors, and damaged files."""

from __future__ import annotations

import io
import shutil
import zipfile
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from raw_datasets import Open

from audio2face.dataset import ActorDataset, infer_emotion
from audio2face.errors import FileFormatError, UserError
from audio2face.io.arrays import Archive, read_npy

# fmt: off
EMOTIONS = (
    "neutral", "amazement", "anger", "cheekiness", "disgust", "fear", "grief", "joy", "outofbreath", "pain", "sadness",
)
# fmt: on


def test_one_object_opens_everything(dataset: Path, open_actor: Open) -> None:
    (dataset / "cache" / "skin" / "notes.txt").write_text("")
    (dataset / "cache" / "skin" / "empty").mkdir()
    actor = open_actor(dataset)
    assert actor.shot_names == ("s1_neutral", "s2_joy", "s3_anger", "s4_neutral")
    assert [path.name for path in actor.stray_entries] == ["empty", "notes.txt"]
    shot = actor.shot("s2_joy")
    assert (shot.emotion, shot.audio, actor.fps) == ("joy", dataset / "audio" / "s2_joy.wav", 30.0)
    assert shot.skin().shape == (95, 200, 3)
    tongue, jaw, eyes = shot.tongue(), shot.jaw_deltas(), shot.eye_rotations()
    assert tongue is not None
    assert jaw is not None
    assert eyes is not None
    assert (tongue.shape, jaw.shape, eyes.shape) == ((95, 60, 3), (95, 5, 3), (95, 2, 2))
    assert actor.skin_neutral is not None
    assert actor.skin_neutral.dtype == np.float32
    assert actor.lip_dist is not None
    assert actor.lip_dist.upper.tolist() == [1, 2, 3, 4, 5]
    assert actor.lip_size is not None
    assert actor.lip_size.lower_lip.lower.tolist() == [10, 11, 12]
    assert actor.skin_neutral_inference is None
    assert actor.blendshapes("skin") is None


def test_only_required_data_are_required(dataset: Path, open_actor: Open) -> None:
    for folder in ("geom", "xform", "cache/tongue"):
        shutil.rmtree(dataset / folder)
    actor = open_actor(dataset)
    shot = actor.shot("s1_neutral")
    assert not actor.has_tongue
    assert shot.tongue() is None
    assert shot.jaw_deltas() is None
    assert actor.lip_dist is None


def test_user_errors_name_actor_and_parameter(dataset: Path, open_actor: Open) -> None:
    with pytest.raises(UserError, match=r"CACHE_FPS has no entry for actor 'bob'; it has ann"):
        open_actor(dataset, actor="bob")
    actor = open_actor(dataset)
    with pytest.raises(UserError, match="actor 'ann' has no shot 's9'"):
        actor.shot("s9")
    with pytest.raises(UserError, match="shot name"):
        actor.shot("../s1_neutral")
    (dataset / "geom" / "skin" / "neutral_pose.npy").unlink()
    with pytest.raises(UserError, match=r"neutral_pose\.npy: there is no such \.npy array"):
        _ = actor.skin_neutral


@pytest.mark.parametrize(
    "text",
    [
        '{"upper": [1]}',
        '{"upper": [1], "lower": [2, 3]}',
        '{"upper": [-1], "lower": [1]}',
        "[",
        '{"upper": [true], "lower": [1]}',
    ],
)
def test_vertex_lists_are_checked(dataset: Path, open_actor: Open, text: str) -> None:
    path = dataset / "geom" / "skin" / "lip_dist_vertex_list.json"
    path.write_text(text)
    with pytest.raises(FileFormatError, match="lip_dist_vertex_list"):
        _ = open_actor(dataset).lip_dist


def test_other_voices_match_whole_names(dataset: Path, open_actor: Open) -> None:
    voice = dataset / "audio" / "aug" / "v1"
    shutil.copy(voice / "s2_joy.wav", voice / "s2_joy2.wav")
    voices = open_actor(dataset).augmented_voices
    assert voices == {"v1": {"s2_joy": voice / "s2_joy.wav"}}


@pytest.mark.parametrize(
    ("shot", "vocabulary", "expected"),
    [
        ("cp42_fastneutral", EMOTIONS, "neutral"),
        ("cp10_neutral", EMOTIONS, "neutral"),
        ("cp40_outofbreath", EMOTIONS, "outofbreath"),
        ("enjoyment_1", ("neutral", "joy", "enjoyment"), "enjoyment"),
        ("joyless_sadness", ("joy", "sadness"), "sadness"),
        ("Take3-Joy", ("neutral", "joy"), "joy"),
        ("eg1_shot", EMOTIONS, None),
    ],
)
def test_emotions_are_read_from_names(shot: str, vocabulary: tuple[str, ...], expected: str | None) -> None:
    assert infer_emotion(shot, vocabulary) == expected


def test_every_shot_of_the_sample_keeps_its_emotion() -> None:
    for emotion in EMOTIONS:
        assert infer_emotion(f"cp22_{emotion}", EMOTIONS) == emotion


def test_the_map_goes_before_the_name(dataset: Path, open_actor: Open) -> None:
    actor = open_actor(dataset, SHOT_EMOTION_MAP=[("ann", "s1_neutral", "joy")])
    assert (actor.emotion_of("s1_neutral"), actor.emotion_of("s4_neutral")) == ("joy", "neutral")
    wrong = ActorDataset(actor.actor, actor.fps, actor.paths, actor.emotion_names, {"s2_joy": "bliss"})
    with pytest.raises(UserError, match="'s2_joy' of actor 'ann' the emotion 'bliss'"):
        wrong.emotion_of("s2_joy")


def archive_bytes() -> bytes:
    held = io.BytesIO()
    np.savez_compressed(held, a=np.arange(6, dtype=np.float32), b=np.array(["x"]))
    return held.getvalue()


WHOLE = archive_bytes()


@given(
    cut=st.integers(0, len(WHOLE)),
    flips=st.lists(st.tuples(st.integers(0, len(WHOLE) - 1), st.integers(0, 7)), max_size=3),
)
def test_damaged_archives_raise_the_error_for_files(
    tmp_path_factory: pytest.TempPathFactory, cut: int, flips: list[tuple[int, int]]
) -> None:
    content = bytearray(WHOLE)
    for place, bit in flips:
        content[place] ^= 1 << bit
    path = tmp_path_factory.getbasetemp() / "damaged.npz"
    path.write_bytes(content[:cut] if not flips else content)
    try:
        archive = Archive.open(path)
        arrays = {name: archive.read(name) for name in archive.members}
    except UserError:
        return
    assert all(arrays[name].shape == archive.members[name].shape for name in arrays)


def test_headers_cannot_allocate_memory(tmp_path: Path) -> None:
    header = io.BytesIO()
    np.lib.format.write_array_header_1_0(header, {"descr": "<f4", "fortran_order": False, "shape": (2**30, 2**10, 3)})
    with zipfile.ZipFile(tmp_path / "a.npz", "w") as archive:
        archive.writestr("a.npy", header.getvalue() + b"1234")
    with pytest.raises(FileFormatError, match=r"a\.npz"):
        Archive.open(tmp_path / "a.npz")
    (tmp_path / "a.npy").write_bytes(header.getvalue() + b"1234")
    with pytest.raises(FileFormatError, match=r"a\.npy"):
        read_npy(tmp_path / "a.npy")


def test_objects_are_never_unpickled(tmp_path: Path) -> None:
    np.savez(tmp_path / "a.npz", a=np.array([{}], object))
    archive = Archive.open(tmp_path / "a.npz")
    with pytest.raises(FileFormatError, match="holds Python objects"):
        archive.read("a")
