"""The VSCode configuration: entries that start existing files, and debug runners with editable names."""

from __future__ import annotations

import ast
import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).parents[2]
STAGES = {
    "Preprocessing": "preproc",
    "Training": "train",
    "Deployment": "deploy",
    "Inference": "inference",
    "Evaluation": "evaluate",
}


def settings(name: str) -> dict[str, Any]:
    value: dict[str, Any] = json.loads((ROOT / name).read_text(encoding="utf-8"))
    return value


def test_every_entry_starts_what_is_there() -> None:
    entries = {entry["name"]: entry for entry in settings(".vscode/launch.json")["configurations"]}
    assert entries["Debug Current File"]["program"] == "${file}"
    for title, stage in STAGES.items():
        entry = entries[f"Debug {title}"]
        assert entry["program"] == f"${{workspaceFolder}}/runners/run_{stage}_debug.py"
        assert Path(entry["program"].replace("${workspaceFolder}", str(ROOT))).is_file()
        assert entry["env"] == {"PYTHONPATH": "${workspaceFolder}"}
    for task in settings(".vscode/tasks.json")["tasks"]:
        named = [word for word in task["command"].split() if word.endswith((".py", ".sh"))]
        assert all((ROOT / word).is_file() for word in named), task["label"]


def test_editor_settings_are_read() -> None:
    assert settings(".vscode/settings.json")["files.eol"] == "\n"
    recommended = settings(".vscode/extensions.json")["recommendations"]
    container = settings(".devcontainer/devcontainer.json")
    assert set(container["customizations"]["vscode"]["extensions"]) <= set(recommended)
    assert container["workspaceFolder"] == "/framework"
    assert "--privileged" not in container["runArgs"]


def debug(stage: str, *arguments: str, **variables: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, str(ROOT / f"runners/run_{stage}_debug.py"), *arguments]
    clean = {name: value for name, value in os.environ.items() if not name.startswith("A2F_")}
    environment = {**clean, "PYTHONPATH": str(ROOT), **variables}
    return subprocess.run(command, env=environment, capture_output=True, text=True)


@pytest.mark.parametrize("stage", STAGES.values())
def test_names_stand_at_the_top_of_a_debug_runner(stage: str) -> None:
    source = (ROOT / f"runners/run_{stage}_debug.py").read_text(encoding="utf-8")
    (names,) = [node.value for node in ast.parse(source).body if isinstance(node, ast.Assign)]
    assert isinstance(names, ast.Call)
    assert ast.unparse(names.func) == "SimpleNamespace"
    assert all(isinstance(keyword.value, ast.Constant) for keyword in names.keywords)
    assert "config_name" in [keyword.arg for keyword in names.keywords]


def test_names_give_way_to_variables_and_these_to_arguments(tmp_path: Path) -> None:
    roots = {"A2F_WORKSPACE_ROOT": str(tmp_path), "A2F_DATASETS_ROOT": str(tmp_path)}
    assert "example-diffusion" in debug("train", **roots).stderr
    assert "no configuration 'from-variable'" in debug("train", A2F_CONFIG_NAME="from-variable", **roots).stderr
    given = debug("train", "given", "--resume", A2F_CONFIG_NAME="from-variable", **roots)
    assert given.returncode == 2
    assert "no configuration 'given'" in given.stderr
