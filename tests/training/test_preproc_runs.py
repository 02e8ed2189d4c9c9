"""Two configurations that call their actors alike: each is trained from the run of its own data."""

from __future__ import annotations

import logging
import os
import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from small_actor import add_run, configuration

from audio2face.config import Configuration
from audio2face.dataset import ActorDataset
from audio2face.errors import UserError
from audio2face.geometry import list_shots
from audio2face.io.atomic import write_json
from audio2face.preproc.artifacts import identity_facts
from audio2face.preproc.data_record import CurrentData
from audio2face.training.data.actors import open_sources

Project = tuple[Path, Callable[[str], Configuration], Callable[[str, str], None]]


@pytest.fixture
def project(reference_data: Path, tmp_path: Path) -> Project:
    """Root of data sets "a" and "b" of different faces; what makes their configurations, and what preprocesses them."""
    for name in ("a", "b"):
        shutil.copytree(reference_data / "preproc/dataset", tmp_path / name)
    for cache in (tmp_path / "b/cache/skin").rglob("*.npy"):
        frames = np.load(cache)
        frames[3] += 0.01  # the size stays the same
        np.save(cache, frames)
    workspace = tmp_path / "workspace"

    def configure(name: str) -> Configuration:
        return configuration(tmp_path / name, workspace, ("ann",), {})

    def preprocess(name: str, run: str) -> None:
        """What preprocessing records of itself; its products are those of the reference."""
        folder = workspace / "output_preproc" / run
        add_run(reference_data, folder, "ann")
        dataset = ActorDataset.open("ann", configure(name).dataset)
        shots = list_shots(dataset.paths["SKIN_CACHE_ROOT"])
        record = CurrentData(dataset, {}).record({"SKIN_CACHE_ROOT": shots})
        write_json(folder / "configs/data_set.json", record.as_json())
        for stem, facts in identity_facts("ann", "0123").items():
            write_json(folder / f"configs/{stem}.json", facts)

    return tmp_path, configure, preprocess


def taken(configured: Configuration) -> str:
    [source] = open_sources(configured.dataset, configured.train)
    assert source.artifacts is not None
    return source.artifacts.folder.name


def test_the_newest_run_of_the_configured_data_is_taken(project: Project, caplog: pytest.LogCaptureFixture) -> None:
    _, configure, preprocess = project
    preprocess("a", "260101_000000_a")
    preprocess("a", "260102_000000_a")
    preprocess("b", "260103_000000_b")
    with caplog.at_level(logging.INFO):
        assert taken(configure("a")) == "260102_000000_a"
    assert "260103_000000_b is skipped: SKIN_CACHE_ROOT is " in caplog.text
    caplog.clear()
    with caplog.at_level(logging.INFO):
        assert taken(configure("b")) == "260103_000000_b"
    assert "is skipped" not in caplog.text


def test_without_a_run_of_the_data_the_closest_is_named(project: Project) -> None:
    root, configure, preprocess = project
    preprocess("b", "260101_000000_b")
    shutil.rmtree(root / "b/cache/skin/s1_neutral")
    preprocess("b", "260102_000000_fewer")
    with pytest.raises(UserError, match=r"the closest of 2, 260102_000000_fewer: SKIN_CACHE_ROOT is .*/a/") as caught:
        taken(configure("a"))
    advice, command = str(caught.value.hint).split("\n")
    assert "name another run in PREPROC_RUN_NAME_FULL of config_train.py" in advice
    assert command == "  python run_preproc.py CONFIG_NAME ann"
    named = configuration(
        root / "a", root / "workspace", ("ann",), {"PREPROC_RUN_NAME_FULL": {"ann": "260101_000000_b"}}
    )
    assert taken(named) == "260101_000000_b"


def test_a_named_run_is_used_with_a_warning(project: Project, caplog: pytest.LogCaptureFixture) -> None:
    root, _, preprocess = project
    preprocess("b", "260101_000000_b")
    changes = {"PREPROC_RUN_NAME_FULL": {"ann": "260101_000000_b"}}
    with caplog.at_level(logging.WARNING):
        assert taken(configuration(root / "b", root / "workspace", ("ann",), changes)) == "260101_000000_b"
    assert not caplog.records
    with caplog.at_level(logging.WARNING):
        assert taken(configuration(root / "a", root / "workspace", ("ann",), changes)) == "260101_000000_b"
    assert "was made from other data than those configured: SKIN_CACHE_ROOT" in caplog.text


def test_moved_or_touched_data_are_the_same(project: Project) -> None:
    root, configure, preprocess = project
    preprocess("a", "260101_000000_a")
    for path in (root / "a").rglob("*.npy"):
        os.utime(path)
    assert taken(configure("a")) == "260101_000000_a"
    (root / "a").rename(root / "moved")
    assert taken(configure("moved")) == "260101_000000_a"


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda root: shutil.copytree(root / "cache/skin/s1_neutral", root / "cache/skin/s9"), None),
        (lambda root: shutil.rmtree(root / "cache/skin/s1_neutral"), "has no s1_neutral/"),
        (lambda root: np.savez(root / "xform/jaw_keypoints_cache_all.npz", s9=np.zeros((3, 5, 3))), ""),
    ],
    ids=["a folder without a cache of its name", "a shot less", "what training reads itself"],
)
def test_later_changes_of_the_data_are_detected(
    project: Project, change: Callable[[Path], object], message: str | None
) -> None:
    root, configure, preprocess = project
    preprocess("a", "260101_000000_a")
    change(root / "a")
    if message:
        with pytest.raises(UserError, match=message):
            taken(configure("a"))
    else:
        assert taken(configure("a")) == "260101_000000_a"


def test_another_shot_or_emotion_makes_another_data_set(project: Project) -> None:
    root, configure, preprocess = project
    preprocess("a", "260101_000000_a")
    changed = configuration(
        root / "a", root / "workspace", ("ann",), {"SHOT_EMOTION_MAP": [("ann", "s2_joy", "anger")]}
    )
    with pytest.raises(UserError, match="SHOT_EMOTION_MAP gives 's2_joy' 'anger', gave 'joy'"):
        taken(changed)
    (root / "a/cache/skin/s9_joy").mkdir()
    np.save(root / "a/cache/skin/s9_joy/s9_joy.npy", np.zeros((3, 4, 3), np.float32))
    with pytest.raises(UserError, match="SKIN_CACHE_ROOT has shot 's9_joy', which the run did not"):
        taken(configure("a"))


def test_runs_without_a_record(project: Project, reference_data: Path, caplog: pytest.LogCaptureFixture) -> None:
    root, configure, preprocess = project
    runs = root / "workspace/output_preproc"
    preprocess("a", "260103_000000_old")
    (runs / "260103_000000_old/configs/data_set.json").unlink()
    with pytest.raises(UserError, match="260103_000000_old: was made by a version that did not record its data"):
        taken(configure("a"))
    add_run(reference_data, runs / "260102_000000_reference", "ann")  # knows nothing of records
    with caplog.at_level(logging.WARNING):
        assert taken(configure("a")) == "260102_000000_reference"
    assert "preprocessing run 260102_000000_reference has no record of its data" in caplog.text
    preprocess("a", "260101_000000_a")
    assert taken(configure("a")) == "260101_000000_a"
