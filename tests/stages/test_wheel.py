"""The wheel, apart from the repository: its base animates without torch, and with what training needs it trains."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import sysconfig
from pathlib import Path

import numpy as np
import pytest
import soundfile

sys.path.insert(0, str(Path(__file__).parents[1] / "model_folder"))
sys.path.insert(0, str(Path(__file__).parents[1] / "inference"))

from small_graphs import write_graph
from small_models import REGRESSION, write_model

from tools.golden_record import DATASET, write_configuration

ROOT = Path(__file__).parents[2]

pytestmark = [pytest.mark.slow, pytest.mark.skipif(os.name != "posix", reason="the paths of an environment differ")]
LARGEST_BASE = 350_000_000  # bytes, installed
_PARTS = ("audio2face", "configs", "pyproject.toml", "setup.py", "README.md", "LICENSE")
_TOOLS = ("pip", "setuptools", "pkg_resources", "_distutils_hack", "distutils-precedence.pth")


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The wheel, built from a copy: building leaves folders in the source."""
    folder = tmp_path_factory.mktemp("wheel")
    for name in _PARTS:
        if (ROOT / name).is_dir():
            shutil.copytree(ROOT / name, folder / "source" / name, ignore=shutil.ignore_patterns("__pycache__"))
        else:
            shutil.copy(ROOT / name, folder / "source")
    command = ["wheel", "--quiet", "--no-deps", "--no-build-isolation", "--wheel-dir", str(folder)]
    pip(Path(sys.executable), *command, str(folder / "source"))
    return next(folder.glob("*.whl"))


def pip(python: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    done = subprocess.run([python, "-m", "pip", *arguments], capture_output=True, text=True)
    if done.returncode != 0 and any(word in done.stderr for word in ("No matching distribution", "Connection")):
        pytest.skip("pip finds no packages: there is neither a network nor a source on this machine")
    assert done.returncode == 0, done.stdout + done.stderr
    return done


def new_environment(folder: Path) -> tuple[Path, Path]:
    """Makes an empty environment; returns its interpreter and its folder of packages."""
    subprocess.run([sys.executable, "-m", "venv", folder], check=True)
    return folder / "bin/python", next(folder.glob("lib/python3*/site-packages"))


def command(environment: Path, home: Path, *words: str, status: int = 0) -> str:
    """Runs `audio2face` of an environment in a home folder; returns what it printed."""
    clean = {name: value for name, value in os.environ.items() if not name.startswith(("A2F_", "PYTHON"))}
    done = subprocess.run(
        [environment / "bin/audio2face", *words],
        cwd=home,
        env=clean,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    assert done.returncode == status, done.stdout
    return done.stdout


def test_the_base_animates_without_torch(wheel: Path, tmp_path: Path) -> None:
    environment, home = tmp_path / "environment", tmp_path / "home"
    home.mkdir()
    python, packages = new_environment(environment)
    pip(python, "install", "--quiet", str(wheel))
    own = [path for path in packages.iterdir() if path.name.partition("-")[0] not in _TOOLS]
    names = {path.name for path in own}
    assert "onnxruntime" in names
    assert not names & {"torch", "matplotlib", "transformers", "av", "pxr", "onnx"}
    files = (file for path in own for file in (path.rglob("*") if path.is_dir() else [path]) if file.is_file())
    assert sum(file.stat().st_size for file in files) < LARGEST_BASE

    model = home / "model"
    model.mkdir()
    write_model(model, REGRESSION)
    write_graph(model / "network.onnx", REGRESSION)
    soundfile.write(home / "speech.wav", np.random.default_rng(0).uniform(-0.5, 0.5, 8000), 16000)
    words = ["animate", "--model", "model", "--audio", "speech.wav", "--to", "out"]
    formats = ("page", "npy", "pc2", "mdd", "maya", "csv", "arkit")
    command(environment, home, *words, "--format", *formats)
    record = json.loads(next((home / "out").glob("*/animation.json")).read_text())
    assert {Path(file).suffix for file in record["files"]} >= {".html", ".npy", ".pc2", ".mdd", ".mc", ".csv", ".wav"}
    said = command(environment, home, *words, "--format", "video", status=2)
    assert 'pip install "audio2face[video]"' in said
    assert 'pip install "audio2face[train]"' in command(environment, home, "train", "example-diffusion", status=2)
    assert "errors: 0" in command(environment, home, "deploy", "--check", "model")


def test_it_trains_outside_of_the_repository(wheel: Path, tmp_path: Path) -> None:
    """What the extras bring is taken from this environment."""
    environment, home = tmp_path / "environment", tmp_path / "home"
    python, packages = new_environment(environment)
    pip(python, "install", "--quiet", "--no-deps", str(wheel))
    (packages / "extras.pth").write_text(sysconfig.get_path("purelib") + "\n")
    write_configuration(home / "configs/small", "regression")
    shutil.copytree(DATASET, home / "datasets")
    found = subprocess.run(
        [python, "-c", "import audio2face; print(audio2face.__file__)"], cwd=home, capture_output=True, text=True
    )
    assert Path(found.stdout.strip()).is_relative_to(packages)
    command(environment, home, "preproc", "small", "ann")
    command(environment, home, "train", "small", "--set", "NUM_EPOCHS=1")
    command(environment, home, "deploy", "small", "latest")
    command(environment, home, "animate", "small", "latest", "--audio", "datasets/audio/s2_joy.wav")
    made = {path.name for path in (home / "workspace").iterdir()}
    assert {"output_preproc", "output_train", "output_deploy", "output_inference"} <= made
    # A shipped configuration is there without a file of one's own; its data are not.
    said = command(environment, home, "check", "example-diffusion", status=1)
    assert "claire" in said
