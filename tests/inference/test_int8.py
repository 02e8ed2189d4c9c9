"""Deployed networks in int8: how near they are to float32, made once and whole, and where there is none."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper

import audio2face
from audio2face.errors import UserError
from audio2face.inference import precision
from audio2face.inference.onnx_session import graph_device
from audio2face.inference.precision import BLOCK, fixed_sound, int8_codes, int8_network, open_network, write_int8_graph
from audio2face.inference.sessions import open_graph
from audio2face.model_folder import DeployedModel


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The cache of the test."""
    monkeypatch.setenv(precision.CACHE_VARIABLE, str(tmp_path / "cache"))
    return tmp_path / "cache"


def test_codes_are_nearest_and_have_a_scale_for_each_block() -> None:
    rows = np.zeros((2, 40), np.float32)
    rows[0, :BLOCK] = np.linspace(-127, 127, BLOCK)
    rows[0, BLOCK:] = 0.01 * np.arange(8)
    codes, scales = int8_codes(rows)
    assert codes.shape == (2, 2, BLOCK)
    np.testing.assert_allclose(scales.reshape(2, 2), [[1, 0.07 / 127], [1, 1]], rtol=1e-6)
    back = ((codes.astype(np.float32) - 128) * scales.reshape(2, 2, 1)).reshape(2, -1)[:, :40]
    np.testing.assert_array_equal(back[0, :BLOCK], np.rint(rows[0, :BLOCK]))
    assert np.abs(back - rows)[:, BLOCK:].max() <= 0.07 / 127 / 2 * 1.001
    assert (codes[1] == 128).all()


def test_int8_is_near_float32(deployed: Path) -> None:
    model = DeployedModel.open(deployed)
    exact = precision._run(model, open_graph(model))
    found = precision._run(model, open_network(model, precision="int8"))
    share = np.abs(found - exact).max() / np.ptp(exact)
    assert 1e-6 < share < 0.02  # one step of a block is 1 / 254 of its range; two products follow each other
    np.testing.assert_array_equal(precision._run(model, open_network(model)), exact)
    made = int8_network(model)
    assert made.difference_mm > 0
    assert made.products >= 1


def test_rows_do_not_change_each_other(tmp_path: Path) -> None:
    """What ONNX Runtime's own dynamic quantisation does: a row beside a large one loses most of its steps."""
    random = np.random.default_rng(0)
    weights = onnx.numpy_helper.from_array(random.standard_normal((96, 64)).astype(np.float32), "weights")
    sizes = (helper.make_tensor_value_info(n, TensorProto.FLOAT, ["rows", w]) for n, w in (("x", 96), ("y", 64)))
    given, result = sizes
    graph = helper.make_graph([helper.make_node("MatMul", ["x", "weights"], ["y"])], "g", [given], [result], [weights])
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8), tmp_path / "a.onnx")
    assert write_int8_graph(tmp_path / "a.onnx", tmp_path / "b.onnx") == 1
    session = precision.onnxruntime.InferenceSession(str(tmp_path / "b.onnx"), providers=["CPUExecutionProvider"])
    row, other = random.standard_normal((2, 1, 96)).astype(np.float32)
    (alone,) = session.run(None, {"x": row})
    (beside,) = session.run(None, {"x": np.concatenate([row, 1000 * other])})
    np.testing.assert_allclose(beside[:1], alone, rtol=0, atol=1e-5 * np.abs(alone).max())


def test_shared_weights_are_changed_once_and_kept_once(tmp_path: Path) -> None:
    """The exporter hands weights that several steps use on through nodes of their own."""
    random = np.random.default_rng(0)
    weights = onnx.numpy_helper.from_array(random.standard_normal((64, 64)).astype(np.float32), "weights")
    nodes = [
        helper.make_node("Identity", ["weights"], ["again"]),
        helper.make_node("MatMul", ["x", "weights"], ["first"]),
        helper.make_node("MatMul", ["first", "again"], ["y"]),
    ]
    given, result = (helper.make_tensor_value_info(n, TensorProto.FLOAT, ["rows", 64]) for n in "xy")
    graph = helper.make_graph(nodes, "g", [given], [result], [weights])
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8), tmp_path / "a.onnx")
    assert write_int8_graph(tmp_path / "a.onnx", tmp_path / "b.onnx") == 2
    made = onnx.load(tmp_path / "b.onnx").graph
    assert [node.op_type for node in made.node] == ["MatMulNBits", "MatMulNBits"]
    assert sorted(tensor.name for tensor in made.initializer) == ["weights_codes", "weights_scales"]


def test_network_is_made_once_for_its_contents(regression: Path, cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    made = int8_network(DeployedModel.open(regression))
    assert made.folder.parent == cache / "int8"
    assert [path.name for path in (cache / "int8").iterdir()] == [made.folder.name]
    with monkeypatch.context() as replaced:
        replaced.setattr(precision, "write_int8_graph", None)  # would raise TypeError
        assert int8_network(DeployedModel.open(regression)) == made
    graph = onnx.load(regression / "network.onnx")
    graph.producer_name = "another export"
    onnx.save(graph, regression / "network.onnx")
    assert int8_network(DeployedModel.open(regression)).folder != made.folder


def test_damaged_network_is_made_again(regression: Path) -> None:
    made = int8_network(DeployedModel.open(regression))
    (made.folder / precision.RECORD_FILE).write_text("{}", encoding="utf-8")
    assert int8_network(DeployedModel.open(regression)) == made
    assert json.loads((made.folder / precision.RECORD_FILE).read_text(encoding="utf-8"))["products"] == made.products


def test_interrupted_network_leaves_nothing(regression: Path, cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def stop(*_: object) -> float:
        raise KeyboardInterrupt

    with monkeypatch.context() as replaced:
        replaced.setattr(precision, "measure_difference", stop)
        with pytest.raises(KeyboardInterrupt):
            int8_network(DeployedModel.open(regression))
    assert not list((cache / "int8").iterdir())
    assert int8_network(DeployedModel.open(regression)).products >= 1


def test_refusals(regression: Path, cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    model = DeployedModel.open(regression)
    with pytest.raises(UserError, match="int8 is for processors"):
        open_network(model, "cuda", "int8")
    assert graph_device("auto", "int8") == "cpu"
    with monkeypatch.context() as replaced:
        replaced.setattr("audio2face.extras._is_installed", lambda name: name != "onnx")
        with pytest.raises(UserError, match="The precision int8 needs what is not installed here: onnx"):
            open_network(model, precision="int8")
    with monkeypatch.context() as replaced:
        replaced.setattr(precision, "_SMALLEST", 10**9)
        with pytest.raises(UserError, match="no product with a stored matrix of"):
            open_network(model, precision="int8")
    cache.mkdir(exist_ok=True)
    (cache / "int8").rmdir() if (cache / "int8").exists() else None
    (cache / "int8").touch()
    with pytest.raises(UserError, match="cannot be kept"):
        open_network(model, precision="int8")


def test_animation_says_that_it_is_int8(diffusion_30: Path) -> None:
    sound = fixed_sound(16_000)[:16_000]
    exact, near = (
        audio2face.load(diffusion_30, precision=kind).animate(sound, 16_000, actor="ada", blinks=False)
        for kind in ("float32", "int8")
    )
    assert "precision" not in exact.facts
    assert near.facts["precision"] == "int8"
    apart = np.abs(near.skin.frames - exact.skin.frames).max()
    assert 0 < apart < 0.02 * np.ptp(exact.skin.frames - exact.skin.neutral)
