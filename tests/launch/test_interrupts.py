"""Ctrl-C and SIGTERM, from the first moment of a stage to its last: one line, an honest status, and nothing left."""

from __future__ import annotations

import errno
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import psutil
import pytest
from small_framework import ROOT, launcher_environment, make_framework, start

PATIENCE = 60
SIGNALS = (signal.SIGINT, signal.SIGTERM)


@pytest.fixture
def framework(tmp_path: Path) -> Path:
    return make_framework(tmp_path)


def wait_for(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + PATIENCE
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.005)


def first_line(process: subprocess.Popen[str]) -> str:
    assert process.stdout is not None
    return process.stdout.readline().strip()


def assert_stopped(process: subprocess.Popen[str], number: int, hint: str) -> None:
    _, errors = process.communicate(timeout=PATIENCE)
    assert errors.splitlines()[-1] == f"[STOPPED] {hint}"
    assert errors.count("[STOPPED]") == 1
    assert "Traceback" not in errors
    assert process.returncode == 128 + number


AGAIN = "Run the same command again to resume."


@pytest.fixture
def temporary(tmp_path: Path) -> Iterator[Path]:
    """The folder for temporary files of a stage, in which nothing is left at the end."""
    folder = tmp_path / "temporary"
    folder.mkdir()
    yield folder
    assert not list(folder.iterdir())


def runs(process: subprocess.Popen[str], *words: str) -> bool:
    """Whether the launcher has a child whose command holds all words."""
    for child in psutil.Process(process.pid).children(recursive=True):
        try:
            command = child.cmdline()
        except psutil.NoSuchProcess:
            continue
        if all(any(word in part for part in command) for word in words):
            return True
    return False


@pytest.mark.parametrize("number", SIGNALS)
@pytest.mark.parametrize("moment", ["start", "configuration", "user's file", "imports"])
def test_a_stage_is_stopped_while_it_starts(moment: str, number: int, temporary: Path, tmp_path: Path) -> None:
    workspace = {f"A2F_{name}_ROOT": str(tmp_path / name) for name in ("DATASETS", "WORKSPACE")}
    process = subprocess.Popen(
        [sys.executable, str(ROOT / "run_check.py"), "quickstart-diffusion"],
        env=launcher_environment(TMPDIR=str(temporary), **workspace),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )
    if moment == "start":
        time.sleep(0.2)
    else:
        words = {
            "configuration": ["audio2face.config"],
            "user's file": ["run_user_file.py"],
            "imports": ["run_check.py", "--config-file"],
        }[moment]
        wait_for(lambda: runs(process, *words))
    os.killpg(process.pid, number)  # as a terminal does
    assert_stopped(process, number, AGAIN)


@pytest.mark.parametrize("number", SIGNALS)
def test_a_stage_that_cannot_react_is_ended_with_all_that_it_started(framework: Path, number: int) -> None:
    code = (
        "import ctypes, subprocess, sys\n"
        "other = subprocess.Popen([sys.executable, '-c', 'import time; time.sleep(1000)'])\n"
        "print(other.pid, flush=True)\n"
        "ctypes.PyDLL(None).sleep(1000)  # native code that lets no handler, and no other thread, run\n"
    )
    process = start(framework, code)
    started = int(first_line(process))
    process.send_signal(number)
    assert_stopped(process, number, AGAIN)
    wait_for(lambda: not psutil.pid_exists(started) or psutil.Process(started).status() == psutil.STATUS_ZOMBIE)


def test_what_must_not_be_lost_is_saved_without_a_limit_in_time(framework: Path) -> None:
    code = (
        "import signal, sys, time\n"
        "from audio2face.interrupts import set_resume_hint, unhurried\n"
        "caught = []\n"
        "signal.signal(signal.SIGINT, lambda *_: caught.append(1))\n"
        "set_resume_hint('Resume with: this')\n"
        "with unhurried():\n"
        "    print('ready', flush=True)\n"
        "    while not caught: time.sleep(0.01)\n"
        "    time.sleep(2.5)\n"
        "print('saved', flush=True)\n"
        "time.sleep(1000)\n"
    )
    process = start(framework, code)
    assert first_line(process) == "ready"
    process.send_signal(signal.SIGINT)
    assert first_line(process) == "saved"
    assert_stopped(process, signal.SIGINT, "Resume with: this")


def test_a_second_signal_ends_a_save_as_well(framework: Path) -> None:
    code = (
        "import signal, time\n"
        "from audio2face.interrupts import unhurried\n"
        "caught = []\n"
        "signal.signal(signal.SIGINT, lambda *_: print('caught', flush=True))\n"
        "with unhurried():\n"
        "    print('ready', flush=True)\n"
        "    time.sleep(1000)\n"
    )
    process = start(framework, code)
    for _ in range(2):
        first_line(process)
        process.send_signal(signal.SIGINT)
    assert_stopped(process, signal.SIGINT, AGAIN)


def test_a_stage_does_not_outlive_its_launcher(framework: Path) -> None:
    process = start(framework, "import os, time; print(os.getpid(), flush=True); time.sleep(1000)")
    stage = int(first_line(process))
    process.kill()
    process.wait(PATIENCE)
    wait_for(lambda: not psutil.pid_exists(stage) or psutil.Process(stage).status() == psutil.STATUS_ZOMBIE)


def test_a_stage_that_the_system_kills_is_reported(framework: Path) -> None:
    process = start(framework, "import os; os.kill(os.getpid(), 9)")
    _, errors = process.communicate(timeout=PATIENCE)
    assert process.returncode == 128 + signal.SIGKILL
    assert "ran out of memory" in errors


def test_what_a_killed_launcher_left_is_removed_by_the_next(temporary: Path, tmp_path: Path) -> None:
    gone = subprocess.Popen(["true"])
    gone.wait()
    alive = temporary / f"audio2face_{os.getpid()}_abc"
    for folder in (temporary / f"audio2face_{gone.pid}_abc", alive):
        folder.mkdir()
        (folder / "configuration.json").touch()
    env = launcher_environment(TMPDIR=str(temporary), A2F_DATASETS_ROOT=str(tmp_path), A2F_WORKSPACE_ROOT=str(tmp_path))
    subprocess.run([sys.executable, str(ROOT / "run_preproc.py"), "no-such-configuration", "x"], env=env, check=False)
    assert list(temporary.iterdir()) == [alive]
    (alive / "configuration.json").unlink()
    alive.rmdir()


@pytest.mark.parametrize(
    ("number", "said"),
    [(errno.EACCES, "permissions"), (errno.EROFS, "mounted"), (errno.ENOSPC, "Free some space"), (errno.EIO, None)],
)
def test_a_place_that_cannot_be_written_to_is_one_message(number: int, said: str | None) -> None:
    code = (
        "from audio2face.cli.process import run_stage\n"
        f"def main(_): raise OSError({number}, 'reason', '/a/place')\n"
        "run_stage(main)\n"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True)
    assert ("Traceback" in done.stderr) == (said is None)
    if said is not None:
        assert done.returncode == 2
        assert done.stderr.startswith("[ERROR] /a/place: ")
        assert said in done.stderr


def test_a_debugged_stage_says_it_itself(tmp_path: Path) -> None:
    code = (
        "import time\n"
        "from audio2face.cli.process import run_stage\n"
        "def main(_):\n"
        "    print('ready', flush=True)\n"
        "    time.sleep(1000)\n"
        "run_stage(main)\n"
    )
    command = [sys.executable, "-c", code]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, cwd=ROOT)
    assert first_line(process) == "ready"
    process.send_signal(signal.SIGTERM)
    assert_stopped(process, signal.SIGTERM, AGAIN)
