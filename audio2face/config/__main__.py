"""Checks a configuration and writes it for a stage.

    python -m audio2face.config example-diffusion --stage train --output FILE

The exit status is 2 if there are problems, which are all printed on standard error.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path
from typing import get_args

from audio2face.config import Stage, load
from audio2face.config.load import configuration_of_run
from audio2face.console import fail
from audio2face.errors import UserError


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m audio2face.config", description=(__doc__ or "").splitlines()[0])
    parser.add_argument("config", metavar="CONFIG", nargs="?", help="name of a folder in configs/")
    parser.add_argument("--of-run", metavar="RUN", help="a training run, in place of its configuration's name")
    parser.add_argument("--stage", required=True, choices=get_args(Stage))
    parser.add_argument("--actor", action="append", default=[], help="an actor to work on; may be given several times")
    parser.add_argument(
        "--set", dest="overrides", metavar="NAME=VALUE", action="append", default=[], help="a parameter and its value"
    )
    parser.add_argument("--output", type=Path, required=True, help="the JSON file to write")
    options = parser.parse_args(arguments)
    try:
        name = options.config or configuration_of_run(options.of_run)
        configuration = load(name, stage=options.stage, actors=options.actor, overrides=options.overrides)
        configuration.save(options.output)
    except UserError as error:
        fail(error)
    for warning in configuration.warnings:
        print(f"[WARNING] {warning}", file=sys.stderr)
    return 0


if __name__ == "__main__":
    sys.exit(main())
