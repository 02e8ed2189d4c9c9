"""The test set of a run: nothing of its shots is in preprocessing and training, and its files are recorded by hash.

These tests are about leaks: what they compare would differ if a single frame of a test shot were read.
"""

from __future__ import annotations

import json
import logging
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile
from small_actor import EVERY_SHOT, RUN, Configure

from audio2face.config import Configuration, Roots, load
from audio2face.config.configuration import ConfigError
from audio2face.dataset import ActorDataset
from audio2face.errors import UserError
from audio2face.preproc.run import preprocess
from audio2face.runs import RunFolder
from audio2face.training.data.dataset import TrainingData
from audio2face.training.data.sequences import num_rows
from audio2face.training.preproc_runs import find_run
from audio2face.training.run import check_settings
from audio2face.training.run_folder import describe_validation, provenance_record
from audio2face.training.split_record import TEST_FILE, changed_files, check_split, read_test_shots, record_split

PATHS = {
    "AUDIO_ROOT": "audio",
    "SKIN_CACHE_ROOT": "cache/skin",
    "SKIN_LIP_DIST_VERTEX_LIST_FPATH": "geom/skin/lip_dist_vertex_list.json",
    "TONGUE_CACHE_ROOT": "cache/tongue",
    "TONGUE_NEUTRAL_FPATH": "geom/tongue/neutral_pose.npy",
    "TONGUE_RIGID_VERTEX_LIST_FPATH": "geom/tongue/rigid_vertex_list.json",
    "JAW_KEYPOINTS_NEUTRAL_FPATH": "xform/jaw_keypoints_neutral.npy",
    "JAW_ANIM_DATA_FPATH": "xform/jaw_keypoints_cache_all.npz",
}
TEST = {"ann": ["s3_anger"]}


@pytest.fixture
def dataset(reference_data: Path, tmp_path: Path) -> Path:
    """A copy of the reference's dataset; without a neutral pose of the skin, the mean is computed from the shots."""
    return Path(shutil.copytree(reference_data / "preproc/dataset", tmp_path / "dataset"))


def configured(folder: Path, root: Path, **changes: Any) -> Configuration:
    """A configuration that preprocesses a dataset folder."""
    values: dict[str, Any] = {name: {"ann": str(root / path)} for name, path in PATHS.items()}
    values |= {"ACTOR_NAMES": ["ann"], "CACHE_FPS": {"ann": 30.0}, "SHOT_EMOTION_NAMES": ["neutral", "joy", "anger"]}
    values |= changes
    configs = folder / "configs/split"
    configs.mkdir(parents=True, exist_ok=True)
    (configs / "config_dataset.py").write_text("".join(f"{name} = {value!r}\n" for name, value in values.items()))
    (configs / "config_preproc.py").write_text(
        'RUN_NAME = "split"\nSKIN_PRUNE_SIM_DIST = 40.0\nSKIN_SELECT_DISTINCT_MAX_ITER = 8\n'
    )
    roots = Roots(datasets=root, workspace=folder / "workspace")
    return load("split", stage="preproc", actors=["ann"], roots=roots, configs_folder=configs.parent)


def remove_shot(root: Path, shot: str) -> None:
    """Removes all files of a shot from a dataset folder."""
    for path in [*root.glob(f"cache/*/{shot}"), *root.glob(f"audio/**/{shot}.*")]:
        shutil.rmtree(path) if path.is_dir() else path.unlink()
    archive = root / PATHS["JAW_ANIM_DATA_FPATH"]
    with np.load(archive) as arrays:
        left = {name: arrays[name] for name in arrays.files if name != shot}
    np.savez(archive, **left)


def outputs(run: Path) -> dict[str, bytes]:
    """The results of preprocessing by path: all of its files but records of time, paths and settings."""
    files = [path for part in ("pca", "deploy") for path in (run / part).rglob("*") if path.is_file()]
    return {path.relative_to(run).as_posix(): path.read_bytes() for path in files}


def test_preprocessing_gives_the_bits_of_a_dataset_without_the_test_shots(dataset: Path, tmp_path: Path) -> None:
    whole = preprocess(configured(tmp_path / "all", dataset), "ann").run.path
    left_out = preprocess(configured(tmp_path / "split", dataset, TEST_SHOTS=TEST), "ann").run.path
    assert json.loads((left_out / "configs/test_shots.json").read_text()) == {"shots": {"s3_anger": "anger"}}
    assert not (whole / "configs/test_shots.json").exists()
    removed = Path(shutil.copytree(dataset, tmp_path / "removed"))
    remove_shot(removed, "s3_anger")
    expected = outputs(preprocess(configured(tmp_path / "without", removed), "ann").run.path)
    assert outputs(left_out) == expected
    # The comparison can fail: with the shot, everything computed from poses is another.
    assert {name for name, content in outputs(whole).items() if expected.get(name) != content} >= {
        "pca/skin/skin_pca_shapes.npz",
        "pca/skin/skin_pca_coeffs_all.npz",
        "pca/tongue/tongue_pca_shapes.npz",
        "deploy/network_data.npz",
        "deploy/data_info.json",
        "deploy/mean_geometry.npy",
        "deploy/shots.json",
        "deploy/clips_template.py",
    }


def test_runs_are_told_apart_by_their_test_set(dataset: Path, tmp_path: Path) -> None:
    """A run without a shot is not the whole data; one that has seen a test shot is the last choice."""
    with_test, whole = (configured(tmp_path, dataset, **changes) for changes in ({"TEST_SHOTS": TEST}, {}))
    left_out = preprocess(with_test, "ann")
    assert preprocess(with_test, "ann").reused
    with pytest.raises(UserError, match="has shot 's3_anger', which the run did not"):
        _run_of(whole)
    assert _run_of(with_test) == left_out.run.path
    other = configured(tmp_path, dataset, TEST_SHOTS={"ann": ["s3_anger", "s2_joy"]})
    assert _run_of(other) == left_out.run.path
    newer = preprocess(whole, "ann")
    assert _run_of(whole) == newer.run.path
    assert _run_of(with_test) == left_out.run.path  # although a newer one has the same data and more
    assert not preprocess(other, "ann").reused


def _run_of(configuration: Configuration) -> Path:
    actor = ActorDataset.open("ann", configuration.dataset)
    return find_run(actor, {}, "latest", configuration.preproc.PREPROC_OUTPUT_ROOT).folder


def open_data(configuration: Configuration) -> TrainingData:
    return TrainingData.open(configuration.dataset, configuration.train)


def test_training_has_no_clip_of_a_test_shot_in_any_voice(
    configure: Configure, caplog: pytest.LogCaptureFixture
) -> None:
    voice = ("ann", "s2_joy", (0, 90), "aug_v1", "en", "aug/v1/s2_joy.wav", 0)
    muted = [("ann", ("s2_joy", 3), 40, "joy"), ("ann", ("s1_neutral", 3), 40, "neutral")]
    settings: dict[str, Any] = {"CLIPS": [*EVERY_SHOT, voice], "AUG_MUTED_SHOTS": muted}
    whole = open_data(configure(**settings))
    with caplog.at_level(logging.INFO, "audio2face"):
        data = open_data(configure(**settings, TEST_SHOTS={"ann": ["s2_joy"]}))
    for found, count in ((whole, 3), (data, 0)):  # two voices and the muted shot
        assert sum(clip.shot.name == "s2_joy" for clip in found.training_clips) == count
    assert not any("s2_joy" in str(clip.audio) for clip in (*data.training_clips, *data.validation_clips))
    assert not any(shot.name == "s2_joy" for shot in data.shots)
    assert not any("s2_joy" in name for name in data.motions)
    assert num_rows(whole.shots) - num_rows(data.shots) == 95 + 40  # rows of the emotions that are trained
    assert "1 of 1 test shots are in its preprocessing run, whose components have seen them" in caplog.text
    assert "AUG_MUTED_SHOTS[0] is left out: shot 's2_joy'" in caplog.text
    # The table of a run that contains the shot is cut in the same way.
    table = open_data(configure(CLIPS=[], TEST_SHOTS={"ann": ["s2_joy"]}))
    assert {clip.shot.name for clip in table.training_clips} == {"s1_neutral", "s3_anger", "s4_neutral"}
    assert len(open_data(configure(CLIPS=[])).training_clips) > len(table.training_clips)


def test_a_shot_cannot_be_tested_and_validated_on(configure: Configure, tmp_path: Path, dataset: Path) -> None:
    with pytest.raises(UserError, match=r"VALIDATION_SHOTS\['ann'\] names 's2_joy', which is in the test set"):
        open_data(configure(VALIDATION_SHOTS={"ann": ["s2_joy"]}, TEST_SHOTS={"ann": ["s2_joy"]}))
    configured(tmp_path, dataset, TEST_SHOTS=TEST)
    clip = ("ann", "s3_anger", (0, 90), "ann", "en", "s3_anger.wav", 0)
    (tmp_path / "configs/split/config_train.py").write_text(
        f'RUN_NAME = "x"\nNETWORK_TYPE = "diffusion"\nVALIDATION_SHOTS = {TEST!r}\nCLIPS = [{clip!r}]\n'
    )
    with pytest.raises(ConfigError) as caught:
        load("split", stage="check", configs_folder=tmp_path / "configs")
    text = str(caught.value)
    for parameter in ("VALIDATION_SHOTS", "CLIPS"):
        assert f"TEST_SHOTS['ann']: 's3_anger' is in {parameter} of config_train.py as well" in text


def test_validation_is_drawn_from_the_rest(configure: Configure) -> None:
    data = open_data(configure(TEST_SHOTS={"ann": ["s1_neutral"]}, VALIDATION_FRACTION=0.3))
    assert not data.validation_clips  # of the three shots left, each is the only one of its emotion
    assert [clip.shot.id for clip in open_data(configure(VALIDATION_FRACTION=0.3)).validation_clips]


# --- the record of a run ---------------------------------------------------------------------------------------------


@pytest.fixture
def run(configure: Configure, dataset: Path, tmp_path: Path) -> tuple[Path, Configuration]:
    """The records of a run that tests on s2_joy and validates on s4_neutral."""
    changes = {"VALIDATION_SHOTS": {"ann": ["s4_neutral"]}, "TEST_SHOTS": {"ann": ["s2_joy"]}}
    roots = {name: {"ann": str(dataset / PATHS[name])} for name in ("AUDIO_ROOT", "SKIN_CACHE_ROOT")}
    configuration = configure(**changes, **roots)
    return _recorded(tmp_path / "run", configuration), configuration


def _recorded(folder: Path, configuration: Configuration) -> Path:
    data = open_data(configuration)
    records = {
        "preproc_info": provenance_record(data.sources, configuration.roots),
        "validation_clips": describe_validation(data.validation_clips, configuration.roots),
    }
    (folder / "configs").mkdir(parents=True)
    for name, values in records.items():
        (folder / f"configs/{name}.json").write_text(json.dumps(values))
    record_split(folder, configuration)
    return folder


def test_the_record_holds_the_test_set_and_notices_other_files(run: tuple[Path, Configuration], dataset: Path) -> None:
    folder, configuration = run
    record = read_test_shots(folder, configuration.roots)
    assert record is not None
    [shot] = record.test
    assert (shot.actor, shot.shot, shot.emotion, shot.in_preprocessing) == ("ann", "s2_joy", "joy", True)
    assert not record.is_unseen
    assert [file.path for file in shot.recordings] == [
        dataset / "audio/s2_joy.wav",
        dataset / "audio/aug/v1/s2_joy.wav",
    ]
    assert {file.path.parent for file in shot.skin} == {dataset / "cache/skin/s2_joy"}
    assert [file.path for file in record.validation] == [dataset / "audio/s4_neutral.wav"]
    assert changed_files((*record.files, *record.validation)) == ()
    samples, rate = soundfile.read(dataset / "audio/s2_joy.wav", dtype="int16")
    samples[len(samples) // 2] ^= 1  # one bit of one sample: the size stays
    soundfile.write(dataset / "audio/s2_joy.wav", samples, rate)
    shot.skin[0].path.unlink()
    assert changed_files(record.files) == (dataset / "audio/s2_joy.wav", shot.skin[0].path)
    assert changed_files(record.validation) == ()


def test_a_run_without_a_test_set_has_no_record(configure: Configure, tmp_path: Path) -> None:
    folder = _recorded(tmp_path / "run", configure())
    assert not (folder / TEST_FILE).exists()
    assert read_test_shots(folder, configure().roots) is None


def test_a_run_is_not_resumed_where_the_draw_has_changed(configure: Configure, dataset: Path, tmp_path: Path) -> None:
    for number in range(8):
        shutil.copytree(dataset / "cache/skin/s1_neutral", dataset / f"cache/skin/t{number}_neutral")
        path = dataset / f"cache/skin/t{number}_neutral"
        for file in path.iterdir():
            file.rename(path / file.name.replace("s1_neutral", path.name))
    configuration = configure(TEST_FRACTION=0.2, SKIN_CACHE_ROOT={"ann": str(dataset / "cache/skin")})
    folder = _recorded(tmp_path / "run", configuration)
    check_split(folder, configuration)
    record = read_test_shots(folder, configuration.roots)
    assert record is not None
    shutil.rmtree(dataset / "cache/skin" / record.test[0].shot)
    with pytest.raises(UserError, match=f"another test set: shot '{record.test[0].shot}' of actor 'ann' was in"):
        check_split(folder, configuration)


def test_a_damaged_record_is_refused(run: tuple[Path, Configuration]) -> None:
    folder, configuration = run
    for content in ("[]", '{"test": [{"actor": "ann"}], "validation": []}', '{"test": [], "validation": [3]}'):
        (folder / TEST_FILE).write_text(content)
        with pytest.raises(UserError, match="is no record of a test set"):
            read_test_shots(folder, configuration.roots)


def test_a_run_is_not_resumed_with_another_test_set(configure: Configure, tmp_path: Path) -> None:
    run = RunFolder(tmp_path / "run")
    (run.path / "configs").mkdir(parents=True)

    def record(configuration: Configuration, *lacking: str) -> None:
        for section in ("dataset", "train"):
            values = json.loads(json.dumps(configuration.full[section], default=dict))
            kept = {name: value for name, value in values.items() if name not in lacking}
            (run.path / f"configs/config_{section}_full.json").write_text(json.dumps(kept))
        (run.path / "configs/preproc_info.json").write_text(json.dumps({"preproc_run_name_full": {"ann": RUN}}))

    record(configure(TEST_FRACTION=0.1))
    check_settings(run, configure(TEST_FRACTION=0.1))
    for other in ({"TEST_FRACTION": 0.2}, {"TEST_FRACTION": 0.1, "SPLIT_SEED": 1}, {}):
        with pytest.raises(UserError, match=r"was started with other settings:\n  (TEST_FRACTION|SPLIT_SEED) was"):
            check_settings(run, configure(**other))
    record(configure(), "TEST_SHOTS", "TEST_FRACTION", "SPLIT_SEED")  # of a version without test sets
    check_settings(run, configure())
    with pytest.raises(UserError, match=r"TEST_SHOTS was \{\}, is"):
        check_settings(run, configure(TEST_SHOTS=TEST))
