"""The command lines of publishing deployed models and fetching them.

Standard library only, readable by any Python from 3.8 on.
"""

from __future__ import annotations

import argparse
import re

from audio2face.cli.parsers.base import command_parser

_REPOSITORY = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*/[A-Za-z0-9][A-Za-z0-9._-]*")


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
