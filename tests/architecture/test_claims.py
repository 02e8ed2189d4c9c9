"""Temporary files and folders, and locks: what a killed process left is removed, what a living one works on is not."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from audio2face.io.atomic import atomic_files, atomic_folder, atomic_write, write_text
from audio2face.io.claims import exclusive, exclusive_or_fail, remove_leftovers, temporary_file, temporary_folder

ROOT = Path(__file__).parents[2]
PROGRAM = """
import os, sys
from pathlib import Path
from audio2face.io import atomic, claims
with {context}:
    print("inside", flush=True)
    sys.stdin.read()
"""


def other_process(context: str) -> subprocess.Popen[str]:
    """Another process, inside of a context until its standard input is closed."""
    process = subprocess.Popen(
        [sys.executable, "-c", PROGRAM.format(context=context)],
        cwd=ROOT,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert process.stdout is not None
    assert process.stdout.readline() == "inside\n"
    return process


def kill(process: subprocess.Popen[str]) -> None:
    process.kill()
    process.communicate()


@pytest.mark.parametrize(
    ("context", "again"),
    [
        ("atomic.atomic_write(Path({0!r}) / 'a')", lambda folder: atomic_write(folder / "a")),
        ("atomic.atomic_folder(Path({0!r}) / 'a')", lambda folder: atomic_folder(folder / "a")),
        ("atomic.atomic_files(Path({0!r}))", atomic_files),
    ],
)
def test_the_next_call_removes_what_a_killed_one_left(tmp_path: Path, context: str, again: object) -> None:
    alive, killed = (other_process(context.format(str(tmp_path))) for _ in range(2))
    kill(killed)
    names = {path.name for path in tmp_path.iterdir()}
    assert len(names) == 2
    with again(tmp_path):  # type: ignore[operator]
        assert {path.name for path in tmp_path.iterdir()} == names  # the place of the killed one was taken
    left = [path for path in tmp_path.iterdir() if path.name.endswith(".tmp")]
    assert len(left) == 1  # that of the living one
    output, _ = alive.communicate()
    assert alive.returncode == 0, output
    assert not [path for path in tmp_path.iterdir() if path.name.endswith(".tmp")]


def test_leftovers_of_living_processes_stay(tmp_path: Path) -> None:
    alive = other_process(f"claims.temporary_folder(Path({str(tmp_path)!r}), 'export')")
    (tmp_path / ".export.abc").mkdir()
    (tmp_path / ".export.abc/traced.onnx").touch()
    (tmp_path / ".files.abc.tmp").touch()
    remove_leftovers(tmp_path, ".export.*")
    remove_leftovers(tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == [".export.0.tmp"]
    kill(alive)
    remove_leftovers(tmp_path)
    assert not list(tmp_path.iterdir())


def test_a_link_in_the_place_of_a_temporary_file_is_not_followed(tmp_path: Path) -> None:
    (tmp_path / "other").write_text("mine")
    (tmp_path / ".a.0.tmp").symlink_to(tmp_path / "other")
    os.mkfifo(tmp_path / ".a.1.tmp")
    write_text(tmp_path / "a", "text")
    assert (tmp_path / "a").read_text() == "text"
    assert (tmp_path / "other").read_text() == "mine"


def test_threads_write_one_file_side_by_side(tmp_path: Path) -> None:
    with temporary_file(tmp_path, "a") as (first, _), temporary_file(tmp_path, "a") as (second, _):
        assert first != second
    with temporary_folder(tmp_path, "a") as folder, temporary_folder(tmp_path, "a") as other:
        assert folder != other
        assert folder.is_dir()
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("name", ["lock", "."])
def test_a_lock_lets_one_in_and_the_next_waits(tmp_path: Path, name: str) -> None:
    path, told = tmp_path / name, threading.Event()
    other = other_process(f"claims.exclusive(Path({str(path)!r}))")
    with exclusive_or_fail(path) as is_ours:
        assert not is_ours

    def release() -> None:
        told.wait(60)
        kill(other)

    thread = threading.Thread(target=release)
    thread.start()
    with exclusive(path, told.set), exclusive_or_fail(path) as is_ours:
        assert told.is_set()
        assert not is_ours
    thread.join()
    assert not list(tmp_path.iterdir())


def test_a_lock_whose_file_was_removed_meanwhile_is_taken_anew(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Unlinked after its release, a lock's file would let two processes in: one by the old file, one by a new one."""
    path = tmp_path / "lock"
    first = exclusive(path)
    first.__enter__()
    opened = os.open(path, os.O_RDWR)  # as a process that waits has it
    first.__exit__(None, None, None)
    with exclusive(path):
        assert not os.path.sameopenfile(opened, os.open(path, os.O_RDWR))
        monkeypatch.setattr(os, "open", lambda *_: opened)
        with exclusive_or_fail(path) as is_ours:
            assert not is_ours
