"""The command line of every command, in one place: host scripts, `audio2face` and the stages parse the same words.

Standard library only, readable by any Python from 3.8 on.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable, Sequence

from audio2face import log_settings
from audio2face.cli.parsers import animate, evaluate, importing, live, project, runs, serving, stages

# Forms of an animation, which documentation and tests name.
FORMATS = animate.FORMATS
IMPORT_KINDS = importing.IMPORT_KINDS

# By the stage's name; a command without a host script has its own name.
PARSERS: dict[str, Callable[[], argparse.ArgumentParser]] = {
    "check": stages.check,
    "preproc": stages.preproc,
    "train": stages.train,
    "deploy": stages.deploy,
    "inference": animate.animate,
    "rig": animate.rig,
    "live": live.live,
    "import": importing.importing,
    "evaluate": evaluate.evaluate,
    "serve": serving.serve,
    "quickstart": stages.quickstart,
    "sweep": stages.sweep,
    "push": runs.push,
    "pull": runs.pull,
    "init": project.init,
    "runs": runs.runs,
    "run-all": project.run_all,
    "doctor": project.doctor,
    "completion": project.completion,
    "tests": stages.tests,
}
# What a parser cannot say by itself: arguments that exclude or need each other. They end by `parser.error`.
_CHECKS: dict[str, Callable[[argparse.ArgumentParser, argparse.Namespace], None]] = {
    "train": stages.check_train,
    "deploy": stages.check_deploy,
    "inference": animate.check_animate,
    "live": live.check_live,
    "evaluate": evaluate.check_evaluate,
    "runs": runs.check_runs,
    "serve": serving.check_serve,
    "sweep": stages.check_sweep,
}


def parse(stage: str, argv: Sequence[str]) -> argparse.Namespace:
    """Parses the arguments of a command; ends with status 2 and a message where they are wrong.

    What the tests' parser does not know is kept for pytest, as `pytest_arguments`.
    """
    parser = PARSERS[stage]()
    if stage == "tests":
        args, unknown = parser.parse_known_args(argv)
        args.pytest_arguments = unknown
        return args
    args = parser.parse_args(argv)
    if stage in _CHECKS:
        _CHECKS[stage](parser, args)
    log_settings.apply(args)
    return args
