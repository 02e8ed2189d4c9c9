"""A face for live speech: samples in as they arrive, one frame out for each moment, whatever the source does.

A frame is due a constant `wait` after the moment that it shows: the network's look-ahead, that of resampling, and the
slack that is granted to the source. A frame whose audio is not there by then holds the face before it; after `HOLD`
seconds the face relaxes, until after `HOLD + RELAX` it is at rest, as before the first and after the last sample. Audio
that is only late is caught up with. After a longer gap the network starts anew, at the time of the next samples.

Nothing grows, however long a session runs.
"""

from __future__ import annotations

import math
import time
from collections import deque
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction
from types import MappingProxyType
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from audio2face.animation.animation import AnimationFrame, make_frames
from audio2face.audio import MIN_SAMPLERATE, Resampler, StreamResampler, float_samples
from audio2face.errors import UserError
from audio2face.inference.animate import AnimationPipeline
from audio2face.inference.emotion import EmotionCurve
from audio2face.inference.executor import NetworkOutput, check_finite_motion
from audio2face.types import Float32Array, Float64Array, Mesh

HOLD, RELAX = 0.1, 0.2  # seconds: a gap of HOLD is not seen, and after both the face is at rest
RISE = 0.1  # seconds in which a face at rest follows the network again
EASE = 0.4  # seconds in which an emotion comes or goes entirely
_MOST_AHEAD = 60.0  # seconds of audio that wait to be shown
_MEASURED = 1024  # frames whose latency is kept
_RESAMPLING = {"soxr": 0.041, "hann": 0.02}  # seconds that a filter holds back, at most
STAGES = ("network", "animation", "weights")


@dataclass(frozen=True)
class Percentiles:
    """Milliseconds that a stage took for a frame: the 50th, 95th and 99th percentile of the last thousand frames."""

    p50: float
    p95: float
    p99: float

    @classmethod
    def of(cls, seconds: Sequence[float]) -> Percentiles:
        """The percentiles of times in seconds, at least one."""
        found = (1000 * np.percentile(seconds, (50, 95, 99))).tolist()
        return cls(*found)


class _Made(NamedTuple):
    """A frame of the session that the network made: values, those of the mouth, and emotion, `[1, ...]` each."""

    number: int
    values: Float32Array
    guarded: Float32Array | None
    emotion: Float32Array


class LiveEmotion(EmotionCurve):
    """An emotion that can be changed at any time, and then eases to the new one.

    Args:
        curve: the emotion over the time of the session, until it is changed.
    """

    def __init__(self, curve: EmotionCurve, samplerate: int) -> None:
        super().__init__(curve.num_emotions)
        self._curve, self._step = curve, 1 / (EASE * samplerate)
        self._target: Float64Array | None = None
        self._last = 0  # sample of the session
        self._value: Float64Array = curve.at([0])[0].astype(np.float64)
        self.first_sample = 0  # of the session, at which the present utterance began

    def change(self, vector: Float32Array) -> None:
        """Eases to an emotion, `[emotions]`."""
        self._target = vector.astype(np.float64)

    @property
    def defined_until(self) -> float:
        """Always: what comes is known when it comes."""
        return math.inf

    def at(self, samples: Sequence[int]) -> Float32Array:
        """The emotion at samples of the utterance, in order, float32 `[len(samples), emotions]`."""
        return np.stack([self._next(sample + self.first_sample) for sample in samples])

    def _next(self, sample: int) -> Float32Array:
        if self._target is None:
            self._value = self._curve.at([max(sample, 0)])[0].astype(np.float64)
        else:
            most = max(sample - self._last, 0) * self._step
            self._value = self._value + np.clip(self._target - self._value, -most, most)
        self._last = sample
        return self._value.astype(np.float32)


class LiveSession:
    """One face that follows live audio, at the network's own frame rate.

    Times are seconds of any clock that never goes back; the first one that is given counts as 0. `push` takes samples
    when they arrive, `frames` returns those that are due. Both may be called at any rate, from one thread.

    Args:
        pipeline: the model and its options; not shared, because its solvers keep the previous frame.
        samplerate: sample rate of what arrives, in Hz; None: the network's own.
        resampler: filter for a rate other than the network's; None: "hann", which holds back less than "soxr".
        slack: seconds that samples may arrive late, at least the length of the pieces that a source sends.

    Attributes:
        held: frames for which audio was missing.
        gaps: how often it began to be missing while somebody spoke.

    Raises:
        UserError: the sample rate is too low for speech or has too uncommon a ratio to the network's, or another frame
            rate than the network's is asked for.
    """

    def __init__(
        self,
        pipeline: AnimationPipeline,
        samplerate: int | None = None,
        resampler: Resampler | None = None,
        slack: float = 0.04,
    ) -> None:
        if pipeline.fps != pipeline.schedule.fps:
            raise UserError(
                f"a live session gives the network's {float(pipeline.schedule.fps):g} frames per second, "
                f"not {float(pipeline.fps):g}",
                hint="Leave out the frame rate, or train with another TARGET_FPS.",
            )
        rate = pipeline.schedule.samplerate
        self.samplerate = rate if samplerate is None else samplerate
        if self.samplerate < MIN_SAMPLERATE:
            raise UserError(
                f"a sample rate of {self.samplerate:,} Hz is too low for speech: expected {MIN_SAMPLERATE:,} Hz or more"
            )
        self._method: Resampler = "hann" if resampler is None else resampler
        resampling = 0.0 if self.samplerate == rate else _RESAMPLING[self._method]
        self._pipeline = pipeline
        self.wait = pipeline.schedule.lookahead / rate + resampling + slack
        self._emotion = LiveEmotion(pipeline.emotion.curve, rate)
        self._executor = pipeline.open_executor(emotion=self._emotion)
        self._executor.prepare(self._emotion.at([0])[0])
        self._animator = pipeline.animator()
        self._resampler = StreamResampler(self.samplerate, rate, self._method)
        neutral = np.zeros((1, pipeline.model.info.values), np.float32)
        self._shown = _Made(0, neutral, None, self._emotion.at([0]))
        self._made: deque[_Made] = deque()  # frames that wait to be shown
        self._start: float | None = None  # of the session, on the caller's clock
        self._next = 0  # frame that is due next
        self._first: int | None = None  # frame at which the present utterance began; None: there is none
        self._has_output = False  # whether the network has given a frame of it
        self._missing, self._gate = 0, 0.0
        self._finished = False
        self.held = self.gaps = 0
        self._times = {stage: deque[float](maxlen=_MEASURED) for stage in STAGES}
        pipeline.reset_solvers()

    @property
    def fps(self) -> Fraction:
        """Frames per second."""
        return self._pipeline.fps

    @property
    def weight_names(self) -> Mapping[Mesh, tuple[str, ...]]:
        """Names of the blend shapes behind `skin_weights` and `tongue_weights` of a frame, by part."""
        shapes = self._pipeline.actor.blendshapes
        return MappingProxyType({part: shapes[part].names for part in self._pipeline.weight_parts})

    @property
    def latency(self) -> Mapping[str, Percentiles]:
        """What each of `STAGES` took for the last frames; empty before the first."""
        return MappingProxyType({stage: Percentiles.of(taken) for stage, taken in self._times.items() if taken})

    def change_emotion(self, emotion: str | None) -> None:
        """Eases to an emotion: a name, a mixture such as "joy=0.7", None for the model's default.

        Raises:
            UserError: the model has no such emotion.
        """
        self._emotion.change(self._pipeline.parse_emotion(emotion).curve.at([0])[0])

    def push(self, samples: npt.ArrayLike, now: float) -> None:
        """Takes samples that have just been captured.

        Args:
            samples: one channel `[samples]` at `samplerate`: floats whose full scale is 1, or integers.
            now: the time.

        Raises:
            UserError: there are several channels, a value is not finite, or more than a minute waits to be shown.
        """
        added = float_samples(samples)
        if added.ndim != 1:
            raise UserError(f"audio of the shape {list(added.shape)} arrived, expected one channel [samples]")
        elapsed = self._elapsed(now)
        if self._first is None or self._finished:
            self._begin(elapsed - len(added) / self.samplerate)
        waiting = self._executor.num_samples(0) / self._executor.samplerate + len(added) / self.samplerate
        shown = (self._next - (self._first or 0)) / self.fps
        if waiting - shown > _MOST_AHEAD + self.wait:
            raise UserError(
                f"more than {_MOST_AHEAD:g} seconds of audio wait to be shown",
                hint="Push audio as it is captured, and take the frames; whole recordings are animated by `animate`.",
            )
        self._executor.push(0, self._resampler.push(added))

    def finish(self) -> None:
        """Ends what is said: the face comes to rest. Samples that follow begin anew."""
        if self._first is not None and not self._finished:
            self._executor.push(0, self._resampler.finish())
            self._executor.close(0)
            self._finished = True

    def frames(self, now: float) -> Iterator[AnimationFrame]:
        """The frames that are due, each once, in order, one for each moment of the clock.

        Args:
            now: the time.

        Yields:
            Frames; their time is that of the session: frame i shows the audio at i / fps.

        Raises:
            UserError: the network outputs NaN or infinity.
        """
        due = math.floor((self._elapsed(now) - self.wait) * float(self.fps) + 1e-6)
        while self._next <= due:
            yield self._frame(self._next)

    def _elapsed(self, now: float) -> float:
        if self._start is None:
            self._start = now
        return now - self._start

    def _begin(self, captured: float) -> None:
        """Begins an utterance whose first sample was captured at a time of the session; the one before is kept."""
        if self._finished:
            self._keep(self._executor.run())
        self._executor.reset()
        self._resampler = StreamResampler(self.samplerate, self._executor.samplerate, self._method)
        after = self._made[-1].number + 1 if self._made else self._next
        self._first = max(math.ceil(captured * float(self.fps)), after)
        self._emotion.first_sample = math.floor(self._first * self._pipeline.schedule.frame_stride)
        self._missing, self._finished, self._has_output = 0, False, False

    def _frame(self, number: int) -> AnimationFrame:
        started = time.perf_counter()
        self._follow(self._network_frame(number))
        sample = math.floor(number * self._pipeline.schedule.frame_stride)
        shown, gate = self._shown, np.float32(self._gate)
        guarded = None if shown.guarded is None else shown.guarded * gate
        output = NetworkOutput(0, (sample,), sample + 1, shown.values * gate, shown.emotion, guarded)
        made = time.perf_counter()
        block = self._pipeline.postprocess(output, self._animator)
        finished = self._pipeline.finished(block).arrays
        animated = time.perf_counter()
        arrays: dict[str, Float32Array | None] = {
            **finished,
            **{f"{part}_weights": self._pipeline.solve_weights(part, block) for part in self._pipeline.solved_parts},
        }
        if not block.tongue.shape[1]:
            arrays["tongue"] = None
        (frame,) = make_frames([number / float(self.fps)], **arrays)
        stages = (made - started, animated - made, time.perf_counter() - animated)
        for stage, taken in zip(STAGES, stages, strict=True):
            self._times[stage].append(taken)
        self._next = number + 1
        return frame

    def _network_frame(self, number: int) -> _Made | None:
        """The network's output for a frame; None where its audio is missing, or nobody speaks."""
        if self._first is not None and number >= self._first:
            self._keep(self._executor.run(), number)
        while self._made and self._made[0].number < number:
            self._made.popleft()
        return self._made.popleft() if self._made and self._made[0].number == number else None

    def _keep(self, outputs: Iterator[NetworkOutput], until: float = math.inf) -> None:
        """Keeps outputs up to a frame of the session, as far as there are any."""
        assert self._first is not None
        stride = self._pipeline.schedule.frame_stride
        while not self._made or self._made[-1].number < until:
            output = next(outputs, None)
            if output is None:
                return
            check_finite_motion(output)
            for frame, sample in enumerate(output.timestamps):
                row = slice(frame, frame + 1)
                guarded = None if output.guarded is None else output.guarded[row]
                number = self._first + round(sample / stride)
                # Rounding may put the first frame a sample before the audio, where the executor skips it, as of a
                # diffusion network of 30 frames per second: it is then the frame after it.
                first = number if self._has_output else self._first
                self._has_output = True
                for each in range(first, number + 1):
                    self._made.append(_Made(each, output.values[row], guarded, output.emotion[row]))

    def _follow(self, made: _Made | None) -> None:
        """Follows the network, or holds the last frame and then relaxes."""
        if made is not None:
            self._shown, self._missing = made, 0
            self._gate = min(1.0, self._gate + 1 / float(RISE * self.fps))
            return
        self._missing += 1
        if self._first is None or self._next < self._first:
            self._gate = self._relaxed()
            return
        if not self._finished:
            self.held += 1
            self.gaps += self._missing == 1
        if self._missing > HOLD * self.fps:
            self._gate = self._relaxed()
        if self._gate <= 0 and self._missing > HOLD * self.fps:
            self._first, self._finished = None, False  # what comes next begins anew

    def _relaxed(self) -> float:
        return max(0.0, self._gate - 1 / float(RELAX * self.fps))
