"""What a file in `entries` offers the registry."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from audio2face.networks.encoders.encoder import SpeechEncoder
from audio2face.networks.encoders.sources import Source


@dataclass(frozen=True)
class Pretrained:
    """How an encoder comes by pretrained weights.

    Attributes:
        source: where they are looked for.
        load: makes the encoder from its options and the file or folder that the source found.
    """

    source: Source
    load: Callable[[Any, Path], SpeechEncoder]


@dataclass(frozen=True)
class Entry:
    """One speech encoder of the registry.

    Attributes:
        name: its name in configurations.
        options: a frozen dataclass with a default for every field: what may be chosen about the encoder.
        build: makes the encoder with random weights from its options and the SHA-256 of the weights that it will
            receive (None when it keeps the random ones).
        pretrained: None for an encoder that is trained from scratch.
    """

    name: str
    options: type
    build: Callable[[Any, str | None], SpeechEncoder]
    pretrained: Pretrained | None
