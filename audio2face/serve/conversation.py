"""One client's stream without its connection: messages in, frames out, in the order that the service prescribes.

A client sends a header, sound with emotions, and an end. `accept` takes its messages as they come; `work_together`
animates slices of bounded length of several conversations, so that no stream waits long for another.
"""

from __future__ import annotations

import bisect
import math
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from itertools import islice
from typing import Any, NamedTuple

import numpy as np

from audio2face.errors import UserError
from audio2face.inference.sessions import Windows, run_windows
from audio2face.inference.weights import WeightFrame, WeightStream
from audio2face.serve import wire
from audio2face.serve.emotion import RequestedEmotion
from audio2face.serve.faces import Face, WeightMap
from audio2face.serve.parameters import Request, SoundFormat
from audio2face.types import Float32Array, Float64Array

SLICE_FRAMES = 16  # of one conversation that one call of `work_together` makes at most
_SLICE_SECONDS = 0.25  # of sound that is handed to the network at a time
NO_HEADER = "The header must be sent as the first message. Streaming aborted."
DATA_AFTER_END = "Data arrived after the end of the audio; it was ignored."


class RefusedError(UserError):
    """A stream that is refused.

    Args:
        code: name of the gRPC status.
        problem: what is wrong.
        hint: how to fix it.
    """

    def __init__(self, code: str, problem: str, hint: str | None = None) -> None:
        super().__init__(problem, hint=hint)
        self.code = code


def refused(error: UserError) -> RefusedError:
    """A user error as the answer to a client, without names of files."""
    return error if isinstance(error, RefusedError) else RefusedError("INVALID_ARGUMENT", error.problem, error.hint)


@dataclass(frozen=True)
class Limits:
    """What one stream may ask for.

    Attributes:
        seconds: of sound.
        idle: seconds in which nothing arrives and nothing is taken.
    """

    seconds: float = 600.0
    idle: float = 30.0


class Piece(NamedTuple):
    """Sound and emotions of one message, and when it arrived."""

    sound: bytes
    emotions: Sequence[tuple[float, Mapping[str, float]]]
    arrived: float


@dataclass(frozen=True, slots=True)
class SentFrame:
    """A frame as it is sent.

    Attributes:
        time: seconds from the start of the sound.
        data: the message.
        arrived: when the last sound arrived that it needed, on the clock of the conversation.
    """

    time: float
    data: bytes
    arrived: float


class Conversation:
    """The state of one stream. `accept`, `end` and `take` belong to one thread, the rest to `work_together`.

    Args:
        face: the face that speaks.
        limits: what the client may ask for.
        clock: seconds that never go back.
    """

    def __init__(self, face: Face, limits: Limits, clock: Callable[[], float] = time.monotonic) -> None:
        self.face, self._limits, self._clock = face, limits, clock
        self.request: Request | None = None
        self.format: SoundFormat | None = None
        self._arrived: list[Piece] = []
        self._bytes = 0
        self.first_arrival = 0.0  # when sound arrived first
        self.has_ended = False
        self.warnings: list[str] = []
        self._animation: _Animation | None = None
        self._has_more = False  # the last slice was full
        self._feeds_end = False  # no sound follows what the slice has
        self._is_done = False

    # --- the client's messages ---------------------------------------------------------------------------------------

    def accept(self, data: bytes) -> None:
        """Takes a message.

        Raises:
            UserError: it is not what the service expects; a RefusedError names the status.
        """
        message = wire.parse("controller.AudioStream", data)
        part = message.WhichOneof("part")
        if part == "audio_stream_header":
            self._begin(message.audio_stream_header)
        elif self.request is None:
            raise RefusedError("INVALID_ARGUMENT", NO_HEADER)
        elif self.has_ended:
            self._warn(DATA_AFTER_END)
        elif part == "audio_with_emotion":
            self._add(message.audio_with_emotion)
        elif part == "end_of_audio":
            self.end()
        else:
            raise RefusedError(
                "INVALID_ARGUMENT", "the message has neither a header, nor audio, nor the end of the audio"
            )

    def end(self) -> None:
        """Ends the sound, as the message for it does.

        Raises:
            RefusedError: there was no header.
        """
        if self.request is None:
            raise RefusedError("INVALID_ARGUMENT", NO_HEADER)
        self.has_ended = True
        if self._bytes % 2:
            self._warn("The audio ends within a sample; its last byte was ignored.")

    @property
    def seconds(self) -> float:
        """Seconds of sound that have arrived."""
        return 0.0 if self.format is None else self._bytes / self.format.bytes_per_second

    @property
    def header(self) -> bytes:
        """The first answer: the format of the sound, the names of the weights, and the time."""
        assert self.format is not None
        audio = wire.new(
            "audio.AudioHeader",
            channel_count=1,
            samples_per_second=self.format.samplerate,
            bits_per_sample=16,
        )
        header = wire.new(
            "controller.AnimationDataStreamHeader",
            audio_header=audio,
            skel_animation_header=wire.new("animation.SkelAnimationHeader", blend_shapes=self.face.names),
            start_time_code_since_epoch=time.time(),
        )
        return _answer(animation_data_stream_header=header)

    def _begin(self, header: Any) -> None:
        if self.request is not None:
            raise RefusedError("INVALID_ARGUMENT", "a second header arrived. Streaming aborted.")
        self.format = SoundFormat.read(header.audio_header)
        request = Request.read(
            header.face_params, header.emotion_post_processing_params, header.blendshape_params, header.emotion_params
        )
        self.face.weights(request.weights)  # names are checked before anything is answered
        self.request = request

    def _add(self, message: Any) -> None:
        assert self.format is not None
        if not self._bytes:
            self.first_arrival = self._clock()
        self._bytes += len(message.audio_buffer)
        if self.seconds > self._limits.seconds:
            raise RefusedError(
                "RESOURCE_EXHAUSTED",
                f"the audio is longer than {self._limits.seconds:g} s",
                "Send it in several streams, or raise --max-seconds of the server.",
            )
        emotions = [(key.time_code, dict(key.emotion)) for key in message.emotions]
        self._arrived.append(Piece(message.audio_buffer, emotions, self._clock()))

    def _warn(self, text: str) -> None:
        if text not in self.warnings:
            self.warnings.append(text)

    # --- the animation -----------------------------------------------------------------------------------------------

    @property
    def has_work(self) -> bool:
        """Whether `work_together` has anything to do."""
        return bool(self._arrived) or self._has_more or (self.has_ended and not self._is_done)

    @property
    def is_done(self) -> bool:
        """Whether all frames have been made."""
        return self._is_done

    def take(self) -> Job:
        """What has arrived since the last call, for `work_together`."""
        pieces, self._arrived = self._arrived, []
        return Job(self, pieces, self.has_ended)

    # The rest runs for one call of `work_together` at a time, in any thread.

    def open(self) -> _Animation:
        """Opens the animation, where it is not open.

        Raises:
            UserError: the sample rate is too uncommon.
        """
        if self._animation is None:
            assert self.request is not None
            assert self.format is not None
            opened = self.face.open(self.request, self.format.samplerate, self._limits.seconds)
            self._animation = _Animation(self.face, *opened)
        return self._animation

    def feed(self, pieces: Sequence[Piece], has_ended: bool) -> None:
        """Begins a slice with what `take` returned.

        Raises:
            UserError: an emotion is invalid, or the sample rate too uncommon.
        """
        self.open().take(pieces)
        self._feeds_end = has_ended

    def next_windows(self) -> Windows | None:
        """What the network takes next; None where the slice is full, or more sound is needed."""
        assert self._animation is not None
        if self._animation.num_made >= SLICE_FRAMES:
            return None
        return self._animation.next_windows(self._feeds_end)

    def accept_values(self, windows: Windows, values: Float32Array) -> None:
        """Takes the network's output for `next_windows`.

        Raises:
            UserError: it is NaN or infinite.
        """
        assert self._animation is not None
        self._animation.stream.accept(windows, values)

    def finish_slice(self) -> list[SentFrame]:
        """Ends the slice: the next frames, up to `SLICE_FRAMES`; none where more sound is needed."""
        animation = self._animation
        assert animation is not None
        frames = animation.sent(SLICE_FRAMES)
        self._has_more = animation.has_more
        self._is_done = self._feeds_end and not self._has_more
        for name in sorted(animation.emotion.unknown):
            self._warn(f"The model has no emotion {name!r}; it was ignored.")
        return frames


class Job(NamedTuple):
    """A slice of a conversation, with what `take` returned."""

    conversation: Conversation
    pieces: Sequence[Piece]
    has_ended: bool


def work_together(jobs: Sequence[Job], most_calls: int = SLICE_FRAMES) -> list[list[SentFrame] | Exception]:
    """Animates a slice of each of some conversations, whose faces have one network.

    Args:
        jobs: the slices.
        most_calls: of the network.

    Returns:
        The frames of each, or what is wrong with it.
    """
    results: list[list[SentFrame] | Exception] = [[] for _ in jobs]

    def attempt(place: int, step: Callable[[], Any]) -> Any:
        """The step's result; None where it or a step before it failed."""
        if isinstance(results[place], Exception):
            return None
        try:
            return step()
        except Exception as error:
            results[place] = error
            return None

    for place, (conversation, pieces, has_ended) in enumerate(jobs):
        attempt(place, partial(conversation.feed, pieces, has_ended))
    for _ in range(most_calls):
        found = [(place, attempt(place, job.conversation.next_windows)) for place, job in enumerate(jobs)]
        waiting = [(place, windows) for place, windows in found if windows is not None]
        if not waiting:
            break
        try:
            made = run_windows(jobs[0].conversation.face.graph, [windows for _, windows in waiting])
        except Exception as error:
            return [error] * len(jobs)
        for (place, windows), values in zip(waiting, made, strict=True):
            attempt(place, partial(jobs[place].conversation.accept_values, windows, values))
    for place, job in enumerate(jobs):
        results[place] = attempt(place, job.conversation.finish_slice) or results[place]
    return results


class _Animation:
    """The animation of one stream, with the sound that has not been sent back yet."""

    def __init__(self, face: Face, stream: WeightStream, emotion: RequestedEmotion, weights: WeightMap) -> None:
        self._face, self.stream, self.emotion, self._weights = face, stream, emotion, weights
        self._sound = bytearray()  # from the next frame on
        self._first = 0  # sample at which it begins
        self._fed = 0  # samples that the network has
        self._arrivals: list[tuple[int, float]] = []  # number of samples at the end of a piece, and when it came
        self._lookahead, self._fps = stream.lookahead, float(stream.fps)
        self._number = 0
        self._is_finished = False
        self.has_more = False  # more frames can be made of what has arrived
        self._emotions: dict[bytes, bytes] = {}  # the last vectors as they are sent

    @property
    def num_made(self) -> int:
        """Frames that have been made and not sent."""
        return self.stream.num_made

    def take(self, pieces: Sequence[Piece]) -> None:
        for piece in pieces:
            self._sound += piece.sound
            for seconds, emotion in piece.emotions:
                self.emotion.request(seconds, emotion)
            if piece.sound:
                self._arrivals.append((self._received, piece.arrived))
        self.has_more = True

    def next_windows(self, has_ended: bool) -> Windows | None:
        """What the network takes next; None where more sound is needed."""
        while (windows := self.stream.next_windows()) is None:
            if not self._feed(has_ended):
                self.has_more = False
                break
        return windows

    def sent(self, most: int) -> list[SentFrame]:
        """The next frames that have been made, as they are sent."""
        frames = [self._sent(frame) for frame in islice(self.stream.made_frames(), most)]
        self.has_more = self.has_more or self.num_made > 0
        return frames

    @property
    def _received(self) -> int:
        return self._first + len(self._sound) // 2

    def _feed(self, has_ended: bool) -> bool:
        """Hands the next sound to the network; returns whether there was any, or its end."""
        start = self._fed - self._first
        stop = min(start + int(_SLICE_SECONDS * self.stream.samplerate), len(self._sound) // 2)
        if stop > start:
            self.stream.push(np.frombuffer(bytes(self._sound[2 * start : 2 * stop]), "<i2"))
            self._fed += stop - start
            return True
        if not has_ended or self._is_finished:
            return False
        self.stream.finish()
        self._is_finished = True
        return True

    def _sent(self, frame: WeightFrame) -> SentFrame:
        number, rate = self._number, self.stream.samplerate
        self._number += 1
        seconds = time_code(number, self._fps)
        fps = self.stream.fps
        stop = min((number + 1) * rate * fps.denominator // fps.numerator, self._received) - self._first
        sound = bytes(self._sound[: 2 * stop])
        del self._sound[: 2 * stop]
        self._first += stop
        data = wire.frame(seconds, self._weights(frame), sound, self._aggregate(seconds, frame))
        return SentFrame(seconds, data, self._arrival(seconds))

    def _aggregate(self, seconds: float, frame: WeightFrame) -> bytes:
        asked = self.emotion.requested(seconds)
        return wire.emotion_aggregate(seconds, self._emotion(asked), self._emotion(frame.emotion))

    def _emotion(self, strengths: Float32Array | Float64Array) -> bytes:
        """An emotion as it is sent; it seldom changes."""
        key = strengths.tobytes()
        if key not in self._emotions:
            if len(self._emotions) > 1:
                self._emotions.clear()
            self._emotions[key] = wire.emotion_map(self._face.emotions, strengths.tolist())
        return self._emotions[key]

    def _arrival(self, seconds: float) -> float:
        """When the last sample arrived that a frame needed; forgets what no later frame asks for."""
        needed = (seconds + self._lookahead) * self.stream.samplerate
        place = min(bisect.bisect_left(self._arrivals, needed, key=lambda entry: entry[0]), len(self._arrivals) - 1)
        del self._arrivals[:place]
        return self._arrivals[0][1]


def time_code(number: int, fps: float) -> float:
    """The time of a frame; clients find its number as the time multiplied by the rate, rounded up."""
    seconds = number / fps
    return math.nextafter(seconds, 0) if seconds * fps > number else seconds


def _answer(**part: Any) -> bytes:
    data: bytes = wire.new("controller.AnimationDataStream", **part).SerializeToString()
    return data


def status(code: int, text: str) -> bytes:
    """A status message."""
    return _answer(status=wire.new("status.Status", code=code, message=text))


def end_event() -> bytes:
    """The message that all sound has been animated."""
    return _answer(event=wire.new("controller.Event", event_type=0))
