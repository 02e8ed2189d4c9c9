"""`network_info.json`: what a deployed network takes and gives, and the tensors that follow from it.

Knows both network types. Axes named "batch" are the only ones that may vary.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import Any

from audio2face.errors import FILE_LABEL_WORDS, LABEL_WORDS, is_file_label, is_identifier, is_label
from audio2face.model_folder.validation import Accepts, Diagnostics, JsonObject, is_number, read_object

INFO_FILE = "network_info.json"
EYE_VALUES = 4  # pitch and yaw in degrees, right eye first
SEVERAL_ACTORS = "multi"
_ACTOR_WORDS = "a name of 1 to 100 letters, digits, '_', and inside also '.' and '-'"
# Far beyond any network that runs on a machine of today; what is larger is damage, and would be given memory.
_MOST_SAMPLES = 192_000 * 60
_MOST_FRAMES = 100_000
_MOST_WIDTH = 1 << 20
_MOST_VERTS = 10_000_000
_MOST_VALUES = 1 << 28  # of a window's noise: 1 GB
_RATES = (1_000, 192_000)  # Hz
_FASTEST = 1_000  # frames per second


@dataclass(frozen=True)
class TensorShape:
    """A float32 tensor of the network.

    Attributes:
        name: its name in the graph.
        shape: lengths of its axes; None for the batch.
    """

    name: str
    shape: tuple[int | None, ...]

    def at(self, batch: int | str) -> str:
        """The shape as `trtexec` reads it, such as `window:1x16000`."""
        return f"{self.name}:" + "x".join(str(batch if length is None else length) for length in self.shape)


@dataclass(frozen=True, kw_only=True)
class DiffusionInfo:
    """What `network_info.json` says of a diffusion network.

    Attributes:
        actor: the actor's name, or "multi".
        version: version of the model, for people.
        emotions: names of the values of the emotion input.
        default_emotion: the emotion to use when a user gives none, one value for each name.
        identities: names of the values of the identity input.
        skin_size: values of the skin in a frame, three a vertex.
        tongue_size: values of the tongue, three a vertex.
        jaw_size: values of the jaw, three a key point.
        eyes_size: values of the eyes.
        num_diffusion_steps: denoising steps inside the graph.
        num_gru_layers: layers of the recurrent part.
        gru_latent_dim: its width.
        num_frames_left_truncate: frames of a window before those that count.
        num_frames_right_truncate: frames after them.
        num_frames_center: frames that count.
        buffer_len: samples of a window.
        padding_left: samples of silence before the first window.
        padding_right: samples of silence after the last.
        samplerate: Hz.
    """

    actor: str
    version: str
    emotions: tuple[str, ...]
    default_emotion: tuple[float, ...]
    identities: tuple[str, ...]
    skin_size: int
    tongue_size: int
    jaw_size: int
    eyes_size: int
    num_diffusion_steps: int
    num_gru_layers: int
    gru_latent_dim: int
    num_frames_left_truncate: int
    num_frames_right_truncate: int
    num_frames_center: int
    buffer_len: int
    padding_left: int
    padding_right: int
    samplerate: int

    @property
    def frames(self) -> int:
        """Frames that a window spans."""
        return self.num_frames_left_truncate + self.num_frames_center + self.num_frames_right_truncate

    @property
    def values(self) -> int:
        """Values of one frame."""
        return self.skin_size + self.tongue_size + self.jaw_size + self.eyes_size

    @property
    def fps(self) -> Fraction:
        """Frames per second, which follow from the window."""
        return Fraction(self.frames * self.samplerate, self.buffer_len)

    @property
    def skin_verts(self) -> int:
        """Vertices of the skin."""
        return self.skin_size // 3

    @property
    def tongue_verts(self) -> int:
        """Vertices of the tongue."""
        return self.tongue_size // 3

    @property
    def inputs(self) -> tuple[TensorShape, ...]:
        """The graph's inputs, in order."""
        steps, latents = self.num_diffusion_steps, self._latents("input_latents")
        return (
            TensorShape("window", (None, self.buffer_len)),
            TensorShape("identity", (None, len(self.identities))),
            TensorShape("emotion", (None, self.num_frames_center, len(self.emotions))),
            latents,
            TensorShape("noise", (None, steps + 1, self.frames, self.values)),
        )

    @property
    def outputs(self) -> tuple[TensorShape, ...]:
        """The graph's outputs, in order."""
        return TensorShape("prediction", (None, self.frames, self.values)), self._latents("output_latents")

    def _latents(self, name: str) -> TensorShape:
        return TensorShape(name, (self.num_diffusion_steps, self.num_gru_layers, None, self.gru_latent_dim))

    def as_json(self) -> dict[str, Any]:
        """The content of the file."""
        audio = ("buffer_len", "padding_left", "padding_right", "samplerate")
        values = {name: list(value) if isinstance(value, tuple) else value for name, value in vars(self).items()}
        return {
            "id": {"type": "diffusion", "actor": self.actor, "version": self.version, "output": "geometry"},
            "params": {key: value for key, value in values.items() if key not in ("actor", "version", *audio)},
            "audio_params": {key: values[key] for key in audio},
        }

    @classmethod
    def read(cls, file: JsonObject) -> DiffusionInfo:
        """Takes the values out of the file; notes what does not fit."""
        actor, version = _identity(file, "diffusion")
        params, audio = file.child("params"), file.child("audio_params")
        emotions = _names(params, "emotions", is_file_label, FILE_LABEL_WORDS)
        info = cls(
            actor=actor,
            version=version,
            emotions=emotions,
            default_emotion=params.numbers("default_emotion", len(emotions), 0, 1),
            identities=_names(params, "identities", is_identifier, _ACTOR_WORDS),
            skin_size=_triples(params, "skin_size"),
            tongue_size=_triples(params, "tongue_size"),
            jaw_size=_triples(params, "jaw_size"),
            eyes_size=_eyes(params, "eyes_size"),
            num_diffusion_steps=params.count("num_diffusion_steps", 1, _MOST_FRAMES),
            num_gru_layers=params.count("num_gru_layers", 1, _MOST_WIDTH),
            gru_latent_dim=params.count("gru_latent_dim", 1, _MOST_WIDTH),
            num_frames_left_truncate=params.count("num_frames_left_truncate", 0, _MOST_FRAMES),
            num_frames_right_truncate=params.count("num_frames_right_truncate", 0, _MOST_FRAMES),
            num_frames_center=params.count("num_frames_center", 1, _MOST_FRAMES),
            buffer_len=audio.count("buffer_len", 1, _MOST_SAMPLES),
            padding_left=audio.count("padding_left", 0, _MOST_SAMPLES),
            padding_right=audio.count("padding_right", 0, _MOST_SAMPLES),
            samplerate=audio.count("samplerate", *_RATES),
        )
        if params.values is not None and audio.values is not None and file.faults.is_sound:
            info._note_window(file)
        return info

    def _note_window(self, file: JsonObject) -> None:
        """Notes a window that no consumer can work with."""
        noise = (self.num_diffusion_steps + 1) * self.frames * self.values
        latents = self.num_diffusion_steps * self.num_gru_layers * self.gru_latent_dim
        if noise % 2:
            file.faults.error(
                f"the noise of a window has {noise} values; the SDK's generator gives even numbers only",
                "Train with an even number of frames in a window.",
            )
        if max(noise, latents) > _MOST_VALUES:
            file.faults.error(
                f"a window takes {max(noise, latents)} values, more than {_MOST_VALUES}",
                "Correct the sizes under params.",
            )
        if not 1 <= self.fps <= _FASTEST:
            file.faults.error(
                f"{self.frames} frames in {self.buffer_len} samples at {self.samplerate} Hz are "
                f"{float(self.fps):.6g} frames per second, expected 1 to {_FASTEST}",
                "Correct the numbers of frames, buffer_len or samplerate.",
            )


@dataclass(frozen=True, kw_only=True)
class RegressionInfo:
    """What `network_info.json` says of a regression network.

    Attributes:
        actor: the actor's name.
        version: version of the model, for people.
        emotions: names of the explicit emotions.
        default_emotion: the emotion to use when a user gives none, one value for each name.
        implicit_emotion_len: values of the implicit emotion.
        num_shapes_skin: shapes of the skin.
        num_shapes_tongue: shapes of the tongue.
        num_verts_skin: vertices of the skin.
        num_verts_tongue: vertices of the tongue.
        jaw_size: values of the jaw, three a key point.
        eyes_size: values of the eyes.
        buffer_len: samples of a window.
        buffer_ofs: the sample of the window that the described frame lies on.
        samplerate: Hz.
    """

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

    @property
    def identities(self) -> tuple[str, ...]:
        """The only actor."""
        return (self.actor,)

    @property
    def skin_verts(self) -> int:
        """Vertices of the skin."""
        return self.num_verts_skin

    @property
    def tongue_verts(self) -> int:
        """Vertices of the tongue."""
        return self.num_verts_tongue

    @property
    def values(self) -> int:
        """Values of one frame."""
        return self.num_shapes_skin + self.num_shapes_tongue + self.jaw_size + self.eyes_size

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
            "id": {"type": "regression", "actor": self.actor, "version": self.version, "output": "geometry"},
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
            },
        }

    @classmethod
    def read(cls, file: JsonObject) -> RegressionInfo:
        """Takes the values out of the file; notes what does not fit."""
        actor, version = _identity(file, "regression")
        params, audio = file.child("params"), file.child("audio_params")
        emotions = _names(params, "explicit_emotions", is_file_label, FILE_LABEL_WORDS)
        info = cls(
            actor=actor,
            version=version,
            emotions=emotions,
            default_emotion=params.numbers("default_emotion", len(emotions), 0, 1),
            implicit_emotion_len=params.count("implicit_emotion_len", 0, _MOST_WIDTH),
            num_shapes_skin=params.count("num_shapes_skin", 1, _MOST_WIDTH),
            num_shapes_tongue=params.count("num_shapes_tongue", 1, _MOST_WIDTH),
            num_verts_skin=params.count("num_verts_skin", 1, _MOST_VERTS),
            num_verts_tongue=params.count("num_verts_tongue", 1, _MOST_VERTS),
            jaw_size=_triples(params, "result_jaw_size"),
            eyes_size=_eyes(params, "result_eyes_size"),
            buffer_len=audio.count("buffer_len", 1, _MOST_SAMPLES),
            buffer_ofs=audio.count("buffer_ofs", 0, _MOST_SAMPLES),
            samplerate=audio.count("samplerate", *_RATES),
        )
        if info.buffer_ofs > info.buffer_len:
            audio.wrong("buffer_ofs", info.buffer_ofs, f"at most buffer_len, {info.buffer_len}")
        return info


NetworkInfo = DiffusionInfo | RegressionInfo
_TYPES: Mapping[str, type[DiffusionInfo] | type[RegressionInfo]] = {
    "diffusion": DiffusionInfo,
    "regression": RegressionInfo,
}


def read_info(file: JsonObject) -> NetworkInfo | None:
    """Reads the file whichever type it is of; None where the type is not one of the two."""
    identity = file.child("id")
    kind = identity.text("type")
    if kind not in _TYPES:
        if kind:
            identity.wrong("type", kind, " or ".join(f'"{name}"' for name in _TYPES))
        return None
    return _TYPES[kind].read(file)


def open_info(folder: Path) -> NetworkInfo:
    """Reads the file of a folder.

    Raises:
        FileFormatError: it is missing, or something in it is wrong.
    """
    faults = Diagnostics()
    info = read_info(read_object(folder / INFO_FILE, faults.for_file(INFO_FILE)))
    faults.raise_first(folder)
    assert info is not None  # it is None only where errors were noted
    return info


def _identity(file: JsonObject, kind: str) -> tuple[str, str]:
    identity = file.child("id")
    identity.text("type", kind)
    identity.text("output", "geometry")
    version = identity.values.get("version") if identity.values else None
    if is_number(version):
        version = str(version)
    if version not in (None, "") and not is_label(version):
        identity.wrong("version", version, LABEL_WORDS)
        version = None
    return identity.name("actor", is_identifier, _ACTOR_WORDS), str(version or "")


def _names(params: JsonObject, key: str, accepts: Accepts, words: str) -> tuple[str, ...]:
    """At least one name: the SDK allocates inputs for emotions and identities, and cannot allocate nothing."""
    names = params.names(key, accepts, words)
    if params.has(key) and not names:
        params.wrong(key, [], "at least one name")
    if len({name.lower() for name in names}) != len(names):
        params.wrong(key, list(names), "names that differ, in more than upper and lower case")
    return names


def _triples(params: JsonObject, key: str) -> int:
    value = params.count(key, 3, 3 * _MOST_VERTS)
    if value % 3:
        params.wrong(key, value, "a multiple of 3")
    return value


def _eyes(params: JsonObject, key: str) -> int:
    value = params.count(key)
    if value != EYE_VALUES and params.has(key):
        params.wrong(key, value, f"{EYE_VALUES}: pitch and yaw of the right and of the left eye")
    return value
