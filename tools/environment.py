"""Prepares `.venv`: locked packages with hashes, and torch from the index that pip or `.env` names.

Standard library only, readable by any Python from 3.8 on.
"""

from __future__ import annotations

import ast
import contextlib
import hashlib
import importlib.util
import json
import os
import shlex
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

TORCH = "torch==2.13.0"
OLDEST = (3, 11)
NEWEST = (3, 14)
RUNTIME_LOCK = "requirements.lock"
TEST_LOCK = "requirements-dev.lock"
COMMANDS = ("audio2face", "a2f")
_STAMP = "a2f_stamp.json"


class PreparationError(Exception):
    """The environment could not be prepared; the message says why and what to do."""


def why_not_here() -> str | None:
    """What this Python lacks to prepare the environment, with what to install; None when it lacks nothing."""
    if sys.version_info < OLDEST:
        newer = _newer_python()
        advice = f"Use {newer} instead of python3." if newer else _install_advice()
        return f"Python {_python_version()} is too old: Python 3.11 or newer is needed. {advice}"
    if importlib.util.find_spec("venv") is None or importlib.util.find_spec("ensurepip") is None:
        return (
            "this Python cannot make virtual environments: install its venv module "
            "(Ubuntu and Debian: sudo apt install python3-venv; Fedora: part of python3)."
        )
    return None


def _python_version() -> str:
    return ".".join(str(part) for part in sys.version_info[:2])


def _newer_python() -> str | None:
    """Name of a Python on the PATH that is new enough and starts, if there is one."""
    for minor in range(NEWEST[1], OLDEST[1] - 1, -1):
        name = f"python3.{minor}"
        found = shutil.which(name)
        if found and subprocess.call([found, "-c", ""], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) == 0:
            return name
    return None


def _install_advice() -> str:
    return (
        "Install it (Ubuntu 24.04: sudo apt install python3 python3-venv; macOS: brew install python@3.13; "
        "any system: https://www.python.org/downloads/) and run this command with it."
    )


def prepare(root: Path, for_tests: bool, torch_index: str | None) -> Path:
    """Makes `.venv` current and returns its interpreter; a current one is only looked at.

    Args:
        root: the repository.
        for_tests: also install what the tests need.
        torch_index: package index that torch is taken from, or None for pip's own configuration.

    Raises:
        PreparationError: a package could not be installed; the log's end is in the message.
    """
    folder = root / ".venv"
    python = folder / ("Scripts/python.exe" if os.name == "nt" else "bin/python")
    # Tests need all that the stages need, so an environment for tests serves both.
    if not any(_is_current(folder, python, root, lock, torch_index) for lock in _locks(for_tests)):
        with _only_one(root / ".venv.lock"):
            lock = TEST_LOCK if for_tests else _lock_to_keep(folder)
            if not _is_current(folder, python, root, lock, torch_index):
                _install(folder, python, root, lock, torch_index)
    _link(folder, root)
    return python


def _link(folder: Path, root: Path) -> None:
    """Lets the environment's Python, and its torchrun, find this repository from anywhere, and adds its commands."""
    for packages in (*folder.glob("lib/python3*/site-packages"), *folder.glob("Lib/site-packages")):
        link = packages / "audio2face.pth"
        if not link.is_file() or link.read_text(encoding="utf-8").strip() != str(root):
            link.write_text(str(root) + "\n", encoding="utf-8")
    if os.name == "posix":
        # -P: what lies in the current folder is not imported.
        text = f'#!/bin/sh\nexec {shlex.quote(str(folder / "bin/python"))} -P -m audio2face "$@"\n'
        for name in COMMANDS:
            _write_command(folder / "bin" / name, text)


def _write_command(path: Path, text: str) -> None:
    """Writes a shell script, unless it is there already; another process may be running the one that it replaces."""
    if path.is_file() and path.read_text(encoding="utf-8") == text:
        return
    temporary = path.with_name(f"{path.name}.{os.getpid()}.tmp")
    temporary.write_text(text, encoding="utf-8")
    temporary.chmod(0o755)
    temporary.replace(path)


def _locks(for_tests: bool) -> list[str]:
    return [TEST_LOCK] if for_tests else [RUNTIME_LOCK, TEST_LOCK]


def _lock_to_keep(folder: Path) -> str:
    """An environment that had the test packages keeps them when it is brought up to date."""
    return TEST_LOCK if _read_stamp(folder).get("lock") == TEST_LOCK else RUNTIME_LOCK


def _read_stamp(folder: Path) -> dict[str, str]:
    try:
        stamp = json.loads((folder / _STAMP).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return stamp if isinstance(stamp, dict) else {}


def _stamp(root: Path, lock: str, torch_index: str | None) -> dict[str, str]:
    """What a finished environment was made from; any difference makes it stale."""
    return {
        "lock": lock,
        "sha256": hashlib.sha256((root / lock).read_bytes()).hexdigest(),
        "torch": TORCH,
        "torch_index": torch_index or "",
        "python": _python_version(),
    }


def _is_current(folder: Path, python: Path, root: Path, lock: str, torch_index: str | None) -> bool:
    return python.exists() and _read_stamp(folder) == _stamp(root, lock, torch_index)


def _install(folder: Path, python: Path, root: Path, lock: str, torch_index: str | None) -> None:
    stamp = _stamp(root, lock, torch_index)
    uv = shutil.which("uv")
    print(
        "Preparing the Python environment in .venv{}: once, some minutes, about 2 GB (CUDA: 7 GB).".format(
            " with uv" if uv else ""
        ),
        flush=True,
    )
    log = root / ".venv.log"
    log.write_bytes(b"")
    if not python.exists() or _read_stamp(folder).get("python", stamp["python"]) != stamp["python"]:
        _run([sys.executable, "-m", "venv", "--clear", str(folder)], "virtual environment", log)
    if (folder / _STAMP).exists():
        (folder / _STAMP).unlink()  # from here on the environment is not whole until the end
    # The lock is complete but for torch, which one of its packages depends on: nothing must look for more.
    packages = ["--no-deps", "--require-hashes", "--requirement", str(root / lock)]
    _run_installer(uv, python, packages, None, "packages", log)
    _run_installer(uv, python, [TORCH], torch_index, "torch", log)
    temporary = folder / (_STAMP + ".tmp")
    temporary.write_text(json.dumps(stamp), encoding="utf-8")
    temporary.replace(folder / _STAMP)
    log.unlink()


def _run_installer(uv: str | None, python: Path, what: list[str], index: str | None, name: str, log: Path) -> None:
    """Installs by uv where there is one, and by pip where there is none or uv fails.

    Args:
        uv: its path.
        python: interpreter of the environment.
        what: what to install, as both take it.
        index: the package index, or None for those that pip is configured for.
        name: what it is, for people.
        log: receives the output.
    """
    if uv is not None:
        sources = ["--index-url", index] if index else uv_sources(python)
        try:
            _run([uv, "pip", "install", "--python", str(python), *sources, *what], name, log)
            return
        except PreparationError:
            print(f"  uv could not install {name}: pip tries", flush=True)
    pip = [str(python), "-m", "pip", "--disable-pip-version-check", "install"]
    _run([*pip, *(["--index-url", index] if index else []), *what], name, log)


# Options of pip that say where packages come from, and uv's for the same.
_SOURCES = {"index-url": "--default-index", "extra-index-url": "--index", "find-links": "--find-links"}


def uv_sources(python: Path) -> list[str]:
    """The package sources that pip is configured for, as options of uv, which does not read pip's configuration."""
    command = [str(python), "-m", "pip", "--disable-pip-version-check", "config", "list"]
    listed = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, check=False).stdout
    values: dict[str, list[str]] = {}
    # One line per section and name, sorted: a command's own section outdoes `global`, the variables (`:env:`) both.
    for line in sorted(listed.decode(errors="replace").splitlines(), key=lambda line: line.startswith(":env:")):
        key, _, value = line.partition("=")
        section, _, name = key.rpartition(".")
        if name in _SOURCES and section in ("global", "install", ":env:"):
            with contextlib.suppress(SyntaxError, ValueError):
                values[name] = str(ast.literal_eval(value)).split()
    options = [word for name, option in _SOURCES.items() for value in values.get(name, []) for word in (option, value)]
    # As pip: the best version of all sources, whichever lists it.
    return [*options, "--index-strategy", "unsafe-best-match"] if options else []


def _run(command: list[str], what: str, log: Path) -> None:
    """Runs one step with its output in the log, showing the seconds as they pass."""
    began = time.monotonic()
    with log.open("ab") as output:
        # A session of its own: a Ctrl-C in the terminal reaches this process alone, which ends that one and its own.
        process = subprocess.Popen(
            command, stdout=output, stderr=subprocess.STDOUT, stdin=subprocess.DEVNULL, start_new_session=True
        )
        try:
            while process.poll() is None:
                if sys.stdout.isatty():
                    print(f"\r  {what} ... {time.monotonic() - began:.0f} s ", end="", flush=True)
                time.sleep(0.2)
        finally:
            if process.poll() is None:
                _end_group(process)
    line_start = "\r" if sys.stdout.isatty() else ""
    print(f"{line_start}  {what}: {time.monotonic() - began:.0f} s".ljust(40), flush=True)
    if process.returncode != 0:
        end = log.read_text(encoding="utf-8", errors="replace").splitlines()[-12:]
        raise PreparationError(
            "installing {} failed (status {}). The whole log is in {}; it ends:\n    {}\nMend the cause (network, "
            "disk space, package index) and run the command again.".format(
                what, process.returncode, log.name, "\n    ".join(end)
            )
        )


def _end_group(process: subprocess.Popen[bytes]) -> None:
    """Ends a process of its own session with all that it started, in order where that takes no longer than a second."""
    if os.name != "posix":
        process.terminate()
        process.wait()
        return
    for number in (signal.SIGTERM, signal.SIGKILL):
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, number)
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(1)


@contextmanager
def _only_one(path: Path) -> Iterator[None]:
    """Lets one process at a time prepare the environment; others wait for it."""
    with path.open("w") as handle:
        try:
            import fcntl
        except ImportError:  # Windows without WSL: two first starts at once are not guarded there.
            yield
            return
        fcntl.flock(handle, fcntl.LOCK_EX)
        yield
