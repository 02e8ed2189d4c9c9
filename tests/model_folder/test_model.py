"""What was written is read back; folders are replaced whole or not at all."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from small_models import DIFFUSION, POSES, REGRESSION, STREAMING, write_model

from audio2face.errors import FileFormatError, UserError
from audio2face.model_folder import DeployedModel, NetworkInfo, engine_command
from audio2face.model_folder.writer import staged_folder


@pytest.mark.parametrize("info", [DIFFUSION, REGRESSION, STREAMING], ids=["diffusion", "regression", "streaming"])
def test_read_back(tmp_path: Path, info: NetworkInfo) -> None:
    write_model(tmp_path, info)
    model = DeployedModel.open(tmp_path)
    assert model.info == info
    assert [actor.name for actor in model.actors] == list(info.identities)
    ada = model.actor("ada")
    assert list(ada.data.entries) == list(info.actor_arrays)
    with np.load(ada.data.path) as arrays:
        for name in arrays:
            assert np.array_equal(ada.array(name), arrays[name])
            assert ada.array(name).dtype == np.float32
    assert ada.neutral_skin.shape == (12, 3)
    assert ada.neutral_tongue.shape == (5, 3)
    shapes = ada.blendshapes["skin"]
    assert shapes.names == POSES
    assert shapes.deltas.shape == (3, 12, 3)
    assert shapes.mask is not None
    assert shapes.mask.tolist() == [0, 1, 2, 3]
    assert shapes.settings.cancel_pairs == (-1, 0, 0)
    assert ada.config.parameters["lower_face_strength"] == 1.7
    assert ada.display is None


def test_the_guard_of_speech_is_stored_where_it_is_on(tmp_path: Path) -> None:
    """A folder without it holds what it held before there was one, and a number beyond its range is refused."""
    write_model(tmp_path, STREAMING)
    path = tmp_path / "model_config_ada.json"
    content = json.loads(path.read_text())
    assert "speech_guard_strength" not in content["config"]
    config = DeployedModel.open(tmp_path).actor("ada").config
    assert config.parameters["speech_guard_strength"] == 0.0
    held = replace(config, parameters={**config.parameters, "speech_guard_strength": 0.75})
    path.write_text(json.dumps(held.as_json()))
    assert DeployedModel.open(tmp_path).actor("ada").config == held
    content["config"]["speech_guard_strength"] = 1.5
    path.write_text(json.dumps(content))
    with pytest.raises(FileFormatError, match=r"speech_guard_strength is 1\.5, expected a number from 0 to 1"):
        DeployedModel.open(tmp_path)


def test_implicit_emotion(tmp_path: Path) -> None:
    write_model(tmp_path, REGRESSION)
    model = DeployedModel.open(tmp_path)
    assert model.emotion_database is not None
    assert np.array_equal(model.implicit_emotion, model.emotion_database.rows[1])
    assert model.emotion_database.find("s2", 2) is None
    assert model.emotion_database.find("s3", 0) is None


def test_reader_refuses_what_the_lint_finds(tmp_path: Path) -> None:
    write_model(tmp_path, DIFFUSION)
    (tmp_path / "model_data_ben.npz").unlink()
    with pytest.raises(FileFormatError, match=r"model_data_ben\.npz: is missing"):
        DeployedModel.open(tmp_path)
    with pytest.raises(UserError, match="no such folder"):
        DeployedModel.open(tmp_path / "elsewhere")


def test_unknown_actor(tmp_path: Path) -> None:
    write_model(tmp_path, DIFFUSION)
    with pytest.raises(UserError, match="no actor 'cy'"):
        DeployedModel.open(tmp_path).actor("cy")


def test_tensors_and_engine_command() -> None:
    assert [tensor.at("B") for tensor in (*DIFFUSION.inputs, *DIFFUSION.outputs)] == [
        "window:Bx16000",
        "identity:Bx2",
        "emotion:Bx30x2",
        "input_latents:2x2xBx16",
        "noise:Bx3x60x70",
        "prediction:Bx60x70",
        "output_latents:2x2xBx16",
    ]
    assert DIFFUSION.fps == 60
    assert "--optShapes=input:3x1x8320,emotion:3x1x5" in engine_command(REGRESSION)


def test_folder_is_replaced_whole_or_not_at_all(tmp_path: Path) -> None:
    target = tmp_path / "deployed" / "model"

    def deploy(force: bool = False, spoil: bool = False) -> None:
        with staged_folder(target, force=force) as folder:
            write_model(folder, DIFFUSION)
            assert not spoil

    deploy()
    (target / "network.trt").write_bytes(b"engine of the old network")
    with pytest.raises(UserError, match="--force"):
        deploy()
    with pytest.raises(AssertionError):
        deploy(force=True, spoil=True)
    assert (target / "network.trt").is_file()
    deploy(force=True)
    assert not (target / "network.trt").exists()
    assert [path.name for path in target.parent.iterdir()] == ["model"]


def test_two_deployments_at_once_leave_each_other_alone(tmp_path: Path) -> None:
    target = tmp_path / "m"
    with staged_folder(target, force=True) as first:
        write_model(first, DIFFUSION)
        with staged_folder(target, force=True) as second:
            assert first != second
            assert (first / "model.json").is_file()
            write_model(second, DIFFUSION)
        before = target.stat().st_ino
    assert target.stat().st_ino != before  # the last one's stays
    assert [path.name for path in tmp_path.iterdir()] == ["m"]
    with pytest.raises(UserError, match="deployed already"), staged_folder(tmp_path / "n", force=False) as first:
        write_model(first, DIFFUSION)
        with staged_folder(tmp_path / "n", force=False) as second:
            write_model(second, DIFFUSION)
    assert {path.name for path in tmp_path.iterdir()} == {"m", "n"}


def test_staging_folders_of_killed_deployments_are_removed(tmp_path: Path) -> None:
    for name in (".m.new.0.tmp", ".m.new.7.tmp"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "network.onnx").touch()
    with staged_folder(tmp_path / "m", force=False) as folder:
        write_model(folder, DIFFUSION)
    assert [path.name for path in tmp_path.iterdir()] == ["m"]


def test_faulty_folder_does_not_take_the_place(tmp_path: Path) -> None:
    target = tmp_path / "model"
    with (
        pytest.raises(UserError, match=r"would refuse the model:\s+model_data_ada"),
        staged_folder(target, force=False) as folder,
    ):
        write_model(folder, DIFFUSION)
        (folder / "model_data_ada.npz").unlink()
    assert list(tmp_path.iterdir()) == []


def test_folder_that_is_no_model_is_never_replaced(tmp_path: Path) -> None:
    (tmp_path / "model").mkdir()
    (tmp_path / "model/thesis.txt").write_text("years of work")
    with pytest.raises(UserError, match="not a deployed model"), staged_folder(tmp_path / "model", force=True):
        pass
    assert (tmp_path / "model/thesis.txt").is_file()


def test_replacement_that_was_killed_half_way_is_taken_back(tmp_path: Path) -> None:
    target = tmp_path / "model"
    write_model(tmp_path / ".model.old", DIFFUSION)
    with pytest.raises(UserError, match="--force"), staged_folder(target, force=False):
        pass
    assert DeployedModel.open(target).info == DIFFUSION
