"""Regression graphs by ONNX Runtime: what is refused, and the window of samples of each frame."""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper

from audio2face.audio import Track
from audio2face.errors import FileFormatError, UserError
from audio2face.inference.sessions import DiffusionSession, RegressionSession
from audio2face.io.atomic import write_json
from audio2face.model_folder import RegressionInfo
from audio2face.training.inference.animate import animate_windows

INFO = RegressionInfo(
    actor="ada",
    version="1",
    emotions=("joy", "anger"),
    default_emotion=(0.0, 0.0),
    implicit_emotion_len=3,
    num_shapes_skin=1,
    num_shapes_tongue=1,
    num_verts_skin=10,
    num_verts_tongue=5,
    jaw_size=3,
    eyes_size=4,
    buffer_len=80,
    buffer_ofs=30,
    samplerate=1600,
)


def write_graph(folder: Path, info: RegressionInfo = INFO) -> Path:
    """A graph that gives four samples from the described one on, then the emotion."""
    shapes = {tensor.name: ["batch", *tensor.shape[1:]] for tensor in (*info.inputs, *info.outputs)}
    values = {
        name: helper.make_tensor_value_info(name, TensorProto.FLOAT, list(shape)) for name, shape in shapes.items()
    }
    numbers = {"first": [info.buffer_ofs], "end": [info.buffer_ofs + 4], "axis": [2]}
    graph = helper.make_graph(
        [
            helper.make_node("Slice", ["input", *numbers], ["centre"]),
            helper.make_node("Concat", ["centre", "emotion"], ["result"], axis=2),
        ],
        "small",
        [values["input"], values["emotion"]],
        [values["result"]],
        [helper.make_tensor(name, TensorProto.INT64, [1], value) for name, value in numbers.items()],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=9)
    onnx.save(model, folder / "network.onnx")
    write_json(folder / "network_info.json", info.as_json())
    return folder


def emotions(batch: int) -> np.ndarray:
    return np.arange(5 * batch, dtype=np.float32).reshape(batch, 5)


def test_windows_and_emotions_go_in_as_they_are(tmp_path: Path) -> None:
    graph = RegressionSession.open(write_graph(tmp_path))
    assert graph.info == INFO
    windows = np.random.default_rng(0).standard_normal((3, 80)).astype(np.float32)
    found = graph.run(windows, emotions(3))
    assert found.dtype == np.float32
    np.testing.assert_array_equal(found, np.concatenate([windows[:, 30:34], emotions(3)], axis=1))


@pytest.mark.parametrize("fps", [Fraction(30), Fraction(24), Fraction(60), Fraction(30_000, 1001), Fraction(1600)])
@pytest.mark.parametrize("samples", [1, 79, 80, 333, 1600])
def test_the_window_of_every_frame_lies_at_its_time(tmp_path: Path, fps: Fraction, samples: int) -> None:
    graph = RegressionSession.open(write_graph(tmp_path))
    track = Track(np.arange(1, samples + 1, dtype=np.float32), 1600)
    blocks = list(
        animate_windows(
            INFO.windows(fps), track, lambda audio: graph.run(audio, np.repeat(emotions(1), len(audio), 0)), 16
        )
    )
    frames = np.concatenate(blocks)
    assert max(map(len, blocks)) <= 16
    described = [int(index * 1600 / fps) for index in range(len(frames))]
    assert described[-1] < samples <= int(len(frames) * 1600 / fps)
    np.testing.assert_array_equal(frames[:, 0], [sample + 1 for sample in described])
    last = frames[-1, :4] - frames[-1, 0]
    expected = [place if described[-1] + place < samples else -frames[-1, 0] for place in range(4)]
    np.testing.assert_array_equal(last, expected)  # silence follows
    np.testing.assert_array_equal(frames[:, 4:], np.tile(emotions(1), (len(frames), 1)))


def test_rate_out_of_reach() -> None:
    with pytest.raises(UserError, match="out of range"):
        INFO.windows(Fraction(1601))


def test_what_is_refused(tmp_path: Path) -> None:
    folder = write_graph(tmp_path)
    with pytest.raises(FileFormatError, match="does not describe a diffusion network"):
        DiffusionSession.open(folder)
    write_json(folder / "network_info.json", INFO.as_json() | {"audio_params": {**vars_of(INFO), "buffer_len": 90}})
    with pytest.raises(FileFormatError, match=r"has the inputs(?s:.*)one export"):
        RegressionSession.open(folder)
    write_json(folder / "network_info.json", INFO.as_json())
    (folder / "network.onnx").write_bytes(b"nothing")
    with pytest.raises(FileFormatError, match="cannot be loaded"):
        RegressionSession.open(folder)
    (folder / "network.onnx").unlink()
    with pytest.raises(UserError, match="no such network"):
        RegressionSession.open(folder)


def vars_of(info: RegressionInfo) -> dict[str, int]:
    return {"buffer_ofs": info.buffer_ofs, "samplerate": info.samplerate}
