"""The Docker image of the stages: how it is built, whether it is current, and the one `docker run` of everything.

    python -m tools.docker build [--cpu]    builds the image     (docker/build_docker.sh)
    python -m tools.docker shell            a shell inside it    (docker/run_shell.sh)

Standard library only, and readable by any Python from 3.8 on.
"""

from __future__ import annotations

import argparse
import getpass
import hashlib
import os
import re
import shlex
import shutil
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import NoReturn

from audio2face.cli.settings import fail, read_settings, stage_environment
from tools.environment import RUNTIME_LOCK, TORCH

IMAGE = "audio2face-framework-env"
_LABEL = "audio2face.packages"
_BUILD = "run ./docker/build_docker.sh"
# Seconds from the request to stop a container to its forced end: training saves a checkpoint meanwhile.
_SECONDS_TO_STOP = 120

ROOT = Path(__file__).resolve().parent.parent


def packages() -> str:
    """What the image is made from; an image of other packages is not this version's."""
    recipe = [ROOT / RUNTIME_LOCK, ROOT / "docker" / "Dockerfile"]
    return hashlib.sha256(b"".join(path.read_bytes() for path in recipe)).hexdigest()


def why_not_docker() -> str | None:
    """What keeps stages from running in the image, with what to do; None when nothing does."""
    docker = shutil.which("docker")
    if docker is None:
        return f"the command docker is not found: install Docker, then {_BUILD}"
    question = [docker, "image", "inspect", "--format", '{{index .Config.Labels "' + _LABEL + '"}}', IMAGE]
    done = subprocess.run(question, capture_output=True, text=True)
    if done.returncode == 0:
        if done.stdout.strip() == packages():
            return None
        return f"the image {IMAGE} was built for another version of the framework: {_BUILD}"
    if "no such image" in done.stderr.lower():
        return f"the image {IMAGE} is not built: {_BUILD}"
    return "Docker does not answer: {}\nIs its service started, and are you in the group docker?".format(
        done.stderr.strip() or f"status {done.returncode}"
    )


def run_command(inside: Sequence[str], variables: dict[str, str]) -> list[str]:
    """The `docker run` that executes a command inside the image, as the calling user, with the data mounted.

    `--init` hands signals on and reaps children; `--rm` leaves no stopped container behind. All cores are used, and
    all GPUs where there is a driver. The terminal is handed on where there is one on both ends: Docker then gives
    Ctrl-C to the stage as a terminal does, and otherwise forwards every signal itself.
    """
    command = ["docker", "run", "--rm", "--init", "--stop-timeout", str(_SECONDS_TO_STOP), "--ipc=host"]
    command += ["--hostname", _hostname()]
    if hasattr(os, "getuid"):
        command += ["--user", f"{os.getuid()}:{os.getgid()}"]
    if shutil.which("nvidia-smi"):
        # Processes on several GPUs exchange gradients through memory that is locked.
        command += ["--gpus", "all", "--ulimit", "memlock=-1", "--ulimit", "stack=67108864"]
        if "CUDA_VISIBLE_DEVICES" in variables:
            command += ["--env", "CUDA_VISIBLE_DEVICES=" + variables["CUDA_VISIBLE_DEVICES"]]
    if sys.stdin.isatty() and sys.stdout.isatty():
        command += ["--interactive", "--tty"]
    mounts = _mounts(variables)
    for target, source in mounts.items():
        command += ["--volume", f"{source}:{target}"]
        command += ["--env", f"EXTERNAL_A2F_{target[1:].upper()}_ROOT={source}"]
    # Over those of .env, which is mounted as well and names folders of this machine.
    for name in ("A2F_DATASETS_ROOT", "A2F_WORKSPACE_ROOT", *(["A2F_MODELS_ROOT"] if "/models" in mounts else [])):
        command += ["--env", f"{name}=/{name.split('_')[1].lower()}"]
    # The calling user has no home inside.
    command += ["--env", "HOME=/tmp", "--workdir", "/framework"]
    return [*command, *_own_options(variables), IMAGE, *inside]


def build_command(variables: dict[str, str], target: str) -> list[str]:
    """The `docker build` of the image.

    Args:
        variables: settings of the user.
        target: "cuda" or "cpu", the stages of the Dockerfile.
    """
    command = ["docker", "build", "--file", str(ROOT / "docker" / "Dockerfile"), "--target", target]
    command += ["--build-arg", f"TORCH={TORCH}", "--label", f"{_LABEL}={packages()}", "--tag", IMAGE]
    if target == "cuda" and variables.get("A2F_TORCH_INDEX"):
        command += ["--build-arg", "TORCH_INDEX=" + variables["A2F_TORCH_INDEX"]]
    return [*command, str(ROOT)]


def make_data_folders(variables: dict[str, str]) -> None:
    """Makes the folders that are mounted: Docker would make missing ones as root."""
    for source in _mounts(variables).values():
        try:
            Path(source).mkdir(parents=True, exist_ok=True)
        except OSError as error:
            fail(f"the folder {source} cannot be made: {error.strerror}")


def replace_process(command: Sequence[str], variables: dict[str, str]) -> NoReturn:
    """Turns this process into the command, so that signals and the exit status need no passing on."""
    sys.stdout.flush()
    if os.name == "posix":
        try:
            os.execvpe(command[0], list(command), variables)
        except FileNotFoundError:
            fail(f"the command {command[0]} is not found")
    sys.exit(subprocess.call(list(command), env=variables))


def _mounts(variables: dict[str, str]) -> dict[str, str]:
    """Folders of this machine by where the container sees them."""
    mounts = {"/datasets": variables["A2F_DATASETS_ROOT"], "/workspace": variables["A2F_WORKSPACE_ROOT"]}
    mounts["/framework"] = str(ROOT)
    if variables.get("A2F_MODELS_ROOT"):
        mounts["/models"] = variables["A2F_MODELS_ROOT"]
    return mounts


def _own_options(variables: dict[str, str]) -> list[str]:
    """What the user adds to every `docker run`."""
    try:
        return shlex.split(variables.get("A2F_DOCKER_OPTIONS", ""))
    except ValueError as error:
        fail(f"A2F_DOCKER_OPTIONS is {variables['A2F_DOCKER_OPTIONS']!r}: {error}")


def _hostname() -> str:
    """A name by which a prompt shows whose container it is, within what Linux takes as a name of a host."""
    try:
        user = getpass.getuser()
    except (KeyError, OSError):  # a number without a name
        user = "user"
    node = os.uname().nodename if hasattr(os, "uname") else "host"
    return re.sub(r"[^A-Za-z0-9_.-]", "-", f"{node[:30]}__{user[:20]}__docker")


def parser() -> argparse.ArgumentParser:
    """The command line of this module."""
    result = argparse.ArgumentParser(prog="tools.docker", description="Builds the image, or opens a shell in it.")
    commands = result.add_subparsers(dest="command", required=True)
    build = commands.add_parser("build", prog="build_docker.sh", help="build the image")
    build.add_argument("--cpu", action="store_true", help="without CUDA: smaller, for machines without an NVIDIA GPU")
    commands.add_parser("shell", prog="run_shell.sh", help="open a shell in the image")
    return result


def main(argv: Sequence[str]) -> NoReturn:
    args = parser().parse_args(argv)
    variables = stage_environment(read_settings(ROOT / ".env"), ROOT)
    if args.command == "build":
        replace_process(build_command(variables, "cpu" if args.cpu else "cuda"), variables)
    problem = why_not_docker()
    if problem is not None:
        fail(problem)
    make_data_folders(variables)
    replace_process(run_command(["bash"], variables), variables)


if __name__ == "__main__":
    main(sys.argv[1:])
