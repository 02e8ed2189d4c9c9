"""The exported graph: what it takes and gives, what it is made of, and that it computes what the network computes."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from collections import Counter
from collections.abc import Callable
from contextlib import nullcontext
from dataclasses import replace
from functools import partial
from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import pytest
import torch
from onnx import TensorProto, helper, numpy_helper
from small_networks import WINDOWS_30, network, plan

from audio2face.deploy import export as export_module
from audio2face.deploy import export_network, finish_export
from audio2face.deploy import onnx_graph as graph
from audio2face.deploy.diffusion import DiffusionPlan, example_inputs, make_parity_check, make_sampler
from audio2face.deploy.export import ExportRecord
from audio2face.deploy.onnx_graph import export_graph
from audio2face.deploy.parity import ParityLimit, measure_parity
from audio2face.errors import FileFormatError, UserError
from audio2face.home import PACKAGES
from audio2face.model_folder.graph import check_graph
from audio2face.models.diffusion.network import DiffusionNetwork


def export(path: Path, made: DiffusionNetwork, planned: DiffusionPlan) -> onnx.ModelProto:
    export_graph(make_sampler(made, planned), planned.info, partial(example_inputs, planned.info), path)
    return onnx.load(path)


@pytest.mark.parametrize("name", ["logmel", "hubert-base", "hama"])
def test_export(tmp_path: Path, name: str) -> None:
    made = network(name)
    before = {key: value.clone() for key, value in made.state_dict().items()}
    record = export_network(tmp_path, made, plan(made))
    parity = record.parity
    assert [batch.batch for batch in parity.batches] == [1, 2]
    assert (parity.windows, parity.limit) == ({"windows": 2}, ParityLimit(1e-3, "mm"))
    assert parity.largest < 1e-3
    for batch in parity.batches:
        names = [(row.channel, row.unit) for row in batch.differences]
        assert names == [("skin", "mm"), ("tongue", "mm"), ("jaw", "mm"), ("eyes", "degrees"), ("latents", "")]
        assert batch.motion_mm is not None
        assert 10 < batch.motion_mm < 1000  # a face's, so that the limit means much
    assert ExportRecord.open(tmp_path) == record
    assert all(torch.equal(before[key], value) for key, value in made.state_dict().items())
    files = sorted(str(path.relative_to(tmp_path)) for path in tmp_path.rglob("*") if path.is_file())
    assert files == ["deploy/network.onnx", "deploy/network_info.json", "deploy/trt_info.json", "export.json"]


def test_deployment_loads_no_fabric() -> None:
    """Fabric loads in two seconds, and is for training."""
    code = "import sys, audio2face.deploy.export; sys.exit('lightning_fabric' in sys.modules)"
    subprocess.run([sys.executable, "-c", code], check=True, cwd=PACKAGES)


def test_graph(tmp_path: Path) -> None:
    made = network("hubert-base")
    graph = export(tmp_path / "network.onnx", made, plan(made)).graph
    shapes = {
        value.name: [axis.dim_param or axis.dim_value for axis in value.type.tensor_type.shape.dim]
        for value in [*graph.input, *graph.output]
    }
    assert shapes == {
        "window": ["batch", 16000],
        "identity": ["batch", 2],
        "emotion": ["batch", 30, 2],
        "input_latents": [2, 2, "batch", 16],
        "noise": ["batch", 3, 60, 139],
        "prediction": ["batch", 60, 139],
        "output_latents": [2, 2, "batch", 16],
    }
    assert {value.type.tensor_type.elem_type for value in [*graph.input, *graph.output]} == {TensorProto.FLOAT}


@pytest.mark.parametrize("steps", [1, 2, 5])
def test_encoder_is_in_the_graph_once(tmp_path: Path, steps: int) -> None:
    made = network("hubert-base")
    graph = export(tmp_path / "network.onnx", made, plan(made, str(steps))).graph
    kinds = Counter(node.op_type for node in graph.node)
    assert kinds["GRU"] == steps * made.settings.num_gru_layers
    # Seven convolutions hear the sound, one sees positions; two smooth the geometry in each step.
    assert kinds["Conv"] == 7 + 1 + 2 * steps
    assert kinds["Softmax"] == 3  # one for each layer of the encoder


def test_frames_outside_the_block_are_zero(tmp_path: Path) -> None:
    made = network(fps=30.0)
    planned = plan(made, windows=WINDOWS_30)
    path = tmp_path / "network.onnx"
    export(path, made, planned)
    session = onnxruntime.InferenceSession(str(path), providers=["CPUExecutionProvider"])
    inputs = example_inputs(planned.info, 2, torch.Generator().manual_seed(0))
    prediction, _ = session.run(None, {name: tensor.numpy() for name, tensor in inputs.items()})
    assert prediction.shape == (2, 30, 139)
    assert not prediction[:, :7].any()
    assert not prediction[:, 22:].any()
    assert prediction[:, 7:22].all(axis=(1, 2)).all()


def test_weights_in_a_file_of_their_own(tmp_path: Path) -> None:
    made = network()
    planned = plan(made)
    sampler, path = make_sampler(made, planned), tmp_path / "network.onnx"
    inputs = partial(example_inputs, planned.info)
    export_graph(sampler, planned.info, inputs, path, largest_single_file=10_000)
    assert sorted(file.name for file in tmp_path.iterdir()) == ["network.onnx", "network.onnx.data"]
    short = replace(planned.exportable(made), check=make_parity_check(planned.info, inputs, (1,), windows=2))
    assert measure_parity(short, path).is_good
    export_graph(sampler, planned.info, inputs, path)
    assert [file.name for file in tmp_path.iterdir()] == ["network.onnx"]


def test_tracing_is_the_same_without_shapes_of_the_whole_graph(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    made = network("hubert-base")
    planned = plan(made)
    sampler, first = make_sampler(made, planned), example_inputs(planned.info, 3, torch.Generator().manual_seed(0))
    graph._trace(sampler, planned.info, first, tmp_path / "ours.onnx")
    monkeypatch.setattr(graph, "_shapes_of_nodes_alone", nullcontext)
    graph._trace(sampler, planned.info, first, tmp_path / "whole.onnx")
    assert (tmp_path / "ours.onnx").read_bytes() == (tmp_path / "whole.onnx").read_bytes()


def _scale(operator: str, part: str, factor: float) -> Callable[[onnx.GraphProto], None]:
    """Multiplies the weights of the first node of a kind, the name of which contains `part`."""

    def apply(graph: onnx.GraphProto) -> None:
        node = next(node for node in graph.node if node.op_type == operator and part in node.name)
        weight = next(tensor for tensor in graph.initializer if tensor.name == node.input[1])
        weight.CopyFrom(numpy_helper.from_array(numpy_helper.to_array(weight) * np.float32(factor), weight.name))

    return apply


def _forget_state(graph: onnx.GraphProto) -> None:
    """Lets the graph start every window from silence."""
    zero = numpy_helper.from_array(np.zeros((), np.float32), "zero")
    for node in graph.node:
        node.input[:] = ["forgotten" if name == "input_latents" else name for name in node.input]
    graph.initializer.append(zero)
    graph.node.insert(0, helper.make_node("Mul", ["input_latents", "zero"], ["forgotten"]))


def _fix_batch(graph: onnx.GraphProto) -> None:
    """Lets all items of a batch take the audio of the first."""
    for node in graph.node:
        node.input[:] = ["alike" if name == "window" else name for name in node.input]
    graph.initializer.append(numpy_helper.from_array(np.zeros((1, 1), np.float32), "none"))
    graph.initializer.append(numpy_helper.from_array(np.array([0], np.int64), "first"))
    graph.node.insert(0, helper.make_node("Mul", ["window", "none"], ["silent"]))
    graph.node.insert(1, helper.make_node("Gather", ["window", "first"], ["one"], axis=0))
    graph.node.insert(2, helper.make_node("Add", ["silent", "one"], ["alike"]))


@pytest.mark.parametrize(
    "change", [_scale("MatMul", "skin.2", 1.001), _scale("GRU", "", 1.01), _forget_state, _fix_batch]
)
def test_parity_fails_for_a_wrong_graph(tmp_path: Path, change: Callable[[onnx.GraphProto], None]) -> None:
    made = network()
    planned = plan(made)
    path = tmp_path / "network.onnx"
    model = export(path, made, planned)
    exportable = planned.exportable(made)
    assert measure_parity(exportable, path).is_good
    change(model.graph)
    onnx.save(model, path)
    report = measure_parity(exportable, path)
    assert not report.is_good
    assert report.largest > 3 * report.limit.value


def test_stand_in_for_emotions_does_nothing(tmp_path: Path) -> None:
    made = network(emotions=1)
    for has_emotions, expected in ((True, False), (False, True)):
        sampler = make_sampler(made, plan(made, has_emotions=has_emotions))
        inputs = example_inputs(plan(made).info, 1, torch.Generator().manual_seed(0))
        one, _ = sampler(**inputs)
        other, _ = sampler(**inputs | {"emotion": torch.zeros_like(inputs["emotion"])})
        assert torch.equal(one, other) == expected


def test_network_that_went_astray_is_not_exported(tmp_path: Path) -> None:
    made = network()
    torch.nn.init.constant_(made.heads.skin[2].bias, float("nan"))
    with pytest.raises(UserError, match="NaN or infinite"):
        export_network(tmp_path, made, plan(made))
    assert not (tmp_path / "export.json").exists()
    assert not (tmp_path / "deploy/network.onnx").exists()


def test_graph_that_differs_is_not_kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    made = network()
    made.scale *= 1e5  # a face a kilometre high: float32 does not resolve a micrometre
    with pytest.raises(UserError, match="differs from the trained one by"):
        export_network(tmp_path, made, plan(made))
    assert not (tmp_path / "deploy/network.onnx").exists()


class _KilledError(BaseException):
    """Stands for the end of the process: nothing of ours handles it."""


def content(run: Path) -> dict[str, bytes]:
    return {str(path.relative_to(run)): path.read_bytes() for path in run.rglob("*") if path.is_file()}


@pytest.mark.parametrize("where", ["_trace", "check_graph", "measure_parity", "make_durable"])
def test_an_export_that_is_killed_leaves_the_run_as_it_was(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, where: str
) -> None:
    made = network()
    export_network(tmp_path, made, plan(made))
    before = content(tmp_path)

    def killed(*_: object) -> None:
        raise _KilledError

    modules = {"_trace": graph, "check_graph": graph}
    with monkeypatch.context() as patch:
        patch.setattr(modules.get(where, export_module), where, killed)
        with pytest.raises(_KilledError):
            export_network(tmp_path, network(), plan(made))
    assert content(tmp_path) == before
    for name in (".export.3.tmp", "deploy/.export.abc"):  # as a kill would have left them
        (tmp_path / name).mkdir()
    finish_export(tmp_path)
    assert content(tmp_path) == before
    assert {path.name for path in tmp_path.iterdir()} == {"deploy", "export.json"}


def replace_before_kill(moves: int) -> Callable[[Path, Path], Path]:
    """`Path.replace` that works a number of times."""
    original, left = Path.replace, moves

    def replace(source: Path, target: Path) -> Path:
        nonlocal left
        left -= 1
        if left < 0:
            raise _KilledError
        return original(source, target)

    return replace


@pytest.mark.parametrize("external", [False, True])
def test_an_export_that_is_killed_while_it_moves_its_files_is_finished(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, external: bool
) -> None:
    """An older export with its weights in a file of their own, or without, in the place of the other."""
    finished, deploy = tmp_path / ".exported", tmp_path / "deploy"
    names = ["network.onnx", "network_info.json", "trt_info.json", "export.json"]
    new, old = (["network.onnx.data"] if own else [] for own in (external, not external))
    for moves in range(len(names) + len(new)):
        shutil.rmtree(deploy, ignore_errors=True)
        for folder, files, text in ((finished, [*names, *new], "new"), (deploy, [*names[:-1], *old], "old")):
            folder.mkdir()
            for name in files:
                (folder / name).write_text(text)
        with monkeypatch.context() as patch, pytest.raises(_KilledError):
            patch.setattr(Path, "replace", replace_before_kill(moves))
            finish_export(tmp_path)
        assert not (tmp_path / "export.json").exists()
        finish_export(tmp_path)
        found = {name: bytes(data) for name, data in content(tmp_path).items()}
        assert found == {"export.json": b"new"} | {f"deploy/{name}": b"new" for name in [*names[:-1], *new]}


def test_rules_find_what_consumers_cannot_run(tmp_path: Path) -> None:
    made = network()
    planned = plan(made)
    model = export(tmp_path / "network.onnx", made, planned)
    assert check_graph(model, planned.info) == []

    def problems(change: object) -> str:
        other = onnx.ModelProto()
        other.CopyFrom(model)
        change(other)  # type: ignore[operator]
        return " ".join(check_graph(other, planned.info))

    assert "uses operators" in problems(lambda m: m.graph.node.append(helper.make_node("Mish", ["a"], ["b"])))
    assert "uses operators" in problems(lambda m: m.graph.node.append(helper.make_node("X", ["a"], ["b"], domain="d")))
    assert "float64" in problems(
        lambda m: m.graph.initializer.append(helper.make_tensor("t", TensorProto.DOUBLE, [1], [1.0]))
    )
    assert "opset 14" in problems(lambda m: setattr(m.opset_import[0], "version", 14))
    assert "has the outputs" in problems(lambda m: m.graph.output.pop())
    assert "prediction has the shape" in problems(
        lambda m: m.graph.output[0].type.tensor_type.shape.dim[1].ClearField("dim_value")
    )
    fixed = problems(lambda m: setattr(m.graph.input[0].type.tensor_type.shape.dim[0], "dim_value", 1))
    assert fixed == ""


def test_records_of_earlier_versions_are_read_and_written_as_they_were(tmp_path: Path) -> None:
    rows = {
        "diffusion": {
            "windows": 10,
            "batches": [
                {"batch": 1, "skin_mm": 2e-5, "tongue_mm": 1e-5, "jaw_mm": 3e-6, "eyes_degrees": 4.0}
                | {"latents": 0.5, "motion_mm": 30.0}
            ],
            "limit_mm": 1e-3,
        },
        "regression": {
            "noise_windows": 36,
            "speech_windows": 72,
            "output_range": 2.0,
            "batches": [{"batch": 8, "skin": 1e-6, "tongue": 1e-6, "jaw_cm": 4e-6, "eyes_degrees": 0.0}],
            "limit_share": 1e-5,
        },
    }
    expected = {
        "diffusion": (2e-5, "2e-05 mm", "0.001 mm", "onnxruntime 1.24.0, batches of 1, 10 consecutive windows"),
        "regression": (
            *(2e-6, "2e-06 of the output's range", "1e-05 of it"),
            "onnxruntime 1.24.0, batches of 8, 36 windows of noise and 72 of speech",
        ),
    }
    for kind, content in rows.items():
        record = {"encoder": {}, "has_emotions": True, "sampling": None}
        record["parity"] = content | {"torch": "2.13.0+cpu", "onnxruntime": "1.24.0"}
        text = json.dumps(record | {"schema_version": 1})
        (tmp_path / "export.json").write_text(text)
        opened = ExportRecord.open(tmp_path)
        parity = opened.parity
        found = (parity.largest, parity.largest_in_words, parity.limit_in_words, parity.conditions)
        assert found == expected[kind]
        opened.save(tmp_path)
        assert json.dumps(json.loads((tmp_path / "export.json").read_text())) == text


def test_record_that_is_damaged(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="was not exported"):
        ExportRecord.open(tmp_path)
    (tmp_path / "export.json").write_text('{"encoder": {}}')
    with pytest.raises(FileFormatError, match="not a valid record of an export"):
        ExportRecord.open(tmp_path)
