"""Precision, and deterministic algorithms."""

from __future__ import annotations

import json
import math
from pathlib import Path

import pytest
import torch
from small_project import small_project

from audio2face.config_base.tables import NetworkType
from audio2face.training.distributed import deterministic_algorithms
from audio2face.training.run import train
from audio2face.training.run_folder import TrainingRun


def switches() -> list[bool]:
    cuda = torch.backends.cuda
    return [
        torch.are_deterministic_algorithms_enabled(),
        cuda.flash_sdp_enabled(),
        cuda.mem_efficient_sdp_enabled(),
        cuda.cudnn_sdp_enabled(),
    ]


@pytest.mark.parametrize(("reproducible", "inside"), [(True, [True, False, False, False]), (False, None)])
def test_algorithm_settings_are_restored(reproducible: bool, inside: list[bool] | None) -> None:
    before = switches()
    with pytest.raises(KeyboardInterrupt), deterministic_algorithms(reproducible):
        assert switches() == (inside or [*before[:3], False])
        raise KeyboardInterrupt
    assert switches() == before


@pytest.mark.parametrize("kind", ["diffusion", "regression", "streaming"])
def test_bfloat16_training_validates_in_float32(kind: NetworkType, tmp_path: Path) -> None:
    few = {"NUM_EPOCHS": 1, "VALIDATION_PERIOD_EPOCHS": 1, "PRECISION": "bfloat16"}
    result = train(small_project(tmp_path, kind=kind, **few), lambda run, network: None)
    run = TrainingRun.open(result.run.path)
    assert all(math.isfinite(value) for value in run.summary["exported_metrics"].values())
    assert all(weight.dtype == torch.float32 for weight in run.weights().values() if weight.is_floating_point())
    status = json.loads((run.path / "status.json").read_text())
    assert status["status"] == "done"
