"""Real processes killed at random times, also during a save: resumed runs have the same weights, bit for bit."""

from __future__ import annotations

import json
import os
import random
import signal
import time
from multiprocessing.context import ForkServerProcess
from pathlib import Path

import pytest
from train_process import start

from audio2face.config_base.tables import NetworkType
from audio2face.training.checkpoint import FOLDER, CheckpointStore, read_progress

TIMEOUT = 120
KINDS: tuple[NetworkType, ...] = ("diffusion", "regression", "streaming")


def only_run(folder: Path) -> Path:
    (run,) = (folder / "output_train").iterdir()
    return run


def last_step(folder: Path) -> int:
    runs = list((folder / "output_train").glob("*"))
    last = CheckpointStore(runs[0] / FOLDER).last() if runs else None
    return -1 if last is None else read_progress(last).step


def finish(process: ForkServerProcess) -> int | None:
    process.join(TIMEOUT)
    assert process.exitcode is not None, "training hangs"
    return process.exitcode


@pytest.fixture(scope="module", params=KINDS)
def kind(request: pytest.FixtureRequest) -> NetworkType:
    chosen: NetworkType = request.param
    return chosen


@pytest.fixture(scope="module")
def whole(kind: NetworkType, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run without interruption."""
    folder = tmp_path_factory.mktemp("whole")
    assert finish(start(folder, kind)) == 0
    return only_run(folder)


def kill_at_random(process: ForkServerProcess, folder: Path, rng: random.Random) -> None:
    """Waits until a few more steps are saved, and then a moment more."""
    goal = last_step(folder) + rng.randint(1, 4)
    deadline = time.monotonic() + TIMEOUT
    while process.is_alive() and last_step(folder) < goal and time.monotonic() < deadline:
        time.sleep(0.005)
    time.sleep(rng.uniform(0, 0.1))
    process.kill()
    process.join()


def assert_same(one: Path, other: Path) -> None:
    files = ["weights.safetensors"]
    checkpoint = (one / FOLDER / "last").read_text()
    assert (other / FOLDER / "last").read_text() == checkpoint
    state = "training_state"
    names = ("model.safetensors", "ema.safetensors", f"{state}/optimizer_state.safetensors", f"{state}/task_state.json")
    files += [f"{FOLDER}/{checkpoint}/{name}" for name in (*names, f"{state}/rng_state.safetensors")]
    for name in files:
        assert (one / name).read_bytes() == (other / name).read_bytes(), name


def test_a_run_killed_at_random_times_and_in_a_save_resumes(whole: Path, kind: NetworkType, tmp_path: Path) -> None:
    rng = random.Random(time.time_ns())
    kill_at_random(start(tmp_path, kind), tmp_path, rng)
    assert finish(start(tmp_path, kind, resume=True, die_in_save=rng.randint(1, 8))) == -signal.SIGKILL
    kill_at_random(start(tmp_path, kind, resume=True), tmp_path, rng)
    assert finish(start(tmp_path, kind, resume=True)) in (
        0,
        2,
    )  # 2: the last one was finished before it was killed
    run = only_run(tmp_path)
    assert_same(whole, run)
    assert json.loads((run / "status.json").read_text())["status"] == "done"
    assert not list(run.rglob(".*.tmp"))


@pytest.mark.parametrize(("number", "status"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_an_interrupted_run_saves_reports_and_resumes(
    whole: Path, kind: NetworkType, tmp_path: Path, number: int, status: int
) -> None:
    process = start(tmp_path, kind)
    while last_step(tmp_path) < 2 and process.is_alive():
        time.sleep(0.01)
    assert process.pid is not None
    os.kill(process.pid, number)
    assert finish(process) == status
    run = only_run(tmp_path)
    assert json.loads((run / "status.json").read_text())["status"] == "stopped"
    assert not (run / "weights.safetensors").exists()
    assert "--resume" in (run / "log.log").read_text()
    if number == signal.SIGTERM:
        assert finish(start(tmp_path, kind, resume=True)) == 0
        assert_same(whole, run)


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(3))
def test_a_run_killed_repeatedly_resumes(whole: Path, kind: NetworkType, tmp_path: Path, seed: int) -> None:
    rng = random.Random(seed)
    kill_at_random(start(tmp_path, kind), tmp_path, rng)
    while last_step(tmp_path) < int((whole / FOLDER / "last").read_text()) - 3:
        if rng.random() < 0.5:
            assert finish(start(tmp_path, kind, resume=True, die_in_save=rng.randint(1, 8))) in (-signal.SIGKILL, 0)
        else:
            kill_at_random(start(tmp_path, kind, resume=True), tmp_path, rng)
    finish(start(tmp_path, kind, resume=True))
    assert_same(whole, only_run(tmp_path))
