"""Which samples each window of a network hears, which frames it gives, and when it may run.

The rule is that of the SDK's executors, so that a frame has the same time stamp here and there. Numbers only.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from fractions import Fraction

from audio2face.errors import UserError
from audio2face.model_folder import DiffusionInfo, NetworkInfo


@dataclass(frozen=True)
class SlidingWindows:
    """Windows that follow each other at a fixed distance, numbered from 0.

    Attributes:
        window: samples of a window.
        start: first sample of window 0, from the start of the recording; negative where it begins before.
        target: the sample of a window that it describes.
        stride: samples from a window to the next; the floor of its multiples counts.
    """

    window: int
    start: int
    target: int
    stride: Fraction

    def first_sample(self, index: int) -> int:
        """Where a window begins."""
        return math.floor(index * self.stride) + self.start

    def target_sample(self, index: int) -> int:
        """The sample that a window describes."""
        return self.first_sample(index) + self.target

    def end_sample(self, index: int) -> int:
        """The sample after a window."""
        return self.first_sample(index) + self.window

    def count(self, num_samples: int, closed: bool) -> int:
        """Windows that can be animated.

        Args:
            num_samples: samples of the recording so far.
            closed: whether it ends there. Then every window counts that describes one of its samples; until then,
                only what lies within it.
        """
        last = num_samples - self.start - (self.target if closed else self.window - 1)
        return max(0, math.ceil(last / self.stride))


@dataclass(frozen=True)
class FrameSchedule:
    """How a recording becomes frames.

    Attributes:
        windows: what the network hears at each call.
        frames: the same for each frame of its own; `windows.stride` is `block` times `frames.stride`.
        block: frames that a call gives.
        samplerate: Hz.
    """

    windows: SlidingWindows
    frames: SlidingWindows
    block: int
    samplerate: int

    @classmethod
    def of(cls, info: NetworkInfo, fps: Fraction | None = None) -> FrameSchedule:
        """The schedule of a deployed network.

        Args:
            info: the network.
            fps: frames per second of a regression network, 30 where None. The rate of a diffusion network is its own.

        Raises:
            UserError: a diffusion network cannot run at that rate, or a rate is out of reach.
        """
        if isinstance(info, DiffusionInfo):
            if fps is not None and fps != info.fps:
                raise UserError(f"the network gives {info.fps} frames per second, it cannot give {fps}")
            target = info.buffer_len * info.num_frames_left_truncate // info.frames
            stride = Fraction(info.buffer_len, info.frames)
            start, block = -info.padding_left, info.num_frames_center
        else:
            fps = Fraction(30) if fps is None else fps
            if not 0 < fps <= info.samplerate:
                raise UserError(f"{fps} frames per second are out of reach", hint="Give a rate such as 30 or 60.")
            target, start, block = info.buffer_ofs, -info.buffer_ofs, 1
            stride = info.samplerate / fps
        if start + target > 0:
            raise UserError(
                f"the first frame would describe sample {start + target}: the beginning of a recording would be lost",
                hint="Raise AUDIO_PARAMS['padding_left'] in config_train.py, train and deploy anew.",
            )
        return cls(
            SlidingWindows(info.buffer_len, start, target, block * stride),
            SlidingWindows(info.buffer_len, start, target, stride),
            block,
            info.samplerate,
        )

    @property
    def fps(self) -> Fraction:
        """Frames per second."""
        return self.samplerate / self.frames.stride

    @property
    def leading(self) -> int:
        """Frames that describe what comes before the recording; they are calculated, and not given."""
        return self.frames.count(0, closed=True)

    def num_frames(self, num_samples: int) -> int:
        """Frames of a whole recording."""
        return max(0, self.frames.count(num_samples, closed=True) - self.leading)

    def stamps(self, window: int) -> list[int]:
        """The sample that each frame of a window describes, before or after the recording included; `[block + 1]`.

        The last one belongs to the first frame of the window after.
        """
        return [self.frames.target_sample(window * self.block + frame) for frame in range(self.block + 1)]
