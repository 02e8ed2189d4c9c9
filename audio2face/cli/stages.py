"""The stages check, preproc and train; started by run_check.py, run_preproc.py and run_train.py.

    python -m audio2face.cli.stages STAGE ARGUMENT...

Each function returns the exit status; user errors raise UserError. Training is imported when it runs.
"""

from __future__ import annotations

import contextlib
import json
import logging
import math
import os
import sys
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from audio2face import log_settings
from audio2face.cli import parsers
from audio2face.cli.process import open_configuration, run_stage
from audio2face.config import Configuration
from audio2face.console import LOGGER, console, start_logging
from audio2face.dataset import ActorDataset
from audio2face.dataset.checks import HEAD_MOTION_LIMIT, check_actor, compare_actors
from audio2face.dataset.checks.report import CheckReport, as_json, show
from audio2face.errors import UserError
from audio2face.io.atomic import write_text
from audio2face.preproc.artifacts import PreprocArtifacts
from audio2face.preproc.run import PreprocResult, preprocess
from audio2face.runs import log_outputs

if TYPE_CHECKING:  # a base installation, which checks and preprocesses, has no torch
    from torch import nn

    from audio2face.training.run import Exporter

_RULE = "-" * 80
_MOST_CLIPS_SHOWN = 20


def check(argv: list[str]) -> int:
    """Checks the raw data of actors.

    Returns:
        0 without errors, 1 with errors in the data.
    """
    args = parsers.parse("check", argv)
    only_json = args.json == "-"
    # Standard output then contains only the JSON; progress and tables go to standard error.
    with contextlib.redirect_stdout(sys.stderr) if only_json else contextlib.nullcontext():
        configuration = open_configuration(
            "check", args.config_name, args.config_file, args.actor_names, args.overrides
        )
        reports = _check_actors(configuration, args.head_motion_limit)
        show(reports, console())
    text = json.dumps(as_json(reports), indent=4)
    if only_json:
        print(text)
    elif args.json is not None:
        write_text(Path(args.json), text + "\n")
    return 1 if any(report.errors for report in reports) else 0


def _check_actors(configuration: Configuration, head_motion_limit: float | None) -> list[CheckReport]:
    limit = HEAD_MOTION_LIMIT if head_motion_limit is None else head_motion_limit
    if not (math.isfinite(limit) and limit > 0):
        raise UserError(f"--head-motion-limit is {limit}", hint="Give a length in centimetres above 0.")
    basis = configuration.optional("preproc", "SKIN_BASIS")
    # All actors are opened first: errors in the configuration show before minutes of reading.
    datasets = [ActorDataset.open(actor, configuration.dataset) for actor in dict.fromkeys(configuration.actors)]
    return compare_actors([check_actor(dataset, limit, basis) for dataset in datasets])


def preproc(argv: list[str]) -> int:
    """Preprocesses actors."""
    args = parsers.parse("preproc", argv)
    start_logging()
    configuration = open_configuration("preproc", args.config_name, args.config_file, args.actor_names, args.overrides)
    outcomes = [preprocess(configuration, actor) for actor in _chosen(configuration, args.actor_names, args.all)]
    for outcome in outcomes:
        show_clips(outcome)
    results: dict[str, Path] = {}
    for outcome in outcomes:
        LOGGER.info(_RULE)
        LOGGER.info("Preproc Run Name Full: %s", outcome.run.name)
        results |= {
            f"{outcome.actor}: artifacts": outcome.run.path,
            f"{outcome.actor}: report": outcome.run.path / "report" / "report.md",
        }
    names = ", ".join(f'"{outcome.actor}": "{outcome.run.name}"' for outcome in outcomes)
    log_outputs(results, [f"python run_train.py {configuration.name}"])
    LOGGER.info("Training uses the newest run of each actor. To select these runs, set in config_train.py:")
    LOGGER.info("PREPROC_RUN_NAME_FULL = {%s}", names)
    return 0


def _chosen(configuration: Configuration, names: list[str], everyone: bool) -> list[str]:
    known = list(configuration.actors)
    if everyone == bool(names):
        raise UserError(
            "name the actors to preprocess, or use --all, not both",
            hint=f"Configuration {configuration.name} has {', '.join(known)}.",
        )
    unknown = [name for name in names if name not in known]
    if unknown:
        raise UserError(f"there is no actor {unknown[0]!r}", hint=f"There are: {', '.join(known)}.")
    return known if everyone else list(dict.fromkeys(names))


def show_clips(outcome: PreprocResult) -> None:
    """Prints the table of clips if it is short."""
    artifacts = PreprocArtifacts.open(outcome.run.path)
    if log_settings.level() > logging.INFO:
        return
    if len(artifacts.clips) <= _MOST_CLIPS_SHOWN:
        print(artifacts.clips_template.read_text(encoding="utf-8"), file=console().file)
    else:
        LOGGER.info("%s: %d clips, listed in %s", outcome.actor, len(artifacts.clips), artifacts.clips_template)


def train(argv: list[str]) -> int:
    """Trains the network of a configuration."""
    from audio2face.training import run as training

    args = parsers.parse("train", argv)
    start_logging()
    configuration = open_configuration("train", args.config_name, args.config_file, overrides=args.overrides)
    if args.devices > 1 and "WORLD_SIZE" not in os.environ:
        raise UserError(
            "--devices is for the launcher", hint=f"python run_train.py {configuration.name} --devices {args.devices}"
        )
    outcome = training.train(configuration, exporter_of(configuration), resume=args.resume, finish_now=args.finish)
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
    from audio2face.deploy import export_run

    def export(run: Path, network: nn.Module) -> None:
        export_run(run, configuration.train, configuration.inference)

    return export


STAGES: dict[str, Callable[[list[str]], int]] = {"check": check, "preproc": preproc, "train": train}

if __name__ == "__main__":
    run_stage(STAGES[sys.argv.pop(1)])
