"""Shared by the runners of all stages: opening the configuration, and the end of the process."""

from __future__ import annotations

import atexit
import errno
import os
import signal
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from types import FrameType, SimpleNamespace
from typing import NoReturn

from audio2face import interrupts
from audio2face.cli.settings import find_home, read_settings, stage_environment
from audio2face.config import Configuration, Stage, load
from audio2face.config.load import configuration_of_run
from audio2face.console import fail
from audio2face.errors import UserError

_FULL = ("the disk is full", "Free some space, or choose another disk for the workspace (A2F_WORKSPACE_ROOT).")
_READ_ONLY = (
    "may not be read or written",
    "Check its permissions and its folder's, and whether it is mounted read-only.",
)
# Problems of a user's file or folder by errno, raised in our code or a library.
_FILE_PROBLEMS: dict[int | None, tuple[str, str]] = {
    errno.ENAMETOOLONG: ("a name or path is too long for this system", "Give a shorter one."),
    **dict.fromkeys((errno.EACCES, errno.EPERM, errno.EROFS), _READ_ONLY),
    **dict.fromkeys((errno.ENOSPC, errno.EDQUOT), _FULL),
}
_BROKEN_PIPE = 128 + 13  # as shells report SIGPIPE


def open_configuration(
    stage: Stage,
    config_name: str | None,
    config_file: str | None,
    actors: Sequence[str] = (),
    overrides: Sequence[str] = (),
    run: str | None = None,
) -> Configuration:
    """Opens the configuration that the launcher has validated and written; without a launcher, validates it here.

    Args:
        stage: the stage.
        config_name: name of the configuration; None where a run was named without it.
        config_file: the launcher's file.
        actors: the actors to work on.
        overrides: parameters as arguments.
        run: the training run, whose configuration is meant where none is named.

    Raises:
        UserError: the configuration is invalid.
    """
    if config_file is not None:
        try:
            return Configuration.open(Path(config_file))
        finally:
            _remove(Path(config_file))
    name = config_name or configuration_of_run(str(run))
    configuration = load(name, stage=stage, actors=list(actors), overrides=overrides)
    for warning in configuration.warnings:
        print(f"[WARNING] {warning}", file=sys.stderr)
    return configuration


def _remove(config_file: Path) -> None:
    """Removes the launcher's file.

    Processes that train together all read it; the first one removes it at its end.
    """
    local_rank = os.environ.get("LOCAL_RANK")
    if local_rank is None:
        config_file.unlink(missing_ok=True)
    elif local_rank == "0":
        atexit.register(config_file.unlink, missing_ok=True)


def debug_stage(main: Callable[[list[str]], int], args: SimpleNamespace, order: Sequence[str]) -> None:
    """Runs a stage with the names set in a debug runner, unless others are given.

    Args:
        main: main function of the stage.
        args: the names.
        order: their order on the command line. An environment variable, such as A2F_CONFIG_NAME for `config_name`,
            overrides a single name; arguments of the process override all.
    """
    names = [os.environ.get(f"A2F_{name.upper()}") or getattr(args, name) for name in order]
    run_stage(main, arguments=sys.argv[1:] or names)


def run_stage(
    main: Callable[[list[str]], int], resume_hint: str | None = None, arguments: list[str] | None = None
) -> NoReturn:
    """Runs a stage with the process's arguments and exits with its status.

    Settings of `.env` apply here as well if no launcher has read them.

    Args:
        main: main function of the stage.
        resume_hint: message about how to resume, shown when the stage is stopped; it overrides hints of the stage.
        arguments: arguments of the stage, instead of the process's.

    The status is that of `main`; 2 with one message for a user error; 130 or 143 after Ctrl-C or SIGTERM. Both signals
    raise KeyboardInterrupt, so that incomplete files are removed first.
    """
    home = find_home()
    os.environ.update(stage_environment(read_settings(home / ".env"), home))
    received: list[int] = []

    def stop(number: int, _frame: FrameType | None) -> None:
        received.append(number)
        raise KeyboardInterrupt

    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, stop)
    if resume_hint is not None:
        interrupts.set_resume_hint(resume_hint, fixed=True)
    try:
        status = _status_of(main, sys.argv[1:] if arguments is None else arguments)
    except KeyboardInterrupt:
        for number in (signal.SIGINT, signal.SIGTERM):
            signal.signal(number, signal.SIG_IGN)  # the process is ending
        if os.environ.get("RANK", "0") == "0" and not interrupts.is_supervised():  # otherwise the supervisor prints it
            print(f"[STOPPED] {interrupts.resume_hint()}", file=sys.stderr, flush=True)
        status = 128 + (received[0] if received else signal.SIGINT)
    sys.exit(status)


def _status_of(main: Callable[[list[str]], int], arguments: list[str]) -> int:
    """The exit status of a stage; ends the process with one message for a user error."""
    try:
        status = main(arguments)
        sys.stdout.flush()
    except UserError as error:
        fail(error)
    except BrokenPipeError:  # the reader of the output, such as `head`, has ended
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())  # for what Python flushes at its end
        return _BROKEN_PIPE
    except OSError as error:
        if error.errno not in _FILE_PROBLEMS:
            raise
        problem, hint = _FILE_PROBLEMS[error.errno]
        fail(UserError(problem, path=error.filename, hint=hint))
    return status
