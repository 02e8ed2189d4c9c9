"""All runs of a workspace are found with what they tell, compared, and removed where nothing needs them."""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console

from audio2face.cli import parsers
from audio2face.cli import runs as command
from audio2face.config import Roots
from audio2face.errors import UserError
from audio2face.inventory import Inventory, Run, RunProgress, plan_removal, scan
from audio2face.io.atomic import write_json, write_text
from audio2face.io.claims import exclusive_or_fail

PREPROC, OTHER_PREPROC = "261123_101500_face", "261123_101600_face"
FIRST, SECOND, OPEN = "261123_110000_first", "261124_110000_second", "261125_110000_open"
Command = Callable[..., Any]


def make_preproc(workspace: Path, name: str) -> None:
    run = workspace / "output_preproc" / name
    write_json(run / "configs/actor_info.json", {"actor_name": "ada"})
    write_json(run / "configs/configuration.json", {"name": "mine", "full": {"dataset": dataset()}})
    write_json(run / "report/report.json", {"skin": {"reconstruction_error_mm": {"mean_mm": 0.03}}})
    write_json(run / "status.json", {"status": "done", "seconds": 2.0})


def dataset() -> dict[str, Any]:
    caches = {"ada": "/datasets/ada/cache/skin"}
    return {"ACTOR_NAMES": ["ada"], "AUDIO_ROOT": {"ada": "/datasets/ada/audio"}, "SKIN_CACHE_ROOT": caches}


def make_train(workspace: Path, name: str, status: str = "done", root: str = "output_train", **train: Any) -> Path:
    run = workspace / root / name
    settings = {"NETWORK_TYPE": "diffusion", "NUM_EPOCHS": 60, "LEARNING_RATE": 0.001, "TABLE": {"a": 1}} | train
    write_json(run / "configs/configuration.json", {"name": "mine", "full": {"dataset": dataset(), "train": settings}})
    preproc = {"ada": f"/workspace/output_preproc/{PREPROC}"}
    write_json(run / "configs/preproc_info.json", {"preproc_folder": preproc})
    write_json(run / "network.json", {})
    write_json(run / "status.json", {"status": status, "seconds": 180.0})
    write_text(run / "metrics.csv", "step,epoch,minutes,metric,value\n30,4,1.5,loss,0.1\n30,4,1.5,lo")
    for step, error in ((10, 2.0), (20, 1.0), (30, 1.5)):
        write_json(run / f"checkpoints/{step:08d}/metrics.json", {"skin_error_mm": error, "lip_error_mm": None})
    write_text(run / "checkpoints/best", "00000020")
    if status == "done":
        write_json(run / "summary.json", {"steps": 660, "epochs": 60, "minutes": 3.0, "exported_step": 20})
        write_text(run / "weights.safetensors", "")
    return run


@pytest.fixture
def workspace(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("A2F_WORKSPACE_ROOT", str(tmp_path))
    for name in (PREPROC, OTHER_PREPROC):
        make_preproc(tmp_path, name)
    make_train(tmp_path, FIRST)
    make_train(tmp_path, SECOND, LEARNING_RATE=0.0003, TABLE={"a": 1, "b": 2}, TRAIN_OUTPUT_ROOT="/workspace/far")
    make_train(tmp_path, OPEN, "stopped", "far")
    model = tmp_path / "output_deploy" / FIRST
    write_json(model / "model.json", {"modelConfigPaths": ["model_config_ada.json"]})
    write_json(model / "network_info.json", {"id": {"type": "diffusion", "actor": "ada"}})
    write_text(tmp_path / "output_inference" / FIRST / "speech_ada_joy/page.html", "x" * 5000)
    return tmp_path


@pytest.fixture
def inventory(workspace: Path) -> Inventory:
    return scan(Roots(workspace, workspace))


@pytest.fixture
def run_command(workspace: Path, capsys: pytest.CaptureFixture[str]) -> Command:
    def run(*words: str) -> Any:
        capsys.readouterr()
        status = command.main([*words])
        shown = capsys.readouterr().out
        return json.loads(shown) if "--json" in words else (status, shown)

    return run


def one(inventory: Inventory, stage: str, name: str) -> Run:
    return next(run for run in inventory.runs if (run.stage, run.name) == (stage, name))


def test_all_runs_are_found_newest_first(inventory: Inventory) -> None:
    assert [(run.stage, run.name) for run in inventory.runs] == [
        ("preproc", OTHER_PREPROC),
        ("preproc", PREPROC),
        ("train", SECOND),
        ("train", FIRST),
        ("train", OPEN),  # in a folder that only another run tells of
        ("deploy", FIRST),
        ("inference", FIRST),
    ]


def test_a_run_tells_of_itself(inventory: Inventory) -> None:
    run = one(inventory, "train", FIRST)
    assert (run.configuration, run.network, run.actors, run.data) == ("mine", "diffusion", ("ada",), "/datasets/ada")
    assert run.progress == RunProgress(epoch=60, epochs=60, step=660, minutes=3.0)
    assert run.figures == {"skin_error_mm": 1.0}  # of the best checkpoint
    assert one(inventory, "train", OPEN).progress == RunProgress(epoch=3, epochs=60, step=30, minutes=1.5)
    assert one(inventory, "preproc", PREPROC).figures == {"skin_pca_error_mm": 0.03}
    assert one(inventory, "deploy", FIRST).actors == ("ada",)
    animations = one(inventory, "inference", FIRST)
    assert animations.progress.animations == 1
    assert animations.size >= 5000
    for name in ("scene/one", "scene/two"):  # in the folders of their recordings
        write_json(animations.path / name / "inputs.json", {})
    assert Run("inference", animations.path, animations.roots).progress.animations == 2


def test_what_was_made_from_what(inventory: Inventory) -> None:
    preproc, train, deploy = (
        one(inventory, *key) for key in (("preproc", PREPROC), ("train", FIRST), ("deploy", FIRST))
    )
    assert inventory.made_from(train) == [preproc]
    assert inventory.made_from(deploy) == [train]
    assert inventory.made_from(one(inventory, "inference", FIRST)) == [deploy]
    assert {run.name for run in inventory.used_by(preproc)} == {FIRST, SECOND, OPEN}
    assert inventory.used_by(one(inventory, "preproc", OTHER_PREPROC)) == []


def test_a_teacher_is_needed_until_its_student_is_done(workspace: Path) -> None:
    for name, status in (("261123_101500_live", "stopped"), ("261123_101600_live", "done")):
        write_json(make_train(workspace, name, status) / "configs/distillation.json", {"teacher": FIRST})
    inventory = scan(Roots(workspace, workspace))
    teacher = one(inventory, "train", FIRST)
    taught = [run.name for run in inventory.used_by(teacher) if run.stage == "train"]
    assert sorted(taught) == ["261123_101500_live", "261123_101600_live"]
    assert [run.name for run in inventory.needed_by(teacher)] == ["261123_101500_live"]


def test_the_status_tells_who_runs(workspace: Path) -> None:
    def status() -> str:
        return one(scan(Roots(workspace, workspace)), "train", OPEN).status

    folder = workspace / "far" / OPEN
    assert status() == "stopped"
    write_json(folder / "status.json", {"status": "running", "seconds": 1.0})
    assert status() == "killed"
    with exclusive_or_fail(folder / ".lock"):
        assert status() == "running"


def test_damaged_records_are_no_error(workspace: Path) -> None:
    for file in workspace.rglob("*.json"):
        if file.name != "model.json":
            file.write_text("[" * 9)
    for run in scan(Roots(workspace, workspace)).runs:
        assert command.describe(Inventory(run.roots, (run,)), run)["name"] == run.name


def test_the_list(run_command: Command) -> None:
    _, shown = run_command()
    for text in (FIRST, "epoch 60 of 60", "skin 1.00", "stopped", "1 animation", "deployed models"):
        assert text in shown
    found = run_command("--json", "--stage", "train")
    assert found["schema"] == 1
    assert [run["name"] for run in found["runs"]] == [SECOND, FIRST, OPEN]
    assert found["runs"][1]["used_by"] == [{"stage": "deploy", "name": FIRST}]


def test_a_narrow_terminal_shows_whole_names(run_command: Command, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(command, "_screen", lambda: Console(file=sys.stdout, width=80))
    _, shown = run_command()
    assert f"\n{FIRST}\n    mine, ada, done, epoch 60 of 60, step 660, skin 1.00 mm" in shown
    assert f"    made from: {PREPROC}" in shown
    assert max(map(len, shown.splitlines())) <= 80


def test_runs_are_compared(run_command: Command) -> None:
    found = run_command("compare", "first", "latest", "--json")
    assert found["runs"] == [FIRST, SECOND]
    assert found["parameters"] == {
        "train.LEARNING_RATE": {FIRST: 0.001, SECOND: 0.0003},
        "train.TABLE.b": {SECOND: 2},
        "train.TRAIN_OUTPUT_ROOT": {SECOND: "/workspace/far"},
    }
    assert found["figures"]["skin_error_mm"] == {FIRST: 1.0, SECOND: 1.0}
    _, shown = run_command("compare", "first", "second")
    assert "train.LEARNING_RATE" in shown
    with pytest.raises(UserError, match="the same run"):
        run_command("compare", "first", FIRST)


def test_what_is_needed_stays(run_command: Command, workspace: Path) -> None:
    with pytest.raises(UserError, match="is needed to resume or to deploy 3 other runs") as caught:
        run_command("rm", PREPROC, "--yes")
    assert f"{PREPROC} {SECOND} {FIRST} {OPEN} --stage preproc --stage train" in str(caught.value.hint)
    with pytest.raises(UserError, match="is a run of 3 stages"):
        run_command("rm", FIRST, "--yes")
    words = str(caught.value.hint).split("runs rm ")[1].split()
    assert run_command("rm", *words, "--dry-run")[0] == 0
    assert (workspace / "output_preproc" / PREPROC).is_dir()
    run_command("rm", *words, "--yes")
    left = [(run.stage, run.name) for run in scan(Roots(workspace, workspace)).runs]
    assert left == [("preproc", OTHER_PREPROC), ("deploy", FIRST), ("inference", FIRST)]
    assert not list(workspace.rglob("*.tmp"))


def test_a_running_run_stays(run_command: Command, workspace: Path, inventory: Inventory) -> None:
    planned = plan_removal(inventory, [one(inventory, "train", SECOND)])
    with exclusive_or_fail(workspace / "output_train" / SECOND / ".lock"):
        with pytest.raises(UserError, match="is running"):
            run_command("rm", SECOND, "--yes")
        with pytest.raises(UserError, match="is running"):  # one that was started since
            planned[0].carry_out()
    assert (workspace / "output_train" / SECOND).is_dir()


def test_removing_asks(run_command: Command, workspace: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(UserError, match="no terminal"):
        run_command("rm", SECOND)
    monkeypatch.setattr("sys.stdin.isatty", lambda: True, raising=False)
    monkeypatch.setattr("builtins.input", lambda _: "n")
    assert run_command("rm", SECOND)[0] == 1
    assert (workspace / "output_train" / SECOND).is_dir()
    monkeypatch.setattr("builtins.input", lambda _: "y")
    assert run_command("rm", SECOND)[0] == 0
    assert not (workspace / "output_train" / SECOND).exists()


def test_checkpoints_are_freed_but_the_best_and_the_last(run_command: Command, workspace: Path) -> None:
    found = run_command("rm", FIRST, "--checkpoints", "--yes", "--json")
    assert [each["name"] for each in found["removed"]] == [FIRST]
    steps = {path.name for path in (workspace / "output_train" / FIRST / "checkpoints").iterdir()}
    assert steps == {"best", "00000020", "00000030"}
    assert "Nothing can be freed" in run_command("rm", FIRST, "--checkpoints", "--yes")[1]


@pytest.mark.parametrize(
    "given",
    [
        ["compare", "one"],
        ["rm"],
        ["rm", "../one"],
        ["remove", "one"],
        ["--stage", "all"],
        ["compare", "one", "two", "--stage", "train", "--stage", "deploy"],
        ["rm", "one", "--checkpoints", "--stage", "deploy"],
    ],
)
def test_wrong_arguments(given: list[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        parsers.parse("runs", given)
    assert ended.value.code == 2


def test_hundreds_of_runs_take_a_moment(tmp_path: Path, run_command: Command) -> None:
    for number in range(300):
        make = tmp_path / "output_train" / f"261201_{number:06d}_many"
        write = {"name": "mine", "full": {"train": {"NUM_EPOCHS": 3}}}
        (make / "configs").mkdir(parents=True)
        (make / "configs/configuration.json").write_text(json.dumps(write))
    began = time.process_time()
    assert len(run_command("--json")["runs"]) == 307
    assert time.process_time() - began < 5
