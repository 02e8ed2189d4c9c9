"""The command lines of checking, preprocessing, training, sweeps, deployment, quickstart and tests.

Standard library only, readable by any Python from 3.8 on.
"""

from __future__ import annotations

import argparse
import re

from audio2face.cli.parsers.base import (
    CONFIG_HELP,
    add_settings,
    command_parser,
    configured_parser,
    count,
    identifier,
    name_or_nothing,
    new_parser,
    run_parser,
    seed,
    setting,
    take_run,
)


def check() -> argparse.ArgumentParser:
    result = configured_parser(
        "check",
        "Checks the raw data of a configuration's actors, and reports all faults with their fixes.\n"
        "Exit status: 0 nothing wrong or warnings only, 1 errors, 2 a user error in the configuration or arguments.",
        "python run_check.py quickstart-diffusion ada",
    )
    result.add_argument(
        "actor_names", metavar="ACTOR_NAME", nargs="*", type=identifier, help="actors (default: ACTOR_NAMES)"
    )
    result.add_argument("--json", metavar="FILE", help="also write the findings as JSON ('-': only that, to stdout)")
    result.add_argument(
        "--head-motion-limit",
        metavar="CM",
        type=float,
        help="rigid head motion above this many centimetres is an error",
    )
    return result


def preproc() -> argparse.ArgumentParser:
    result = configured_parser(
        "preproc",
        "Stage 1: turns the raw data of actors into what training reads (shapes, coefficients, shot list).",
        "python run_preproc.py quickstart-diffusion ada",
    )
    result.add_argument("actor_names", metavar="ACTOR_NAME", nargs="*", type=identifier, help="one or more actors")
    result.add_argument("--all", action="store_true", help="all actors of ACTOR_NAMES")
    return result


def train() -> argparse.ArgumentParser:
    result = configured_parser(
        "train",
        "Stage 2: trains the network of a configuration. Ctrl-C saves and stops; a second one stops at once.",
        "python run_train.py my-config\n  python run_train.py my-config --resume",
    )
    result.add_argument(
        "--resume",
        metavar="RUN",
        nargs="?",
        const="",
        type=name_or_nothing,
        help="resume a run: the given one (or the end of its name), or the configuration's newest unfinished one",
    )
    result.add_argument(
        "--finish", action="store_true", help="with --resume: train no further, export what there is (or once more)"
    )
    result.add_argument(
        "--devices",
        metavar="N",
        type=count,
        default=1,
        help="processes that train together on this machine, one on each GPU (default: 1); several machines: see docs",
    )
    return result


def check_train(parser: argparse.ArgumentParser, args: argparse.Namespace) -> None:
    """An existing run is finished, never a new one."""
    if args.finish and args.resume is None:
        parser.error("--finish needs --resume: it exports an existing run at its current step")


def deploy() -> argparse.ArgumentParser:
    result = run_parser(
        "deploy",
        "Stage 3: packs a trained network into a model folder for Maya-ACE and the SDK. With --check, reports the\n"
        "faults of such a folder (exit status: 0 none, 1 errors, 2 a user error in the arguments).",
        optional=True,
    )
    result.add_argument(
        "--export", action="store_true", help="first export the run's weights anew, sampled as the configuration says"
    )
    result.add_argument("--force", action="store_true", help="replace the model folder where there is one")
    add_settings(result)
    result.add_argument(
        "--check", metavar="FOLDER", help="only check a model folder, of any origin, or a deployed model by name"
    )
    return result


def check_deploy(parser: argparse.ArgumentParser, args: argparse.Namespace) -> None:
    """Either a run is deployed, or a folder checked."""
    take_run(args)
    if args.check is None and args.training_run_name_full is None:
        parser.error("give CONFIG_NAME and TRAINING_RUN_NAME_FULL, or --check FOLDER")
    if args.check is not None and (args.training_run_name_full or args.export or args.force or args.overrides):
        parser.error("--check takes no other argument")


def quickstart() -> argparse.ArgumentParser:
    result = new_parser(
        "quickstart",
        "Makes the example actors (two heads that speak) and runs the stages on them, from nothing.\n"
        "Complete results are reused: a second call takes seconds.",
        "python3 run_quickstart.py\n  python3 run_quickstart.py --network regression",
    )
    result.add_argument(
        "--network",
        choices=("diffusion", "regression", "streaming"),
        default="diffusion",
        help="the kind of network that learns; streaming is for live speech (default: diffusion)",
    )
    return result


def tests() -> argparse.ArgumentParser:
    result = new_parser(
        "tests",
        "Runs the tests. Arguments that are not listed here go to pytest (-k NAME, -x, a file, ...).",
        "python3 run_tests.py tests/geometry -x",
    )
    result.add_argument("--slow", action="store_true", help="also the tests that take long")
    return result


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
