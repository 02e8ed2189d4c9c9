"""The small regression network that the reference vectors were made with, built from its file."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import torch
from small_encoders import SMALL
from torch import Tensor

from audio2face.models import encoders
from audio2face.models.encoders import SpeechEncoder
from audio2face.models.regression.layers import AutocorrelationSettings
from audio2face.models.regression.network import EncoderFrames, RegressionNetwork, RegressionSettings
from audio2face.training.pretrained import convert_regression_weights


def wav2vec(layers: int = 2, **config: Any) -> SpeechEncoder:
    """A small wav2vec 2.0 of random weights."""
    return encoders.build("wav2vec2-base", {"num_layers": layers, "config": {**SMALL, **config}})


def settings(encoder: SpeechEncoder | None, **changes: Any) -> RegressionSettings:
    values: dict[str, Any] = {
        "skin_size": 21,
        "tongue_size": 6,
        "jaw_size": 15,
        "eye_size": 4,
        "emotions": 2,
        "implicit_emotion_len": 16,
        "explicit_emo_emb_len": 8,
        "samples": 8320,
        "samplerate": 16_000,
        "speech": None if encoder is None else EncoderFrames.from_encoder(encoder, 8320),
        "autocorrelation": AutocorrelationSettings(),
        "use_autocorrelation": True,
        "phonemes": {"en": 42},
        **changes,
    }
    return RegressionSettings(**values)


class Vectors:
    """The vector file, and the network in it."""

    def __init__(self, folder: Path) -> None:
        with np.load(folder / "networks/regression_forward.npz", allow_pickle=False) as arrays:
            self.arrays = dict(arrays)

    def __getitem__(self, name: str) -> Tensor:
        return torch.from_numpy(self.arrays[name].astype(np.float32))

    def weights(self) -> dict[str, Tensor]:
        """The weights by the reference's names."""
        return {name.removeprefix("w:"): self[name] for name in self.arrays if name.startswith("w:")}

    def network(self) -> RegressionNetwork:
        """The network in evaluation mode; its encoder is randomly initialised, since features are given."""
        encoder = wav2vec(2, hidden_size=768)
        network = RegressionNetwork(settings(encoder), encoder)
        weights, own = convert_regression_weights(self.weights(), ["en"])
        assert not own
        missing, unknown = network.load_state_dict(weights, strict=False)
        assert not unknown
        assert all(name.startswith("encoder.model.") for name in missing)
        return network.eval()
