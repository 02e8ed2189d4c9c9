"""Checks the raw data of actors; the host script run_check.py starts it.

Exit status 0 without errors, 1 with errors in the data, 2 when configuration or arguments are wrong.
"""

from __future__ import annotations

import contextlib
import json
import math
import sys
from pathlib import Path

from audio2face.config import Configuration, load
from audio2face.console import console, fail
from audio2face.dataset import ActorDataset
from audio2face.dataset.checks import HEAD_MOTION_LIMIT, check_actor
from audio2face.dataset.report import CheckReport, as_json, show
from audio2face.errors import UserError
from audio2face.files import write_text
from tools import arguments


def main(argv: list[str]) -> int:
    """Returns the exit status."""
    args = arguments.parse("check", argv)
    only_json = args.json == "-"
    try:
        # Standard output then holds the JSON alone; progress and tables stay visible on the other channel.
        with contextlib.redirect_stdout(sys.stderr) if only_json else contextlib.nullcontext():
            reports = _check(args.config_name, args.config_file, args.actor_names, args.head_motion_limit)
            show(reports, console())
        text = json.dumps(as_json(reports), indent=4)
        if only_json:
            print(text)
        elif args.json is not None:
            write_text(Path(args.json), text + "\n")
    except UserError as error:
        fail(error)
    return 1 if any(report.errors for report in reports) else 0


def _check(
    config_name: str, config_file: str | None, actors: list[str], head_motion_limit: float | None
) -> list[CheckReport]:
    if config_file is None:
        configuration = load(config_name, stage="check", actors=actors)
        for warning in configuration.warnings:
            print(f"[WARNING] {warning}", file=sys.stderr)
    else:
        configuration = Configuration.open(Path(config_file))
    limit = HEAD_MOTION_LIMIT if head_motion_limit is None else head_motion_limit
    if not (math.isfinite(limit) and limit > 0):
        raise UserError(f"--head-motion-limit is {limit}", hint="Give a length in centimetres above 0.")
    # All actors are opened first: a mistake in the configuration shows before minutes of reading.
    datasets = [ActorDataset.open(actor, configuration.dataset) for actor in configuration.actors]
    return [check_actor(dataset, limit) for dataset in datasets]


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
