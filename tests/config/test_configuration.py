"""The frozen result, its file, and the command that writes it."""

from __future__ import annotations

import json
import pickle
import subprocess
import sys
from dataclasses import FrozenInstanceError
from pathlib import Path

import pytest

from audio2face.config import Configuration, load
from audio2face.config.__main__ import main
from audio2face.errors import FileFormatError

from .conftest import DATASET, ROOT, Loader


def test_sections_are_typed_frozen_and_resolved(load_files: Loader, tmp_path: Path) -> None:
    configuration = load_files()
    assert {"ada": tmp_path / "datasets/ada/audio"} == configuration.dataset.AUDIO_ROOT
    assert tmp_path / "workspace/output_train" == configuration.train.TRAIN_OUTPUT_ROOT
    assert configuration.dataset.CACHE_FPS["ada"] == 30.0
    assert configuration.dataset.ACTOR_NAMES == ("ada",)
    assert configuration.full["train"]["PREPROC_ROOT"] == "/workspace/output_preproc"
    assert configuration.modifiers["train"] == {"NETWORK_TYPE": "diffusion"}
    with pytest.raises(FrozenInstanceError):
        configuration.dataset.ACTOR_NAMES = ()  # type: ignore[misc]
    with pytest.raises(TypeError, match="cannot be changed"):
        configuration.dataset.AUDIO_ROOT["ada"] = Path()  # type: ignore[index]


def test_a_section_that_the_stage_has_not_is_missing(load_files: Loader) -> None:
    configuration = load_files("deploy", dataset=None)
    with pytest.raises(AttributeError, match="has no section 'dataset'"):
        _ = configuration.dataset


def test_it_survives_its_file_and_pickling(load_files: Loader, tmp_path: Path) -> None:
    configuration = load_files(dataset=DATASET + 'BLENDSHAPE_SKIN_FPATH = {"ada": "/datasets/b.npz"}\n')
    assert configuration.warnings
    file = tmp_path / "bundle.json"
    configuration.save(file)
    assert Configuration.open(file, configuration.roots) == configuration
    assert Configuration.open(file, configuration.roots).train == configuration.train
    assert pickle.loads(pickle.dumps(configuration)) == configuration
    assert str(tmp_path) not in file.read_text(encoding="utf-8")


@pytest.mark.parametrize(
    "spoil",
    [
        lambda text: text[: len(text) // 2],
        lambda text: "[]",
        lambda text: "{}",
        lambda text: text.replace('"schema": 1', '"schema": 2'),
        lambda text: text.replace('"BATCH_SIZE": 1', '"BATCH_SIZE": "1"'),
        lambda text: text.replace('"BATCH_SIZE": 1', '"BATCH_SIZES": 1'),
        lambda text: text.replace('"network_type": "diffusion"', '"network_type": null'),
        lambda text: "[" * 100000,
    ],
)
def test_a_spoilt_file_is_refused(load_files: Loader, tmp_path: Path, spoil: object) -> None:
    file = tmp_path / "bundle.json"
    load_files().save(file)
    file.write_text(spoil(file.read_text(encoding="utf-8")), encoding="utf-8")  # type: ignore[operator]
    with pytest.raises(FileFormatError, match="not a configuration of this version"):
        Configuration.open(file)


def test_parameters_of_later_versions_stand_at_their_defaults(load_files: Loader, tmp_path: Path) -> None:
    file = tmp_path / "bundle.json"
    expected = load_files()
    expected.save(file)
    content = json.loads(file.read_text(encoding="utf-8"))
    del content["full"]["train"]["LOG_PERIOD"]
    file.write_text(json.dumps(content), encoding="utf-8")
    assert Configuration.open(file).train.LOG_PERIOD == expected.train.LOG_PERIOD


def test_a_run_without_resampler_was_trained_with_that_of_the_reference(load_files: Loader, tmp_path: Path) -> None:
    configuration, file = load_files(), tmp_path / "configuration.json"
    assert configuration.train.AUDIO_RESAMPLER == "soxr"
    configuration.save(file)
    content = json.loads(file.read_text())
    del content["full"]["train"]["AUDIO_RESAMPLER"]
    file.write_text(json.dumps(content))
    assert Configuration.open(file).train.AUDIO_RESAMPLER == "hann"


def test_a_run_from_before_the_guard_of_speech_has_none(load_files: Loader, tmp_path: Path) -> None:
    configuration, file = load_files(), tmp_path / "configuration.json"
    configuration.save(file)
    content = json.loads(file.read_text())
    del content["full"]["inference"]["CONFIG"]["speech_guard_strength"]
    file.write_text(json.dumps(content))
    assert Configuration.open(file).inference.CONFIG["speech_guard_strength"] == 0.0


def test_the_command_writes_the_file(tmp_path: Path) -> None:
    file = tmp_path / "bundle.json"
    assert main(["example-diffusion", "--stage", "deploy", "--actor", "claire", "--output", str(file)]) == 0
    expected = load("example-diffusion", stage="deploy", actors=["claire"])
    assert Configuration.open(file) == expected


def test_the_command_ends_with_2_and_all_problems(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as caught:
        main(["example-diffusion", "--stage", "train", "--output", str(tmp_path / "never.json")])
    assert caught.value.code == 2
    assert "is a placeholder" in capsys.readouterr().err
    assert not (tmp_path / "never.json").exists()


def test_it_starts_without_heavy_imports(tmp_path: Path) -> None:
    code = (
        "import json, sys; from audio2face.config.__main__ import main\n"
        f"main(['example-diffusion', '--stage', 'deploy', '--output', {str(tmp_path / 'bundle.json')!r}])\n"
        "print(json.dumps(sorted({'numpy', 'torch', 'scipy', 'soundfile', 'matplotlib'} & set(sys.modules))))"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    assert json.loads(done.stdout) == []
