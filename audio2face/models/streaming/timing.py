"""Which samples a step of the streaming network depends on.

A step makes one frame. It takes the samples of a window of constant length, which ends `look_ahead` frames after the
frame's time; the speech encoder steps once or twice in it, evenly, so that no reading between steps costs time. The
encoder was trained on 50 steps a second, and runs here at the nearest multiple of the frame rate: 60 at 30 and 60
frames per second, to which speech sounds a sixth slower.
"""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction

from audio2face.audio.mel import MEL_RATE, MEL_TAPS
from audio2face.models.windows import WindowSchedule

ENCODER_RATE = 50  # steps per second that the speech encoder was trained on
FRAMES_PER_STEP = 2  # mel frames of a step of the encoder
CONTEXT_SECONDS = Fraction(1, 2)  # of audio before a training segment


@dataclass(frozen=True)
class StepTiming:
    """The samples of each step.

    Attributes:
        fps: frames per second.
        look_ahead_frames: frames from the time of a frame to the end of its window.
    """

    fps: Fraction
    look_ahead_frames: int

    @property
    def stride(self) -> Fraction:
        """Samples from a frame to the next."""
        return MEL_RATE / self.fps

    @property
    def encoder_steps(self) -> int:
        """Steps of the speech encoder in a frame."""
        return max(1, round(ENCODER_RATE / self.fps))

    @property
    def offsets(self) -> tuple[int, ...]:
        """First sample of each mel frame of a window."""
        count = FRAMES_PER_STEP * self.encoder_steps
        return tuple(round(frame * self.stride / count) for frame in range(count))

    @property
    def mel_hop(self) -> float:
        """Samples from a mel frame to the next, on average."""
        return float(self.stride / len(self.offsets))

    @property
    def window(self) -> int:
        """Samples of a window."""
        return self.offsets[-1] + MEL_TAPS

    @property
    def look_ahead(self) -> int:
        """Samples from the time of a frame to the end of its window."""
        return int(self.look_ahead_frames * self.stride)

    @property
    def context_frames(self) -> int:
        """Frames before a training segment that are computed and dropped; they span a whole number of samples."""
        frames = int(CONTEXT_SECONDS * self.fps)
        return frames - frames % self.stride.denominator

    @property
    def margins(self) -> tuple[int, int]:
        """Samples that a training segment needs before its first and after its last frame's interval."""
        return int(self.context_frames * self.stride) + self.window, self.look_ahead

    def window_starts(self, num_frames: int) -> list[int]:
        """First sample of each window of a training segment with its margins, those of the context first.

        A frame of a segment represents the middle of its interval, as in recordings.
        """
        before = self.margins[0]
        frames = range(-self.context_frames, num_frames)
        middles = [int((frame + Fraction(1, 2)) * self.stride + before) for frame in frames]
        return [middle + self.look_ahead - self.window for middle in middles]

    def schedule(self) -> WindowSchedule:
        """The windows of a recording: as many before the first frame as begin with silence alone.

        Frame i of an animation is at i / fps.
        """
        offset = self.window - self.look_ahead
        unit = self.stride.denominator  # frames that span a whole number of samples
        least = self.window - offset  # samples of silence before the recording, in which the first window lies
        lead_in = -(-least // (unit * self.stride)) * unit
        return WindowSchedule(
            window=self.window,
            padding=int(lead_in * self.stride) + offset,
            offset=Fraction(offset),
            frame_stride=self.stride,
            hop=1,
            samplerate=MEL_RATE,
        )
