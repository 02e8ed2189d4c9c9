"""The image and the way into it, with a stand-in for the `docker` command that records what it was asked for."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path

import pytest

from tools import docker, environment, launch

ROOT = Path(__file__).parents[2]
STAGES = {
    "preproc": ["my-config", "mary"],
    "train": ["my-config", "--resume"],
    "deploy": ["my-config", "261123_101500_run"],
    "inference": ["my-config", "261123_101500_run", "--audio", "it's a space.wav"],
    "evaluate": ["my-config", "261123_101500_run", "--quick"],
}
# Answers what `image inspect` asks with the file `label`, where it is there; anything else is recorded, and ends as the
# files `status` and `wait` say.
STAND_IN = """#!{python}
import json, os, pathlib, signal, sys, time
here = pathlib.Path(__file__).parent
if sys.argv[1:3] == ["image", "inspect"]:
    if not (here / "label").exists():
        sys.exit((here / "problem").read_text())
    print((here / "label").read_text())
    sys.exit(0)
caught = []
signal.signal(signal.SIGTERM, lambda number, _: caught.append(number))
(here / "asked.json").write_text(json.dumps(sys.argv[1:]))
while (here / "wait").exists() and not caught:
    time.sleep(0.01)
sys.exit(143 if caught else 9)
"""


@dataclass
class Docker:
    """The stand-in, and a repository of its own that it is used from."""

    folder: Path
    repository: Path

    def start(self, *command: str, **variables: str) -> subprocess.Popen[str]:
        """Starts a command of the repository; variables may be set that a user would set."""
        clean = {name: value for name, value in os.environ.items() if not name.startswith("A2F_")}
        path = f"{self.folder}{os.pathsep}{clean['PATH']}"
        process: subprocess.Popen[str] = subprocess.Popen(
            [str(self.repository / command[0]), *command[1:]],
            env={**clean, "PATH": path, **variables},
            cwd=self.folder,
            stdin=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            text=True,
        )
        return process

    def ask(self, *command: str, **variables: str) -> list[str]:
        """What the stand-in is asked for by a command, whose status must be the stand-in's."""
        process = self.start(*command, **variables)
        _, errors = process.communicate(timeout=30)
        assert process.returncode == 9, errors
        asked: list[str] = json.loads((self.folder / "asked.json").read_text())
        return asked

    def refuse(self, *command: str, **variables: str) -> str:
        """The message with which a command refuses."""
        process = self.start(*command, **variables)
        _, errors = process.communicate(timeout=30)
        assert process.returncode == 2
        return errors

    def build(self) -> None:
        """As if the image had been built."""
        (self.folder / "label").write_text(docker.packages())


@pytest.fixture
def stand_in(tmp_path: Path) -> Docker:
    repository, folder = tmp_path / "the framework", tmp_path / "bin"
    folder.mkdir()
    repository.mkdir()
    for name in ("tools", "docker"):
        shutil.copytree(ROOT / name, repository / name)
    (repository / "audio2face").symlink_to(ROOT / "audio2face")
    for name in [environment.RUNTIME_LOCK, *(f"run_{stage}.py" for stage in STAGES)]:
        shutil.copy(ROOT / name, repository)
    (repository / "runners").mkdir()
    for stage in STAGES:
        (repository / "runners" / f"run_{stage}.py").touch()
    (folder / "docker").write_text(STAND_IN.format(python=sys.executable))
    (folder / "docker").chmod(0o755)
    (folder / "problem").write_text("Error: No such image: audio2face-framework-env")
    return Docker(folder, repository)


@pytest.mark.parametrize("stage", STAGES)
def test_a_stage_runs_inside_with_the_same_arguments(stand_in: Docker, stage: str) -> None:
    stand_in.build()
    asked = stand_in.ask(f"docker/run_{stage}.sh", *STAGES[stage])
    inside = ["python", f"run_{stage}.py", *STAGES[stage]]
    assert asked[-len(inside) - 1 :] == [docker.IMAGE, *inside]
    root = stand_in.repository
    for name in ("datasets", "workspace"):
        assert f"{root / name}:/{name}" in asked
        assert f"EXTERNAL_A2F_{name.upper()}_ROOT={root / name}" in asked
        assert (root / name).is_dir()  # Docker would make it as root
    assert f"{root}:/framework" in asked
    assert f"EXTERNAL_A2F_FRAMEWORK_ROOT={root}" in asked
    assert asked[:3] == ["run", "--rm", "--init"]
    assert asked[asked.index("--user") + 1] == f"{os.getuid()}:{os.getgid()}"
    assert asked[asked.index("--hostname") + 1].endswith("__docker")
    assert not {"--privileged", "--tty", "--cpus"} & set(asked)


def test_the_launcher_asks_for_the_same(stand_in: Docker) -> None:
    stand_in.build()
    (stand_in.repository / ".env").write_text('A2F_RUNTIME=docker\nA2F_DATASETS_ROOT="/big disk"\n')
    (stand_in.repository / "run_train.py").chmod(0o755)
    script = stand_in.repository / "run_train.py"
    script.write_text(f"#!{sys.executable}\n{script.read_text()}")
    asked = stand_in.ask("run_train.py", "my-config")
    assert asked == stand_in.ask("docker/run_train.sh", "my-config")
    assert "/big disk:/datasets" in asked


def test_the_shell_and_what_users_add(stand_in: Docker, tmp_path: Path) -> None:
    stand_in.build()
    asked = stand_in.ask(
        "docker/run_shell.sh",
        A2F_DOCKER_OPTIONS="--network host --env 'A=b c'",
        A2F_MODELS_ROOT=str(tmp_path / "models"),
        A2F_WORKSPACE_ROOT=str(tmp_path / "results"),
    )
    assert asked[-6:] == ["--network", "host", "--env", "A=b c", docker.IMAGE, "bash"]
    assert f"{tmp_path / 'models'}:/models" in asked
    assert f"{tmp_path / 'results'}:/workspace" in asked
    assert {"A2F_MODELS_ROOT=/models", "A2F_WORKSPACE_ROOT=/workspace"} <= set(asked)


def test_gpus_are_handed_on_where_there_is_a_driver(stand_in: Docker) -> None:
    stand_in.build()
    assert "--gpus" not in stand_in.ask("docker/run_shell.sh", PATH=f"{stand_in.folder}:/usr/bin:/bin")
    (stand_in.folder / "nvidia-smi").write_text("#!/bin/sh\n")
    (stand_in.folder / "nvidia-smi").chmod(0o755)
    asked = stand_in.ask("docker/run_shell.sh", CUDA_VISIBLE_DEVICES="1")
    assert asked[asked.index("--gpus") + 1] == "all"
    assert "CUDA_VISIBLE_DEVICES=1" in asked


@pytest.mark.parametrize(("options", "target"), [([], "cuda"), (["--cpu"], "cpu")])
def test_the_image_is_built(stand_in: Docker, options: list[str], target: str) -> None:
    asked = stand_in.ask("docker/build_docker.sh", *options, A2F_TORCH_INDEX="https://example.org/cu126")
    assert asked[0] == "build"
    assert asked[asked.index("--target") + 1] == target
    assert asked[asked.index("--tag") + 1] == docker.IMAGE
    assert asked[asked.index("--label") + 1] == f"audio2face.packages={docker.packages()}"
    assert ("TORCH_INDEX=https://example.org/cu126" in asked) == (target == "cuda")
    assert asked[-1] == str(stand_in.repository)


def test_what_is_missing_is_said(stand_in: Docker) -> None:
    command = ("docker/run_train.sh", "my-config")
    assert "is not built: run ./docker/build_docker.sh" in stand_in.refuse(*command)
    (stand_in.folder / "problem").write_text("Cannot connect to the Docker daemon")
    assert "Is its service started" in stand_in.refuse(*command)
    (stand_in.folder / "label").write_text("packages of last year")
    assert "built for another version" in stand_in.refuse(*command)
    stand_in.build()
    assert "A2F_DOCKER_OPTIONS" in stand_in.refuse(*command, A2F_DOCKER_OPTIONS="--env 'a")
    without = "/usr/bin:/bin" if shutil.which("docker", path="/usr/bin:/bin") is None else str(stand_in.repository)
    python = stand_in.repository / "python3"
    python.symlink_to(sys.executable)
    for tool in ("bash", "env", "dirname"):
        (stand_in.repository / tool).symlink_to(shutil.which(tool) or tool)
    assert "install Docker" in stand_in.refuse(*command, PATH=without)


def test_signals_reach_docker(stand_in: Docker) -> None:
    stand_in.build()
    (stand_in.folder / "wait").touch()
    process = stand_in.start("docker/run_train.sh", "my-config")
    while not (stand_in.folder / "asked.json").exists():
        assert process.poll() is None
        time.sleep(0.01)
    process.send_signal(signal.SIGTERM)
    assert process.wait(20) == 143


def test_a_container_is_not_started_from_within_one(stand_in: Docker) -> None:
    stand_in.build()
    process = stand_in.start("docker/run_train.sh", "my-config", A2F_IN_CONTAINER="1", A2F_RUNTIME="docker")
    process.communicate(timeout=30)
    assert not (stand_in.folder / "asked.json").exists()


def test_the_image_has_the_same_torch_as_the_local_environment() -> None:
    text = (ROOT / "docker/Dockerfile").read_text(encoding="utf-8")
    assert text.count(f'ARG TORCH="{environment.TORCH}"') == text.count("ARG TORCH=") == 2


def lint(program: str, *arguments: object) -> None:
    """Runs a linter that the test environment brings."""
    command = [str(Path(sys.executable).with_name(program)), *map(str, arguments)]
    done = subprocess.run(command, capture_output=True, text=True, cwd=ROOT)
    assert done.returncode == 0, done.stdout + done.stderr


def test_the_dockerfile_passes_its_linter() -> None:
    lint("hadolint", "docker/Dockerfile")


def test_shell_scripts_pass_their_linter() -> None:
    scripts = sorted((ROOT / "docker").glob("*.sh"))
    assert len(scripts) == 8
    lint("shellcheck", "--external-sources", *scripts, ".ci/run")
    assert all(os.access(script, os.X_OK) for script in scripts)


def test_the_image_stands_in_where_python_is_too_old(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(docker, "why_not_docker", lambda: None)
    monkeypatch.setattr(environment, "why_not_here", lambda: "too old")
    assert launch.choose_runtime({}) == "docker"
    with pytest.raises(SystemExit):
        launch.choose_runtime({"A2F_RUNTIME": "local"})
    monkeypatch.setattr(environment, "why_not_here", lambda: None)
    assert launch.choose_runtime({}) == "local"
    assert launch.choose_runtime({"A2F_RUNTIME": "docker"}) == "docker"
