"""What every comparison of a graph with its network needs: inputs, and the graph beside torch."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path

import onnxruntime
import torch
from torch import Tensor

# Example inputs by name, for a batch, drawn from a generator.
Inputs = Callable[[int, torch.Generator], Mapping[str, Tensor]]


def open_beside_torch(path: Path) -> onnxruntime.InferenceSession:
    """A graph on the CPU, run in turns with torch."""
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = torch.get_num_threads()
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")  # torch's threads work in between
    return onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
