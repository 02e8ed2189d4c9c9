"""Processes that animate recordings at the same time.

Each worker loads the model once and animates one recording after the other. One that is killed, by the system for want
of memory or by a person, costs its recording and is replaced. Workers end with the process that started them, however
that ends.
"""

from __future__ import annotations

import logging
import multiprocessing
import os
import signal
import threading
import time
from collections import deque
from collections.abc import Iterable, Iterator
from contextlib import suppress
from dataclasses import dataclass, field, replace
from multiprocessing.connection import Connection, wait
from multiprocessing.context import SpawnProcess
from pathlib import Path
from types import FrameType

from audio2face.cli.inference_options import InferenceOptions
from audio2face.cli.recording_animator import Outcome, RecordingAnimator, animate_one
from audio2face.cli.recordings import Recording
from audio2face.console import LOGGER
from audio2face.errors import UserError
from audio2face.inference import set_num_threads

_SPAWN = multiprocessing.get_context("spawn")  # a fork would share ONNX Runtime's threads
_STOP_SIGNALS = (signal.SIGINT, signal.SIGTERM)
_GRACE_SECONDS = 0.8  # for workers that are stopped to remove what is incomplete
_MOST_MESSAGES = 1000  # of a recording


class WorkerPool:
    """Workers that animate recordings with the options of one call.

    Args:
        options: the options.
        folder: the output folder.
        count: how many workers there are.

    Raises:
        UserError: a worker cannot load the model.
    """

    def __init__(self, options: InferenceOptions, folder: Path, count: int) -> None:
        # A copy without the typed sections, which are made when they are first read: not every class can be sent.
        configuration = None if options.configuration is None else replace(options.configuration)
        options = replace(options, configuration=configuration)
        self._start_arguments = (options, folder, max((os.cpu_count() or 1) // count, 1))
        self._workers: list[_Worker] = []
        try:
            self._workers += [self._start() for _ in range(count)]
            for worker in self._workers:
                self._receive(worker)
        except BaseException:
            self.close()
            raise

    def __enter__(self) -> WorkerPool:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def run(self, recordings: Iterable[Recording]) -> Iterator[Outcome]:
        """Yields the outcomes of recordings as they are done, in any order; messages of each are logged before.

        Raises:
            UserError: a worker that replaces another cannot load the model.
        """
        waiting = deque(recordings)
        while True:
            for worker in self._workers:
                if worker.is_idle and waiting:
                    worker.assign(waiting.popleft())
            busy = {
                worker.connection: worker
                for worker in self._workers
                if worker.recording is not None or (waiting and not worker.is_ready)
            }
            if not busy:
                return
            for connection in wait(list(busy)):
                assert isinstance(connection, Connection)
                outcome = self._receive(busy[connection])
                if outcome is not None:
                    yield outcome

    def close(self) -> None:
        """Ends all workers: those that work remove what is incomplete, or are killed after a moment."""
        for worker in self._workers:
            worker.connection.close()
            worker.process.terminate()
        deadline = time.monotonic() + _GRACE_SECONDS
        for worker in self._workers:
            worker.process.join(max(deadline - time.monotonic(), 0))
            worker.process.kill()
            worker.process.join()
        self._workers.clear()

    def _start(self) -> _Worker:
        own, other = _SPAWN.Pipe()
        process = _SPAWN.Process(target=_work, args=(other, *self._start_arguments), daemon=True)
        before = signal.pthread_sigmask(signal.SIG_BLOCK, _STOP_SIGNALS)  # until the worker handles them
        try:
            process.start()
        finally:
            signal.pthread_sigmask(signal.SIG_SETMASK, before)
        other.close()
        return _Worker(process, own)

    def _receive(self, worker: _Worker) -> Outcome | None:
        """Reads what a worker has sent: it is ready (None), has failed to load, or is done; replaces one that died."""
        try:
            message = worker.connection.recv()
        except (EOFError, OSError):
            return self._replace(worker)
        if isinstance(message, UserError):
            raise message
        recording, worker.recording, worker.is_ready = worker.recording, None, True
        if message is None:
            return None
        outcome, records = message
        for level, text in records:
            LOGGER.log(level, "%s", text)
        assert recording is not None
        return Outcome(recording, outcome.opened, outcome.problem, outcome.hint)

    def _replace(self, worker: _Worker) -> Outcome:
        """Starts a worker in place of one that died."""
        worker.process.join()
        status = worker.process.exitcode or 0
        how = f"was ended by signal {-status}" if status < 0 else f"ended with status {status}"
        hint = "The system most likely ran out of memory: give fewer --jobs, or cut long recordings."
        if worker.recording is None:
            raise UserError(f"the process that loads the model {how}", hint=hint)
        worker.connection.close()
        self._workers[self._workers.index(worker)] = self._start()
        return Outcome(worker.recording, problem=f"the process that animated it {how}", hint=hint)


@dataclass(eq=False)
class _Worker:
    """A process, the connection to it, and what it works on; it is idle once it has loaded the model."""

    process: SpawnProcess
    connection: Connection
    recording: Recording | None = None
    is_ready: bool = False

    @property
    def is_idle(self) -> bool:
        return self.is_ready and self.recording is None

    def assign(self, recording: Recording) -> None:
        self.recording = recording
        with suppress(OSError):  # it has just died; what it returns says so
            self.connection.send(recording)


# --- In the worker's process -----------------------------------------------------------------------------------------


@dataclass
class _Messages:
    """What a worker logs about one recording, for the process that shows it."""

    records: list[tuple[int, str]] = field(default_factory=list)

    def handler(self) -> logging.Handler:
        result = logging.Handler()
        result.emit = self._emit  # type: ignore[method-assign]
        return result

    def take(self) -> list[tuple[int, str]]:
        taken, self.records = self.records, []
        return taken

    def _emit(self, record: logging.LogRecord) -> None:
        if len(self.records) < _MOST_MESSAGES:
            trace = f"\n{logging.Formatter().formatException(record.exc_info)}" if record.exc_info else ""
            self.records.append((record.levelno, record.getMessage() + trace))


def _work(connection: Connection, options: InferenceOptions, folder: Path, num_threads: int) -> None:
    """Loads the model and animates what it is sent, to the end of the connection."""
    _obey_signals()
    threading.Thread(target=_end_with_parent, name="parent", daemon=True).start()
    messages = _Messages()
    logging.basicConfig(level=logging.INFO, handlers=[messages.handler()], force=True)
    set_num_threads(num_threads)
    with suppress(EOFError, OSError, KeyboardInterrupt):  # the connection has ended, or it is to end
        # Outside of this block there is nothing to stop: signals wait before it, and are ignored after it.
        try:
            signal.pthread_sigmask(signal.SIG_UNBLOCK, _STOP_SIGNALS)
            _animate_all(connection, options, folder, messages)
        finally:
            signal.signal(signal.SIGTERM, signal.SIG_IGN)


def _animate_all(connection: Connection, options: InferenceOptions, folder: Path, messages: _Messages) -> None:
    try:
        animator = RecordingAnimator(options)
        animator.load()
    except UserError as error:
        connection.send(error)
        return
    messages.take()  # the starting process has logged the same
    connection.send(None)
    while True:
        outcome = animate_one(animator, connection.recv(), folder)
        connection.send((outcome, messages.take()))


def _obey_signals() -> None:
    """SIGTERM interrupts, so that incomplete files are removed; Ctrl-C reaches the starting process, which sends it.

    Both are blocked since the start of the process, see `WorkerPool`.
    """

    def stop(_number: int, _frame: FrameType | None) -> None:
        raise KeyboardInterrupt

    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, stop)


def _end_with_parent() -> None:
    parent = multiprocessing.parent_process()
    if parent is not None:
        parent.join()
        os._exit(1)
