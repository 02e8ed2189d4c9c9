"""Runs a stage in the Python environment of this process: checks its configuration first, then supervises it.

Standard library only, readable by any Python from 3.8 on.
"""

from __future__ import annotations

import argparse
import os
import re
import shutil
import subprocess
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from audio2face.cli.settings import fail

STAGE_PROCESS = Path(__file__).resolve().parent / "stage_process.py"
# Stages that read a configuration, and the stage that it is checked for; the others bring their own.
CONFIGURED = {
    "check": "check",
    "preproc": "preproc",
    "train": "train",
    "deploy": "deploy",
    "inference": "inference",
    "evaluate": "deploy",  # of a run that is not deployed, the deployed folder is made
}


def run_stage(
    stage: str,
    args: argparse.Namespace,
    argv: Sequence[str],
    variables: dict[str, str],
    command: Sequence[str],
    python: Path,
) -> int:
    """Runs one stage and returns the exit status.

    Args:
        stage: its name.
        args: its arguments, parsed.
        argv: its arguments.
        variables: its environment variables.
        command: what the interpreter runs: a script, or `-m` and a module.
        python: the interpreter.
    """
    command = [*processes(args, variables), *command, *argv]
    if stage not in CONFIGURED or not named_configuration(args):
        return supervise(python, command, variables)
    with temporary_folder() as folder:
        checked = folder / "configuration.json"
        status = write_configuration(python, stage, args, variables, checked)
        return status or supervise(python, [*command, "--config-file", str(checked)], variables)


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
    command = ["-m", "audio2face.config", *named_configuration(args), "--stage", CONFIGURED[stage], "--output", str(to)]
    for actor in getattr(args, "actor_names", None) or []:
        command += ["--actor", actor]
    for override in getattr(args, "overrides", []):
        command.append(f"--set={override}")
    return supervise(python, command, {**variables, "TMPDIR": str(to.parent)})


def named_configuration(args: argparse.Namespace) -> list[str]:
    """The configuration, or the training run whose configuration is meant; empty where neither is given."""
    run = getattr(args, "training_run_name_full", None)
    if getattr(args, "config_name", None):
        return [args.config_name]
    return ["--of-run", run] if run else []


def supervise(python: Path, command: Sequence[str], variables: dict[str, str]) -> int:
    """Runs a script, or `-m` and a module, with its arguments in the environment; returns the exit status."""
    if os.name != "posix":
        return subprocess.call([str(python), *command], env=variables)
    from audio2face.cli import supervisor

    return supervisor.supervise([str(python), str(STAGE_PROCESS), *command], variables)


def processes(args: argparse.Namespace, variables: dict[str, str]) -> list[str]:
    """Command prefix that starts several processes; empty for one."""
    count: int = getattr(args, "devices", 1)
    if count == 1:
        return []
    variables.setdefault("OMP_NUM_THREADS", str(max((os.cpu_count() or 1) // count, 1)))
    return ["-m", "audio2face.cli.supervisor", str(count), str(STAGE_PROCESS)]
