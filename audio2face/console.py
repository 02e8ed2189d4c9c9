"""Terminal output: the logger, progress bars, and the end of a process with an error."""

from __future__ import annotations

import json
import logging
import os
import sys
import time
from collections.abc import Callable, Generator, Iterable, Iterator
from contextlib import closing, contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, NoReturn, TextIO, TypeVar

from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    TaskProgressColumn,
    TextColumn,
    TimeElapsedColumn,
    TimeRemainingColumn,
)

from audio2face import log_settings
from audio2face.command_names import as_typed
from audio2face.errors import UserError, printable

Item = TypeVar("Item")
LOGGER = logging.getLogger("audio2face")
_QUIET_LINE_SECONDS = 10.0  # without a terminal, minimum time between two lines of progress


def console() -> Console:
    """Returns a console on the current standard output, which may be redirected between calls.

    With --log-json standard output holds JSON alone, and the console is on standard error.
    """
    file = sys.stderr if log_settings.is_json() else sys.stdout
    return Console(file=file, highlight=False, width=None if file.isatty() else 120)


class _StandardOutput(logging.StreamHandler[TextIO]):
    """Writes to the current standard output: a progress bar replaces it to print above itself."""

    @property
    def stream(self) -> TextIO:
        return sys.stdout

    @stream.setter
    def stream(self, value: TextIO) -> None:
        """Ignores the stream that the base class sets."""


class _PrintableFormatter(logging.Formatter):
    """Escapes control characters in messages, which may quote untrusted files, and names commands as they are typed."""

    def format(self, record: logging.LogRecord) -> str:
        return as_typed(printable(super().format(record)))


class _JsonFormatter(logging.Formatter):
    """One JSON object a line: time, level and message, and the fields that a record was given (`fields`)."""

    def format(self, record: logging.LogRecord) -> str:
        values: dict[str, Any] = {
            "time": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds"),
            "level": record.levelname,
            "message": as_typed(record.getMessage()),
            **getattr(record, "fields", {}),
        }
        if record.exc_info:
            values["exception"] = self.formatException(record.exc_info)
        return json.dumps(values, default=str)


def fields(**values: Any) -> dict[str, Any]:
    """What a message says as values for --log-json: `LOGGER.info(..., extra=fields(step=3))`."""
    return {"fields": values}


def start_logging(log_file: Path | None = None) -> None:
    """Sends messages to standard output, as -v, -q and --log-json ask, and from INFO on to an optional log file.

    Raises:
        UserError: the log file cannot be written.
    """
    handlers: list[logging.Handler] = [_StandardOutput()]
    if log_file is not None:
        try:
            log_file.parent.mkdir(parents=True, exist_ok=True)
            handlers.append(logging.FileHandler(log_file, encoding="utf-8"))
        except OSError as error:
            raise UserError(
                f"cannot be written: {error.strerror or error}",
                path=log_file,
                hint="Check the permissions of its folder.",
            ) from error
    # In distributed training only rank 0 logs messages; other ranks log warnings. A log file is as long with -q.
    least = logging.INFO if os.environ.get("RANK", "0") == "0" else logging.WARNING
    shown = log_settings.level()
    for handler in handlers:
        handler.setFormatter(_PrintableFormatter("%(asctime)s [%(levelname)s] %(message)s"))
        handler.setLevel(least)
    handlers[0].setLevel(shown if least == logging.INFO else max(shown, least))
    if log_settings.is_json():
        handlers[0].setFormatter(_JsonFormatter())
        handlers[0].addFilter(lambda record: set(record.getMessage()) != {"-"})  # rules between lines for people
    logging.basicConfig(level=logging.INFO, handlers=handlers, force=True)
    LOGGER.setLevel(min(shown, logging.INFO))


def _has_bar() -> bool:
    """Whether progress is a bar: on a terminal, unless only warnings or JSON are asked for."""
    return sys.stdout.isatty() and not log_settings.is_json() and log_settings.level() < logging.WARNING


def _say_progress(text: str, what: str, share: float, left: float) -> None:
    """Says the progress in a line, or as an event of --log-json.

    Args:
        text: the line.
        what: is done.
        share: that is done, 0 to 1.
        left: seconds until the end, as estimated.
    """
    if log_settings.is_json():
        LOGGER.info(text, extra=fields(event="progress", what=what, share=round(share, 4), seconds_left=round(left)))
    elif log_settings.level() < logging.WARNING:
        print(text, flush=True)


class _Hidden:
    depth = 0


@contextmanager
def hidden_progress() -> Iterator[None]:
    """Shows no progress of what runs in the block, which is a part of what has a bar already."""
    _Hidden.depth += 1
    try:
        yield
    finally:
        _Hidden.depth -= 1


def track(
    items: Iterable[Item], total: int, what: str, weigh: Callable[[Item], int] = lambda item: 1
) -> Iterator[Item]:
    """Yields items with a progress bar, or with a line every ten seconds where there is no terminal.

    Args:
        items: the items to process.
        total: sum of the weights of all items.
        what: label of the bar, such as "checking frames".
        weigh: weight of one item, such as the frames of a shot.
    """
    if _Hidden.depth:
        yield from items
        return
    if _has_bar():
        columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
        with Progress(*columns, TextColumn("left"), TimeRemainingColumn(), console=console()) as progress:
            bar = progress.add_task(what, total=total)
            for item in items:
                yield item
                progress.advance(bar, weigh(item))
        return
    done, began, last_logged = 0, time.monotonic(), time.monotonic()
    for item in items:
        yield item
        done += weigh(item)
        now = time.monotonic()
        if now - last_logged > _QUIET_LINE_SECONDS and done:
            left = (now - began) / done * max(total - done, 0)
            _say_progress(f"{what}: {done} of {total}, {left:.0f} s left", what, done / max(total, 1), left)
            last_logged = now


def track_counted(
    items: Iterable[Item], count: int, total: int, what: str, weigh: Callable[[Item], int]
) -> Iterator[Item]:
    """Yields items with a bar that counts them, and estimates the time left from their weights.

    Args:
        items: the items to process.
        count: how many items there are.
        total: sum of the weights of all items.
        what: label of the bar, such as "animating".
        weigh: weight of one item, such as the bytes of a file.
    """
    total, done = max(total, 1), 0
    if _has_bar():
        counted = (TextColumn("{task.description}"), BarColumn(), TextColumn("{task.fields[items]}"))
        timed = (TimeElapsedColumn(), TextColumn("left"), TimeRemainingColumn())
        with Progress(*counted, *timed, console=console()) as progress:
            bar = progress.add_task(what, total=total, items=f"0/{count}")
            for number, item in enumerate(items, 1):
                yield item
                progress.update(bar, advance=weigh(item), items=f"{number}/{count}")
        return
    began = last_logged = time.monotonic()
    for number, item in enumerate(items, 1):
        yield item
        done += weigh(item)
        now = time.monotonic()
        if now - last_logged > _QUIET_LINE_SECONDS and done:
            left = (now - began) / done * max(total - done, 0)
            _say_progress(f"{what}: {number} of {count}, {left:.0f} s left", what, done / total, left)
            last_logged = now


def follow(steps: Generator[tuple[str, float], None, None], what: str) -> None:
    """Runs a stage with a progress bar in percent, or a line every ten seconds where there is no terminal.

    Args:
        steps: generator that does the work; each item is the name of the current step and the fraction of the whole
            stage that has just been done, all fractions adding up to 1. It is closed when this function ends.
        what: label of the bar, such as the actor's name.
    """
    with closing(steps):
        if _has_bar():
            columns = (TextColumn("{task.description}"), BarColumn(), TaskProgressColumn(), TimeElapsedColumn())
            with Progress(*columns, TextColumn("left"), TimeRemainingColumn(), console=console()) as progress:
                bar = progress.add_task(what, total=1.0)
                for label, share in steps:
                    progress.update(bar, advance=share, description=f"{what}: {label}")
            return
        done, began, last_logged = 0.0, time.monotonic(), time.monotonic()
        for label, share in steps:
            done += share
            now = time.monotonic()
            if now - last_logged > _QUIET_LINE_SECONDS and done:
                left = (now - began) / done * max(1 - done, 0)
                text = f"{what}: {label}, {100 * done:.0f} %, {left:.0f} s left"
                _say_progress(text, f"{what}: {label}", done, left)
                last_logged = now


def fail(error: UserError) -> NoReturn:
    """Ends the process with status 2 and the error's message on standard error."""
    print(as_typed(f"[ERROR] {error}"), file=sys.stderr, flush=True)
    if log_settings.is_json():
        values = {"path": error.path, "hint": error.hint}
        record = LOGGER.makeRecord(LOGGER.name, logging.ERROR, "", 0, error.problem, (), None, extra=fields(**values))
        print(_JsonFormatter().format(record), flush=True)
    sys.exit(2)
