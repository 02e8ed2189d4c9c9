"""Which samples each window of a stream hears, and which frames it gives. Arithmetic only: knows no network.

Frame i of an animation spans the time from i / fps to (i + 1) / fps. The first window begins a padding before the
recording, so that the first frames are heard with what comes before them, and the network's memory has begun to run.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from fractions import Fraction

from audio2face.audio import Track
from audio2face.errors import UserError
from audio2face.model_folder import DiffusionInfo, NetworkInfo
from audio2face.types import Float32Array

# Animates the next window: audio [samples] to the frames that are kept of it, [block, values]. It remembers what it
# needs of the windows before.
WindowStep = Callable[[Float32Array], Float32Array]


@dataclass(frozen=True, kw_only=True)
class RawWindowSchedule:
    """How a recording is cut into windows.

    Attributes:
        left: frames of a window before those that are kept.
        block: frames that are kept; a window is that much later than the one before.
        right: frames after them.
        window: samples of a window.
        padding: samples of silence before the recording.
        samplerate: Hz.
    """

    left_context: int
    hop: int
    right_context: int
    window: int
    padding: int
    samplerate: int

    def __post_init__(self) -> None:
        if self.lead_in_frames < 0:
            raise UserError(
                f"a padding of {self.padding} samples is too short: windows keep nothing of their first "
                f"{self.left_context} frames, so the beginning of a recording would be lost",
                hint="Raise AUDIO_PARAMS['padding_left'] in config_train.py.",
            )

    @classmethod
    def from_info(cls, info: DiffusionInfo) -> RawWindowSchedule:
        """The plan of a deployed network."""
        return cls(
            left_context=info.num_frames_left_truncate,
            hop=info.num_frames_center,
            right_context=info.num_frames_right_truncate,
            window=info.buffer_len,
            padding=info.padding_left,
            samplerate=info.samplerate,
        )

    @property
    def frames(self) -> int:
        """Frames that a window spans."""
        return self.left_context + self.hop + self.right_context

    @property
    def fps(self) -> Fraction:
        """Frames per second."""
        return Fraction(self.frames * self.samplerate, self.window)

    @property
    def lead_in_frames(self) -> int:
        """Frames that come out before the first one of the recording."""
        return math.floor(self.padding * self.fps / self.samplerate) - self.left_context

    def start(self, index: int) -> int:
        """First sample of a window, counted from the start of the recording."""
        return math.floor(index * Fraction(self.window * self.hop, self.frames)) - self.padding

    def num_frames(self, num_samples: int) -> int:
        """Frames that cover a recording."""
        return math.ceil(num_samples * self.fps / self.samplerate)

    def num_windows(self, num_frames: int) -> int:
        """Windows that give so many frames of a recording."""
        return math.ceil((self.lead_in_frames + num_frames) / self.hop)


def animate_windows(plan: RawWindowSchedule, track: Track, step: WindowStep) -> Iterator[Float32Array]:
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
        first = index * plan.hop - plan.lead_in_frames  # number of the block's first frame in the animation
        kept = block[max(0, -first) : max(0, wanted - first)]
        if len(kept):
            yield kept


@dataclass(frozen=True)
class AudioWindowSchedule:
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
class WindowSchedule:
    """How a recording becomes frames.

    Attributes:
        windows: what the network hears at each call.
        frames: the same for each frame of its own; `windows.stride` is `block` times `frames.stride`.
        block: frames that a call gives.
        samplerate: Hz.
    """

    windows: AudioWindowSchedule
    frames: AudioWindowSchedule
    hop: int
    samplerate: int

    @classmethod
    def from_info(cls, info: NetworkInfo, fps: Fraction | None = None) -> WindowSchedule:
        """The schedule of a deployed network.

        Args:
            info: the network.
            fps: frames per second of a network without a rate of its own, 30 where None.

        Raises:
            UserError: the network has another rate, or the rate is out of reach.
        """
        if info.native_fps is not None:
            if fps not in (None, info.native_fps):
                raise UserError(f"the network gives {info.native_fps} frames per second, it cannot give {fps}")
            fps = info.native_fps
        fps = Fraction(30) if fps is None else fps
        if not 0 < fps <= info.samplerate:
            raise UserError(f"{fps} frames per second are out of reach", hint="Give a rate such as 30 or 60.")
        start, target, stride = info.window_start, info.window_target, info.samplerate / fps
        if start + target > 0:
            raise UserError(
                f"the first frame would describe sample {start + target}: the beginning of a recording would be lost",
                hint="Raise AUDIO_PARAMS['padding_left'] in config_train.py, train and deploy anew.",
            )
        return cls(
            AudioWindowSchedule(info.buffer_len, start, target, info.hop * stride),
            AudioWindowSchedule(info.buffer_len, start, target, stride),
            info.hop,
            info.samplerate,
        )

    @property
    def fps(self) -> Fraction:
        """Frames per second."""
        return self.samplerate / self.frames.stride

    @property
    def lead_in_frames(self) -> int:
        """Frames that describe what comes before the recording; they are calculated, and not given."""
        return self.frames.count(0, closed=True)

    def num_frames(self, num_samples: int) -> int:
        """Frames of a whole recording."""
        return max(0, self.frames.count(num_samples, closed=True) - self.lead_in_frames)

    def timestamps(self, window: int) -> list[int]:
        """The sample that each frame of a window describes, before or after the recording included; `[block + 1]`.

        The last one belongs to the first frame of the window after.
        """
        return [self.frames.target_sample(window * self.hop + frame) for frame in range(self.hop + 1)]
