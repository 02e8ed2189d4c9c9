"""The deployed network: its `network_info.json`, and the session that runs its graph. Without torch."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields
from fractions import Fraction
from pathlib import Path
from typing import Any

import onnxruntime

from audio2face.audio import Resampler
from audio2face.inference.onnx_session import GraphDevice, open_session
from audio2face.inference.sessions import TrackSettings
from audio2face.model_folder import DeployedModel, NetworkInfo, TensorShape
from audio2face.model_folder.network_info import open_info_of, read_identity, read_resampler
from audio2face.model_folder.trt_info import ONNX_FILE
from audio2face.model_folder.validation import JsonObject
from audio2face.models.windows import WindowSchedule
from audio2face.types import BoolArray, Float32Array

_SIZES = ("num_shapes_skin", "num_shapes_tongue", "num_verts_skin", "num_verts_tongue", "jaw_size", "eyes_size")


@dataclass(frozen=True, kw_only=True)
class LoudnessInfo(NetworkInfo):
    """What `network_info.json` says of the network; a window lies around the time of its frame."""

    type = "loudness"
    predicts_coefficients = True

    actor: str
    version: str
    emotions: tuple[str, ...]
    default_emotion: tuple[float, ...]
    identities: tuple[str, ...]
    num_shapes_skin: int
    num_shapes_tongue: int
    num_verts_skin: int
    num_verts_tongue: int
    jaw_size: int
    eyes_size: int
    buffer_len: int
    samplerate: int
    resampler: Resampler = "hann"

    @property
    def skin_verts(self) -> int:
        return self.num_verts_skin

    @property
    def tongue_verts(self) -> int:
        return self.num_verts_tongue

    @property
    def channel_sizes(self) -> tuple[int, int, int, int]:
        return self.num_shapes_skin, self.num_shapes_tongue, self.jaw_size, self.eyes_size

    def windows(self, fps: Fraction | None = None) -> WindowSchedule:
        return WindowSchedule.centred(
            window=self.buffer_len, offset=self.buffer_len // 2, samplerate=self.samplerate, fps=fps or Fraction(30)
        )

    @property
    def inputs(self) -> tuple[TensorShape, ...]:
        return (TensorShape("window", (None, self.buffer_len)),)

    @property
    def outputs(self) -> tuple[TensorShape, ...]:
        return (TensorShape("face", (None, 1, self.values)),)

    def as_json(self) -> dict[str, Any]:
        values = {field.name: getattr(self, field.name) for field in fields(self)}
        params = {name: list(value) if isinstance(value, tuple) else value for name, value in values.items()}
        identity = {"type": self.type, "actor": params.pop("actor"), "version": params.pop("version")}
        return {"id": {**identity, "output": "geometry"}, "params": params}

    @classmethod
    def read(cls, file: JsonObject) -> LoudnessInfo:
        actor, version = read_identity(file, cls.type)
        params = file.child("params")
        emotions = params.names("emotions")
        return cls(
            actor=actor,
            version=version,
            emotions=emotions,
            default_emotion=params.numbers("default_emotion", len(emotions), 0, 1),
            identities=params.names("identities"),
            **{name: params.count(name) for name in _SIZES},
            buffer_len=params.count("buffer_len", 1),
            samplerate=params.count("samplerate", 1),
            resampler=read_resampler(params),
        )


class LoudnessSession:
    """A `NetworkSession`. It keeps no state between windows, so it is its own `NetworkTracks`."""

    def __init__(self, session: onnxruntime.InferenceSession) -> None:
        self._session = session

    @classmethod
    def open(cls, folder: Path, device: GraphDevice = "cpu") -> LoudnessSession:
        return cls(open_session(folder / ONNX_FILE, open_info_of(folder, LoudnessInfo), device))

    def tracks(self, model: DeployedModel, tracks: Sequence[TrackSettings]) -> LoudnessSession:
        return self

    def reset(self) -> None:
        """Nothing is kept between windows."""

    def run(self, audio: Float32Array, emotion: Float32Array, executed: BoolArray) -> Float32Array:
        face: Float32Array = self._session.run(["face"], {"window": audio})[0]
        return face
