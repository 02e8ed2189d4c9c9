"""What the parsers of several commands share: types of arguments, and the first arguments.

Standard library only, readable by any Python from 3.8 on.
"""

from __future__ import annotations

import argparse
import re
import textwrap

from audio2face.cli.parsers.command_parser import CommandParser
from audio2face.command_names import as_typed

_IDENTIFIER = re.compile(r"[A-Za-z0-9_](?:[A-Za-z0-9_.-]*[A-Za-z0-9_])?")
_DEVICES = re.compile(r"(?:con|prn|aux|nul|com[0-9]|lpt[0-9])(?:\..*)?", re.IGNORECASE)  # of Windows
CONFIG_HELP = "name of a folder in configs/, such as example-diffusion"


def identifier(text: str) -> str:
    """A name that is safe as a name of a file (the same rule as audio2face.errors, which hosts cannot import)."""
    if _DEVICES.fullmatch(text):
        raise argparse.ArgumentTypeError(f"{text!a} is the name of a device on Windows: use another one")
    if len(text) <= 100 and ".." not in text and _IDENTIFIER.fullmatch(text):
        return text
    raise argparse.ArgumentTypeError(
        f"{text!a} is not a name: use up to 100 letters, digits, '_', '-' or '.', beginning and ending with a letter, "
        "digit or '_', without '..'"
    )


def seed(text: str) -> int:
    if re.fullmatch("[0-9]{1,9}", text, re.ASCII):
        return int(text)
    raise argparse.ArgumentTypeError(f"{text!a} is not a whole number from 0 to 999999999")


def name_or_nothing(text: str) -> str:
    """argparse sends the value of an option that was given none through its type as well."""
    return text and identifier(text)


def count(text: str) -> int:
    if re.fullmatch("[1-9][0-9]{0,2}", text, re.ASCII):
        return int(text)
    raise argparse.ArgumentTypeError(f"{text!a} is not a whole number from 1 to 999")


def parameter(text: str) -> tuple[str, float]:
    name, _, value = text.partition("=")
    try:
        return name.strip(), float(value)
    except ValueError:
        raise argparse.ArgumentTypeError(
            f"{text!a} is not NAME=NUMBER, such as lower_face_strength=1.2 (parameters of configurations have capitals)"
        ) from None


def setting(text: str) -> str:
    """NAME=VALUE; the configuration knows the names and reads the values."""
    name, equals, _ = text.partition("=")
    if equals and name.strip():
        return text
    raise argparse.ArgumentTypeError(f"{text!a} is not NAME=VALUE, such as NUM_EPOCHS=3")


class HelpFormatter(argparse.HelpFormatter):
    """Wraps descriptions line by line, so that their own line breaks and the indentation of examples stay."""

    def _fill_text(self, text: str, width: int, indent: str) -> str:
        wrapped = []
        for line in text.splitlines():
            start = indent + line[: len(line) - len(line.lstrip())]
            wrapped.append(textwrap.fill(line.strip(), width, initial_indent=start, subsequent_indent=start))
        return "\n".join(wrapped)


def new_parser(stage: str, description: str, example: str) -> argparse.ArgumentParser:
    """A parser of a command.

    Args:
        stage: the host script's, or the name of a command that has none.
        description: what the command does.
        example: command lines as a host script's user types them.
    """
    return CommandParser(
        has_log_options=stage != "tests",
        prog=as_typed(f"python run_{stage}.py").replace("python ", ""),
        description=as_typed(description),
        epilog="example:\n  " + as_typed(example),
        formatter_class=HelpFormatter,
    )


def command_parser(name: str, description: str, example: str) -> argparse.ArgumentParser:
    """A parser of a command that has no host script.

    Args:
        name: the command.
        description: what it does.
        example: its arguments, one line for each call.
    """
    lines = "".join(f"\n  audio2face {name} {line}".rstrip() for line in example.splitlines())
    return CommandParser(
        prog=f"audio2face {name}",
        description=as_typed(description),
        epilog=f"example:{lines}",
        formatter_class=HelpFormatter,
    )


def configured_parser(stage: str, description: str, example: str) -> argparse.ArgumentParser:
    """A parser with the configuration's name, and the file by which the launcher hands the checked result on."""
    result = new_parser(stage, description, example)
    result.add_argument("config_name", metavar="CONFIG_NAME", type=identifier, help=CONFIG_HELP)
    result.add_argument("--config-file", help=argparse.SUPPRESS)
    add_settings(result)
    return result


def add_settings(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--set",
        dest="overrides",
        metavar="NAME=VALUE",
        action="append",
        type=setting,
        default=[],
        help="a parameter of the configuration for this call, such as NUM_EPOCHS=3 or CACHE_FPS.ada=60; may be given "
        "several times",
    )


def add_parameters(group: argparse._ArgumentGroup) -> None:
    """Adds --set, of animation parameters."""
    group.add_argument(
        "--set",
        dest="parameters",
        metavar="NAME=NUMBER",
        action="append",
        type=parameter,
        default=[],
        help="an animation parameter, such as lower_face_strength=1.2; may be given several times",
    )


def add_precision(group: argparse._ArgumentGroup) -> None:
    """Adds --precision, of a deployed network."""
    group.add_argument(
        "--precision",
        choices=("float32", "int8"),
        default="float32",
        help="precision of the network's matrix products: as deployed (float32), or in 8 bits (int8), which is "
        "faster on a processor; the first call makes the network in int8, keeps it in the cache and says how many "
        "millimetres it is away (default: float32)",
    )


def run_parser(
    stage: str, description: str, optional: bool = False, more_examples: str = ""
) -> argparse.ArgumentParser:
    """A parser with a configuration and a training run.

    Args:
        stage: the stage.
        description: what it does.
        optional: another argument may stand for both.
        more_examples: what follows the example: more arguments, or lines.
    """
    result = new_parser(stage, description, f"python run_{stage}.py my-config 261123_101500_my-run{more_examples}")
    count = "?" if optional else None
    result.add_argument("config_name", metavar="CONFIG_NAME", type=identifier, nargs=count, help=CONFIG_HELP)
    result.add_argument(
        "training_run_name_full",
        metavar="TRAINING_RUN_NAME_FULL",
        type=identifier,
        nargs=count,
        help="a training run: its name, the end or a part of it, or 'latest'; alone, with the configuration that it "
        "records",
    )
    result.add_argument("--config-file", help=argparse.SUPPRESS)
    return result


def take_run(args: argparse.Namespace) -> None:
    """A single name is that of a run, whose configuration is the one that it records."""
    if args.config_name is not None and args.training_run_name_full is None:
        args.config_name, args.training_run_name_full = None, args.config_name
