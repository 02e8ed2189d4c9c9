"""What a client asks for in its first message: the format of its sound, the face, the emotion and the weights.

What has a meaning here is applied. A value out of range and a name that nobody knows are refused, since a typing error
would otherwise go unnoticed; what clients of other servers send and this one has no use for is reported to the client.
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from audio2face.animation.settings import check_range, parameter_ranges
from audio2face.errors import UserError

SAMPLERATES = (8_000, 144_000)  # Hz
_BYTES = 2  # of a sample
# Names of older releases, and of fields of the model's file.
_ALIASES = {"eyelid_offset": "eyelid_open_offset", "lip_close_offset": "lip_open_offset"}
# Parameters of older clients that no release of the service has used.
_UNUSED_FACE = frozenset({"prediction_delay", "blink_interval", "keyframer_fps", "source_frame"})
_UNUSED_EMOTION = {"emotion_contrast": (0.3, 3.0), "live_blend_coef": (0.0, 1.0), "max_emotions": (1.0, 6.0)}
_LARGEST_WEIGHT = 100.0  # multipliers and offsets beyond it are mistakes
_MOST_NAMES = 512  # of a map


@dataclass(frozen=True)
class SoundFormat:
    """The format of the sound: 16-bit mono PCM, little-endian.

    Attributes:
        samplerate: Hz.
    """

    samplerate: int

    @property
    def bytes_per_second(self) -> int:
        """Bytes of a second of sound."""
        return _BYTES * self.samplerate

    @classmethod
    def read(cls, header: Any) -> SoundFormat:
        """Reads an `AudioHeader`.

        Raises:
            UserError: it describes another kind of sound.
        """
        found = (header.audio_format, header.channel_count, header.bits_per_sample)
        if found != (0, 1, 16):
            raise UserError(
                f"the sound has format {found[0]}, {found[1]} channels and {found[2]} bits per sample: expected PCM "
                "(0), 1 channel and 16 bits"
            )
        lowest, highest = SAMPLERATES
        if not lowest <= header.samples_per_second <= highest:
            raise UserError(
                f"the sound has {header.samples_per_second:,} samples per second: expected {lowest:,} to {highest:,}"
            )
        return cls(header.samples_per_second)


@dataclass(frozen=True)
class EmotionTuning:
    """How requested emotions are applied.

    Attributes:
        beginning: strengths before the first key, by the client's names; empty: the model's default.
        strength: factor on everything.
        preferred: factor on the requested emotion, which a detected one would be mixed with; 0 ignores it.
        transition: seconds in which the face follows a change of emotion.
    """

    beginning: Mapping[str, float] = field(default_factory=dict)
    strength: float = 1.0
    preferred: float = 1.0
    transition: float = 0.5


@dataclass(frozen=True)
class WeightTuning:
    """How solved weights are changed: `weight * multiplier + offset`, clipped to 0 to 1 where that is asked for.

    Attributes:
        multipliers: in place of the model's, by the client's names.
        offsets: in place of the model's, by the client's names.
        clamp: whether to clip.
    """

    multipliers: Mapping[str, float] = field(default_factory=dict)
    offsets: Mapping[str, float] = field(default_factory=dict)
    clamp: bool = False


@dataclass(frozen=True)
class Request:
    """The parameters of one stream.

    Attributes:
        face: animation parameters by their names in this framework, `blink_offset` among them.
        emotion: how emotions are applied.
        weights: how weights are changed.
        notes: what was asked for and has no effect, in sentences.
    """

    face: Mapping[str, float]
    emotion: EmotionTuning
    weights: WeightTuning
    notes: tuple[str, ...] = ()

    @classmethod
    def read(cls, face: Any, post: Any, weights: Any, emotion: Any | None = None) -> Request:
        """Reads the messages of a header.

        Args:
            face: `FaceParameters`.
            post: `EmotionPostProcessingParameters`.
            weights: `BlendShapeParameters`.
            emotion: `EmotionParameters`; None: there are none.

        Raises:
            UserError: a name is unknown, or a value out of range.
        """
        notes: list[str] = []
        return cls(_face_parameters(face, notes), _emotion(post, emotion, notes), _weights(weights), tuple(notes))


def _face_parameters(message: Any, notes: list[str]) -> dict[str, float]:
    ranges = parameter_ranges() | {"blink_offset": (0.0, 1.0)}
    given = {**dict(message.float_params), **dict(message.integer_params)}
    if message.float_array_params:
        raise UserError(f"no face parameter is a list of numbers; given: {_listed(message.float_array_params)}")
    found: dict[str, float] = {}
    for text, value in given.items():
        name = _snake_case(text)
        name = _ALIASES.get(name, name)
        if name in ranges:
            check_range(f"face parameter {text}", value, *ranges[name])
            found[name] = float(value)
        elif name in _UNUSED_FACE:
            notes.append(f"the face parameter {text} has no effect")
        else:
            known = ", ".join(_camel_case(known) for known in ranges)
            raise UserError(f"there is no face parameter {text[:80]!r}", hint=f"There are: {known}.")
    return found


def _emotion(post: Any, emotion: Any | None, notes: list[str]) -> EmotionTuning:
    unused = [name for name in _UNUSED_EMOTION if post.HasField(name)]
    for name in unused:
        check_range(name, getattr(post, name), *_UNUSED_EMOTION[name])
    if unused:
        notes.append(
            f"{_listed(unused)} shape emotions that are detected in a voice; this server detects none, and they have "
            "no effect"
        )
    strength, preferred, transition = 1.0, 1.0, 0.5
    if post.HasField("emotion_strength"):
        strength = _share("emotion_strength", post.emotion_strength)
    if post.HasField("preferred_emotion_strength"):
        preferred = _share("preferred_emotion_strength", post.preferred_emotion_strength)
    if post.HasField("enable_preferred_emotion") and not post.enable_preferred_emotion:
        preferred = 0.0
    if emotion is None:
        return EmotionTuning({}, strength, preferred, transition)
    if emotion.HasField("live_transition_time"):
        transition = emotion.live_transition_time
        check_range("live_transition_time", transition, 0, 60)
    return EmotionTuning(strengths(emotion.beginning_emotion), strength, preferred, transition)


def strengths(emotion: Mapping[str, float]) -> dict[str, float]:
    """Checks the strengths of a message's emotions, by the client's names.

    Raises:
        UserError: a strength is not within 0 to 1, or there are too many names.
    """
    _check_count(emotion)
    return {name: _share(f"the emotion {name[:80]!r}", value) for name, value in emotion.items()}


def _weights(message: Any) -> WeightTuning:
    multipliers, offsets = dict(message.bs_weight_multipliers), dict(message.bs_weight_offsets)
    for what, values in (("multiplier", multipliers), ("offset", offsets)):
        _check_count(values)
        for name, value in values.items():
            check_range(f"the {what} of blend shape {name[:80]!r}", value, -_LARGEST_WEIGHT, _LARGEST_WEIGHT)
    return WeightTuning(multipliers, offsets, bool(message.enable_clamping_bs_weight))


def _share(name: str, value: float) -> float:
    check_range(name, value, 0, 1)
    return value


def _check_count(values: Mapping[str, float]) -> None:
    if len(values) > _MOST_NAMES:
        raise UserError(f"a map has {len(values)} names, expected {_MOST_NAMES} at most")


def _listed(names: Any) -> str:
    return ", ".join(str(name)[:80] for name in list(names)[:8])


def _snake_case(name: str) -> str:
    return re.sub(r"(?<=[a-z])(?=[A-Z])", "_", name[:80]).lower()


def _camel_case(name: str) -> str:
    first, *rest = name.split("_")
    return first + "".join(part.capitalize() for part in rest)


def camel_cased(values: Mapping[str, float]) -> dict[str, float]:
    """Parameters under the names that clients use, with their finite values."""
    return {_camel_case(name): value for name, value in values.items() if math.isfinite(value)}
