"""Deployed folders with tiny networks that answer to everything they are told."""

from __future__ import annotations

import sys
from dataclasses import replace
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parents[1] / "model_folder"))

from small_graphs import write_graph
from small_models import DIFFUSION, REGRESSION, STREAMING, write_model

from audio2face.model_folder import NetworkInfo


def _folder(folder: Path, info: NetworkInfo) -> Path:
    folder.mkdir()
    write_model(folder, info)
    write_graph(folder / "network.onnx", info)
    return folder


@pytest.fixture
def diffusion(tmp_path: Path) -> Path:
    """A deployed diffusion network of two actors and two emotions, 60 frames per second."""
    return _folder(tmp_path / "diffusion", DIFFUSION)


@pytest.fixture
def diffusion_30(tmp_path: Path) -> Path:
    """A deployed diffusion network of 30 frames per second, whose first frame lies a sample before the recording."""
    frames = {"num_frames_left_truncate": 7, "num_frames_center": 15, "num_frames_right_truncate": 8}
    return _folder(tmp_path / "diffusion_30", replace(DIFFUSION, **frames))


@pytest.fixture
def regression(tmp_path: Path) -> Path:
    """A deployed regression network of one actor and one emotion."""
    return _folder(tmp_path / "regression", REGRESSION)


@pytest.fixture
def streaming(tmp_path: Path) -> Path:
    """A deployed streaming network of two actors and two emotions, 30 frames per second, 66 ms ahead."""
    return _folder(tmp_path / "streaming", STREAMING)


@pytest.fixture(params=["diffusion", "regression", "streaming"])
def deployed(request: pytest.FixtureRequest) -> Path:
    """Each of them."""
    folder: Path = request.getfixturevalue(request.param)
    return folder
