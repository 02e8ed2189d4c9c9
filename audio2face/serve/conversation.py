"""One client's stream without its connection: messages in, frames out, in the order that the service prescribes.

A client sends a header, sound with emotions, and an end. `accept` takes its messages as they come; `work` animates in
slices of bounded length, in a thread of the server's pool, so that no stream waits long for another.
"""

from __future__ import annotations

import bisect
import math
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import islice
from typing import Any, NamedTuple

import numpy as np

from audio2face.animation.animation import AnimationFrame
from audio2face.errors import UserError
from audio2face.inference.streaming import AnimationStream
from audio2face.serve import wire
from audio2face.serve.emotion import RequestedEmotion
from audio2face.serve.faces import Face, WeightMap
from audio2face.serve.parameters import Request, SoundFormat

SLICE_FRAMES = 16  # that one call of `work` makes at most
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
    """The state of one stream. `accept`, `end` and `take` belong to one thread, `work` to one call at a time.

    Args:
        face: the face that speaks.
        limits: what the client may ask for.
        clock: seconds that never go back.
    """

    def __init__(self, face: Face, limits: Limits, clock: Callable[[], float] = time.monotonic) -> None:
        self._face, self._limits, self._clock = face, limits, clock
        self.request: Request | None = None
        self.format: SoundFormat | None = None
        self._arrived: list[Piece] = []
        self._bytes = 0
        self.first_arrival = 0.0  # when sound arrived first
        self.has_ended = False
        self.warnings: list[str] = []
        self._animation: _Animation | None = None
        self._has_more = False  # the last slice was full
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
            skel_animation_header=wire.new("animation.SkelAnimationHeader", blend_shapes=self._face.names),
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
        self._face.weights(request.weights)  # names are checked before anything is answered
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
        """Whether `work` has anything to do."""
        return bool(self._arrived) or self._has_more or (self.has_ended and not self._is_done)

    @property
    def is_done(self) -> bool:
        """Whether all frames have been made."""
        return self._is_done

    def take(self) -> tuple[list[Piece], bool]:
        """What has arrived since the last call, and whether nothing follows: the arguments of `work`."""
        pieces, self._arrived = self._arrived, []
        return pieces, self.has_ended

    def work(self, pieces: Sequence[Piece], has_ended: bool) -> list[SentFrame]:
        """Animates a slice.

        Returns:
            The next frames, up to `SLICE_FRAMES`; none where more sound is needed.

        Raises:
            UserError: an emotion is invalid, the sample rate too uncommon, or the network outputs NaN or infinity.
        """
        if self._animation is None:
            assert self.request is not None
            assert self.format is not None
            opened = self._face.open(self.request, self.format.samplerate, self._limits.seconds)
            self._animation = _Animation(self._face, *opened)
        animation = self._animation
        animation.take(pieces)
        frames = list(islice(animation.frames(has_ended), SLICE_FRAMES))
        self._has_more = len(frames) == SLICE_FRAMES
        self._is_done = has_ended and not self._has_more
        for name in sorted(animation.emotion.unknown):
            self._warn(f"The model has no emotion {name!r}; it was ignored.")
        return frames


class _Animation:
    """The animation of one stream, with the sound that has not been sent back yet."""

    def __init__(self, face: Face, stream: AnimationStream, emotion: RequestedEmotion, weights: WeightMap) -> None:
        self._face, self._stream, self.emotion, self._weights = face, stream, emotion, weights
        self._sound = bytearray()  # from the next frame on
        self._first = 0  # sample at which it begins
        self._fed = 0  # samples that the network has
        self._arrivals: list[tuple[int, float]] = []  # number of samples at the end of a piece, and when it came
        self._lookahead, self._fps = stream.lookahead, float(stream.fps)
        self._number = 0
        self._is_finished = False

    def take(self, pieces: Sequence[Piece]) -> None:
        for piece in pieces:
            self._sound += piece.sound
            for seconds, emotion in piece.emotions:
                self.emotion.request(seconds, emotion)
            if piece.sound:
                self._arrivals.append((self._received, piece.arrived))

    def frames(self, has_ended: bool) -> Iterator[SentFrame]:
        """The frames that what has arrived is enough for."""
        while True:
            for frame in self._stream.frames():
                yield self._sent(frame)
            if not self._feed(has_ended):
                return

    @property
    def _received(self) -> int:
        return self._first + len(self._sound) // 2

    def _feed(self, has_ended: bool) -> bool:
        """Hands the next sound to the network; returns whether there was any, or its end."""
        start = self._fed - self._first
        stop = min(start + int(_SLICE_SECONDS * self._stream.samplerate), len(self._sound) // 2)
        if stop > start:
            self._stream.push(np.frombuffer(bytes(self._sound[2 * start : 2 * stop]), "<i2"))
            self._fed += stop - start
            return True
        if not has_ended or self._is_finished:
            return False
        self._stream.finish()
        self._is_finished = True
        return True

    def _sent(self, frame: AnimationFrame) -> SentFrame:
        number, rate = self._number, self._stream.samplerate
        self._number += 1
        seconds = time_code(number, self._fps)
        fps = self._stream.fps
        stop = min((number + 1) * rate * fps.denominator // fps.numerator, self._received) - self._first
        sound = bytes(self._sound[: 2 * stop])
        del self._sound[: 2 * stop]
        self._first += stop
        weights = wire.new("animation.FloatArrayWithTimeCode", time_code=seconds, values=self._weights(frame).tolist())
        data = wire.new(
            "animation.AnimationData",
            skel_animation=wire.new("animation.SkelAnimation", blend_shape_weights=[weights]),
            audio=wire.new("animation.AudioWithTimeCode", time_code=seconds, audio_buffer=sound),
        )
        entry = data.metadata["emotion_aggregate"]
        entry.type_url, entry.value = wire.EMOTION_AGGREGATE, self._aggregate(seconds, frame)
        return SentFrame(seconds, _answer(animation_data=data), self._arrival(seconds))

    def _aggregate(self, seconds: float, frame: AnimationFrame) -> bytes:
        """Without `a2e_output`: the sample client ends with an error where it is filled."""
        names = self._face.emotions
        asked, shown = self.emotion.requested(seconds).tolist(), frame.emotion.tolist()
        keys = [
            wire.new("emotion.EmotionWithTimeCode", time_code=seconds, emotion=dict(zip(names, strengths, strict=True)))
            for strengths in (asked, shown)
        ]
        message = wire.new("emotion.EmotionAggregate", input_emotions=keys[:1], a2f_smoothed_output=keys[1:])
        data: bytes = message.SerializeToString()
        return data

    def _arrival(self, seconds: float) -> float:
        """When the last sample arrived that a frame needed; forgets what no later frame asks for."""
        needed = (seconds + self._lookahead) * self._stream.samplerate
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
