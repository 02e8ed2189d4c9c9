"""Distributed trainings: a script that every process runs, and which writes the weights of each process.

train_distributed.py toy FOLDER ITEMS        the toy task, 20 steps of four items
train_distributed.py poison FOLDER ITEMS     the toy task with one non-finite item
train_distributed.py reference FOLDER ITEMS  the toy task with the reference's gradient accumulation
train_distributed.py KIND FOLDER [resume]    the small project with a network of this kind
train_distributed.py slow FOLDER             the small project of regression; work of the first process alone is slow
"""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Generator, Mapping
from datetime import timedelta
from pathlib import Path
from typing import Any

import numpy as np
import torch
from lightning_fabric import Fabric
from safetensors.torch import save_file
from step_task import train_steps
from torch import Tensor, nn
from torch.distributed import distributed_c10d
from toy_task import ToyBatch, ToyTask, train_settings

from audio2face.config_base.tables import NetworkType
from audio2face.models.losses import RunningLossNormalizer
from audio2face.training.checkpoint import CheckpointStore
from audio2face.training.distributed import all_reduce_mean, make_fabric, seed_everything
from audio2face.training.signals import InterruptHandler
from audio2face.training.trainer import StopReason, Trainer

GLOBAL_BATCH = 4
STEPS = 20
POISON = 2
TIMEOUT, DELAY = 4, 6.0  # seconds: of collectives; of slow work, which is longer


class DistributedToyTask(ToyTask):
    """Shards its batches over the ranks. It has no dropout, so that the result is independent of their number."""

    def __init__(self, items: int, fabric: Fabric, poison: int | None) -> None:
        super().__init__(items, GLOBAL_BATCH // fabric.world_size, poison)
        self.scale = RunningLossNormalizer(all_reduce_mean if fabric.world_size > 1 else None)
        self.num_batches = -(-items // GLOBAL_BATCH)
        self.network[2].p = 0.0  # dropout
        self.fabric = fabric

    def batches(self, epoch: int, first_batch: int) -> Generator[ToyBatch, None, None]:
        order = torch.randperm(self.items, generator=torch.Generator().manual_seed(epoch)).tolist()
        for batch in range(first_batch, self.num_batches):
            batch_items = order[batch * GLOBAL_BATCH :][:GLOBAL_BATCH]
            local = batch_items[self.fabric.global_rank :: self.fabric.world_size]
            x = self.numbers[local, None] if local else torch.tensor([[5.0]])  # padding, which has no weight
            yield ToyBatch(tuple(f"clip {item}" for item in local), x)

    def losses(self, network: nn.Module, batch: ToyBatch) -> Mapping[str, Tensor]:  # type: ignore[override]
        error = (network(batch.x) - 2 * batch.x).square().mean()
        return {"total": error + 0.0 * self.scale(error, 1.0, len(batch.sample_ids)), "square": error}


def train_toy(folder: Path, items: int, poison: int | None = None, reference: bool = False) -> None:
    fabric = make_fabric("cpu")
    seed_everything(42, fabric.global_rank)
    task = DistributedToyTask(items, fabric, poison)
    epochs = -(-STEPS // task.num_batches)
    store = CheckpointStore(folder / "checkpoints")
    settings = train_settings(
        NUM_EPOCHS=epochs,
        EMA_DECAY=0.9,
        VALIDATION_PERIOD_EPOCHS=1,
        GRADIENT_ACCUMULATION_STEPS=2 if reference else 1,
        GRADIENT_CLIP_NORM=None,
        REFERENCE_ACCUMULATION=reference,
    )
    Trainer(fabric, task, settings, store, None, InterruptHandler()).run()
    save_weights(task.network, folder)
    save_file(task.scale.state_dict(), folder / f"scales_{fabric.global_rank}.safetensors")


def train_small(folder: Path, kind: NetworkType, resume: bool, **changes: Any) -> None:
    from small_project import small_project

    from audio2face.cli.process import run_stage
    from audio2face.training.run import NEWEST, train

    run_loop = Trainer.run

    def run_and_save(loop: Trainer, *, finish_now: bool = False) -> StopReason:
        stop_reason = run_loop(loop, finish_now=finish_now)
        save_weights(loop.task.network, folder)
        return stop_reason

    Trainer.run = run_and_save  # type: ignore[method-assign]

    def main(_: list[str]) -> int:
        configuration = small_project(folder, kind=kind, **changes)
        delay = DELAY if changes else 0.0
        train(configuration, lambda run, network: time.sleep(delay), resume=NEWEST if resume else None)
        return 0

    run_stage(main)


def slow_down_first_process() -> None:
    """Shortens the time-out of collectives; features, validation and export of the first process take longer."""
    from audio2face.training import run
    from audio2face.training.data import features
    from audio2face.training.regression import RegressionTask

    make, validate, extract = run.make_fabric, RegressionTask.validate, features.write_npy

    def make_with_timeout(*args: Any) -> Fabric:
        fabric = make(*args)
        distributed_c10d._set_pg_timeout(timedelta(seconds=TIMEOUT), None)
        return fabric

    def validate_slowly(task: RegressionTask) -> dict[str, float]:
        time.sleep(DELAY)
        return validate(task)

    def write_slowly(path: Path, array: np.ndarray) -> None:
        time.sleep(DELAY if os.environ["RANK"] == "0" and not list(path.parent.glob("*.npy")) else 0.0)
        extract(path, array)

    run.make_fabric = make_with_timeout  # type: ignore[attr-defined]
    RegressionTask.validate = validate_slowly  # type: ignore[method-assign]
    features.write_npy = write_slowly  # type: ignore[attr-defined]


def save_weights(network: nn.Module, folder: Path) -> None:
    folder.mkdir(exist_ok=True)
    weights = {name: weight.detach().clone() for name, weight in network.state_dict().items()}
    save_file(weights, folder / f"weights_{os.environ.get('RANK', '0')}.safetensors")


if __name__ == "__main__":
    torch.set_num_threads(1)
    what, where, *rest = sys.argv[1:]
    if what in ("toy", "poison", "reference"):
        train_toy(Path(where), int(rest[0]), POISON if what == "poison" else None, what == "reference")
    elif what == "steps":
        for values in rest[1:]:
            folder = Path(where) / values
            network = train_steps(folder, int(values), 1, int(rest[0]))
            save_weights(network, folder)
    elif what == "slow":
        slow_down_first_process()
        train_small(Path(where), "regression", resume=False, NUM_EPOCHS=1, VALIDATION_PERIOD_EPOCHS=1)
    else:
        train_small(Path(where), "regression" if what == "regression" else "diffusion", bool(rest))
