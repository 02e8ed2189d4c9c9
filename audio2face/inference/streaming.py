"""Animates audio while it arrives: samples in, finished frames out, the same frames as for the whole recording."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections import deque
from collections.abc import Iterator, Mapping, Sequence
from fractions import Fraction
from types import MappingProxyType
from typing import Generic, TypeVar

import numpy.typing as npt

from audio2face.animation.animation import AnimationFrame, make_frames
from audio2face.audio import MIN_SAMPLERATE, Resampler, StreamResampler, float_samples
from audio2face.errors import UserError
from audio2face.inference.animate import AnimationPipeline
from audio2face.inference.emotion import EmotionCurve
from audio2face.inference.executor import check_finite_motion
from audio2face.inference.retiming import Block, FrameBlock, TrackFrames
from audio2face.inference.sessions import Windows, run_windows
from audio2face.types import Float32Array, Mesh

Frame = TypeVar("Frame")


class SoundStream(ABC, Generic[Block, Frame]):
    """Frames of audio that arrives piece by piece; a subclass says what a frame is.

    `push` takes samples, `frames` returns the available frames. Pieces may have any length, and frames do not depend on
    it. Memory stays bounded while frames are taken out as they come.

    Args:
        pipeline: the model and its options.
        samplerate: sample rate of what arrives, in Hz; None: the network's own.
        resampler: filter for a rate other than the network's; None: that of training. "hann" has a shorter delay.
        emotion: in place of the options' emotion; its keys may arrive with the sound.

    Attributes:
        pipeline: the model and its options.

    Raises:
        UserError: the sample rate is too low for speech, or has too uncommon a ratio to the network's.
    """

    def __init__(
        self,
        pipeline: AnimationPipeline,
        samplerate: int | None = None,
        resampler: Resampler | None = None,
        emotion: EmotionCurve | None = None,
    ) -> None:
        self.pipeline = pipeline
        self._method: Resampler = pipeline.model.info.resampler if resampler is None else resampler
        self._executor = pipeline.open_executor(emotion=emotion)
        self.samplerate = self._executor.samplerate if samplerate is None else samplerate
        if self.samplerate < MIN_SAMPLERATE:
            raise UserError(
                f"a sample rate of {self.samplerate:,} Hz is too low for speech: expected {MIN_SAMPLERATE:,} Hz or more"
            )
        self.reset()

    @abstractmethod
    def _begin(self) -> TrackFrames[Block]:
        """Resets what turns network output into frames, and returns it."""

    @abstractmethod
    def _made(self, block: Block, times: Sequence[float]) -> Iterator[Frame]:
        """The next frames, one for each time."""

    def reset(self) -> None:
        """Resets the stream for another recording, without rebuilding the solvers."""
        self._executor.reset()
        self._resampler = StreamResampler(self.samplerate, self._executor.samplerate, self._method)
        self._track = self._begin()
        self._due: deque[Frame] = deque()
        self._num_frames = 0  # frames that have been made
        self._finished = self._complete = False

    @property
    def fps(self) -> Fraction:
        """Frames per second."""
        return self.pipeline.fps

    @property
    def lookahead(self) -> float:
        """Seconds of audio after the time of a frame that have to arrive before it is available, at most.

        Where frames have another rate than the network's, a few milliseconds are added; where samples have another
        rate, up to 41 ms ("soxr") or 20 ms ("hann", of 44.1 kHz; 1 ms of 48 kHz).
        """
        return self.pipeline.schedule.lookahead / self._executor.samplerate

    @property
    def weight_names(self) -> Mapping[Mesh, tuple[str, ...]]:
        """Names of the blend shapes behind `skin_weights` and `tongue_weights` of a frame, by part."""
        shapes = self.pipeline.actor.blendshapes
        return MappingProxyType({part: shapes[part].names for part in self.pipeline.weight_parts})

    def push(self, samples: npt.ArrayLike) -> None:
        """Takes the next samples.

        Args:
            samples: one channel `[samples]` at `samplerate`: floats whose full scale is 1, or integers.

        Raises:
            UserError: there are several channels, or a value is not finite.
            ValueError: the stream is finished.
        """
        if self._finished:
            raise ValueError("the stream is finished: call reset() before the next recording")
        added = float_samples(samples)
        if added.ndim != 1:
            raise UserError(f"audio of the shape {list(added.shape)} arrived, expected one channel [samples]")
        self._executor.push(0, self._resampler.push(added))

    def finish(self) -> None:
        """Ends the audio: the remaining frames become available."""
        if not self._finished:
            self._executor.push(0, self._resampler.finish())
            self._executor.close(0)
            self._finished = True

    def frames(self) -> Iterator[Frame]:
        """The available frames, each once, in order.

        The network runs while they are taken. Iteration can be stopped; the next call continues.

        Raises:
            UserError: the network outputs NaN or infinity.
        """
        while True:
            yield from self.made_frames()
            windows = self.next_windows()
            if windows is not None:
                self.accept(windows, run_windows(self.pipeline.graph, [windows])[0])
            elif not self._due:
                return

    # A caller that runs the network for several streams at once uses these three in place of `frames`.

    def next_windows(self) -> Windows | None:
        """What the network takes next; None where all frames have been made that the audio is enough for."""
        windows = self._executor.next_windows()
        if windows is None and self._finished and not self._complete:
            self._complete = True
            rest = self._track.finish(self._executor.num_samples(0))
            if rest is not None:
                self._add(rest)
        return windows

    def accept(self, windows: Windows, values: Float32Array) -> None:
        """Takes the network's output for `next_windows`.

        Raises:
            UserError: it is NaN or infinite.
        """
        for output in self._executor.accept(windows, values):
            self._add(self._track(check_finite_motion(output)))

    @property
    def num_made(self) -> int:
        """Frames that have been made and not been taken."""
        return len(self._due)

    def made_frames(self) -> Iterator[Frame]:
        """The frames that have been made, each once."""
        while self._due:
            yield self._due.popleft()

    def _add(self, block: Block) -> None:
        if self._finished:  # the last window reaches beyond the recording
            missing = self._track.num_frames(self._executor.num_samples(0)) - self._num_frames
            block = block.select(slice(max(0, missing)))
        if not len(block):
            return
        fps, first = float(self.fps), self._num_frames
        self._num_frames += len(block)
        self._due.extend(self._made(block, [number / fps for number in range(first, self._num_frames)]))


class AnimationStream(SoundStream[FrameBlock, AnimationFrame]):
    """The animation of audio that arrives piece by piece.

    The frames are those of `AnimationPipeline.animate` on the whole recording, bit for bit, for audio with one channel
    and without `normalize`; each has its time in seconds. The pipeline is not shared with other streams, because its
    solvers keep the previous frame.
    """

    def _begin(self) -> TrackFrames[FrameBlock]:
        self.pipeline.reset_solvers()
        return self.pipeline.track_frames()

    def _made(self, block: FrameBlock, times: Sequence[float]) -> Iterator[AnimationFrame]:
        pipeline = self.pipeline
        weights = {f"{part}_weights": pipeline.solve_weights(part, block) for part in pipeline.solved_parts}
        arrays: dict[str, Float32Array | None] = {**pipeline.finished(block).arrays, **weights}
        if not block.tongue.shape[1]:
            arrays["tongue"] = None
        return make_frames(times, **arrays)
