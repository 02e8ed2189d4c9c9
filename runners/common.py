"""What the runners of all stages share: the configuration they receive, and how they end."""

from __future__ import annotations

import atexit
import errno
import os
import signal
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from types import FrameType, SimpleNamespace

from audio2face import interrupts
from audio2face.config import Configuration, Stage, load
from audio2face.console import fail
from audio2face.errors import UserError
from tools.settings import ROOT, read_settings, stage_environment

_FULL = ("the disk is full", "Free some space, or choose another disk for the workspace (A2F_WORKSPACE_ROOT).")
_READ_ONLY = (
    "may not be read or written",
    "Check its permissions and its folder's, and whether it is mounted read-only.",
)
# What is wrong with a place of the user's, wherever a stage meets it, in its own code or a library: by errno.
_USERS_PLACES: dict[int | None, tuple[str, str]] = {
    errno.ENAMETOOLONG: ("a name or path is too long for this system", "Give a shorter one."),
    **dict.fromkeys((errno.EACCES, errno.EPERM, errno.EROFS), _READ_ONLY),
    **dict.fromkeys((errno.ENOSPC, errno.EDQUOT), _FULL),
}


def open_configuration(
    stage: Stage,
    config_name: str,
    config_file: str | None,
    actors: Sequence[str] = (),
    overrides: Sequence[str] = (),
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
    configuration = load(config_name, stage=stage, actors=list(actors), overrides=overrides)
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


def debug_stage(main: Callable[[list[str]], int], args: SimpleNamespace, order: Sequence[str]) -> None:
    """Runs a stage with names that stand in a debug runner, unless others are given.

    Args:
        main: the stage's.
        args: the names.
        order: theirs on the command line. A variable of the environment, such as A2F_CONFIG_NAME for `config_name`,
            stands for a single one; arguments of the process stand for all.
    """
    names = [os.environ.get(f"A2F_{name.upper()}") or getattr(args, name) for name in order]
    run_stage(main, arguments=sys.argv[1:] or names)


def run_stage(
    main: Callable[[list[str]], int], resume_hint: str | None = None, arguments: list[str] | None = None
) -> None:
    """Runs a stage with the process's arguments and ends the process with an honest status.

    Settings of `.env` hold here as well where no launcher has read them.

    Args:
        main: the stage.
        resume_hint: tells whoever stops the stage how to resume it, whatever the parts of the stage say.
        arguments: those of the stage, in place of the process's.

    The status is that of `main`; 2 with one message for what the user can mend; 130 or 143 where Ctrl-C or SIGTERM
    stopped it. Both signals arrive as KeyboardInterrupt, so that what is being written is taken back first.
    """
    os.environ.update(stage_environment(read_settings(ROOT / ".env")))
    received: list[int] = []

    def stop(number: int, _frame: FrameType | None) -> None:
        received.append(number)
        raise KeyboardInterrupt

    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, stop)
    if resume_hint is not None:
        interrupts.set_resume_hint(resume_hint, fixed=True)
    try:
        status = main(sys.argv[1:] if arguments is None else arguments)
    except UserError as error:
        fail(error)
    except OSError as error:
        if error.errno not in _USERS_PLACES:
            raise
        problem, hint = _USERS_PLACES[error.errno]
        fail(UserError(problem, path=error.filename, hint=hint))
    except KeyboardInterrupt:
        for number in (signal.SIGINT, signal.SIGTERM):
            signal.signal(number, signal.SIG_IGN)  # it ends anyway
        if os.environ.get("RANK", "0") == "0" and not interrupts.is_supervised():  # the supervisor says it
            print(f"[STOPPED] {interrupts.resume_hint()}", file=sys.stderr, flush=True)
        status = 128 + (received[0] if received else signal.SIGINT)
    sys.exit(status)
