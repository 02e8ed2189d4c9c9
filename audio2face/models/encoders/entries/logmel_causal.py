"""A small causal network on mel bands, trained from scratch with the face, for live speech; no weights, no licence.

It knows no more voices than the recordings have; `a2f-phonetic`, which is causal as well, was trained on many.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Annotated

from annotated_types import Ge
from torch import Tensor

from audio2face.models.encoders.base import SAMPLE_RATE, EncoderInfo, SingleLayer
from audio2face.models.encoders.frames import CausalEncoder, FrameNetwork, FrontEnd
from audio2face.models.encoders.registry import EncoderSpec
from audio2face.phonetic.network import FIRST_SAMPLE, STEP_SAMPLES

NAME = "logmel-causal"
_LONGEST_SECONDS = 60
_DILATIONS = (1, 2, 4)  # together a receptive field of 0.3 s


@dataclass(frozen=True)
class CausalLogMelOptions:
    """The options of this encoder.

    Attributes:
        width: features per step.
    """

    width: Annotated[int, Ge(8)] = 96


class CausalLogMelEncoder(CausalEncoder):
    """Computes mel bands relative to the level every 10 ms, a convolution to steps of 20 ms, and three gated layers."""

    def __init__(self, options: CausalLogMelOptions, weights_sha256: str | None = None) -> None:
        info = EncoderInfo(
            name=NAME,
            width=options.width,
            layers=1,
            window_samples=STEP_SAMPLES,
            step_samples=STEP_SAMPLES,
            first_sample=FIRST_SAMPLE,
            longest_samples=_LONGEST_SECONDS * SAMPLE_RATE,
            alignment="times",
            frozen=(),
            licence="none needed: trained from scratch",
            source="trained from scratch",
            weights_sha256=weights_sha256,
        )
        super().__init__(info, asdict(options), SingleLayer())
        self.front_end = FrontEnd()
        self.network = FrameNetwork(options.width, _DILATIONS, causal=True)

    def encode_window(self, audio: Tensor) -> Tensor:
        """Computes the only hidden layer of one window, `[1, batch, steps, features]`."""
        return self.network.steps(self.front_end(audio))[None]

    @property
    def past_shapes(self) -> list[tuple[int, int]]:
        """Shapes of what the network remembers."""
        return self.network.past_shapes

    def advance(self, frames: Tensor, past: Sequence[Tensor]) -> tuple[Tensor, list[Tensor]]:
        """The only hidden layer of the next steps; see `CausalEncoder`."""
        hidden, kept = self.network.advance_steps(frames, past)
        return hidden[None], kept


ENTRIES = (EncoderSpec(NAME, CausalLogMelOptions, CausalLogMelEncoder, None),)
