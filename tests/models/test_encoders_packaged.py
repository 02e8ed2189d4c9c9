"""Encoders whose weights come in packages agree with their makers' own engines."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from torch.nn import functional

from audio2face.model_folder.graph import OPERATORS
from audio2face.models import encoders
from audio2face.models.encoders.base import MelPower, fourier_kernels
from audio2face.models.encoders.entries import hama, whisper
from audio2face.models.encoders.weights import WeightsLocation

SPEECH = Path(__file__).parents[1] / "data" / "encoders" / "speech.npz"


@pytest.fixture(scope="module")
def speech() -> dict[str, np.ndarray]:
    with np.load(SPEECH, allow_pickle=False) as loaded:
        return dict(loaded)


def audio_of(speech: dict[str, np.ndarray]) -> torch.Tensor:
    return torch.from_numpy(speech["audio"].astype(np.float32) / 32_768)[None]


def needs(name: str) -> None:
    if name not in encoders.ready():
        pytest.skip(f"the package with the weights of {name} is not installed")


def test_hama_agrees_with_its_own_engine(speech: dict[str, np.ndarray]) -> None:
    needs("hama")
    encoder = encoders.create("hama")
    path = hama.SOURCE.find(WeightsLocation("hama"))
    assert path is not None
    head = {name.rpartition(".")[2]: tensor for name, tensor in hama.read_tensors(path).items() if ".proj." in name}
    with torch.no_grad():
        last = encoder.hidden_layers(audio_of(speech))[-1].transpose(1, 2)
        log_probs = functional.conv1d(last, head["weight"], head["bias"]).log_softmax(1)[0].T.numpy()
    expected = speech["hama_log_probs"].astype(np.float32)
    np.testing.assert_array_equal(log_probs.argmax(1), expected.argmax(1))
    np.testing.assert_allclose(np.exp(log_probs), np.exp(expected), atol=2e-3)


def test_hama_trains_only_the_weights_of_its_layers_unless_asked(speech: dict[str, np.ndarray]) -> None:
    needs("hama")
    frozen = encoders.create("hama").train()
    frozen(audio_of(speech)).square().sum().backward()
    assert {name.split(".")[0] for name, parameter in frozen.named_parameters() if parameter.grad is not None} == {
        "combine"
    }
    free = encoders.create("hama", options={"fine_tune": True, "combine": "concat"})
    free(audio_of(speech)).square().sum().backward()
    assert free.info.width == 720
    assert all(parameter.grad is not None for parameter in free.network.parameters())


def test_whisper_agrees_with_ctranslate2(speech: dict[str, np.ndarray]) -> None:
    needs("whisper-tiny.en")
    encoder = encoders.create("whisper-tiny.en")
    filled = functional.pad(audio_of(speech), (0, 480_000 - speech["audio"].size))  # the input length of that engine
    with torch.no_grad():
        last = encoder.hidden_layers(filled)[-1, 0, :75].numpy()
    np.testing.assert_allclose(last, speech["whisper_tiny_en"].astype(np.float32), atol=5e-3, rtol=1e-3)


def test_whisper_base_is_read_from_the_second_part_of_its_file(speech: dict[str, np.ndarray]) -> None:
    needs("whisper-base")
    encoder = encoders.create("whisper-base")
    assert encoder.info.weights_sha256 == whisper.BASE.source.sha256
    with torch.no_grad():
        assert encoder(audio_of(speech)).shape == (1, 75, 512)


def test_mel_power_is_that_of_a_fourier_transform(speech: dict[str, np.ndarray]) -> None:
    audio = audio_of(speech)
    mel = MelPower()
    with torch.no_grad():
        window = torch.hann_window(400)
        power = torch.stft(audio, 400, 160, window=window, center=True, return_complex=True).abs().square()
        expected = (mel.bands @ power).clamp(min=1e-10).log()
        torch.testing.assert_close(mel(audio), expected, atol=1e-3, rtol=1e-4)
        with torch.autocast("cpu", torch.bfloat16):
            torch.testing.assert_close(mel(audio), expected, atol=1e-3, rtol=1e-4)
    assert fourier_kernels().dtype == torch.float32


def test_slaney_mel_bands_have_equal_areas_and_a_linear_part() -> None:
    bands = MelPower().bands.numpy()
    hertz = np.linspace(0, 8_000, 201)
    centres = (bands * hertz).sum(1) / bands.sum(1)
    assert np.allclose(
        np.diff(centres)[1:10], np.diff(centres)[5], rtol=0.2
    )  # below 1 kHz, within the resolution of bins
    assert np.allclose(bands[60:].sum(1) * 40.0, 1.0, rtol=0.05)  # a bin is 40 Hz wide


@pytest.mark.parametrize("name", ["a2f-phonetic", "hama", "logmel"])
def test_the_exported_graph_agrees_for_any_batch(name: str, tmp_path: Path) -> None:
    onnxruntime = pytest.importorskip("onnxruntime")
    onnx = pytest.importorskip("onnx")
    encoder = encoders.build(name)
    path = tmp_path / "encoder.onnx"
    example = 0.1 * torch.randn(2, 8_320, generator=torch.Generator().manual_seed(0))
    axes = {"audio": {0: "batch"}, "features": {0: "batch"}}
    torch.onnx.export(
        encoder,
        (example,),
        path,
        dynamo=False,
        opset_version=17,
        input_names=["audio"],
        output_names=["features"],
        dynamic_axes=axes,
    )
    assert {node.op_type for node in onnx.load(path).graph.node} <= OPERATORS
    session = onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])
    for batch in (1, 3):
        audio = 0.1 * torch.randn(batch, 8_320, generator=torch.Generator().manual_seed(batch))
        with torch.no_grad():
            expected = encoder(audio).numpy()
        np.testing.assert_allclose(session.run(None, {"audio": audio.numpy()})[0], expected, atol=2e-4)
