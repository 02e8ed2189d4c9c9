"""From a regression training run to a deployed folder that consumers take."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from small_regression import database, write_regression_run
from training_runs import ACTOR, NAME, configuration, write_preproc_run

from audio2face.cli import deploy as deploy_command
from audio2face.cli import stages
from audio2face.deploy import export_run
from audio2face.deploy.regression import example_inputs, make_plan
from audio2face.errors import FileFormatError, UserError
from audio2face.inference.sessions import RegressionSession
from audio2face.model_folder import DeployedModel, RegressionInfo
from audio2face.models.regression.network import ExportedRegression as TorchGraph
from audio2face.models.regression.network import RegressionNetwork
from audio2face.training.regression import load_network
from audio2face.training.run_folder import TrainingRun

REFERENCE = Path(__file__).parents[1] / "data/reference"


@pytest.fixture(scope="module")
def exported(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, RegressionNetwork]:
    """A workspace with an exported run, and its network."""
    workspace = tmp_path_factory.mktemp("exported") / "workspace"
    network = write_regression_run(workspace, write_preproc_run(REFERENCE, workspace))
    export_run(workspace / "output_train" / NAME)
    return workspace, network


@pytest.fixture
def workspace(exported: tuple[Path, RegressionNetwork], tmp_path: Path) -> Path:
    """The same for a test of its own."""
    return Path(shutil.copytree(exported[0], tmp_path / "workspace"))


def deploy(workspace: Path, *, export: bool = False, force: bool = False, **config: Any) -> DeployedModel:
    """Deploys the run with CONFIG changed."""
    configured = configuration(workspace, "deploy", "regression", inference={"CONFIG": config})
    return DeployedModel.open(deploy_command.deploy(configured, NAME, export=export, force=force))


def test_deployed_model(workspace: Path) -> None:
    model = deploy(workspace, lower_face_strength=1.2)
    assert sorted(path.name for path in model.folder.iterdir()) == sorted(
        [
            "README.md",
            *(f"bs_{part}_{ACTOR}.npz" for part in ("skin", "tongue")),
            *(f"bs_{part}_config_{ACTOR}.json" for part in ("skin", "tongue")),
            "calibration.json",
            f"display_{ACTOR}.npz",
            "implicit_emo_db.npz",
            "model_config.json",
            "model_data.npz",
            "model.json",
            "network.onnx",
            "network_info.json",
            "trt_info.json",
        ]
    )
    actor = model.actor(ACTOR)
    assert actor.config.parameters["lower_face_strength"] == 1.2
    assert list(actor.data.entries) == [
        "shapes_matrix_skin",
        "shapes_mean_skin",
        "lip_open_pose_delta",
        "eye_close_pose_delta",
        "shapes_matrix_tongue",
        "shapes_mean_tongue",
        "neutral_jaw",
        "saccade_rot_matrix",
    ]
    assert deploy_command.check(model.folder) == 0
    text = (model.folder / "README.md").read_text()
    for words in (
        "# Audio2Face Regression Model\n",
        "Any frame rate; the input of each frame is 0.52 s at 16,000 Hz, with the frame at 0.26 s",
        "that of frame 1 of shot s2_joy",
        "Gain of the audio: 1 (input_strength)",
        "Speech encoder: logmel",
        "of the output's range (onnxruntime",
        "--optShapes=input:3x1x8320,emotion:3x1x18",
        "`model_config.json` contains the animation parameters",
        "`implicit_emo_db.npz` contains",
    ):
        assert words in text, words


def test_deployed_network_computes_what_was_trained(workspace: Path, exported: tuple[Path, RegressionNetwork]) -> None:
    model = deploy(workspace)
    assert isinstance(model.info, RegressionInfo)
    inputs = example_inputs(model.info, 3, torch.Generator().manual_seed(1))
    with torch.no_grad():
        expected = TorchGraph(exported[1])(inputs["input"], inputs["emotion"])[:, 0].numpy()
    graph = RegressionSession.open(model.folder)
    found = graph.run(inputs["input"][:, 0].numpy(), inputs["emotion"][:, 0].numpy())
    np.testing.assert_allclose(found, expected, atol=1e-5 * np.ptp(expected))


@pytest.mark.parametrize(
    ("config", "chosen"),
    [
        ({}, ("s2_joy", 1)),
        ({"source_shot": "s1_neutral", "source_frame": 2}, ("s1_neutral", 2)),
        ({"source_shot": "s2_joy", "source_frame": None}, ("s2_joy", 1)),
    ],
)
def test_implicit_emotion(workspace: Path, config: dict[str, Any], chosen: tuple[str, int]) -> None:
    model = deploy(workspace, **config)
    parameters = model.actors[0].config
    assert (parameters.source_shot, parameters.source_frame) == chosen
    np.testing.assert_array_equal(model.implicit_emotion, database().find(*chosen))


@pytest.mark.parametrize(
    ("config", "problem"),
    [
        ({"source_shot": "s9", "source_frame": 0}, r"'s9', a shot that the network does not know(?s:.*)s1_neutral, s2"),
        ({"source_shot": "s2_joy", "source_frame": 5}, r"is 5, and shot 's2_joy' has 5 frames\n  Give 0 to 4"),
    ],
)
def test_implicit_emotion_that_is_not_there(workspace: Path, config: dict[str, Any], problem: str) -> None:
    with pytest.raises(UserError, match=problem):
        deploy(workspace, **config)
    assert not list((workspace / "output_deploy").glob("*"))


def test_table_that_is_missing_or_of_another_network(workspace: Path) -> None:
    path = workspace / "output_train" / NAME / "deploy/implicit_emo_db.npz"
    np.savez(path, **database(length=8).as_arrays())
    with pytest.raises(FileFormatError, match=r"'emo_db' has the shape \[8, 8\], expected \[rows, 16\]"):
        deploy(workspace)
    path.unlink()
    with pytest.raises(FileFormatError, match="is missing"):
        deploy(workspace)


def test_shapes_that_were_named_singly_are_deployed(workspace: Path) -> None:
    folder = workspace / "output_preproc"
    with np.load(next(folder.glob("*/deploy/network_data.npz"))) as data:
        matrix, mean = 2 * data["shapes_matrix_skin"], data["shapes_mean_skin"] + 1
    np.savez(workspace / "mine.npz", shapes_matrix=matrix, shapes_mean=mean)
    path = workspace / "output_train" / NAME / "configs/preproc_info.json"
    origins = json.loads(path.read_text())
    origins["artifact_files"] = {ACTOR: {"SKIN_PCA_SHAPES_FPATH": "/workspace/mine.npz"}}
    path.write_text(json.dumps(origins))
    actor = deploy(workspace).actors[0]
    np.testing.assert_array_equal(actor.array("shapes_matrix_skin"), matrix)
    np.testing.assert_array_equal(actor.neutral_skin, mean)
    np.savez(workspace / "mine.npz", shapes_matrix=matrix[1:], shapes_mean=mean)
    with pytest.raises(UserError, match=r"'shapes_matrix_skin' has the shape(?s:.*)train again"):
        deploy(workspace, force=True)


def test_several_actors_are_refused(workspace: Path, exported: tuple[Path, RegressionNetwork]) -> None:
    run = workspace / "output_train" / NAME
    setup = configuration(workspace, kind="regression", dataset={"ACTOR_NAMES": ["ann", "ben"]})
    setup.save(run / "configs/configuration.json")
    with pytest.raises(
        UserError, match=r"animates one actor, ACTOR_NAMES has 2: ann, ben(?s:.*)configuration of its own"
    ):
        make_plan(TrainingRun.open(run), exported[1], setup.train, setup.inference)  # type: ignore[arg-type]


def test_training_exports_what_it_wrote(workspace: Path, exported: tuple[Path, RegressionNetwork]) -> None:
    run = workspace / "output_train" / NAME
    (run / "export.json").unlink()
    setup = configuration(workspace, kind="regression", train={"NETWORK_VERSION": "7"})
    stages.exporter_of(setup)(run, torch.nn.Identity())
    model = deploy(workspace)
    assert model.info.version == "7"
    assert torch.equal(load_network(TrainingRun.open(run)).heads.face[1].weight, exported[1].heads.face[1].weight)


def test_configuration_of_another_type(workspace: Path) -> None:
    setup = configuration(workspace, kind="diffusion")
    with pytest.raises(
        UserError, match="contains a network of type 'regression', and the configuration is of type 'diffusion'"
    ):
        export_run(workspace / "output_train" / NAME, setup.train, setup.inference)
