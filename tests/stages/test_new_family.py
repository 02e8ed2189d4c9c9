"""A family of networks of another package goes through all stages; the framework stays as it is.

The package `loudness` beside this file is copied to a temporary folder and registered there: for processes by the entry
point of its metadata, which is what `pip install` writes, and in this process by `register_family`.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from safetensors.numpy import load_file

import audio2face
from audio2face.audio import read_track
from audio2face.config import Roots, load
from audio2face.config_base.types import Stage
from audio2face.errors import UserError
from audio2face.families import FAMILIES, Family, register_family, unregister_family
from audio2face.inference.animate import AnimationOptions, AnimationPipeline
from audio2face.model_folder import DeployedModel, lint
from tools import golden_record

ROOT = Path(__file__).parents[2]
RECORDING = golden_record.DATASET / "audio" / "s2_joy.wav"
EPOCHS = 20
TRAIN = f"""
NETWORK_TYPE = "loudness"
RUN_NAME = "loud"
DEVICE = "cpu"
NUM_EPOCHS = {EPOCHS}
VALIDATION_SHOTS = {{"ann": ["s4_neutral"]}}
EMA_DECAY = None
"""
METADATA = {
    "METADATA": "Metadata-Version: 2.1\nName: loudness\nVersion: 0.1\n",
    "entry_points.txt": "[audio2face.families]\nloudness = loudness:FAMILY\n",
}


@pytest.fixture(scope="module")
def packages(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder in which the package lies as pip would have installed it."""
    folder = tmp_path_factory.mktemp("packages")
    shutil.copytree(Path(__file__).parent / "loudness", folder / "loudness")
    (folder / "loudness-0.1.dist-info").mkdir()
    for name, text in METADATA.items():
        (folder / "loudness-0.1.dist-info" / name).write_text(text)
    return folder


@pytest.fixture(scope="module", autouse=True)
def family(packages: Path) -> Iterator[Family]:
    """The family, registered in this process."""
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(packages)
        from loudness import FAMILY

        register_family(FAMILY)
        yield FAMILY
        unregister_family(FAMILY.name)


class Project:
    """A workspace and a configuration of the family.

    Args:
        folder: where it lies.
        packages: the folder of installed packages.
    """

    def __init__(self, folder: Path, packages: Path) -> None:
        self.folder, self.workspace = folder, folder / "workspace"
        self.path = [str(ROOT), str(packages)]
        self.configuration = folder / "configs" / "loud"
        self.configuration.mkdir(parents=True)
        files = {"dataset": golden_record.DATASET_CONFIG, "preproc": golden_record.PREPROC_CONFIG, "train": TRAIN}
        for section, text in {**files, "inference": ""}.items():
            (self.configuration / f"config_{section}.py").write_text(text)

    def run(self, stage: Stage, *arguments: str) -> str:
        """Runs a stage in a process of its own, as the host scripts do; returns what it printed."""
        roots = Roots(datasets=golden_record.DATASET, workspace=self.workspace)
        file = self.folder / f"{stage}.json"
        load("loud", stage=stage, roots=roots, configs_folder=self.configuration.parent).save(file)
        command = [sys.executable, str(ROOT / "runners" / f"run_{stage}.py"), "loud", *arguments]
        environment = {
            **os.environ,
            "PYTHONPATH": os.pathsep.join(self.path),
            "A2F_DATASETS_ROOT": str(golden_record.DATASET),
            "A2F_WORKSPACE_ROOT": str(self.workspace),
        }
        done = subprocess.run([*command, "--config-file", str(file)], env=environment, capture_output=True, text=True)
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory, packages: Path) -> Project:
    """A project whose actor is preprocessed, and whose network is trained, deployed and has animated a recording."""
    project = Project(tmp_path_factory.mktemp("project"), packages)
    project.run("preproc", "ann")
    project.run("train")
    run = _only(project.workspace / "output_train").name
    project.run("deploy", run)
    blocked = project.folder / "without_torch"
    blocked.mkdir()
    (blocked / "torch.py").write_text("raise ImportError('torch is not needed to animate')")
    project.path.insert(0, str(blocked))
    project.run("inference", run, "--audio", str(RECORDING), "--format", "npy", "page")
    return project


def _only(folder: Path) -> Path:
    (path,) = (path for path in folder.iterdir() if path.is_dir())
    return path


def test_the_trainer_lowers_the_loss_and_validates(project: Project) -> None:
    run = _only(project.workspace / "output_train")
    rows = [line.split(",") for line in (run / "metrics.csv").read_text().splitlines()]
    losses = np.reshape([float(value) for *_, name, value in rows if name == "losses/face"], (EPOCHS, -1))
    assert losses[-1].mean() < losses[0].mean()
    assert [name for *_, name, _ in rows].count("validation/face_error") == 4


def test_the_deployed_folder_is_whole(project: Project) -> None:
    folder = _only(project.workspace / "output_deploy")
    model, found = lint(folder)
    assert model is not None
    assert not [diagnostic for diagnostic in found if diagnostic.severity == "error"]
    assert "follows the loudness of 0.1 s" in (folder / "README.md").read_text()


def test_frames_follow_from_the_loudness_of_their_windows(project: Project) -> None:
    weights = load_file(_only(project.workspace / "output_train") / "weights.safetensors")
    model = DeployedModel.open(_only(project.workspace / "output_deploy"))
    pipeline = AnimationPipeline(model, AnimationOptions(solver=None))
    outputs = list(pipeline.run_network(pipeline.open_executor(), RECORDING))
    track = read_track(RECORDING, model.info.samplerate, resampler=model.info.resampler)
    reach = model.info.buffer_len // 2
    for output in outputs:
        for at, values in zip(output.timestamps, output.values, strict=True):
            loudness = np.sqrt(np.square(track.read(at - reach, at + reach)).mean())
            expected = loudness * weights["face.weight"][:, 0] + weights["face.bias"]
            assert np.allclose(values, expected, atol=1e-4 * np.abs(expected).max())


def test_animations_are_written_without_torch_and_equal_those_made_from_python(project: Project) -> None:
    folder = _only(project.workspace / "output_inference") / "s2_joy_ann_neutral"
    assert {path.suffix for path in folder.iterdir()} >= {".npy", ".html"}
    animation = audio2face.load(_only(project.workspace / "output_deploy")).animate(RECORDING)
    assert np.array_equal(np.load(folder / f"{folder.name}_skin.npy"), animation.skin.frames)


def test_families_of_the_framework_stay(family: Family) -> None:
    with pytest.raises(ValueError, match="family of the framework"):
        register_family(FAMILIES["diffusion"])
    assert list(FAMILIES) == ["regression", "diffusion", "streaming", family.name]


def test_an_unknown_family_is_named_with_those_there_are(project: Project, tmp_path: Path) -> None:
    shutil.copytree(project.configuration, tmp_path / "loud")
    (tmp_path / "loud" / "config_train.py").write_text(TRAIN.replace("loudness", "loudnes"))
    with pytest.raises(UserError, match="'regression' or 'diffusion' or 'streaming' or 'loudness', found 'loudnes'"):
        load("loud", stage="train", configs_folder=tmp_path)


def test_a_package_that_fails_to_load_is_reported_and_skipped(tmp_path: Path) -> None:
    (tmp_path / "broken-0.1.dist-info").mkdir()
    for name, text in METADATA.items():
        text = text.replace("Name: loudness", "Name: broken").replace("loudness:FAMILY", "absent:FAMILY")
        (tmp_path / "broken-0.1.dist-info" / name).write_text(text)
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join([str(ROOT), str(tmp_path)])}
    command = [sys.executable, "-c", "from audio2face.families import FAMILIES; print(*FAMILIES)"]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=True)
    assert done.stdout == "regression diffusion streaming\n"
    assert "'loudness' (absent:FAMILY) cannot be loaded: No module named 'absent'" in done.stderr
