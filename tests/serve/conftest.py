"""A small served face of the diffusion family: actors ada and ben, emotions joy and anger, three shapes."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

sys.path.insert(0, str(Path(__file__).parents[1] / "model_folder"))
sys.path.insert(0, str(Path(__file__).parents[1] / "inference"))

from small_graphs import write_graph
from small_models import DIFFUSION, REGRESSION, STREAMING, write_model

from audio2face.model_folder import NetworkInfo
from audio2face.serve.faces import Face, FaceOptions, open_faces


def _model(folder: Path, info: NetworkInfo) -> Path:
    folder.mkdir()
    write_model(folder, info)
    write_graph(folder / "network.onnx", info)
    return folder


@pytest.fixture(scope="session")
def models(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """Deployed folders by the name of their family."""
    folder = tmp_path_factory.mktemp("models")
    return {info.type: _model(folder / info.type, info) for info in (DIFFUSION, REGRESSION, STREAMING)}


@pytest.fixture
def faces(models: dict[str, Path]) -> dict[str, Face]:
    return open_faces([models["diffusion"]], FaceOptions(names=68))


@pytest.fixture
def live_faces(models: dict[str, Path]) -> dict[str, Face]:
    """Faces of a streaming network, which animates all streams in one call."""
    return open_faces([models["streaming"]], FaceOptions())


@pytest.fixture
def face(faces: dict[str, Face]) -> Face:
    return faces["ada"]


@pytest.fixture(scope="session")
def speech() -> Callable[[float, int], bytes]:
    """Seconds of noise as 16-bit PCM."""

    def make(seconds: float, rate: int = 16_000) -> bytes:
        noise = np.random.default_rng(5).normal(size=round(seconds * rate))
        return bytes((3000 * noise).astype("<i2").tobytes())

    return make
