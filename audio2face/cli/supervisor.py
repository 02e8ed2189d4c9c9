"""Runs a stage as a child process and obeys Ctrl-C and SIGTERM on its behalf, within two seconds at every moment.

A Python program cannot guarantee this itself: its handlers run only after native code returns, such as the import of a
large library, the export of a graph or a decomposition. This process therefore waits, passes the signal on, gives the
stage time to clean up, and then ends it with all of its child processes. Files are written atomically, so that saved
results stay intact.

The stage sends lines over a socket:

    +          it starts to save its state, which may take any time
    -          its state is saved
    hint TEXT  the hint to print when it is stopped from now on

A stage of several processes (--devices) runs under a second program, inside of the supervised process:

    python -m audio2face.cli.supervisor COUNT SCRIPT ARGUMENT...

It sets them up as `torchrun --standalone --nproc-per-node COUNT SCRIPT ...` would. Unlike it, this ends as one process
would: every signal is handed on as often as it comes, there is time to save a checkpoint, and the exit status is that
of the process which failed first.

Standard library only, readable by any Python from 3.8 on.
"""

from __future__ import annotations

import contextlib
import os
import select
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from types import FrameType

from audio2face.cli.stage_process import SUPERVISOR
from audio2face.interrupts import AGAIN, STOP_SIGNALS, print_stopped

GRACE_SECONDS = 1.5  # from the signal to the end by force
_KILLED = (
    "[ERROR] the stage was ended by signal {}. Where nobody did that, the system most likely ran out of memory: close "
    "other programs, or take smaller batches or fewer processes."
)


def supervise(command: Sequence[str], variables: dict[str, str]) -> int:
    """Runs a command to its end.

    Args:
        command: of a Python interpreter and `stage_process.py`.
        variables: its environment.

    Returns:
        Its exit status; 130 or 143 where Ctrl-C or SIGTERM stopped it; 128 plus the signal that killed it.
    """
    return _Supervisor().run(command, variables)


class _Supervisor:
    """Supervises one process. Its group is its own, so that a Ctrl-C in a terminal reaches this process alone."""

    def __init__(self) -> None:
        self._received: list[int] = []
        self._passed_on = 0
        self._deadline: float | None = None
        self._saving = 0
        self._is_impatient = False
        self._hint = AGAIN
        self._unread = b""

    def run(self, command: Sequence[str], variables: dict[str, str]) -> int:
        own, other = socket.socketpair()
        own.setblocking(False)
        with own, self._signals() as wake_up:
            with other, _stop_signals_blocked():
                process = subprocess.Popen(
                    list(command),
                    env={**variables, SUPERVISOR: f":{other.fileno()}"},
                    pass_fds=[other.fileno()],
                    start_new_session=True,
                )
            try:
                self._follow(process, own, wake_up)
            finally:
                if self._received or process.poll() is None:
                    _kill_group(process)
        return self._status(process.wait())

    def _follow(self, process: subprocess.Popen[bytes], talk: socket.socket, wake_up: socket.socket) -> None:
        """Waits for the end of the process, passing signals on."""
        while process.poll() is None:
            for number in self._received[self._passed_on :]:
                self._pass_on(process, number)
            left = self._seconds_left()
            if left is not None and left <= 0:
                return
            # Not for ever: a signal that another thread of Python's took would go unnoticed.
            select.select([talk, wake_up], [], [], 0.5 if left is None else min(left, 0.5))
            with contextlib.suppress(BlockingIOError):
                wake_up.recv(4096)
            self._listen(talk)

    def _seconds_left(self) -> float | None:
        """Time until the end by force; None where there is no limit."""
        if self._deadline is None or (self._saving > 0 and not self._is_impatient):
            return None
        return self._deadline - time.monotonic()

    def _pass_on(self, process: subprocess.Popen[bytes], number: int) -> None:
        self._passed_on += 1
        if number == signal.SIGTSTP:  # Ctrl-Z: the stage stands still together with this process
            os.killpg(process.pid, signal.SIGSTOP)
            os.kill(os.getpid(), signal.SIGSTOP)
            os.killpg(process.pid, signal.SIGCONT)
            return
        process.send_signal(number)
        self._is_impatient = self._deadline is not None  # asked again
        if self._deadline is None or self._saving > 0:
            self._deadline = time.monotonic() + GRACE_SECONDS

    def _listen(self, talk: socket.socket) -> None:
        """Processes the messages of the stage."""
        try:
            received = talk.recv(65536)
        except (BlockingIOError, ConnectionError):
            return
        if not received:  # its end is closed: the process ends just now
            time.sleep(0.01)
        *lines, self._unread = (self._unread + received).split(b"\n")
        for line in lines:
            if line in (b"+", b"-"):
                self._saving += 1 if line == b"+" else -1
                if self._deadline is not None and self._saving == 0:
                    self._deadline = time.monotonic() + GRACE_SECONDS
            elif line.startswith(b"hint "):
                self._hint = line[5:].decode("utf-8", errors="replace")

    @contextmanager
    def _signals(self) -> Iterator[socket.socket]:
        """Collects signals; the socket becomes readable with each."""
        reader, writer = socket.socketpair()
        numbers = [*STOP_SIGNALS, signal.SIGTSTP]
        with reader, writer:
            reader.setblocking(False)
            writer.setblocking(False)
            before = {number: signal.signal(number, self._receive) for number in numbers}
            before[signal.SIGCHLD] = signal.signal(signal.SIGCHLD, lambda *_: None)
            wake_up = signal.set_wakeup_fd(writer.fileno(), warn_on_full_buffer=False)
            try:
                yield reader
            finally:
                signal.set_wakeup_fd(wake_up)
                for number, handler in before.items():
                    signal.signal(number, handler)

    def _receive(self, number: int, _frame: FrameType | None) -> None:
        self._received.append(number)

    def _status(self, status: int) -> int:
        stops = [number for number in self._received if number in STOP_SIGNALS]
        if stops and (status < 0 or status > 128):
            print_stopped(self._hint)
            return 128 + stops[0]
        if status < 0:
            os.write(2, (_KILLED.format(-status) + "\n").encode())
            return 128 - status
        return status


@contextmanager
def _stop_signals_blocked() -> Iterator[None]:
    """Holds the signals back while a process is started, which inherits that and lets them through when it is ready."""
    before = signal.pthread_sigmask(signal.SIG_BLOCK, STOP_SIGNALS)
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def _kill_group(process: subprocess.Popen[bytes]) -> None:
    """Ends the process and all that it started."""
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(process.pid, signal.SIGKILL)


_SECONDS_TO_FOLLOW = 10.0  # after a failure of one process, since the others wait for it
_SECONDS_TO_SAVE = 300.0  # after the first process has ended on a signal
_SECONDS_BETWEEN_LOOKS = 0.05


def main(argv: Sequence[str]) -> int:
    """Returns the exit status of the process that failed first, or 0."""
    count, *command = argv
    shared = {**os.environ, "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(_free_port())}
    shared |= {"WORLD_SIZE": count, "LOCAL_WORLD_SIZE": count, "TORCHELASTIC_RUN_ID": "run_processes"}
    supervisor = shared.get("A2F_SUPERVISOR", "").partition(":")[2]
    processes: list[subprocess.Popen[bytes]] = []
    received: list[int] = []

    def hand_on(number: int, _frame: FrameType | None) -> None:
        received.append(number)
        for process in processes:
            process.send_signal(number)

    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, hand_on)
    # Supervised, they belong to the process group of the supervisor, and unblock signals when they are ready.
    # Otherwise each has its own group: Ctrl-C in a terminal reaches only this process, which forwards it once.
    descriptors = [int(supervisor)] if supervisor else []
    mask = signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGINT, signal.SIGTERM] if supervisor else [])
    for rank in map(str, range(int(count))):
        own = {**shared, "RANK": rank, "LOCAL_RANK": rank}
        started = [sys.executable, *command]
        processes.append(subprocess.Popen(started, env=own, start_new_session=not supervisor, pass_fds=descriptors))
    signal.pthread_sigmask(signal.SIG_SETMASK, mask)
    return _wait(processes, received)


def _wait(processes: Sequence[subprocess.Popen[bytes]], received: Sequence[int]) -> int:
    """Waits for all processes; after a failure of one the others are stopped, since they cannot continue.

    Where it ended because of a signal, the others received that as well, and are left to end in order.
    """
    failed, deadline = 0, float("inf")
    while True:
        statuses = [process.poll() for process in processes]
        if not failed and any(statuses):
            failed = next(status for status in statuses if status)
            deadline = time.monotonic() + (_SECONDS_TO_SAVE if received else _SECONDS_TO_FOLLOW)
            for process in processes if not received else ():
                process.terminate()
        if None not in statuses:
            return failed if failed >= 0 else 128 - failed
        if time.monotonic() > deadline:
            for process in processes:
                process.kill()
        time.sleep(_SECONDS_BETWEEN_LOOKS)


def _free_port() -> int:
    """A free port for the rendezvous of the processes."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
