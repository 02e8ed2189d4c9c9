"""Poses of one moment of a clip, as an editor asks for them: clips are uploaded once, and posed at any time.

Frames are made up to the moment that is asked for, and kept, so that moving through a clip is quick.
"""

from __future__ import annotations

import asyncio
import hashlib
from collections import OrderedDict
from collections.abc import Hashable
from concurrent.futures import Executor
from dataclasses import dataclass
from itertools import islice
from typing import Any, Generic, TypeVar

import numpy as np

from audio2face.errors import UserError
from audio2face.serve import wire
from audio2face.serve.conversation import RefusedError
from audio2face.serve.faces import Face
from audio2face.serve.parameters import EmotionTuning, Request, SoundFormat, strengths
from audio2face.types import Float32Array

MAX_CLIP = 4 << 20  # bytes
_CLIPS, _ANIMATIONS = 32, 16  # that are kept
_SLICE_FRAMES = 16
Key = TypeVar("Key", bound=Hashable)
Value = TypeVar("Value")


class _Recent(Generic[Key, Value]):
    """The most recently used values."""

    def __init__(self, count: int) -> None:
        self._count = count
        self._values: OrderedDict[Key, Value] = OrderedDict()

    def get(self, key: Key) -> Value | None:
        if key in self._values:
            self._values.move_to_end(key)
        return self._values.get(key)

    def put(self, key: Key, value: Value) -> Value:
        self._values[key] = value
        self._values.move_to_end(key)
        while len(self._values) > self._count:
            self._values.popitem(last=False)
        return value


@dataclass(frozen=True)
class _Clip:
    format: SoundFormat
    sound: bytes

    @property
    def seconds(self) -> float:
        return len(self.sound) / self.format.bytes_per_second


class _PosedClip:
    """The frames of a clip with one set of parameters, as far as they have been asked for."""

    def __init__(self, face: Face, clip: _Clip, request: Request) -> None:
        self._face, self._clip, self._request = face, clip, request
        self.lock = asyncio.Lock()
        self.weights: list[Float32Array] = []
        self.emotion: list[Float32Array] = []
        self._frames: Any = None

    def extend(self) -> bool:
        """Makes the next frames; returns whether there were any."""
        if self._frames is None:
            samples = np.frombuffer(self._clip.sound[: len(self._clip.sound) // 2 * 2], "<i2")
            stream, _, self._map = self._face.open(self._request, self._clip.format.samplerate, self._clip.seconds)
            stream.push(samples)
            stream.finish()
            self._frames = stream.frames()
        made = list(islice(self._frames, _SLICE_FRAMES))
        self.weights += [self._map(frame) for frame in made]
        self.emotion += [frame.emotion for frame in made]
        return bool(made)


class Authoring:
    """Clips and their poses.

    Args:
        workers: threads that animate.
    """

    def __init__(self, workers: Executor) -> None:
        self._workers = workers
        self._clips: _Recent[str, _Clip] = _Recent(_CLIPS)
        self._posed: _Recent[tuple[str, str, bytes], _PosedClip] = _Recent(_ANIMATIONS)

    def upload(self, face: Face, data: bytes) -> bytes:
        """Answers `UploadAudioClip`.

        Raises:
            UserError: the clip is too large, or of another format.
        """
        message = wire.parse("authoring.AudioClip", data)
        if len(message.content) > MAX_CLIP:
            raise RefusedError(
                "RESOURCE_EXHAUSTED", f"the clip has {len(message.content):,} bytes, {MAX_CLIP:,} at most"
            )
        if len(message.content) < 2:
            raise UserError("the clip is empty")
        clip = _Clip(SoundFormat.read(message.audio_header), message.content)
        digest = hashlib.sha256(f"{clip.format.samplerate} ".encode() + message.content).hexdigest()
        self._clips.put(digest, clip)
        handle = wire.new("authoring.AudioClipHandle", audio_clip_id=digest, blendshape_names=face.names)
        return _bytes(handle)

    async def pose(self, face: Face, data: bytes) -> bytes:
        """Answers `GetAvatarFacePose`.

        Raises:
            UserError: the clip is unknown (RefusedError NOT_FOUND), or a parameter is wrong.
        """
        message = wire.parse("authoring.FacePoseRequest", data)
        clip = self._clips.get(message.audio_hash)
        if clip is None:
            raise RefusedError(
                "NOT_FOUND", "there is no such clip on this server", "Upload it again: clips are not kept."
            )
        if not 0 <= message.time_stamp <= clip.seconds + 1:
            raise UserError(f"the time is {message.time_stamp:g} s, expected 0 to {clip.seconds:g} s")
        posed = self._posed_clip(face, clip, message)
        loop, wanted = asyncio.get_running_loop(), round(message.time_stamp * float(face.fps))
        async with posed.lock:
            while len(posed.weights) <= wanted and await loop.run_in_executor(self._workers, posed.extend):
                pass
        if not posed.weights:
            raise UserError("the clip is too short for a frame")
        number = min(wanted, len(posed.weights) - 1)
        answer = wire.new(
            "authoring.BlendShapeData",
            blendshapes=posed.weights[number].tolist(),
            time_code=number / float(face.fps),
            emotions=dict(zip(face.emotions, posed.emotion[number].tolist(), strict=True)),
        )
        return _bytes(answer)

    def _posed_clip(self, face: Face, clip: _Clip, message: Any) -> _PosedClip:
        moment = message.time_stamp
        message.time_stamp = 0
        key = (face.name, message.audio_hash, message.SerializeToString(deterministic=True))
        message.time_stamp = moment
        found = self._posed.get(key)
        if found is not None:
            return found
        request = Request.read(message.face_params, message.emotion_pp_params, message.blendshape_params)
        preferred = strengths(message.preferred_emotions)
        tuning = EmotionTuning(preferred, request.emotion.strength, request.emotion.preferred)
        face.weights(request.weights)
        return self._posed.put(key, _PosedClip(face, clip, Request(request.face, tuning, request.weights)))


def _bytes(message: Any) -> bytes:
    data: bytes = message.SerializeToString()
    return data
