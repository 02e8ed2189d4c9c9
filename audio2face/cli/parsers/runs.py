"""The command lines of what is done with runs and models: list, compare and remove, publish and fetch.

Standard library only, readable by any Python from 3.8 on.
"""

from __future__ import annotations

import argparse
import re

from audio2face.cli.parsers.base import HelpFormatter, command_parser, identifier

STAGES = ("preproc", "train", "deploy", "inference")
_NAME_HELP = "a run: its name, the end or a part of it, or 'latest'"
_REPOSITORY = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*/[A-Za-z0-9][A-Za-z0-9._-]*")


def runs() -> argparse.ArgumentParser:
    result = command_parser(
        "runs",
        "Lists the runs of all stages: their configuration, data, status, progress,\n"
        "held-out figures, size on disk, and what was made from what.",
        "\n--stage train\ncompare latest first-try\nrm 261123_101500_first-try --stage train",
    )
    result.add_argument("--stage", choices=STAGES, action="append", help="only runs of this stage (may be repeated)")
    result.add_argument("--json", action="store_true", help="write JSON, for programs")
    actions = result.add_subparsers(dest="action", metavar="compare | rm")
    _compare(actions)
    _remove(actions)
    return result


def _compare(actions: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    result = _action(
        actions,
        "compare",
        "shows the parameters that differ between runs of one stage, and their figures",
        "compare latest 261123_101500_first-try",
    )
    result.add_argument("names", metavar="NAME", nargs="+", type=identifier, help=_NAME_HELP)
    result.add_argument(
        "--stage",
        choices=STAGES,
        action="append",
        default=argparse.SUPPRESS,
        help="the stage of the runs (default: train)",
    )
    result.add_argument("--json", action="store_true", default=argparse.SUPPRESS, help="write JSON, for programs")


def _remove(actions: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    result = _action(
        actions,
        "rm",
        "removes runs; refuses those that are running or that another run needs",
        "rm 261123_101500_first-try --stage train --dry-run",
    )
    result.add_argument("names", metavar="NAME", nargs="+", type=identifier, help=_NAME_HELP)
    result.add_argument(
        "--stage",
        choices=STAGES,
        action="append",
        default=argparse.SUPPRESS,
        help="the stage of the runs (may be repeated), where runs of several stages share a name",
    )
    result.add_argument(
        "--checkpoints", action="store_true", help="only free checkpoints of trainings; the best and the last stay"
    )
    result.add_argument("--dry-run", action="store_true", help="only show what would be removed")
    result.add_argument("--yes", action="store_true", help="do not ask")
    result.add_argument("--json", action="store_true", default=argparse.SUPPRESS, help="write JSON, for programs")


def _action(
    actions: argparse._SubParsersAction[argparse.ArgumentParser], name: str, description: str, example: str
) -> argparse.ArgumentParser:
    return actions.add_parser(
        name,
        help=description,
        description=description[0].upper() + description[1:] + ".",
        epilog="example:\n  audio2face runs " + example,
        formatter_class=HelpFormatter,
        allow_abbrev=False,
    )


def check_runs(parser: argparse.ArgumentParser, args: argparse.Namespace) -> None:
    """Comparing takes two runs at least."""
    if args.action == "compare" and len(args.names) < 2:
        parser.error("compare takes two runs at least, such as: compare latest 261123_101500_first-try")
    if args.action == "compare" and len(args.stage or []) > 1:
        parser.error("compare takes runs of one stage: give --stage once")
    if args.action == "rm" and args.checkpoints and set(args.stage or ["train"]) != {"train"}:
        parser.error("--checkpoints are those of training runs: leave out --stage")


def repository(text: str) -> str:
    if len(text) <= 96 and ".." not in text and _REPOSITORY.fullmatch(text):
        return text
    raise argparse.ArgumentTypeError(f"{text!a} is not OWNER/NAME, such as my-studio/mary")


def push() -> argparse.ArgumentParser:
    result = command_parser(
        "push",
        "Publishes a deployed model on the Hugging Face Hub, with a checksum of every file. Its README states the\n"
        "licence (MODEL_LICENSE); without one it is not published. Needs the extra `hub` and a login (hf auth login).",
        "workspace/output_deploy/261123_101500_my-run my-studio/mary",
    )
    result.add_argument("folder", metavar="FOLDER", help="a deployed model: its folder, name or 'latest'")
    result.add_argument("repo_id", metavar="OWNER/NAME", type=repository, help="the repository, made if missing")
    result.add_argument("--private", action="store_true", help="make a missing repository private")
    return result


def pull() -> argparse.ArgumentParser:
    result = command_parser(
        "pull",
        "Fetches a model that `push` published, verifies its checksums and checks the folder. Needs the extra `hub`.",
        "my-studio/mary models/mary",
    )
    result.add_argument("repo_id", metavar="OWNER/NAME", type=repository, help="the repository")
    result.add_argument("folder", metavar="FOLDER", help="the folder that the model becomes")
    result.add_argument("--revision", metavar="NAME", help="a branch, tag or commit (default: the newest)")
    result.add_argument("--force", action="store_true", help="replace the model folder where there is one")
    return result
