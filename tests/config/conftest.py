"""Configurations written on the spot."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from audio2face.config import Configuration, Roots, load

ROOT = Path(__file__).parents[2]
DATASET = """
ACTOR_NAMES = ["ada"]
AUDIO_ROOT = {"ada": "ada/audio"}
SKIN_CACHE_ROOT = {"ada": "/datasets/ada/skin"}
CACHE_FPS = {"ada": 30}
"""
GOOD = {
    "dataset": DATASET,
    "preproc": "",
    "train": 'NETWORK_TYPE = "diffusion"',
    "inference": "",
}

Loader = Callable[..., Configuration]


@pytest.fixture
def load_files(tmp_path: Path) -> Loader:
    """Loads a configuration from texts of its files (None: no such file), over ones that are right."""
    roots = Roots(tmp_path / "datasets", tmp_path / "workspace", tmp_path)
    for folder in ("datasets/ada/audio", "datasets/ada/skin"):
        (tmp_path / folder).mkdir(parents=True)

    def loader(stage: str = "train", actors: list[str] | None = None, **texts: str | None) -> Configuration:
        folder = tmp_path / "configs" / "mine"
        folder.mkdir(parents=True, exist_ok=True)
        for section, text in (GOOD | texts).items():
            if text is not None:
                (folder / f"config_{section}.py").write_text(text, encoding="utf-8")
        return load("mine", stage=stage, actors=actors, roots=roots)  # type: ignore[arg-type]

    return loader
