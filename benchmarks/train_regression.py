"""Benchmarks training of the regression network with a large actor: steps per second with fast and exact features.

    .venv/bin/python -m benchmarks.train_regression [--device cpu|cuda] [--batch-size 32] [--updates 10] [--small]

Uses a synthetic actor (272 skin and 10 tongue components, 30 fps) and a wav2vec 2.0 of base size with random weights,
of which one layer is used. "Exact" extracts features of every window at every step, "fast" reads cached features; both
train as `run_train.py` does. The third variant, on the same sequences, is that of the reference: the encoder processes
all windows of a step at once, items are loaded sequentially, and whole poses are computed for the losses on lips and
lids. The variants alternate step by step, so that other load affects all equally; the first steps are not counted. A
step takes `batch size` sequences of two frames.
"""

from __future__ import annotations

import argparse
import dataclasses
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch
from lightning_fabric import Fabric
from rich.console import Console
from rich.table import Table
from torch import Tensor, nn

from audio2face.models.regression import network
from audio2face.training.data.samplers import SequenceBatchSpec
from audio2face.training.data.sequences import SequenceBatch, SequenceLoader
from audio2face.training.distributed import deterministic_algorithms, make_fabric, seed_everything
from audio2face.training.regression import open_task
from benchmarks.large_actor import Sizes, configuration, make_actor, make_encoder
from benchmarks.single_updates import SingleUpdates

TARGETS = {"exact": 1.2, "fast": 3.0}  # times the steps a second of the reference's way, on a CPU
CLAIRE_FRAMES = 21_039
SMALL_ENCODER = {"hidden_size": 64, "num_attention_heads": 4, "intermediate_size": 128, "conv_dim": [32] * 7}


@dataclass
class Pace:
    """How fast a way trains.

    Attributes:
        seconds: of each step that was counted.
        processor_seconds: what processors spent on each, in all threads.
    """

    seconds: list[float] = field(default_factory=list)
    processor_seconds: list[float] = field(default_factory=list)


Step = Callable[[], object]


class WholePoses(nn.Module):
    """Heights of pairs of vertices, read from poses of the whole skin."""

    shapes: Tensor
    mean: Tensor
    pairs: Tensor

    def __init__(self, shapes: np.ndarray, mean: np.ndarray, pairs: np.ndarray) -> None:
        super().__init__()
        self.register_buffer("shapes", torch.from_numpy(shapes.reshape(len(shapes), -1)))
        self.register_buffer("mean", torch.from_numpy(mean.reshape(-1)))
        self.register_buffer("pairs", torch.from_numpy(pairs))

    def forward(self, values: Tensor) -> Tensor:
        poses: Tensor = values[..., : len(self.shapes)] @ self.shapes + self.mean
        heights = poses.reshape(*poses.shape[:-1], -1, 3)[..., 1]
        return heights[..., self.pairs[0]] - heights[..., self.pairs[1]]


class ReferenceWay:
    """The encoder at every step, items one by one, whole poses."""

    def __init__(self, task: Any, loader: SequenceLoader, plans: Iterator[SequenceBatchSpec]) -> None:
        self._task, self._loader, self._plans = task, loader, plans
        source, objective = task._data.sources[0], task._loss_fn
        for name, found in (("lips", source.raw.lip_dist), ("lids", source.raw.eye_dist)):
            assert found is not None
            pairs = np.stack([found.upper, found.lower])
            poses = WholePoses(source.skin.matrix, source.skin.mean, pairs).to(task._fabric.device)
            setattr(objective, name, poses)
        weights = [weight for group in task.parameter_groups() for weight in group.parameters]
        self._optimizer = torch.optim.Adam(weights, lr=2e-4)

    def __call__(self) -> None:
        plan = next(self._plans)
        items = [self._loader.load(_item(plan, index)) for index in range(len(plan.clips))]
        self._optimizer.zero_grad(set_to_none=True)
        at_once, network._MAX_CPU_WINDOWS = network._MAX_CPU_WINDOWS, 10**6
        torch.autograd.backward(self._task.losses(self._task.network, _collated(plan, items))["total"])
        network._MAX_CPU_WINDOWS = at_once
        self._optimizer.step()


def _item(plan: SequenceBatchSpec, index: int) -> SequenceBatchSpec:
    only = slice(index, index + 1)
    fields = ("clips", "starts", "time_shifts", "augmentation_ids")
    return dataclasses.replace(plan, **{name: getattr(plan, name)[only] for name in fields})


def _collated(plan: SequenceBatchSpec, items: Sequence[SequenceBatch]) -> SequenceBatch:
    together: dict[str, Any] = {"spec": plan, "sample_ids": tuple(item.sample_ids[0] for item in items)}
    for entry in dataclasses.fields(items[0]):
        values = [getattr(item, entry.name) for item in items]
        if isinstance(values[0], Tensor):
            together[entry.name] = torch.cat(values)
        elif isinstance(values[0], np.ndarray):
            together[entry.name] = np.concatenate(values)
    return SequenceBatch(**together)


class Bench:
    """Opens all ways on the same data and sequences.

    Args:
        folder: with the actor.
        device: "cpu" or "cuda".
        batch_size: sequences of a step.
    """

    def __init__(self, folder: Path, device: str, batch_size: int) -> None:
        self._folder = folder
        self._train = {"BATCH_SIZE": batch_size, "DEVICE": device, "REPRODUCIBLE": False}

    def extract_features(self) -> float:
        """Windows per second in the extraction of features before fast training."""
        task, fabric, _ = self._open("fast", "auto")
        began = time.perf_counter()
        next(task.batches(0, 0))
        windows: int = sum(task._loader.clip_frames) * len(task._sampler.shifts.grid)
        return windows / (_now(fabric.device) - began)

    def ours(self, features: str) -> tuple[Step, torch.device]:
        """As `run_train.py` trains."""
        task, fabric, train = self._open(features, "auto")
        return SingleUpdates(fabric, task, train, self._folder / "checkpoints"), fabric.device

    def reference(self) -> tuple[Step, torch.device]:
        """The reference's way."""
        task, fabric, _ = self._open("exact", "float32")
        plans = (plan for epoch in range(10**6) for plan in task._sampler.epoch(epoch))
        return ReferenceWay(task, task._loader, plans), fabric.device

    def _open(self, features: str, precision: str) -> tuple[Any, Fabric, Any]:
        changes = {"SPEECH_FEATURES": features, "SPEECH_FEATURES_ROOT": str(self._folder / "speech_features")}
        config = configuration(self._folder, "regression", {**self._train, **changes, "PRECISION": precision})
        train = config.train
        fabric = make_fabric(train.DEVICE, train.PRECISION)
        seed_everything(train.RNG_SEED_TORCH, fabric.global_rank)
        task = open_task(config, fabric, None)
        task.network.train()
        return task, fabric, train


def measure(ways: Mapping[str, Step], device: torch.device, dropped: int, counted: int) -> dict[str, Pace]:
    """Times the steps of all ways, in turns."""
    paces = {name: Pace() for name in ways}
    for turn in range(dropped + counted):
        for name, step in ways.items():
            began, busy = _now(device), time.process_time()
            step()
            if turn >= dropped:
                paces[name].seconds.append(_now(device) - began)
                paces[name].processor_seconds.append(time.process_time() - busy)
    return paces


def _now(device: torch.device) -> float:
    if device.type == "cuda":
        torch.cuda.synchronize(device)
    return time.perf_counter()


def show(device: torch.device, paces: Mapping[str, Pace], extraction: float) -> None:
    """Prints the table."""
    table = Table("way", "steps/s", "s a step", "processor s a step", "times the reference's", title=device.type)
    reference = np.mean(paces["reference"].seconds)
    for name, pace in paces.items():
        seconds = np.mean(pace.seconds)
        busy = np.mean(pace.processor_seconds)
        table.add_row(name, f"{1 / seconds:.2f}", f"{seconds:.3f}", f"{busy:.3f}", f"{reference / seconds:.2f}")
    Console(width=110).print(table)
    print(f"targets on a CPU: exact {TARGETS['exact']}, fast {TARGETS['fast']} times")
    total = 2 * CLAIRE_FRAMES / extraction / 60
    print(f"feature extraction: {extraction:.1f} windows/s; {total:.1f} min for {CLAIRE_FRAMES:,} frames at 2 shifts")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    default = "cuda" if torch.cuda.is_available() else "cpu"
    parser.add_argument("--device", choices=("cpu", "cuda"), default=default)
    parser.add_argument("--batch-size", type=int, default=32)
    parser.add_argument("--dropped", type=int, default=3, help="steps that are not counted (default: 3)")
    parser.add_argument("--updates", type=int, default=10, help="steps that are (default: 10)")
    parser.add_argument("--frames", type=int, default=200, help="frames of each of two shots (default: 200)")
    parser.add_argument("--small", action="store_true", help="a small actor and encoder, to try the benchmark itself")
    args = parser.parse_args()
    small = {"skin_verts": 600, "skin_shapes": 20, "tongue_verts": 100} if args.small else {}
    with tempfile.TemporaryDirectory() as scratch, deterministic_algorithms(reproducible=False):
        make_actor(Path(scratch), Sizes(shots=2, frames=args.frames, **small))
        make_encoder(Path(scratch), "wav2vec2", SMALL_ENCODER if args.small else {})
        bench = Bench(Path(scratch), args.device, args.batch_size)
        extraction = bench.extract_features()
        (exact, device), (fast, _), (reference, _) = bench.ours("exact"), bench.ours("fast"), bench.reference()
        ways = {"exact": exact, "fast": fast, "reference": reference}
        show(device, measure(ways, device, args.dropped, args.updates), extraction)


if __name__ == "__main__":
    main()
