"""Runs a deployed network over tracks: takes audio in pieces of any length, yields outputs window by window."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from fractions import Fraction
from itertools import chain

import numpy as np
import numpy.typing as npt

from audio2face.errors import UserError
from audio2face.inference.emotion import EmotionCurve
from audio2face.inference.mouth_guard import MouthGuard, SilentFaces, settled_face
from audio2face.inference.onnx_session import GraphDevice
from audio2face.inference.sessions import NetworkSession, NetworkTracks, TrackSettings, Windows, open_graph
from audio2face.model_folder import DeployedActor, DeployedModel
from audio2face.models.windows import WindowSchedule
from audio2face.types import Float32Array

BLOCK_FRAMES = 32  # per block; a network may output its frames one by one


class SampleBuffer:
    """The most recent samples of a stream; samples outside the stream are zero.

    Args:
        gain: factor on all samples.
    """

    def __init__(self, gain: float = 1.0) -> None:
        self._gain = np.float32(gain)
        self._kept = np.zeros(0, np.float32)
        self._first = 0  # index of the first sample in the buffer
        self.closed = False

    @property
    def length(self) -> int:
        """Number of samples received."""
        return self._first + len(self._kept)

    def push(self, samples: npt.ArrayLike) -> Float32Array:
        """Adds samples `[samples]`, full scale being 1, and returns them times the gain.

        Raises:
            UserError: they are more than one channel, or not finite.
            ValueError: the stream is closed.
        """
        if self.closed:
            raise ValueError("the stream is closed")
        added = np.asarray(samples, np.float32)
        if added.ndim != 1:
            raise UserError(f"audio of the shape {list(added.shape)} arrived, expected one channel [samples]")
        if not np.isfinite(added).all():
            index = self.length + int(np.argmin(np.isfinite(added)))
            raise UserError(f"sample {index} of the audio is {added[index - self.length]}, expected a finite number")
        added = added * self._gain
        self._kept = np.concatenate([self._kept, added])
        return added

    def read(self, start: int, stop: int) -> Float32Array:
        """Copies the samples from `start` up to `stop`, with zeros before and after the stream.

        Raises:
            ValueError: requested samples were dropped.
        """
        window = np.zeros(stop - start, np.float32)
        first, last = max(start, 0), min(stop, self.length)
        if first < self._first and first < last:
            raise ValueError(f"samples from {first} are requested, those before {self._first} were dropped")
        if first < last:
            window[first - start : last - start] = self._kept[first - self._first : last - self._first]
        return window

    def drop_before(self, sample: int) -> None:
        """Drops samples that no window needs any more."""
        count = min(max(sample, self._first), self.length) - self._first
        self._kept = self._kept[count:]
        self._first += count


@dataclass(frozen=True, eq=False)
class NetworkOutput:
    """Consecutive frames of one track, as output by the network.

    Attributes:
        track: the track.
        timestamps: the sample that each frame describes, `[frames]`.
        next_timestamp: the sample of the following frame.
        values: network output, float32 `[frames, channels]` of skin, tongue, jaw and eyes
            (`NetworkInfo.channel_sizes`): deltas in centimetres or coefficients of skin and tongue, deltas of jaw key
            points, rotations of eyes in degrees.
        emotion: emotion input of the network, float32 `[frames, emotions]`.
        guarded: `values` with the mouth at rest where nobody speaks; None of a track without a guard.
    """

    track: int
    timestamps: tuple[int, ...]
    next_timestamp: int
    values: Float32Array
    emotion: Float32Array
    guarded: Float32Array | None = None

    @property
    def mouth(self) -> Float32Array | None:
        """What the mouth follows in place of `values`; None where it follows them in all frames."""
        return None if self.guarded is None or np.array_equal(self.guarded, self.values) else self.guarded


class _Track:
    """State of a track."""

    def __init__(self, emotion: EmotionCurve, gain: float, guard: MouthGuard | None) -> None:
        self.emotion, self.gain, self.guard = emotion, gain, guard
        self.reset()

    def reset(self) -> None:
        self.samples = SampleBuffer(self.gain)
        self.window = 0  # index of the next window
        if self.guard is not None:
            self.guard.restart()

    def push(self, samples: npt.ArrayLike) -> None:
        added = self.samples.push(samples)
        if self.guard is not None:
            self.guard.push(added)

    def close(self) -> None:
        if self.guard is not None and not self.samples.closed:
            self.guard.finish()
        self.samples.closed = True

    def ready(self, schedule: WindowSchedule) -> bool:
        """Whether audio and emotion of the next window are available."""
        samples = self.samples
        needed = schedule.timestamp((self.window + 1) * schedule.hop - 1)
        return self.window < schedule.available_windows(samples.length, samples.closed) and (
            needed <= self.emotion.defined_until
        )


class Executor:
    """Runs a deployed network over tracks.

    Args:
        network: the network with its state per track.
        schedule: its windows and frames.
        tracks: emotion and gain of each track.
        guards: of the mouth of each track, where it has one; empty: none has.
    """

    def __init__(
        self,
        network: NetworkTracks,
        schedule: WindowSchedule,
        tracks: Sequence[tuple[EmotionCurve, float]],
        guards: Sequence[MouthGuard | None] = (),
    ) -> None:
        self._network = network
        guards = guards or [None] * len(tracks)
        self._tracks = [_Track(emotion, gain, guard) for (emotion, gain), guard in zip(tracks, guards, strict=True)]
        self.schedule = schedule

    @classmethod
    def open(
        cls,
        model: DeployedModel,
        tracks: Sequence[TrackSettings],
        *,
        fps: Fraction | None = None,
        device: GraphDevice = "cpu",
        graph: NetworkSession | None = None,
    ) -> Executor:
        """Opens an executor of a deployed folder.

        Args:
            model: the folder.
            tracks: the tracks, at least one.
            fps: frames per second of a network without a fixed rate; None: 30.
            device: device of the network.
            graph: the folder's network, if it is open already (`open_graph`).

        Raises:
            UserError: a track has an unknown actor, the network cannot be loaded, or the rate is out of range.
        """
        if not tracks:
            raise ValueError("an executor needs at least one track")
        schedule = model.info.windows(fps)
        named = [replace(track, actor=_actor(model, track).name) for track in tracks]
        inputs = [(track.emotion, _gain(_actor(model, track), track.gain)) for track in named]
        graph = open_graph(model, device) if graph is None else graph
        guards = [_guard(graph, model, track, schedule) for track in named]
        return cls(graph.tracks(model, named), schedule, inputs, guards)

    @property
    def fps(self) -> Fraction:
        """Frames per second."""
        return self.schedule.fps

    @property
    def samplerate(self) -> int:
        """Samples per second of the network's input."""
        return self.schedule.samplerate

    def num_samples(self, track: int) -> int:
        """Number of samples of a track received."""
        return self._tracks[track].samples.length

    def push(self, track: int, samples: npt.ArrayLike) -> None:
        """Adds audio to a track: float `[samples]` at `samplerate`, full scale being 1.

        Raises:
            UserError: it has more than one channel, or is not finite.
        """
        self._tracks[track].push(samples)

    def close(self, track: int) -> None:
        """Ends the audio of a track; silence follows."""
        self._tracks[track].close()

    def prepare(self, emotion: Float32Array) -> None:
        """Computes now what guards need for an emotion `[emotions]`, so that no frame waits for it."""
        for track in self._tracks:
            if track.guard is not None:
                track.guard.prepare(emotion)

    def reset(self) -> None:
        """Restarts all tracks without audio; emotions stay."""
        self._network.reset()
        for track in self._tracks:
            track.reset()

    def run(self) -> Iterator[NetworkOutput]:
        """Runs all available windows; frames outside of a recording are skipped.

        Yields:
            Frames, in temporal order per track.
        """
        while (windows := self.next_windows()) is not None:
            yield from self.accept(windows, windows.network.run(windows.audio, windows.emotion, windows.executed))

    def next_windows(self) -> Windows | None:
        """What the network takes for the next window of each track that has one; None where there is none.

        A caller that runs the network itself, for several executors at once (`sessions.run_windows`), hands its output
        to `accept`.
        """
        schedule = self.schedule
        ready = [track.ready(schedule) for track in self._tracks]
        if not any(ready):
            return None
        executed = np.array(ready, np.bool_)
        tracks = len(self._tracks)
        audio = np.zeros((tracks, schedule.window), np.float32)
        emotion = np.zeros((tracks, schedule.hop, self._tracks[0].emotion.num_emotions), np.float32)
        for index in np.flatnonzero(executed).tolist():
            track = self._tracks[index]
            audio[index] = track.samples.read(schedule.first_sample(track.window), schedule.end_sample(track.window))
            emotion[index] = track.emotion.at(schedule.timestamps(track.window)[:-1])
        return Windows(self._network, audio, emotion, executed)

    def accept(self, windows: Windows, values: Float32Array) -> list[NetworkOutput]:
        """Takes the network's output `[tracks, hop, channels]` for `next_windows`; frames of the recording only."""
        outputs = []
        for index in np.flatnonzero(windows.executed).tolist():
            output = self._output(index, values[index], windows.emotion[index])
            self._advance(self._tracks[index])
            if len(output.values):
                outputs.append(output)
        return outputs

    def _output(self, index: int, values: Float32Array, emotion: Float32Array) -> NetworkOutput:
        track = self._tracks[index]
        timestamps = self.schedule.timestamps(track.window)
        end = track.samples.length  # windows of an open stream end before it
        kept = [frame for frame in range(self.schedule.hop) if 0 <= timestamps[frame] < end]
        part = slice(kept[0], kept[-1] + 1) if kept else slice(0)
        found, felt, guarded = values[part], emotion[part], None
        if track.guard is not None:
            guarded = track.guard(found, timestamps[part], felt) if kept else found
        return NetworkOutput(index, tuple(timestamps[part]), timestamps[part.stop], found, felt, guarded)

    def _advance(self, track: _Track) -> None:
        track.window += 1
        track.samples.drop_before(self.schedule.first_sample(track.window))


def _actor(model: DeployedModel, track: TrackSettings) -> DeployedActor:
    if track.actor is not None:
        return model.actor(track.actor)
    if len(model.actors) > 1:
        raise UserError("the model has several actors", hint=f"Name one of {', '.join(model.info.identities)}.")
    return model.actors[0]


def _gain(actor: DeployedActor, given: float | None) -> float:
    if given is not None:
        return given
    return actor.config.parameters["input_strength"] if actor.info.applies_input_strength else 1.0


def _guard(
    graph: NetworkSession, model: DeployedModel, track: TrackSettings, schedule: WindowSchedule
) -> MouthGuard | None:
    """The guard of a track's mouth; None where it is off."""
    if not track.guard:
        return None
    rest = SilentFaces(
        graph,
        (track.actor, track.seed, schedule.fps),
        lambda emotion: settled_face(graph.tracks(model, [track]), schedule, emotion),
    )
    return MouthGuard(schedule, track.guard, rest)


def group_frames(outputs: Iterator[NetworkOutput], num_frames: int = BLOCK_FRAMES) -> Iterator[NetworkOutput]:
    """Concatenates outputs of one track, so that all but the last have at least `num_frames` frames."""
    pending: list[NetworkOutput] = []
    for output in outputs:
        pending.append(output)
        if sum(len(part.values) for part in pending) >= num_frames:
            yield _concatenated(pending)
            pending = []
    if pending:
        yield _concatenated(pending)


def _concatenated(outputs: list[NetworkOutput]) -> NetworkOutput:
    if len(outputs) == 1:
        return outputs[0]
    return NetworkOutput(
        outputs[0].track,
        tuple(chain.from_iterable(output.timestamps for output in outputs)),
        outputs[-1].next_timestamp,
        np.concatenate([output.values for output in outputs]),
        np.concatenate([output.emotion for output in outputs]),
        _concatenated_guarded([output.guarded for output in outputs]),
    )


def _concatenated_guarded(blocks: list[Float32Array | None]) -> Float32Array | None:
    found = [block for block in blocks if block is not None]
    return np.concatenate(found) if found else None


def check_finite_motion(output: NetworkOutput) -> NetworkOutput:
    """Checks network output before it enters the state of post-processing, and returns it.

    Raises:
        UserError: a value is NaN or infinite.
    """
    if not np.isfinite(output.values).all():
        raise UserError(
            f"the network outputs NaN or infinity from sample {output.timestamps[0]} on",
            hint="The training diverged; deploy an earlier run, or choose another seed.",
        )
    return output


class OutputFrames:
    """Network output of an executor of one track, from the first frame of the recording on.

    Consumers count a frame's sample with stride and offset rounded down each by itself, so that the first frame may lie
    a sample before the recording, where the executor skips it. It is then taken to be the frame after it.

    Args:
        executor: of one track.
    """

    def __init__(self, executor: Executor) -> None:
        self._executor = executor
        self._has_started = False

    def run(self) -> Iterator[Float32Array]:
        """Runs all available windows, and yields values `[frames, channels]`.

        Raises:
            UserError: the network outputs NaN or infinity.
        """
        for values, _ in self.guarded():
            yield values

    def guarded(self) -> Iterator[tuple[Float32Array, Float32Array]]:
        """As `run`: values, and those with the mouth at rest where nobody speaks; without a guard the same twice."""
        for output in group_frames(map(check_finite_motion, self._executor.run())):
            skipped = 0
            if not self._has_started:
                skipped = round(output.timestamps[0] * self._executor.fps / self._executor.samplerate)
            self._has_started = True
            values = _led_in(output.values, skipped)
            yield values, values if output.guarded is None else _led_in(output.guarded, skipped)


def _led_in(values: Float32Array, skipped: int) -> Float32Array:
    """The values after as many copies of their first frame."""
    return np.concatenate([np.repeat(values[:1], skipped, axis=0), values])
