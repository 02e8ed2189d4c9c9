"""Runs a runner in several processes on this machine, for distributed training; the launcher starts it for --devices.

    python -m audio2face.cli.processes COUNT SCRIPT ARGUMENT...

They are set up as `torchrun --standalone --nproc-per-node COUNT RUNNER ...` would set them up. Unlike it, this ends as
one process would: every signal is handed on as often as it comes, there is time to save a checkpoint, and the exit
status is that of the process which failed first.
"""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Sequence
from types import FrameType

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
