"""Animates a rig from a recording: no network was trained for this face, and no motion was recorded."""

from __future__ import annotations

import math
import shutil
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from fractions import Fraction
from pathlib import Path
from types import MappingProxyType
from typing import Any

import numpy as np

from audio2face import __version__
from audio2face.animation.animation import BLOCK_FRAMES, Animation, FrameBuffer, Surface
from audio2face.animation.timecode import Start, start_facts
from audio2face.audio import stream_mono
from audio2face.audio.wav import read_time_reference
from audio2face.console import LOGGER
from audio2face.errors import UserError
from audio2face.inference.emotion import EmotionNames, EmotionSpec
from audio2face.inference.retiming import choose_voice
from audio2face.rigs.closures import LipCloser, bite, closeness
from audio2face.rigs.expression import (
    NEUTRAL,
    RIG_EMOTIONS,
    combined,
    expression_weights,
    gaze_angles,
    with_eyes,
)
from audio2face.rigs.rig import Rig
from audio2face.rigs.speech import SpeechCurves, VisemeSource, extract_curves, speech_weights
from audio2face.rigs.viseme_source import extract_visemes
from audio2face.types import AnyArray, Float32Array, Float64Array, Mesh

STANDARD_FPS = Fraction(30)
_SAMPLERATE = 16_000
_FASTEST = 1000  # frames per second


@dataclass(frozen=True, kw_only=True)
class RigOptions:
    """Options of an animation.

    Attributes:
        emotion: the emotion as `EmotionNames.parse` reads it: names with strengths, or a file; None: neutral.
        fps: frames per second; None: 30.
        parameters: values of `RIG_PARAMETERS` in place of the defaults.
        seed: chooses gaze, stirrings, and the pauses between blinks.
        blinks: whether to add blinks.
        start: where the first frame lies on a time line: its number, or an SMPTE time code; None: the time reference of
            a Broadcast Wave recording, if it has one.
    """

    emotion: str | None = None
    fps: Fraction | None = None
    parameters: Mapping[str, float] = field(default_factory=dict)
    seed: int = 0
    blinks: bool = True
    start: int | str | None = None


class RigPipeline:
    """Animates recordings on one rig.

    Args:
        rig: the rig.
        options: options of the animation.
        visemes: computes viseme channels; None: the encoder `a2f-phonetic`.

    Raises:
        UserError: there is no such emotion or parameter, or a value is out of range.
    """

    def __init__(self, rig: Rig, options: RigOptions, visemes: VisemeSource | None = None) -> None:
        self.rig, self.settings = rig, options
        self.parameters = rig_parameters(options.parameters)
        self.fps = STANDARD_FPS if options.fps is None else options.fps
        if not 0 < self.fps <= _FASTEST:
            raise UserError(f"{self.fps} frames per second are out of range", hint="Give a rate such as 30 or 60.")
        self._start = None if options.start is None else Start.of(options.start, self.fps)
        names = EmotionNames(RIG_EMOTIONS, (0.0,) * len(RIG_EMOTIONS), NEUTRAL, _SAMPLERATE, self.fps)
        self.emotion: EmotionSpec = names.parse(NEUTRAL if options.emotion is None else options.emotion)
        self._closer = LipCloser(rig)
        self._visemes = extract_visemes if visemes is None else visemes

    @property
    def weight_parts(self) -> tuple[Mesh, ...]:
        """The parts whose weights the animation has."""
        return ("skin",) if self.rig.tongue is None else ("skin", "tongue")

    def load(self) -> None:
        """Loads the network of the speech encoder, so that an error shows before anything is written.

        Raises:
            UserError: its weights cannot be read.
        """
        self._visemes(np.zeros(_SAMPLERATE // 10, np.float32), _SAMPLERATE)

    def output_name(self, audio: Path) -> str:
        """Name of the folder and the files of an animated recording, such as `speech_ada_joy`."""
        return f"{audio.stem}_{self.rig.name}_{self.emotion.label}"

    def animate(self, audio: Path, folder: Path) -> Animation:
        """Animates a recording.

        Args:
            audio: the recording.
            folder: existing folder for unnamed temporary files of the frames, in use as long as the animation.

        Raises:
            UserError: the recording cannot be read or is empty, or the disk is full.
        """
        samples = np.concatenate([np.zeros(0, np.float32), *stream_mono(audio, _SAMPLERATE, choose_voice(audio))])
        if not len(samples):
            raise UserError("contains no audio", path=audio)
        count = math.ceil(len(samples) * self.fps / _SAMPLERATE)
        self._check_space(folder, count)
        times = np.arange(count) / float(self.fps)
        emotion = self.emotion.curve.at([round(time * _SAMPLERATE) for time in times])
        weights, tongue, gaze = self.weights(samples, times, emotion)
        return self._animation(audio, folder, weights, tongue, np.concatenate([gaze, gaze], axis=1), emotion)

    def weights(
        self, samples: Float32Array, times: Float64Array, emotion: Float32Array
    ) -> tuple[Float32Array, Float32Array, Float32Array]:
        """The weights of ARKit's shapes and of the tongue, and the gaze.

        Args:
            samples: mono, float32 `[samples]` at 16 kHz.
            times: of the frames, in seconds.
            emotion: strength of each of `RIG_EMOTIONS`, `[frames, emotions]`.

        Returns:
            `[frames, 52]`, `[frames, 16]` and `[frames, 2]` degrees (pitch, yaw).
        """
        values, seed, fps = self.parameters, self.settings.seed, float(self.fps)
        speech = extract_curves(samples, _SAMPLERATE, self._visemes, values["speech_smoothing"])
        spoken, tongue = speech_weights(
            speech,
            times,
            strength=values["lower_face_strength"],
            jaw=values["jaw_strength"],
            tongue=values["tongue_strength"],
        )
        over = expression_weights(
            emotion, RIG_EMOTIONS, speech.loudness_at(times), fps, values["upper_face_strength"], seed
        )
        weights = self._with_contacts(np.clip(combined(spoken, over), 0, 1), speech, times)
        gaze = gaze_angles(len(times), fps, values["saccade_strength"], seed)
        weights = with_eyes(weights, gaze, fps, values["blink_strength"] if self.settings.blinks else 0.0, seed)
        return weights.astype(np.float32), tongue.astype(np.float32), gaze.astype(np.float32)

    def _with_contacts(self, weights: Float64Array, speech: SpeechCurves, times: Float64Array) -> Float64Array:
        strength = self.parameters["closure_strength"]
        near = strength * closeness(speech.closures, times)
        bitten = bite(weights, strength * speech.biting_at(times) * (1 - near))
        return self._closer(bitten, near)

    def _animation(
        self,
        audio: Path,
        folder: Path,
        weights: Float32Array,
        tongue: Float32Array,
        eyes: Float32Array,
        emotion: Float32Array,
    ) -> Animation:
        rig = self.rig
        start = _recorded_start(audio, self.fps) if self._start is None else self._start
        inside = None
        if rig.tongue is not None:
            posed = (rig.tongue.pose(weights[block], tongue[block]) for block in _blocks(len(weights)))
            inside = Surface(rig.tongue.neutral, _buffered(posed, rig.tongue.neutral.shape, folder), rig.tongue.faces)
        skin = _buffered((rig.skin(weights[block]) for block in _blocks(len(weights))), rig.neutral.shape, folder)
        return Animation(
            actor=rig.name,
            fps=float(self.fps),
            skin=Surface(rig.neutral, skin, rig.faces),
            tongue=inside,
            jaw=rig.jaw(weights),
            eyes=eyes,
            emotions=RIG_EMOTIONS,
            emotion=emotion,
            skin_weights=rig.weights(weights),
            tongue_weights=None if rig.tongue is None else rig.tongue.weights(tongue),
            parts=self._parts(),
            audio=audio,
            character=rig.path,
            start=start,
            facts=self._facts(audio) | start_facts(start, self.fps),
        )

    def _parts(self) -> dict[str, AnyArray]:
        lips = self.rig.lips
        found = {"lip_upper": lips[0], "lip_lower": lips[1]} if lips.shape[1] else {}
        return {**self.rig.parts, **found}

    def _check_space(self, folder: Path, num_frames: int) -> None:
        values = self.rig.neutral.size + (0 if self.rig.tongue is None else self.rig.tongue.neutral.size)
        needed, free = 4 * num_frames * values, shutil.disk_usage(folder).free
        if needed > free:
            raise UserError(
                f"{num_frames:,} frames need {needed / 1e9:.1f} GB of temporary space, {free / 1e9:.1f} GB are free",
                path=folder,
                hint="Cut the recording into parts, or use another disk (--to, in Python: TMPDIR).",
            )

    def _facts(self, audio: Path) -> dict[str, Any]:
        seed = self.settings.seed
        return {
            "rig": self.rig.source,
            "shapes": len(self.rig.columns),
            "audio": audio.name,
            "actor": self.rig.name,
            "emotion": self.emotion.description,
            "fps": float(self.fps),
            "blinks": f"seed {seed}" if self.settings.blinks else "none",
            "gaze": f"seed {seed}",
            "parameters": dict(self.parameters),
            "framework": __version__,
        }


def _blocks(count: int) -> Iterator[slice]:
    for first in range(0, count, BLOCK_FRAMES):
        yield slice(first, first + BLOCK_FRAMES)


def _buffered(blocks: Iterator[Float32Array], shape: tuple[int, ...], folder: Path) -> Float32Array:
    buffer = FrameBuffer(shape, folder)
    for block in blocks:
        buffer.append(block)
    return buffer.finish()


def _recorded_start(audio: Path, fps: Fraction) -> Start | None:
    """The start of a Broadcast Wave recording; None of another."""
    seconds = read_time_reference(audio)
    if seconds is None:
        return None
    start = Start.at(seconds, fps)
    LOGGER.info("%s begins at %s by its time reference", audio.name, start.label(0, fps) or f"frame {start.frame}")
    return start


@dataclass(frozen=True)
class Parameter:
    """One parameter.

    Attributes:
        default: its value where none is given.
        lowest, highest: its range, inclusive.
        meaning: what it does.
    """

    default: float
    lowest: float
    highest: float
    meaning: str


RIG_PARAMETERS: Mapping[str, Parameter] = MappingProxyType(
    {
        "lower_face_strength": Parameter(1, 0, 2, "gain on what speech does to jaw and lips"),
        "jaw_strength": Parameter(1, 0, 2, "gain on the jaw alone, on top of it"),
        "closure_strength": Parameter(1, 0, 1, "how far lips are brought together on p, b, m and f, v"),
        "speech_smoothing": Parameter(0.01, 0, 0.1, "smoothing of speech, standard deviation in seconds"),
        "upper_face_strength": Parameter(1, 0, 2, "gain on brows and lids that accompany speech"),
        "tongue_strength": Parameter(1, 0, 3, "gain on the tongue"),
        "blink_strength": Parameter(1, 0, 2, "gain on blinks"),
        "saccade_strength": Parameter(1, 0, 2, "gain on the motion of the eyes"),
    }
)


def rig_parameters(changes: Mapping[str, float]) -> dict[str, float]:
    """All parameters, with changes applied.

    Raises:
        UserError: there is no such parameter, or a value is out of its range.
    """
    for name, value in changes.items():
        if name not in RIG_PARAMETERS:
            raise UserError(f"a rig has no parameter {name!r}", hint=f"There are: {', '.join(RIG_PARAMETERS)}.")
        known = RIG_PARAMETERS[name]
        if not (math.isfinite(value) and known.lowest <= value <= known.highest):
            raise UserError(
                f"{name} is {value:g}, expected a number from {known.lowest:g} to {known.highest:g}",
                hint=f"It is the {known.meaning}.",
            )
    return {name: float(changes.get(name, known.default)) for name, known in RIG_PARAMETERS.items()}
