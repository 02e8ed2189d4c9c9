"""Distributed training of two processes on the CPU: both have equal bits, and nearly the weights of one process."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file
from small_project import small_project
from torch import Tensor

from audio2face.config_base.tables import NetworkType
from audio2face.training.checkpoint import FOLDER, CheckpointStore

ROOT = Path(__file__).parents[2]
SCRIPT = Path(__file__).with_name("train_distributed.py")
TIMEOUT = 120


def start(processes: int, *arguments: object, stderr: int | None = None) -> subprocess.Popen[bytes]:
    """Starts the script in one process, or in several as `run_train.py --devices` does."""
    several = ["-m", "audio2face.cli.supervisor", processes] if processes > 1 else []
    command = [sys.executable, *map(str, [*several, SCRIPT, *arguments])]
    environment = {name: value for name, value in os.environ.items() if name not in ("RANK", "WORLD_SIZE")}
    path = os.pathsep.join(map(str, (ROOT, ROOT / "tests/training")))
    environment |= {"PYTHONPATH": path, "OMP_NUM_THREADS": "1"}
    return subprocess.Popen(command, env=environment, stderr=stderr)


def weights(folder: Path, rank: int = 0) -> dict[str, Tensor]:
    return load_file(folder / f"weights_{rank}.safetensors")


def assert_same(one: dict[str, Tensor], other: dict[str, Tensor]) -> None:
    assert one.keys() == other.keys()
    assert all(torch.equal(one[name], other[name]) for name in one)


# Batches of four; of the last one, the first process gets two items and the second one, or one and none.
@pytest.mark.parametrize(
    ("task", "items", "steps"), [("toy", 19, 20), ("toy", 17, 20), ("reference", 19, 12), ("reference", 17, 12)]
)
def test_two_processes_give_the_weights_of_one(tmp_path: Path, task: str, items: int, steps: int) -> None:
    folders = [tmp_path / "one", tmp_path / "two"]
    for count, folder in enumerate(folders, 1):
        folder.mkdir()
        assert start(count, task, folder, items).wait(TIMEOUT) == 0
    one, two = weights(folders[0]), weights(folders[1])
    assert_same(two, weights(folders[1], rank=1))
    last = [(folder / "checkpoints/last").read_text() for folder in folders]
    assert last == [f"{steps:08d}"] * 2
    assert max(float((one[name] - two[name]).abs().max()) for name in one) < 1e-4


def test_a_non_finite_item_is_skipped_by_all_processes(tmp_path: Path) -> None:
    """One of 17 items is non-finite, in some epochs on the second rank; the first one logs its name."""
    folders = [tmp_path / "one", tmp_path / "two"]
    warnings = []
    for count, folder in enumerate(folders, 1):
        folder.mkdir()
        process = start(count, "poison", folder, 17, stderr=subprocess.PIPE)
        _, errors = process.communicate(timeout=TIMEOUT)
        assert process.returncode == 0
        warnings.append([line for line in errors.decode().splitlines() if "step skipped" in line])
    one, two = weights(folders[0]), weights(folders[1])
    assert_same(two, weights(folders[1], rank=1))
    assert max(float((one[name] - two[name]).abs().max()) for name in one) < 1e-4
    assert len(warnings[0]) == len(warnings[1]) == 4  # once in each epoch, by one process
    assert all(line.endswith("Clips: clip 2") for line in warnings[0] + warnings[1])
    scales = [load_file(folder / f"scales_{rank}.safetensors") for folder, rank in ((folders[0], 0), (folders[1], 0))]
    assert_same(scales[1], load_file(folders[1] / "scales_1.safetensors"))
    for name, value in scales[0].items():  # means over items, as in one process
        torch.testing.assert_close(scales[1][name], value, rtol=1e-4, atol=0.0)


def test_processes_wait_for_the_first_one(tmp_path: Path) -> None:
    """Features, validation and export of the first process each take longer than the time-out of collectives."""
    small_project(tmp_path, kind="regression")
    assert start(2, "slow", tmp_path).wait(TIMEOUT) == 0
    assert json.loads((only_run(tmp_path) / "status.json").read_text())["status"] == "done"
    assert_same(weights(tmp_path), weights(tmp_path, rank=1))


def only_run(folder: Path) -> Path:
    (run,) = (folder / "output_train").iterdir()
    return run


def wait_for_checkpoint(process: subprocess.Popen[bytes], folder: Path) -> None:
    deadline = time.monotonic() + TIMEOUT
    while time.monotonic() < deadline:
        assert process.poll() is None
        runs = list((folder / "output_train").glob("*"))
        if runs and CheckpointStore(runs[0] / FOLDER).last() is not None:
            return
        time.sleep(0.02)
    raise AssertionError("no checkpoint is written")


@pytest.mark.parametrize("kind", ["diffusion", "regression"])
def test_a_signal_stops_all_processes_and_they_resume(tmp_path: Path, kind: NetworkType) -> None:
    whole, cut = tmp_path / "whole", tmp_path / "cut"
    for folder in (whole, cut):
        small_project(folder, kind=kind)  # created once, before several processes read it
    assert start(2, kind, whole).wait(TIMEOUT) == 0
    assert_same(weights(whole), weights(whole, rank=1))

    process = start(2, kind, cut)
    wait_for_checkpoint(process, cut)
    process.send_signal(signal.SIGTERM)
    assert process.wait(TIMEOUT) == 143
    assert json.loads((only_run(cut) / "status.json").read_text())["status"] == "stopped"

    assert start(2, kind, cut, "resume").wait(TIMEOUT) == 0
    assert_same(weights(cut), weights(whole))
    assert_same(weights(cut), weights(cut, rank=1))
