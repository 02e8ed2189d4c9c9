"""Maya caches of several meshes: the configured name, else the number of vertices, tells which one is meant."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from raw_datasets import FPS, Open, add_shot

from audio2face.config import load
from audio2face.dataset.checks import check_actor
from audio2face.errors import UserError
from audio2face.geometry import write_cache
from audio2face.preproc.inputs import ActorInputs

SKIN = 200  # vertices


def write_several(root: Path, shot: str, channels: dict[str, int]) -> np.ndarray:
    """Replaces the skin cache of a shot by one of several meshes in a row; returns the frames."""
    folder = root / "cache" / "skin" / shot
    frames = np.random.default_rng(0).normal(size=(90, sum(channels.values()), 3)).astype(np.float32)
    for file in folder.iterdir():
        file.unlink()
    write_cache(folder / f"{shot}.xml", frames, fps=FPS, channel=channels)
    return frames


@pytest.fixture
def several(dataset: Path) -> Path:
    add_shot(dataset, "s1_neutral", "t1_neutral")
    return dataset


def test_the_number_of_vertices_tells_the_mesh(several: Path, open_actor: Open) -> None:
    frames = write_several(several, "t1_neutral", {"eyesShape": 20, "a:headShape": SKIN})
    actor = open_actor(several, TONGUE_CACHE_CHANNEL={"ann": "tongueShape"})
    np.testing.assert_array_equal(actor.shot("t1_neutral").skin()[:], frames[:, 20:])
    without_neutral = open_actor(several, SKIN_NEUTRAL_FPATH={})
    np.testing.assert_array_equal(without_neutral.shot("t1_neutral").skin()[:], frames[:, 20:])


def test_the_configured_name_tells_the_mesh(several: Path, open_actor: Open) -> None:
    frames = write_several(several, "t1_neutral", {"a:otherShape": SKIN, "a:headShape": SKIN})
    report = check_actor(open_actor(several))
    (unread,) = [finding for finding in report.errors if finding.code == "cache-unreadable"]
    assert "'a:otherShape' (200 vertices), 'a:headShape' (200 vertices)" in unread.message
    assert "SKIN_CACHE_CHANNEL" in unread.remedy
    for name in ("headShape", "a:headShape", "b:headShape"):
        actor = open_actor(several, SKIN_CACHE_CHANNEL={"ann": name})
        np.testing.assert_array_equal(actor.skin_caches.open("t1_neutral")[:], frames[:, SKIN:])
    with pytest.raises(UserError, match="has no channel 'bodyShape'"):
        open_actor(several, SKIN_CACHE_CHANNEL={"ann": "bodyShape"}).skin_caches.open("t1_neutral")


def test_preprocessing_takes_the_same_mesh_and_knows_its_name(several: Path, open_actor: Open, tmp_path: Path) -> None:
    write_several(several, "t1_neutral", {"otherShape": SKIN, "headShape": SKIN})
    opened = []
    for name in ("headShape", "otherShape"):
        actor = open_actor(several, SKIN_CACHE_CHANNEL={"ann": name})
        settings = load("test", stage="check", configs_folder=tmp_path / "configs").preproc
        chosen = {"ann": ("t1_neutral",)}
        opened.append(ActorInputs.open(actor, replace(settings, SKIN_CACHE_SHOTS=chosen, TONGUE_CACHE_SHOTS=chosen)))
    assert [inputs.skin["t1_neutral"].channel for inputs in opened] == ["headShape", "otherShape"]
    assert opened[0].fingerprint() != opened[1].fingerprint()
