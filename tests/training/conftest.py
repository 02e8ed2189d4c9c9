"""A workspace in which the reference's small actor was preprocessed, and configurations to train on it."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
import torch
from small_actor import RUN, Configure, add_run, configuration


@pytest.fixture(scope="module")
def one_thread() -> Iterator[None]:
    """Small networks are quickest on one thread, above all where other processes work at the same time."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


@pytest.fixture
def workspace(reference_data: Path, tmp_path: Path) -> Path:
    """The workspace."""
    add_run(reference_data, tmp_path / "workspace/output_preproc" / RUN, "ann")
    return tmp_path / "workspace"


@pytest.fixture
def configure(reference_data: Path, workspace: Path) -> Configure:
    """Makes a configuration: for actors, with parameters of both sections changed by name."""

    def make(actors: tuple[str, ...] = ("ann",), **changes: object) -> object:
        return configuration(reference_data / "preproc/dataset", workspace, actors, changes)

    return make  # type: ignore[return-value]
