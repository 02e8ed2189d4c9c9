"""A run that was trained for some steps is evaluated as a user does it: what the report says, and what is reused."""

from __future__ import annotations

import csv
import json
import re
import shutil
from collections.abc import Iterator
from fractions import Fraction
from pathlib import Path
from typing import Any
from urllib.parse import unquote

import numpy as np
import pytest

from audio2face.cli import evaluate as evaluate_command
from audio2face.cli.stages import exporter_of
from audio2face.config import load
from audio2face.dataset import ActorDataset
from audio2face.errors import UserError
from audio2face.evaluate.baselines import BASELINES, VISEME_RULES
from audio2face.evaluate.lips import resample_frames
from audio2face.evaluator.report_files import read_report
from audio2face.evaluator.results import Report
from audio2face.inference.animate import AnimationOptions, AnimationPipeline
from audio2face.model_folder import DeployedModel
from audio2face.preproc.run import preprocess
from audio2face.run_names import configured_name
from audio2face.training.run import train
from audio2face.training.run_folder import read_validation
from tools import golden_record

TEST_SHOT = "s2_joy"


@pytest.fixture(scope="module", params=["diffusion", "regression"])
def trained(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A home folder with a configuration, and a run of it with a test set."""
    network: str = request.param
    home = tmp_path_factory.mktemp(network)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("A2F_HOME", str(home))
        patch.setenv("A2F_DATASETS_ROOT", str(golden_record.DATASET))
        patch.setenv("A2F_WORKSPACE_ROOT", str(home / "workspace"))
        golden_record.write_configuration(home / "configs" / "small", network)
        with (home / "configs/small/config_dataset.py").open("a") as file:
            file.write(f'TEST_SHOTS = {{"ann": ["{TEST_SHOT}"]}}\n')
        preprocess(load("small", stage="preproc"), "ann")
        learning = load("small", stage="train")
        train(learning, exporter_of(learning))
        yield home


@pytest.fixture(scope="module")
def report(trained: Path) -> Report:
    assert evaluate_command.main(["small", "latest", "--jobs", "2"]) == 0
    return read_report(_folder(trained) / "report.json")


def _folder(home: Path) -> Path:
    return next((home / "workspace/output_evaluate").iterdir())


def test_what_is_reported(report: Report, trained: Path) -> None:
    assert [each.name for each in report.recordings] == [TEST_SHOT]
    assert report.chosen_by.startswith("Nothing was chosen on these shots")
    variants = [each.variant for each in report.subjects]
    assert variants[:3] == ["finished", "network output", "uncalibrated"]
    assert [each.name for each in report.subjects[3:]] == [*BASELINES, VISEME_RULES]
    assert len(next(iter(report.behaviours.values()))) >= 15
    folder = _folder(trained)
    assert {"report.html", "report.json", "scores.csv", "summary.csv"} <= {path.name for path in folder.iterdir()}
    (worst,) = report.worst.values()
    assert all((folder / moment.page).is_file() for moment in worst)
    linked = re.findall(r'href="([^"]*)" class="moment"', (folder / "report.html").read_text())
    assert all((folder / unquote(address.partition("#")[0])).is_file() for address in linked)
    assert len(linked) == len(worst)
    with (folder / "scores.csv").open(newline="") as file:
        assert len(list(csv.DictReader(file))) == len(report.subjects)


def test_a_network_trained_for_some_steps_is_flagged(report: Report) -> None:
    texts = [flag.text for flag in report.flags]
    assert any("not shown to be better than a linear map" in text for text in texts)
    assert any("Only 1 shot was evaluated" in text for text in texts)


def test_the_lip_error_is_that_of_the_animation_that_users_get(report: Report, trained: Path, tmp_path: Path) -> None:
    """By another way: the pipeline of `animate` at ten times the rate, whole arrays, no code of the evaluation."""
    model = DeployedModel.open(next((_folder(trained) / "deployed").iterdir()))
    dataset = ActorDataset.open("ann", load("small", stage="check").dataset)
    shot = dataset.shot(TEST_SHOT)
    rate = 10 * Fraction(dataset.fps)
    options = AnimationOptions(emotion=shot.emotion, fps=rate, blinks=False, solver=None)
    animation = AnimationPipeline(model, options).animate(shot.audio, tmp_path)
    skin = np.concatenate([animation.skin.frames[start : start + 100] for start in range(0, animation.num_frames, 100)])
    (recording,) = report.recordings
    # A written frame is shown from its beginning on: frame i is at i / fps.
    found = resample_frames(skin, float(rate), recording.frames, dataset.fps, 0)
    true = shot.skin().read(0, recording.frames)
    assert dataset.lip_dist is not None
    lips = np.unique(np.concatenate([dataset.lip_dist.upper, dataset.lip_dist.lower]))
    error = 10 * np.linalg.norm(found[:, lips] - true[:, lips], axis=-1).max(axis=1).mean()
    (name,) = [each.name for each in report.subjects if each.variant == "finished"]
    assert report.scores[name][TEST_SHOT]["lip_vertex_error"] == pytest.approx(error, rel=0.02)


def test_a_second_call_reuses_scores(report: Report, trained: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    started: list[Any] = []
    monkeypatch.setattr(
        "audio2face.evaluator.run.run_tasks", lambda _context, tasks, _jobs: started.extend(tasks) or iter(())
    )
    assert evaluate_command.main(["small", "latest"]) == 0
    assert started == []
    again = json.loads((_folder(trained) / "report.json").read_text())
    assert again["scores"] == json.loads(json.dumps(report.scores))


def test_other_recordings(report: Report, trained: Path, tmp_path: Path) -> None:
    for part in ("audio", "cache/skin", "xform"):
        shutil.copytree(golden_record.DATASET / part, tmp_path / "other" / part)
    for path in (tmp_path / "other/audio").glob("s[124]*"):
        path.unlink()
    target = tmp_path / "report"
    words = ["--on", str(tmp_path / "other"), "--quick", "--jobs", "1", "--to", str(target)]
    assert evaluate_command.main(["small", "latest", *words]) == 0
    found = read_report(target / "report.json")
    assert [each.shot for each in found.recordings] == ["s3_anger"]
    assert not any("training data of" in flag.text for flag in found.flags)
    assert found.quick
    assert not found.behaviours


def test_training_data_are_told(report: Report, trained: Path, tmp_path: Path) -> None:
    words = ["--on", str(golden_record.DATASET), "--quick", "--jobs", "1", "--to", str(tmp_path / "report")]
    assert evaluate_command.main(["small", "latest", *words]) == 0
    found = read_report(tmp_path / "report/report.json")
    (text,) = [flag.text for flag in found.flags if "training data of" in flag.text]
    held_out = 1 + len(read_validation_names(trained))
    assert text.startswith(f"{len(found.recordings) - held_out} of the recordings are training data of")


def read_validation_names(home: Path) -> set[str]:
    run = next((home / "workspace/output_train").iterdir())
    return {clip.shot for clip in read_validation(run, load("small", stage="train").roots) or ()}


@pytest.mark.parametrize(
    ("words", "problem"),
    [
        (["--on", "nowhere"], "there is no such data folder"),
        (["--region", "lips=nowhere.json"], "nowhere.json"),
        (["--actor", "eve"], "has no actor 'eve'"),
    ],
)
def test_what_is_refused(report: Report, words: list[str], problem: str, tmp_path: Path) -> None:
    with pytest.raises(UserError) as caught:
        evaluate_command.main(["small", "latest", *words, "--to", str(tmp_path / "report")])
    assert problem in str(caught.value)


def test_a_name_of_a_configuration_and_a_run_is_not_guessed(trained: Path) -> None:
    run = next((trained / "workspace/output_train").iterdir()).name
    name = str(configured_name(run))
    shutil.copytree(trained / "configs/small", trained / "configs" / name)
    with pytest.raises(UserError, match="is taken as the configuration") as caught:
        evaluate_command.main([name, run])
    shutil.rmtree(trained / "configs" / name)
    assert run in str(caught.value.hint)


def test_a_test_set_that_changed_is_told(report: Report, trained: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    record = next((trained / "workspace/output_train").iterdir()) / "configs/test_shots.json"
    before = record.read_text()
    first = json.loads(before)["test"][0]["recordings"][0]["sha256"]
    record.write_text(before.replace(first, "0" * 64))
    try:
        assert evaluate_command.main(["small", "latest", "--quick", "--jobs", "1"]) == 0
    finally:
        record.write_text(before)
    quick = next(path for path in (trained / "workspace/output_evaluate").iterdir() if path.name.endswith("quick"))
    assert any("have changed since training" in flag.text for flag in read_report(quick / "report.json").flags)
