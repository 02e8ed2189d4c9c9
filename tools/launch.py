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
from pathlib import Path
from typing import NoReturn, Sequence

from tools import arguments, environment

ROOT = Path(__file__).resolve().parent.parent
IMAGE = "audio2face-framework-env"
RUNTIMES = ("auto", "local", "docker")
SETTINGS = ("A2F_DATASETS_ROOT", "A2F_WORKSPACE_ROOT", "A2F_RUNTIME", "A2F_TORCH_INDEX", "A2F_MODELS_ROOT")
# Stages that read a configuration; the others (quickstart, tests) bring their own.
CONFIGURED = ("check", "preproc", "train", "deploy", "inference")
# As shells read it: a comment after a value stands apart, and quotes keep what looks like one.
_SETTING = re.compile(
    r"""(?:export\s+)?(?P<name>[A-Za-z_]\w*)\s*=\s*
    (?:(?P<quote>["'])(?P<quoted>.*?)(?P=quote)|(?P<plain>(?!["']).*?))(?:\s+\#.*)?""",
    re.VERBOSE,
)


def fail(message: str) -> NoReturn:
    """Ends the process with status 2 and one message on standard error."""
    print("[ERROR] " + message, file=sys.stderr, flush=True)
    sys.exit(2)


def read_settings(path: Path) -> dict[str, str]:
    """Reads `.env`: lines of NAME=VALUE, quotes and `export` optional, `#` comments; nothing in it is executed."""
    settings: dict[str, str] = {}
    if not path.is_file():
        return settings
    try:
        lines = path.read_text(encoding="utf-8-sig").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        fail(f"{path.name} cannot be read as UTF-8 text: {error}")
    for number, line in enumerate(lines, 1):
        text = line.strip()
        if not text or text.startswith("#"):
            continue
        match = _SETTING.fullmatch(text)
        if match is None or "\0" in text:
            fail(f"{path.name}: line {number} is not NAME=VALUE: {text!r}")
        name = match["name"]
        if name.startswith("A2F_") and name not in SETTINGS:
            fail(f"{path.name}: line {number}: there is no setting {name}; there are {', '.join(SETTINGS)}")
        settings[name] = match["quoted"] if match["quote"] else match["plain"]
    return settings


def stage_environment(settings: dict[str, str]) -> dict[str, str]:
    """The environment variables of a stage: the process's own, over those of `.env`, with absolute data roots."""
    merged = dict(settings)
    merged.update(os.environ)
    for name, folder in (("A2F_DATASETS_ROOT", "datasets"), ("A2F_WORKSPACE_ROOT", "workspace")):
        try:
            root = Path(merged.get(name) or folder).expanduser()
        except RuntimeError:
            fail(f"{name} is {merged[name]!r}: there is no such home folder")
        merged[name] = str(root if root.is_absolute() else (ROOT / root).resolve())
    merged["PYTHONPATH"] = str(ROOT)
    # The stages spread work over the cores themselves; numpy's own threads below that would only wait for each other.
    merged.setdefault("OPENBLAS_NUM_THREADS", "1")
    return merged


def in_container(variables: dict[str, str]) -> bool:
    """Whether this process already runs inside the Docker image."""
    return variables.get("A2F_IN_CONTAINER") == "1"


def image_is_built() -> bool:
    """Whether Docker answers and knows our image."""
    docker = shutil.which("docker")
    if docker is None:
        return False
    command = [docker, "image", "inspect", IMAGE]
    return subprocess.call(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) == 0


def choose_runtime(variables: dict[str, str]) -> str:
    """Returns "local" or "docker", or ends with one message that says what to install.

    `auto` prefers this machine's Python and falls back to the image where Python cannot do it.
    """
    wanted = variables.get("A2F_RUNTIME") or "auto"
    if wanted not in RUNTIMES:
        fail("A2F_RUNTIME is {!r}; expected one of {}.".format(wanted, ", ".join(RUNTIMES)))
    if in_container(variables):
        return "local"
    if wanted == "docker":
        if not image_is_built():
            fail(f"A2F_RUNTIME=docker, but the image {IMAGE} is not built: run ./docker/build_docker.sh")
        return "docker"
    problem = environment.why_not_here()
    if problem is None:
        return "local"
    if wanted == "auto" and image_is_built():
        return "docker"
    fail(problem + "\nOr go on with Docker: run ./docker/build_docker.sh once, then this command again.")


def docker_command(runner_arguments: Sequence[str], variables: dict[str, str]) -> list[str]:
    """The `docker run` that executes a command inside the image, as the calling user, with the data mounted.

    `--init` forwards signals and reaps children; `--rm` leaves no stopped container behind.
    """
    command = ["docker", "run", "--rm", "--init", "--ipc=host"]
    if hasattr(os, "getuid"):
        command += ["--user", f"{os.getuid()}:{os.getgid()}"]
    if shutil.which("nvidia-smi"):
        command += ["--gpus", "all"]
    if sys.stdout.isatty():
        command += ["--tty"]
    mounts = {"/datasets": variables["A2F_DATASETS_ROOT"], "/workspace": variables["A2F_WORKSPACE_ROOT"]}
    mounts["/framework"] = str(ROOT)
    for target, source in mounts.items():
        command += ["--volume", f"{source}:{target}"]
        name = f"EXTERNAL_A2F_{target[1:].upper()}_ROOT"
        command += ["--env", f"{name}={source}"]
    command += ["--env", "A2F_IN_CONTAINER=1", "--env", "HOME=/tmp", "--workdir", "/framework", IMAGE]
    return [*command, "python", *runner_arguments]


def write_configuration(python: Path, stage: str, args: argparse.Namespace, variables: dict[str, str]) -> Path:
    """Runs the user's configuration files once, apart from the stage, and returns the file of the checked result."""
    handle, name = tempfile.mkstemp(prefix="audio2face_", suffix=".json")
    os.close(handle)
    command = [str(python), "-m", "audio2face.config", args.config_name, "--stage", stage, "--output", name]
    for actor in getattr(args, "actor_names", None) or []:
        command += ["--actor", actor]
    status = subprocess.call(command, cwd=str(ROOT), env=variables)
    if status != 0:
        Path(name).unlink()
        sys.exit(status)
    return Path(name)


def replace_process(command: Sequence[str], variables: dict[str, str]) -> NoReturn:
    """Turns this process into the command, so that signals and the exit status need no passing on."""
    sys.stdout.flush()
    if os.name == "posix":
        os.execvpe(command[0], list(command), variables)
    sys.exit(subprocess.call(list(command), env=variables))


def run_stage(stage: str, argv: Sequence[str]) -> NoReturn:
    """Runs one stage with the arguments of its host script; does not return."""
    args = arguments.parse(stage, argv)
    for name in ("config_name", "training_run_name_full"):
        if getattr(args, name, None):
            print("Using {}: {}".format(name.replace("_", " ").title(), getattr(args, name)), file=sys.stderr)
    variables = stage_environment(read_settings(ROOT / ".env"))
    runner = ROOT / "runners" / f"run_{stage}.py"
    if not runner.is_file():
        fail(f"this version of the framework does not contain the stage {stage!r}")
    if choose_runtime(variables) == "docker":
        for name in ("A2F_DATASETS_ROOT", "A2F_WORKSPACE_ROOT"):
            Path(variables[name]).mkdir(parents=True, exist_ok=True)
        replace_process(docker_command(["runners/" + runner.name, *argv], variables), variables)
    python = local_python(variables, for_tests=stage == "tests")
    command = [str(python), str(runner), *argv]
    config_name: str | None = getattr(args, "config_name", None)
    if stage in CONFIGURED and config_name:
        command += ["--config-file", str(write_configuration(python, stage, args, variables))]
    replace_process(command, variables)


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
