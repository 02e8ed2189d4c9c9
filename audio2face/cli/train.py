"""Trains the network of a configuration; started by run_train.py."""

from __future__ import annotations

import os
from pathlib import Path

from torch import nn

from audio2face.cli import parsers
from audio2face.cli.process import open_configuration, run_stage
from audio2face.config import Configuration
from audio2face.console import LOGGER, start_logging
from audio2face.deploy import export_run
from audio2face.errors import UserError
from audio2face.runs import log_outputs
from audio2face.training.run import Exporter, train

_RULE = "-" * 80


def main(argv: list[str]) -> int:
    """Returns the exit status; user errors raise UserError."""
    args = parsers.parse("train", argv)
    start_logging()
    configuration = open_configuration("train", args.config_name, args.config_file, overrides=args.overrides)
    if args.devices > 1 and "WORLD_SIZE" not in os.environ:
        raise UserError(
            "--devices is for the launcher", hint=f"python run_train.py {configuration.name} --devices {args.devices}"
        )
    outcome = train(configuration, exporter_of(configuration), resume=args.resume, finish_now=args.finish)
    run = outcome.run
    LOGGER.info(_RULE)
    LOGGER.info("Training Run Name Full: %s", run.name)
    log_outputs(
        {
            "Training artifacts:": run.path,
            "Deployment artifacts:": run.path / "deploy",
            "Curves:": run.path / "curves.png",
        },
        [
            f"python run_deploy.py {configuration.name} {run.name}    # then run_inference.py with the same names",
        ],
    )
    return 0


def exporter_of(configuration: Configuration) -> Exporter:
    """The exporter that writes the deploy/ folder of a run of this configuration."""

    def export(run: Path, network: nn.Module) -> None:
        export_run(run, configuration.train, configuration.inference)

    return export


if __name__ == "__main__":
    run_stage(main)
