"""The interface of a family's training module: it opens the training task, and loads the trained network."""

from __future__ import annotations

from typing import Protocol

from lightning_fabric import Fabric
from torch import nn

from audio2face.config import Configuration
from audio2face.errors import UserError
from audio2face.families import FAMILIES, resolve
from audio2face.training.run_folder import TrainingRun
from audio2face.training.task import ResumeMetadata, Task


class TrainingModule(Protocol):
    """The functions that a family's training module defines; `audio2face.families` holds its name."""

    def open_task(self, configuration: Configuration, fabric: Fabric, state: ResumeMetadata | None) -> Task:
        """Opens data and network of a configuration.

        Args:
            configuration: for stage "train" and a network of the family.
            fabric: device and processes.
            state: metadata of a resumed run; None for a new one.

        Raises:
            UserError: data, speech encoder or weights to start from are missing or do not fit.
        """
        ...

    def load_network(self, run: TrainingRun) -> nn.Module:
        """The trained network of a finished run, on the CPU in evaluation mode; needs neither data nor hub.

        Raises:
            UserError: the run holds a network of another family, or files of it are damaged.
        """
        ...


def training_module(network_type: str) -> TrainingModule:
    """Imports the training module of a family.

    Raises:
        UserError: there is no such family.
    """
    family = FAMILIES.get(network_type)
    if family is None:
        raise UserError(f"NETWORK_TYPE {network_type!r} cannot be trained", hint=f"Known: {', '.join(FAMILIES)}.")
    found: TrainingModule = resolve(family.training)
    return found
