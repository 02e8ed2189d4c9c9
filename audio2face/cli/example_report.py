"""The evaluation of networks that were trained on the example: sentences outside of the training set, in any voice."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from audio2face.cli.deploy import post_processing
from audio2face.config import Configuration
from audio2face.dataset import ActorDataset
from audio2face.evaluator.prepare import prepare_run
from audio2face.evaluator.report_files import write_report
from audio2face.evaluator.results import Report
from audio2face.evaluator.run import Settings, evaluate
from audio2face.evaluator.sets import EvaluatedSet
from audio2face.evaluator.shots import EvaluationShot, shot_of
from audio2face.evaluator.tasks import subject_name
from audio2face.example.sentences import emotion_of, unseen_dataset, unseen_sentences

REPORT_FOLDER = "evaluation"


@dataclass(frozen=True, kw_only=True)
class VoiceScore:
    """Scores of the finished animation of one voice, means over its sentences.

    Attributes:
        correlation: of the mouth opening with the true one.
        error_mm: distance of the worst lip vertex from its true place.
        closed: share of p, b and m on which the lips close.
    """

    correlation: float
    error_mm: float
    closed: float

    def __str__(self) -> str:
        """One line for people."""
        return (
            f"mouth opening correlates {self.correlation:.2f} with the truth, worst lip vertex off by "
            f"{self.error_mm:.1f} mm, lips close on {self.closed:.0%} of p, b, m"
        )


def unseen_shots(actor: ActorDataset, datasets: Path, voices: Sequence[str]) -> tuple[EvaluationShot, ...]:
    """The unseen sentences on the face of one actor; in every voice they have the times of the actor's own.

    Args:
        actor: whose face moves.
        datasets: where datasets lie.
        voices: who speaks.
    """
    unseen = unseen_dataset(actor, datasets)
    shots = []
    for voice in voices:
        for path in unseen_sentences(datasets, voice):
            own = f"{actor.actor}_{path.stem.partition('_')[2]}"  # names differ in the actor only
            shot = shot_of(
                unseen,
                own,
                emotions=actor.emotion_names,
                default_emotion=emotion_of(path.stem),
                audio=path,
                voice=voice,
            )
            shots.append(replace(shot, name=path.stem))
    return tuple(shots)


def evaluate_example(
    configuration: Configuration, run: Path, voices: Mapping[str, Sequence[str]], folder: Path, *, jobs: int
) -> Report:
    """Evaluates a training run on the unseen sentences, and writes the report.

    Args:
        configuration: for stage "deploy" or "inference".
        run: the training run.
        voices: by actor, who speaks on its face.
        folder: of the report.
        jobs: number of processes.

    Raises:
        UserError: a file cannot be read.
    """
    train, roots = configuration.train, configuration.roots
    prepared = prepare_run(run, train.FINAL_DEPLOY_ROOT, post_processing(configuration), roots, folder, quick=True)
    shots = [
        shot
        for actor, speakers in voices.items()
        for shot in unseen_shots(prepared.dataset(actor), roots.datasets, speakers)
    ]
    evaluated = EvaluatedSet(
        shots=tuple(shots),
        label=f"unseen sentences of the example in the voices {', '.join(sorted({shot.voice for shot in shots}))}",
        chosen_by="Nothing of this run was chosen on these sentences.",
    )
    report = evaluate([prepared], evaluated, Settings(folder=folder, quick=True, jobs=jobs))
    write_report(report, folder)
    return report


def voice_scores(report: Report) -> dict[str, VoiceScore]:
    """The scores of the finished animation, by voice."""
    rows = report.scores[subject_name(report.subjects[0].run, "finished")]
    found = {}
    for voice in dict.fromkeys(each.voice for each in report.recordings):
        own = [rows[each.name] for each in report.recordings if each.voice == voice]
        means = {
            metric: float(np.mean([row[metric] for row in own if metric in row]))
            for metric in ("lip_distance_correlation", "lip_vertex_error", "closure_hits")
        }
        found[voice] = VoiceScore(
            correlation=means["lip_distance_correlation"],
            error_mm=means["lip_vertex_error"],
            closed=means["closure_hits"],
        )
    return found
