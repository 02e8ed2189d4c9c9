"""Training the diffusion network at the size of a large actor: frames a second, memory, and the time to the first step.

    .venv/bin/python -m benchmarks.train_diffusion [--device cpu|cuda] [--batch-sizes 1 4 16] [--updates 20] [--small]

Makes a synthetic actor (88,831 values a frame, clips of 390 frames at 30 fps), and a HuBERT of random weights: of its
full size on a GPU; of width 256 and 4 layers on a CPU. Each batch size trains as `run_train.py` does. Beside it, on the
same drawn segments, the reference's way: one segment at a time in float32; poses of the whole clip are made and
stretched to 60 frames a second before the segment is cut from them; plain layers; losses on whole poses, which are
projected onto the shapes for the lips, with a mask of ones and a velocity loss of weight 0; four gradients are added up
for an update, and nothing is loaded while the network works. Neither is held to be reproducible. The first updates are
not counted. Frames are those of the network's rate, 60 a second.
"""

from __future__ import annotations

import argparse
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

import torch
from lightning_fabric import Fabric
from rich.console import Console
from rich.table import Table
from torch import Tensor
from torch.nn import functional

from audio2face.config import TrainDiffusion
from audio2face.models.diffusion.process import add_noise, original_timesteps, sample_timesteps
from audio2face.models.losses import lip_distance_loss
from audio2face.preproc.steps import PeakMemory
from audio2face.training.data.dataset import TrainingData
from audio2face.training.data.samplers import SegmentBatchSpec, SegmentSpec
from audio2face.training.data.segments import BatchLoader, SegmentBatch
from audio2face.training.diffusion import DiffusionTask, open_task
from audio2face.training.distributed import deterministic_algorithms, make_fabric, seed_everything
from benchmarks.large_actor import Sizes, configuration, make_actor, make_encoder
from benchmarks.single_updates import SingleUpdates

ACCUMULATION = 4  # segments of an update in the reference
CPU_HUBERT = {
    "hidden_size": 256,
    "num_hidden_layers": 4,
    "num_attention_heads": 4,
    "intermediate_size": 1024,
}
TARGETS = {"cpu": 1.5, "cuda": 5.0}  # times the frames a second of the reference's way


@dataclass(frozen=True)
class Pace:
    """How fast a way trains.

    Attributes:
        frames_per_second: of the updates that were counted.
        update_seconds: mean time of one of them.
        processor_seconds: the same of all threads together, which other work on the machine disturbs less.
        first_seconds: from opening the data to the end of the first update.
        peak_bytes: anonymous memory; on a GPU, what PyTorch allocated there.
    """

    frames_per_second: float
    update_seconds: float
    processor_seconds: float
    first_seconds: float
    peak_bytes: int


Update = Callable[[], int]  # makes one update of the weights; returns its frames


class ReferenceWay:
    """One segment at a time, all frames of its clip made into poses first, and plain layers and losses."""

    def __init__(
        self, task: DiffusionTask, plans: Iterator[SegmentBatchSpec], loader: BatchLoader, device: torch.device
    ) -> None:
        self._task, self._loader, self._device = task, loader, device
        self._decode, self._schedule = task._decoder, task._schedule
        task.network.workspace = None
        self._losses = PlainLosses(task, device)
        self._draws = (draw for plan in plans for draw in plan.segments)
        weights = [weight for group in task.parameter_groups() for weight in group.parameters]
        self._optimizer = torch.optim.Adam(weights, lr=1e-4)

    def __call__(self) -> int:
        frames = 0
        self._optimizer.zero_grad(set_to_none=True)
        for _ in range(ACCUMULATION):
            draw = next(self._draws)
            frames += draw.num_frames
            # The voice is shifted in the whole clip, before the segment is cut from it.
            segment, whole = self._load(replace(draw, semitones=None)), self._load(self._whole(draw))
            recorded = self._decode(whole)[:, ::2]  # at the rate of the caches
            stretched = functional.interpolate(recorded.mT, size=whole.skin.shape[1], mode="linear").mT
            target = stretched[:, draw.start : draw.start + draw.num_frames].contiguous()
            steps = sample_timesteps(self._schedule, 1, self._task.generators["steps"])
            noisy = add_noise(self._schedule, target, steps, torch.randn_like(target))
            timesteps = original_timesteps(self._schedule, steps)
            predicted = self._task.network(noisy, timesteps, segment.audio, segment.actor, segment.emotion)
            torch.autograd.backward(self._losses(predicted, target))
        self._optimizer.step()
        return frames

    def _load(self, draw: SegmentSpec) -> SegmentBatch:
        return self._loader.load(SegmentBatchSpec(0, (draw,))).to(self._device)

    def _whole(self, draw: SegmentSpec) -> SegmentSpec:
        return replace(draw, start=0, num_frames=self._loader.reader.clip_frames[draw.clip])


class PlainLosses:
    """The default losses as sums over tensors of whole faces; constants of the synthetic actor."""

    def __init__(self, task: DiffusionTask, device: torch.device) -> None:
        sizes, weights = task.network.settings.sizes, task._loss_fn.weights
        self._skin, self._weights = sizes.skin, weights
        parts = ((sizes.skin, 1.0), (sizes.tongue, weights.tongue), (sizes.jaw, weights.jaw), (sizes.eye, 1.0))
        self._factors = torch.cat([torch.full((width,), factor) for width, factor in parts]).to(device)
        self._face: Any = task._loss_fn.faces[0]
        self._shapes: Any = task._decoder.actors[0].skin_components

    def __call__(self, predicted: Tensor, target: Tensor) -> Tensor:
        main = functional.smooth_l1_loss(self._factors * predicted, self._factors * target, reduction="none")
        total = (main * torch.ones_like(main)).mean()
        skin, true = predicted[..., : self._skin], target[..., : self._skin]
        centred = skin * self._face.scale - self._face.mean
        projected = (centred @ self._shapes.t()) @ self._shapes + self._face.mean
        upper, lower = self._face.lip_values[1::3].chunk(2)  # heights of the lips
        true = true * self._face.scale
        sides = [side[..., upper] - side[..., lower] for side in (projected, true)]
        lips = lip_distance_loss(sides[0], sides[1], self._weights.lip_distance_exponent)
        velocity = functional.mse_loss(skin.diff(dim=1), true.diff(dim=1))
        still = (self._face.still * skin.diff(dim=1).square()).mean()
        alphas = (self._weights.lip_distance or 0.0, 0.0, self._weights.upper_face_smoothness or 0.0)
        for alpha, term in zip(alphas, (lips, velocity, still), strict=True):
            total = total + alpha * term
        return total


def measure(make: Callable[[], tuple[Update, torch.device]], dropped: int, counted: int) -> Pace:
    """Opens a way of training and times its updates."""
    with PeakMemory() as memory:
        began = time.perf_counter()
        update, device = make()
        if device.type == "cuda":
            torch.cuda.reset_peak_memory_stats(device)
        update()
        first = _now(device) - began
        for _ in range(dropped - 1):
            update()
        began, processor_began = _now(device), time.process_time()
        frames = sum(update() for _ in range(counted))
        seconds, processor = _now(device) - began, time.process_time() - processor_began
    peak = torch.cuda.max_memory_allocated(device) if device.type == "cuda" else memory.peak_bytes or 0
    pace = Pace(frames / seconds, seconds / counted, processor / counted, first, peak)
    print(pace, flush=True)
    return pace


def _now(device: torch.device) -> float:
    if device.type == "cuda":
        torch.cuda.synchronize(device)
    return time.perf_counter()


class Bench:
    """Opens both ways on the same data and segments.

    Args:
        folder: with the actor.
        device: "cpu" or "cuda".
        least, most: frames of a segment.
    """

    def __init__(self, folder: Path, device: str, least: int, most: int) -> None:
        self._folder, self._device = folder, device
        self._train = {
            "SUBSEGMENT_MIN_FRAME": least,
            "SUBSEGMENT_MAX_FRAME": most,
            "DEVICE": device,
            "REPRODUCIBLE": False,
        }

    def ours(self, batch_size: int) -> tuple[Update, torch.device]:
        """As `run_train.py` trains."""
        task, fabric, train = self._open(batch_size, "auto")
        return SingleUpdates(fabric, task, train, self._folder / "checkpoints"), fabric.device

    def reference(self, batch_size: int) -> tuple[Update, torch.device]:
        """The reference's way, on the segments that `ours` draws at this batch size."""
        task, fabric, train = self._open(batch_size, "float32")
        data = TrainingData.open(self._configuration(batch_size, "float32").dataset, train)
        loader, sampler = data.segments(train, batch_size=batch_size)
        plans = (plan for epoch in range(10**6) for plan in sampler.epoch(epoch, 0))
        return ReferenceWay(task, plans, loader, fabric.device), fabric.device

    def _configuration(self, batch_size: int, precision: str) -> Any:
        accumulation = max(1, ACCUMULATION // batch_size)
        changes = {"BATCH_SIZE": batch_size, "GRADIENT_ACCUMULATION_STEPS": accumulation, "PRECISION": precision}
        return configuration(self._folder, "diffusion", {**self._train, **changes})

    def _open(self, batch_size: int, precision: str) -> tuple[Any, Fabric, TrainDiffusion]:
        config = self._configuration(batch_size, precision)
        train = config.train
        fabric = make_fabric(train.DEVICE, train.PRECISION)
        seed_everything(train.RNG_SEED_TORCH, fabric.global_rank)
        task: Any = open_task(config, fabric, None)
        task.network.train()
        return task, fabric, train


def show(device: str, results: Sequence[tuple[int, Pace, Pace]]) -> None:
    """Prints the table."""
    columns = ("way", "frames/s", "s an update", "processor s", "first update after", "peak memory")
    table = Table(*columns, title=device)
    for batch_size, ours, reference in results:
        for name, pace in ((f"ours, batch {batch_size}", ours), ("the reference's, same segments", reference)):
            table.add_row(
                name,
                f"{pace.frames_per_second:.1f}",
                f"{pace.update_seconds:.2f}",
                f"{pace.processor_seconds:.2f}",
                f"{pace.first_seconds:.1f} s",
                f"{pace.peak_bytes / 1e9:.2f} GB",
            )
    Console(width=110).print(table)
    for batch_size, ours, reference in results:
        ratio = ours.frames_per_second / reference.frames_per_second
        processor = reference.processor_seconds / ours.processor_seconds
        target = TARGETS[device]
        print(f"batch {batch_size}: {ratio:.2f} times as fast ({processor:.2f} in processor time); target {target}")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    default = "cuda" if torch.cuda.is_available() else "cpu"
    parser.add_argument("--device", choices=("cpu", "cuda"), default=default)
    parser.add_argument("--batch-sizes", type=int, nargs="+", default=[1, 4, 16] if default == "cuda" else [4])
    parser.add_argument("--dropped", type=int, default=20, help="updates that are not counted (default: 20)")
    parser.add_argument("--updates", type=int, default=20, help="updates that are (default: 20)")
    parser.add_argument("--segment", type=int, nargs=2, default=(30, 600), help="frames of a segment (default: 30 600)")
    parser.add_argument("--small", action="store_true", help="a small actor, to try the benchmark itself")
    args = parser.parse_args()
    sizes = Sizes(skin_verts=600, skin_shapes=20, tongue_verts=100) if args.small else Sizes()
    with tempfile.TemporaryDirectory() as scratch, deterministic_algorithms(reproducible=False):
        make_actor(Path(scratch), sizes)
        make_encoder(Path(scratch), "hubert", CPU_HUBERT if args.device == "cpu" else {})
        bench = Bench(Path(scratch), args.device, *args.segment)
        results = []
        for size in args.batch_sizes:
            ours = measure(partial(bench.ours, size), args.dropped, args.updates)
            reference = measure(partial(bench.reference, size), args.dropped, args.updates)
            results.append((size, ours, reference))
        show(args.device, results)


if __name__ == "__main__":
    main()
