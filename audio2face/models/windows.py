"""The schedule of windows: the audio samples of each window of a network, and the frames that it gives.

Frame i of an animation spans the time from i / fps to (i + 1) / fps. Frames and windows are counted from the first
window, which may begin before the recording: its first frames then get context, and a recurrent state has settled by
the time that the recording starts. Positions are exact fractions of a sample; only samples and timestamps are rounded.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from fractions import Fraction
from functools import cached_property

from audio2face.errors import UserError


@dataclass(frozen=True, kw_only=True)
class WindowSchedule:
    """The windows of a network over a recording, numbered from 0.

    Attributes:
        window: samples of a window.
        padding: samples of silence before the recording, where window 0 begins.
        offset: position of the first kept frame in its window, in samples.
        frame_stride: samples from a frame to the next.
        hop: frames that are kept of a window; each window begins that much later than the one before.
        samplerate: Hz.
        left_context: frames of a window before those that are kept.
        right_context: frames after them.
    """

    window: int
    padding: int
    offset: Fraction
    frame_stride: Fraction
    hop: int
    samplerate: int
    left_context: int = 0
    right_context: int = 0

    @classmethod
    def divided(
        cls, *, window: int, left_context: int, hop: int, right_context: int, padding: int, samplerate: int
    ) -> WindowSchedule:
        """The schedule of a network whose frames divide a window evenly.

        Args:
            window: samples of a window.
            left_context: frames of a window before those that are kept.
            hop: frames that are kept.
            right_context: frames after them.
            padding: samples of silence before the recording.
            samplerate: Hz.
        """
        stride = Fraction(window, left_context + hop + right_context)
        return cls(
            window=window,
            padding=padding,
            offset=left_context * stride,
            frame_stride=stride,
            hop=hop,
            samplerate=samplerate,
            left_context=left_context,
            right_context=right_context,
        )

    @classmethod
    def centred(cls, *, window: int, offset: int, samplerate: int, fps: Fraction) -> WindowSchedule:
        """The schedule of a network that gives one frame of each window.

        Args:
            window: samples of a window.
            offset: the sample of the window that the frame describes.
            samplerate: Hz.
            fps: frames per second.

        Raises:
            UserError: there is less than one sample to a frame.
        """
        if not 0 < fps <= samplerate:
            raise UserError(f"{fps} frames per second are out of range", hint="Give a rate such as 30 or 60.")
        return cls(
            window=window,
            padding=offset,
            offset=Fraction(offset),
            frame_stride=samplerate / fps,
            hop=1,
            samplerate=samplerate,
        )

    def require_beginning(self) -> WindowSchedule:
        """Returns the schedule itself.

        Raises:
            UserError: no window gives the first frame of a recording.
        """
        if (first := self.timestamp(0)) > 0:
            raise UserError(
                f"the first frame would describe sample {first}: the beginning of a recording would be lost",
                hint="Raise AUDIO_PARAMS['padding_left'] in config_train.py, train and deploy again.",
            )
        return self

    @property
    def frames(self) -> int:
        """Frames that a window spans, with their context."""
        return self.left_context + self.hop + self.right_context

    @property
    def kept(self) -> slice:
        """Which frames of a window are kept."""
        return slice(self.left_context, self.left_context + self.hop)

    @property
    def fps(self) -> Fraction:
        """Frames per second."""
        return self.samplerate / self.frame_stride

    @property
    def lookahead(self) -> int:
        """Samples of a window from the one that its first kept frame describes to the end."""
        return self.window - math.floor(self.offset)

    @property
    def least_lookahead(self) -> int:
        """Samples that are there after the one that a frame describes, at least: those after the last kept frame."""
        return self.lookahead - math.ceil((self.hop - 1) * self.frame_stride)

    @property
    def lead_in_frames(self) -> int:
        """Number of frames before the recording, which are computed and dropped."""
        return max(0, math.floor((self.padding - self.offset) / self.frame_stride))

    def num_frames(self, num_samples: int) -> int:
        """Frames that cover a recording."""
        return math.ceil(num_samples / self.frame_stride)

    def num_windows(self, num_frames: int) -> int:
        """Windows that give the lead-in and `num_frames` frames of a recording."""
        return math.ceil((self.lead_in_frames + num_frames) / self.hop)

    def available_windows(self, num_samples: int, closed: bool) -> int:
        """Windows that can be animated of a recording that arrives piece by piece.

        Args:
            num_samples: samples of the recording so far.
            closed: whether it ends there. Then every window counts whose first frame describes one of its samples;
                until then, only windows within it.
        """
        last = num_samples + self.padding - (self._whole_offset if closed else self.window - 1)
        stride = self._window_stride
        return max(0, -(-last * stride.denominator // stride.numerator))

    def first_sample(self, window: int) -> int:
        """First sample of a window, counted from the start of the recording; negative before it."""
        stride = self._window_stride
        return window * stride.numerator // stride.denominator - self.padding

    def end_sample(self, window: int) -> int:
        """The sample after a window."""
        return self.first_sample(window) + self.window

    def timestamp(self, frame: int) -> int:
        """The sample that a frame describes, as consumers count: stride and offset are rounded down by themselves."""
        stride = self.frame_stride
        return frame * stride.numerator // stride.denominator + self._whole_offset - self.padding

    def timestamps(self, window: int) -> list[int]:
        """The sample that each frame of a window describes, before or after the recording included; `[hop + 1]`.

        The last one belongs to the first frame of the window after.
        """
        return [self.timestamp(window * self.hop + frame) for frame in range(self.hop + 1)]

    # Live streams ask for positions at every message: fractions are made once, and positions are whole numbers.

    @cached_property
    def _window_stride(self) -> Fraction:
        """Samples from a window to the next."""
        return self.hop * self.frame_stride

    @cached_property
    def _whole_offset(self) -> int:
        return math.floor(self.offset)
