"""The command line of a sweep.

Standard library only, readable by any Python from 3.8 on.
"""

from __future__ import annotations

import argparse
import re

from audio2face.cli.parsers.base import CONFIG_HELP, command_parser, count, identifier, seed, setting


def trials(text: str) -> int:
    if re.fullmatch("[1-9][0-9]{0,3}", text, re.ASCII):
        return int(text)
    raise argparse.ArgumentTypeError(f"{text!a} is not a whole number from 1 to 9999")


def sweep() -> argparse.ArgumentParser:
    result = command_parser(
        "sweep",
        "Trains a configuration with several values of some parameters, one run for\n"
        "each combination, and compares them by the validation metric that chooses\n"
        "the best weights. The same command again reuses finished trials and resumes\n"
        "stopped ones. Exit status: 0 done, 1 a trial failed, 2 a user error.",
        "my-config --set LEARNING_RATE=1e-4,3e-4\nmy-config --set BATCH_SIZE=int:1:8 --engine optuna --trials 9",
    )
    result.add_argument("config_name", metavar="CONFIG_NAME", type=identifier, help=CONFIG_HELP)
    result.add_argument(
        "--set",
        dest="overrides",
        metavar="NAME=VALUE,...",
        action="append",
        type=setting,
        required=True,
        help="a parameter with its values; commas inside brackets and quotes belong to a value, as in "
        "'SPEECH_ENCODER_LAYERS=[2],[3,4]'; with optuna also an interval: log:1e-5:1e-3, lin:0:1, int:1:8; may be "
        "given several times",
    )
    result.add_argument(
        "--trials", metavar="N", type=trials, help="a random part of the grid, or the number of trials of optuna"
    )
    result.add_argument("--seed", type=seed, default=0, help="chooses the part or the proposals (default: 0)")
    result.add_argument(
        "--jobs", metavar="N", type=count, default=1, help="trials at a time, on the same device (default: 1)"
    )
    result.add_argument(
        "--engine", choices=("grid", "optuna"), default="grid", help="how values are chosen (default: grid)"
    )
    return result


def check_sweep(parser: argparse.ArgumentParser, args: argparse.Namespace) -> None:
    """Optuna proposes without end."""
    if args.engine == "optuna" and args.trials is None:
        parser.error("--engine optuna needs --trials N")
