"""Phoneme recognisers by name: PocketSphinx, and Charsiu's networks.

Charsiu's frame classifiers are wav2vec 2.0 with a linear layer that classifies the phone of every 10 ms, without text.
Source: Zhu et al., Phone-to-audio alignment without text: a semi-supervised approach (2022).
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from audio2face.errors import FileFormatError, UserError
from audio2face.io.atomic import file_sha256
from audio2face.models.encoders.base import SAMPLE_RATE, EncoderInfo, SingleLayer, SpeechEncoder
from audio2face.models.encoders.weights import (
    CONFIG_FILE,
    HubRepository,
    MissingWeightsError,
    WeightsLocation,
    load_weights,
    read_config,
    receptive_field,
    transformer,
    weights_path,
)
from audio2face.models.phonemes import ENGLISH, SILENCE, Detector, PocketSphinx, phones_of, plain_symbol, resample_rows
from audio2face.models.phonemes.pocketsphinx import NAME as POCKETSPHINX
from audio2face.types import Float32Array

VOCABULARY_FILE = "vocab.json"
_LONGEST_SECONDS = 30
_SPECIAL = frozenset(["[UNK]", "[PAD]", "[CLS]", "[SEP]", "[MASK]", "<unk>", "<pad>", "<s>", "</s>", "|"])
_SMALLEST_VARIANCE = 1e-7  # as in the feature extractor of the networks' training


@dataclass(frozen=True)
class CharsiuSource:
    """The repositories of one of the networks.

    Attributes:
        name: of the detector.
        language: language of the recordings.
        network: repository of the network.
        vocabulary: repository of its vocabulary.
    """

    name: str
    language: str
    network: HubRepository
    vocabulary: str


SOURCES = (
    CharsiuSource("charsiu-en", "en", HubRepository("charsiu/en_w2v2_fc_10ms"), "charsiu/tokenizer_en_cmu"),
    CharsiuSource("charsiu-zh", "zh", HubRepository("charsiu/zh_xlsr_fc_10ms"), "charsiu/tokenizer_zh_pinyin"),
)


class FrameClassifier(SpeechEncoder):
    """A speech encoder whose features are logits of symbols; its input has zero mean and unit variance.

    Args:
        source: its repositories.
        config: sizes of the network, from `encoders.weights.read_config`.
        symbols: size of the vocabulary.
        weights_sha256: of its weights.
    """

    def __init__(self, source: CharsiuSource, config: dict[str, Any], symbols: int, weights_sha256: str) -> None:
        model, complete = transformer("wav2vec2", config | {"mask_time_prob": 0.0, "layerdrop": 0.0})
        window, step = receptive_field(complete)
        info = EncoderInfo(
            name=source.name,
            width=symbols,
            layers=1,
            window_samples=window,
            step_samples=step,
            first_sample=window // 2,
            longest_samples=_LONGEST_SECONDS * SAMPLE_RATE,
            alignment="times",
            frozen=("model", "head"),
            licence="MIT",
            source=source.network.repository,
            weights_sha256=weights_sha256,
        )
        super().__init__(info, {}, SingleLayer())
        self.model = model
        self.head = nn.Linear(complete.hidden_size, symbols)
        self.freeze()

    def encode_window(self, audio: Tensor) -> Tensor:
        """Computes the logits of one window, `[1, batch, steps, symbols]`."""
        logits: Tensor = self.head(self.model(audio).last_hidden_state)
        return logits[None]


class Charsiu:
    """A `Detector` with a frame classifier; needs no text.

    Args:
        network: the classifier.
        columns: the phones among its symbols, by column.
        language: language of the recordings.
        temperature: of the softmax: above 1 flattens the probabilities, below 1 sharpens them.
        device: device of the network.
    """

    def __init__(
        self,
        network: FrameClassifier,
        columns: Mapping[int, str],
        language: str,
        temperature: float,
        device: torch.device,
    ) -> None:
        info = network.info
        self.phones = phones_of(columns.values(), language)
        self.identity = f"{info.name} {info.weights_sha256} temperature {temperature:g}"
        self._network, self._temperature, self._device = network.to(device).eval(), temperature, device
        self._rate = info.sample_rate // info.step_samples
        self._merge = torch.zeros(info.width, len(self.phones))
        for column, symbol in columns.items():
            self._merge[column, self.phones.column[symbol]] = 1

    @torch.inference_mode()
    def detect(self, samples: Float32Array, text: str | None) -> Float32Array:
        """Computes phone probabilities `[rows, phones]`; the text is ignored."""
        wave = torch.from_numpy(samples)
        wave = (wave - wave.mean()) / torch.sqrt(wave.var(correction=0) + _SMALLEST_VARIANCE)
        logits = self._network(wave[None].to(self._device))[0].float().cpu()
        probabilities = torch.softmax(logits / self._temperature, dim=-1) @ self._merge
        # The probability of padding and unknown symbols is spread over the phones.
        table: Float32Array = (probabilities / probabilities.sum(-1, keepdim=True)).numpy()
        return resample_rows(table, self._rate)


def open_charsiu(source: CharsiuSource, models_root: Path | None, temperature: float, device: torch.device) -> Charsiu:
    """Loads one of the networks from the models folder or the hub.

    Raises:
        MissingWeightsError: its files are missing and cannot be downloaded.
        UserError: its files are damaged.
    """
    location = WeightsLocation(source.name, models_root, kind="phoneme recogniser")
    folder = source.network.find(location) or source.network.fetch(location)
    vocabulary = _vocabulary_path(source, folder, models_root)
    size = _vocabulary_size(folder)
    columns = _columns(vocabulary, source.language, size)
    path = weights_path(folder)
    network = FrameClassifier(source, read_config(folder, "wav2vec2"), size, file_sha256(path))
    load_weights(nn.ModuleDict({"wav2vec2": network.model, "lm_head": network.head}), path, "")
    return Charsiu(network, columns, source.language, temperature, device)


def _vocabulary_path(source: CharsiuSource, folder: Path, models_root: Path | None) -> Path:
    """Finds the file of the network's vocabulary: beside the network, or in its own repository."""
    beside = folder / VOCABULARY_FILE
    if beside.is_file():
        return beside
    from huggingface_hub import hf_hub_download

    try:
        cache = models_root / "hub" if models_root is not None else None
        return Path(hf_hub_download(source.vocabulary, VOCABULARY_FILE, cache_dir=cache))
    except OSError as error:
        raise MissingWeightsError(
            f"the phoneme recogniser {source.name!r} lacks {VOCABULARY_FILE}, which could not be downloaded",
            path=folder,
            hint=f"Put {VOCABULARY_FILE} of {source.vocabulary} there.",
        ) from error


def _vocabulary_size(folder: Path) -> int:
    size = _read_object(folder / CONFIG_FILE).get("vocab_size")
    if not isinstance(size, int) or size < 1:
        raise FileFormatError(f"gives vocab_size {size!r}, expected a count", path=folder / CONFIG_FILE)
    return size


def _columns(path: Path, language: str, size: int) -> dict[int, str]:
    """Reads the phones of the network's vocabulary by column, in the spelling of `PhoneSet`."""
    found = {}
    for symbol, column in _read_object(path).items():
        if symbol in _SPECIAL:
            continue
        plain = plain_symbol(symbol, language)
        if not isinstance(column, int) or not 0 <= column < size:
            raise FileFormatError(f"gives {symbol!r} the column {column!r}, expected 0 to {size - 1}", path=path)
        if language == "en" and plain not in ENGLISH.column:
            raise FileFormatError(f"holds {symbol!r}, which is an unknown phone of English", path=path)
        found[column] = plain
    if SILENCE not in found.values():
        raise FileFormatError(f"holds no {SILENCE}", path=path)
    return found


def _read_object(path: Path) -> dict[str, Any]:
    try:
        value = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise FileFormatError(f"cannot be read as JSON: {error}", path=path) from error
    if not isinstance(value, dict):
        raise FileFormatError("should hold an object", path=path)
    return value


@dataclass(frozen=True)
class DetectorSpec:
    """One recogniser.

    Attributes:
        language: language of the recordings.
        open: makes it from the models folder, a temperature and a device.
    """

    language: str
    open: Callable[[Path | None, float, torch.device], Detector]


def _open_sphinx(models_root: Path | None, temperature: float, device: torch.device) -> Detector:
    return PocketSphinx()


_SPECS = {POCKETSPHINX: DetectorSpec("en", _open_sphinx)} | {
    source.name: DetectorSpec(source.language, partial(open_charsiu, source)) for source in SOURCES
}


def available(language: str | None = None) -> tuple[str, ...]:
    """Lists the names of all recognisers, or of those for one language."""
    return tuple(name for name, spec in _SPECS.items() if language in (None, spec.language))


def open_detector(
    name: str,
    language: str,
    *,
    models_root: Path | None = None,
    temperature: float = 1.0,
    device: torch.device | None = None,
) -> Detector:
    """Opens a recogniser.

    Args:
        name: one of `available(language)`.
        language: language of the recordings.
        models_root: a folder that holds one folder per network, named like it; downloads are stored in its subfolder
            `hub`.
        temperature: of the softmax: above 1 flattens the probabilities, below 1 sharpens them; PocketSphinx ignores it.
        device: device of the network; None: the CPU.

    Raises:
        MissingWeightsError: its weights are missing and cannot be downloaded.
        UserError: it is unknown, is for another language, or its files are damaged.
    """
    spec = _SPECS.get(name)
    if spec is None or spec.language != language:
        choices = ", ".join(available(language)) or "none"
        raise UserError(
            f"there is no phoneme recogniser {name!r} for {language!r}",
            hint=f"PHONEME_DETECTORS: for {language!r} there is {choices}.",
        )
    return spec.open(models_root, temperature, device or torch.device("cpu"))
