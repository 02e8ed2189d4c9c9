"""Checks that need a GPU. They run on demand: pytest does not collect a file of this name, since CI has no GPU.

    python3 run_tests.py tests/gpu/check_gpu.py -rP        # -rP: with the figures

`A2F_CHECK_DEVICE=cpu` in front of it runs the checks on the CPU.
"""

from __future__ import annotations

import os
import random
import signal
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import reference_diffusion
import reference_regression
import torch
from small_project import small_project, without_some_parts
from test_resume import assert_same, finish, kill_at_random, only_run
from train_process import start

from audio2face.config_base.tables import NetworkType
from audio2face.deploy import export_run
from audio2face.preproc.matmul import TorchBackend, fastest_backend
from audio2face.preproc.selection import select_distinct
from audio2face.training.diffusion import open_task as open_diffusion
from audio2face.training.distributed import choose_device, make_fabric
from audio2face.training.regression import RegressionTask
from audio2face.training.regression import open_task as open_regression
from audio2face.training.run import TrainingResult, train
from audio2face.training.run_folder import TrainingRun
from audio2face.training.trainer import StopReason

KINDS: tuple[NetworkType, ...] = ("diffusion", "regression")
QUICK: dict[str, Any] = {"NUM_EPOCHS": 6, "VALIDATION_PERIOD_EPOCHS": 6, "CHECKPOINT_PERIOD_MINUTES": 10.0}
OPENERS: dict[str, Callable[..., Any]] = {"diffusion": open_diffusion, "regression": open_regression}


@pytest.fixture(scope="module")
def device() -> str:
    """The GPU."""
    chosen = os.environ.get("A2F_CHECK_DEVICE") or choose_device("auto")
    if chosen == "cpu" and "A2F_CHECK_DEVICE" not in os.environ:
        pytest.fail(f"torch {torch.__version__} finds no GPU here")
    if chosen == "cuda":
        print(torch.cuda.get_device_name(), "torch", torch.__version__)
    return chosen


def test_diffusion_agrees_with_the_reference(device: str, reference_data: Path) -> None:
    vectors = reference_diffusion.Vectors(reference_data, 60)
    inputs = (vectors[name].to(device) for name in ("noisy", "t", "hubert_features", "actor", "emotion"))
    with torch.no_grad():
        result = vectors.network().to(device)(*inputs)
    assert_near(result, vectors["result"])


def test_regression_agrees_with_the_reference(device: str, reference_data: Path) -> None:
    vectors = reference_regression.Vectors(reference_data)
    inputs = [vectors[name].to(device) for name in ("audio", "emotion", "norm_factor", "w2v_features")]
    with torch.no_grad():
        result = vectors.network().to(device)(*inputs)
    assert_near(result.values, vectors["result"])


def assert_near(ours: torch.Tensor, reference: torch.Tensor) -> None:
    """Equal to a thousandth of the largest value: convolutions may be made in TensorFloat-32."""
    error = float((ours.cpu() - reference).abs().max() / reference.abs().max())
    print(f"largest difference: {error:.1e} of the largest value")
    assert error < 1e-3


@pytest.mark.parametrize("precision", ["float32", "auto"])
@pytest.mark.parametrize("kind", KINDS)
def test_training_and_export(device: str, kind: NetworkType, precision: str, tmp_path: Path) -> None:
    results = {}
    for where, how in (("cpu", "float32"), (device, precision)):
        configuration = small_project(tmp_path / where, kind=kind, **QUICK, DEVICE=where, PRECISION=how)
        sections = (configuration.train, configuration.inference)
        results[where] = train(configuration, lambda run, network, of=sections: export_run(run, *of))
    errors = {where: error_of(result) for where, result in results.items()}
    print("mean error on the held-out shot, mm:", errors)
    assert results[device].stop_reason is StopReason.DONE
    assert errors[device] == pytest.approx(errors["cpu"], rel=0.2)
    assert (results[device].run.path / "deploy/network.onnx").is_file()


def error_of(result: TrainingResult) -> float:
    error: float = TrainingRun.open(result.run.path).summary["exported_metrics"]["skin_error_mm"]
    return error


@pytest.mark.parametrize("kind", KINDS)
def test_training_with_shots_that_lack_parts(device: str, kind: NetworkType, tmp_path: Path) -> None:
    lacking = without_some_parts(tmp_path / "lacking")
    configuration = small_project(tmp_path, kind=kind, **QUICK, **lacking, DEVICE=device)
    result = train(configuration, lambda run, network: None)
    assert result.stop_reason is StopReason.DONE
    log = (result.run.path / "log.log").read_text()
    assert "No data of ann, jaw for s2_joy" in log
    assert "step skipped" not in log


@pytest.mark.parametrize("kind", KINDS)
def test_a_killed_run_resumes_to_the_same_weights(device: str, kind: NetworkType, tmp_path: Path) -> None:
    whole, broken = tmp_path / "whole", tmp_path / "broken"
    assert finish(start(whole, kind, device=device)) == 0
    kill_at_random(start(broken, kind, device=device), broken, random.Random(1))
    assert finish(start(broken, kind, device=device, resume=True, die_in_save=3)) in (-signal.SIGKILL, 0)
    assert finish(start(broken, kind, device=device, resume=True)) in (0, 2)
    assert_same(only_run(whole), only_run(broken))


def test_hidden_states_agree_with_the_cpu(device: str, tmp_path: Path) -> None:
    """Features that fast mode keeps are computed on the device."""
    features = []
    for where in ("cpu", device):
        configuration = small_project(tmp_path / where, kind="regression", SPEECH_FEATURES="fast")
        task: RegressionTask = open_regression(configuration, make_fabric(where), None)
        batch = next(task.batches(0, 0))
        assert batch.hidden is not None
        features.append(batch.hidden.float().cpu())
    assert_near(features[1], features[0])


@pytest.mark.parametrize("kind", KINDS)
def test_validation_errors_equal_those_of_the_cpu(device: str, kind: NetworkType, tmp_path: Path) -> None:
    errors = []
    for where in ("cpu", device):
        torch.manual_seed(0)
        task = OPENERS[kind](small_project(tmp_path / where, kind=kind), make_fabric(where), None)
        task.network.eval()
        with torch.no_grad():
            metrics = task.validate()
        errors.append([value for name, value in metrics.items() if name.endswith("_mm")])
    print("before training, cpu and device, mm:", errors)
    assert errors[1] == pytest.approx(errors[0], rel=1e-3)


def test_pose_selection_equals_that_of_the_cpu(device: str) -> None:
    if device == "mps":
        pytest.skip("MPS knows no float64")
    rng = np.random.default_rng(0)
    poses = (rng.standard_normal((400, 20)) * np.arange(1, 21) ** -1.2) @ rng.standard_normal((20, 900))
    picks = [
        [pick.row for pick in select_distinct(poses.astype(np.float32), 60, products=products)]
        for products in (TorchBackend(device), TorchBackend("cpu"))
    ]
    print("fastest backend of matrix products:", fastest_backend().name)
    assert picks[0] == picks[1]
