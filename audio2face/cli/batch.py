"""Animates many recordings: those of a list, or those that appear in a watched folder.

Complete animations are kept; a bad recording does not end the batch, and all are reported at the end.
"""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from audio2face.cli.inference_options import InferenceOptions
from audio2face.cli.recording_animator import Outcome, RecordingAnimator, animate_one
from audio2face.cli.recordings import Recording, search
from audio2face.console import LOGGER, track_counted
from audio2face.errors import UserError

if TYPE_CHECKING:
    from audio2face.cli.workers import WorkerPool

_MAX_LISTED = 100  # failures in the table at the end; the log names each when it happens
POLL_SECONDS = 1.0
_State = tuple[int, int]  # size in bytes and time of the last change in nanoseconds


@dataclass
class BatchResult:
    """What became of the recordings of a call.

    Attributes:
        animated: outcomes of animated recordings.
        unchanged: recordings whose complete animation was kept.
        failed: outcomes of recordings that could not be animated.
        seconds: time that it took.
    """

    animated: list[Outcome] = field(default_factory=list)
    unchanged: list[Recording] = field(default_factory=list)
    failed: list[Outcome] = field(default_factory=list)
    seconds: float = 0.0

    @property
    def status(self) -> int:
        """The exit status: 1 if a recording could not be animated."""
        return 1 if self.failed else 0

    @property
    def opened(self) -> list[Path]:
        """The first file to open of each new animation."""
        return [outcome.opened[0] for outcome in self.animated if outcome.opened]

    def log(self) -> None:
        """Logs the summary and the table of failures."""
        LOGGER.info(
            "%d animated, %d unchanged, %d failed, in %.1f s",
            *(len(self.animated), len(self.unchanged), len(self.failed), self.seconds),
        )
        if not self.failed:
            return
        listed = self.failed[:_MAX_LISTED]
        width = min(max(len(str(outcome.recording.path)) for outcome in listed), 60)
        rows = [f"  {str(outcome.recording.path).ljust(width)}  {outcome.problem}" for outcome in listed]
        if len(listed) < len(self.failed):
            rows.append(f"  and {len(self.failed) - len(listed)} more, which the log names")
        count = len(self.animated) + len(self.unchanged) + len(self.failed)
        LOGGER.error("%d of %d recordings could not be animated:\n%s", len(self.failed), count, "\n".join(rows))


class RecordingBatch:
    """Animates recordings with one animator, or with several processes.

    Args:
        animator: of this process; it also knows which animations are complete.
        folder: the output folder.
        pool: the processes; None to animate in this one.
    """

    def __init__(self, animator: RecordingAnimator, folder: Path, pool: WorkerPool | None = None) -> None:
        self.result = BatchResult()
        self._animator, self._folder, self._pool = animator, folder, pool
        self._outputs: dict[Path, Path] = {}  # recordings by the output that they have taken

    def run(self, recordings: Sequence[Recording]) -> None:
        """Animates recordings, except those whose complete animation is there, and adds to the result."""
        began = time.monotonic()
        try:
            planned = list(self._plan(recordings))
            sizes = {recording.path: _size(recording.path) for recording in planned}
            outcomes = track_counted(
                self._outcomes(planned),
                len(planned),
                sum(sizes.values()),
                "animating",
                lambda outcome: sizes[outcome.recording.path],
            )
            for outcome in outcomes:
                self._add(outcome)
        finally:
            self.result.seconds += time.monotonic() - began

    def _plan(self, recordings: Iterable[Recording]) -> Iterator[Recording]:
        """Yields the recordings to animate; the others are unchanged or have no output of their own."""
        for recording in recordings:
            try:
                claim_outputs(self._outputs, self._animator, recording)
                is_current = self._animator.is_current(recording, self._folder)
            except UserError as error:
                self._add(Outcome(recording, problem=error.problem, hint=error.hint))
                continue
            if is_current:
                LOGGER.info("%s: unchanged, its animation is kept (--force makes it again)", recording.path.name)
                self.result.unchanged.append(recording)
            else:
                yield recording

    def _outcomes(self, recordings: Sequence[Recording]) -> Iterator[Outcome]:
        if self._pool is not None:
            return self._pool.run(recordings)
        return (animate_one(self._animator, recording, self._folder) for recording in recordings)

    def _add(self, outcome: Outcome) -> None:
        if outcome.problem is None:
            self.result.animated.append(outcome)
            return
        hint = f"\n  {outcome.hint}" if outcome.hint else ""
        LOGGER.error("%s: %s%s", outcome.recording.path, outcome.problem, hint)
        self.result.failed.append(outcome)


def check_outputs(animator: RecordingAnimator, recordings: Iterable[Recording]) -> None:
    """Checks that the outputs of all recordings differ; names that are not allowed are errors of their recordings.

    Raises:
        UserError: two recordings would be written as the same.
    """
    owners: dict[Path, Path] = {}
    for recording in recordings:
        try:
            animator.output_names(recording)
        except UserError:
            continue
        claim_outputs(owners, animator, recording)


def count_outdated(animator: RecordingAnimator, recordings: Iterable[Recording], folder: Path) -> int:
    """The number of recordings whose complete animation is not in the output folder."""
    count = 0
    for recording in recordings:
        with suppress(UserError):  # names that are not allowed are the recording's own failure
            count += not animator.is_current(recording, folder)
    return count


def claim_outputs(owners: dict[Path, Path], animator: RecordingAnimator, recording: Recording) -> None:
    """Enters the outputs of a recording into a table.

    Args:
        owners: recordings by output.
        animator: names the outputs.
        recording: the recording.

    Raises:
        UserError: another recording has one of them, or their names are not allowed.
    """
    for output in animator.output_names(recording):
        owner = owners.setdefault(output, recording.path)
        if owner != recording.path:
            raise UserError(
                f"two recordings would be written as {str(output)!r}: {owner} and {recording.path}",
                hint="Name those you mean, such as 'takes/**/*.wav', or animate them into different folders (--to).",
            )


@contextmanager
def open_pool(options: InferenceOptions, folder: Path, count: int) -> Iterator[WorkerPool | None]:
    """Opens the processes that animate; None for one, which is this process, and where there is nothing to animate.

    Raises:
        UserError: a process cannot load the model.
    """
    if count <= 1:
        yield None
        return
    from audio2face.cli.workers import WorkerPool

    with WorkerPool(options, folder, count) as pool:
        yield pool


def _size(path: Path) -> int:
    try:
        return path.stat().st_size
    except OSError:
        return 0


def watch(batch: RecordingBatch, folder: Path, output: Path) -> None:
    """Animates complete recordings in a folder, at any depth, those that appear later too, until Ctrl-C.

    Args:
        batch: animates them.
        folder: the folder, which is searched every second.
        output: the output folder.
    """
    LOGGER.info("watching %s; Ctrl-C ends it", folder)
    folder_state = WatchedFolder(folder, output)
    try:
        while True:
            found = folder_state.poll()
            if found:
                batch.run(found)
            time.sleep(POLL_SECONDS)
    except KeyboardInterrupt:
        LOGGER.info("stopped watching %s", folder)


@dataclass
class WatchedFolder:
    """Finds recordings that are complete: their size and time did not change from one look to the next.

    Attributes:
        folder: the folder.
        output: the output folder, which is not searched.
    """

    folder: Path
    output: Path
    _states: dict[Path, _State] = field(default_factory=dict)
    _done: dict[Path, _State] = field(default_factory=dict)

    def poll(self) -> list[Recording]:
        """The recordings that are complete since the last call, each once as long as it does not change."""
        before, self._states, complete = self._states, {}, []
        for recording in search(self.folder, self.output):
            state = _state(recording.path)
            if state is None:
                continue
            self._states[recording.path] = state
            if state == before.get(recording.path) and state != self._done.get(recording.path):
                complete.append(recording)
                self._done[recording.path] = state
        return complete


def _state(path: Path) -> _State | None:
    """The state of a file; None for one that is empty, or that has gone."""
    try:
        status = path.stat()
    except OSError:
        return None
    return (status.st_size, status.st_mtime_ns) if status.st_size else None
