"""Decides where a stage runs (this machine's .venv, or the Docker image) and with what paths, and starts it.

Standard library only, and readable by any Python from 3.8 on: it must be able to say what is missing.
The stages themselves live in runners/ and run inside the prepared environment.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from pathlib import Path

from audio2face.cli import local, parsers
from audio2face.cli.settings import absolute, fail, read_settings, stage_environment
from audio2face.home import HOME_VARIABLE
from tools import docker, environment

ROOT = Path(__file__).resolve().parent.parent
RUNTIMES = ("auto", "local", "docker")


def in_container(variables: dict[str, str]) -> bool:
    """Whether this process already runs inside the Docker image."""
    return variables.get("A2F_IN_CONTAINER") == "1"


def choose_runtime(variables: dict[str, str]) -> str:
    """Returns "local" or "docker", or ends with one message about what to install.

    `auto` prefers this machine's Python and falls back to the image where Python cannot do it.
    """
    wanted = variables.get("A2F_RUNTIME") or "auto"
    if wanted not in RUNTIMES:
        fail("A2F_RUNTIME is {!r}; expected one of {}.".format(wanted, ", ".join(RUNTIMES)))
    if in_container(variables):
        return "local"
    if wanted == "docker":
        missing = docker.why_not_docker()
        if missing is not None:
            fail("A2F_RUNTIME=docker, but " + missing)
        return "docker"
    problem = environment.why_not_here()
    if problem is not None and (wanted == "local" or docker.why_not_docker() is not None):
        fail(problem + "\nOr use Docker: run ./docker/build_docker.sh once, then this command again.")
    return "local" if problem is None else "docker"


def run_stage(stage: str, argv: Sequence[str]) -> int:
    """Runs one stage with the arguments of its host script, and returns the exit status."""
    args = parsers.parse(stage, argv)
    for name in ("config_name", "training_run_name_full"):
        if getattr(args, name, None):
            print("Using {}: {}".format(name.replace("_", " ").title(), getattr(args, name)), file=sys.stderr)
    home = home_folder()
    variables = {**stage_environment(read_settings(home / ".env"), home), "PYTHONPATH": str(ROOT)}
    runner = ROOT / "runners" / f"run_{stage}.py"
    if not runner.is_file():
        fail(f"this version of the framework does not contain the stage {stage!r}")
    if choose_runtime(variables) == "docker":
        docker.make_data_folders(variables)
        # Inside, the same host script: it checks the configuration there and starts as many processes as are asked for.
        docker.replace_process(docker.run_command(["python", f"run_{stage}.py", *argv], variables), variables)
    python = local_python(variables, for_tests=stage == "tests")
    if stage == "tests":  # pytest has a way of its own to end
        docker.replace_process([str(python), str(runner), *argv], variables)
    return local.run_stage(stage, args, argv, variables, [str(runner)], python)


def home_folder() -> Path:
    """The folder of `configs/` and `.env`: A2F_HOME, else the repository."""
    return absolute(HOME_VARIABLE, os.environ.get(HOME_VARIABLE) or str(ROOT), Path.cwd())


def local_python(variables: dict[str, str], for_tests: bool) -> Path:
    """The interpreter of the prepared environment: the container's own, or that of `.venv`."""
    if in_container(variables):
        return Path(sys.executable)
    try:
        return environment.prepare(ROOT, for_tests=for_tests, torch_index=variables.get("A2F_TORCH_INDEX"))
    except environment.PreparationError as error:
        fail(str(error))
    except OSError as error:
        fail(f"the environment in {ROOT / '.venv'} cannot be prepared: {error}. Is the folder writable, the disk full?")
