"""HuBERT base: the reference's speech encoder, its last hidden layer, fine-tuned from the third layer up.

Source: Hsu et al., HuBERT: Self-Supervised Speech Representation Learning by Masked Prediction of Hidden Units (2021).
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from audio2face.io.atomic import file_sha256
from audio2face.models.encoders.base import SAMPLE_RATE, EncoderInfo, SingleLayer, SpeechEncoder
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

NAME = "hubert-base"
SOURCE = HubRepository("facebook/hubert-base-ls960")
_LONGEST_SECONDS = 60  # the first convolution's output takes 6.5 MB per second and row


@dataclass(frozen=True)
class HubertOptions:
    """The options of this encoder.

    Attributes:
        config: sizes and dropouts of the network; `create` reads them from the folder with the weights.
    """

    config: dict[str, Any] = field(default_factory=dict)


class HubertEncoder(SpeechEncoder):
    """Returns the last hidden layer. Training mode enables dropout, layer drop and SpecAugment, in frozen parts too."""

    def __init__(self, options: HubertOptions, weights_sha256: str | None = None) -> None:
        model, config = transformer("hubert", options.config)
        window, step = receptive_field(config)
        info = EncoderInfo(
            name=NAME,
            width=config.hidden_size,
            layers=1,
            window_samples=window,
            step_samples=step,
            first_sample=window // 2,
            longest_samples=_LONGEST_SECONDS * SAMPLE_RATE,
            alignment="corners",
            frozen=(
                "model.feature_extractor",
                "model.feature_projection",
                "model.encoder.layers.0",
                "model.encoder.layers.1",
            ),
            licence="Apache-2.0",
            source=SOURCE.repository,
            weights_sha256=weights_sha256,
        )
        super().__init__(info, {"config": config_values(config)}, SingleLayer())
        self.model = model
        self.freeze()

    def encode_window(self, audio: Tensor) -> Tensor:
        """Computes the last hidden layer of one window, `[1, batch, steps, features]`."""
        model: Any = self.model
        with torch.no_grad():  # frozen, and the library would otherwise differentiate down to the audio
            projected = model.feature_projection(model.feature_extractor(audio).transpose(1, 2))
        hidden: Tensor = model.encoder(self._masked(projected)).last_hidden_state
        return hidden[None]

    def _masked(self, hidden: Tensor) -> Tensor:
        """Applies SpecAugment along time: replaces spans of steps by one learned vector.

        `torch.where` is used since the gradient of indexing is nondeterministic on GPUs.
        """
        model: Any = self.model
        config = model.config
        if not self.training or not config.apply_spec_augment or config.mask_time_prob <= 0:
            return hidden
        mask = span_mask(
            hidden.shape[0],
            hidden.shape[1],
            probability=config.mask_time_prob,
            length=config.mask_time_length,
            least=config.mask_time_min_masks,
        ).to(hidden.device)
        return torch.where(mask[:, :, None], model.masked_spec_embed.to(hidden.dtype), hidden)


def span_mask(batch: int, steps: int, *, probability: float, length: int, least: int) -> Tensor:
    """Draws spans of steps from torch's global CPU generator, as SpecAugment of the wav2vec family does.

    Args:
        batch: rows; each has the same number of spans at its own random starts, which may overlap.
        steps: length of a row. Rows shorter than one span get no mask.
        probability: share of steps masked if no spans overlap.
        length: of a span, in steps.
        least: the smallest number of spans, limited by how many fit side by side.

    Returns:
        bool `[batch, steps]`, true where masked.
    """
    mask = torch.zeros(batch, steps, dtype=torch.bool)
    expected = probability * steps / length
    spans = min(max(int(expected + torch.rand(()).item()), least), steps // length)
    for row in mask:
        starts = torch.randperm(max(steps - length + 1, 0))[:spans]
        row[(starts[:, None] + torch.arange(length)).flatten()] = True
    return mask


def load(options: HubertOptions, folder: Path) -> SpeechEncoder:
    """Loads the encoder from a model folder."""
    path = weights_path(folder)
    config = read_config(folder, "hubert")
    encoder = HubertEncoder(replace(options, config=config), file_sha256(path))
    load_weights(encoder.model, path, "hubert.")
    return encoder


ENTRIES = (EncoderSpec(NAME, HubertOptions, HubertEncoder, Pretrained(SOURCE, load)),)
