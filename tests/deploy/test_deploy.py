"""From a training run to a deployed folder that consumers take."""

from __future__ import annotations

import json
import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime
import pytest
import torch
from training_runs import ACTOR, NAME, PREPROC, configuration, write_preproc_run, write_training_run

from audio2face.cli import deploy as deploy_command
from audio2face.cli import local, parsers
from audio2face.deploy import export_run
from audio2face.deploy.diffusion import example_inputs, make_plan, make_sampler
from audio2face.deploy.readme import audio2emotion_block
from audio2face.errors import UserError
from audio2face.io.atomic import write_json
from audio2face.model_folder import DeployedModel, DiffusionInfo
from audio2face.models.diffusion.network import DiffusionNetwork
from audio2face.preproc.artifacts import PreprocArtifacts
from audio2face.training.comparison import BaselineComparison
from audio2face.training.run_folder import TrainingRun

REFERENCE = Path(__file__).parents[1] / "data/reference"


@dataclass(frozen=True)
class Trained:
    """A training run that was exported, and what it was made from."""

    workspace: Path
    network: DiffusionNetwork

    @property
    def run(self) -> Path:
        return self.workspace / "output_train" / NAME

    @property
    def artifacts(self) -> PreprocArtifacts:
        return PreprocArtifacts.open(self.workspace / "output_preproc" / PREPROC)

    def deploy(self, export: bool = False, force: bool = False, **changes: dict[str, Any]) -> DeployedModel:
        configured = configuration(self.workspace, "deploy", **changes)
        return DeployedModel.open(deploy_command.deploy(configured, NAME, export=export, force=force))


@pytest.fixture(scope="module")
def exported(tmp_path_factory: pytest.TempPathFactory) -> Trained:
    workspace = tmp_path_factory.mktemp("exported") / "workspace"
    network = write_training_run(workspace, write_preproc_run(REFERENCE, workspace))
    export_run(workspace / "output_train" / NAME)
    return Trained(workspace, network)


@pytest.fixture
def trained(exported: Trained, tmp_path: Path) -> Trained:
    """The same for a test of its own."""
    shutil.copytree(exported.workspace, tmp_path / "workspace")
    return Trained(tmp_path / "workspace", exported.network)


def test_deployed_model(trained: Trained) -> None:
    model = trained.deploy(inference={"CONFIG": {"lower_face_strength": 1.2}})
    assert sorted(path.name for path in model.folder.iterdir()) == sorted(
        [
            "README.md",
            *(f"bs_{part}_{ACTOR}.npz" for part in ("skin", "tongue")),
            *(f"bs_{part}_config_{ACTOR}.json" for part in ("skin", "tongue")),
            "calibration.json",
            f"display_{ACTOR}.npz",
            f"model_config_{ACTOR}.json",
            f"model_data_{ACTOR}.npz",
            "model.json",
            "network.onnx",
            "network_info.json",
            "trt_info.json",
        ]
    )
    actor = model.actor(ACTOR)
    assert actor.config.parameters["lower_face_strength"] == 1.2
    assert list(actor.data.entries) == [
        "neutral_skin",
        "lip_open_pose_delta",
        "eye_close_pose_delta",
        "neutral_tongue",
        "neutral_jaw",
        "saccade_rot_matrix",
    ]
    with np.load(trained.artifacts.folder / "deploy/network_data.npz") as data:
        for name in actor.data.entries:
            assert np.array_equal(actor.array(name), data[name])
    np.testing.assert_allclose(actor.blendshapes["skin"].deltas, 0.1, atol=1e-5)  # they were positions
    assert actor.blendshapes["skin"].names == ("open",)
    assert actor.display is not None
    assert deploy_command.check(model.folder) == 0


def test_deployed_network_computes_what_was_trained(trained: Trained) -> None:
    model = trained.deploy()
    assert isinstance(model.info, DiffusionInfo)
    setup = configuration(trained.workspace)
    plan = make_plan(TrainingRun.open(trained.run), trained.network, setup.train, setup.inference)  # type: ignore[arg-type]
    inputs = example_inputs(model.info, 1, torch.Generator().manual_seed(1))
    expected, latents = make_sampler(trained.network, plan)(**inputs)
    session = onnxruntime.InferenceSession(str(model.onnx), providers=["CPUExecutionProvider"])
    prediction, found = session.run(None, {name: tensor.numpy() for name, tensor in inputs.items()})
    np.testing.assert_allclose(prediction, expected.numpy(), atol=1e-4)
    np.testing.assert_allclose(found, latents.numpy(), atol=1e-4)


def test_readme(trained: Trained) -> None:
    model = trained.deploy()
    text = (model.folder / "README.md").read_text()
    assert text.startswith("---\nlicense: unknown\nlibrary_name: audio2face\n")
    for words in (
        '    - type: "lip_error_mm"\n      value: 1.25\n',
        "# Audio2Face Diffusion Model\n",
        "Licence of this model: not stated",
        f"Training run: {NAME}",
        "Framework: 1.2.3, commit abc1234",
        "7 epochs, 70 steps",
        "Speech encoder: logmel",
        "SHA-256",
        "| lip_error_mm | 1.25 |",
        "trtexec \\\n",
        "--optShapes=window:3x16000,identity:3x1,emotion:3x30x2",
        '"happy": 0',
        "consecutive windows",
    ):
        assert words in text
    assert str(trained.workspace) not in text
    assert "Against baselines" not in text  # an earlier version trained the run, or it had no validation set


def test_readme_compares_with_baselines(trained: Trained) -> None:
    scores = {"network output": (2.0, 3.0), "ridge": (1.0, 2.5)}
    found = BaselineComparison(step=60, clips=("a", "b"), shots=("a", "b"), lip_error_mm=scores, lip_correlation=scores)
    write_json(trained.run / "baselines.json", found.as_json())
    text = (trained.deploy().folder / "README.md").read_text()
    assert "\n\n## Against baselines\n" in text
    assert "| network output | 2.50 mm | 2.500 |\n| ridge | 1.75 mm | 1.750 |\n" in text
    assert "\n**This network is not shown to be better than a linear map (ridge) in " in text


def test_audio2emotion_block() -> None:
    names = ["amazement", "anger", "cheekiness", "disgust", "fear", "grief", "joy", "outofbreath", "pain", "sadness"]
    block = audio2emotion_block(names)["post_processing_config"]
    assert block["emotion_correspondence"] == {
        "angry": 1,
        "disgust": 3,
        "fear": 4,
        "happy": 6,
        "neutral": -1,
        "sad": 9,
    }
    assert block["output_emotion_length"] == len(block["preferred_emotion"]) == 10


def test_data_without_emotions(trained: Trained, caplog: pytest.LogCaptureFixture) -> None:
    write_training_run(trained.workspace, trained.artifacts, dataset={"SHOT_EMOTION_NAMES": ["neutral"]})
    model = trained.deploy(export=True)
    assert model.info.emotions == ("inert",)
    assert model.info.default_emotion == (0.0,)
    assert "the SDK requires one" in caplog.text
    assert "placeholder without effect" in (model.folder / "README.md").read_text()


def test_again(trained: Trained, caplog: pytest.LogCaptureFixture) -> None:
    trained.deploy()
    with pytest.raises(UserError, match="--force"):
        trained.deploy()
    five = {"TIMESTEP_RESPACING": "5", "NUM_DIFFUSION_STEPS": 5}
    model = trained.deploy(force=True, inference=five)
    assert "--export applies the change" in caplog.text
    assert isinstance(model.info, DiffusionInfo)
    assert model.info.num_diffusion_steps == 2
    model = trained.deploy(export=True, force=True, inference=five)
    assert isinstance(model.info, DiffusionInfo)
    assert model.info.num_diffusion_steps == 5
    assert deploy_command.check(model.folder) == 0


def test_run_that_was_not_exported(trained: Trained) -> None:
    (trained.run / "export.json").unlink()
    with pytest.raises(UserError, match=r"was not exported(?s:.*)--export"):
        trained.deploy()


def test_check_finds_another_graph(trained: Trained, capsys: pytest.CaptureFixture[str]) -> None:
    model = trained.deploy()
    info = json.loads((model.folder / "network_info.json").read_text())
    info["params"]["emotions"].append("grief")
    info["params"]["default_emotion"].append(0.0)
    (model.folder / "network_info.json").write_text(json.dumps(info))
    assert deploy_command.check(model.folder) == 1
    shown = capsys.readouterr().out
    assert "network.onnx: emotion has the shape ['?', 30, 2], expected ['B', 30, 3]" in shown
    (model.folder / "network.onnx").write_bytes(b"\x00" * 100)
    assert deploy_command.check(model.folder) == 1
    assert "is not an ONNX file" in capsys.readouterr().out


def test_preprocessing_that_changed_is_refused(trained: Trained) -> None:
    path = trained.artifacts.network_data.path
    with np.load(path) as data:
        arrays = dict(data)
    arrays["neutral_tongue"][0] += 0.01
    np.savez(path, **arrays)
    with pytest.raises(UserError, match=r"'neutral_tongue' differs by 0\.00"):
        trained.deploy()
    assert list((trained.workspace / "output_deploy").iterdir()) == []


def test_missing_preprocessing_run(trained: Trained) -> None:
    shutil.rmtree(trained.artifacts.folder)
    with pytest.raises(UserError, match="there is no such preprocessing run"):
        trained.deploy()


def test_frame_rate_that_the_window_does_not_make(trained: Trained) -> None:
    setup = configuration(trained.workspace, train={"STREAMING_CFG": {"60": {"block_frame_size": 31}}})
    with pytest.raises(UserError, match="61 frames makes 61 frames per second, TARGET_FPS is 60"):
        make_plan(TrainingRun.open(trained.run), trained.network, setup.train, setup.inference)  # type: ignore[arg-type]


@pytest.mark.parametrize("argv", [[], ["--check", "folder", "run"], ["--check", "folder", "--force"]])
def test_arguments(argv: list[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        parsers.parse("deploy", argv)
    assert ended.value.code == 2
    assert parsers.parse("deploy", ["--check", "folder"]).check == "folder"


def test_a_single_name_is_that_of_a_run() -> None:
    args = parsers.parse("deploy", ["latest"])
    assert (args.config_name, args.training_run_name_full) == (None, "latest")
    assert local.named_configuration(args) == ["--of-run", "latest"]
    assert local.named_configuration(parsers.parse("deploy", ["mine", "latest"])) == ["mine"]
