"""The speech encoder of a training: with pretrained weights for a new run, as it was recorded for one gone on with."""

from __future__ import annotations

import dataclasses
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from audio2face.config import TrainDiffusion, TrainRegression
from audio2face.errors import UserError
from audio2face.networks import encoders
from audio2face.networks.encoders import SpeechEncoder
from audio2face.networks.encoders.registry import entry_of
from audio2face.training.task import Begun


def open_encoder(
    train: TrainDiffusion | TrainRegression, begun: Begun | None, wishes: Mapping[str, Any] | None = None
) -> SpeechEncoder:
    """Makes the encoder that a configuration names.

    Args:
        train: names it.
        begun: what a run that is gone on with recorded. Where it has a checkpoint, the encoder gets its weights from
            there and comes with weights of chance.
        wishes: options, of which an encoder takes those that it has.

    Raises:
        UserError: it is unknown, or its weights cannot be had.
    """
    if begun is not None and begun.has_weights:
        encoder = encoders.rebuild(begun.network["encoder"])
    else:
        encoder = _pretrained(train, wishes or {})
    encoder.noise = train.SPEECH_FEATURE_NOISE
    return encoder


def _pretrained(train: TrainDiffusion | TrainRegression, wishes: Mapping[str, Any]) -> SpeechEncoder:
    root = os.environ.get(encoders.MODELS_ROOT_VARIABLE)
    if train.SPEECH_ENCODER_LAYERS:
        wishes = {**wishes, "layers": train.SPEECH_ENCODER_LAYERS}
    known = {field.name for field in dataclasses.fields(entry_of(train.SPEECH_ENCODER).options)}
    if train.SPEECH_ENCODER_LAYERS and "layers" not in known:
        raise UserError(
            f"SPEECH_ENCODER_LAYERS: the layers of {train.SPEECH_ENCODER!r} cannot be chosen",
            hint="Leave it empty in config_train.py, or choose an encoder that lets them be chosen, such as 'hama'.",
        )
    return encoders.create(
        train.SPEECH_ENCODER,
        models_root=Path(root) if root else train.TORCH_CACHE_ROOT,
        options={name: value for name, value in wishes.items() if name in known},
    )
