"""A small convolutional network on mel bands, trained from scratch with the face; it needs no weights and no licence.

It generalises little to new voices; a pretrained encoder is much better there.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Annotated

from annotated_types import Ge
from torch import Tensor, nn
from torch.nn import functional

from audio2face.audio.mel import MEL_BANDS, MEL_HOP
from audio2face.models.encoders.base import (
    SAMPLE_RATE,
    EncoderInfo,
    MelPower,
    SingleLayer,
    SpeechEncoder,
)
from audio2face.models.encoders.registry import EncoderSpec

NAME = "logmel"
_LONGEST_SECONDS = 60
_DILATIONS = (1, 2, 4, 8)  # together a receptive field of 0.3 s to either side
_MEAN, _SPREAD = -8.0, 4.0  # of the logarithm of band power in speech at usual levels


@dataclass(frozen=True)
class LogMelOptions:
    """The options of this encoder.

    Attributes:
        width: features per step.
        dropout: dropout probability in each residual layer.
    """

    width: Annotated[int, Ge(8)] = 256
    dropout: float = 0.1


class Residual(nn.Module):
    """A dilated convolution over time with a residual connection."""

    def __init__(self, width: int, dilation: int, dropout: float) -> None:
        super().__init__()
        self.norm = nn.LayerNorm(width)
        self.conv = nn.Conv1d(width, width, 3, dilation=dilation, padding=dilation)
        self.dropout = nn.Dropout(dropout)

    def forward(self, hidden: Tensor) -> Tensor:
        """`[batch, steps, width]`, in and out."""
        step: Tensor = self.conv(functional.gelu(self.norm(hidden)).transpose(1, 2))
        added: Tensor = self.dropout(step.transpose(1, 2))
        return hidden + added


class LogMelEncoder(SpeechEncoder):
    """Computes mel bands every 10 ms, a convolution to steps of 20 ms, and residual convolutions."""

    def __init__(self, options: LogMelOptions, weights_sha256: str | None = None) -> None:
        info = EncoderInfo(
            name=NAME,
            width=options.width,
            layers=1,
            window_samples=0,
            step_samples=2 * MEL_HOP,
            first_sample=0,
            longest_samples=_LONGEST_SECONDS * SAMPLE_RATE,
            alignment="times",
            frozen=(),
            licence="none needed: trained from scratch",
            source="trained from scratch",
            weights_sha256=weights_sha256,
        )
        super().__init__(info, asdict(options), SingleLayer())
        self.mel = MelPower()
        self.stem = nn.Conv1d(MEL_BANDS, options.width, 5, stride=2, padding=2)
        self.layers = nn.ModuleList(Residual(options.width, dilation, options.dropout) for dilation in _DILATIONS)
        self.norm = nn.LayerNorm(options.width)

    def encode_window(self, audio: Tensor) -> Tensor:
        """Computes the only hidden layer of one window, `[1, batch, steps, features]`."""
        hidden = self.stem((self.mel(audio) - _MEAN) / _SPREAD).transpose(1, 2)
        for layer in self.layers:
            hidden = layer(hidden)
        normalised: Tensor = self.norm(hidden)
        return normalised[None]


ENTRIES = (EncoderSpec(NAME, LogMelOptions, LogMelEncoder, None),)
