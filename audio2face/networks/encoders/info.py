"""What is to be known about a speech encoder without running it: its rate, timing, width, origin and licence."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from audio2face.networks.alignment import Alignment

SAMPLE_RATE = 16_000  # Hz; every encoder listens at this rate

AlignmentRule = Literal["corners", "times"]


@dataclass(frozen=True)
class EncoderInfo:
    """Facts about a speech encoder; all of them are recorded in checkpoints.

    Attributes:
        name: its name in the registry.
        width: values per step of its output.
        layers: hidden layers it hands out before they are combined.
        window_samples: samples that its first step needs; one more step for every `step_samples` more.
        step_samples: distance between two steps.
        first_sample: the sample that the first step describes (the middle of what it hears).
        longest_samples: the most samples that one pass takes; longer audio is encoded in overlapping windows.
        alignment: how its steps are laid on frames. `"corners"`: the first step on the first frame and the last on
            the last, whatever their times. `"times"`: every frame at its own time.
        frozen: names of the parts whose parameters are not trained; a part holds all parameters below its name.
        licence: of the weights, as far as their publisher states it.
        source: where the weights come from.
        weights_sha256: of the file with the pretrained weights; None for weights made by chance.
        sample_rate: Hz.
    """

    name: str
    width: int
    layers: int
    window_samples: int
    step_samples: int
    first_sample: int
    longest_samples: int
    alignment: AlignmentRule
    frozen: tuple[str, ...]
    licence: str
    source: str
    weights_sha256: str | None
    sample_rate: int = SAMPLE_RATE

    @property
    def first_step_seconds(self) -> float:
        """Time of the first step."""
        return self.first_sample / self.sample_rate

    @property
    def step_seconds(self) -> float:
        """Time between two steps."""
        return self.step_samples / self.sample_rate

    def steps(self, samples: int) -> int:
        """How many steps `samples` samples give."""
        return (samples - self.window_samples) // self.step_samples + 1

    def frame_alignment(self, fps: float) -> Alignment:
        """How the encoder's steps are laid on frames, `fps` of them per second."""
        first_step = None if self.alignment == "corners" else self.first_step_seconds
        return Alignment(fps, first_step, self.step_seconds)
