"""An optimiser's state as named tensors and JSON, and back: by the names of the weights instead of their numbers."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor, nn

from audio2face.errors import UserError


def dump(optimizer: torch.optim.Optimizer, network: nn.Module) -> tuple[dict[str, Tensor], list[dict[str, Any]]]:
    """What `Checkpoint.optimizer` and `Checkpoint.groups` hold."""
    names = {id(weight): name for name, weight in network.named_parameters()}
    tensors = {
        f"{names[id(weight)]}/{quantity}": value
        for weight, state in optimizer.state.items()
        for quantity, value in state.items()
    }
    groups = [
        {key: value for key, value in group.items() if key != "params"}
        | {"params": [names[id(weight)] for weight in group["params"]]}
        for group in optimizer.param_groups
    ]
    return tensors, groups


def load(
    optimizer: torch.optim.Optimizer, network: nn.Module, tensors: Mapping[str, Tensor], groups: list[dict[str, Any]]
) -> None:
    """Goes on from what `dump` gave.

    Raises:
        UserError: it is the state of other weights.
    """
    names = {id(weight): name for name, weight in network.named_parameters()}
    order = [[names[id(weight)] for weight in group["params"]] for group in optimizer.param_groups]
    if order != [group["params"] for group in groups]:
        raise UserError(
            "the checkpoint's optimiser holds other weights than are trained now",
            hint="Go on with the settings and the version that the run was started with, or start a new run.",
        )
    numbers = {name: number for number, name in enumerate(name for group in order for name in group)}
    state: dict[int, dict[str, Tensor]] = {}
    for key, value in tensors.items():
        name, quantity = key.rsplit("/", 1)
        state.setdefault(numbers[name], {})[quantity] = value
    plain = [group | {"params": [numbers[name] for name in group["params"]]} for group in groups]
    optimizer.load_state_dict({"state": state, "param_groups": plain})
