"""Evaluates training runs; started by run_evaluate.py."""

from __future__ import annotations

import os
from argparse import Namespace
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from audio2face.cli import parsers
from audio2face.cli.deploy import post_processing
from audio2face.cli.process import open_configuration, run_stage
from audio2face.config import Configuration
from audio2face.console import LOGGER, start_logging
from audio2face.errors import UserError
from audio2face.extras import require
from audio2face.run_names import configured_name, recorded_configuration, resolve_training_run, run_folders
from audio2face.runs import log_outputs

if TYPE_CHECKING:  # a base installation has no torch
    from audio2face.evaluate.regions import Region
    from audio2face.evaluator.prepare import PreparedRun
    from audio2face.evaluator.sets import EvaluatedSet

OUTPUT_FOLDER = "output_evaluate"  # of the workspace
RESUME_HINT = "Run the same command again: what was scored is kept."


def main(argv: list[str]) -> int:
    """Returns the exit status; user errors raise UserError."""
    args = parsers.parse("evaluate", argv)
    start_logging()
    require("evaluation", "train")
    from audio2face.evaluator.prepare import prepare_run
    from audio2face.evaluator.report_files import flag_lines, summary_lines, write_report
    from audio2face.evaluator.run import Settings, evaluate

    regions = _regions(args)
    configuration = open_configuration("deploy", args.config_name, args.config_file, run=args.training_run_name_full)
    train = configuration.train
    runs = [resolve_training_run(name, train.TRAIN_OUTPUT_ROOT, configuration.name) for name in args.runs]
    _check_first_name(args.config_name, runs[0])
    if len(set(runs)) < len(runs):
        raise UserError("a training run is given twice", path=runs[0], hint="Name each once.")
    folder = output_folder(args, configuration, runs)
    start_logging(folder / "log.log")
    prepared = [
        prepare_run(
            run,
            train.FINAL_DEPLOY_ROOT,
            post_processing(configuration),
            configuration.roots,
            folder,
            quick=args.quick,
        )
        for run in runs
    ]
    report = evaluate(
        prepared,
        shots_of(args, prepared[0]),
        Settings(folder=folder, quick=args.quick, jobs=args.jobs or os.cpu_count() or 1, regions=regions),
    )
    files = write_report(report, folder)
    for line in summary_lines(report):
        LOGGER.info("%s", line)
    for text in flag_lines(report, "warning"):
        LOGGER.warning("%s", text)
    for text in flag_lines(report, "note"):
        LOGGER.info("%s", text)
    page = next(path for path in files if path.suffix == ".html")
    log_outputs(
        {"Report (open in a browser):": page, "The same as JSON and CSV:": folder},
        [f"python run_inference.py {configuration.name} {runs[0].name} --audio YOUR_SPEECH.wav"],
    )
    return 0


def _check_first_name(config_name: str | None, run: Path) -> None:
    """Refuses a first name that was meant as a run, and is that of a configuration too."""
    recorded = recorded_configuration(run)
    if config_name is None or recorded in (None, config_name):
        return
    meant = [folder.name for folder in run_folders(run.parent) if configured_name(folder.name) == config_name]
    if meant:
        raise UserError(
            f"{config_name!r} is taken as the configuration, and {run.name} is a run of configuration {recorded!r}",
            hint=f"If the training run is meant, give its full name: {meant[0]}",
        )


def output_folder(args: Namespace, configuration: Configuration, runs: Sequence[Path]) -> Path:
    """The folder of the report: as given, or named after the runs and the recordings."""
    if args.to is not None:
        return Path(args.to)
    name = runs[0].name if len(runs) == 1 else f"{runs[0].name}_and_{len(runs) - 1}_more"
    if args.on is not None:
        name += f"_on_{Path(args.on).resolve().name}"
    elif args.shots is not None:
        name += f"_{args.shots}"
    return configuration.roots.workspace / OUTPUT_FOLDER / (f"{name}_quick" if args.quick else name)


def shots_of(args: Namespace, prepared: PreparedRun) -> EvaluatedSet:
    """The shots that are asked for.

    Raises:
        UserError: there are none.
    """
    from audio2face.evaluator.sets import set_of_folder, set_of_run

    known = prepared.model.info.identities
    if args.actor is not None:
        prepared.dataset(args.actor)  # refuses an actor that the network does not have
    if args.on is None:
        return set_of_run(prepared, args.shots, known if args.actor is None else [args.actor])
    if args.actor is None and len(known) > 1:
        raise UserError("the network has several actors", hint=f"Name one with --actor: {', '.join(known)}.")
    return set_of_folder(prepared, Path(args.on), args.actor or known[0], args.fps)


def _regions(args: Namespace) -> dict[str, Region]:
    from audio2face.evaluate.regions import parse_region, read_region

    named = (parse_region(text) for text in args.region)
    return {name: read_region(path) for name, path in named}


if __name__ == "__main__":
    run_stage(main, RESUME_HINT)
