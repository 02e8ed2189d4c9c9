"""Parameters given as arguments: typed and checked as in files, and kept in what is saved."""

from __future__ import annotations

from pathlib import Path

import pytest

from audio2face.config import ConfigError, Configuration, Stage, load
from audio2face.config.__main__ import main

from .conftest import Loader


def _load(load_files: Loader, *overrides: str, stage: Stage = "train") -> Configuration:
    roots = load_files(stage).roots
    return load("mine", stage=stage, roots=roots, overrides=overrides)


def test_arguments_stand_above_files(load_files: Loader) -> None:
    configuration = _load(
        load_files,
        "NUM_EPOCHS=3",
        "LEARNING_RATE = 1e-4",
        "SPEECH_ENCODER=hama",
        "SPEECH_ENCODER_LAYERS=[2]",
        "NETWORK_HYPER_PARAMS.gru_feature_dim=128",
        "CACHE_FPS.ada=25",
        "inference.CONFIG.skin_strength=1.5",
        "CONFIG={'tongue_strength': 1.25}",
        "NUM_EPOCHS=4",
    )
    train = configuration.train
    assert (train.NUM_EPOCHS, train.LEARNING_RATE, train.SPEECH_ENCODER) == (4, 1e-4, "hama")
    assert configuration.full["train"]["NETWORK_HYPER_PARAMS"]["gru_feature_dim"] == 128
    assert train.SPEECH_ENCODER_LAYERS == (2,)
    assert configuration.dataset.CACHE_FPS == {"ada": 25.0}
    assert configuration.modifiers["inference"]["CONFIG"] == {"skin_strength": 1.5, "tongue_strength": 1.25}
    assert configuration.modifiers["train"]["NUM_EPOCHS"] == 4


def test_what_follows_from_a_parameter_follows_from_an_argument(load_files: Loader) -> None:
    assert _load(load_files, "TARGET_FPS=30").full["train"]["NETWORK_HYPER_PARAMS"]["hubert_feature_dim"] == 1536
    assert _load(load_files, "NETWORK_TYPE=regression").network_type == "regression"


def test_a_parameter_of_two_sections_is_that_of_the_stage_unless_told(load_files: Loader) -> None:
    for stage, argument, changed in (
        ("train", "TIMESTEP_RESPACING=5", "train"),
        ("deploy", "TIMESTEP_RESPACING=5", "inference"),
        ("train", "inference.TIMESTEP_RESPACING=5", "inference"),
        ("preproc", "RUN_NAME=tried", "preproc"),
    ):
        configuration = _load(load_files, argument, stage=stage)  # type: ignore[arg-type]
        name, _, value = argument.rpartition(".")[2].partition("=")
        assert [section for section, given in configuration.modifiers.items() if name in given] == [changed]
        assert str(configuration.full[changed][name]) == value


@pytest.mark.parametrize(
    ("argument", "said"),
    [
        ("BATCH_SIZE=big", "--set BATCH_SIZE: BATCH_SIZE: should be a valid integer, found 'big'"),
        ("BATCH_SIZE.x=1", "--set BATCH_SIZE.x: BATCH_SIZE: should be a valid integer, found {'x': 1}"),
        ("BATCHSIZES=3", "--set BATCHSIZES: there is no such parameter; did you mean 'BATCH_SIZE'?"),
        ("BATCH_SIZE", "--set 'BATCH_SIZE': should be NAME=VALUE, such as NUM_EPOCHS=3"),
        ("CONFIG..x=3", "--set 'CONFIG..x=3': should be NAME=VALUE, such as NUM_EPOCHS=3"),
        ("train=3", "--set train: should name a parameter of config_train.py"),
        ("AUGMENT.timeshft=1", "--set AUGMENT.timeshft: AUGMENT['timeshft']: there is no such parameter; did you mean"),
        ("LOSS_MSE_ALPHA=1", "--set LOSS_MSE_ALPHA: LOSS_MSE_ALPHA: not a parameter of diffusion networks"),
        (
            "SKIN_PCA=3",
            "--set SKIN_PCA: there is no such parameter",
        ),
        (
            "SKIN_PCA_VARIANCE_THRESHOLD=0.9",
            "--set SKIN_PCA_VARIANCE_THRESHOLD: stage train does not read config_preproc.py, which has it",
        ),
        ("preproc.RUN_NAME=x", "--set preproc.RUN_NAME: stage train does not read config_preproc.py"),
        ("LEARNING_RATE=1e999", "--set LEARNING_RATE: LEARNING_RATE: inf is not a finite number"),
        ("CLIPS={1, 2}", "--set CLIPS: CLIPS: a value of type set cannot be configured"),
        ("SHOT_EMOTION_NAMES=[1, 2", "--set SHOT_EMOTION_NAMES: SHOT_EMOTION_NAMES: should be a valid array, found"),
        (f"CLIPS={'[' * 9000}", "--set CLIPS: CLIPS: should be a valid array, found"),
        ("SUBSEGMENT_MIN_FRAME=9000", "--set SUBSEGMENT_MIN_FRAME: SUBSEGMENT_MIN_FRAME: 9000 is above"),
    ],
)
def test_errors_name_the_argument(load_files: Loader, argument: str, said: str) -> None:
    with pytest.raises(ConfigError) as caught:
        _load(load_files, argument)
    (problem,) = caught.value.problems
    assert problem.startswith(said)


def test_all_that_is_wrong_comes_at_once_files_first(load_files: Loader) -> None:
    roots = load_files().roots
    (roots.framework / "configs/mine/config_train.py").write_text('NETWORK_TYPE = "diffusion"\nNUM_EPOCHS = 0\n')
    with pytest.raises(ConfigError) as caught:
        load("mine", stage="train", roots=roots, overrides=["BATCH_SIZE=0", "nothing", "NUM_EPOCS=1"])
    assert [problem.split(": ")[0] for problem in caught.value.problems] == [
        "config_train.py:2",
        "--set 'nothing'",
        "--set NUM_EPOCS",
        "--set BATCH_SIZE",
    ]


def test_arguments_are_saved_with_the_values(load_files: Loader, tmp_path: Path) -> None:
    configuration = _load(load_files, "NUM_EPOCHS=3")
    configuration.save(tmp_path / "saved.json")
    opened = Configuration.open(tmp_path / "saved.json", configuration.roots)
    assert opened.overrides == ("NUM_EPOCHS=3",)
    assert opened.train.NUM_EPOCHS == 3


def test_the_command_line_takes_them(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    command = ["quickstart-diffusion", "--stage", "deploy", "--output", str(tmp_path / "out.json")]
    assert main([*command, "--set", "NUM_DIFFUSION_STEPS=5", "--set", "TIMESTEP_RESPACING=5"]) == 0
    assert Configuration.open(tmp_path / "out.json").full["inference"]["NUM_DIFFUSION_STEPS"] == 5
    with pytest.raises(SystemExit):
        main([*command, "--set", "NUM_DIFFUSION_STEPS=5.5"])
    assert "--set NUM_DIFFUSION_STEPS: NUM_DIFFUSION_STEPS: should be" in capsys.readouterr().err
