"""The exported graph of a regression network: tensors, operators, and that it computes what the network computes."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import numpy as np
import onnx
import pytest
import soundfile
import torch
from onnx import TensorProto
from small_regression import network, plan

from audio2face.deploy import export_network
from audio2face.deploy.export import ExportRecord
from audio2face.deploy.parity import ParityReport
from audio2face.deploy.regression import example_inputs
from audio2face.errors import UserError
from audio2face.inference.sessions import RegressionSession
from audio2face.model_folder.graph import OPERATORS, OPSETS
from audio2face.model_folder.network_info import open_info


@pytest.fixture(scope="module")
def recording(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """1.5 seconds of the example's voice."""
    path = tmp_path_factory.mktemp("speech") / "speech.wav"
    with np.load(Path(__file__).parents[1] / "data/encoders/speech.npz") as loaded:
        soundfile.write(path, loaded["audio"], 16_000)
    return path


@pytest.mark.parametrize("name", ["wav2vec2-base", "hama", None])
def test_export(tmp_path: Path, recording: Path, name: str | None) -> None:
    made = network(name, phonemes={"en": 40})
    before = {key: value.clone() for key, value in made.state_dict().items()}
    record = export_network(tmp_path, made, plan(made, recording))
    parity = record.parity
    assert [row.batch for row in parity.batches] == [1, 3, 8]
    assert parity.windows == {"noise_windows": 36, "speech_windows": 72}
    assert [(row.channel, row.unit) for row in parity.batches[0].differences] == [
        *(("skin", ""), ("tongue", ""), ("jaw", "cm"), ("eyes", "degrees"))
    ]
    assert parity.largest < 1e-5
    assert parity.output_range is not None
    assert parity.output_range > 0.1
    assert ExportRecord.open(tmp_path) == record
    assert record.sampling is None
    assert record.encoder.get("name") == name
    assert all(torch.equal(before[key], value) for key, value in made.state_dict().items())
    assert made.training
    files = sorted(str(path.relative_to(tmp_path)) for path in tmp_path.rglob("*") if path.is_file())
    assert files == ["deploy/network.onnx", "deploy/network_info.json", "deploy/trt_info.json", "export.json"]


def test_graph(tmp_path: Path) -> None:
    made = network("wav2vec2-base", phonemes={"en": 40})
    export_network(tmp_path, made, plan(made))
    model = onnx.load(tmp_path / "deploy/network.onnx")
    shapes = {
        value.name: [axis.dim_param or axis.dim_value for axis in value.type.tensor_type.shape.dim]
        for value in [*model.graph.input, *model.graph.output]
    }
    assert shapes == {"input": ["batch", 1, 8320], "emotion": ["batch", 1, 18], "result": ["batch", 1, 45]}
    tensors = [*model.graph.input, *model.graph.output]
    assert {value.type.tensor_type.elem_type for value in tensors} == {TensorProto.FLOAT}
    assert model.opset_import[0].version in OPSETS
    kinds = Counter(node.op_type for node in model.graph.node)
    assert set(kinds) <= OPERATORS
    # Seven convolutions hear the sound, one sees positions; five go over lags and four over time. None names phonemes.
    assert kinds["Conv"] == 7 + 1 + 5 + 4


def test_frames_do_not_know_each_other(tmp_path: Path) -> None:
    made = network()
    export_network(tmp_path, made, plan(made))
    graph = RegressionSession.open(tmp_path / "deploy")
    inputs = example_inputs(graph.info, 5, torch.Generator().manual_seed(1))
    window, emotion = inputs["input"][:, 0].numpy(), inputs["emotion"][:, 0].numpy()
    together = graph.run(window, emotion)
    for index in range(5):
        alone = graph.run(window[index : index + 1], emotion[index : index + 1])
        np.testing.assert_allclose(alone[0], together[index], atol=1e-5)
    assert np.abs(together - graph.run(2 * window, emotion)).max() > 1e-3  # the level has an effect


def test_stand_in_for_emotions_does_nothing() -> None:
    made = network(emotions=1)
    for has_emotions in (True, False):
        exported = plan(made, has_emotions=has_emotions).exportable(made)
        inputs = exported.inputs(1, torch.Generator().manual_seed(0))
        emotion = inputs["emotion"].clone()
        emotion[..., -1] = 0
        same = torch.equal(exported.module(*inputs.values()), exported.module(inputs["input"], emotion))
        assert same != has_emotions


def test_network_that_went_astray_is_not_exported(tmp_path: Path) -> None:
    made = network(None)
    torch.nn.init.constant_(made.heads.face[1].bias, float("nan"))
    with pytest.raises(UserError, match="NaN or infinite"):
        export_network(tmp_path, made, plan(made))
    assert not (tmp_path / "export.json").exists()
    assert not (tmp_path / "deploy/network.onnx").exists()


def test_graph_that_differs_is_not_kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    made = network(None)
    monkeypatch.setattr(ParityReport, "largest", property(lambda self: 3e-5))
    with pytest.raises(
        UserError, match=r"differs from the trained one by 3e-05 of the output's range, more than 1e-05"
    ):
        export_network(tmp_path, made, plan(made))
    assert not (tmp_path / "deploy/network.onnx").exists()


def test_network_info(tmp_path: Path) -> None:
    made = network(None)
    export_network(tmp_path, made, plan(made))
    info = open_info(tmp_path / "deploy")
    assert info == plan(made).info
    assert info.values == 45
    trt = (tmp_path / "deploy/trt_info.json").read_text()
    assert '"--minShapes=input:1x1x8320,emotion:1x1x18"' in trt
    assert '"--maxShapes=input:{MAX_BATCH_SIZE}x1x8320,emotion:{MAX_BATCH_SIZE}x1x18"' in trt
    assert '"defaults"' in trt
