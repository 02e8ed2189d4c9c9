"""Many recordings in one call: what is kept, what fails, what several processes make of them, and what ends them."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import numpy as np
import pytest
import soundfile

from audio2face.cli import animate as animate_command
from audio2face.cli import local, parsers
from audio2face.cli.batch import WatchedFolder
from audio2face.cli.inference_options import InferenceOptions
from audio2face.cli.output_record import INPUTS_FILE
from audio2face.cli.recordings import collect
from audio2face.cli.workers import WorkerPool
from audio2face.errors import UserError

ROOT = Path(__file__).parents[2]
NAMES = ("a b.wav", "day 1/ünï.flac", "day 1/x/c.wav")
OUTPUTS = ("a b_ada_joy", "day 1/ünï_ada_joy", "day 1/x/c_ada_joy")


def sound(path: Path, seconds: float = 0.2) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    soundfile.write(path, np.random.default_rng(0).uniform(-0.5, 0.5, round(seconds * 16000)), 16000)
    return path


@pytest.fixture
def takes(tmp_path: Path) -> Path:
    for name in NAMES:
        sound(tmp_path / "takes" / name)
    return tmp_path / "takes"


@pytest.fixture
def words(regression: Path, tmp_path: Path) -> list[str]:
    """The arguments of all calls but those of recordings."""
    return ["--model", str(regression), "--to", str(tmp_path / "out"), "--format", "npy", "csv", "--emotion", "joy"]


@pytest.fixture
def animate(words: list[str], takes: Path, tmp_path: Path) -> Callable[..., dict[str, int]]:
    """Animates the folder; returns when each animation was written, by its path."""

    def run(*options: str, status: int = 0, audio: str | None = None) -> dict[str, int]:
        given = [] if "--watch" in options else ["--audio", audio or str(takes)]
        assert animate_command.main([*words, *given, *options]) == status
        return written(tmp_path / "out")

    return run


def written(folder: Path) -> dict[str, int]:
    records = sorted(folder.rglob(INPUTS_FILE))
    return {path.parent.relative_to(folder).as_posix(): path.stat().st_mtime_ns for path in records}


def test_a_folder_keeps_its_subfolders_and_complete_animations(
    animate: Callable[..., dict[str, int]], takes: Path, tmp_path: Path, regression: Path
) -> None:
    first = animate()
    assert set(first) == set(OUTPUTS)
    assert animate() == first
    os.utime(takes / NAMES[0])  # touched, or copied: the content counts
    assert animate() == first
    assert animate(audio=str(takes / NAMES[0])).keys() == {*first}  # the same recording by its name
    assert animate() == first

    def changed(since: dict[str, int]) -> set[str]:
        now = animate()
        return {name for name in now if now[name] != since[name]}

    sound(takes / NAMES[1], 0.3)
    assert changed(first) == {OUTPUTS[1]}
    second = written(tmp_path / "out")
    (tmp_path / "out" / OUTPUTS[2] / "c_ada_joy_skin.npy").write_bytes(b"damaged")
    (tmp_path / "out" / OUTPUTS[0] / "a b_ada_joy.wav").unlink()
    assert changed(second) == {OUTPUTS[0], OUTPUTS[2]}
    third = written(tmp_path / "out")
    (regression / "README.md").write_text("no input of an animation")
    assert changed(third) == set()
    for file in regression.glob("model_data*.npz"):
        os.utime(file)
    assert changed(third) == set()
    info = regression / "trt_info.json"
    info.write_text(json.dumps(json.loads(info.read_text())))  # other bytes
    assert changed(third) == set(OUTPUTS)


@pytest.mark.parametrize("option", [["--force"], ["--set", "skin_strength=0.5"], ["--fps", "24"], ["--seed", "1"]])
def test_other_settings_make_other_animations(animate: Callable[..., dict[str, int]], option: list[str]) -> None:
    first = animate()
    second = animate(*option)
    assert all(second[name] > first[name] for name in OUTPUTS)


def test_a_bad_file_among_good_ones(
    animate: Callable[..., dict[str, int]], takes: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (takes / "bad.wav").write_text("no sound")
    (takes / "day 1/empty.wav").write_bytes(b"")
    assert set(animate(status=1)) == set(OUTPUTS)
    out = capsys.readouterr().out
    assert "3 animated, 0 unchanged, 2 failed" in out
    table = out[out.index("2 of 5 recordings could not be animated:") :]
    assert "bad.wav" in table
    assert "the file is empty" in table
    sound(takes / "bad.wav")
    assert "bad_ada_joy" in animate(status=1)
    assert "1 animated, 3 unchanged, 1 failed" in capsys.readouterr().out


def test_a_single_bad_file_ends_the_command(animate: Callable[..., dict[str, int]], takes: Path) -> None:
    (takes / "bad.wav").write_text("no sound")
    with pytest.raises(UserError, match="cannot be read as audio"):
        animate(audio=str(takes / "bad.wav"))
    animate("--audio", str(takes / "bad.wav"), status=1, audio=str(takes / NAMES[0]))


def test_no_output_twice(animate: Callable[..., dict[str, int]], takes: Path, tmp_path: Path) -> None:
    sound(takes / "day 1/x/c.flac")
    with pytest.raises(UserError, match=r"two recordings would be written as 'day 1/x/c_ada_joy'.*c\.flac.*c\.wav"):
        animate()
    assert not (tmp_path / "out").exists()


def test_several_processes_write_what_one_writes(
    animate: Callable[..., dict[str, int]], takes: Path, tmp_path: Path
) -> None:
    (takes / "bad.wav").write_text("no sound")
    animate(status=1)
    shutil.move(tmp_path / "out", tmp_path / "one")
    animate("--jobs", "2", status=1)
    log = (tmp_path / "out/log.log").read_text()
    assert "wrote c_ada_joy" in log
    assert "3 animated, 0 unchanged, 1 failed" in log
    one, several = (
        {path.relative_to(tmp_path / name): path.read_bytes() for path in (tmp_path / name).rglob("*_*.*")}
        for name in ("one", "out")
    )
    assert one == several


def test_a_model_that_no_process_can_load(
    animate: Callable[..., dict[str, int]], regression: Path, tmp_path: Path
) -> None:
    (regression / "network.onnx").write_bytes(b"cut")
    with pytest.raises(UserError, match="cannot be loaded by ONNX Runtime"):
        animate("--jobs", "2")
    assert not (tmp_path / "out").exists()


def test_no_process_is_started_for_nothing(
    animate: Callable[..., dict[str, int]], monkeypatch: pytest.MonkeyPatch
) -> None:
    first = animate()
    monkeypatch.setattr("audio2face.inference.animate.open_network", None)
    monkeypatch.setattr("audio2face.cli.workers.WorkerPool", None)
    assert animate("--jobs", "2") == first


def test_a_killed_process_costs_one_recording(words: list[str], takes: Path, tmp_path: Path) -> None:
    options = InferenceOptions(parsers.parse("inference", [*words, "--audio", str(takes)]), None)
    with WorkerPool(options, tmp_path / "out", 2) as pool:
        processes = [worker.process for worker in pool._workers]
        processes[0].kill()
        processes[0].join()
        outcomes = list(pool.run(collect([str(takes)], tmp_path)))
        processes += [worker.process for worker in pool._workers]
    assert sorted(outcome.problem or "" for outcome in outcomes) == [
        "", "", "the process that animated it was ended by signal 9"
    ]  # fmt: skip
    assert not any(process.is_alive() for process in processes)


def test_a_worker_is_stopped_quietly_at_any_moment() -> None:
    """SIGTERM while a process prepares, and while it ends, as when its connection was closed just before."""
    program = """
import os, signal
signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGINT, signal.SIGTERM])  # as when a pool starts it
from multiprocessing import Pipe
from audio2face.cli import workers

def stop(*_):
    os.kill(os.getpid(), signal.SIGTERM)

workers.set_num_threads = stop
workers._work(Pipe()[0], None, None, 1)
stop()
print("ended")
"""
    done = subprocess.run([sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True, timeout=60)
    assert (done.stdout, done.stderr, done.returncode) == ("ended\n", "", 0)


@pytest.mark.skipif(not Path("/proc/self/environ").exists(), reason="reads /proc")
def test_stopped_within_two_seconds(words: list[str], takes: Path, tmp_path: Path) -> None:
    """Ctrl-C while two processes animate: complete animations stay, nothing else does, and no process."""
    for name in ("long 1.wav", "long 2.wav"):
        sound(takes / name, 400)
    command = [sys.executable, "-m", "audio2face", "animate", *words, "--audio", str(takes), "--jobs", "2"]
    environment = {**os.environ, "A2F_WORKSPACE_ROOT": str(tmp_path)}
    process = subprocess.Popen(command, cwd=ROOT, env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    assert process.stdout is not None
    while b"wrote a b_ada_joy" not in process.stdout.readline():
        assert process.poll() is None
    marked = _processes_with(b"A2F_WORKSPACE_ROOT=" + bytes(tmp_path))
    began = time.monotonic()
    process.send_signal(signal.SIGINT)
    _, errors = process.communicate(timeout=10)
    assert time.monotonic() - began < 2.5
    assert process.returncode == 130
    assert b"[STOPPED] Run the same command again; complete animations are kept." in errors
    assert b"Traceback" not in errors
    assert len(marked) >= 4  # the command, the stage, two that animate
    assert not _processes_with(b"A2F_WORKSPACE_ROOT=" + bytes(tmp_path))
    assert "a b_ada_joy" in written(tmp_path / "out")
    assert not any(name.startswith("long") for name in written(tmp_path / "out"))


def _processes_with(variable: bytes) -> list[str]:
    """The processes that have a variable in their environment."""
    found = []
    for path in Path("/proc").glob("[0-9]*/environ"):
        with suppress(OSError):  # ended meanwhile, or another user's
            if variable in path.read_bytes().split(b"\0"):
                found.append(path.parent.name)
    return found


def test_a_folder_is_watched(
    animate: Callable[..., dict[str, int]], takes: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each second one more thing happens; recordings that grow, are empty or appear twice wait or are animated once."""
    steps: list[Callable[[], object]] = [
        lambda: (takes / "new.wav").write_bytes((takes / NAMES[0]).read_bytes()[:1000]),
        lambda: shutil.copy(takes / NAMES[0], takes / "new.wav"),
        lambda: (takes / "empty.wav").write_bytes(b""),
        lambda: shutil.copy(takes / NAMES[0], takes / "day 1/late.wav"),
        lambda: shutil.copy(takes / NAMES[1], takes / "new.flac"),
        lambda: None,
    ]

    def next_step(_: float) -> None:
        if not steps:
            raise KeyboardInterrupt
        steps.pop(0)()

    monkeypatch.setattr("audio2face.cli.batch.time.sleep", next_step)
    made = animate("--watch", str(takes), status=1)  # new.flac has the output of new.wav
    assert set(made) == {*OUTPUTS, "new_ada_joy", "day 1/late_ada_joy"}
    log = (tmp_path / "out/log.log").read_text()
    assert "5 animated, 0 unchanged, 1 failed" in log
    assert "two recordings would be written as 'new_ada_joy'" in log


def test_a_changed_recording_is_complete_again(takes: Path, tmp_path: Path) -> None:
    folder = WatchedFolder(takes, tmp_path)
    assert folder.poll() == []
    assert len(folder.poll()) == 3
    sound(takes / NAMES[0], 0.3)
    assert folder.poll() == []
    assert [recording.path.name for recording in folder.poll()] == [NAMES[0]]
    assert folder.poll() == []


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (["--watch", "w", "--audio", "a"], "--watch: not allowed with argument --audio"),
        (["--set", "NUM_EPOCHS=3"], "--set: NUM_EPOCHS is a parameter of a configuration, and --model has none"),
        (["--set", "inference.SKIP_STEPS=3"], "--set: inference.SKIP_STEPS is a parameter of a configuration"),
        (["--set", "skin_strength=high"], "--set: 'skin_strength=high' is not NAME=NUMBER"),
        (["--set", "skin_strength"], "--set: 'skin_strength' is not NAME=VALUE"),
        (["--jobs", "0"], "--jobs: '0' is not a whole number from 1"),
    ],
)
def test_arguments_that_are_refused(options: list[str], said: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        parsers.parse("inference", ["--model", "m", *options])
    assert ended.value.code == 2
    assert said in " ".join(capsys.readouterr().err.split())


def test_settings_are_sorted() -> None:
    words = ["--set", "skin_strength=0.5", "--set", "SKIP_STEPS=1", "--set", "inference.USE_DDIM=True"]
    args = parsers.parse("inference", ["config", "run", *words])
    assert args.parameters == [("skin_strength", 0.5)]
    assert args.overrides == ["SKIP_STEPS=1", "inference.USE_DDIM=True"]
    assert parsers.parse("inference", ["config", "run"]).parameters == []


def test_parameters_of_the_configuration_are_checked_with_it(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    commands: list[list[str]] = []

    def supervise(_python: Path, command: list[str], _variables: dict[str, str]) -> int:
        commands.append(command)
        return 0

    monkeypatch.setattr(local, "supervise", supervise)
    args = parsers.parse("inference", ["config", "run", "--set", "SKIP_STEPS=1", "--set", "skin_strength=0.5"])
    local.write_configuration(Path("python"), "inference", args, {}, tmp_path / "configuration.json")
    assert [word for word in commands[0] if word.startswith("--set")] == ["--set=SKIP_STEPS=1"]


def test_a_wrong_animation_parameter_names_its_argument(animate: Callable[..., dict[str, int]]) -> None:
    with pytest.raises(UserError, match="--set smile: there is no animation parameter 'smile'"):
        animate("--set", "smile=1")


def test_the_record_says_what_an_animation_was_made_from(
    animate: Callable[..., dict[str, int]], tmp_path: Path
) -> None:
    animate("--set", "skin_strength=0.5")
    record = json.loads((tmp_path / "out" / OUTPUTS[0] / INPUTS_FILE).read_text())
    assert record["recording"]["name"] == NAMES[0]
    assert record["settings"]["parameters"]["skin_strength"] == 0.5
    assert record["files"]["a b_ada_joy_skin.npy"] > 0
