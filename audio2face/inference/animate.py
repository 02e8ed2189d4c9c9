"""The animation pipeline: a deployed model and a recording in, a finished animation out."""

from __future__ import annotations

import math
import shutil
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from fractions import Fraction
from functools import cached_property
from pathlib import Path
from typing import Any

from audio2face import __version__
from audio2face.animation import (
    AnimatorSettings,
    BlendshapeSolver,
    BlinkTrack,
    FaceAnimator,
    SolverMethod,
    attach_to_jaw,
    stated_parameters,
    unproject,
)
from audio2face.animation.animation import Animation, BlendWeights, FrameBuffer, Surface
from audio2face.animation.timecode import Start, start_facts
from audio2face.audio import peak_level, read_header, stream_mono
from audio2face.audio.wav import read_time_reference
from audio2face.config_base.types import GraphPrecision
from audio2face.console import LOGGER, track
from audio2face.errors import UserError
from audio2face.inference import (
    EmotionCurve,
    EmotionNames,
    EmotionSpec,
    Executor,
    GraphDevice,
    NetworkOutput,
    NetworkSession,
    Noise,
    TrackSettings,
)
from audio2face.inference.actor import DisplayData, WeightTrack, load_face
from audio2face.inference.executor import check_finite_motion, group_frames
from audio2face.inference.precision import open_network
from audio2face.inference.retiming import FrameBlock, TrackFrames, choose_voice
from audio2face.model_folder import DeployedActor, DeployedModel, parameter_ranges
from audio2face.types import MESHES, Float32Array, Mesh


@dataclass(frozen=True, kw_only=True)
class AnimationOptions:
    """Options of an animation.

    Attributes:
        actor: name of the actor; None for a model with a single one.
        emotion: the emotion as `EmotionNames.parse` reads it: names with strengths, or a file; None: the default.
        zero_emotion: name of the zero emotion.
        fps: frames per second; None: the network's own rate, or for a network without one that of the actor's
            recordings, else 30.
        parameters: animation parameters that override the model's, by name.
        blink_offset: constant closure of the eyes, 0 to 1.
        seed: seed of the noise of a diffusion network and of the pauses between blinks.
        noise: noise of a window, instead of seeded noise.
        blinks: whether to add blinks.
        solver: solver of blend-shape weights; None: weights are not solved.
        normalize: whether to scale the recording to full scale.
        start: where the first frame lies on a time line: its number, or an SMPTE time code; None: the time reference of
            a Broadcast Wave recording, if it has one.
        device: device of the network.
        precision: of the network's products, see `precision.open_network`.
    """

    actor: str | None = None
    emotion: str | None = None
    zero_emotion: str = "neutral"
    fps: Fraction | None = None
    parameters: Mapping[str, float] = field(default_factory=dict)
    blink_offset: float = 0.0
    seed: int = 0
    noise: Noise | None = None
    blinks: bool = True
    solver: SolverMethod | None = "cpu"
    normalize: bool = False
    start: int | str | None = None
    device: GraphDevice = "cpu"
    precision: GraphPrecision = "float32"


def merged_parameters(actor: DeployedActor, changes: Mapping[str, float]) -> dict[str, float]:
    """The animation parameters of an actor, with changes applied.

    Raises:
        UserError: there is no such parameter, or a value is out of its range.
    """
    ranges = parameter_ranges()
    for name, value in changes.items():
        if name not in ranges:
            raise UserError(f"there is no animation parameter {name!r}", hint=f"There are: {', '.join(ranges)}.")
        lowest, highest = ranges[name]
        if not (lowest <= value <= highest and math.isfinite(value)):
            raise UserError(f"{name} is {value:g}, expected a number from {lowest:g} to {highest:g}")
    return {**actor.config.parameters, **changes}


def find_actor(model: DeployedModel, name: str | None) -> DeployedActor:
    """The actor of a name; None: the only actor of the model.

    Raises:
        UserError: there is no such actor, or there are several.
    """
    if name is not None:
        return model.actor(name)
    if len(model.actors) > 1:
        raise UserError(
            "the model has several actors",
            hint=f"Name one with --actor, or actor= in Python: {', '.join(model.info.identities)}.",
        )
    return model.actors[0]


STANDARD_FPS = Fraction(30)
_STRENGTH, _GUARD = "input_strength", "speech_guard_strength"


class AnimationPipeline:
    """Animates recordings with one model, whose network is loaded once.

    Args:
        model: the deployed folder.
        settings: options of the animation.
        graph: the folder's network, if it is open already; the settings' device is then ignored.

    Raises:
        UserError: the model has no such actor, emotion or parameter, a value is out of range, or a file of the folder
            is damaged.
    """

    def __init__(self, model: DeployedModel, settings: AnimationOptions, graph: NetworkSession | None = None) -> None:
        self.model, self.settings = model, settings
        self.actor = find_actor(model, settings.actor)
        self.parameters = merged_parameters(self.actor, settings.parameters)
        self.animator_settings = AnimatorSettings.from_parameters(self.parameters, settings.blink_offset)
        self.face = load_face(self.actor)
        self.display = DisplayData.from_actor(self.actor)
        target_fps = (self.display.fps or STANDARD_FPS) if settings.fps is None else settings.fps
        self.schedule = model.info.windows(model.info.native_fps or target_fps)
        self.fps = self.schedule.fps if settings.fps is None else settings.fps
        if not 0 < self.fps <= 1000:
            raise UserError(f"{self.fps} frames per second are out of range", hint="Give a rate such as 30 or 60.")
        self._start = None if settings.start is None else Start.of(settings.start, self.fps)
        self.emotion: EmotionSpec = self._emotion_names.parse(settings.emotion)
        self._solvers = self._make_solvers()
        self.gain = self._choose_gain()
        self._voices: dict[Path, int | None] = {}
        self._graph = graph

    @cached_property
    def graph(self) -> NetworkSession:
        """The network, which is loaded when it is first used.

        Raises:
            UserError: its file is missing or damaged, or the device is not there.
        """
        settings = self.settings
        return open_network(self.model, settings.device, settings.precision) if self._graph is None else self._graph

    def animate(self, audio: Path, folder: Path) -> Animation:
        """Animates a recording.

        Args:
            audio: the recording.
            folder: existing folder for unnamed temporary files of the frames, in use as long as the animation.

        Raises:
            UserError: the recording cannot be read, the network outputs NaN or infinity, or the disk is full.
        """
        header = read_header(audio)
        expected = max(1, math.ceil(header.duration * self.fps))
        self._check_space(folder, expected)
        executor = self._executor(audio)
        buffers = self._make_buffers(folder)
        for frames in track(self._frames(executor, audio), expected, audio.name, len):
            self._append(frames, buffers)
        num_frames = math.ceil(executor.num_samples(0) * self.fps / executor.samplerate)
        return self._animation(audio, {name: buffer.finish(num_frames) for name, buffer in buffers.items()})

    def collect(self, blocks: Iterable[FrameBlock], audio: Path, folder: Path) -> Animation:
        """An animation of frames that were made elsewhere, such as in a browser.

        Args:
            blocks: frames as `postprocess` returns them, in order.
            audio: their sound.
            folder: as `animate` takes it.

        Raises:
            UserError: the disk is full.
        """
        self.reset_solvers()
        buffers = self._make_buffers(folder)
        for block in blocks:
            self._append(block, buffers)
        return self._animation(audio, {name: buffer.finish() for name, buffer in buffers.items()})

    def run_network(self, executor: Executor, audio: Path) -> Iterator[NetworkOutput]:
        """Yields the network output for a recording.

        Raises:
            UserError: a value is NaN or infinite, or the recording cannot be read.
        """
        for samples in stream_mono(audio, executor.samplerate, self._voice(audio), self.model.info.resampler):
            executor.push(0, samples)
            yield from map(check_finite_motion, executor.run())
        executor.close(0)
        yield from map(check_finite_motion, executor.run())

    def open_executor(self, gain: float | None = None, emotion: EmotionCurve | None = None) -> Executor:
        """Opens an executor of one track with the options of this pipeline.

        Args:
            gain: gain of the samples; None: that of the animation parameters.
            emotion: in place of the options' emotion.
        """
        settings = self.settings
        track_settings = TrackSettings(
            emotion=self.emotion.curve if emotion is None else emotion,
            actor=self.actor.name,
            gain=self.gain if gain is None else gain,
            seed=settings.seed,
            noise=settings.noise,
            guard=self.parameters[_GUARD],
        )
        return Executor.open(self.model, [track_settings], fps=self.schedule.fps, graph=self.graph)

    def track_frames(self) -> TrackFrames[FrameBlock]:
        """A new converter from network output to frames at the animation's rate."""
        animator, schedule = self.animator(), self.schedule
        return TrackFrames(
            lambda output: self.postprocess(output, animator), schedule.fps, self.fps, schedule.samplerate
        )

    def animator(self) -> FaceAnimator:
        """A new animator of the face, at the network's rate."""
        return FaceAnimator(self.face, self.animator_settings, self.schedule.fps, self.blinks())

    def blinks(self) -> BlinkTrack | None:
        """New blinks, at the network's rate; None where they are off, or the actor has no pose with closed eyes."""
        if not self._can_blink:
            return None
        return BlinkTrack(self.display.blink, float(self.schedule.fps), seed=self.settings.seed)

    def postprocess(self, output: NetworkOutput, animate: FaceAnimator) -> FrameBlock:
        """Post-processes the next frames as the SDK does: the tongue stays in the jaw's space."""
        skin, tongue, jaw, eyes = self.model.info.split_channels(output.values)
        lower, mouth = None, output.mouth
        if mouth is not None:
            lower, tongue, jaw, _ = self.model.info.split_channels(mouth)
        if "skin" in self.components:
            skin = unproject(skin, self.components["skin"])
            lower = None if lower is None else unproject(lower, self.components["skin"])
        if "tongue" in self.components:
            tongue = unproject(tongue, self.components["tongue"])
        face = animate(skin, tongue, jaw, eyes, lower)
        return FrameBlock(face.skin, face.tongue, face.jaw, face.eyes, output.emotion, face.skin_weights)

    def solve_weights(self, part: Mesh, frames: FrameBlock) -> Float32Array:
        """Solves the blend-shape weights `[frames, poses]` of a part in the next frames of `postprocess`."""
        return self._solvers[part](frames.skin if part == "skin" else frames.tongue)

    def solver(self, part: Mesh) -> BlendshapeSolver:
        """A solver of a part's weights (one of `solved_parts`), with a state of its own."""
        return self._solvers[part].solver()

    def reset_solvers(self) -> None:
        """Prepares `solve_weights` for a new recording, which has no frame before its first."""
        for weights in self._solvers.values():
            weights.reset()

    def finished(self, frames: FrameBlock) -> FrameBlock:
        """Frames of `postprocess` with the tongue moved by the jaw, as in finished animations."""
        tongue_to_jaw = self.display.tongue_to_jaw
        if tongue_to_jaw is None or not frames.tongue.size:
            return frames
        return replace(frames, tongue=attach_to_jaw(frames.tongue, frames.jaw, tongue_to_jaw))

    def parse_emotion(self, emotion: str | None) -> EmotionSpec:
        """An emotion as `AnimationOptions.emotion`; raises UserError where the model has none of that name."""
        return self._emotion_names.parse(emotion)

    def output_name(self, audio: Path) -> str:
        """Name of the folder and the files of an animated recording, such as `speech_mary_joy`."""
        return f"{audio.stem}_{self.actor.name}_{self.emotion.label}"

    @property
    def solved_parts(self) -> tuple[Mesh, ...]:
        """The parts whose weights are solved."""
        return tuple(self._solvers)

    @property
    def weight_parts(self) -> tuple[Mesh, ...]:
        """The parts that have blend-shape weights: solved ones, and those that the network predicts."""
        return tuple(part for part in MESHES if part in self._solvers or (part == "skin" and self.face.shapes))

    @cached_property
    def components(self) -> dict[Mesh, Float32Array]:
        """Components of the parts that the network gives coefficients of, and that components move."""
        parts = MESHES if self.model.info.predicts_coefficients else ()
        posed = [part for part in parts if part != "skin" or self.face.shapes is None]
        return {part: self.actor.array(f"shapes_matrix_{part}") for part in posed}

    @property
    def _can_blink(self) -> bool:
        """Whether blinks are enabled, and the actor has a pose with closed eyes."""
        return self.settings.blinks and bool(self.face.eye_close.any())

    @property
    def _emotion_names(self) -> EmotionNames:
        info = self.model.info
        return EmotionNames(info.emotions, info.default_emotion, self.settings.zero_emotion, info.samplerate, self.fps)

    def _make_solvers(self) -> dict[Mesh, WeightTrack]:
        method = self.settings.solver
        if method is None:
            return {}
        solved = {part: shapes for part, shapes in self.actor.blendshapes.items() if shapes != self.actor.skin_shapes}
        return {part: WeightTrack(shapes, method) for part, shapes in solved.items()}

    def _choose_gain(self) -> float:
        strength = self.parameters[_STRENGTH]
        if self.model.info.applies_input_strength or _STRENGTH in self.settings.parameters:
            return strength
        if strength != 1:
            LOGGER.info(
                "%s is %g; as in the SDK, it is not applied to a %s network (--set %s=%g applies it)",
                _STRENGTH,
                strength,
                self.model.info.type,
                _STRENGTH,
                strength,
            )
        return 1.0

    def _voice(self, audio: Path) -> int | None:
        """The channel of a recording that is used alone; each recording is analysed once."""
        if audio not in self._voices:
            self._voices[audio] = choose_voice(audio)
        return self._voices[audio]

    def _executor(self, audio: Path) -> Executor:
        if not self.settings.normalize:
            return self.open_executor()
        peak = peak_level(audio, self.schedule.samplerate, self._voice(audio), self.model.info.resampler)
        return self.open_executor(self.gain / peak)

    def _frames(self, executor: Executor, audio: Path) -> Iterator[FrameBlock]:
        """Yields all frames of a recording at the animation's rate, and some after its end."""
        self.reset_solvers()
        frames = self.track_frames()
        for output in group_frames(self.run_network(executor, audio)):
            yield frames(output)
        if not frames.has_started:
            raise UserError("contains no audio", path=audio)
        remaining = frames.finish(executor.num_samples(0))
        if remaining is not None:
            yield remaining

    def _make_buffers(self, folder: Path) -> dict[str, FrameBuffer]:
        shapes: dict[str, tuple[int, ...]] = {
            "skin": self.face.skin.shape,
            "tongue": self.face.tongue.shape,
            "jaw": (4, 4),
            "eyes": (4,),
            "emotion": (len(self.model.info.emotions),),
        }
        shapes |= {f"{part}_weights": (weights.num_poses,) for part, weights in self._solvers.items()}
        if self.face.shapes is not None:
            shapes["skin_weights"] = (self.face.skin_values,)
        return {name: FrameBuffer(shape, folder) for name, shape in shapes.items()}

    def _append(self, frames: FrameBlock, buffers: Mapping[str, FrameBuffer]) -> None:
        if not len(frames):
            return
        for part in self._solvers:
            buffers[f"{part}_weights"].append(self.solve_weights(part, frames))
        for name, array in self.finished(frames).arrays.items():
            buffers[name].append(array)

    def _check_space(self, folder: Path, num_frames: int) -> None:
        needed = num_frames * 4 * (self.face.skin.size + self.face.tongue.size)
        free = shutil.disk_usage(folder).free
        if needed > free:
            raise UserError(
                f"{num_frames:,} frames need {needed / 1e9:.1f} GB of temporary space, {free / 1e9:.1f} GB are free",
                path=folder,
                hint="Cut the recording into parts, or set INFERENCE_OUTPUT_ROOT (in Python: TMPDIR) to a larger disk.",
            )

    def _animation(self, audio: Path, arrays: Mapping[str, Float32Array]) -> Animation:
        face, display = self.face, self.display
        tongue = Surface(face.tongue, arrays["tongue"], display.tongue_faces) if len(face.tongue) else None
        start = self._recorded_start(audio) if self._start is None else self._start
        return Animation(
            actor=self.actor.name,
            fps=float(self.fps),
            skin=Surface(face.skin, arrays["skin"], display.skin_faces),
            tongue=tongue,
            jaw=arrays["jaw"],
            eyes=arrays["eyes"],
            emotions=self.model.info.emotions,
            emotion=arrays["emotion"],
            skin_weights=self._weights("skin", arrays),
            tongue_weights=self._weights("tongue", arrays),
            parts=display.parts,
            audio=audio,
            start=start,
            facts=self._facts(audio) | start_facts(start, self.fps),
        )

    def _recorded_start(self, audio: Path) -> Start | None:
        """The start of a Broadcast Wave recording; None of another."""
        seconds = read_time_reference(audio)
        if seconds is None:
            return None
        start = Start.at(seconds, self.fps)
        label = start.label(0, self.fps) or f"frame {start.frame}"
        LOGGER.info("%s begins at %s by its time reference", audio.name, label)
        return start

    def _weights(self, part: Mesh, arrays: Mapping[str, Float32Array]) -> BlendWeights | None:
        if part in self._solvers:
            return self._solvers[part].weights(arrays[f"{part}_weights"])
        own = self.actor.skin_shapes
        if part == "skin" and own is not None:
            return BlendWeights(own.names, arrays["skin_weights"], self.face.skin, own.deltas)
        return None

    def _facts(self, audio: Path) -> dict[str, Any]:
        settings, info = self.settings, self.model.info
        noise = f"seed {settings.seed}" if settings.noise is None else "from a file"
        return {
            "model": self.model.folder.resolve().name,
            "network": info.type,
            "version": info.version,
            "audio": audio.name,
            "actor": self.actor.name,
            "emotion": self.emotion.description,
            "fps": float(self.fps),
            "network_fps": float(self.schedule.fps),
            **({} if settings.precision == "float32" else {"precision": settings.precision}),
            "noise": noise if info.noise_shape is not None else None,
            "blinks": f"seed {settings.seed}" if self._can_blink else "none",
            "solver": settings.solver if self._solvers else None,
            **({} if self.face.shapes is None else {"skin_weights": "predicted by the network"}),
            "input_gain": self.gain,
            "normalized": settings.normalize,
            "parameters": {name: self.parameters[name] for name in stated_parameters(self.parameters)},
            "framework": __version__,
        }
