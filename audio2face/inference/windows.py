"""Which samples each window of a stream hears, and which frames it gives. Arithmetic only: knows no network.

Frame i of an animation spans the time from i / fps to (i + 1) / fps. The first window begins a padding before the
recording, so that the first frames are heard with what comes before them, and the network's memory has begun to run.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from fractions import Fraction

import numpy as np
import numpy.typing as npt

from audio2face.audio import Track
from audio2face.errors import UserError
from audio2face.model_folder import DiffusionInfo

Float32Array = npt.NDArray[np.float32]
# Animates the next window: audio [samples] to the frames that are kept of it, [block, values]. It remembers what it
# needs of the windows before.
WindowStep = Callable[[Float32Array], Float32Array]


@dataclass(frozen=True, kw_only=True)
class WindowPlan:
    """How a recording is cut into windows.

    Attributes:
        left: frames of a window before those that are kept.
        block: frames that are kept; a window is that much later than the one before.
        right: frames after them.
        window: samples of a window.
        padding: samples of silence before the recording.
        samplerate: Hz.
    """

    left: int
    block: int
    right: int
    window: int
    padding: int
    samplerate: int

    def __post_init__(self) -> None:
        if self.leading < 0:
            raise UserError(
                f"a padding of {self.padding} samples is too short: windows keep nothing of their first {self.left} "
                "frames, so the beginning of a recording would be lost",
                hint="Raise AUDIO_PARAMS['padding_left'] in config_train.py.",
            )

    @classmethod
    def of(cls, info: DiffusionInfo) -> WindowPlan:
        """The plan of a deployed network."""
        return cls(
            left=info.num_frames_left_truncate,
            block=info.num_frames_center,
            right=info.num_frames_right_truncate,
            window=info.buffer_len,
            padding=info.padding_left,
            samplerate=info.samplerate,
        )

    @property
    def frames(self) -> int:
        """Frames that a window spans."""
        return self.left + self.block + self.right

    @property
    def fps(self) -> Fraction:
        """Frames per second."""
        return Fraction(self.frames * self.samplerate, self.window)

    @property
    def leading(self) -> int:
        """Frames that come out before the first one of the recording."""
        return math.floor(self.padding * self.fps / self.samplerate) - self.left

    def start(self, index: int) -> int:
        """First sample of a window, counted from the start of the recording."""
        return math.floor(index * Fraction(self.window * self.block, self.frames)) - self.padding

    def num_frames(self, num_samples: int) -> int:
        """Frames that cover a recording."""
        return math.ceil(num_samples * self.fps / self.samplerate)

    def num_windows(self, num_frames: int) -> int:
        """Windows that give so many frames of a recording."""
        return math.ceil((self.leading + num_frames) / self.block)


def animate_windows(plan: WindowPlan, track: Track, step: WindowStep) -> Iterator[Float32Array]:
    """Animates a recording window by window; what lies outside of it sounds silent.

    Args:
        plan: the windows.
        track: the recording, at the plan's rate.
        step: animates a window.

    Yields:
        Frames `[up to block, values]`, `plan.num_frames` in total, the first at the start of the recording.
    """
    wanted = plan.num_frames(len(track.data))
    for index in range(plan.num_windows(wanted)):
        start = plan.start(index)
        block = step(track.read(start, start + plan.window))
        first = index * plan.block - plan.leading  # number of the block's first frame in the animation
        kept = block[max(0, -first) : max(0, wanted - first)]
        if len(kept):
            yield kept
