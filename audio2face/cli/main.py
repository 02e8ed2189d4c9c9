"""The command `audio2face` (short `a2f`): finds the command that is asked for, and runs it.

Stages that take minutes or hours run in a process of their own under the supervisor, as host scripts run them; other
commands run in this process.
"""

from __future__ import annotations

import argparse
import importlib
import os
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import takewhile
from pathlib import Path
from typing import Any, NoReturn

from audio2face import __version__, log_settings
from audio2face.cli import local, parsers
from audio2face.cli.parsers.base import HelpFormatter
from audio2face.cli.parsers.command_parser import CommandParser
from audio2face.cli.settings import find_home, read_settings, stage_environment
from audio2face.cli.stage_process import say_missing
from audio2face.command_names import PROGRAM_VARIABLE
from audio2face.errors import UserError
from audio2face.extras import require
from audio2face.interrupts import AGAIN, print_stopped

PROGRAM = "audio2face"


@dataclass(frozen=True)
class Command:
    """One command.

    Attributes:
        module: the module that runs it.
        summary: what it does, in one line of help.
        stage: the name of its parser, where it differs from the command's.
        function: the function of the module that runs it: `function(argv) -> int`. A supervised module is started with
            the command's name where this is not `main`.
        supervised: runs in a process of its own, which Ctrl-C ends within two seconds at every moment.
        extras: what it needs beside the base installation, see `audio2face.extras`.
    """

    module: str
    summary: str
    stage: str | None = None
    function: str = "main"
    supervised: bool = False
    extras: tuple[str, ...] = ()


COMMANDS = {
    "init": Command("audio2face.cli.init", "write a configuration for a folder of data"),
    "import": Command(
        "audio2face.cli.import_data", "turn captures of a face into a data set with its configuration", supervised=True
    ),
    "check": Command(
        "audio2face.cli.stages", "find what is wrong with the raw data of actors", function="check", supervised=True
    ),
    "preproc": Command(
        "audio2face.cli.stages",
        "preprocess actors: components, coefficients, shots",
        function="preproc",
        supervised=True,
    ),
    "train": Command("audio2face.cli.stages", "train a network", function="train", supervised=True, extras=("train",)),
    "deploy": Command("audio2face.cli.deploy", "pack a trained network into a model folder", supervised=True),
    "animate": Command("audio2face.cli.animate", "animate a face from recordings", "inference", supervised=True),
    "serve": Command("audio2face.cli.serve", "serve models over gRPC to clients of Audio2Face-3D", extras=("serve",)),
    "live": Command("audio2face.cli.live", "animate a face while somebody speaks, for engines"),
    "rig": Command("audio2face.cli.rig", "show what a character has to speak with, and where its lips and lids are"),
    "evaluate": Command(
        "audio2face.cli.evaluate", "score networks on speech they have not seen", supervised=True, extras=("train",)
    ),
    "runs": Command("audio2face.cli.runs", "list runs with their figures, compare and remove them"),
    "sweep": Command("audio2face.cli.sweep", "train with several values of some parameters", extras=("train",)),
    "push": Command("audio2face.cli.deploy", "publish a deployed model on a hub", function="push"),
    "pull": Command("audio2face.cli.deploy", "fetch a published model from a hub", function="pull"),
    "run-all": Command("audio2face.cli.run_all", "all stages of a configuration", supervised=True, extras=("train",)),
    "quickstart": Command(
        "audio2face.cli.quickstart",
        "all stages on generated example actors",
        supervised=True,
        extras=("train", "example", "video", "gltf"),
    ),
    "doctor": Command("audio2face.cli.doctor", "show what there is to work with, and what is broken"),
    "completion": Command("audio2face.cli.completion", "print a script by which a shell completes the command line"),
}
EXIT_CODES = """\
exit codes:
  0    done
  1    done, with errors in the data or in some of the recordings
  2    wrong arguments, configuration or files: one message says what to do
  130  stopped by Ctrl-C; 143 by SIGTERM
"""


def main(argv: Sequence[str] | None = None) -> NoReturn:
    """The entry point: runs a command and ends the process with its status."""
    words = list(sys.argv[1:] if argv is None else argv)
    os.environ[PROGRAM_VARIABLE] = PROGRAM
    before = list(takewhile(lambda word: word in log_settings.OPTIONS, words))
    words = words[len(before) :]
    options = new_parser().parse_args(words[:1])
    if options.command is None:
        new_parser().print_help()
        sys.exit(2)
    run_command(options.command, [*before, *words[1:]])


def new_parser() -> argparse.ArgumentParser:
    """The parser of the first argument: the command, `--help` or `--version`."""
    width = max(map(len, COMMANDS))
    listed = "\n".join(f"  {name.ljust(width)}  {command.summary}" for name, command in COMMANDS.items())
    result = CommandParser(
        prog=PROGRAM,
        usage=f"{PROGRAM} COMMAND [ARGUMENT ...]",
        description=f"Trains networks that turn speech into facial animation, and animates with them.\n\n"
        f"commands:\n{listed}",
        epilog=f"example:\n  {PROGRAM} quickstart\n  {PROGRAM} train --help\n\n{EXIT_CODES}",
        formatter_class=HelpFormatter,
    )
    result.add_argument("--version", action="version", version=f"{PROGRAM} {__version__}")
    result.add_argument("command", nargs="?", choices=list(COMMANDS), metavar="COMMAND", help=argparse.SUPPRESS)
    return result


def run_command(name: str, argv: Sequence[str]) -> NoReturn:
    """Runs one command with its arguments and ends the process."""
    command = COMMANDS[name]
    stage = command.stage or name
    args = parsers.parse(stage, argv)
    _require(name, command.extras)
    if not command.supervised:
        from audio2face.cli.process import run_stage

        run_stage(getattr(_imported(command.module), command.function), arguments=list(argv))
    started = ["-m", command.module, *([] if command.function == "main" else [command.function])]
    home = find_home()
    variables = stage_environment(read_settings(home / ".env"), home)
    try:
        status = local.run_stage(stage, args, argv, variables, started, Path(sys.executable))
    except KeyboardInterrupt:
        print_stopped(AGAIN)
        status = 130
    sys.exit(status)


def _imported(module: str) -> Any:
    try:
        return importlib.import_module(module)
    except ModuleNotFoundError as error:
        say_missing(error)
        sys.exit(2)


def _require(name: str, extras: Sequence[str]) -> None:
    """Ends the process with one message where an extra is missing."""
    try:
        require(f"{PROGRAM} {name}", *extras)
    except UserError as error:
        from audio2face.console import fail

        fail(error)


if __name__ == "__main__":
    main()
