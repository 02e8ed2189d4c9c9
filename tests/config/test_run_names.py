"""Runs are found by what people type: `latest`, an end, a part; nothing is guessed where several fit."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from audio2face.config import Roots, load
from audio2face.config.load import configuration_of_run
from audio2face.errors import UserError
from audio2face.run_names import find_model, matching_names, resolve_run, resolve_training_run, run_folders

OLD, NEW, OTHER, OPEN = (
    "261123_101500_try",
    "261124_090000_first-try",
    "261125_090000_jaw",
    "261126_090000_open",
)


def make_run(root: Path, name: str, configuration: str | None = "mine", *, trained: bool = True) -> Path:
    run = root / name
    (run / "configs").mkdir(parents=True)
    if configuration is not None:
        (run / "configs/configuration.json").write_text(json.dumps({"name": configuration}))
    if trained:
        (run / "weights.safetensors").touch()
    return run


@pytest.fixture
def trained(tmp_path: Path) -> Path:
    root = tmp_path / "workspace/output_train"
    for name in (OLD, NEW):
        make_run(root, name)
    make_run(root, OTHER, "other")
    make_run(root, OPEN, trained=False)
    (root / ".hidden.tmp").mkdir()
    (root / "file").touch()
    return root


@pytest.mark.parametrize(
    ("text", "found"),
    [
        (OLD, [OLD]),
        ("try", [OLD]),  # the whole configured name
        ("first", [NEW]),
        ("st-try", [NEW]),
        ("261124", [NEW]),
        ("-t", [NEW]),
        ("2611", [OTHER, NEW, OLD]),
        ("Try", []),
    ],
)
def test_the_closest_kind_of_match_counts(text: str, found: list[str]) -> None:
    assert matching_names(text, [OTHER, NEW, OLD]) == found


def test_runs_are_listed_newest_first(trained: Path) -> None:
    assert [run.name for run in run_folders(trained)] == [OPEN, OTHER, NEW, OLD]
    assert run_folders(trained / "missing") == []


def test_the_latest_run_has_weights_and_the_configuration(trained: Path) -> None:
    assert resolve_training_run("latest", trained).name == OTHER
    assert resolve_training_run("latest", trained, "mine").name == NEW
    with pytest.raises(UserError, match="no finished 'third' training run") as caught:
        resolve_training_run("latest", trained, "third")
    assert OPEN in str(caught.value)
    deployed_only = trained.parent / "output_deploy/261127_090000_sent"
    assert resolve_training_run("sent", trained, also=[deployed_only]) == deployed_only


def test_several_are_listed_newest_first(trained: Path) -> None:
    with pytest.raises(UserError, match="'2611' may be any of 4 training runs") as caught:
        resolve_training_run("2611", trained)
    assert str(caught.value.hint).split("\n    ")[1:] == [OPEN, OTHER, NEW, OLD]


def test_a_wrong_name_lists_the_nearest(trained: Path) -> None:
    with pytest.raises(UserError, match=f"no training run 'frist-try'; did you mean '{NEW}'"):
        resolve_training_run("frist-try", trained)
    with pytest.raises(UserError, match="The folder holds no run"):
        resolve_run("any", [], "training run", trained)


def test_a_run_tells_its_configuration(trained: Path, tmp_path: Path) -> None:
    roots = Roots(tmp_path, tmp_path / "workspace", tmp_path)
    assert configuration_of_run("jaw", roots) == "other"
    (tmp_path / "configs/mine").mkdir(parents=True)
    with pytest.raises(UserError, match="'mine' is a configuration") as caught:
        configuration_of_run("mine", roots)
    assert "mine latest" in str(caught.value)
    make_run(trained, "261128_090000_foreign", None)
    with pytest.raises(UserError, match="does not record its configuration"):
        configuration_of_run("foreign", roots)


def test_a_model_is_a_folder_or_a_name(trained: Path) -> None:
    assert find_model(str(trained), trained) == trained
    assert find_model("jaw", trained) == trained / OTHER
    assert find_model("some/where", trained) == Path("some/where")
    with pytest.raises(UserError, match="there is no deployed model yet"):
        find_model("latest", trained / "missing")


def test_part_of_a_preprocessing_run_is_configured(tmp_path: Path) -> None:
    root = tmp_path / "workspace/output_preproc"
    for name, actor in (("261123_101500_mine", "ada"), ("261123_101501_mine", "ben"), ("261123_101502_more", "ada")):
        run = make_run(root, name)
        (run / "configs/actor_info.json").write_text(json.dumps({"actor_name": actor}))
    (tmp_path / "mine").mkdir()
    (tmp_path / "audio").mkdir()
    data = "ACTOR_NAMES = ['ada']\nCACHE_FPS = {'ada': 30}\nAUDIO_ROOT = SKIN_CACHE_ROOT = {'ada': 'audio'}\n"
    (tmp_path / "mine/config_dataset.py").write_text(data)
    (tmp_path / "mine/config_train.py").write_text("RUN_NAME = 'mine'\nNETWORK_TYPE = 'diffusion'\n")

    def runs(text: str) -> dict[str, str]:
        override = f"PREPROC_RUN_NAME_FULL.ada={text}"
        roots = Roots(tmp_path, tmp_path / "workspace")
        configuration = load("mine", stage="train", roots=roots, configs_folder=tmp_path, overrides=[override])
        return dict(configuration.train.PREPROC_RUN_NAME_FULL)

    assert runs("mine") == {"ada": "261123_101500_mine"}  # the other is of another actor
    with pytest.raises(UserError, match=r"'m' may be any of 2 preprocessing runs.*261123_101502_more 261123_101500"):
        runs("m")
