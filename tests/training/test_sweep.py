"""Sweeps: which trials there are, and that each is an ordinary training run that is found again."""

from __future__ import annotations

import csv
import json
import math
import os
import sys
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

import pytest

from audio2face.cli import sweep
from audio2face.config import Roots, load
from audio2face.errors import UserError
from audio2face.io.atomic import write_json
from audio2face.runs import RunFolder
from audio2face.training.sweep import (
    Axis,
    GridProposer,
    OptunaProposer,
    Range,
    TrialResult,
    draw_results,
    find_trial,
    parse_axis,
    ranked,
    trial_name,
    write_table,
)


@pytest.mark.parametrize(
    ("argument", "axis"),
    [
        ("LEARNING_RATE=1e-4,3e-4", Axis("LEARNING_RATE", ("1e-4", "3e-4"))),
        ("SPEECH_ENCODER_LAYERS=[2], [3,4]", Axis("SPEECH_ENCODER_LAYERS", ("[2]", "[3,4]"))),
        ('TIMESTEP_RESPACING="2,4",8', Axis("TIMESTEP_RESPACING", ('"2,4"', "8"))),
        ("LEARNING_RATE=log:1e-5:1e-3", Range("LEARNING_RATE", "log", 1e-5, 1e-3)),
        ("BATCH_SIZE=int:1:8", Range("BATCH_SIZE", "int", 1, 8)),
        ("BATCH_SIZE=2,2,4", Axis("BATCH_SIZE", ("2", "4"))),
    ],
)
def test_values_of_a_parameter(argument: str, axis: Axis | Range) -> None:
    assert parse_axis(argument) == axis


@pytest.mark.parametrize(
    ("argument", "message"),
    [
        ("BATCH_SIZE=2,,4", "a value is empty"),
        ("SPEECH_ENCODER_LAYERS=[2", "is not closed"),
        ("RUN_INFO='a", "is not closed"),
        ("LEARNING_RATE=log:0:1", "is no interval"),
        ("LEARNING_RATE=lin:2:1", "is no interval"),
        ("BATCH_SIZE=int:1:1.5", "is no interval"),
    ],
)
def test_values_that_are_none(argument: str, message: str) -> None:
    with pytest.raises(UserError, match=message):
        parse_axis(argument)


def test_the_grid_and_a_part_of_it() -> None:
    axes = [Axis("A", ("1", "2")), Axis("B", ("x", "y", "z"))]
    grid = GridProposer(axes, None, 0).propose(1)
    assert grid[:4] == [("A=1", "B=x"), ("A=1", "B=y"), ("A=1", "B=z"), ("A=2", "B=x")]
    assert len(set(grid)) == 6
    part = GridProposer(axes, 4, 7).propose(1)
    assert len(set(part)) == 4
    assert set(part) < set(grid)
    assert part == GridProposer(axes, 4, 7).propose(1)
    with pytest.raises(UserError, match="--trials"):
        GridProposer([Axis(name, tuple("0123456789")) for name in "ABCD"], None, 0)


class FakeTrial:
    """Proposes 0.5, 1.5, ...; real samplers have this interface."""

    def __init__(self, number: int) -> None:
        self.number = number

    def suggest_float(self, name: str, low: float, high: float, *, log: bool) -> float:
        return self.number + 0.5

    def suggest_int(self, name: str, low: int, high: int) -> int:
        return low + self.number

    def suggest_categorical(self, name: str, choices: list[str]) -> str:
        return choices[self.number % len(choices)]


def test_optuna_learns_of_every_trial(monkeypatch: pytest.MonkeyPatch) -> None:
    told: list[Any] = []
    count = iter(range(9))
    study = SimpleNamespace(
        ask=lambda: FakeTrial(next(count)),
        tell=lambda trial, value=None, state=None: told.append((trial.number, value, state)),
    )
    module = ModuleType("optuna")
    module.__dict__.update(
        logging=SimpleNamespace(set_verbosity=lambda level: None, WARNING=30),
        trial=SimpleNamespace(TrialState=SimpleNamespace(FAIL="fail")),
        samplers=SimpleNamespace(TPESampler=lambda seed: seed),
        create_study=lambda sampler: study,
    )
    monkeypatch.setitem(sys.modules, "optuna", module)
    axes = [
        Range("LEARNING_RATE", "log", 1e-5, 10),
        Range("BATCH_SIZE", "int", 1, 8),
        Axis("COMPILE", ("True", "False")),
    ]
    proposer = OptunaProposer(axes, trials=3, seed=1)
    first, second = proposer.propose(2)
    assert first == ("LEARNING_RATE=0.5", "BATCH_SIZE=1", "COMPILE=True")
    proposer.report(second, math.inf)
    proposer.report(first, 2.0)
    assert told == [(1, None, "fail"), (0, 2.0, None)]
    assert len(proposer.propose(2)) == 1
    assert proposer.propose(2) == []


def result(number: int, rate: str, score: float | None) -> TrialResult:
    metrics = {} if score is None else {"lip_error_mm": score}
    run = None if score is None else f"261130_101500_first-{number}"
    return TrialResult(number, (f"LEARNING_RATE={rate}",), run, metrics, "lip_error_mm", 1.5, int(score is None))


def test_the_report_has_the_best_first(tmp_path: Path) -> None:
    results = [result(1, "1e-4", 2.0), result(2, "1e-2", None), result(3, "3e-4", 1.0)]
    assert [each.number for each in ranked(results)] == [3, 1, 2]
    write_table(results, tmp_path / "sweep.csv")
    rows = list(csv.DictReader((tmp_path / "sweep.csv").open()))
    assert [row["status"] for row in rows] == ["done", "done", "failed (1)"]
    assert rows[0]["LEARNING_RATE"] == "3e-4"
    assert rows[0]["lip_error_mm"] == "1"
    assert draw_results(results, tmp_path / "sweep.png")
    assert not draw_results(results[1:2], tmp_path / "none.png")


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A project whose trainings are folders with a summary."""
    folder = tmp_path / "configs" / "mine"
    folder.mkdir(parents=True)
    dataset = 'ACTOR_NAMES = ["ada"]\nCACHE_FPS = {"ada": 30.0}\nAUDIO_ROOT = SKIN_CACHE_ROOT = {"ada": "ada"}\n'
    (folder / "config_dataset.py").write_text(dataset)
    (folder / "config_train.py").write_text('NETWORK_TYPE = "regression"\nRUN_NAME = "first"\n')
    (tmp_path / "datasets" / "ada").mkdir(parents=True)
    monkeypatch.setenv("A2F_HOME", str(tmp_path))
    for name in ("datasets", "workspace"):
        monkeypatch.setenv(f"A2F_{name.upper()}_ROOT", str(tmp_path / name))
    monkeypatch.setattr(sweep, "_preproc_runs", lambda configuration: {"ada": "261130_090000_ada"})
    return tmp_path


class FakeTraining:
    """A process that has trained: of a rate of 1e-3, without success."""

    commands: list[list[str]]

    def __init__(self, command: list[str], **_: Any) -> None:
        self.commands.append(command)
        settings = dict(word.removeprefix("--set=").split("=", 1) for word in command if word.startswith("--set="))
        self.status = int(settings["LEARNING_RATE"] == "1e-3")
        root = Path(os.environ["A2F_WORKSPACE_ROOT"]) / "output_train"
        run = RunFolder.create(root, settings["RUN_NAME"])
        if self.status == 0:
            metrics = {"lip_error_mm": 1e4 * float(settings["LEARNING_RATE"])}
            write_json(run.path / "summary.json", {"best_metric": "lip_error_mm", "exported_metrics": metrics})
            write_json(run.path / "status.json", {"status": "done"})

    def wait(self) -> int:
        return self.status


def test_finished_trials_are_reused(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    FakeTraining.commands = []
    monkeypatch.setattr(sweep, "subprocess", SimpleNamespace(Popen=FakeTraining))
    arguments = ["mine", "--set", "LEARNING_RATE=3e-4,1e-4,1e-3", "--set", "SEQ_STRIDE=2"]
    assert sweep.main(arguments) == 1
    assert len(FakeTraining.commands) == 3
    assert FakeTraining.commands[0][3:7] == ["train", "mine", "--set=LEARNING_RATE=3e-4", "--set=SEQ_STRIDE=2"]
    (table,) = (home / "workspace" / "output_sweep").glob("mine-*/sweep.csv")
    rows = list(csv.DictReader(table.open()))
    assert [row["LEARNING_RATE"] for row in rows] == ["1e-4", "3e-4", "1e-3"]
    assert (table.parent / "sweep.png").is_file()
    assert sweep.main(arguments) == 1
    assert len(FakeTraining.commands) == 4, "only the failed one is trained again"


def test_invalid_values_show_before_anything_is_trained(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sweep, "subprocess", None)
    with pytest.raises(UserError, match="LEARNING_RATE"):
        sweep.main(["mine", "--set", "LEARNING_RATE=1e-4,fast"])
    for arguments, message in (
        (["--set", "LEARNING_RATE=log:1e-5:1e-3"], "--engine optuna"),
        (["--set", "BATCH_SIZE=1", "--set", "BATCH_SIZE=2"], "is given twice"),
        (["--set", "RUN_NAME=a,b"], "names its runs itself"),
    ):
        with pytest.raises(UserError, match=message):
            sweep.main(["mine", *arguments])


def test_a_trial_is_named_by_what_determines_its_weights(home: Path) -> None:
    def name(*overrides: str) -> str:
        roots = Roots(home / "datasets", home / "workspace")
        trial = load("mine", stage="train", roots=roots, configs_folder=home / "configs", overrides=overrides)
        return trial_name(trial, {"ada": "261130_090000_ada"})

    assert name() == name("TRACKERS=['csv']") == name("RNG_SEED_TORCH=42")
    assert name() != name("RNG_SEED_TORCH=1")
    assert name().startswith("first-")


def test_a_stopped_trial_is_resumed(tmp_path: Path) -> None:
    run = tmp_path / "261130_101500_first-0123456789"
    (run / "checkpoints").mkdir(parents=True)
    assert find_trial(tmp_path, "first-0123456789") == (None, None)
    (run / "checkpoints" / "last").write_text("00000010")
    assert find_trial(tmp_path, "first-0123456789") == (None, RunFolder(run))
    (run / "status.json").write_text(json.dumps({"status": "done"}))
    assert find_trial(tmp_path, "first-0123456789") == (RunFolder(run), None)
