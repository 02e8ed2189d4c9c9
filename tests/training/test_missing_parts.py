"""Trainings with shots that lack a part of their actor, and the devices of their tensors.

It needs no GPU: `SimulatedGpu` marks tensors as tensors of a GPU, and computes on the CPU. (Fake tensors of torch
cannot be indexed on a device that its build lacks.)
"""

from __future__ import annotations

import math
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
from lightning_fabric import Fabric
from small_project import small_project, without_some_parts
from torch import Tensor, nn
from torch.overrides import TorchFunctionMode
from torch.utils._pytree import tree_leaves

from audio2face.config_base.tables import NetworkType
from audio2face.training.diffusion import open_task as open_diffusion
from audio2face.training.regression import open_task as open_regression
from audio2face.training.run import train
from audio2face.training.run_folder import TrainingRun
from audio2face.training.streaming import open_task as open_streaming

KINDS: tuple[NetworkType, ...] = ("diffusion", "regression", "streaming")
OPENERS = {"diffusion": open_diffusion, "regression": open_regression, "streaming": open_streaming}
QUICK: dict[str, Any] = {"NUM_EPOCHS": 2, "VALIDATION_PERIOD_EPOCHS": 2, "CHECKPOINT_PERIOD_MINUTES": 10.0}


GPU = torch.device("mps", 0)  # any kind that torch has a name for
SYNCHRONIZING = ("__bool__", "__float__", "__int__", "item", "tolist", "numpy", "nonzero")
MIXED_DEVICES = ("__getitem__", "__setitem__", "copy_")  # may take indices or values from the host


class SimulatedGpu(TorchFunctionMode):
    """Simulates a GPU: tensors are computed on the CPU, and those of the GPU are marked.

    Raises an error for operations on tensors of both devices, except scalars of the host, and for operations that
    synchronise with the device.
    """

    def __torch_function__(
        self, func: Callable[..., Any], types: Any, args: tuple[Any, ...] = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        kwargs = dict(kwargs or {})
        tensors = [leaf for leaf in tree_leaves((args, kwargs)) if isinstance(leaf, Tensor)]
        is_there = any(map(is_on_gpu, tensors))
        if func == Tensor.device.__get__:  # type: ignore[attr-defined]
            return GPU if is_there else func(*args, **kwargs)
        name = getattr(func, "__name__", "")
        if is_there and name in SYNCHRONIZING:
            raise AssertionError(f"{name} waits for the device")
        if (
            is_there
            and name not in MIXED_DEVICES
            and not all(is_on_gpu(tensor) or not tensor.dim() for tensor in tensors)
        ):
            raise AssertionError(f"{name} takes tensors of two devices")
        moves_there = any(isinstance(given, torch.device) and given == GPU for given in (*args, kwargs.get("device")))
        args = tuple(
            torch.device("cpu") if isinstance(argument, torch.device) and argument == GPU else argument
            for argument in args
        )
        kwargs |= {"device": torch.device("cpu")} if kwargs.get("device") == GPU else {}
        result = func(*args, **kwargs)
        if moves_there and isinstance(result, Tensor):
            result = result.clone()  # the one on the host stays there
        for leaf in tree_leaves(result) if is_there or moves_there else ():
            if isinstance(leaf, Tensor):
                leaf.is_simulated = True  # type: ignore[attr-defined]
        return result


def is_on_gpu(tensor: Tensor) -> bool:
    return getattr(tensor, "is_simulated", False)


def put_on_gpu(root: nn.Module) -> None:
    for tensor in (*root.parameters(), *root.buffers()):
        tensor.is_simulated = True  # type: ignore[attr-defined]


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("lacks", [False, True])
def test_a_training_step_stays_on_its_device(
    tmp_path: Path, kind: NetworkType, lacks: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("audio2face.training.diffusion.is_shorter", lambda *sizes: False)  # as on an accelerator
    changes = without_some_parts(tmp_path / "lacking") if lacks else {}
    task: Any = OPENERS[kind](
        small_project(tmp_path, kind=kind, BATCH_SIZE=4, **changes), Fabric(accelerator="cpu", devices=1), None
    )
    batch = next(task.batches(0, 0))
    assert bool(np.asarray(batch.valid).all()) != lacks
    task.network.train()
    for module in (task.network, task._loss_fn, *([] if kind == "regression" else [task._decoder])):
        put_on_gpu(module)
    task._fabric = SimpleNamespace(device=GPU)
    with SimulatedGpu():
        losses = task.losses(task.network, batch)
        assert {loss.device for loss in losses.values()} == {GPU}


@pytest.mark.parametrize("kind", KINDS)
def test_a_training_with_shots_that_lack_parts(tmp_path: Path, kind: NetworkType) -> None:
    changes = without_some_parts(tmp_path / "lacking")
    result = train(small_project(tmp_path, kind=kind, **QUICK, **changes), lambda run, network: None)
    run = TrainingRun.open(result.run.path)
    log = (run.path / "log.log").read_text()
    assert "No data of ann, jaw for s2_joy" in log
    assert "No data of ann, eye for s3_anger" in log
    assert "step skipped" not in log
    assert all(map(math.isfinite, run.summary["exported_metrics"].values()))
