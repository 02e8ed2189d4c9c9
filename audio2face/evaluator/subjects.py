"""Models that are evaluated: a deployed network animates shots, as it is and with post-processing.

Nothing here needs PyTorch, so that processes which animate start quickly.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path

import numpy as np

from audio2face.animation import AnimatorSettings, FaceAnimator
from audio2face.audio import resample, stream_range
from audio2face.dataset.actor import DEFAULT_EMOTION
from audio2face.dataset.shots import EmotionVectors
from audio2face.evaluate.regions import Mouth
from audio2face.evaluate.scorer import FaceFrames
from audio2face.evaluator.faces import ActorFace, RecordedFrames
from audio2face.evaluator.results import Variant
from audio2face.evaluator.shots import EvaluationShot
from audio2face.inference import EmotionCurve, Executor, TrackSettings, open_graph
from audio2face.inference.actor import exact_rate
from audio2face.inference.animate import AnimationOptions, AnimationPipeline
from audio2face.inference.executor import OutputFrames
from audio2face.model_folder import DeployedModel
from audio2face.types import MM_PER_CM, Float32Array, Float64Array

_CONTEXT = Fraction(1)  # seconds of audio before and after the compared part
_GUARD = "speech_guard_strength"


@dataclass(frozen=True, kw_only=True)
class ModelSettings:
    """What a model is opened from; small, to be sent to processes.

    Attributes:
        run: name of the training run.
        folder: the deployed folder.
        network_type: the kind of network.
        emotions: names of the network's emotions that have an input.
        zero_emotion: emotion of the zero vector.
        default_emotion: the emotion of shots whose own the network does not know.
        parameters: animation parameters by actor and variant.
        seed: of the noise of a network that takes noise.
    """

    run: str
    folder: Path
    network_type: str
    emotions: tuple[str, ...]
    zero_emotion: str | None
    default_emotion: str
    parameters: Mapping[str, Mapping[Variant, Mapping[str, float]]]
    seed: int = 0

    def spoken_emotion(self, emotion: str) -> str:
        """The emotion, or the default: of runs that are compared, one may know emotions that another does not."""
        return emotion if emotion in (*self.emotions, self.zero_emotion) else self.default_emotion


class Model:
    """A deployed network, loaded.

    Args:
        settings: what it is opened from.

    Raises:
        UserError: the folder is damaged, or the network cannot be loaded.
    """

    def __init__(self, settings: ModelSettings) -> None:
        self.settings = settings
        self.deployed = DeployedModel.open(settings.folder)
        self._graph = open_graph(self.deployed)
        self._emotions = EmotionVectors(settings.emotions, settings.zero_emotion)
        self._faces: dict[str, ActorFace] = {}

    def face(self, actor: str) -> ActorFace:
        """The face of an actor, loaded once."""
        if actor not in self._faces:
            self._faces[actor] = ActorFace(self.deployed.actor(actor))
        return self._faces[actor]

    def animate(self, shot: EvaluationShot, seed: int | None = None) -> Iterator[Mapping[Variant, FaceFrames]]:
        """Animates a shot, all variants in one pass of the network.

        Args:
            shot: the shot.
            seed: of the noise; None: that of the settings.

        Yields:
            Blocks of consecutive frames at the times of the recorded frames, by variant.

        Raises:
            UserError: the recording cannot be read, or the network outputs NaN or infinity.
        """
        face = self.face(shot.actor)
        rate = exact_rate(shot.fps)
        executor = self._executor(shot, rate, seed)
        parameters = self.settings.parameters[shot.actor]
        animators = {variant: face.animator(dict(values), executor.fps) for variant, values in parameters.items()}
        recorded = {variant: RecordedFrames(executor.fps, rate, shot.num_frames) for variant in animators}
        guarded = {variant for variant, values in parameters.items() if values[_GUARD]}
        for deltas, mouth in self._deltas(face, executor, shot, rate):
            blocks = {
                variant: recorded[variant].push(face.finish(animator, deltas, mouth if variant in guarded else None))
                for variant, animator in animators.items()
            }
            yield from _whole_blocks(blocks)
            if all(each.is_complete for each in recorded.values()):
                return
        yield from _whole_blocks({variant: each.finish() for variant, each in recorded.items()})

    def _executor(self, shot: EvaluationShot, rate: Fraction, seed: int | None) -> Executor:
        return self.open_executor(
            shot.actor, shot.emotion, rate if self.deployed.info.native_fps is None else None, seed
        )

    def open_executor(self, actor: str, emotion: str, fps: Fraction | None, seed: int | None) -> Executor:
        """Opens an executor of one track that speaks in one emotion.

        Args:
            actor: whose face is animated.
            emotion: name of the emotion.
            fps: rate of a network without a fixed one; None: 30.
            seed: of the noise; None: that of the settings.
        """
        gain = None
        if self.deployed.info.applies_input_strength:
            gain = self.settings.parameters[actor]["finished"]["input_strength"]
        track = TrackSettings(
            emotion=EmotionCurve.constant(self._emotions.vector(self.settings.spoken_emotion(emotion))),
            actor=actor,
            gain=gain,
            seed=self.settings.seed if seed is None else seed,
            guard=self.settings.parameters[actor]["finished"][_GUARD],
        )
        return Executor.open(self.deployed, [track], fps=fps, graph=self._graph)

    def _deltas(
        self, face: ActorFace, executor: Executor, shot: EvaluationShot, rate: Fraction
    ) -> Iterator[tuple[FaceFrames, FaceFrames | None]]:
        """Deltas at the network's rate, the first frame half an interval after the start of the shot.

        Beside them those of the mouth, where it follows others.
        """
        info, fps = self.deployed.info, executor.fps
        # A recorded frame is at the middle of its interval: the network is evaluated at that time.
        start = Fraction(shot.audio_start) + (Fraction(1, 2) - info.frame_moment) / fps
        lead = int(max(Fraction(0), min(start, _CONTEXT)) * fps)
        wanted = -(-shot.num_frames * fps // rate) + 1
        begin = round((start - lead / fps) * executor.samplerate)
        count = round((lead + wanted) / fps * executor.samplerate + _CONTEXT * executor.samplerate)
        frames = OutputFrames(executor)
        for samples in stream_range(shot.audio, executor.samplerate, begin, count, info.resampler):
            executor.push(0, samples)
            for values, guarded in frames.guarded():
                yield from _after(face, values, guarded, lead)
                lead = max(0, lead - len(values))
        executor.close(0)
        for values, guarded in frames.guarded():
            yield from _after(face, values, guarded, lead)
            lead = max(0, lead - len(values))

    @property
    def rest_emotion(self) -> str:
        """The emotion whose face at rest is the neutral one: that of the zero vector, else the first."""
        return self.settings.zero_emotion or self.settings.emotions[0]

    def mouth(self, actor: str, mouth: Mouth) -> MouthAnimation:
        """A fast animation of the mouth alone.

        Args:
            actor: whose face it is.
            mouth: the vertices that measure its opening.
        """
        return MouthAnimation(self, actor, mouth)

    def pipeline(self, shot: EvaluationShot) -> AnimationPipeline:
        """The pipeline that users animate recordings with, for a shot."""
        options = AnimationOptions(
            actor=shot.actor,
            emotion=self.settings.spoken_emotion(shot.emotion),
            zero_emotion=self.settings.zero_emotion or DEFAULT_EMOTION,
            seed=self.settings.seed,
            blinks=False,
            solver=None,
        )
        return AnimationPipeline(self.deployed, options, self._graph)


def _after(
    face: ActorFace, values: Float32Array, guarded: Float32Array, lead: int
) -> Iterator[tuple[FaceFrames, FaceFrames | None]]:
    """The deltas of network output without its first `lead` frames, and those of the mouth where it follows others."""
    if len(values) > lead:
        mouth = None if np.array_equal(values, guarded) else face.deltas(guarded[lead:])
        yield face.deltas(values[lead:]), mouth


def _whole_blocks(blocks: Mapping[Variant, FaceFrames | None]) -> Iterator[Mapping[Variant, FaceFrames]]:
    """The blocks, which have the same length in all variants; nothing where they are empty."""
    found = {variant: block for variant, block in blocks.items() if block is not None}
    if found:
        yield found


class MouthAnimation:
    """Animates the mouth for any samples: the finished animation, on the vertices that it needs.

    Args:
        model: the network.
        actor: whose face it is.
        mouth: the vertices that measure the opening.
    """

    def __init__(self, model: Model, actor: str, mouth: Mouth) -> None:
        self._model, self._actor, self._mouth = model, actor, mouth
        face, vertices = model.face(actor).data, mouth.region.vertices
        heights = face.skin[:, 1]
        # The highest and the lowest vertex: the division of upper and lower face is then that of the whole face.
        self._kept = np.union1d(vertices, [heights.argmin(), heights.argmax()])
        self._marked = np.searchsorted(self._kept, vertices)
        self._data = face.at_vertices(self._kept)

    def opening(self, samples: Float32Array, samplerate: int, emotion: str) -> tuple[Float64Array, float]:
        """Mouth opening above the neutral face for some speech.

        Args:
            samples: mono, float32 `[samples]`, full scale 1.
            samplerate: Hz.
            emotion: name of the emotion.

        Returns:
            Millimetres `[frames]`, frame i at (i + 0.5) / fps, and the rate.
        """
        executor, audio = self._open(samples, samplerate, emotion)
        return self._opening(executor, [audio])

    def opening_streamed(self, samples: Float32Array, samplerate: int, emotion: str) -> tuple[Float64Array, float]:
        """The same, computed from audio that arrives in pieces of 20 ms."""
        executor, audio = self._open(samples, samplerate, emotion)
        piece = executor.samplerate // 50
        return self._opening(executor, [audio[start : start + piece] for start in range(0, len(audio), piece)])

    def _open(self, samples: Float32Array, samplerate: int, emotion: str) -> tuple[Executor, Float32Array]:
        """An executor, and the samples for it, which start where its frames are at the middle of their intervals."""
        executor = self._model.open_executor(self._actor, emotion, None, None)
        info = self._model.deployed.info
        audio = resample(samples, samplerate, executor.samplerate, info.resampler)
        skipped = round((Fraction(1, 2) - info.frame_moment) / executor.fps * executor.samplerate)
        return executor, np.concatenate([audio[skipped:], np.zeros(min(skipped, len(audio)), np.float32)])

    def _opening(self, executor: Executor, pieces: Iterable[Float32Array]) -> tuple[Float64Array, float]:
        parameters = dict(self._model.settings.parameters[self._actor]["finished"])
        animate = FaceAnimator(self._data, AnimatorSettings.from_parameters(parameters), executor.fps)
        frames, curve = OutputFrames(executor), []
        for piece in pieces:
            executor.push(0, piece)
            curve += [self._opened(animate, *both) for both in frames.guarded()]
        executor.close(0)
        curve += [self._opened(animate, *both) for both in frames.guarded()]
        return np.concatenate(curve), float(executor.fps)

    def _opened(self, animate: FaceAnimator, values: Float32Array, guarded: Float32Array) -> Float64Array:
        face = self._model.face(self._actor)
        lower = None if np.array_equal(values, guarded) else face.skin_deltas(guarded, self._kept)
        skin = animate.skin(face.skin_deltas(values, self._kept), None, lower)
        return MM_PER_CM * self._mouth.opening((skin - self._data.skin)[:, self._marked])
