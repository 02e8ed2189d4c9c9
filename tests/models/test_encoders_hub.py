"""Encoders of the hub: what is frozen, SpecAugment, folders of weights; with small random networks."""

from __future__ import annotations

import copy
import hashlib
import json
from pathlib import Path
from typing import Any

import pytest
import torch
from small_encoders import SMALL
from torch import Tensor

from audio2face.errors import FileFormatError, UserError
from audio2face.models import encoders
from audio2face.models.encoders.entries.hubert_base import span_mask

pytest.importorskip("transformers")


def hubert(**changes: Any) -> encoders.SpeechEncoder:
    torch.manual_seed(0)
    return encoders.build("hubert-base", {"config": SMALL | changes})


def noise(samples: int = 16_000) -> Tensor:
    return 0.1 * torch.randn(2, samples, generator=torch.Generator().manual_seed(1))


def write_folder(folder: Path, encoder: encoders.SpeechEncoder, model_type: str) -> Path:
    """A folder as the hub keeps it: names of older torch versions, inside a larger model."""
    folder.mkdir(parents=True)
    old = {"parametrizations.weight.original0": "weight_g", "parametrizations.weight.original1": "weight_v"}
    state: dict[str, Tensor] = {"lm_head.weight": torch.zeros(3)}
    for name, tensor in encoder.model.state_dict().items():
        for new_name, old_name in old.items():
            name = name.replace(new_name, old_name)
        state[f"{model_type}.{name}"] = tensor
    torch.save(state, folder / "pytorch_model.bin")
    config = encoder.options["config"] | {"model_type": model_type, "vocab_size": 32}
    (folder / "config.json").write_text(json.dumps(config))
    return folder


def test_hubert_freezes_the_front_and_the_first_two_layers() -> None:
    encoder = hubert(layerdrop=0.0).train()
    encoder(noise()).square().sum().backward()
    trained = {name for name, parameter in encoder.model.named_parameters() if parameter.grad is not None}
    frozen = ("feature_extractor", "feature_projection", "encoder.layers.0.", "encoder.layers.1.")
    assert trained == {name for name, _ in encoder.model.named_parameters() if not name.startswith(frozen)}
    assert "masked_spec_embed" in trained
    assert not any(parameter.requires_grad for parameter in encoder.model.feature_extractor.parameters())


def test_hubert_equals_the_last_hidden_state_of_transformers() -> None:
    encoder = hubert()
    with torch.no_grad():
        torch.testing.assert_close(encoder(noise()), encoder.model(noise()).last_hidden_state, atol=0, rtol=0)


@pytest.mark.parametrize("name", ["hubert-base", "wav2vec2-base"])
def test_positional_embeddings_stay_in_float32_under_autocast(name: str) -> None:
    encoder: Any = encoders.build(name, {"config": SMALL}).eval()
    positions, hidden = encoder.model.encoder.pos_conv_embed, torch.randn(2, 9, SMALL["hidden_size"])
    names = set(positions.state_dict())
    with torch.autocast("cpu", dtype=torch.bfloat16):
        positioned = copy.deepcopy(positions)(hidden)
    torch.testing.assert_close(positioned, positions(hidden))
    assert names == {"conv.bias", "conv.parametrizations.weight.original0", "conv.parametrizations.weight.original1"}


def test_specaugment_is_applied_in_training_mode_only() -> None:
    encoder = hubert(
        layerdrop=0.0, hidden_dropout=0.0, activation_dropout=0.0, attention_dropout=0.0, feat_proj_dropout=0.0
    )
    with torch.no_grad():
        plain = encoder(noise())
        encoder.train()
        torch.manual_seed(5)
        first, second = encoder(noise()), encoder(noise())
        torch.manual_seed(5)
        assert torch.equal(first, encoder(noise()))
    assert not torch.equal(first, second)
    assert not torch.equal(first, plain)


def test_masked_spans_have_the_specified_number_and_length() -> None:
    torch.manual_seed(0)
    for steps, spans in ((9, 0), (10, 1), (19, 1), (49, 2), (400, 2)):
        mask = span_mask(64, steps, probability=0.05, length=10, least=2)
        masked = mask.sum(1)
        assert int(masked.max()) <= 10 * spans
        assert int(masked.max()) >= min(10 * spans, steps)  # some row has spans that do not overlap
        assert spans == 0 or int(masked.min()) >= 10
    counts = [float(span_mask(1, 1_100, probability=0.05, length=10, least=2).sum()) for _ in range(400)]
    assert 45 < sum(counts) / len(counts) < 55  # 5.5 spans on average, a few overlapping


def test_wav2vec2_keeps_the_first_layers(tmp_path: Path) -> None:
    full = encoders.build("wav2vec2-base", {"config": SMALL, "num_layers": 4})
    folder = write_folder(tmp_path / "wav2vec2-base", full, "wav2vec2")
    with torch.no_grad():
        kept = encoders.create("wav2vec2-base", models_root=tmp_path, options={"num_layers": 2})
        layers = full.hidden_layers(noise(8_320))
        assert layers.shape == (4, 2, 25, 24)
        torch.testing.assert_close(kept.hidden_layers(noise(8_320)), layers[:2], atol=0, rtol=0)
        torch.testing.assert_close(kept(noise(8_320)), layers[:2].mean(0))
    with pytest.raises(UserError, match="9 layers of wav2vec2-base are requested, but its weights hold 4"):
        encoders.create("wav2vec2-base", folder=folder, options={"num_layers": 9})


def test_a_frozen_wav2vec2_gives_no_gradient_to_its_network() -> None:
    encoder = encoders.build("wav2vec2-base", {"config": SMALL, "num_layers": 2}).train()
    encoder(noise(8_320)).square().sum().backward()
    assert [name for name, p in encoder.named_parameters() if p.grad is not None] == ["combine.coefficients"]
    tuned = encoders.build("wav2vec2-base", {"config": SMALL, "fine_tune": True}).train()
    tuned(noise(8_320)).square().sum().backward()
    assert all(parameter.grad is not None for parameter in tuned.model.parameters())


@pytest.mark.parametrize("file_format", ["bin", "safetensors"])
def test_a_folder_of_weights_is_read(file_format: str, tmp_path: Path) -> None:
    written = hubert()
    folder = write_folder(tmp_path / "models" / "hubert-base", written, "hubert")
    weights = folder / "pytorch_model.bin"
    if file_format == "safetensors":
        from safetensors.torch import save_file

        save_file(torch.load(weights, weights_only=True), folder / "model.safetensors")
        weights.write_bytes(b"never read")
        weights = folder / "model.safetensors"
    for where in ({"folder": folder}, {"models_root": tmp_path / "models"}):
        read = encoders.create("hubert-base", **where)
        assert not read.training
        assert read.info.weights_sha256 == hashlib.sha256(weights.read_bytes()).hexdigest()
        with torch.no_grad():
            assert torch.equal(read(noise()), written(noise()))
    assert "hubert-base" in encoders.ready(tmp_path / "models")


def test_a_damaged_folder_is_a_user_error(tmp_path: Path) -> None:
    folder = write_folder(tmp_path / "h", hubert(), "hubert")
    weights, config = folder / "pytorch_model.bin", folder / "config.json"
    whole, recorded = torch.load(weights, weights_only=True), json.loads(config.read_text())

    def refuses(match: str) -> None:
        with pytest.raises(FileFormatError, match=match):
            encoders.create("hubert-base", folder=folder)

    torch.save({name: whole[name] for name in sorted(whole)[:-5]}, weights)
    refuses(r"pytorch_model\.bin: lacks masked_spec_embed|pytorch_model\.bin: lacks feature_")
    torch.save(whole, weights)
    config.write_text(json.dumps(recorded | {"intermediate_size": 33}))
    refuses(r"has shapes that contradict config\.json for encoder\.layers\.0.* more")
    config.write_text(json.dumps(recorded | {"model_type": "whisper"}))
    refuses("describes a model of type 'whisper', expected 'hubert'")
    config.write_text("{")
    refuses(r"config\.json: cannot be read as JSON")
    config.write_text(json.dumps(recorded))
    weights.write_bytes(weights.read_bytes()[:1_000])
    refuses(r"pytorch_model\.bin: cannot be read as weights")
    (folder / "model.safetensors").write_bytes(b"no")
    refuses(r"model\.safetensors: cannot be read as weights")


def test_the_error_without_hub_and_folder_explains_the_download(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def unreachable(*_: object, **__: object) -> str:
        raise OSError("no connection\nand more")

    monkeypatch.setattr("huggingface_hub.snapshot_download", unreachable)
    with pytest.raises(encoders.MissingWeightsError) as caught:
        encoders.create("hubert-base")
    message = str(caught.value)
    for part in ("facebook/hubert-base-ls960", "(no connection)", "config.json", "A2F_MODELS_ROOT", "logmel"):
        assert part in message
    with pytest.raises(encoders.MissingWeightsError, match=str(tmp_path / "hubert-base")):
        encoders.create("hubert-base", models_root=tmp_path)


def test_downloads_are_stored_in_the_models_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = write_folder(tmp_path / "snapshot", hubert(), "hubert")
    asked: list[dict[str, Any]] = []

    def download(repository: str, **arguments: Any) -> str:
        asked.append({"repository": repository} | arguments)
        return str(folder)

    monkeypatch.setattr("huggingface_hub.snapshot_download", download)
    encoders.create("hubert-base", models_root=tmp_path / "models")
    assert asked[0]["repository"] == "facebook/hubert-base-ls960"
    assert asked[0]["cache_dir"] == tmp_path / "models" / "hub"
