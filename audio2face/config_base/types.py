"""Defines the types of parameters: names, numbers with ranges, paths, nested tables.

The parameters are in the other modules of this package; `audio2face.config` reads, merges and checks values.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import Annotated, Literal

from annotated_types import Interval, Len
from typing_extensions import TypedDict  # pydantic asks for this one on Python 3.11

from audio2face.errors import FILE_LABEL_WORDS, is_file_label, is_identifier

Stage = Literal["check", "preproc", "train", "deploy", "inference"]
RootName = Literal["datasets", "workspace"]


# --- Marks that the checks understand ------------------------------------------------------------------------


@dataclass(frozen=True)
class TextRule:
    """Marks text that must have a certain format; `words` describes the format in messages and documentation."""

    words: str
    accepts: Callable[[str], bool]


@dataclass(frozen=True)
class OneOf:
    """Marks a number that must be one of a few; a rule of `audio2face.config` refuses others with the reason."""

    values: tuple[float, ...]


@dataclass(frozen=True)
class MemberOf:
    """Marks text that must be one of the names listed in a parameter of the dataset configuration."""

    parameter: Literal["ACTOR_NAMES", "SHOT_EMOTION_NAMES"]


@dataclass(frozen=True)
class PathRule:
    """Marks text as a path.

    Attributes:
        kind: type of the path; the stage that writes an output folder creates it.
        root: the folder that a relative path starts from.
        suffix: how a file's name must end.
        read_at: the stages at which the file or folder must exist.
    """

    kind: Literal["file", "folder", "output folder"]
    root: RootName
    suffix: str = ""
    read_at: tuple[Stage, ...] = ()


def dataset_file(suffix: str, *read_at: Stage) -> PathRule:
    """Marks a file of the dataset that must exist at the given stages."""
    return PathRule("file", "datasets", suffix, read_at)


def dataset_folder(*read_at: Stage) -> PathRule:
    """Marks a folder of the dataset that must exist at the given stages."""
    return PathRule("folder", "datasets", "", read_at)


def workspace_file(suffix: str, *read_at: Stage) -> PathRule:
    """Marks a file of the workspace, written by an earlier stage or the user, that must exist at the given stages."""
    return PathRule("file", "workspace", suffix, read_at)


# --- Text ----------------------------------------------------------------------------------------------------

_RESPACING = re.compile(r"(?:[1-9][0-9]{0,5}(?:,[1-9][0-9]{0,5})*|ddim[1-9][0-9]{0,5})?", re.ASCII)

_LICENCE = re.compile(r"[a-z0-9][a-z0-9.+-]{0,95}", re.ASCII)


def has_control_characters(text: str) -> bool:
    """Tells whether a text holds control characters such as line breaks and NUL, which file names must not contain."""
    return any(ord(letter) < 32 or ord(letter) == 127 for letter in text)


# Recordings and films whose audio is read. The reader goes by the file's contents, so that a wrong suffix is harmless.
RECORDING_SUFFIXES = (
    *(".wav", ".flac", ".aif", ".aiff", ".caf", ".w64", ".rf64", ".bw64", ".au", ".snd"),
    *(".mp3", ".m4a", ".aac", ".ogg", ".oga", ".opus", ".wma", ".ac3", ".amr", ".mka"),
    *(".mp4", ".m4v", ".mov", ".qt", ".webm", ".mkv", ".avi", ".mpg", ".mpeg", ".ts", ".mts", ".m2ts", ".3gp", ".3g2"),
    *(".flv", ".wmv", ".mxf", ".ogv", ".vob"),
)


def _is_relative_recording(text: str) -> bool:
    path = PurePosixPath(text)
    inside = not path.is_absolute() and ".." not in path.parts
    return inside and path.suffix.lower() in RECORDING_SUFFIXES and not has_control_characters(text)


def _is_respacing(text: str) -> bool:
    return _RESPACING.fullmatch(text) is not None


def _is_licence(text: str) -> bool:
    return _LICENCE.fullmatch(text) is not None and text not in ("other", "unknown")


Identifier = Annotated[
    str, TextRule("a name of letters, digits, '_', and inside also '.' and '-' (at most 100)", is_identifier)
]
Actor = Annotated[Identifier, MemberOf("ACTOR_NAMES")]
Emotion = Annotated[str, MemberOf("SHOT_EMOTION_NAMES")]
RelativeRecording = Annotated[
    str,
    TextRule(
        "the path of a recording (.wav, .flac, .m4a, .mp3, .mov or another) below the actor's AUDIO_ROOT",
        _is_relative_recording,
    ),
]
Respacing = Annotated[
    str, TextRule("counts of steps separated by commas, such as '2', or 'ddim' and a count, or ''", _is_respacing)
]
Licence = Annotated[
    str,
    TextRule(
        "the identifier of a licence in small letters, such as 'cc-by-4.0', or a name of your own, such as 'my-studio'",
        _is_licence,
    ),
]
OutputFolder = Annotated[str, PathRule("output folder", "workspace")]

AudioMethod = Literal["w2v", "nva2f"]
AudioResampler = Literal["soxr", "hann"]
NoiseType = Literal["gauss", "mic"]
PhonemeLanguage = Literal["en", "zh"]
WindowFunction = Literal["hanning", "kaiser6"]
NoiseSchedule = Literal["cosine", "linear"]
SkinBasis = Literal["pca", "blendshapes"]
BodyPart = Literal["skin", "tongue", "jaw", "eye"]
Channel = Literal["skin_coeffs", "tongue_coeffs", "jaw", "eye", "skin_pose", "tongue_pose"]
Device = Literal["auto", "cuda", "mps", "cpu"]
Precision = Literal["auto", "float32", "bfloat16"]
GraphPrecision = Literal["float32", "int8"]  # of deployed networks
TrackerName = Literal["tensorboard", "csv", "wandb", "mlflow", "trackio"]
# Of each tracker that is an extra, the module that must be there and what to install.
TRACKER_PACKAGES: dict[TrackerName, tuple[str, str]] = {
    "wandb": ("wandb", "wandb"),
    "mlflow": ("mlflow", "mlflow-skinny sqlalchemy alembic"),
    "trackio": ("trackio", "trackio"),
}
ExportedWeights = Literal["best", "last"]
SpeechFeatures = Literal["fast", "exact"]
InferenceMode = Literal[
    "offline",
    "offline_onnx",
    "streaming",
    "streaming_stateless",
    "streaming_stateless_onnx",
    "streaming_stateless_trt",
    "streaming_stateless_output_delta",
    "streaming_stateless_output_delta_onnx",
    "streaming_stateless_output_delta_trt",
]

# --- Numbers -------------------------------------------------------------------------------------------------

Index = Annotated[int, Interval(ge=0)]
Count = Annotated[int, Interval(ge=1)]
Seed = Annotated[int, Interval(ge=0, lt=2**32)]
Positive = Annotated[float, Interval(gt=0)]
NonNegative = Annotated[float, Interval(ge=0)]
Fraction = Annotated[float, Interval(ge=0, le=1)]
SyntheticShare = Annotated[float, Interval(ge=0, le=0.9)]
DistillationShare = Annotated[float, Interval(gt=0, le=0.9)]
TestFraction = Annotated[float, Interval(ge=0, le=0.9)]
UnitShare = Annotated[float, Interval(gt=0, le=1)]
Decay = Annotated[float, Interval(gt=0, lt=1)]
FrameOffset = Annotated[float, Interval(ge=-1_000_000, le=1_000_000)]
FrameRate = Annotated[float, Interval(ge=1, le=1000)]
DIFFUSION_RATES = (60.0, 30.0)  # the rates of STREAMING_CFG, whose windows a streaming consumer knows
DiffusionRate = Annotated[float, OneOf(DIFFUSION_RATES)]
STREAMING_RATES = (24.0, 25.0, 30.0, 48.0, 50.0, 60.0)  # of which whole frames soon span whole samples
StreamingRate = Annotated[float, OneOf(STREAMING_RATES)]
LookAhead = Annotated[int, Interval(ge=0, le=12)]
SampleRate = Annotated[int, Interval(ge=8000, le=192000)]

# --- Rows ----------------------------------------------------------------------------------------------------

EmotionName = Annotated[str, TextRule(FILE_LABEL_WORDS, is_file_label)]
EmotionNames = Annotated[list[EmotionName], Len(1)]
# actor, shot, (first frame, last frame), speaker, language, audio file, audio offset in frames, fractions included
Clip = tuple[Actor, Identifier, tuple[Index, Index], str, str, RelativeRecording, FrameOffset]
# actor, (source shot, frame), length in frames, emotion
MutedShot = tuple[Actor, tuple[Identifier, Index], Count, Emotion]
# actor, shot, emotion
ShotEmotion = tuple[Actor, Identifier, Emotion]
# components, vertices, 3
PcaShape = tuple[Count, Count, Literal[3]]
TransformScale = dict[BodyPart, Positive]

# --- Tables with fixed keys ----------------------------------------------------------------------------------


class AudioParamsRegression(TypedDict):
    buffer_len: Count
    buffer_ofs: Index
    samplerate: SampleRate


class AudioParamsDiffusion(TypedDict):
    buffer_len: Count
    padding_left: Index
    padding_right: Index
    samplerate: SampleRate


class AudioParamsStreaming(TypedDict):
    samplerate: Literal[16000]


class AugmentRegression(TypedDict):
    timeshift: Annotated[float, Interval(ge=0, le=2)]


class PitchShift(TypedDict):
    min_semitones: Annotated[float, Interval(ge=-24, le=24)]
    max_semitones: Annotated[float, Interval(ge=-24, le=24)]
    p: Fraction


class AugmentDiffusion(TypedDict):
    timeshift: Annotated[float, Interval(ge=0, le=2)]
    pitch_shift: PitchShift | None


class AutocorrParams(TypedDict):
    num_autocorr: Count
    num_windows: Count
    win_len: Count
    win_stride: Count
    preemph: Annotated[float, Interval(ge=0, lt=1)]
    remove_dc: bool
    win_func: WindowFunction | None


class NetworkRegression(TypedDict):
    use_w2v_features: bool
    use_autocorr_features: bool
    w2v_freeze: bool
    w2v_num_layers: Count
    autocorr_params: AutocorrParams
    implicit_emotion_len: Count
    explicit_emo_emb_len: Count


class NetworkDiffusion(TypedDict):
    feature_dim: Count
    jaw_latent_dim: Count
    tongue_latent_dim: Count
    eye_latent_dim: Count
    gru_feature_dim: Count
    num_gru_layers: Count
    emo_embedding_dim: Count
    actor_embedding_dim: Count
    hubert_feature_dim: Count


class NetworkStreaming(TypedDict):
    width: Count
    dilations: Annotated[list[Count], Len(1)]
    dropout: Annotated[float, Interval(ge=0, lt=1)]


class StreamingWindow(TypedDict):
    audio_pad_left: Index
    audio_pad_right: Index
    window_size: Count
    left_truncate: Index
    right_truncate: Index
    block_frame_size: Count


_Strength = Annotated[float, Interval(ge=0, le=2)]
_Smoothing = Annotated[float, Interval(ge=0, le=0.1)]
_Offset = Annotated[float, Interval(ge=-3, le=3)]
_Angle = Annotated[float, Interval(ge=-10, le=10)]


class AnimationParameters(TypedDict):
    """Post-processing of the network's output; the SDK refuses a model with values outside these ranges."""

    input_strength: float
    upper_face_smoothing: _Smoothing
    lower_face_smoothing: _Smoothing
    upper_face_strength: _Strength
    lower_face_strength: _Strength
    face_mask_level: Fraction
    face_mask_softness: Annotated[float, Interval(ge=0.001, le=0.5)]
    skin_strength: _Strength
    blink_strength: _Strength
    lower_teeth_strength: _Strength
    lower_teeth_height_offset: _Offset
    lower_teeth_depth_offset: _Offset
    lip_open_offset: Annotated[float, Interval(ge=-0.2, le=0.2)]
    tongue_strength: Annotated[float, Interval(ge=0, le=3)]
    tongue_height_offset: _Offset
    tongue_depth_offset: _Offset
    eyeballs_strength: _Strength
    saccade_strength: _Strength
    right_eye_rot_x_offset: _Angle
    right_eye_rot_y_offset: _Angle
    left_eye_rot_x_offset: _Angle
    left_eye_rot_y_offset: _Angle
    eyelid_open_offset: Annotated[float, Interval(ge=-1, le=1)]
    eye_saccade_seed: Annotated[int, Interval(ge=0, le=4999)]
    speech_guard_strength: Fraction


OWN_PARAMETERS = ("speech_guard_strength",)  # that only this framework reads; 0 where a file does not give them


class AnimationParametersRegression(AnimationParameters):
    """Post-processing, and the frame whose implicit emotion drives the regression network."""

    source_shot: Identifier | None
    source_frame: Index | None
