"""Tests of importers write films with the helper of the tests of audio, and import into a folder of their own."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

sys.path.append(str(Path(__file__).parents[1] / "audio"))


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A home folder with nothing in it."""
    folder = tmp_path / "home"
    (folder / "configs").mkdir(parents=True)
    monkeypatch.setenv("A2F_HOME", str(folder))
    for name in ("DATASETS", "WORKSPACE"):
        monkeypatch.setenv(f"A2F_{name}_ROOT", str(folder / name.lower()))
    return folder
