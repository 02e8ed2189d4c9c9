"""Sources of the training data, and the shots and clips made of them."""

from __future__ import annotations

import json
import logging
import re
from pathlib import Path

import numpy as np
import pytest
import soundfile
from small_actor import EVERY_SHOT, RUN, Configure, add_run

from audio2face.config import Configuration, Roots
from audio2face.dataset.shots import EmotionVectors
from audio2face.errors import UserError
from audio2face.io.atomic import write_json
from audio2face.training.data.actors import open_sources
from audio2face.training.data.clips import TrainingClip, TrainingShot, drop_short_clips
from audio2face.training.data.dataset import TrainingData
from audio2face.training.run_folder import Origin, provenance_record, read_origins

TWO = ("ann", "bob")


def open_data(configuration: Configuration) -> TrainingData:
    return TrainingData.open(configuration.dataset, configuration.train)


def clip(shot: str, last: int, first: int = 0, offset: float = 0) -> list[object]:
    return [("ann", shot, (first, last), "ann", "en", f"{shot}.wav", offset)]


# --- sources -----------------------------------------------------------------------------------------------------


def test_newest_finished_run_of_the_actor_is_taken(configure: Configure, workspace: Path, reference_data: Path) -> None:
    root = workspace / "output_preproc"
    add_run(reference_data, root / "260101_000000_newer", "ann")
    add_run(reference_data, root / "260102_000000_stopped", "ann")
    (root / "260102_000000_stopped/status.json").write_text('{"status": "stopped"}')
    add_run(reference_data, root / "260103_000000_bobs", "bob")
    for runs in ({}, {"ann": "latest"}):
        configuration = configure(PREPROC_RUN_NAME_FULL=runs)
        sources = open_sources(configuration.dataset, configuration.train)
        recorded = provenance_record(sources, configuration.roots)
        assert recorded["preproc_run_name_full"] == {"ann": "260101_000000_newer"}
        assert recorded["preproc_folder"] == {"ann": "/workspace/output_preproc/260101_000000_newer"}
    configuration = configure(PREPROC_RUN_NAME_FULL={"ann": RUN})
    [source] = open_sources(configuration.dataset, configuration.train)
    assert source.artifacts is not None
    assert source.artifacts.folder.name == RUN
    [source] = open_sources(configuration.dataset, configuration.train, {"ann": "260101_000000_newer"})
    assert source.artifacts is not None
    assert source.artifacts.folder.name == "260101_000000_newer"


def test_the_error_without_a_run_names_the_command(configure: Configure, workspace: Path) -> None:
    (workspace / "output_preproc" / RUN / "status.json").unlink()
    with pytest.raises(UserError, match=re.compile(r"no finished preprocessing run of actor 'ann'.*run_preproc", re.S)):
        open_data(configure())


def test_run_of_another_actor_is_refused(configure: Configure, workspace: Path, reference_data: Path) -> None:
    add_run(reference_data, workspace / "output_preproc/bobs", "bob")
    with pytest.raises(UserError, match="of actor 'bob', not of 'ann'"):
        open_data(configure(PREPROC_RUN_NAME_FULL={"ann": "bobs"}))


def test_override_files_replace_those_of_the_run(
    configure: Configure, workspace: Path, reference_data: Path, tmp_path: Path
) -> None:
    run = reference_data / "preproc/expected"
    files = {
        "SKIN_PCA_COEFFS_FPATH": "pca/skin/skin_pca_coeffs_all.npz",
        "SKIN_PCA_SHAPES_FPATH": "pca/skin/skin_pca_shapes.npz",
        "TONGUE_PCA_COEFFS_FPATH": "pca/tongue/tongue_pca_coeffs_all.npz",
        "TONGUE_PCA_SHAPES_FPATH": "pca/tongue/tongue_pca_shapes.npz",
        "DATA_INFO_FPATH": "deploy/data_info.json",
        "SHOT_LIST_FPATH": "deploy/shots.json",
        "MEAN_GEOMETRY_FPATH": "deploy/mean_geometry.npy",
    }
    usual = open_data(configure())
    (workspace / "output_preproc" / RUN / "status.json").unlink()  # no run is left
    paths = {name: {"ann": str(run / path)} for name, path in files.items()}
    configuration = configure(CLIPS=[], **paths)
    data = open_data(configuration)
    assert data.training_clips == usual.training_clips
    assert np.array_equal(data.sources[0].mean_geometry, usual.sources[0].mean_geometry)
    for shot, motion in usual.motions.items():
        for one, other in zip(motion.parts, data.motions[shot].parts, strict=True):
            assert np.array_equal(one, other)
    write_json(tmp_path / "configs/preproc_info.json", provenance_record(data.sources, configuration.roots))
    origins = read_origins(tmp_path, configuration.roots, tmp_path)
    assert origins == {"ann": Origin(None, {name: run / path for name, path in files.items()})}


def test_origins_of_either_implementation_are_read(tmp_path: Path) -> None:
    roots = Roots(tmp_path / "datasets", tmp_path / "workspace")
    file, runs = tmp_path / "configs/preproc_info.json", {"ann": "a", "bob": "b"}
    write_json(file, {"preproc_run_name_full": runs})
    assert read_origins(tmp_path, roots, tmp_path / "runs") == {
        actor: Origin(tmp_path / "runs" / run, {}) for actor, run in runs.items()
    }
    write_json(file, {"preproc_folder": runs})
    with pytest.raises(UserError, match="no record of preprocessing runs"):
        read_origins(tmp_path, roots, tmp_path)


def test_files_that_do_not_fit_are_refused(configure: Configure, tmp_path: Path) -> None:
    shapes = tmp_path / "shapes.npz"
    np.savez(shapes, shapes_matrix=np.zeros((3, 4, 3), np.float32), shapes_mean=np.zeros((4, 3), np.float32))
    with pytest.raises(UserError, match=r"3 components of 4 skin vertices, but .* has 21 of 200"):
        open_data(configure(SKIN_PCA_SHAPES_FPATH={"ann": str(shapes)}))
    broken = tmp_path / "info.json"
    broken.write_text("[]")
    with pytest.raises(UserError, match="no data info"):
        open_data(configure(DATA_INFO_FPATH={"ann": str(broken)}))


@pytest.mark.parametrize("what", ["num_verts_tongue", "num_keypoints_jaw"])
def test_actors_must_have_one_topology(what: str, configure: Configure, workspace: Path, reference_data: Path) -> None:
    bobs = workspace / "output_preproc/bobs"
    add_run(reference_data, bobs, "bob")
    info = json.loads((bobs / "deploy/data_info.json").read_text())
    info[what] += 1
    (bobs / "deploy/data_info.json").write_text(json.dumps(info))
    if what == "num_verts_tongue":
        shapes = {"shapes_matrix": np.zeros((6, 61, 3), np.float32), "shapes_mean": np.zeros((61, 3), np.float32)}
        np.savez(bobs / "pca/tongue/tongue_pca_shapes.npz", **shapes)
    with pytest.raises(UserError, match=r"actor 'ann' has .*, actor 'bob' has "):
        open_data(configure(TWO))


# --- clips -------------------------------------------------------------------------------------------------------


def test_empty_table_takes_that_of_the_run(configure: Configure) -> None:
    data = open_data(configure(CLIPS=[]))
    assert [str(item) for item in data.training_clips] == [
        "s1_neutral [0, 119]",
        "s2_joy [0, 94]",
        "s3_anger [0, 140]",
        "s4_neutral [0, 109]",
        "s2_joy [0, 94]",
    ]
    assert data.training_clips[4].speaker == "aug_v1"
    assert [shot.first_global_frame for shot in data.shots] == [0, 120, 215, 356]


def test_ids_carry_the_actor_only_where_there_are_several(
    configure: Configure, workspace: Path, reference_data: Path
) -> None:
    add_run(reference_data, workspace / "output_preproc/bobs", "bob")
    data = open_data(configure(TWO, CLIPS=[], AUG_MUTED_SHOTS=[("bob", ("s2_joy", 4), 60, "joy")]))
    assert [shot.id for shot in data.shots if shot.name == "s2_joy"] == [
        "ann::s2_joy",
        "bob::s2_joy",
        "bob::muted_s2_joy_4",
    ]
    assert data.shots[4].first_global_frame == 466  # after all frames of the first actor
    assert data.training_clips[-1].shot.first_global_frame == 932


@pytest.mark.parametrize(
    ("offset", "frames", "audio_start"),
    [
        (0, (0, 109), 0.0),
        (4, (0, 105), 4 / 30),
        (-7, (7, 109), 0.0),
        (0.5, (0, 108), 0.5 / 30),
        (-1.5, (2, 109), 0.5 / 30),
    ],
)
def test_audio_offset(offset: float, frames: tuple[int, int], audio_start: float, configure: Configure) -> None:
    [found] = open_data(configure(CLIPS=clip("s4_neutral", 109, offset=offset))).training_clips
    assert (found.first, found.last) == frames
    assert found.audio_start == pytest.approx(audio_start)


def test_clip_beyond_its_shot(configure: Configure, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.WARNING):
        [found] = open_data(configure(CLIPS=clip("s2_joy", 97))).training_clips
    assert found.last == 94
    assert "cut: CLIPS[0] (s2_joy: 97 to 94)" in caplog.text
    with pytest.raises(UserError, match=r"CLIPS\[0\]: frames 0 to 98 .* ends at frame 94"):
        open_data(configure(CLIPS=clip("s2_joy", 98)))


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"CLIPS": clip("s2_jay", 50)}, "mean 's2_joy'"),
        ({"CLIPS": clip("s2_joy", 94, 90, offset=20)}, "no frame of shot 's2_joy' is left"),
        ({"AUG_MUTED_SHOTS": [("ann", ("s9", 0), 60, "joy")]}, r"AUG_MUTED_SHOTS\[0\]: .*no shot 's9'"),
        ({"AUG_MUTED_SHOTS": [("ann", ("s2_joy", 95), 60, "joy")]}, "frame 95 is beyond shot 's2_joy'"),
        ({"SHOT_EMOTION_NAMES": ["neutral", "joy"]}, "'anger' is unknown, under which shot 's3_anger'"),
        ({"VALIDATION_SHOTS": {"ann": ["s9"]}}, r"VALIDATION_SHOTS\['ann'\]: .*no shot 's9'"),
        (
            {"VALIDATION_SHOTS": {"ann": ["s1_neutral", "s2_joy", "s3_anger", "s4_neutral"]}},
            "no clip is left for training",
        ),
    ],
)
def test_wrong_rows(changes: dict[str, object], message: str, configure: Configure) -> None:
    with pytest.raises(UserError, match=message):
        open_data(configure(**changes))


def test_short_clips_are_skipped(configure: Configure, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.WARNING):
        data = open_data(configure(CLIPS=[*EVERY_SHOT, *clip("s2_joy", 4)]))
    assert len(data.training_clips) == 4
    assert "shorter than 0.21 seconds are skipped: s2_joy [0, 4]" in caplog.text
    shot = TrainingShot("a", "ann", "a", 9, 30.0, "joy", 0)
    assert (
        drop_short_clips([TrainingClip(shot, 0, 0, "", "", None), TrainingClip(shot, 0, 1, "", "", None)], 2, "frames")[
            0
        ].last
        == 1
    )


def test_recordings_that_end_early_are_reported(configure: Configure, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.WARNING):
        open_data(configure(CLIPS=[("ann", "s2_joy", (0, 94), "aug_v1", "en", "aug/v1/s2_joy.wav", 0)]))
    assert "padded with silence: s2_joy [0, 94] (2.2 s of s2_joy.wav)" in caplog.text


def test_lossy_recordings_are_reported_once_for_an_actor(
    configure: Configure, reference_data: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    audio = tmp_path / "lossy"
    audio.mkdir()
    for shot in ("s1_neutral", "s2_joy"):
        samples, rate = soundfile.read(reference_data / "preproc/dataset/audio" / f"{shot}.wav")
        soundfile.write(audio / f"{shot}.mp3", samples, rate)
    rows = [("ann", shot, (0, 50), "ann", "en", f"{shot}.mp3", 0) for shot in ("s1_neutral", "s2_joy")]
    with caplog.at_level(logging.WARNING):
        data = open_data(configure(CLIPS=rows * 2, AUDIO_ROOT={"ann": str(audio)}))
    assert next(clip.audio for clip in data.training_clips) == audio / "s1_neutral.mp3"
    messages = [record.getMessage() for record in caplog.records if "lossy" in record.getMessage()]
    assert len(messages) == 1
    assert messages[0].startswith("ann: 2 recordings are in a lossy format")


# --- muted shots --------------------------------------------------------------------------------------------------


def test_muted_shots(configure: Configure) -> None:
    muted = [
        ("ann", ("s1_neutral", 3), 50, "neutral"),
        ("ann", ("s1_neutral", 3), 60, "anger"),
        ("ann", ("s2_joy", 7), 40, "joy"),
    ]
    data = open_data(configure(AUG_MUTED_SHOTS=muted, AUG_MUTED_TONGUE_IS_NEUTRAL=True))
    muted = [item.shot for item in data.training_clips[4:]]
    assert [shot.id for shot in muted] == ["muted_s1_neutral_3", "muted_s1_neutral_3_2", "muted_s2_joy_7"]
    assert [shot.first_global_frame for shot in muted] == [466, 516, 576]
    assert [(shot.num_frames, shot.fps) for shot in muted] == [(50, 30.0), (60, 30.0), (40, 30.0)]
    neutral, anger, joy = (data.motions[shot.id] for shot in muted)
    source = data.motions["s1_neutral"]
    assert not neutral.skin.any()
    assert np.array_equal(anger.skin, np.repeat(source.skin[3:4], 60, axis=0))
    assert np.array_equal(neutral.jaw[49], source.jaw[3])
    assert not joy.tongue.any()
    assert np.array_equal(joy.skin[0], data.motions["s2_joy"].skin[7])


def test_zero_emotion_counts_as_neutral_in_muted_shots(configure: Configure) -> None:
    muted = [("ann", ("s2_joy", 7), 40, "joy")]
    zero = {"SHOT_EMOTION_NAME_FOR_ALL_ZEROS": "joy", "AUG_MUTED_SHOTS": muted}
    assert not open_data(configure(**zero)).motions["muted_s2_joy_7"].skin.any()
    kept = open_data(configure(**zero, AUG_MUTED_SKIN_IS_NEUTRAL_FOR_NEUTRAL_EMO=False))
    assert kept.motions["muted_s2_joy_7"].skin.any()


# --- emotions, missing parts, validation ---------------------------------------------------------------------------


def test_emotion_vectors() -> None:
    emotions = EmotionVectors.from_vocabulary(["joy", "neutral", "anger"], "neutral")
    assert emotions.names == ("joy", "anger")
    assert [emotions.index(name) for name in ("joy", "neutral", "anger")] == [0, -1, 1]
    assert emotions.vector("anger").tolist() == [0, 1]
    assert emotions.vector("neutral").tolist() == [0, 0]
    assert EmotionVectors.from_vocabulary(["joy", "neutral"], None).vector("neutral").tolist() == [0, 1]
    only = EmotionVectors.from_vocabulary(["neutral"], "neutral")
    assert only.is_inert
    assert only.vector("neutral").tolist() == [0]


def test_missing_parts_are_neutral_and_invalid(
    configure: Configure, reference_data: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    with np.load(reference_data / "preproc/dataset/xform/jaw_keypoints_cache_all.npz") as archive:
        jaw = {shot: archive[shot] for shot in archive.files if shot != "s2_joy"}
    jaw["s1_neutral"] = jaw["s1_neutral"][:100]
    np.savez(tmp_path / "jaw.npz", **jaw)
    with caplog.at_level(logging.WARNING):
        data = open_data(configure(CLIPS=[*EVERY_SHOT[1:]], JAW_ANIM_DATA_FPATH={"ann": str(tmp_path / "jaw.npz")}))
    assert data.motions["s2_joy"].valid == (True, True, False, True)
    assert not data.motions["s2_joy"].jaw.any()
    assert data.motions["s3_anger"].valid == (True, True, True, True)
    assert "No data of ann, jaw for s2_joy" in caplog.text
    with pytest.raises(UserError, match="ends at frame 99"):  # cut to the shortest part
        open_data(configure(JAW_ANIM_DATA_FPATH={"ann": str(tmp_path / "jaw.npz")}))
    still = open_data(configure(JAW_ANIM_DATA_FPATH={}))  # an actor without a jaw is trained on the neutral one
    assert still.motions["s2_joy"].valid == (True, True, True, True)


def test_validation_shots(configure: Configure) -> None:
    rows = [*EVERY_SHOT, ("ann", "s2_joy", (0, 30), "aug_v1", "en", "aug/v1/s2_joy.wav", 0)]
    muted = [("ann", ("s2_joy", 0), 40, "joy")]
    data = open_data(configure(CLIPS=rows, AUG_MUTED_SHOTS=muted, VALIDATION_SHOTS={"ann": ["s2_joy"]}))
    assert [item.shot.id for item in data.validation_clips] == ["s2_joy", "s2_joy"]
    assert [item.shot.id for item in data.training_clips][-1] == "muted_s2_joy_0"
    chosen = [open_data(configure(CLIPS=rows[::step], VALIDATION_FRACTION=0.5)).validation_clips for step in (1, -1)]
    assert {item.shot.id for item in chosen[0]} == {item.shot.id for item in chosen[1]}
    assert len({item.shot.id for item in chosen[0]}) == 1  # of two: joy and anger have one shot each
