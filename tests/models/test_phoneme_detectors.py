"""Charsiu's frame classifiers in a folder, as the library runs them; with small random networks."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from small_encoders import SMALL

from audio2face.errors import FileFormatError, UserError
from audio2face.models.phonemes import ENGLISH, SILENCE, recognisers, row_count

transformers = pytest.importorskip("transformers")
SYMBOLS = {
    "en": ["[PAD]", *reversed(ENGLISH.symbols), "[UNK]"],
    "zh": ["[UNK]", "sh", "i4", SILENCE, "b", "a1", "[PAD]"],
}
# The last convolution of 10 ms networks does not halve the rate.
STRIDES = {"conv_stride": [5, 2, 2, 2, 2, 2, 1]}


def write_folder(folder: Path, language: str, **changes: object) -> transformers.Wav2Vec2ForCTC:
    """A folder as the hub keeps it, with the vocabulary beside the network."""
    torch.manual_seed(0)
    sizes = SMALL | STRIDES | {"vocab_size": len(SYMBOLS[language])} | changes
    model = transformers.Wav2Vec2ForCTC(transformers.Wav2Vec2Config(**sizes)).eval()
    torch.nn.init.normal_(model.lm_head.weight, std=1.0)
    model.save_pretrained(folder)
    vocabulary = {symbol: index for index, symbol in enumerate(SYMBOLS[language])}
    (folder / "vocab.json").write_text(json.dumps(vocabulary), encoding="utf-8")
    return model


def speech(samples: int = 24_000) -> np.ndarray:
    return (0.1 * np.random.default_rng(0).standard_normal(samples) + 0.03).astype(np.float32)


@pytest.mark.parametrize("temperature", [1.0, 4.0])
def test_probabilities_equal_those_of_transformers(tmp_path: Path, temperature: float) -> None:
    model = write_folder(tmp_path / "charsiu-en", "en")
    detector = recognisers.open_detector("charsiu-en", "en", models_root=tmp_path, temperature=temperature)
    found = detector.detect(speech(), None)
    extractor = transformers.Wav2Vec2FeatureExtractor(do_normalize=True, return_attention_mask=False)
    with torch.no_grad():
        inputs = extractor(speech(), sampling_rate=16_000, return_tensors="pt").input_values
        likely = torch.softmax(model(inputs).logits[0] / temperature, dim=-1).numpy()
    columns = [SYMBOLS["en"].index(symbol) for symbol in ENGLISH.symbols]
    expected = likely[::2, columns]
    np.testing.assert_allclose(found, expected / expected.sum(axis=1, keepdims=True), atol=1e-5)
    assert detector.phones == ENGLISH
    assert found.dtype == np.float32
    assert abs(len(found) - row_count(1.5)) <= 1


def test_chinese_phones_come_from_the_vocabulary(tmp_path: Path) -> None:
    write_folder(tmp_path / "charsiu-zh", "zh", do_stable_layer_norm=True, feat_extract_norm="layer")
    detector = recognisers.open_detector("charsiu-zh", "zh", models_root=tmp_path)
    assert detector.phones.symbols == (SILENCE, "a1", "b", "i4", "sh")
    np.testing.assert_allclose(detector.detect(speech(), None).sum(axis=1), 1, atol=1e-5)


def test_the_identity_of_a_detector_covers_weights_and_temperature(tmp_path: Path) -> None:
    write_folder(tmp_path / "one/charsiu-en", "en")
    write_folder(tmp_path / "two/charsiu-en", "en", num_hidden_layers=1)
    identities = {
        recognisers.open_detector("charsiu-en", "en", models_root=tmp_path / root, temperature=temperature).identity
        for root in ("one", "two")
        for temperature in (1.0, 2.0)
    }
    assert len(identities) == 4


def test_long_recordings_are_processed_in_windows(tmp_path: Path) -> None:
    write_folder(tmp_path / "charsiu-en", "en")
    detector = recognisers.open_detector("charsiu-en", "en", models_root=tmp_path)
    samples = 40 * 16_000
    assert abs(len(detector.detect(speech(samples), None)) - row_count(40)) <= 1


def test_damaged_folders_are_user_errors(tmp_path: Path) -> None:
    folder = tmp_path / "charsiu-en"
    write_folder(folder, "en")
    vocabulary = json.loads((folder / "vocab.json").read_text())
    for change, problem in (
        ({"Q9": 3}, "'Q9', which is an unknown phone of English"),
        ({"AA": 99}, "'AA' the column 99, expected 0 to 41"),
    ):
        (folder / "vocab.json").write_text(json.dumps(vocabulary | change))
        with pytest.raises(FileFormatError, match=problem):
            recognisers.open_detector("charsiu-en", "en", models_root=tmp_path)
    (folder / "vocab.json").write_text("{}")
    with pytest.raises(FileFormatError, match=r"holds no \[SIL\]"):
        recognisers.open_detector("charsiu-en", "en", models_root=tmp_path)


def test_names() -> None:
    assert recognisers.available("en") == ("pocketsphinx", "charsiu-en")
    assert recognisers.available("zh") == ("charsiu-zh",)
    with pytest.raises(UserError, match=r"no phoneme recogniser 'charsiu-en' for 'zh'(?s:.*)there is charsiu-zh"):
        recognisers.open_detector("charsiu-en", "zh")
    assert recognisers.open_detector("pocketsphinx", "en").phones == ENGLISH
