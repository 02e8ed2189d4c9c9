"""The command line of evaluation.

Standard library only, readable by any Python from 3.8 on.
"""

from __future__ import annotations

import argparse

from audio2face.cli.parsers.base import count, identifier, new_parser
from audio2face.home import config_folders, config_names, find_home

REGIONS = ("lips", "upper_face", "lower_face")


def evaluate() -> argparse.ArgumentParser:
    result = new_parser(
        "evaluate",
        "Scores trained networks on recordings that they have not seen, beside a linear map and a still face, "
        "and writes a report: workspace/output_evaluate/RUN/report.html. Without a test set (TEST_FRACTION in "
        "config_dataset.py) the validation set is used, with a warning. A stopped evaluation goes on where it was.",
        "python run_evaluate.py my-config latest\n"
        "  python run_evaluate.py my-config latest --on datasets/other_speaker --quick\n"
        "  python run_evaluate.py my-config 261123_101500_first 261124_090000_second",
    )
    result.add_argument(
        "names",
        metavar="NAME",
        nargs="+",
        type=identifier,
        help="CONFIG_NAME and one or more training runs: names, ends or parts of them, or 'latest'; without "
        "CONFIG_NAME, the configuration that the first run records",
    )
    result.add_argument(
        "--on", metavar="FOLDER", help="evaluate on all shots of a raw data set folder whose mesh is the actor's"
    )
    result.add_argument(
        "--shots",
        choices=("test", "validation"),
        help="which shots of the run's own data (default: the test set, where there is one)",
    )
    result.add_argument("--actor", metavar="NAME", type=identifier, help="evaluate one actor (default: all)")
    result.add_argument("--fps", metavar="N", type=rate, help="frame rate of --on (default: as its files tell)")
    result.add_argument(
        "--region",
        metavar="NAME=FILE",
        action="append",
        default=[],
        type=region,
        help="vertices of a region (lips, upper_face or lower_face), as a list in a JSON or .npy file",
    )
    result.add_argument(
        "--quick",
        action="store_true",
        help="less than a minute: the beginning of up to 10 shots, no behaviour tests, no players",
    )
    result.add_argument("--to", metavar="FOLDER", help="folder of the report (default: named after the first run)")
    result.add_argument(
        "--jobs", metavar="N", type=count, help="processes that animate at a time (default: one for each core)"
    )
    result.add_argument("--config-file", help=argparse.SUPPRESS)
    return result


def rate(text: str) -> float:
    try:
        value = float(text)
    except ValueError:
        value = 0.0
    if 1 <= value <= 1000:
        return value
    raise argparse.ArgumentTypeError(f"{text!a} is not a frame rate, such as 30 or 29.97")


def region(text: str) -> str:
    name, equals, path = text.partition("=")
    if equals and path and name in REGIONS:
        return text
    raise argparse.ArgumentTypeError(f"{text!a} is not NAME=FILE, where NAME is one of {', '.join(REGIONS)}")


def check_evaluate(parser: argparse.ArgumentParser, args: argparse.Namespace) -> None:
    """Tells the configuration from the runs; arguments that exclude each other."""
    names = list(args.names)
    is_configuration = len(names) > 1 and names[0] in config_names(config_folders(find_home()))
    args.config_name = names.pop(0) if is_configuration else None
    args.runs = names
    args.training_run_name_full = names[0]
    if len(set(names)) < len(names):
        parser.error("a training run is given twice")
    regions = [text.partition("=")[0] for text in args.region]
    if len(set(regions)) < len(regions):
        parser.error("--region gives a region twice")
    if args.on is not None and args.shots is not None:
        parser.error("--on and --shots exclude each other: recordings come from a folder or from the run's own data")
    if args.fps is not None and args.on is None:
        parser.error("--fps is the rate of the motion in --on FOLDER, which is missing")
