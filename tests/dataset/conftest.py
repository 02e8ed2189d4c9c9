"""Raw datasets to open and to spoil."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
from raw_datasets import ACTOR, Open, write_config

from audio2face.config import load
from audio2face.dataset import ActorDataset


@pytest.fixture
def open_actor(tmp_path: Path) -> Open:
    """Opens a dataset folder by way of a configuration."""

    def open_one(root: Path, actor: str = ACTOR, **changes: object) -> ActorDataset:
        write_config(tmp_path / "configs" / "test", root, **changes)
        return ActorDataset.open(actor, load("test", stage="check", configs_folder=tmp_path / "configs").dataset)

    return open_one


@pytest.fixture
def dataset(reference_data: Path, tmp_path: Path) -> Path:
    """A copy of the reference dataset that may be spoiled."""
    return Path(shutil.copytree(reference_data / "preproc" / "dataset", tmp_path / "dataset"))
