"""The host side: arguments, settings, where a stage runs, exit statuses and signals."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from small_framework import ROOT, make_framework, start

from audio2face import interrupts
from audio2face.cli import local, parsers, settings
from audio2face.cli.main import COMMANDS
from audio2face.cli.parsers import base
from audio2face.errors import is_identifier
from tools import environment


@pytest.fixture
def framework(tmp_path: Path) -> Path:
    return make_framework(tmp_path)


@pytest.mark.parametrize("status", [0, 1, 2, 7])
def test_exit_status_is_the_stages(framework: Path, status: int) -> None:
    assert start(framework, f"raise SystemExit({status})").wait(20) == status


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_signals_reach_the_stage_once(framework: Path, number: signal.Signals) -> None:
    code = (
        "import signal, time\n"
        "caught = []\n"
        f"signal.signal({int(number)}, lambda *_: caught.append(1))\n"
        "print('ready', flush=True)\n"
        "while not caught: time.sleep(0.01)\n"
        "time.sleep(0.3)\n"
        "raise SystemExit(40 + len(caught))\n"
    )
    process = start(framework, code)
    assert process.stdout is not None
    assert process.stdout.readline().strip() == "ready"
    process.send_signal(number)
    assert process.wait(20) == 41


def test_settings_file_sets_absolute_roots(framework: Path) -> None:
    (framework / ".env").write_text("# mine\nA2F_DATASETS_ROOT=\"data sets\"\nA2F_WORKSPACE_ROOT='/big/disk'\n")
    code = "import os; print(os.environ['A2F_DATASETS_ROOT']); print(os.environ['A2F_WORKSPACE_ROOT'])"
    output, _ = start(framework, code).communicate(timeout=20)
    assert output.splitlines() == [str(framework / "data sets"), "/big/disk"]


@pytest.mark.parametrize(
    ("line", "value"),
    [
        (b"A2F_RUNTIME=local\r\n", "local"),
        (b"export A2F_RUNTIME=local", "local"),
        (b"\xef\xbb\xbfA2F_RUNTIME = local  # not docker", "local"),
        (b"A2F_RUNTIME='a # b' # c", "a # b"),
        (b"A2F_RUNTIME=/a b/c#d", "/a b/c#d"),
        (b"A2F_RUNTIME=", ""),
    ],
)
def test_settings_are_read_as_people_write_them(tmp_path: Path, line: bytes, value: str) -> None:
    (tmp_path / ".env").write_bytes(line)
    assert settings.read_settings(tmp_path / ".env") == {"A2F_RUNTIME": value}


@pytest.mark.parametrize(
    "content", [b"\xff\xfe", b"A2F_RUNTIME=a\0b", b"A2F_RUNTIME='a", b"A2F_DATASETS_ROOT=~nobody-here/x"]
)
def test_settings_that_make_no_sense_are_one_message(framework: Path, content: bytes) -> None:
    (framework / ".env").write_bytes(content)
    process = start(framework, "raise SystemExit(0)")
    _, errors = process.communicate(timeout=20)
    assert process.returncode == 2
    assert errors.startswith("[ERROR] ")
    assert "Traceback" not in errors


def test_settings_are_never_executed(framework: Path) -> None:
    (framework / ".env").write_text("touch /nowhere\n")
    process = start(framework, "raise SystemExit(0)")
    assert process.wait(20) == 2
    assert process.stderr is not None
    assert "line 1 is not NAME=VALUE" in process.stderr.read()


def test_old_python_gets_a_hint_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "version_info", (3, 8, 18))
    monkeypatch.setenv("PATH", "")
    problem = environment.why_not_here()
    assert problem is not None
    assert "Python 3.8 is too old" in problem
    assert "install" in problem.lower()


def test_missing_venv_module_is_reported(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    assert "python3-venv" in (environment.why_not_here() or "")


def test_environment_is_stale_after_any_change(tmp_path: Path) -> None:
    for lock in (environment.RUNTIME_LOCK, environment.TEST_LOCK):
        (tmp_path / lock).write_text("numpy==1\n")
    python = tmp_path / "python"
    python.touch()

    def current(lock: str, index: str | None = None) -> bool:
        return environment._is_current(tmp_path, python, tmp_path, lock, index)

    assert not current(environment.TEST_LOCK)
    stamp = environment._stamp(tmp_path, environment.TEST_LOCK, None)
    (tmp_path / "a2f_stamp.json").write_text(str(stamp).replace("'", '"'))
    assert current(environment.TEST_LOCK)
    assert not current(environment.RUNTIME_LOCK)
    assert not current(environment.TEST_LOCK, "another index")
    (tmp_path / environment.TEST_LOCK).write_text("numpy==2\n")
    assert not current(environment.TEST_LOCK)


def test_failed_installation_shows_the_logs_end(tmp_path: Path) -> None:
    log = tmp_path / "log"
    with pytest.raises(environment.PreparationError, match="no such package"):
        environment._run([sys.executable, "-c", "print('no such package'); raise SystemExit(1)"], "packages", log)


@pytest.mark.parametrize(("status", "installers"), [(0, ["uv", "uv"]), (1, ["uv", "pip", "uv", "pip"])])
def test_uv_installs_where_it_is_found(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, status: int, installers: list[str]
) -> None:
    """The same lock with its hashes, and torch; where uv fails, pip does it."""
    calls = tmp_path / "calls"
    python = tmp_path / ".venv/bin/python"
    python.parent.mkdir(parents=True)
    uv = tmp_path / "bin/uv"
    uv.parent.mkdir()
    # A stand-in of the environment's Python that only is pip, configured for a source of packages.
    configured = """echo "global.index-url='https://index.example/simple'"; exit"""
    python.write_text(f'#!/bin/sh\ncase "$*" in *"config list"*) {configured};; esac\necho "pip $*" >> {calls}\n')
    uv.write_text(f'#!/bin/sh\necho "uv $*" >> {calls}\nexit {status}\n')
    for program in (python, uv):
        program.chmod(0o755)
    (tmp_path / environment.RUNTIME_LOCK).write_text("numpy==2\n")
    monkeypatch.setenv("PATH", f"{uv.parent}:/usr/bin:/bin")
    environment._install(tmp_path / ".venv", python, tmp_path, environment.RUNTIME_LOCK, "https://torch.example")
    lines = calls.read_text().splitlines()
    assert [line.split()[0] for line in lines] == installers
    assert all("--require-hashes" in line for line in lines if environment.RUNTIME_LOCK in line)
    by_uv = [line for line in lines if line.startswith("uv")]
    assert "--default-index https://index.example/simple" in by_uv[0]
    assert by_uv[1].endswith(f"--index-url https://torch.example {environment.TORCH}")
    assert environment._is_current(
        tmp_path / ".venv", python, tmp_path, environment.RUNTIME_LOCK, "https://torch.example"
    )


@pytest.mark.parametrize("lock", [environment.RUNTIME_LOCK, environment.TEST_LOCK])
def test_locks_hold_hashes_and_no_torch(lock: str) -> None:
    text = (ROOT / lock).read_text(encoding="utf-8")
    entries = re.findall(r"^([a-z0-9_.-]+)==.*\\\n    --hash=sha256:", text, re.MULTILINE)
    assert len(entries) == len(re.findall(r"^[a-z]", text, re.MULTILINE))
    assert "torch" not in entries
    assert "://" not in text


@given(st.text(max_size=12) | st.from_regex(r"[a-z0-9_.-]{1,101}\n?", fullmatch=True))
def test_host_and_package_agree_on_names(name: str) -> None:
    try:
        accepted = base.identifier(name) == name
    except base.argparse.ArgumentTypeError:
        accepted = False
    assert accepted == is_identifier(name)


@pytest.mark.parametrize("name", ["NUL", "con.txt", "..", "a/b", "a\n", "a\0b", "-a", "a.", "x" * 101, "", "é", "a..b"])
def test_unsafe_names_are_refused(name: str) -> None:
    with pytest.raises(base.argparse.ArgumentTypeError):
        base.identifier(name)
    assert not is_identifier(name)


@pytest.mark.parametrize("command", sorted(COMMANDS))
def test_help_of_a_command_fits_a_terminal_and_has_an_example(command: str) -> None:
    words = [sys.executable, "-m", "audio2face", command, "--help"]
    done = subprocess.run(words, cwd=ROOT, capture_output=True, text=True, env={**os.environ, "COLUMNS": "80"})
    assert done.returncode == 0, done.stderr
    assert "\nexample:\n  audio2face" in done.stdout
    assert max(map(len, done.stdout.splitlines())) <= 80


@pytest.mark.parametrize("stage", [path.stem[4:] for path in sorted(ROOT.glob("run_*.py"))])
def test_help_teaches_without_an_environment(stage: str) -> None:
    command = [sys.executable, str(ROOT / f"run_{stage}.py"), "--help"]
    began = time.monotonic()
    done = subprocess.run(command, capture_output=True, text=True, env={"PATH": ""}, check=True)
    assert "example:" in done.stdout
    assert time.monotonic() - began < 10


def test_a_misspelt_setting_is_refused(framework: Path) -> None:
    (framework / ".env").write_text("A2F_DATASET_ROOT=/data\n")
    process = start(framework, "raise SystemExit(0)")
    assert process.wait(20) == 2
    assert process.stderr is not None
    assert "A2F_DATASETS_ROOT" in process.stderr.read()


def test_the_environment_finds_the_repository_from_anywhere(tmp_path: Path) -> None:
    packages = tmp_path / "lib/python3.11/site-packages"
    packages.mkdir(parents=True)
    (tmp_path / "bin").mkdir()
    for root in (tmp_path / "before", tmp_path / "moved here"):
        environment._link(tmp_path, root)
        assert (packages / "audio2face.pth").read_text() == f"{root}\n"


def test_the_environment_has_the_commands(tmp_path: Path) -> None:
    folder = tmp_path / "it's an environment"
    (folder / "bin").mkdir(parents=True)
    (folder / "bin/python").write_text('#!/bin/sh\necho "$@"\n')
    (folder / "bin/python").chmod(0o755)
    for _ in range(2):
        environment._link(folder, ROOT)
    for name in ("audio2face", "a2f"):
        done = subprocess.run([folder / "bin" / name, "train", "a b"], capture_output=True, text=True, check=True)
        assert done.stdout == "-P -m audio2face train a b\n"
    assert sorted(path.name for path in (folder / "bin").iterdir()) == ["a2f", "audio2face", "python"]


def test_several_processes_are_started_for_several_devices() -> None:
    variables = {"OMP_NUM_THREADS": "3"}
    assert local.processes(parsers.parse("train", ["my-config"]), variables) == []
    started = local.processes(parsers.parse("train", ["my-config", "--devices", "2"]), variables)
    assert started == ["-m", "audio2face.cli.supervisor", "2", str(ROOT / "audio2face/cli/stage_process.py")]
    assert variables == {"OMP_NUM_THREADS": "3"}  # what the user set stays


def test_one_process_that_fails_ends_all_with_its_status(tmp_path: Path) -> None:
    script = tmp_path / "script.py"
    script.write_text(
        "import os, sys, time\n"
        "assert os.environ['WORLD_SIZE'] == os.environ['LOCAL_WORLD_SIZE'] == '2'\n"
        "sys.exit(7) if os.environ['RANK'] == '1' else time.sleep(60)\n"
    )
    began = time.monotonic()
    done = subprocess.run([sys.executable, "-m", "audio2face.cli.supervisor", "2", str(script)])
    assert done.returncode == 7
    assert time.monotonic() - began < 30


def test_resume_may_name_a_run() -> None:
    assert parsers.parse("train", ["my-config"]).resume is None
    assert parsers.parse("train", ["my-config", "--resume"]).resume == ""
    assert parsers.parse("train", ["my-config", "--resume", "261123_101500_run"]).resume == "261123_101500_run"
    with pytest.raises(SystemExit):
        parsers.parse("train", ["my-config", "--resume", "../run"])


def test_parameters_are_handed_to_the_configuration(tmp_path: Path) -> None:
    words = {"train": [], "preproc": ["ada"], "check": [], "deploy": ["261123_101500_run", "--export"]}
    for stage, more in words.items():
        given = ["--set", "RUN_NAME=-1", "--set", "CONFIG={'a': 1}"]
        args = parsers.parse(stage, ["quickstart-diffusion", *more, *given])
        assert args.overrides == ["RUN_NAME=-1", "CONFIG={'a': 1}"]
    args = parsers.parse("train", ["quickstart-diffusion", "--set", "NUM_EPOCHS=3"])
    checked = tmp_path / "configuration.json"
    assert local.write_configuration(Path(sys.executable), "deploy", args, dict(os.environ), checked) == 0
    content = json.loads(checked.read_text(encoding="utf-8"))
    assert content["overrides"] == ["NUM_EPOCHS=3"]
    assert content["full"]["train"]["NUM_EPOCHS"] == 3


def test_a_reader_that_ends_early_ends_a_command_without_a_traceback() -> None:
    reader, writer = os.pipe()
    os.close(reader)
    command = [sys.executable, "-m", "audio2face", "completion", "bash"]
    done = subprocess.run(command, cwd=ROOT, stdout=writer, stderr=subprocess.PIPE, text=True)
    os.close(writer)
    assert done.returncode == 141
    assert done.stderr == ""


def test_the_hint_of_a_stopped_stage_names_the_command_that_was_typed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(interrupts, "_Hint", type("Fresh", (interrupts._Hint,), {}))
    interrupts.set_resume_hint("Resume it: python run_train.py my-config --resume")
    assert interrupts.resume_hint() == "Resume it: python run_train.py my-config --resume"
    monkeypatch.setenv("A2F_PROGRAM", "audio2face")
    interrupts.set_resume_hint("Resume it: python run_train.py my-config --resume")
    assert interrupts.resume_hint() == "Resume it: audio2face train my-config --resume"
