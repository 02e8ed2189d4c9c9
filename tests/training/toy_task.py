"""A toy task for the trainer, with state that resuming must restore: dropout and a generator of its own."""

from __future__ import annotations

import math
from collections.abc import Callable, Generator, Mapping, Sequence
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from audio2face.config import TrainDiffusion
from audio2face.config_base import config_train_diffusion_base
from audio2face.models.losses import RunningLossNormalizer
from audio2face.training.task import ParameterGroup, suspect_items


def train_settings(**changes: object) -> TrainDiffusion:
    """A training section: defaults of the base module, and changes."""
    defaults = {field.name: getattr(config_train_diffusion_base, field.name) for field in fields(TrainDiffusion)}
    return TrainDiffusion(**{**defaults, **changes})


@dataclass(frozen=True)
class ToyBatch:
    """Numbers; the targets are their doubles."""

    sample_ids: tuple[str, ...]
    x: Tensor

    @property
    def num_frames(self) -> int:
        return len(self.x)

    def suspects(self) -> Sequence[str]:
        return suspect_items(self.sample_ids, (self.x,))


class ToyTask:
    """Trains a network to double numbers; the loss is normalised by its running scale, as in regression.

    Args:
        items: number of items of an epoch.
        items_per_batch: number of items of a batch.
        poison: index of an item whose number is non-finite; None: all are finite.
        poison_value: that number.
    """

    best_metric = "error"
    reference_sums_items = False

    def __init__(
        self, items: int = 10, items_per_batch: int = 2, poison: int | None = None, poison_value: float = math.nan
    ) -> None:
        torch.manual_seed(1)
        self.network = nn.Sequential(nn.Linear(1, 8), nn.Tanh(), nn.Dropout(0.2), nn.Linear(8, 1))
        self.network[0].bias.requires_grad_(False)
        self.items, self.items_per_batch = items, items_per_batch
        self.numbers = torch.arange(items) / items
        if poison is not None:
            self.numbers[poison] = poison_value
        self.num_batches = -(-items // items_per_batch)
        self.generators = {"noise": torch.Generator().manual_seed(2)}
        self.scale = RunningLossNormalizer()
        self.errors: list[float] = []

    def parameter_groups(self) -> list[ParameterGroup]:
        first, last = self.network[0], self.network[3]
        return [ParameterGroup([first.weight]), ParameterGroup(list(last.parameters()), lr_factor=2.0)]

    def learning_rate(self, epoch: int) -> float:
        return 0.02 / (1 + epoch)

    def batches(self, epoch: int, first_batch: int) -> Generator[ToyBatch, None, None]:
        order = torch.randperm(self.items, generator=torch.Generator().manual_seed(100 + epoch))
        for batch in range(first_batch, self.num_batches):
            chosen = order[batch * self.items_per_batch : (batch + 1) * self.items_per_batch]
            yield ToyBatch(tuple(f"clip {item}" for item in chosen.tolist()), self.numbers[chosen, None])

    def losses(self, network: Callable[..., Any], batch: ToyBatch) -> Mapping[str, Tensor]:
        noise = 0.01 * torch.randn(batch.x.shape, generator=self.generators["noise"])
        error = (network(batch.x + noise) - 2 * batch.x).square().mean()
        return {"total": self.scale(error, 1.0), "square": error}

    def finish_gradients(self) -> None:
        """Does nothing: gradients are complete."""

    def commit_step(self) -> None:
        self.scale.commit()

    def discard_step(self) -> None:
        self.scale.discard()

    def validate(self) -> dict[str, float]:
        assert not self.network.training
        torch.randn(7)
        x = torch.linspace(0, 1, 5)[:, None]
        self.errors.append(float((self.network(x) - 2 * x).abs().mean()))
        return {"error": self.errors[-1]}

    def held_out_frame(self) -> None:
        return None

    def state(self) -> dict[str, Any]:
        return {name: value.item() for name, value in self.scale.state_dict().items()}

    def load_state(self, state: Mapping[str, Any]) -> None:
        self.scale.load_state_dict({name: torch.tensor(value) for name, value in state.items()})

    def network_config(self) -> dict[str, Any]:
        return {"network_type": "toy"}

    def metadata_files(self) -> dict[str, Any]:
        return {}

    def export(self, folder: Path) -> None:
        (folder / "exported").touch()
