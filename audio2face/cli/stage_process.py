"""Starts a script of a stage in the prepared environment: Ctrl-C and SIGTERM are obeyed while it is still importing.

    python audio2face/cli/stage_process.py SCRIPT ARGUMENT...
    python audio2face/cli/stage_process.py -m MODULE ARGUMENT...

The process ends when its supervisor (`supervisor.py`) is killed. The stage itself sets handlers of its own as soon as
it has something to clean up.
"""

from __future__ import annotations

import os
import runpy
import signal
import socket
import sys
import threading
from pathlib import Path
from types import FrameType

# "PID:DESCRIPTOR": this end of the supervisor's socket, and the process that it belongs to; see `supervisor.py`.
SUPERVISOR = "A2F_SUPERVISOR"
STOP_SIGNALS = (signal.SIGINT, signal.SIGTERM)
_PR_SET_PDEATHSIG = 1


def _stop(number: int, _frame: FrameType | None) -> None:
    """Ends the process at once: while modules are imported there is nothing to clean up."""
    os._exit(128 + number)


def end_with_supervisor() -> None:
    """Makes sure that this process does not outlive the one that supervises it, however that ends."""
    descriptor = os.environ.get(SUPERVISOR, "").partition(":")[2]
    if not descriptor:
        return
    os.environ[SUPERVISOR] = f"{os.getpid()}:{descriptor}"
    supervisor = socket.socket(fileno=int(descriptor))
    supervisor.set_inheritable(False)
    if sys.platform == "linux":
        import ctypes

        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
    threading.Thread(target=_watch, args=(supervisor,), name="supervisor", daemon=True).start()


def _watch(supervisor: socket.socket) -> None:
    """Ends the process at the end of file. It also holds the socket, which must stay open."""
    while supervisor.recv(1):
        pass
    os._exit(1)


def main() -> None:
    """Runs the script or module of the command line as if it had been started itself."""
    for number in STOP_SIGNALS:
        signal.signal(number, _stop)
    if hasattr(signal, "pthread_sigmask"):
        signal.pthread_sigmask(signal.SIG_UNBLOCK, STOP_SIGNALS)  # the supervisor starts this process with them blocked
    end_with_supervisor()
    del sys.argv[0]
    try:
        _run()
    except ModuleNotFoundError as error:
        say_missing(error)
        sys.exit(2)


def say_missing(error: ModuleNotFoundError) -> None:
    """Says that the environment lacks a package; raises the error again where a module of ours is missing."""
    name = (error.name or "audio2face").partition(".")[0]
    if name in ("audio2face", "runners", "tools"):
        raise error
    print(
        f"[ERROR] this environment is older than the framework: {sys.executable} has no package {name!r}\n"
        "  In the repository any run_*.py brings .venv up to date; elsewhere: pip install --upgrade audio2face",
        file=sys.stderr,
    )


def _run() -> None:
    """Runs the script or module that `sys.argv` begins with."""
    if sys.argv[0] == "-m":
        del sys.argv[0]
        sys.path[0] = str(Path(__file__).resolve().parents[2])
        runpy.run_module(sys.argv[0], run_name="__main__", alter_sys=True)
    else:
        sys.path[0] = str(Path(sys.argv[0]).resolve().parent)
        runpy.run_path(sys.argv[0], run_name="__main__")


if __name__ == "__main__":
    main()
