"""`network_info.json` of a regression network."""

from __future__ import annotations

from dataclasses import dataclass, field
from fractions import Fraction
from typing import Any

from audio2face.audio.resample import Resampler
from audio2face.errors import FILE_LABEL_WORDS, is_file_label
from audio2face.model_folder.network_info import (
    MAX_SAMPLES,
    MAX_VERTS,
    MAX_WIDTH,
    SAMPLERATES,
    NetworkInfo,
    TensorShape,
    read_eyes,
    read_identity,
    read_names,
    read_resampler,
    read_triples,
)
from audio2face.model_folder.validation import JsonObject
from audio2face.models.windows import WindowSchedule


@dataclass(frozen=True, kw_only=True)
class RegressionInfo(NetworkInfo):
    """Contents of `network_info.json` of a regression network.

    Attributes:
        actor: the actor's name.
        version: version of the model, for display.
        emotions: names of the explicit emotions.
        default_emotion: default emotion, one value per name.
        implicit_emotion_len: values of the implicit emotion.
        num_shapes_skin: components of the skin.
        num_shapes_tongue: components of the tongue.
        num_verts_skin: vertices of the skin.
        num_verts_tongue: vertices of the tongue.
        jaw_size: channels of the jaw, three per key point.
        eyes_size: channels of the eyes.
        buffer_len: samples of a window.
        buffer_ofs: sample of the frame within the window.
        samplerate: Hz.
        resampler: filter for audio of other rates.
        identities: the only actor.
    """

    type = "regression"
    has_emotion_database = True
    applies_input_strength = True
    predicts_coefficients = True
    frame_moment = Fraction(0)

    actor: str
    version: str
    emotions: tuple[str, ...]
    default_emotion: tuple[float, ...]
    implicit_emotion_len: int
    num_shapes_skin: int
    num_shapes_tongue: int
    num_verts_skin: int
    num_verts_tongue: int
    jaw_size: int
    eyes_size: int
    buffer_len: int
    buffer_ofs: int
    samplerate: int
    resampler: Resampler = "hann"
    identities: tuple[str, ...] = field(init=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "identities", (self.actor,))

    @property
    def skin_verts(self) -> int:
        """Number of vertices of the skin."""
        return self.num_verts_skin

    @property
    def tongue_verts(self) -> int:
        """Number of vertices of the tongue."""
        return self.num_verts_tongue

    @property
    def channel_sizes(self) -> tuple[int, int, int, int]:
        """Number of channels of skin, tongue, jaw and eyes, in this order."""
        return self.num_shapes_skin, self.num_shapes_tongue, self.jaw_size, self.eyes_size

    def windows(self, fps: Fraction | None = None) -> WindowSchedule:
        """The windows that audio is cut into.

        Args:
            fps: frames per second that are asked for; None: 30.

        Raises:
            UserError: the rate is out of range.
        """
        return WindowSchedule.centred(
            window=self.buffer_len,
            offset=self.buffer_ofs,
            samplerate=self.samplerate,
            fps=Fraction(30) if fps is None else fps,
        )

    @property
    def inputs(self) -> tuple[TensorShape, ...]:
        """The graph's inputs, in order."""
        emotion = (None, 1, self.implicit_emotion_len + len(self.emotions))
        return TensorShape("input", (None, 1, self.buffer_len)), TensorShape("emotion", emotion)

    @property
    def outputs(self) -> tuple[TensorShape, ...]:
        """The graph's only output."""
        return (TensorShape("result", (None, 1, self.values)),)

    def as_json(self) -> dict[str, Any]:
        """The content of the file."""
        return {
            "id": {"type": self.type, "actor": self.actor, "version": self.version, "output": "geometry"},
            "params": {
                "implicit_emotion_len": self.implicit_emotion_len,
                "explicit_emotions": list(self.emotions),
                "default_emotion": list(self.default_emotion),
                "identities": list(self.identities),
                "num_shapes_skin": self.num_shapes_skin,
                "num_shapes_tongue": self.num_shapes_tongue,
                "num_verts_skin": self.num_verts_skin,
                "num_verts_tongue": self.num_verts_tongue,
                "result_jaw_size": self.jaw_size,
                "result_eyes_size": self.eyes_size,
            },
            "audio_params": {
                "buffer_len": self.buffer_len,
                "buffer_ofs": self.buffer_ofs,
                "samplerate": self.samplerate,
                "resampler": self.resampler,
            },
        }

    @classmethod
    def read(cls, file: JsonObject) -> RegressionInfo:
        """Reads the file; reports invalid values."""
        actor, version = read_identity(file, cls.type)
        params, audio = file.child("params"), file.child("audio_params")
        emotions = read_names(params, "explicit_emotions", is_file_label, FILE_LABEL_WORDS)
        info = cls(
            actor=actor,
            version=version,
            emotions=emotions,
            default_emotion=params.numbers("default_emotion", len(emotions), 0, 1),
            implicit_emotion_len=params.count("implicit_emotion_len", 0, MAX_WIDTH),
            num_shapes_skin=params.count("num_shapes_skin", 1, MAX_WIDTH),
            num_shapes_tongue=params.count("num_shapes_tongue", 1, MAX_WIDTH),
            num_verts_skin=params.count("num_verts_skin", 1, MAX_VERTS),
            num_verts_tongue=params.count("num_verts_tongue", 1, MAX_VERTS),
            jaw_size=read_triples(params, "result_jaw_size"),
            eyes_size=read_eyes(params, "result_eyes_size"),
            buffer_len=audio.count("buffer_len", 1, MAX_SAMPLES),
            buffer_ofs=audio.count("buffer_ofs", 0, MAX_SAMPLES),
            samplerate=audio.count("samplerate", *SAMPLERATES),
            resampler=read_resampler(audio),
        )
        if info.buffer_ofs > info.buffer_len:
            audio.wrong("buffer_ofs", info.buffer_ofs, f"at most buffer_len, {info.buffer_len}")
        return info
