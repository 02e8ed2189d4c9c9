"""`network_info.json`: inputs and outputs of a deployed network, and everything that differs between kinds of networks
at inference.

`NetworkInfo` is what readers of a deployed folder ask, whichever family the network is of. Axes named "batch" are the
only ones that may vary.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass, field
from fractions import Fraction
from pathlib import Path
from typing import Any, ClassVar, Self, TypeVar

import numpy as np

from audio2face.errors import (
    FILE_LABEL_WORDS,
    LABEL_WORDS,
    FileFormatError,
    UserError,
    is_file_label,
    is_identifier,
    is_label,
)
from audio2face.families import FAMILIES, resolve
from audio2face.model_folder.validation import Accepts, Diagnostics, JsonObject, is_number, read_object
from audio2face.models.windows import WindowSchedule
from audio2face.types import Float32Array

INFO_FILE = "network_info.json"
Shape = tuple[int | None, ...]
EYE_VALUES = 4  # pitch and yaw in degrees, right eye first
SEVERAL_ACTORS = "multi"
_ACTOR_WORDS = "a name of 1 to 100 letters, digits, '_', and inside also '.' and '-'"
# Far beyond any practical network; larger values indicate damage, and would allocate memory.
_MAX_SAMPLES = 192_000 * 60
_MAX_FRAMES = 100_000
_MAX_WIDTH = 1 << 20
_MAX_VERTS = 10_000_000
_MAX_VALUES = 1 << 28  # of a window's noise: 1 GB
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
    shape: Shape

    def at(self, batch: int | str) -> str:
        """The shape in the syntax of `trtexec`, such as `window:1x16000`."""
        return f"{self.name}:" + "x".join(str(batch if length is None else length) for length in self.shape)


class NetworkInfo(ABC):
    """Contents of `network_info.json`; each kind of network has a frozen dataclass derived from this.

    Class attributes:
        type: name of the kind of network.
        has_emotion_database: whether the network has an implicit emotion input, with a database in the folder.
        applies_input_strength: whether the animation parameter `input_strength` is a gain on the audio.
        predicts_coefficients: whether skin and tongue come as coefficients of shapes; otherwise as deltas in
            centimetres, three values a vertex.
        frame_moment: time of a frame within its interval: 0 for its beginning, 1/2 for its middle.

    Attributes:
        actor: the actor's name, or "multi".
        version: version of the model, for display.
        emotions: names of the emotion input's values.
        default_emotion: default emotion, one value per name.
        identities: the actors, in the network's order.
        implicit_emotion_len: values of the implicit emotion.
        jaw_size: channels of the jaw, three per key point.
        eyes_size: channels of the eyes.
        buffer_len: samples of a window.
        samplerate: Hz.
    """

    type: ClassVar[str]
    has_emotion_database: ClassVar[bool] = False
    applies_input_strength: ClassVar[bool] = False
    predicts_coefficients: ClassVar[bool] = False
    frame_moment: ClassVar[Fraction] = Fraction(1, 2)

    actor: str
    version: str
    emotions: tuple[str, ...]
    default_emotion: tuple[float, ...]
    identities: tuple[str, ...]
    implicit_emotion_len: int = 0
    jaw_size: int
    eyes_size: int
    buffer_len: int
    samplerate: int

    # --- the file ----------------------------------------------------------------------------------------------------

    @classmethod
    @abstractmethod
    def read(cls, file: JsonObject) -> Self:
        """Reads the file; reports invalid values."""

    @abstractmethod
    def as_json(self) -> dict[str, Any]:
        """The content of the file."""

    # --- the graph ---------------------------------------------------------------------------------------------------

    @property
    @abstractmethod
    def inputs(self) -> tuple[TensorShape, ...]:
        """The graph's inputs, in order."""

    @property
    @abstractmethod
    def outputs(self) -> tuple[TensorShape, ...]:
        """The graph's outputs, in order."""

    @property
    def noise_shape(self) -> tuple[int, int, int] | None:
        """Shape of the noise of a window, `[draws, frames, channels]`; None for a network without noise."""
        return None

    # --- frames ------------------------------------------------------------------------------------------------------

    @property
    @abstractmethod
    def skin_verts(self) -> int:
        """Number of vertices of the skin."""

    @property
    @abstractmethod
    def tongue_verts(self) -> int:
        """Number of vertices of the tongue."""

    @property
    @abstractmethod
    def channel_sizes(self) -> tuple[int, int, int, int]:
        """Number of channels of skin, tongue, jaw and eyes, in this order."""

    @property
    def values(self) -> int:
        """Number of channels of a frame."""
        return sum(self.channel_sizes)

    def split_channels(self, values: Float32Array) -> tuple[Float32Array, Float32Array, Float32Array, Float32Array]:
        """Splits frames `[frames, channels]` into skin, tongue, jaw and eyes, each `[frames, size]`."""
        skin, tongue, jaw, eyes = np.split(values, np.cumsum(self.channel_sizes[:-1]), axis=1)
        return skin, tongue, jaw, eyes

    # --- time --------------------------------------------------------------------------------------------------------

    @property
    def native_fps(self) -> Fraction | None:
        """Frames per second of the network; None if it computes frames at any time."""
        return None

    @abstractmethod
    def windows(self, fps: Fraction | None = None) -> WindowSchedule:
        """The windows that audio is cut into.

        Args:
            fps: frames per second; None: those of the network, or 30 where it can be asked for any moment.

        Raises:
            UserError: the network cannot give that rate, or it would give no first frame of a recording.
        """

    # --- an actor's files --------------------------------------------------------------------------------------------

    @property
    def is_multi_actor(self) -> bool:
        """Whether the folder may contain several actors: `model.json` then lists one file per actor."""
        return FAMILIES[self.type].multi_actor

    def config_file(self, actor: str) -> str:
        """The file of an actor's animation parameters."""
        return f"model_config_{actor}.json" if self.is_multi_actor else "model_config.json"

    def data_file(self, actor: str) -> str:
        """The file of an actor's arrays."""
        return f"model_data_{actor}.npz" if self.is_multi_actor else "model_data.npz"

    @property
    def neutral_arrays(self) -> tuple[str, str]:
        """Names of an actor's arrays with the neutral skin and tongue."""
        if self.predicts_coefficients:
            return "shapes_mean_skin", "shapes_mean_tongue"
        return "neutral_skin", "neutral_tongue"

    @property
    def actor_arrays(self) -> dict[str, Shape]:
        """Names and shapes of an actor's arrays in the standard order (None: any length)."""
        skin, tongue = (self.skin_verts, 3), (self.tongue_verts, 3)
        skin_neutral, tongue_neutral = self.neutral_arrays
        num_skin, num_tongue = self.channel_sizes[:2]
        coefficients = self.predicts_coefficients
        arrays: dict[str, Shape] = {"shapes_matrix_skin": (num_skin, *skin)} if coefficients else {}
        arrays |= {skin_neutral: skin, "lip_open_pose_delta": skin, "eye_close_pose_delta": skin}
        if coefficients:
            arrays["shapes_matrix_tongue"] = (num_tongue, *tongue)
        arrays[tongue_neutral] = tongue
        return arrays | {"neutral_jaw": (self.jaw_size // 3, 3), "saccade_rot_matrix": (None, 2)}


@dataclass(frozen=True, kw_only=True)
class DiffusionInfo(NetworkInfo):
    """Contents of `network_info.json` of a diffusion network.

    Attributes:
        actor: the actor's name, or "multi".
        version: version of the model, for display.
        emotions: names of the emotion input's values.
        default_emotion: default emotion, one value per name.
        identities: names of the identity input's values.
        skin_size: channels of the skin, three per vertex.
        tongue_size: channels of the tongue, three per vertex.
        jaw_size: channels of the jaw, three per key point.
        eyes_size: channels of the eyes.
        num_diffusion_steps: denoising steps in the graph.
        num_gru_layers: layers of the recurrent part.
        gru_latent_dim: width of the hidden state.
        num_frames_left_truncate: context frames of a window before those used.
        num_frames_right_truncate: context frames after them.
        num_frames_center: frames used.
        buffer_len: samples of a window.
        padding_left: samples of silence before the first window.
        padding_right: samples of silence after the last.
        samplerate: Hz.
    """

    type = "diffusion"

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
    def channel_sizes(self) -> tuple[int, int, int, int]:
        """Number of channels of skin, tongue, jaw and eyes, in this order."""
        return self.skin_size, self.tongue_size, self.jaw_size, self.eyes_size

    @property
    def fps(self) -> Fraction:
        """Frames per second, given by the window."""
        return Fraction(self.frames * self.samplerate, self.buffer_len)

    @property
    def native_fps(self) -> Fraction:
        """Frames per second, given by the window."""
        return self.fps

    def windows(self, fps: Fraction | None = None) -> WindowSchedule:
        """The windows that audio is cut into.

        Args:
            fps: frames per second that are asked for; None: the network's own, which are the only ones.

        Raises:
            UserError: the network has another rate, or it would give no first frame of a recording.
        """
        if fps not in (None, self.fps):
            raise UserError(f"the network gives {self.fps} frames per second, it cannot give {fps}")
        return WindowSchedule.divided(
            window=self.buffer_len,
            left_context=self.num_frames_left_truncate,
            hop=self.num_frames_center,
            right_context=self.num_frames_right_truncate,
            padding=self.padding_left,
            samplerate=self.samplerate,
        ).require_beginning()

    @property
    def noise_shape(self) -> tuple[int, int, int]:
        """Shape of the noise of a window, `[steps + 1, frames, channels]`."""
        return self.num_diffusion_steps + 1, self.frames, self.values

    @property
    def skin_verts(self) -> int:
        """Number of vertices of the skin."""
        return self.skin_size // 3

    @property
    def tongue_verts(self) -> int:
        """Number of vertices of the tongue."""
        return self.tongue_size // 3

    @property
    def inputs(self) -> tuple[TensorShape, ...]:
        """The graph's inputs, in order."""
        latents = self._latents("input_latents")
        return (
            TensorShape("window", (None, self.buffer_len)),
            TensorShape("identity", (None, len(self.identities))),
            TensorShape("emotion", (None, self.num_frames_center, len(self.emotions))),
            latents,
            TensorShape("noise", (None, *self.noise_shape)),
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
            "id": {"type": self.type, "actor": self.actor, "version": self.version, "output": "geometry"},
            "params": {key: value for key, value in values.items() if key not in ("actor", "version", *audio)},
            "audio_params": {key: values[key] for key in audio},
        }

    @classmethod
    def read(cls, file: JsonObject) -> DiffusionInfo:
        """Reads the file; reports invalid values."""
        actor, version = read_identity(file, cls.type)
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
            num_diffusion_steps=params.count("num_diffusion_steps", 1, _MAX_FRAMES),
            num_gru_layers=params.count("num_gru_layers", 1, _MAX_WIDTH),
            gru_latent_dim=params.count("gru_latent_dim", 1, _MAX_WIDTH),
            num_frames_left_truncate=params.count("num_frames_left_truncate", 0, _MAX_FRAMES),
            num_frames_right_truncate=params.count("num_frames_right_truncate", 0, _MAX_FRAMES),
            num_frames_center=params.count("num_frames_center", 1, _MAX_FRAMES),
            buffer_len=audio.count("buffer_len", 1, _MAX_SAMPLES),
            padding_left=audio.count("padding_left", 0, _MAX_SAMPLES),
            padding_right=audio.count("padding_right", 0, _MAX_SAMPLES),
            samplerate=audio.count("samplerate", *_RATES),
        )
        if params.values is not None and audio.values is not None and file.faults.is_sound:
            info._note_window(file)
        return info

    def _note_window(self, file: JsonObject) -> None:
        """Reports a window that the SDK cannot process."""
        noise = (self.num_diffusion_steps + 1) * self.frames * self.values
        latents = self.num_diffusion_steps * self.num_gru_layers * self.gru_latent_dim
        if noise % 2:
            file.faults.error(
                f"the noise of a window has {noise} values; the SDK's generator gives even numbers only",
                "Train with an even number of frames in a window.",
            )
        if max(noise, latents) > _MAX_VALUES:
            file.faults.error(
                f"a window takes {max(noise, latents)} values, more than {_MAX_VALUES}",
                "Correct the sizes under params.",
            )
        if not 1 <= self.fps <= _FASTEST:
            file.faults.error(
                f"{self.frames} frames in {self.buffer_len} samples at {self.samplerate} Hz are "
                f"{float(self.fps):.6g} frames per second, expected 1 to {_FASTEST}",
                "Correct the numbers of frames, buffer_len or samplerate.",
            )


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
            },
        }

    @classmethod
    def read(cls, file: JsonObject) -> RegressionInfo:
        """Reads the file; reports invalid values."""
        actor, version = read_identity(file, cls.type)
        params, audio = file.child("params"), file.child("audio_params")
        emotions = _names(params, "explicit_emotions", is_file_label, FILE_LABEL_WORDS)
        info = cls(
            actor=actor,
            version=version,
            emotions=emotions,
            default_emotion=params.numbers("default_emotion", len(emotions), 0, 1),
            implicit_emotion_len=params.count("implicit_emotion_len", 0, _MAX_WIDTH),
            num_shapes_skin=params.count("num_shapes_skin", 1, _MAX_WIDTH),
            num_shapes_tongue=params.count("num_shapes_tongue", 1, _MAX_WIDTH),
            num_verts_skin=params.count("num_verts_skin", 1, _MAX_VERTS),
            num_verts_tongue=params.count("num_verts_tongue", 1, _MAX_VERTS),
            jaw_size=_triples(params, "result_jaw_size"),
            eyes_size=_eyes(params, "result_eyes_size"),
            buffer_len=audio.count("buffer_len", 1, _MAX_SAMPLES),
            buffer_ofs=audio.count("buffer_ofs", 0, _MAX_SAMPLES),
            samplerate=audio.count("samplerate", *_RATES),
        )
        if info.buffer_ofs > info.buffer_len:
            audio.wrong("buffer_ofs", info.buffer_ofs, f"at most buffer_len, {info.buffer_len}")
        return info


Info = TypeVar("Info", bound=NetworkInfo)


def info_class(network_type: str) -> type[NetworkInfo]:
    """The class of `network_info.json` of a kind of network.

    Raises:
        KeyError: there is no such family.
    """
    found: type[NetworkInfo] = resolve(FAMILIES[network_type].info)
    return found


def read_info(file: JsonObject) -> NetworkInfo | None:
    """Reads the file of any kind of network; None if the type is unknown."""
    identity = file.child("id")
    kind = identity.text("type")
    if kind not in FAMILIES:
        if kind:
            identity.wrong("type", kind, " or ".join(f'"{name}"' for name in sorted(FAMILIES)))
        return None
    return info_class(kind).read(file)


def open_info(folder: Path) -> NetworkInfo:
    """Reads the file of a folder.

    Raises:
        FileFormatError: it is missing, or something in it is wrong.
    """
    faults = Diagnostics()
    info = read_info(read_object(folder / INFO_FILE, faults.for_file(INFO_FILE)))
    faults.raise_first(folder)
    assert info is not None  # None only with errors
    return info


def open_info_of(folder: Path, kind: type[Info]) -> Info:
    """Reads the file of a folder with a network of one kind.

    Args:
        folder: the folder.
        kind: the class of that kind.

    Raises:
        FileFormatError: as `open_info`, or the network is of another family.
    """
    info = open_info(folder)
    if not isinstance(info, kind):
        raise FileFormatError(f"does not describe a {kind.type} network", path=folder / INFO_FILE)
    return info


def read_identity(file: JsonObject, kind: str) -> tuple[str, str]:
    """Actor and version of a network of one kind; reports invalid values."""
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
    """At least one name: the SDK allocates inputs for emotions and identities, which must not be empty."""
    names = params.names(key, accepts, words)
    if params.has(key) and not names:
        params.wrong(key, [], "at least one name")
    if len({name.lower() for name in names}) != len(names):
        params.wrong(key, list(names), "names that differ, in more than upper and lower case")
    return names


def _triples(params: JsonObject, key: str) -> int:
    value = params.count(key, 3, 3 * _MAX_VERTS)
    if value % 3:
        params.wrong(key, value, "a multiple of 3")
    return value


def _eyes(params: JsonObject, key: str) -> int:
    value = params.count(key)
    if value != EYE_VALUES and params.has(key):
        params.wrong(key, value, f"{EYE_VALUES}: pitch and yaw of the right and of the left eye")
    return value
