"""All stages of a configuration in one call: resumed, with parameters, and refused before anything is computed."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace

import pytest

from audio2face.cli import init, run_all
from audio2face.config import ConfigError, load, stages_of_override
from audio2face.errors import UserError
from audio2face.io.arrays import read_json
from audio2face.runs import RunFolder, finished_runs

# The network learns nothing here: two steps.
QUICK = ["NUM_EPOCHS=2", "SKIN_PRUNE_SIM_DIST=40.0", "SKIN_SELECT_DISTINCT_MAX_ITER=60", "DEVICE=cpu"]
SETTINGS = [word for text in QUICK for word in ("--set", text)]


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, reference_data: Path) -> Path:
    """A home folder with the configuration "ann"; returns a recording."""
    monkeypatch.setenv("A2F_HOME", str(tmp_path))
    monkeypatch.setenv("A2F_DATASETS_ROOT", str(tmp_path / "datasets"))
    monkeypatch.setenv("A2F_WORKSPACE_ROOT", str(tmp_path / "workspace"))
    data = reference_data / "preproc/dataset"
    assert init.main(["ann", "--data", str(data), "--actor", "ann"]) == 0
    return data / "audio/s2_joy.wav"


def test_a_parameter_goes_to_the_stages_that_read_it() -> None:
    assert stages_of_override("NUM_EPOCHS=3") == ("train", "deploy", "inference")
    assert stages_of_override("PRUNE_STRIDE=3") == ("check", "preproc")
    assert stages_of_override("CACHE_FPS.ann=60") == ("check", "preproc", "train", "inference")
    assert stages_of_override("inference.CONFIG={}") == ("train", "deploy", "inference")
    for argument in ("NUM_EPOCHZ=3", "NUM_EPOCHS", "CONFIG.=1"):
        with pytest.raises(UserError, match="--set"):
            stages_of_override(argument)


def test_mistakes_show_before_anything_is_computed(
    project: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(run_all.stages, "check", lambda _: pytest.fail("the first stage has started"))
    with pytest.raises(UserError, match=r"nowhere\.wav: there is no such audio file"):
        run_all.main(["ann", "--audio", str(project), "nowhere.wav"])
    with pytest.raises(UserError, match="did you mean 'NUM_EPOCHS'"):
        run_all.main(["ann", "--set", "NUM_EPOCHZ=3"])
    with pytest.raises(ConfigError, match="--set LEARNING_RATE"):
        run_all.main(["ann", "--set", "LEARNING_RATE=fast"])
    # A mistake in the file of the last stage.
    with (tmp_path / "configs/ann/config_inference.py").open("a") as file:
        file.write('CONFIG = {"lower_face_strength": "much"}\n')
    with pytest.raises(ConfigError, match="lower_face_strength"):
        run_all.main(["ann"])


def test_errors_in_the_data_end_it(project: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(run_all.stages, "check", lambda _: 1)
    monkeypatch.setattr(run_all, "preprocess", lambda *_: pytest.fail("preprocessing has started"))
    assert run_all.main(["ann"]) == 1


def test_training_reads_what_was_preprocessed(project: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    newest = SimpleNamespace(folder=tmp_path / "261123_101500_ann")
    monkeypatch.setattr(run_all, "find_run", lambda *_: newest)
    configuration = load("ann", stage="train", check_files=False)
    stages = run_all._Project("ann", {"train": configuration}, tmp_path, 0.0)
    assert stages._on_runs({"ann": RunFolder(newest.folder)}) is configuration
    older = stages._on_runs({"ann": RunFolder(tmp_path / "261123_101400_ann")})
    assert older.train.PREPROC_RUN_NAME_FULL == {"ann": "261123_101400_ann"}


@pytest.mark.slow
def test_all_stages_run_and_go_on_where_they_were_stopped(
    project: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    def interrupted(*_: object) -> None:
        raise KeyboardInterrupt

    words = ["ann", "--audio", str(project), *SETTINGS, "--set", "lower_face_strength=1.1"]
    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
        patch.setattr(run_all, "deploy_once", interrupted)
        run_all.main(words)
    workspace = tmp_path / "workspace"
    (run,) = finished_runs(workspace / "output_train")
    assert not (workspace / "output_deploy").exists()
    assert read_json(run.path / "configs/overrides.json") == ["NUM_EPOCHS=2", "DEVICE=cpu"]

    assert run_all.main(words) == 0
    assert finished_runs(workspace / "output_train") == [run]
    output = workspace / "output_inference" / run.name
    (shown,) = output.glob("held_out_*")
    page = (shown / f"{shown.name}.html").read_text(encoding="utf-8")
    assert "ground truth" in page
    assert (output / "s2_joy_ann_neutral/s2_joy_ann_neutral.html").is_file()

    for name in ("audio2face.cli.reuse.train", "audio2face.cli.deploy.main", "audio2face.cli.run_all.show_shot"):
        monkeypatch.setattr(name, lambda *_: pytest.fail("what is complete was computed once more"))
    assert run_all.main(words) == 0
