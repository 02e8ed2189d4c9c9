"""What the runners of all stages share: the configuration they receive, and how they end."""

from __future__ import annotations

import atexit
import os
import signal
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from types import FrameType

from audio2face.config import Configuration, Stage, load
from audio2face.console import fail
from audio2face.errors import UserError


def open_configuration(
    stage: Stage, config_name: str, config_file: str | None, actors: Sequence[str] = ()
) -> Configuration:
    """The configuration that the launcher checked and wrote, or, without a launcher, checked here and now.

    Raises:
        UserError: something in it is wrong.
    """
    if config_file is not None:
        try:
            return Configuration.open(Path(config_file))
        finally:
            _remove(Path(config_file))
    configuration = load(config_name, stage=stage, actors=list(actors))
    for warning in configuration.warnings:
        print(f"[WARNING] {warning}", file=sys.stderr)
    return configuration


def _remove(config_file: Path) -> None:
    """Removes the launcher's file, which the launcher, having become this process, cannot.

    Processes that train together all read it: the first of them removes it when it ends.
    """
    local_rank = os.environ.get("LOCAL_RANK")
    if local_rank is None:
        config_file.unlink(missing_ok=True)
    elif local_rank == "0":
        atexit.register(config_file.unlink, missing_ok=True)


def run_stage(main: Callable[[list[str]], int], go_on: str = "Run the same command again to go on.") -> None:
    """Runs a stage with the process's arguments and ends the process with an honest status.

    `go_on` tells whoever stopped it how to go on.

    The status is that of `main`; 2 with one message for what the user can mend; 130 or 143 where Ctrl-C or SIGTERM
    stopped it. Both signals arrive as KeyboardInterrupt, so that what is being written is taken back first.
    """
    received: list[int] = []

    def stop(number: int, _frame: FrameType | None) -> None:
        received.append(number)
        raise KeyboardInterrupt

    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, stop)
    try:
        status = main(sys.argv[1:])
    except UserError as error:
        fail(error)
    except KeyboardInterrupt:
        print(f"[STOPPED] {go_on}", file=sys.stderr, flush=True)
        status = 128 + (received[0] if received else signal.SIGINT)
    sys.exit(status)
