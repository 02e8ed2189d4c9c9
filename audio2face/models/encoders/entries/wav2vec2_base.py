"""wav2vec 2.0 base, truncated after its first layers: the speech encoder of the reference's regression network.

Source: Baevski et al., wav2vec 2.0: A Framework for Self-Supervised Learning of Speech Representations (2020).
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Annotated, Any

import torch
from annotated_types import Ge
from torch import Tensor

from audio2face.errors import UserError
from audio2face.io.atomic import file_sha256
from audio2face.models.encoders.base import SAMPLE_RATE, EncoderInfo, SpeechEncoder, WeightedLayerSum
from audio2face.models.encoders.registry import EncoderSpec, Pretrained
from audio2face.models.encoders.weights import (
    HubRepository,
    config_values,
    load_weights,
    read_config,
    receptive_field,
    transformer,
    weights_path,
)

NAME = "wav2vec2-base"
SOURCE = HubRepository("facebook/wav2vec2-base")
_LONGEST_SECONDS = 60  # the first convolution's output takes 6.5 MB per second and row


@dataclass(frozen=True)
class Wav2Vec2Options:
    """The options of this encoder.

    Attributes:
        num_layers: number of transformer layers, from the first on.
        fine_tune: trains the network; otherwise only the weights of its layers are trained.
        config: sizes and dropouts of the network; `create` reads them from the folder with the weights.
    """

    num_layers: Annotated[int, Ge(1)] = 1
    fine_tune: bool = False
    config: dict[str, Any] = field(default_factory=dict)


class Wav2Vec2Encoder(SpeechEncoder):
    """Returns all its transformer layers. Training mode enables dropout; layer drop and SpecAugment stay off."""

    def __init__(self, options: Wav2Vec2Options, weights_sha256: str | None = None) -> None:
        layers = options.num_layers
        if layers > options.config.get("num_hidden_layers", layers):
            available = options.config["num_hidden_layers"]
            raise UserError(f"{layers} layers of {NAME} are requested, but its weights hold {available}")
        if options.config.get("do_stable_layer_norm"):
            raise UserError("a wav2vec 2.0 network with layer normalisation before attention is not supported")
        # The reference's network masks no steps and skips no layers.
        plain = {"num_hidden_layers": layers, "mask_time_prob": 0.0, "layerdrop": 0.0}
        model, config = transformer("wav2vec2", options.config | plain)
        window, step = receptive_field(config)
        info = EncoderInfo(
            name=NAME,
            width=config.hidden_size,
            layers=layers,
            window_samples=window,
            step_samples=step,
            first_sample=window // 2,
            longest_samples=_LONGEST_SECONDS * SAMPLE_RATE,
            alignment="times",
            frozen=() if options.fine_tune else ("model",),
            licence="Apache-2.0",
            source=SOURCE.repository,
            weights_sha256=weights_sha256,
        )
        chosen = {"num_layers": layers, "fine_tune": options.fine_tune, "config": config_values(config)}
        super().__init__(info, chosen, WeightedLayerSum(layers))
        self.model = model
        self.freeze()

    def encode_window(self, audio: Tensor) -> Tensor:
        """Computes the hidden layers `[layers, batch, steps, features]` of one window."""
        model: Any = self.model
        # Without this the library would differentiate down to the audio of a frozen network.
        with torch.set_grad_enabled(torch.is_grad_enabled() and not self.info.frozen):
            hidden = model(audio, output_hidden_states=True).hidden_states
            return torch.stack(hidden[1:])  # the first is the input of the first layer


def load(options: Wav2Vec2Options, folder: Path) -> SpeechEncoder:
    """Loads the encoder from a model folder."""
    path = weights_path(folder)
    config = read_config(folder, "wav2vec2")
    encoder = Wav2Vec2Encoder(replace(options, config=config), file_sha256(path))
    load_weights(encoder.model, path, "wav2vec2.")
    return encoder


ENTRIES = (EncoderSpec(NAME, Wav2Vec2Options, Wav2Vec2Encoder, Pretrained(SOURCE, load)),)
