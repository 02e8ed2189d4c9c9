"""The animation of one stream of the service: pieces of sound in, messages of frames out, with the sound sent back."""

from __future__ import annotations

import bisect
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import islice
from typing import NamedTuple

import numpy as np

from audio2face.inference.sessions import Windows
from audio2face.inference.weights import WeightFrame, WeightStream
from audio2face.serve import wire
from audio2face.serve.emotion import RequestedEmotion
from audio2face.serve.faces import Face, WeightMap
from audio2face.types import Float32Array, Float64Array

_SLICE_SECONDS = 0.25  # of sound that is handed to the network at a time


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


class StreamAnimation:
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
