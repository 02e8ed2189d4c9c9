"""Checks the raw data of actors; started by run_check.py.

Exit status 0 without errors, 1 with errors in the data, 2 when configuration or arguments are wrong.
"""

from __future__ import annotations

import contextlib
import json
import math
import sys
from pathlib import Path

from audio2face.cli import parsers
from audio2face.cli.process import open_configuration, run_stage
from audio2face.config import Configuration
from audio2face.console import console
from audio2face.dataset import ActorDataset
from audio2face.dataset.checks import HEAD_MOTION_LIMIT, check_actor, compare_actors
from audio2face.dataset.checks.report import CheckReport, as_json, show
from audio2face.errors import UserError
from audio2face.io.atomic import write_text


def main(argv: list[str]) -> int:
    """Returns the exit status; user errors raise UserError."""
    args = parsers.parse("check", argv)
    only_json = args.json == "-"
    # Standard output then contains only the JSON; progress and tables go to standard error.
    with contextlib.redirect_stdout(sys.stderr) if only_json else contextlib.nullcontext():
        configuration = open_configuration(
            "check", args.config_name, args.config_file, args.actor_names, args.overrides
        )
        reports = _check(configuration, args.head_motion_limit)
        show(reports, console())
    text = json.dumps(as_json(reports), indent=4)
    if only_json:
        print(text)
    elif args.json is not None:
        write_text(Path(args.json), text + "\n")
    return 1 if any(report.errors for report in reports) else 0


def _check(configuration: Configuration, head_motion_limit: float | None) -> list[CheckReport]:
    limit = HEAD_MOTION_LIMIT if head_motion_limit is None else head_motion_limit
    if not (math.isfinite(limit) and limit > 0):
        raise UserError(f"--head-motion-limit is {limit}", hint="Give a length in centimetres above 0.")
    # All actors are opened first: errors in the configuration show before minutes of reading.
    datasets = [ActorDataset.open(actor, configuration.dataset) for actor in dict.fromkeys(configuration.actors)]
    return compare_actors([check_actor(dataset, limit) for dataset in datasets])


if __name__ == "__main__":
    run_stage(main)
