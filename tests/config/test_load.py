"""Whole configurations: the shipped ones, faulty ones, what each stage asks for, what follows by itself."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from audio2face.config import ConfigError, Configuration, Roots, Stage, TrainDiffusion, load
from audio2face.errors import UserError

from .conftest import DATASET, ROOT, Loader

SHIPPED = sorted(path.name for path in (ROOT / "configs").iterdir())


def _problems(loader: Loader, **arguments: Any) -> list[str]:
    with pytest.raises(ConfigError) as caught:
        loader(**arguments)
    return list(caught.value.problems)


@pytest.mark.parametrize("name", SHIPPED)
def test_shipped_configurations_load(name: str) -> None:
    configuration = load(name, stage="inference", check_files=False)
    assert configuration.actors
    assert not configuration.warnings
    if name.startswith("example"):
        with pytest.raises(ConfigError) as caught:
            load(name, stage="train", check_files=False)
        (problem,) = caught.value.problems
        assert f"XXXXXX_XXXXXX_example{'-min' if name.endswith('-min') else ''}' is a placeholder" in problem
        assert len(configuration.train.CLIPS) == 54
        assert sum(last + 1 for _, _, (_, last), *_ in configuration.train.CLIPS) == 21039
        assert len(configuration.train.AUG_MUTED_SHOTS) == 11


def test_all_problems_of_all_files_come_at_once(load_files: Loader) -> None:
    found = _problems(
        load_files,
        dataset=DATASET + 'AUDIO_ROOTS = {}\nSKIN_NEUTRAL_FPATH = {"eve": "n.npy"}\nSHOT_EMOTION_NAMES = "joy"\n'
        'JAW_ANIM_DATA_FPATH = {"ada": "jaw.npz"}\n',
        preproc="RUN_NAME = 3\nSKIN_PCA_VARIANCE_THRESHOLD = 1.5\n1 / 1\n",
        train='NETWORK_TYPE = "diffusion"\nBATCH_SIZE = True\nTARGET_CHANNELS = ["eye", "jaw"]\n'
        'CLIPS = [("eve", "s", (3, 1), "eve", "en", "s.wav", 0)]\nLOSS_MSE_ALPHA = 1\n'
        'PREPROC_RUN_NAME_FULL = {"ada": "250101_000000_gone"}\nAUG_MUTED_AUDIO_NOISE_TYPE = "pink"\n',
        inference='CONFIG = {"skin_strength": 3, "skn_strength": 1}\n1 / 0\n',
    )
    expected = [
        "config_dataset.py:6: AUDIO_ROOTS: there is no such parameter; did you mean 'AUDIO_ROOT'?",
        "config_dataset.py:7: SKIN_NEUTRAL_FPATH, key 'eve': 'eve' is not in ACTOR_NAMES; there are 'ada'",
        "config_dataset.py:8: SHOT_EMOTION_NAMES: should be a valid array, found 'joy'",
        "config_dataset.py:9: JAW_ANIM_DATA_FPATH['ada']: there is no .npz file ",
        "config_preproc.py:1: RUN_NAME: should be a valid string, found 3",
        "config_preproc.py:2: SKIN_PCA_VARIANCE_THRESHOLD: should be less than or equal to 1, found 1.5",
        "config_train.py:2: BATCH_SIZE: should be a valid integer, found True",
        "config_train.py:3: TARGET_CHANNELS: a diffusion network needs",
        "config_train.py:4: CLIPS[0][0]: 'eve' is not in ACTOR_NAMES",
        "config_train.py:4: CLIPS[0]: s ends at frame 1, before its start at 3",
        "config_train.py:5: LOSS_MSE_ALPHA: not a parameter of diffusion networks",
        "config_train.py:6: PREPROC_RUN_NAME_FULL['ada']: there is no preprocessing run '250101_000000_gone', in ",
        "config_train.py:7: AUG_MUTED_AUDIO_NOISE_TYPE: should be 'gauss' or 'mic', found 'pink'",
        "config_inference.py:2: running it failed: ZeroDivisionError: division by zero",
    ]
    assert len(found) == len(expected)
    for said, start in zip(found, expected, strict=True):
        assert said.startswith(start)


@pytest.mark.parametrize(
    ("kind", "name", "other"),
    [("diffusion", "diffusion_rnn", "conv_w2v_autocorr"), ("regression", "conv_w2v_autocorr", "my_network")],
)
def test_a_network_name_is_that_of_its_type_and_switches_no_check_off(
    load_files: Loader, kind: str, name: str, other: str
) -> None:
    train = f'NETWORK_TYPE = "{kind}"\nNETWORK_NAME = "{other}"\n'
    expected = f"config_train.py:2: NETWORK_NAME: should be '{name}', found '{other}'"
    assert _problems(load_files, train=train) == [expected]
    channels = 'TARGET_CHANNELS = ["eye", "jaw"]\n'
    said = f"config_train.py:3: TARGET_CHANNELS: a {kind} network needs "
    first, second = _problems(load_files, train=train + channels)
    assert first == expected
    assert second.startswith(said)
    load_files("train", train=f'NETWORK_TYPE = "{kind}"\nNETWORK_NAME = "{name}"\n')


def test_a_stage_asks_only_for_what_it_reads(load_files: Loader, tmp_path: Path) -> None:
    load_files("train")
    (tmp_path / "datasets/ada/skin").rmdir()
    load_files("train")
    load_files("deploy")
    load_files("check")  # reports missing files itself
    assert "SKIN_CACHE_ROOT['ada']: there is no folder" in _problems(load_files, stage="preproc")[0]


def test_files_of_actors_not_concerned_are_not_asked_for(load_files: Loader) -> None:
    dataset = DATASET.replace('["ada"]', '["ada", "ben"]') + (
        'AUDIO_ROOT["ben"] = SKIN_CACHE_ROOT["ben"] = "nowhere"\nCACHE_FPS["ben"] = 30\n'
    )
    assert load_files("preproc", ["ada"], dataset=dataset).actors == ("ada",)
    assert len(_problems(load_files, stage="preproc", actors=["ben"], dataset=dataset)) == 2
    (problem,) = _problems(load_files, stage="preproc", actors=["bem"], dataset=dataset)[:1]
    assert "there is no actor 'bem'; did you mean 'ben'?" in problem


def test_actor_keys_are_free_where_no_actors_are_named(load_files: Loader) -> None:
    configuration = load_files(
        "preproc", dataset=DATASET.replace('ACTOR_NAMES = ["ada"]', ""), train=None, inference=None
    )
    assert configuration.actors == ("ada",)
    assert configuration.network_type is None


@pytest.mark.parametrize(
    ("stage", "missing", "problem"),
    [
        ("train", "train", True),
        ("train", "inference", False),
        ("train", "preproc", False),
        ("deploy", "dataset", False),
        ("inference", "train", True),
        ("inference", "inference", False),
        ("preproc", "preproc", True),
        ("check", "preproc", False),
    ],
)
def test_which_files_a_stage_needs(load_files: Loader, stage: Stage, missing: str, problem: bool) -> None:
    arguments: dict[str, Any] = {"stage": stage, missing: None}
    if problem:
        assert _problems(load_files, **arguments) == [
            f"config_{missing}.py: the file is missing, stage {stage} needs it"
        ]
    else:
        load_files(**arguments)


@pytest.mark.parametrize(
    ("train", "said"),
    [
        ("BATCH_SIZE = 2", "NETWORK_TYPE: must be given as 'regression' or 'diffusion' or 'streaming', it is missing"),
        (
            'NETWORK_TYPE = "difusion"',
            "NETWORK_TYPE: must be given as 'regression' or 'diffusion' or 'streaming', found 'difusion'",
        ),
        ('NETWORK_TYPE = "diffusion"\nTARGET_FPS = 24', "TARGET_FPS: a diffusion network runs at 60 or 30"),
        (
            'NETWORK_TYPE = "streaming"\nTARGET_FPS = 29.97',
            "a streaming network runs at 24, 25, 30, 48, 50, 60",
        ),
        (
            'NETWORK_TYPE = "diffusion"\nNETWORK_HYPER_PARAMS = {"hubert_feature_dim": 1536}',
            "NETWORK_HYPER_PARAMS['hubert_feature_dim']: must be 768 at TARGET_FPS 60",
        ),
        ('NETWORK_TYPE = "diffusion"\nSUBSEGMENT_MIN_FRAME = 11', "SUBSEGMENT_MIN_FRAME: at least 12.6 frames"),
        ('NETWORK_TYPE = "diffusion"\nAUDIO_PARAMS = {"buffer_len": 8000}', "AUDIO_PARAMS['buffer_len']: 8000 differs"),
        ('NETWORK_TYPE = "regression"\nLOSS_LIP_SIZE_ALPHA = 1', "LOSS_LIP_SIZE_ALPHA: needs"),
        (
            'NETWORK_TYPE = "regression"\nLOSS_MSE_ALPHA = LOSS_MOTION_ALPHA = LOSS_LIP_DIST_ALPHA = None',
            "so that no loss trains the face",
        ),
        ('NETWORK_TYPE = "regression"\nAUGMENT = {"pitch_shift": None}', "AUGMENT['pitch_shift']: there is no such"),
        ('NETWORK_TYPE = "diffusion"\nDEFAULT_SHOT_EMOTION_NAME = "joy"', "'joy' is not in SHOT_EMOTION_NAMES"),
    ],
)
def test_rules_between_parameters(load_files: Loader, train: str, said: str) -> None:
    (problem,) = _problems(load_files, train=train)
    assert said in problem


def test_regression_takes_one_actor(load_files: Loader) -> None:
    dataset = DATASET.replace('["ada"]', '["ada", "ben"]') + 'AUDIO_ROOT["ben"] = "ada/audio"\nCACHE_FPS["ben"] = 30\n'
    (problem,) = _problems(load_files, dataset=dataset, train='NETWORK_TYPE = "regression"')
    assert "a regression network takes one actor, found 2" in problem


def _diffusion(configuration: Configuration) -> TrainDiffusion:
    assert isinstance(configuration.train, TrainDiffusion)
    return configuration.train


def test_omitted_values_follow_from_the_others(load_files: Loader) -> None:
    configuration = load_files(
        dataset=DATASET + 'TRANSFORM_SCALE = {"ada": {"jaw": 2}}\n',
        train='NETWORK_TYPE = "diffusion"\nTARGET_FPS = 30\nAUGMENT = None\nDIFFUSION_STEPS = 50\n',
        inference='TIMESTEP_RESPACING = ""\n',
    )
    train = _diffusion(configuration)
    assert configuration.dataset.TRANSFORM_SCALE["ada"] == {"skin": 1.0, "tongue": 1.0, "jaw": 2.0, "eye": 1.0}
    assert train.NETWORK_HYPER_PARAMS["hubert_feature_dim"] == 1536
    assert train.AUGMENT == {"timeshift": 0.0, "pitch_shift": None}
    assert configuration.full["inference"]["NUM_DIFFUSION_STEPS"] == 50
    assert load_files().full["inference"]["TIMESTEP_RESPACING"] == "2"
    train = _diffusion(load_files(train='NETWORK_TYPE = "diffusion"\nAUGMENT = {"pitch_shift": None}\n'))
    assert train.AUGMENT == {"timeshift": 0.0, "pitch_shift": None}


def test_steps_and_respacing_must_agree_where_both_are_given(load_files: Loader) -> None:
    (problem,) = _problems(load_files, inference='TIMESTEP_RESPACING = "5"\nNUM_DIFFUSION_STEPS = 2\n')
    assert "TIMESTEP_RESPACING '5' gives 5 steps" in problem


def test_warnings(load_files: Loader, tmp_path: Path) -> None:
    (tmp_path / "configs/mine").mkdir(parents=True)
    (tmp_path / "configs/mine/config_infernce.py").write_text("", encoding="utf-8")
    (tmp_path / "datasets/t.npy").touch()
    configuration = load_files(
        dataset=DATASET + 'TONGUE_NEUTRAL_FPATH = {"ada": "t.npy"}\n',
        train='NETWORK_TYPE = "diffusion"\nLOSS_MOTION_ALPHA = 1\n',
    )
    assert list(configuration.warnings) == [
        "config_infernce.py: not read; did you mean 'config_inference.py'?",
        "config_train.py:2: LOSS_MOTION_ALPHA: has no effect on a diffusion network",
        "config_dataset.py:6: TONGUE_NEUTRAL_FPATH['ada']: not used without TONGUE_CACHE_ROOT and "
        "TONGUE_RIGID_VERTEX_LIST_FPATH",
    ]


def test_a_configuration_that_is_not_there_is_compared_with_those_that_are() -> None:
    with pytest.raises(UserError, match=r"did you mean 'example-diffusion'\?"):
        load("example-difusion", stage="check")
    with pytest.raises(UserError, match="not allowed"):
        load("../configs", stage="check", roots=Roots(Path("/d"), Path("/w")))
