"""One client's stream without its connection: messages in, frames out, in the order that the service prescribes.

A client sends a header, sound with emotions, and an end. `accept` takes its messages as they come; `work_together`
animates slices of bounded length of several conversations, so that no stream waits long for another.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any, NamedTuple

from audio2face.errors import UserError
from audio2face.inference.sessions import Windows, run_windows
from audio2face.serve import wire
from audio2face.serve.faces import Face
from audio2face.serve.parameters import Request, SoundFormat
from audio2face.serve.stream_animation import Piece, SentFrame, StreamAnimation
from audio2face.types import Float32Array

SLICE_FRAMES = 16  # of one conversation that one call of `work_together` makes at most
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
        self._animation: StreamAnimation | None = None
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

    def open(self) -> StreamAnimation:
        """Opens the animation, where it is not open.

        Raises:
            UserError: the sample rate is too uncommon.
        """
        if self._animation is None:
            assert self.request is not None
            assert self.format is not None
            opened = self.face.open(self.request, self.format.samplerate, self._limits.seconds)
            self._animation = StreamAnimation(self.face, *opened)
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


def _answer(**part: Any) -> bytes:
    data: bytes = wire.new("controller.AnimationDataStream", **part).SerializeToString()
    return data


def status(code: int, text: str) -> bytes:
    """A status message."""
    return _answer(status=wire.new("status.Status", code=code, message=text))


def end_event() -> bytes:
    """The message that all sound has been animated."""
    return _answer(event=wire.new("controller.Event", event_type=0))
