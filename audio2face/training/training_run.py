"""What a training run leaves, read back: the door through which deployment and inference enter.

Knows the run folder's files. Does not build networks (that is the business of each kind) and needs no data set.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor

from audio2face.config import Configuration
from audio2face.dataset.arrays import read_json
from audio2face.errors import FileFormatError, UserError
from audio2face.training.origins import ORIGINS_STEM

CONFIGURATION_FILE = "configs/configuration.json"
PREPROC_FILE = f"configs/{ORIGINS_STEM}.json"
NETWORK_FILE = "network.json"
INFO_FILE = "network_info_full.json"
SUMMARY_FILE = "summary.json"
WEIGHTS_FILE = "weights.safetensors"


@dataclass(frozen=True)
class TrainingRun:
    """A training run whose weights were exported; every file is read when it is asked for.

    A file that does not hold what it should raises FileFormatError when it is asked for.

    Attributes:
        path: the run folder; its last part is the full name of the run.
    """

    path: Path

    @classmethod
    def open(cls, path: Path) -> TrainingRun:
        """Opens a run.

        Raises:
            UserError: there is no such run, or it has not come to its end.
        """
        missing = [name for name in (CONFIGURATION_FILE, NETWORK_FILE, WEIGHTS_FILE) if not (path / name).is_file()]
        if missing:
            raise UserError(
                f"is no finished training run: {missing[0]} is missing",
                path=path,
                hint=f"Let it finish: python run_train.py CONFIG_NAME --resume {path.name}\n"
                f"  or export what there is: python run_train.py CONFIG_NAME --resume {path.name} --finish",
            )
        return cls(path)

    @cached_property
    def configuration(self) -> Configuration:
        """What it was started with."""
        return Configuration.open(self.path / CONFIGURATION_FILE)

    @cached_property
    def network(self) -> Mapping[str, Any]:
        """Which network it is, see `Task.describe`."""
        return self._object(NETWORK_FILE)

    @cached_property
    def preproc(self) -> Mapping[str, Any]:
        """Which preprocessing runs and files it learnt from."""
        return self._object(PREPROC_FILE)

    @cached_property
    def summary(self) -> Mapping[str, Any]:
        """How training went: end, steps, epochs, minutes, exported_step, exported_metrics."""
        return self._object(SUMMARY_FILE)

    def weights(self) -> dict[str, Tensor]:
        """The exported weights, on the CPU."""
        return self.tensors(WEIGHTS_FILE)

    def tensors(self, name: str) -> dict[str, Tensor]:
        """The tensors of a safetensors file of the run, on the CPU."""
        path = self.path / name
        try:
            return load_file(path)
        except (OSError, SafetensorError) as error:
            raise FileFormatError(f"cannot be read as weights: {error}", path=path) from error

    def _object(self, name: str) -> Mapping[str, Any]:
        value = read_json(self.path / name)
        if not isinstance(value, dict):
            raise FileFormatError("should hold an object", path=self.path / name)
        return value
