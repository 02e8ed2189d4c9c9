"""A new configuration: what is found in a folder of data, what is written, and what is asked or refused."""

from __future__ import annotations

import ast
import re
import shutil
from pathlib import Path

import numpy as np
import pytest
import soundfile

from audio2face.cli import init, stages
from audio2face.cli.recipes import training_settings
from audio2face.config import load
from audio2face.config_base.tables import NetworkType
from audio2face.dataset import ActorDataset
from audio2face.dataset.discovery import find_actors
from audio2face.errors import UserError
from audio2face.geometry import write_cache

ROOT = Path(__file__).parents[2]


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A home folder without configurations, and no terminal."""
    monkeypatch.setenv("A2F_HOME", str(tmp_path))
    monkeypatch.setenv("A2F_DATASETS_ROOT", str(tmp_path / "datasets"))
    monkeypatch.setenv("A2F_WORKSPACE_ROOT", str(tmp_path / "workspace"))
    return tmp_path


@pytest.fixture
def data(home: Path, reference_data: Path) -> Path:
    folder = home / "datasets" / "ann"
    shutil.copytree(reference_data / "preproc/dataset", folder)
    return folder


def _other_layout(folder: Path, actor: str, rate: float = 25.0, seconds: float = 2.0) -> None:
    """Recordings and caches in folders of other names, and a coarse copy of the face beside it."""
    for part, verts in (("points", 40), ("coarse", 10)):
        for number in (1, 2):
            shot = f"{actor}_{number}_happy"
            target = folder / actor / "anim" / part / shot
            target.mkdir(parents=True)
            frames = np.zeros((round(rate * seconds), verts, 3), np.float32)
            np.save(target / f"{shot}.npy", frames)
    (folder / actor / "wavs").mkdir()
    for number in (1, 2):
        soundfile.write(folder / actor / f"wavs/{actor}_{number}_happy.wav", np.zeros(round(16000 * seconds)), 16000)


@pytest.mark.parametrize("network", ["diffusion", "regression"])
def test_the_configuration_of_good_data_passes_the_check(home: Path, data: Path, network: NetworkType) -> None:
    assert init.main(["ann", "--data", str(data), "--network", network]) == 0
    assert stages.check(["ann"]) == 0
    configuration = load("ann", stage="train", check_files=False)
    assert configuration.network_type == network
    assert configuration.dataset.CACHE_FPS == {"ann": 30.0}
    assert set(configuration.dataset.SHOT_EMOTION_NAMES) == {"neutral", "joy", "anger"}
    written = (home / "configs/ann/config_dataset.py").read_text(encoding="utf-8")
    assert '_DATA = "/datasets/ann"' in written  # portable
    assert "# SKIN_FACES_FPATH" in written  # what was not found is named
    # Every file of the dataset has its parameter.
    named = {Path(path) for _, path in re.findall(r'(\w+) = \{"ann": _DATA \+ "/([^"]+)"\}', written)}
    files = {path.relative_to(data) for path in data.rglob("*") if path.suffix in (".npy", ".npz", ".json")}
    assert {path for path in files if path.parts[0] != "cache"} <= named


def test_any_layout_is_found_by_names_that_recordings_and_caches_share(tmp_path: Path) -> None:
    _other_layout(tmp_path, "bo")
    _other_layout(tmp_path, "cy", rate=60.0)
    bo, cy = find_actors(tmp_path)
    assert (bo.name, cy.name) == ("bo", "cy")
    assert bo.paths == {
        "AUDIO_ROOT": tmp_path / "bo/wavs",
        "SKIN_CACHE_ROOT": tmp_path / "bo/anim/points",
    }
    assert (bo.rate, cy.rate, bo.num_frames, bo.emotions) == (25.0, 60.0, 100, ("happy",))


@pytest.mark.parametrize(
    ("stated", "found"),
    [
        (24 / 1.001, 24 / 1.001),  # the lengths alone tell of 24
        (120 / 1.001, 120 / 1.001),
        (15.0, 15.0),  # no usual rate, but one that all caches state
        (29.99, 30.0),  # written inexactly
    ],
)
def test_a_rate_that_all_caches_state_is_exact(stated: float, found: float, tmp_path: Path) -> None:
    for shot, seconds in (("a", 2), ("b", 3)):
        count = round(seconds * stated)
        path = tmp_path / f"cache/{shot}/{shot}.mdd"
        write_cache(path, np.zeros((count, 4, 3), np.float32), fps=stated)
        (tmp_path / "audio").mkdir(exist_ok=True)
        soundfile.write(tmp_path / f"audio/{shot}.wav", np.zeros(seconds * 16_000), 16_000)
    assert find_actors(tmp_path)[0].rate == pytest.approx(found, rel=1e-9)


def test_a_rate_that_lengths_do_not_tell_is_asked_for(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    _other_layout(home / "datasets", "bo", rate=17.0)
    with pytest.raises(UserError, match="--rate FPS"):
        init.main(["bo", "--data", "bo"])
    assert not (home / "configs").exists()
    answers = iter(["fast", "17", ""])
    monkeypatch.setattr("builtins.input", lambda _: next(answers))
    monkeypatch.setattr("sys.stdin.isatty", lambda: True)
    monkeypatch.setattr("sys.stdout.isatty", lambda: True)
    assert init.main(["bo", "--data", "bo", "--network", "regression"]) == 0
    assert load("bo", stage="train", check_files=False).dataset.CACHE_FPS == {"bo": 17.0}


@pytest.mark.parametrize(("shots", "fraction"), [(19, 0.0), (20, 0.1)])
def test_from_twenty_shots_on_a_test_set_is_kept(home: Path, shots: int, fraction: float) -> None:
    folder = home / "datasets/cy"
    for number in range(shots):
        name = f"s{number:02d}"
        (folder / "cache" / name).mkdir(parents=True)
        np.save(folder / "cache" / name / f"{name}.npy", np.zeros((60, 10, 3), np.float32))
        (folder / "audio").mkdir(exist_ok=True)
        soundfile.write(folder / f"audio/{name}.wav", np.zeros(32000), 16000)
    assert init.main(["cy", "--data", "cy"]) == 0
    dataset = load("cy", stage="check").dataset
    assert fraction == dataset.TEST_FRACTION
    assert len(ActorDataset.open("cy", dataset).test_shots) == round(fraction * shots)


def test_what_is_there_is_replaced_only_when_asked(home: Path, data: Path) -> None:
    init.main(["ann", "--data", "ann"])
    with pytest.raises(UserError, match="--force"):
        init.main(["ann", "--data", "ann"])
    assert init.main(["ann", "--data", "ann", "--force", "--actor", "annie"]) == 0
    assert load("ann", stage="check").actors == ("annie",)


def test_what_cannot_be_used_is_one_message(home: Path) -> None:
    datasets = home / "datasets"
    for words, said in (
        (["x"], "Give --data FOLDER"),
        (["x", "--data", "nowhere"], "there is no data folder 'nowhere'"),
    ):
        with pytest.raises(UserError, match=said):
            init.main(words)
    (datasets / "empty").mkdir(parents=True)
    with pytest.raises(UserError, match="AUDIO_ROOT is a folder of them"):
        init.main(["x", "--data", "empty"])
    _other_layout(datasets / "two", "bo")
    _other_layout(datasets / "two", "cy")
    with pytest.raises(UserError, match=r"2 actors: bo, cy\n.*--actor"):
        init.main(["x", "--data", "two"])
    assert init.main(["x", "--data", "two", "--actor", "cy"]) == 0
    flat = datasets / "flat"
    flat.mkdir()
    soundfile.write(flat / "s1.wav", np.zeros(1600), 16000)
    np.save(flat / "s1.npy", np.zeros((3, 4, 3), np.float32))
    with pytest.raises(UserError, match=r"move it to s1/s1\.npy"):
        init.main(["y", "--data", "flat"])


def test_few_recordings_get_the_documented_settings() -> None:
    page = (ROOT / "docs/quality.md").read_text(encoding="utf-8")
    for network, minutes in (("diffusion", 8.0), ("regression", 8.0)):
        blocks = re.findall(r"```python\n(.*?)```", page, re.DOTALL)
        block = next(text for text in blocks if f'NETWORK_TYPE = "{network}"' in text)
        documented, written = {}, {}
        exec(block, documented)
        exec(training_settings(network, minutes, 56), written)
        # What the documented recordings alone ask for, and how many shots they held out.
        special = {"LOSS_EXP_SMOOTH_ALPHA", "NETWORK_TYPE", "_MINUTES", "__builtins__"}
        assert {name: value for name, value in documented.items() if name not in special} == {
            name: value for name, value in written.items() if name not in ("VALIDATION_FRACTION", "__builtins__")
        }
        assert written["VALIDATION_FRACTION"] == 0.125
    many = ast.parse(training_settings("diffusion", 45.0, 200))
    assert len(many.body) == 1  # the speech encoder; the rest is the network's default
