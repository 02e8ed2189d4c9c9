"""Tasks of an evaluation, which processes work on: shots to score, behaviour tests, pages of the player.

A task returns plain values, which are sent between processes and kept in files.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np

from audio2face.audio import read_track
from audio2face.evaluate.baselines import VISEME_RULES
from audio2face.evaluate.curve_metrics import frame_loudness, lag_curve
from audio2face.evaluate.ground_truth import ground_truth_animation
from audio2face.evaluate.lips import correlation
from audio2face.evaluate.regions import Regions
from audio2face.evaluate.scorer import FaceFrames, ShotScore, ShotScorer
from audio2face.evaluate.vertex_metrics import diversity
from audio2face.evaluator.baseline_faces import BaselineFaces
from audio2face.evaluator.behaviour_tests import ANIMATED_SECONDS, SpeechClip, run_behaviour_tests
from audio2face.evaluator.faces import WeightComparison
from audio2face.evaluator.results import Variant
from audio2face.evaluator.rule_faces import RuleFace
from audio2face.evaluator.shots import EvaluationShot, GroundTruth
from audio2face.evaluator.subjects import Model, ModelSettings
from audio2face.player.page import write_page
from audio2face.types import MM_PER_CM, Float32Array, Float64Array

SAMPLERATE = 16_000  # of the speech whose loudness is measured
_MOST_EXPRESSION_VERTS = 256  # of the upper face, from which the emotion is told
_SAMPLES = 3  # animations under different noise whose distance is the diversity


@dataclass(frozen=True, eq=False, kw_only=True)
class Context:
    """What all processes of an evaluation share.

    Attributes:
        models: the models.
        baselines: fitted baselines, by actor.
        regions: of the face, by actor.
    """

    models: tuple[ModelSettings, ...]
    baselines: Mapping[str, BaselineFaces]
    regions: Mapping[str, Regions]


@dataclass(frozen=True, kw_only=True)
class Task(ABC):
    """A part of an evaluation that one process does by itself.

    Attributes:
        shots: the shots that it reads, at least one.
        model: index of the model that animates; None: the baselines.
    """

    shots: tuple[EvaluationShot, ...]
    model: int | None = None

    @property
    def shot(self) -> EvaluationShot:
        """The first shot; the only one of most tasks."""
        return self.shots[0]

    @property
    def options(self) -> tuple[object, ...]:
        """What its result depends on beside shots and model: all other fields."""
        return tuple(value for name, value in vars(self).items() if name not in ("shots", "model"))

    @property
    @abstractmethod
    def seconds(self) -> float:
        """Seconds of animation, from which the time left is estimated."""

    @abstractmethod
    def run(self, session: Session) -> dict[str, Any]:
        """Does the task.

        Raises:
            UserError: a file cannot be read or written, or a network outputs NaN or infinity.
        """


def subject_name(run: str, variant: Variant) -> str:
    """The name of a model's variant in a report."""
    return f"{run}, {variant}"


class Session:
    """The models of an evaluation in one process, each loaded when it is first needed.

    Args:
        context: what all processes share.
    """

    def __init__(self, context: Context) -> None:
        self.context = context
        self._models: dict[int, Model] = {}

    def model(self, index: int) -> Model:
        """A model, loaded once."""
        if index not in self._models:
            self._models[index] = Model(self.context.models[index])
        return self._models[index]

    def regions(self, shot: EvaluationShot) -> Regions:
        """The regions of the face of a shot."""
        return self.context.regions[shot.actor]


@dataclass(frozen=True, kw_only=True)
class BaselineTask(Task):
    """Animates a shot with all baselines, and scores it."""

    @property
    def seconds(self) -> float:
        """Length of the shot."""
        return self.shot.seconds

    def run(self, session: Session) -> dict[str, Any]:
        """The records (`score_record`) by baseline."""
        animated = session.context.baselines[self.shot.actor].animate(self.shot)
        return {name: score_record(score_frames(self.shot, session, frames)) for name, frames in animated.items()}


@dataclass(frozen=True, kw_only=True)
class RulesTask(Task):
    """Animates a shot by viseme rules, and scores it; nothing is fitted to recorded motion.

    Attributes:
        model: index of the model whose blend shapes of the actor are animated.
    """

    model: int

    @property
    def seconds(self) -> float:
        """Length of the shot."""
        return self.shot.seconds

    def run(self, session: Session) -> dict[str, Any]:
        """The record (`score_record`); only of the opening for an actor without ARKit's shapes or visemes."""
        shot, actor = self.shot, session.model(self.model).deployed.actor(self.shot.actor)
        face = RuleFace(actor.name, session.regions(shot), actor.blendshapes.get("skin"))
        if face.has_shapes:
            return {VISEME_RULES: score_record(score_frames(shot, session, face.animate(shot)))}
        return {VISEME_RULES: opening_record(face.opening(shot), recorded_opening(shot, session), shot.fps)}


@dataclass(frozen=True, kw_only=True)
class ModelTask(Task):
    """Animates a shot with a model, and scores all variants of the animation.

    Attributes:
        model: index of the model.
        samples: whether the diversity under other noise is measured.
    """

    model: int
    samples: bool = False

    @property
    def seconds(self) -> float:
        """Seconds that the network animates."""
        return self.shot.seconds * (1 + _SAMPLES * self.samples)

    def run(self, session: Session) -> dict[str, Any]:
        """The records (`score_record`) by subject."""
        model = session.model(self.model)
        run = model.settings.run
        shapes = model.deployed.actor(self.shot.actor).blendshapes.get("skin")
        weights = None if shapes is None else WeightComparison(shapes)
        scored = self._score_variants(session, model, weights)
        records = {subject_name(run, variant): score_record(score) for variant, score in scored.items()}
        if weights is not None:
            records[subject_name(run, "finished")]["values"].update(weights.finish())
        if self.samples and model.deployed.info.noise_shape is not None:
            records[subject_name(run, "finished")]["values"]["diversity"] = self._diversity(session, model)
        return records

    def _score_variants(
        self, session: Session, model: Model, weights: WeightComparison | None
    ) -> dict[Variant, ShotScore]:
        scorers = {variant: new_scorer(self.shot, session) for variant in model.settings.parameters[self.shot.actor]}
        truth, at = ground_truth(self.shot, session), 0
        for blocks in model.animate(self.shot):
            count = len(next(iter(blocks.values())))
            true = truth.read(at, at + count)
            for variant, frames in blocks.items():
                scorers[variant].update(frames, true)
            if weights is not None:
                weights.update(blocks["finished"], true)
            at += count
        return {variant: scorer.finish() for variant, scorer in scorers.items()}

    def _diversity(self, session: Session, model: Model) -> float:
        lips = session.regions(self.shot).lips.vertices
        samples = [
            np.concatenate([blocks["finished"].skin[:, lips] for blocks in model.animate(self.shot, seed)])
            for seed in range(_SAMPLES)
        ]
        return diversity(samples)


@dataclass(frozen=True, kw_only=True)
class BehaviourTask(Task):
    """Runs the behaviour tests on a model.

    Attributes:
        shots: recordings of one actor, whose speech is used.
        model: index of the model.
    """

    model: int

    @property
    def seconds(self) -> float:
        """Seconds that the network animates, at most."""
        return ANIMATED_SECONDS

    def run(self, session: Session) -> dict[str, Any]:
        """The results, as values of `results.Behaviour`."""
        model, shot = session.model(self.model), self.shot
        mouth = model.mouth(shot.actor, session.regions(shot).mouth)
        found = run_behaviour_tests(
            mouth.opening,
            [_clip(each) for each in self.shots],
            stream=mouth.opening_streamed,
            rest_emotion=model.rest_emotion,
        )
        return {"behaviours": [asdict(each) for each in found]}


def _clip(shot: EvaluationShot) -> SpeechClip:
    return SpeechClip(name=shot.name, samples=speech_of(shot), samplerate=SAMPLERATE, emotion=shot.emotion)


@dataclass(frozen=True, kw_only=True)
class PageTask(Task):
    """Writes a page of the player: the finished animation of a whole recording beside the ground truth.

    Attributes:
        model: index of the model.
        path: of the page.
    """

    model: int
    path: Path

    @property
    def seconds(self) -> float:
        """Length of the shot."""
        return 2 * self.shot.seconds  # animated, and encoded

    def run(self, session: Session) -> dict[str, Any]:
        """Writes the page; returns nothing."""
        model, shot = session.model(self.model), self.shot
        self.path.parent.mkdir(parents=True, exist_ok=True)
        animation = model.pipeline(shot).animate(shot.audio, self.path.parent)
        truth = None
        if shot.dataset.skin_neutral is not None:
            truth = ground_truth_animation(shot.dataset, shot.shot, self.path.parent, animation.fps)
        write_page(animation, self.path, compare=truth, title=shot.name, labels=(model.settings.run, "ground truth"))
        return {}


def new_scorer(shot: EvaluationShot, session: Session) -> ShotScorer:
    """A scorer of a shot."""
    part = speech_of(shot)
    loudness = frame_loudness(part, SAMPLERATE, shot.fps, shot.num_frames)
    return ShotScorer(session.regions(shot), shot.fps, shot.phones_of_part(), loudness)


def score_frames(shot: EvaluationShot, session: Session, frames: Iterable[FaceFrames]) -> ShotScore:
    """The score of an animation of a shot, in blocks of consecutive frames."""
    scorer, truth, at = new_scorer(shot, session), ground_truth(shot, session), 0
    for block in frames:
        scorer.update(block, truth.read(at, at + len(block)))
        at += len(block)
    return scorer.finish()


def recorded_opening(shot: EvaluationShot, session: Session) -> Float64Array:
    """The recorded mouth opening above neutral, `[frames]`, millimetres."""
    regions = session.regions(shot)
    mouth, neutral = regions.mouth, regions.neutral[regions.mouth.region.vertices]
    blocks = (block.skin[:, mouth.region.vertices] - neutral for block in ground_truth(shot, session).blocks())
    return MM_PER_CM * np.concatenate([mouth.opening(block) for block in blocks])


def ground_truth(shot: EvaluationShot, session: Session) -> GroundTruth:
    """The recorded motion of a shot."""
    return GroundTruth(shot, len(session.regions(shot).neutral))


def speech_of(shot: EvaluationShot) -> Float32Array:
    """The compared part of the recording, float32 `[samples]` at `SAMPLERATE`."""
    begin = round(shot.audio_start * SAMPLERATE)
    return read_track(shot.audio, SAMPLERATE).read(begin, begin + round(shot.seconds * SAMPLERATE))


def score_record(score: ShotScore) -> dict[str, Any]:
    """A score as plain values, to be sent between processes and kept in files."""
    step = max(1, -(-len(score.expression) // _MOST_EXPRESSION_VERTS))
    return {
        "values": dict(score.values),
        "recorded": dict(score.recorded),
        "opening_mm": _rounded(score.opening_mm),
        "opening_true_mm": _rounded(score.opening_true_mm),
        "error_mm": _rounded(score.error_mm),
        "gains": {
            "product": score.gains.product,
            "square": score.gains.square,
            "error_mm": _rounded(score.gains.error_mm, 5),
        },
        "lag_ms": _rounded(score.lag_ms),
        "lag_correlation": _rounded(score.lag_correlation),
        "expression": _rounded(score.expression[::step].reshape(-1), 5),
        "expression_true": _rounded(score.expression_true[::step].reshape(-1), 5),
    }


def opening_record(opening: Float64Array, true: Float64Array, fps: float) -> dict[str, Any]:
    """A record (`score_record`) of an animation of another face, of which only the course of the opening compares.

    Args:
        opening: of the animated mouth, `[frames]`.
        true: recorded, `[frames]`, millimetres.
        fps: frames per second.
    """
    lags = lag_curve(opening, true, fps)
    values = {"lip_distance_correlation": correlation(opening, true), "lip_lag": lags.best_ms}
    return {
        "values": {name: value for name, value in values.items() if np.isfinite(value)},
        "opening_mm": [],
        "opening_true_mm": _rounded(true),
        "lag_ms": _rounded(lags.lag_ms),
        "lag_correlation": _rounded(lags.correlation),
    }


def _rounded(values: Float64Array, digits: int = 3) -> Sequence[float]:
    """The values as numbers of few digits; empty where one is undefined, as the lag of a still face."""
    rounded: list[float] = np.round(values, digits).tolist() if np.isfinite(values).all() else []
    return rounded
