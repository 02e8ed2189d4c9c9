"""`network_info.json`: inputs and outputs of a deployed network, and everything that differs between kinds of networks
at inference.

`NetworkInfo` is what readers of a deployed folder ask, whichever family the network is of; each family derives its own
class from it. Axes named "batch" are the only ones that may vary.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import Any, ClassVar, Self, TypeVar, cast, get_args

import numpy as np

from audio2face.audio.resample import Resampler
from audio2face.errors import LABEL_WORDS, FileFormatError, is_identifier, is_label
from audio2face.families import FAMILIES, resolve
from audio2face.model_folder.validation import Accepts, Diagnostics, JsonObject, is_number, read_object
from audio2face.models.windows import WindowSchedule
from audio2face.types import Float32Array

INFO_FILE = "network_info.json"
Shape = tuple[int | None, ...]
EYE_VALUES = 4  # pitch and yaw in degrees, right eye first
SEVERAL_ACTORS = "multi"
ACTOR_WORDS = "a name of 1 to 100 letters, digits, '_', and inside also '.' and '-'"
# Far beyond any practical network; larger values indicate damage, and would allocate memory.
MAX_SAMPLES = 192_000 * 60
MAX_FRAMES = 100_000
MAX_WIDTH = 1 << 20
MAX_VERTS = 10_000_000
SAMPLERATES = (1_000, 192_000)  # Hz


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
        runs_in_sdk: whether the Audio2Face-3D SDK knows this kind of network.
        extra_files: files of an export beside the graph.
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
        resampler: filter for audio of other rates, as in training; readers other than ours ignore it.
    """

    type: ClassVar[str]
    has_emotion_database: ClassVar[bool] = False
    applies_input_strength: ClassVar[bool] = False
    predicts_coefficients: ClassVar[bool] = False
    runs_in_sdk: ClassVar[bool] = True
    extra_files: ClassVar[tuple[str, ...]] = ()
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
    resampler: Resampler = "hann"

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
    return identity.name("actor", is_identifier, ACTOR_WORDS), str(version or "")


def read_resampler(audio: JsonObject) -> Resampler:
    """The filter for audio of other rates; that of the reference where none is recorded. Reports an unknown one."""
    value = audio.text("resampler") if audio.has("resampler") else "hann"
    for known in get_args(Resampler):
        if value == known:
            return cast(Resampler, known)
    if value:
        audio.wrong("resampler", value, " or ".join(f'"{name}"' for name in get_args(Resampler)))
    return "hann"


def read_names(params: JsonObject, key: str, accepts: Accepts, words: str) -> tuple[str, ...]:
    """Reads at least one name, since the SDK's inputs of emotions and identities must not be empty; reports errors."""
    names = params.names(key, accepts, words)
    if params.has(key) and not names:
        params.wrong(key, [], "at least one name")
    if len({name.lower() for name in names}) != len(names):
        params.wrong(key, list(names), "names that differ, in more than upper and lower case")
    return names


def read_triples(params: JsonObject, key: str) -> int:
    """Reads the number of channels of points, three each; reports an invalid one."""
    value = params.count(key, 3, 3 * MAX_VERTS)
    if value % 3:
        params.wrong(key, value, "a multiple of 3")
    return value


def read_eyes(params: JsonObject, key: str) -> int:
    """Reads the number of channels of the eyes; reports any but `EYE_VALUES`."""
    value = params.count(key)
    if value != EYE_VALUES and params.has(key):
        params.wrong(key, value, f"{EYE_VALUES}: pitch and yaw of the right and of the left eye")
    return value
