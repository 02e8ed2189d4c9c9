"""Four segments of a large face and the diffusion network on them, small but for its wide layers, as a task."""

from __future__ import annotations

from collections.abc import Callable, Generator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from lightning_fabric import Fabric
from torch import Tensor
from toy_task import ToyBatch, ToyTask, train_settings

from audio2face.models.diffusion.loss import DiffusionLoss, DiffusionLossWeights
from audio2face.models.diffusion.network import ActorConstants, DiffusionNetwork, DiffusionSettings
from audio2face.models.diffusion.process import add_noise, make_noise_schedule
from audio2face.models.gram import GramLosses
from audio2face.models.shaped_targets import ShapedTargets, Shapes
from audio2face.models.wide import Workspace
from audio2face.training.checkpoint import CheckpointStore
from audio2face.training.distributed import average_gradients, leave_out, make_fabric
from audio2face.training.signals import InterruptHandler
from audio2face.training.task import ParameterGroup
from audio2face.training.trainer import Trainer

RATE, SEGMENTS, FRAMES = 1e-4, 4, 6
_JAW_AND_EYES = (15, 4)
_SCHEDULE = make_noise_schedule("cosine", 1000, "2")


@dataclass(frozen=True)
class Segments:
    """Segments of normalised animation and what the network gets of each."""

    target: Tensor
    noisy: Tensor
    features: Tensor

    def __getitem__(self, chosen: list[int]) -> Segments:
        return Segments(self.target[chosen], self.noisy[chosen], self.features[chosen])


def make_network(values: int) -> DiffusionNetwork:
    """A network of `values` channels, whose heads are zero as at the start of every training."""
    torch.manual_seed(3)
    skin = 3 * (values * 4 // 15)
    settings = DiffusionSettings(
        skin_size=skin,
        tongue_size=values - skin - sum(_JAW_AND_EYES),
        jaw_size=_JAW_AND_EYES[0],
        eye_size=_JAW_AND_EYES[1],
        actors=1,
        emotions=1,
        fps=60.0,
        encoder_width=8,
        encoder_step=0.02,
        encoder_first_step=None,
        diffusion_steps=1000,
        feature_dim=16,
        tongue_latent_dim=10,
        jaw_latent_dim=15,
        eye_latent_dim=4,
        actor_embedding_dim=4,
        emo_embedding_dim=4,
        gru_feature_dim=16,
        num_gru_layers=2,
    )
    return DiffusionNetwork(settings, ActorConstants(torch.zeros(1, values), torch.ones(1, 4))).eval()


def make_segments(values: int) -> Segments:
    generator = torch.Generator().manual_seed(4)
    target = 0.1 * torch.randn(SEGMENTS, FRAMES, values, generator=generator)
    noise = torch.randn(target.shape, generator=generator)
    noisy = add_noise(_SCHEDULE, target, torch.tensor([0, 1, 0, 1]), noise)
    return Segments(target, noisy, torch.randn(SEGMENTS, 5, 8, generator=generator))


def make_loss(values: int) -> DiffusionLoss:
    weights = DiffusionLossWeights(
        tongue=0.1, jaw=1.0, lip_distance=None, lip_distance_exponent=0.0, velocity=0.5, upper_face_smoothness=None
    )
    return DiffusionLoss(make_network(values).settings.sizes, weights, [])


def loss(network: Callable[..., Any], loss_fn: DiffusionLoss, segments: Segments) -> Tensor:
    items = len(segments.target)
    ones, timesteps = torch.ones(items, 1), torch.full((items,), 500)
    predicted = network(segments.noisy, timesteps, segments.features, ones, 0 * ones)
    return loss_fn(predicted, segments.target, [0] * items).total


def _no_faces() -> Tensor:
    raise AssertionError("the errors of these segments are small enough for quadratic forms")


class StepTask(ToyTask):
    """Makes one update an epoch of the four segments, cut into batches of `items_per_batch` in each process.

    Wide layers are trained as by the task of diffusion networks; each frame of the targets is a shape.
    """

    reference_sums_items = True

    def __init__(self, values: int, items_per_batch: int, fabric: Fabric) -> None:
        super().__init__(SEGMENTS, items_per_batch)
        self.network: Any = make_network(values)
        self.network.train()
        self.network.gru.dropout = 0.0
        self.network.workspace, self.network.leaves_faces = Workspace(), True
        self._segments, self._loss_fn = make_segments(values), make_loss(values)
        self._fabric = fabric
        sizes, frames = self.network.settings.sizes, self._segments.target.flatten(0, 1)
        wide = torch.split(frames, [sizes.skin, sizes.tongue, values - sizes.skin - sizes.tongue], dim=-1)[:2]
        shapes = [Shapes(part.contiguous(), torch.zeros_like(part[0]), torch.zeros_like(part[0])) for part in wide]
        self._loss_fn.gram = GramLosses(self.network.heads.wide_layers, [shapes], self.network.workspace)
        leave_out(fabric, self.network, self.network.wide_parameters)
        self.num_batches = SEGMENTS // (items_per_batch * fabric.world_size)

    def parameter_groups(self) -> list[ParameterGroup]:
        return [ParameterGroup(list(self.network.parameters()))]

    def learning_rate(self, epoch: int) -> float:
        return RATE

    def batches(self, epoch: int, first_batch: int) -> Generator[ToyBatch, None, None]:
        own = list(range(SEGMENTS))[self._fabric.global_rank :: self._fabric.world_size]
        for start in range(0, len(own), self.items_per_batch):
            chosen = own[start : start + self.items_per_batch]
            yield ToyBatch(tuple(f"segment {item}" for item in chosen), torch.tensor(chosen))

    def losses(self, network: Callable[..., Any], batch: ToyBatch) -> Mapping[str, Tensor]:
        items = batch.x.tolist()
        segments, frames = self._segments[items], torch.eye(SEGMENTS * FRAMES).unflatten(0, (SEGMENTS, FRAMES))
        narrow = segments.target[..., -sum(_JAW_AND_EYES) :]
        target = ShapedTargets([frames[items]] * 2, narrow, _no_faces)
        ones, timesteps = torch.ones(len(items), 1), torch.full((len(items),), 500)
        predicted = network(segments.noisy, timesteps, segments.features, ones, 0 * ones)
        return {"total": self._loss_fn.of_outputs(predicted, target, [0] * len(items)).total}

    def finish_gradients(self) -> None:
        assert self._loss_fn.gram is not None
        self._loss_fn.gram.finish()
        average_gradients(self._fabric, self.network.wide_parameters.values())

    def validate(self) -> dict[str, float]:
        return {}


def train_steps(folder: Path, values: int, batch: int, steps: int) -> DiffusionNetwork:
    """The trainer's updates of the four segments, in batches of `batch` in each of the processes there are."""
    fabric = make_fabric("cpu")
    task = StepTask(values, batch, fabric)
    settings = train_settings(
        NUM_EPOCHS=steps,
        EMA_DECAY=None,
        VALIDATION_PERIOD_EPOCHS=steps + 1,
        BATCH_SIZE=batch,
        GRADIENT_ACCUMULATION_STEPS=task.num_batches,
        GRADIENT_CLIP_NORM=None,
    )
    trainer = Trainer(fabric, task, settings, CheckpointStore(folder), None, InterruptHandler())
    for _ in range(steps):
        trainer.progress.batch = 0
        trainer.train_epoch()
    return task.network  # type: ignore[return-value]


def reference_steps(values: int, steps: int) -> DiffusionNetwork:
    """Updates as the reference makes them: the gradients of single segments are added up, with Adam's own epsilon."""
    network, loss_fn, segments = make_network(values), make_loss(values), make_segments(values)
    optimizer = torch.optim.Adam(network.parameters(), lr=RATE)
    for _ in range(steps):
        optimizer.zero_grad()
        for item in range(SEGMENTS):
            torch.autograd.backward(loss(network, loss_fn, segments[[item]]))
        optimizer.step()
    return network
