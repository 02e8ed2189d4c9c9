"""Preprocesses actors; started by run_preproc.py."""

from __future__ import annotations

import logging
from pathlib import Path

from audio2face import log_settings
from audio2face.cli import parsers
from audio2face.cli.process import open_configuration, run_stage
from audio2face.config import Configuration
from audio2face.console import LOGGER, console, start_logging
from audio2face.errors import UserError
from audio2face.preproc.artifacts import PreprocArtifacts
from audio2face.preproc.run import PreprocResult, preprocess
from audio2face.runs import log_outputs

_RULE = "-" * 80
_MOST_CLIPS_SHOWN = 20


def main(argv: list[str]) -> int:
    """Returns the exit status; user errors raise UserError."""
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


if __name__ == "__main__":
    run_stage(main)
