"""Decides where a stage runs (this machine's .venv, or the Docker image) and with what paths, and starts it.

Standard library only, and readable by any Python from 3.8 on: it must be able to say what is missing.
The stages themselves live in runners/ and run inside the prepared environment.
"""

from __future__ import annotations

import argparse
import os
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from tools import arguments, docker, environment
from tools.settings import ROOT, fail, read_settings, stage_environment

_STAGE_PROCESS = ROOT / "tools" / "stage_process.py"
RUNTIMES = ("auto", "local", "docker")
# Stages that read a configuration; the others (quickstart, tests) bring their own.
CONFIGURED = ("check", "preproc", "train", "deploy", "inference")


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


@contextmanager
def temporary_folder() -> Iterator[Path]:
    """A folder for the checked configuration and what is needed to check it, which is removed at the end.

    Those of earlier calls that were killed are removed as well: their names tell which process they belonged to.
    """
    for path in Path(tempfile.gettempdir()).glob("audio2face_*"):
        owner = re.fullmatch(r"audio2face_(\d+)_\w+", path.name)
        if owner and not _is_alive(int(owner[1])):
            shutil.rmtree(path, ignore_errors=True)
    try:
        folder = Path(tempfile.mkdtemp(prefix=f"audio2face_{os.getpid()}_"))
    except OSError as error:
        fail(f"no temporary folder can be made: {error}. Set TMPDIR to a folder with free space.")
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _is_alive(process: int) -> bool:
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    except (PermissionError, OverflowError):  # another user's; no process
        return True
    return True


def write_configuration(python: Path, stage: str, args: argparse.Namespace, variables: dict[str, str], to: Path) -> int:
    """Runs the user's configuration files once, apart from the stage, and writes the checked result.

    Returns:
        The exit status: 0, or that of what went wrong.
    """
    command = ["-m", "audio2face.config", args.config_name, "--stage", stage, "--output", str(to)]
    for actor in getattr(args, "actor_names", None) or []:
        command += ["--actor", actor]
    for override in getattr(args, "overrides", []):
        command.append(f"--set={override}")
    return supervise(python, command, {**variables, "TMPDIR": str(to.parent)})


def supervise(python: Path, command: Sequence[str], variables: dict[str, str]) -> int:
    """Runs a script, or `-m` and a module, with its arguments in the environment; returns the exit status."""
    if os.name != "posix":
        return subprocess.call([str(python), *command], env=variables)
    from tools import supervisor

    return supervisor.supervise([str(python), str(_STAGE_PROCESS), *command], variables)


def run_stage(stage: str, argv: Sequence[str]) -> int:
    """Runs one stage with the arguments of its host script, and returns the exit status."""
    args = arguments.parse(stage, argv)
    for name in ("config_name", "training_run_name_full"):
        if getattr(args, name, None):
            print("Using {}: {}".format(name.replace("_", " ").title(), getattr(args, name)), file=sys.stderr)
    variables = stage_environment(read_settings(ROOT / ".env"))
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
    command = [*_processes(args, variables), str(runner), *argv]
    if stage not in CONFIGURED or not getattr(args, "config_name", None):
        return supervise(python, command, variables)
    with temporary_folder() as folder:
        checked = folder / "configuration.json"
        status = write_configuration(python, stage, args, variables, checked)
        return status or supervise(python, [*command, "--config-file", str(checked)], variables)


def _processes(args: argparse.Namespace, variables: dict[str, str]) -> list[str]:
    """What stands before a runner of which several processes are wanted."""
    count: int = getattr(args, "devices", 1)
    if count == 1:
        return []
    variables.setdefault("OMP_NUM_THREADS", str(max((os.cpu_count() or 1) // count, 1)))
    return [str(ROOT / "runners" / "run_processes.py"), str(count), str(_STAGE_PROCESS)]


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
