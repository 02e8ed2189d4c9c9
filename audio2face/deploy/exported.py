"""What a network of either type hands to the export: a module to trace, its inputs, and a way to judge the graph."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from torch import nn

from audio2face.deploy.comparison import Inputs
from audio2face.deploy.diffusion_parity import DiffusionParity
from audio2face.deploy.regression_parity import RegressionParity
from audio2face.model_folder import NetworkInfo

# How far graph and network agree. Both kinds tell it in words: `is_good`, `largest`, `limit`, `conditions`.
Parity = DiffusionParity | RegressionParity


@dataclass(frozen=True)
class Exported:
    """A network as it is exported.

    Attributes:
        module: a copy of the network on the CPU, in evaluation mode; takes and gives the tensors of `info` in order.
        info: names and shapes of inputs and outputs.
        inputs: inputs such as consumers give.
        measure: compares the graph in a file with the module; raises UserError where the module's output is not finite.
    """

    module: nn.Module
    info: NetworkInfo
    inputs: Inputs
    measure: Callable[[Path], Parity]
