"""What a process of an evaluation does: it animates one shot with a model or with the baselines, and scores it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from audio2face.audio import read_track
from audio2face.evaluate.curve_metrics import frame_loudness
from audio2face.evaluate.group_metrics import diversity
from audio2face.evaluate.motion import FaceFrames
from audio2face.evaluate.regions import Regions
from audio2face.evaluate.scorer import ShotScore, ShotScorer
from audio2face.evaluator.baseline_faces import BaselineFaces
from audio2face.evaluator.results import Variant
from audio2face.evaluator.shots import EvaluationShot, GroundTruth
from audio2face.evaluator.subjects import Model, ModelSettings
from audio2face.types import Float64Array

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
class ScoreTask:
    """One shot to animate and score.

    Attributes:
        shot: the shot.
        model: index of the model; None: all baselines.
        samples: whether the diversity under other noise is measured.
    """

    shot: EvaluationShot
    model: int | None
    samples: bool = False


def subject_name(run: str, variant: Variant) -> str:
    """The name of a model's variant in a report."""
    return f"{run}, {variant}"


class Scorer:
    """Animates and scores shots; models are loaded when they are first needed.

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

    def score(self, task: ScoreTask) -> dict[str, dict[str, Any]]:
        """The scores of a shot, by subject, as plain values (`score_record`).

        Raises:
            UserError: a file cannot be read, or a network outputs NaN or infinity.
        """
        shot = task.shot
        if task.model is None:
            baselines = self.context.baselines[shot.actor]
            return {name: score_record(self._score(shot, frames)) for name, frames in baselines.animate(shot).items()}
        model = self.model(task.model)
        records = {
            subject_name(model.settings.run, variant): score_record(score)
            for variant, score in self._score_variants(shot, model).items()
        }
        if task.samples and model.deployed.info.noise_shape is not None:
            finished = records[subject_name(model.settings.run, "finished")]
            finished["values"]["diversity"] = self._diversity(shot, model)
        return records

    def _score_variants(self, shot: EvaluationShot, model: Model) -> dict[Variant, ShotScore]:
        scorers = {variant: self._scorer(shot) for variant in model.settings.parameters[shot.actor]}
        truth, at = GroundTruth(shot), 0
        for blocks in model.animate(shot):
            count = len(next(iter(blocks.values())))
            true = truth.read(at, at + count)
            for variant, frames in blocks.items():
                scorers[variant].update(frames, true)
            at += count
        return {variant: scorer.finish() for variant, scorer in scorers.items()}

    def _score(self, shot: EvaluationShot, frames: Iterable[FaceFrames]) -> ShotScore:
        scorer, truth, at = self._scorer(shot), GroundTruth(shot), 0
        for block in frames:
            scorer.update(block, truth.read(at, at + len(block)))
            at += len(block)
        return scorer.finish()

    def _scorer(self, shot: EvaluationShot) -> ShotScorer:
        return ShotScorer(self.context.regions[shot.actor], shot.fps, shot.phones_of_part(), loudness_of(shot))

    def _diversity(self, shot: EvaluationShot, model: Model) -> float:
        lips = self.context.regions[shot.actor].lips.vertices
        samples = [
            np.concatenate([blocks["finished"].skin[:, lips] for blocks in model.animate(shot, seed)])
            for seed in range(_SAMPLES)
        ]
        return diversity(samples)


def loudness_of(shot: EvaluationShot) -> Float64Array:
    """Loudness at the recorded frames, decibels `[frames]`."""
    speech = read_track(shot.audio, SAMPLERATE)
    begin = round(shot.audio_start * SAMPLERATE)
    part = speech.read(begin, begin + round(shot.seconds * SAMPLERATE))
    return frame_loudness(part, SAMPLERATE, shot.fps, shot.num_frames)


def score_record(score: ShotScore) -> dict[str, Any]:
    """A score as plain values, to be sent between processes and kept in files."""
    step = max(1, -(-len(score.expression) // _MOST_EXPRESSION_VERTS))
    return {
        "values": dict(score.values),
        "opening_mm": _rounded(score.opening_mm),
        "opening_true_mm": _rounded(score.opening_true_mm),
        "error_mm": _rounded(score.error_mm),
        "lag_ms": _rounded(score.lag_ms),
        "lag_correlation": _rounded(score.lag_correlation),
        "expression": _rounded(score.expression[::step].reshape(-1), 5),
        "expression_true": _rounded(score.expression_true[::step].reshape(-1), 5),
    }


def _rounded(values: Float64Array, digits: int = 3) -> Sequence[float]:
    rounded: list[float] = np.round(values, digits).tolist()
    return rounded
