"""Configurations that extend others: what is merged, and one clear error where the other is not to be had."""

from __future__ import annotations

from pathlib import Path

import pytest

from audio2face import home
from audio2face.config import ConfigError, Configuration
from audio2face.config.overlay import read_section

from .conftest import DATASET, Loader


@pytest.fixture
def others(tmp_path: Path) -> Path:
    """Configurations to extend, beside the one that is loaded."""
    for name, text in {
        "base": 'NETWORK_TYPE = "diffusion"\nBATCH_SIZE = 2\nNUM_EPOCHS = 7\nAUGMENT = {"timeshift": 0.5}\n',
        "middle": 'EXTENDS = "base"\nNUM_EPOCHS = 8\n',
        "wrong": 'NETWORK_TYPE = "diffusion"\nBATCH_SIZE = "two"\nBATCHES = 1\n',
        "broken": "1 / 0\n",
        "circle": 'EXTENDS = "round"\n',
        "round": 'EXTENDS = "circle"\n',
    }.items():
        (tmp_path / "configs" / name).mkdir(parents=True)
        (tmp_path / "configs" / name / "config_train.py").write_text(text, encoding="utf-8")
    return tmp_path / "configs"


def _problems(loader: Loader, train: str) -> list[str]:
    with pytest.raises(ConfigError) as caught:
        loader(train=train)
    return list(caught.value.problems)


@pytest.mark.usefixtures("others")
def test_a_chain_is_merged_key_by_key_and_the_last_word_is_the_own_file(load_files: Loader) -> None:
    configuration = load_files(train='EXTENDS = "middle"\nBATCH_SIZE = 3\nAUGMENT = {"pitch_shift": None}\n')
    train = configuration.train
    assert (train.BATCH_SIZE, train.NUM_EPOCHS) == (3, 8)
    assert configuration.full["train"]["AUGMENT"] == {"timeshift": 0.5, "pitch_shift": None}
    assert configuration.modifiers["train"] == {
        "NETWORK_TYPE": "diffusion",
        "BATCH_SIZE": 3,
        "NUM_EPOCHS": 8,
        "AUGMENT": {"timeshift": 0.5, "pitch_shift": None},
    }


def test_what_was_saved_needs_no_other_configuration(load_files: Loader, others: Path, tmp_path: Path) -> None:
    configuration = load_files(train='EXTENDS = "base"\n')
    configuration.save(tmp_path / "saved.json")
    for file in sorted(others.glob("*/config_*.py")):
        file.unlink()
    opened = Configuration.open(tmp_path / "saved.json", configuration.roots)
    assert opened == configuration
    assert opened.train.NUM_EPOCHS == 7


@pytest.mark.usefixtures("others")
@pytest.mark.parametrize(
    ("train", "said"),
    [
        (
            '\nEXTENDS = "midle"\n',
            "config_train.py:2: EXTENDS: there is no configuration 'midle'; did you mean 'middle'?",
        ),
        (
            'EXTENDS = "../base"\n',
            "config_train.py:1: EXTENDS: there is no configuration '../base'; did you mean 'base'?",
        ),
        (
            'EXTENDS = "zzz"\n',
            "config_train.py:1: EXTENDS: there is no configuration 'zzz'; "
            "there are base, broken, circle, example-diffusion, example-diffusion-min, example-regression, "
            "example-regression-min, middle, mine, quickstart-diffusion, quickstart-multi, quickstart-regression, "
            "quickstart-streaming, "
            "round, wrong",
        ),
        ("EXTENDS = 3\n", "config_train.py:1: EXTENDS: should be the name of a configuration, found 3"),
        ("EXTENDS = {1}\n", "config_train.py:1: EXTENDS: should be the name of a configuration, found None"),
        ('EXTENDS = "mine"\n', "config_train.py:1: EXTENDS: a configuration cannot extend itself: mine -> mine"),
        (
            'EXTENDS = "circle"\n',
            "round/config_train.py:1: EXTENDS: a configuration cannot extend itself: mine -> circle -> round -> circle",
        ),
        (
            'EXTENDS = "broken"\n',
            "broken/config_train.py:1: running it failed: ZeroDivisionError: division by zero",
        ),
    ],
)
def test_what_cannot_be_extended_is_one_error(load_files: Loader, train: str, said: str) -> None:
    assert _problems(load_files, train) == [said]


@pytest.mark.usefixtures("others")
def test_a_file_that_the_extended_configuration_lacks(load_files: Loader) -> None:
    with pytest.raises(ConfigError) as caught:
        load_files(dataset='EXTENDS = "base"\n' + DATASET)
    (problem,) = caught.value.problems
    assert problem == "config_dataset.py:1: EXTENDS: configuration 'base' has no config_dataset.py"


@pytest.mark.usefixtures("others")
def test_a_problem_names_its_file(load_files: Loader) -> None:
    own, *inherited = _problems(load_files, 'EXTENDS = "wrong"\nNUM_EPOCHS = "many"\n')
    assert own.startswith("config_train.py:2: NUM_EPOCHS: should be a valid integer")
    assert [text.split("; ")[0] for text in inherited] == [
        "wrong/config_train.py:2: BATCH_SIZE: should be a valid integer, found 'two'",
        "wrong/config_train.py:3: BATCHES: there is no such parameter",
    ]


def test_shipped_configurations_are_there_in_any_home(tmp_path: Path) -> None:
    # A configuration of the user's own has a shipped one's name: the user means it, shipped ones do not.
    for name, text in {
        "example-diffusion": "BATCH_SIZE = 99\n",
        "own": 'EXTENDS = "example-diffusion"\n',
        "shipped": 'EXTENDS = "example-diffusion-min"\n',
    }.items():
        (tmp_path / "configs" / name).mkdir(parents=True)
        (tmp_path / "configs" / name / "config_train.py").write_text(text, encoding="utf-8")
    folders = home.config_folders(tmp_path)
    own, shipped = (
        read_section(tmp_path / "configs" / name / "config_train.py", folders) for name in ("own", "shipped")
    )
    assert own.values == {"BATCH_SIZE": 99}
    assert not shipped.failed
    assert (shipped.values["RUN_NAME"], shipped.values.get("BATCH_SIZE")) == ("example-diffusion-min", None)


def test_an_installed_package_brings_its_configurations(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(home, "PACKAGES", tmp_path)
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("A2F_HOME", raising=False)
    assert home.find_home() == tmp_path
    assert home.config_folders(tmp_path) == [tmp_path / "configs", Path(home.__file__).parent / "shipped_configs"]
    assert home.config_names([tmp_path / "configs"]) == []
