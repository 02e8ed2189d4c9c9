"""Runs MediaPipe on a film in a process of its own, which cannot reach a network.

The package reports its use to its maker over the network from a thread of its own; no setting that stops it was found.
A film shows a person: the process gets a proxy for that traffic on which nothing listens. What the package writes to
standard error, and a crash of it, stay in that process as well.
"""

from __future__ import annotations

import multiprocessing
import os
import signal
import sys
import tempfile
import time
from collections.abc import Generator, MutableMapping
from multiprocessing.connection import Connection
from pathlib import Path

from audio2face.console import follow
from audio2face.errors import UserError
from audio2face.importers.face_track import FaceTrack, track_face
from audio2face.importers.film import open_film
from audio2face.importers.landmarker import open_landmarker
from audio2face.interrupts import end_with_parent

_NOWHERE = "http://127.0.0.1:9"  # the port of a service that discards, which no system runs
_PROXIES = ("http_proxy", "https_proxy", "all_proxy", "HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY")
_REPORT_SECONDS = 0.2
_LAST_LINES = 3


def measure_film(path: Path, model: Path, seconds: float | None) -> FaceTrack:
    """Measures the face in a film.

    Args:
        path: the film.
        model: the network of the landmarker.
        seconds: length of the film, for the progress bar; None where it is not known.

    Raises:
        UserError: the film or the model cannot be read, or the package crashed; the message says where.
    """
    spawn = multiprocessing.get_context("spawn")  # a fork would share threads
    receiver, sender = spawn.Pipe(duplex=False)
    with tempfile.TemporaryDirectory() as folder:
        log = Path(folder) / "log"
        process = spawn.Process(target=_work, args=(sender, path, model, log), daemon=True)
        process.start()
        sender.close()  # so that the end of the process ends the pipe
        call = _Call(path, log, receiver, seconds)
        try:
            follow(call.steps(), path.name)
        finally:
            process.terminate()  # after Ctrl-C, and where a thread of the package would outlive its work
            process.join()
            receiver.close()
    return call.result()


class _Call:
    """What the process reports: times in seconds, then the measurements or an error."""

    def __init__(self, path: Path, log: Path, receiver: Connection, seconds: float | None) -> None:
        self._path, self._log, self._receiver, self._seconds = path, log, receiver, seconds
        self._outcome: FaceTrack | Exception | None = None

    def steps(self) -> Generator[tuple[str, float], None, None]:
        """Yields what `console.follow` shows, until the process has ended its work.

        Raises:
            UserError: it was ended.
        """
        at = shown = 0.0
        while True:
            try:
                message = self._receiver.recv()
            except EOFError as error:
                raise self._crashed(at) from error
            if not isinstance(message, float):
                self._outcome = message
                return
            at = message
            share = min(at / self._seconds, 1.0) if self._seconds else 0.0
            yield f"{at:.0f} s measured", max(share - shown, 0.0)
            shown = max(shown, share)

    def result(self) -> FaceTrack:
        """The measurements; raises the error of the process."""
        if isinstance(self._outcome, FaceTrack):
            return self._outcome
        assert self._outcome is not None  # `steps` has ended
        raise self._outcome

    def _crashed(self, at: float) -> UserError:
        lines = self._log.read_text(errors="replace").splitlines() if self._log.is_file() else []
        said = f": {' / '.join(lines[-_LAST_LINES:])}" if lines else ""
        return UserError(
            f"MediaPipe ended abruptly at {at:.1f} s of the film{said}",
            path=self._path,
            hint="It ran out of memory, or met a fault of its own: try the film in parts, or at a lower resolution.",
        )


def keep_off_the_network(environment: MutableMapping[str, str]) -> None:
    """Sends what a process would send through a proxy on which nothing listens."""
    environment.update(dict.fromkeys(_PROXIES, _NOWHERE))
    for name in ("no_proxy", "NO_PROXY"):
        environment.pop(name, None)


def _work(sender: Connection, path: Path, model: Path, log: Path) -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C reaches the starting process, which ends this one
    end_with_parent()
    keep_off_the_network(os.environ)
    sys.stderr.flush()
    descriptor = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
    os.dup2(descriptor, 2)
    os.close(descriptor)
    reported = time.monotonic()

    def report(at: float) -> None:
        nonlocal reported
        if time.monotonic() > reported + _REPORT_SECONDS:
            reported = time.monotonic()
            sender.send(at)

    try:
        with open_landmarker(model) as landmarker:
            sender.send(track_face(open_film(path).pictures(), landmarker, report))
    except UserError as error:
        sender.send(error)
