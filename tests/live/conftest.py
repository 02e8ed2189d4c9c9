"""A deployed folder with a tiny streaming network, and a clock that tests turn."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parents[1] / "model_folder"))
sys.path.insert(0, str(Path(__file__).parents[1] / "inference"))

from small_graphs import write_graph
from small_models import STREAMING, write_model


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A deployed streaming network of two actors, 30 frames per second, with three of ARKit's shapes."""
    made = tmp_path / "streaming"
    made.mkdir()
    write_model(made, STREAMING)
    write_graph(made / "network.onnx", STREAMING)
    return made
