"""The regression network against what the reference computed, and what holds for any of its settings."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path

import numpy as np
import pytest
import torch
from reference_regression import Vectors, settings, wav2vec
from torch import Tensor

from audio2face.errors import UserError
from audio2face.models import encoders
from audio2face.models.layers import ChannelGainNoise, NormRelu
from audio2face.models.regression.layers import Autocorrelation, AutocorrelationSettings, lag_sums
from audio2face.models.regression.network import (
    EncoderFrames,
    ExportedRegression,
    RegressionNetwork,
    RegressionSettings,
)
from audio2face.training.pretrained import convert_regression_weights


def load(folder: Path, name: str) -> dict[str, Tensor]:
    with np.load(folder / "networks" / f"{name}.npz", allow_pickle=False) as arrays:
        return {key: torch.from_numpy(arrays[key]) for key in arrays.files}


def assert_equal(ours: Tensor, reference: Tensor) -> None:
    """Equal to 1e-5 of the largest value."""
    torch.testing.assert_close(ours, reference, rtol=1e-5, atol=1e-5 * float(reference.abs().max()))


def test_layers_agree_with_the_reference(reference_data: Path) -> None:
    data = load(reference_data, "normrelu")
    assert_equal(NormRelu()(data["x"]), data["y"])
    data = load(reference_data, "autocorr")
    ours = Autocorrelation(AutocorrelationSettings())(data["x"].flatten(0, 1))
    assert_equal(ours.reshape(data["y"].shape), data["y"])


@pytest.mark.parametrize(("length", "lags"), [(640, 32), (50, 7), (5, 8), (8, 1)])
def test_sums_of_lags(length: int, lags: int) -> None:
    x = torch.randn(3, 2, length, dtype=torch.float64)
    plain = [(x[..., : max(length - lag, 0)] * x[..., lag:]).sum(-1) for lag in range(lags)]
    torch.testing.assert_close(lag_sums(x, lags), torch.stack(plain, -1))


def test_windows_of_autocorrelation() -> None:
    audio = torch.randn(2, 300)
    cut = AutocorrelationSettings(
        num_autocorr=4, num_windows=3, win_len=100, win_stride=50, preemph=0.5, win_func="kaiser6"
    )
    received = Autocorrelation(cut)(audio)
    emphasised = audio.clone()
    emphasised[:, 1:] -= 0.5 * audio[:, :-1]
    window = emphasised[1, 50:150]
    window = (window - window.mean()) * torch.from_numpy(np.kaiser(100, 6.0)).float()
    torch.testing.assert_close(received[1, 1, 3], (window[:-3] * window[3:]).mean() * 97 / 100)
    plain = Autocorrelation(dataclasses.replace(cut, preemph=0.0, remove_dc=False, win_func=None))(audio)
    torch.testing.assert_close(plain[0, 0, 0], audio[0, :100].square().mean())


@torch.no_grad()
def test_forward(reference_data: Path) -> None:
    vectors = Vectors(reference_data)
    network = vectors.network()
    hidden, emotion = vectors["w2v_features"], vectors["emotion"]
    output = network(vectors["audio"], emotion, vectors["norm_factor"], hidden)
    assert_equal(output.values, vectors["result"])
    assert not output.phonemes
    assert_equal(network(vectors["audio"], emotion, hidden=hidden).values, vectors["result_no_norm"])
    network.train()
    for module in network.modules():
        if isinstance(module, ChannelGainNoise):
            module.eval()
    assert_equal(network(vectors["audio"], emotion, hidden=hidden).phonemes["en"], vectors["phonemes_en"])


def test_channel_gain_noise() -> None:
    noise, x = ChannelGainNoise(64), torch.randn(6, 64, 5)
    assert noise.eval()(x, 2) is x
    noise.train().generator = torch.Generator().manual_seed(3)
    gained = noise(x, 2)
    gains = (gained / x)[:, :, 0]
    torch.testing.assert_close(gained, x * gains[:, :, None])
    torch.testing.assert_close(gains[0], gains[1])  # the frames of a sequence share them
    assert not torch.allclose(gains[0], gains[2])
    torch.testing.assert_close(gains.square().mean(1), torch.ones(6))
    drawn = 1.4 ** torch.randn(3, 64, generator=torch.Generator().manual_seed(3))
    torch.testing.assert_close(gains[::2], drawn / drawn.square().mean(1, keepdim=True).sqrt())


def test_training_is_reproducible_from_its_generator() -> None:
    encoder = wav2vec(1)
    network = RegressionNetwork(settings(encoder), encoder).train()
    audio, emotion = torch.randn(2, 2, 8320), torch.randn(2, 2, 18)
    hidden, results = network.extract_hidden_states(audio), []
    for seed in (1, 1, 2):
        network.set_noise_generator(torch.Generator().manual_seed(seed))
        torch.manual_seed(len(results))
        results.append(network(audio, emotion, torch.ones(2), hidden))
    assert torch.equal(results[0].values, results[1].values)
    assert torch.equal(results[0].phonemes["en"], results[1].phonemes["en"])
    assert not torch.equal(results[0].values, results[2].values)


@torch.no_grad()
@pytest.mark.parametrize("name", ["hama", "logmel", "wav2vec2-base", None])
def test_any_encoder(name: str | None) -> None:
    encoder = None if name is None else wav2vec(1) if name == "wav2vec2-base" else encoders.build(name)
    network = RegressionNetwork(settings(encoder), encoder).eval()
    window, emotion = torch.randn(3, 1, 8320), torch.randn(3, 1, 18)
    result = ExportedRegression(network)(window, emotion)
    assert result.shape == (3, 1, 46)
    if encoder is not None:
        torch.testing.assert_close(
            network(window, emotion, hidden=network.extract_hidden_states(window)).values, result
        )
        assert network.encoder_is_trainable == (name == "logmel")
    restored = RegressionSettings.from_dict(json.loads(json.dumps(dataclasses.asdict(network.settings))))
    assert restored == network.settings
    again = RegressionNetwork(restored, encoder).eval()
    again.load_state_dict(network.state_dict())
    torch.testing.assert_close(ExportedRegression(again)(window, emotion), result)


def test_encoder_steps_are_read_at_the_centres_of_windows() -> None:
    hama = settings(encoders.build("hama"))
    positions = hama.step_positions()
    assert positions is not None
    torch.testing.assert_close(positions, torch.arange(1.0, 26.0))  # its first step is at the first sample
    shifted = dataclasses.replace(hama, speech=EncoderFrames(144, 52, 0.005, 0.01)).step_positions()
    assert shifted is not None
    torch.testing.assert_close(shifted, torch.arange(25.0) * 2 + 1.5)
    assert settings(wav2vec(1)).step_positions() is None


def test_networks_without_input_branch_are_refused() -> None:
    with pytest.raises(ValueError, match="the network needs an input"):
        settings(None, use_autocorrelation=False)
    with pytest.raises(ValueError, match="needs 8320 samples, but a window has 8000"):
        settings(None, samples=8000)


def test_reference_weights_with_their_encoder(reference_data: Path) -> None:
    vectors = Vectors(reference_data)
    encoder = {
        "w2v_model.feature_extractor.conv_layers.0.layer_norm.weight": torch.ones(3),
        "w2v_model.encoder.feature_projection.projection.bias": torch.ones(3),
        "w2v_model.encoder.transformer.layers.0.attention.k_proj.weight": torch.ones(3),
    }
    _, own = convert_regression_weights({**vectors.weights(), **encoder}, ["en"])
    names = {name for name, _ in wav2vec(1).model.named_parameters()}  # type: ignore[operator, union-attr]
    assert len(own) == 3
    assert set(own) <= names
    with pytest.raises(UserError, match=r"unknown one\.a, two\.a"):
        convert_regression_weights({**vectors.weights(), "one.a": torch.ones(1), "two.a": torch.ones(1)}, ["en"])
    with pytest.raises(UserError, match="PHONEME_FORCING_LANGS"):
        convert_regression_weights(vectors.weights(), [])
