"""Prints a script by which a shell completes the command line, made by `shtab` of the parsers.

Names of configurations and of training runs are read from the home folder's `configs/` and `workspace/` while typing.
"""

from __future__ import annotations

import argparse

from audio2face.cli import parsers
from audio2face.cli.process import run_stage

_CONFIGS, _RUNS = "_audio2face_configs", "_audio2face_runs"
_HOME, _WORKSPACE = '"${A2F_HOME:-.}"', '"${A2F_WORKSPACE_ROOT:-${A2F_HOME:-.}/workspace}"'
_PREAMBLE = {
    "bash": f"""
{_CONFIGS}() {{ compgen -W "$(command ls {_HOME}/configs 2>/dev/null)" -- "$1"; }}
{_RUNS}() {{ compgen -W "$(command ls {_WORKSPACE}/output_train 2>/dev/null)" -- "$1"; }}
""",
    "zsh": f"""
{_CONFIGS}() {{ compadd -- $(command ls {_HOME}/configs 2>/dev/null) }}
{_RUNS}() {{ compadd -- $(command ls {_WORKSPACE}/output_train 2>/dev/null) }}
""",
}
_SHORT_NAME = {"bash": "complete -o bashdefault -F _shtab_audio2face a2f", "zsh": "compdef _shtab_audio2face a2f"}


def main(argv: list[str]) -> int:
    """Returns the exit status."""
    args = parsers.parse("completion", argv)
    import shtab

    preamble = _PREAMBLE.get(args.shell, "")
    script = shtab.complete(command_line(), shell=args.shell, root_prefix="audio2face", preamble=preamble)
    print(script)
    if args.shell in _SHORT_NAME:
        print(_SHORT_NAME[args.shell])
    return 0


def command_line() -> argparse.ArgumentParser:
    """One parser of all commands, with what their arguments complete to."""
    from audio2face.cli.main import COMMANDS

    result = argparse.ArgumentParser(prog="audio2face", allow_abbrev=False)
    commands = result.add_subparsers(dest="command")
    for name, command in COMMANDS.items():
        own = parsers.PARSERS[command.stage or name]()
        parser = commands.add_parser(name, parents=[own], add_help=False, help=command.summary)
        for action in parser._actions:
            _complete(action)
    return result


def _complete(action: argparse.Action) -> None:
    import shtab

    dynamic = {"config_name": _CONFIGS, "training_run_name_full": _RUNS, "resume": _RUNS}
    if action.dest in dynamic:
        function = dynamic[action.dest]
        action.complete = {"bash": function, "zsh": function}  # type: ignore[attr-defined]
    elif action.metavar in ("FILE", "FOLDER"):
        action.complete = shtab.FILE if action.metavar == "FILE" else shtab.DIRECTORY  # type: ignore[attr-defined]


if __name__ == "__main__":
    run_stage(main)
