"""A workspace in which the reference's small actor was preprocessed, and configurations to train on it."""

from __future__ import annotations

from pathlib import Path

import pytest
from small_actor import RUN, Configure, add_run, configuration


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
