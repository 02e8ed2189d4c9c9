"""Runs are found by the whole of their configured name: those whose names only end the same are others."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from audio2face.cli import reuse
from audio2face.config import Configuration, Roots, load
from audio2face.errors import UserError
from audio2face.io.atomic import write_json
from audio2face.preproc.artifacts import identity_facts
from audio2face.preproc.run import find_resumable
from audio2face.runs import RunFolder, record
from audio2face.training.run import _OLDER, NEWEST, check_settings, find_resumable_run, select_run
from audio2face.training.run_folder import PREPROC_FILE


@pytest.mark.parametrize(
    ("folder", "name"),
    [
        ("261123_101500_try", "try"),
        ("261123_101500_first_try", "first_try"),
        ("261123_101500_261123_101500_try", "261123_101500_try"),
        ("first_try", None),
        ("261123_101500_", None),
        ("x261123_101500_try", None),
    ],
)
def test_the_name_of_a_run_is_read(folder: str, name: str | None) -> None:
    assert RunFolder(Path(folder)).run_name == name


def test_a_run_is_made_with_its_name(tmp_path: Path) -> None:
    assert RunFolder.create(tmp_path, "first_try").run_name == "first_try"


def training_run(root: Path, name: str, status: str = "stopped") -> RunFolder:
    run = root / name
    write_json(run / "network.json", {})
    write_json(run / "status.json", {"status": status})
    return RunFolder(run)


def settings(root: Path, name: str) -> Any:
    return SimpleNamespace(train=SimpleNamespace(TRAIN_OUTPUT_ROOT=root, RUN_NAME=name), full={"train": {}})


def test_training_resumes_its_own_run(tmp_path: Path) -> None:
    own = training_run(tmp_path, "261123_101500_try")
    other = training_run(tmp_path, "261123_111500_first_try")
    assert select_run(settings(tmp_path, "try"), NEWEST) == own
    assert select_run(settings(tmp_path, "first_try"), NEWEST) == other
    with pytest.raises(UserError, match="no unfinished run of 'st_try'"):
        select_run(settings(tmp_path, "st_try"), NEWEST)
    assert select_run(settings(tmp_path, "try"), "latest") == own
    assert select_run(settings(tmp_path, "try"), "first") == other
    with pytest.raises(UserError, match="no training run 'tri'; did you mean"):
        select_run(settings(tmp_path, "try"), "tri")


def test_preprocessing_resumes_its_own_run(tmp_path: Path) -> None:
    for name in ("261123_101500_try", "261123_111500_first_try"):
        for stem, fact in identity_facts("ann", "same").items():
            write_json(tmp_path / name / "configs" / f"{stem}.json", fact)
    for name, run in (("try", "261123_101500_try"), ("first_try", "261123_111500_first_try"), ("st_try", None)):
        found = find_resumable(tmp_path, name, "ann", "same")
        assert (found and found.name) == run


def test_the_quickstart_resumes_what_was_stopped(tmp_path: Path) -> None:
    preproc = {"ann": "261123_101400_run"}
    configuration = settings(tmp_path, "try")
    later = _OLDER  # values of parameters that older runs lack
    configuration.full = {
        "dataset": {"CACHE_FPS": {"ann": 30.0}, **later["dataset"]},
        "train": {"BATCH_SIZE": 1, **later["train"]},
    }
    configuration.train.PREPROC_RUN_NAME_FULL = {}
    configuration.dataset, configuration.roots = SimpleNamespace(ACTOR_NAMES=()), None

    def stopped(name: str, **changes: object) -> RunFolder:
        run = training_run(tmp_path, name, str(changes.get("status", "stopped")))
        write_json(run.path / PREPROC_FILE, {"preproc_run_name_full": changes.get("preproc", preproc)})
        write_json(run.path / "configs/config_dataset_full.json", configuration.full["dataset"])
        write_json(run.path / "configs/config_train_full.json", changes.get("train", configuration.full["train"]))
        if changes.get("checkpoint", True):
            (run.path / "checkpoints/00000007").mkdir(parents=True)
        return run

    own = stopped("261123_101500_try")
    stopped("261123_101600_try", status="done")
    stopped("261123_101700_try", preproc={"ann": "261123_101401_run"})
    stopped("261123_101800_try", train={"BATCH_SIZE": 2})
    stopped("261123_101900_try", checkpoint=False)
    stopped("261123_102000_first_try")
    assert find_resumable_run(configuration, preproc) == own
    assert find_resumable_run(configuration, {}) is None


def test_the_quickstart_reuses_its_own_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    own = training_run(tmp_path, "261123_101500_try", "done")
    training_run(tmp_path, "261123_111500_first_try", "done")
    opened = SimpleNamespace(
        configuration=SimpleNamespace(full={"train": {}}), preproc={"preproc_run_name_full": {"ann": "run"}}
    )
    monkeypatch.setattr(reuse.TrainingRun, "open", lambda _: opened)
    assert reuse.trained_run(settings(tmp_path, "try"), {"ann": "run"}) == own


def test_a_run_resumes_with_the_arguments_that_it_was_given(tmp_path: Path) -> None:
    def configured(*overrides: str) -> Configuration:
        roots = Roots(tmp_path, tmp_path)
        return load("quickstart-diffusion", stage="train", roots=roots, check_files=False, overrides=overrides)

    run = training_run(tmp_path, "261123_101500_try")
    given = ("LEARNING_RATE=0.5", "NETWORK_HYPER_PARAMS={'gru_feature_dim': 8}")
    record(run, configured(*given))
    write_json(run.path / PREPROC_FILE, {"preproc_run_name_full": {"ada": "261123_101400_run"}})
    check_settings(run, configured(*given))
    check_settings(run, configured(*given, "LOG_PERIOD=99"))  # which may change
    with pytest.raises(UserError, match=r"LEARNING_RATE was 0.5, is 0.001") as caught:
        check_settings(run, configured())
    assert str(caught.value.hint).startswith("It was started with --set LEARNING_RATE=0.5 --set 'NETWORK_HYPER_PARAMS=")
