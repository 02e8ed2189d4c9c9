"""One evaluation: models and baselines animate all shots, scores are kept, and a report is made of them."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path
from typing import Any

from audio2face import __version__
from audio2face.console import LOGGER, track
from audio2face.evaluate.baselines import BASELINES
from audio2face.evaluate.metrics import METRICS
from audio2face.evaluate.regions import Region, Regions
from audio2face.evaluator.baseline_fit import fit_to_run
from audio2face.evaluator.prepare import PreparedRun
from audio2face.evaluator.processes import KeptScores, Records, digest, score_all
from audio2face.evaluator.results import (
    SCHEMA,
    Behaviour,
    Curves,
    MetricFacts,
    Moment,
    RecordingFacts,
    RegionFacts,
    Report,
    Subject,
)
from audio2face.evaluator.scoring import Context, ScoreTask, subject_name
from audio2face.evaluator.sets import EvaluatedSet
from audio2face.evaluator.shots import EvaluationShot, GroundTruth
from audio2face.evaluator.summary import compare, flags_of, summarise, worst_moments
from audio2face.io.digests import file_sha256
from audio2face.model_folder import model_digest
from audio2face.preproc.data_record import shot_files

QUICK_SHOTS, QUICK_SECONDS = 10, 6.0
_SAMPLED_SHOTS = 3  # animated under other noise too
_SCORES_FOLDER = "scores"  # of a report, for a repeated call


@dataclass(frozen=True, kw_only=True)
class Settings:
    """How an evaluation is made.

    Attributes:
        folder: of the report.
        quick: at most `QUICK_SHOTS` shots of `QUICK_SECONDS`, without behaviour tests and players.
        jobs: number of processes.
        regions: regions given by files, by name.
    """

    folder: Path
    quick: bool = False
    jobs: int = 1
    regions: Mapping[str, Region] | None = None

    @classmethod
    def all_cores(cls, folder: Path, **others: Any) -> Settings:
        """The settings for one process on each core."""
        return cls(folder=folder, jobs=os.cpu_count() or 1, **others)


def evaluate(prepared: Sequence[PreparedRun], evaluated: EvaluatedSet, settings: Settings) -> Report:
    """Evaluates runs on a set of shots; scores that an earlier call kept in the folder are reused.

    Args:
        prepared: the runs; baselines are fitted to the training data of the first.
        evaluated: the shots.
        settings: how.

    Raises:
        UserError: data are missing or do not fit a network.
    """
    evaluation = _Evaluation.open(prepared, evaluated, settings)
    scores = evaluation.scores()
    return evaluation.report(scores)


def quick_shots(shots: Sequence[EvaluationShot]) -> tuple[EvaluationShot, ...]:
    """The beginning of some shots, evenly chosen."""
    count = min(len(shots), QUICK_SHOTS)
    chosen = [shots[index * len(shots) // count] for index in range(count)]
    return tuple(shot.shortened(QUICK_SECONDS) for shot in chosen)


@dataclass(frozen=True, kw_only=True)
class _Evaluation:
    prepared: Sequence[PreparedRun]
    evaluated: EvaluatedSet
    settings: Settings
    context: Context

    @classmethod
    def open(cls, prepared: Sequence[PreparedRun], evaluated: EvaluatedSet, settings: Settings) -> _Evaluation:
        shots = quick_shots(evaluated.shots) if settings.quick else evaluated.shots
        evaluated = replace(evaluated, shots=shots)
        actors = tuple(dict.fromkeys(shot.actor for shot in shots))
        first = prepared[0]
        context = Context(
            models=tuple(each.settings for each in prepared),
            baselines=fit_to_run(first.run, first.model, actors),
            regions={actor: _regions(first, actor, shots, settings) for actor in actors},
        )
        return cls(prepared=prepared, evaluated=evaluated, settings=settings, context=context)

    @property
    def shots(self) -> tuple[EvaluationShot, ...]:
        return self.evaluated.shots

    # --- scores ------------------------------------------------------------------------------------------------------

    def scores(self) -> dict[str, Records]:
        """All scores, by subject and recording."""
        kept = KeptScores(self.settings.folder / _SCORES_FOLDER)
        keys = dict(zip(self._tasks(), self._keys(), strict=True))
        found = {task: records for task, key in keys.items() if (records := kept.read(key)) is not None}
        missing = [task for task in keys if task not in found]
        if found:
            LOGGER.info("%d of %d shots were scored by an earlier call", len(found), len(keys))
        done = score_all(self.context, missing, self.settings.jobs)
        frames = sum(task.shot.num_frames for task in missing)
        for task, records in track(done, frames, "evaluation", lambda item: item[0].shot.num_frames):
            kept.write(keys[task], records)
            found[task] = records
        scores: dict[str, Records] = {}
        for task in keys:
            for subject, record in found[task].items():
                scores.setdefault(subject, {})[task.shot.name] = record
        return scores

    def _tasks(self) -> list[ScoreTask]:
        sampled = {shot.name for shot in self.shots[:_SAMPLED_SHOTS]} if not self.settings.quick else set()
        return [
            ScoreTask(shot=shot, model=model, samples=model is not None and shot.name in sampled)
            for shot in sorted(self.shots, key=lambda shot: -shot.num_frames)  # long ones first
            for model in [*range(len(self.prepared)), None]
        ]

    def _keys(self) -> list[str]:
        """A checksum for each task of everything that its scores depend on."""
        models = [[model_digest(each.model.folder), each.settings.parameters] for each in self.prepared]
        fitted = [__version__, self.prepared[0].name, file_sha256(self.prepared[0].run.path / "network.json")]
        return [
            digest(
                SCHEMA,
                __version__,
                _fingerprint(task.shot),
                {name: region.sha256 for name, region in self.context.regions[task.shot.actor].all().items()},
                fitted if task.model is None else models[task.model],
                task.samples,
            )
            for task in self._tasks()
        ]

    # --- report ------------------------------------------------------------------------------------------------------

    def subjects(self) -> list[Subject]:
        """Models with their variants, then baselines."""
        models = [
            Subject(
                name=subject_name(each.name, variant),
                kind="model",
                run=each.name,
                variant=variant,
                network_type=each.settings.network_type,
            )
            for each in self.prepared
            for variant in next(iter(each.settings.parameters.values()))
        ]
        return [*models, *(Subject(name=name, kind="baseline") for name in BASELINES)]

    def report(self, scores: Mapping[str, Records]) -> Report:
        """The report, without behaviour tests and player pages."""
        recordings = [_facts(shot) for shot in self.shots]
        subjects = self.subjects()
        summary = summarise(scores, recordings)
        comparisons = compare(scores, subjects, recordings)
        names = ", ".join(each.name for each in self.prepared)
        return Report(
            title=f"{names} on the {self.evaluated.label}"
            if self.evaluated.label.startswith(("test", "validation"))
            else f"{names} on {self.evaluated.label}",
            created=datetime.now().astimezone().isoformat(timespec="seconds"),
            framework=__version__,
            evaluated_set=self.evaluated.label,
            chosen_by=self.evaluated.chosen_by,
            recordings=recordings,
            regions=self._region_facts(),
            metrics=_metric_facts(summary),
            subjects=subjects,
            scores={
                subject: {name: record["values"] for name, record in records.items()}
                for subject, records in scores.items()
            },
            summary=summary,
            comparisons=comparisons,
            flags=[*self.evaluated.flags, *flags_of(comparisons, subjects, recordings, summary)],
            worst=_worst(subjects, scores, recordings),
            curves=_curves(scores, self.shots),
            quick=self.settings.quick,
        )

    def _region_facts(self) -> dict[str, RegionFacts]:
        is_several = len(self.context.regions) > 1
        return {
            f"{actor} {name}" if is_several else name: RegionFacts(
                vertices=len(region), sha256=region.sha256, source=region.source
            )
            for actor, regions in self.context.regions.items()
            for name, region in regions.all().items()
        }


def _regions(prepared: PreparedRun, actor: str, shots: Sequence[EvaluationShot], settings: Settings) -> Regions:
    dataset = prepared.dataset(actor)
    own = [shot for shot in shots if shot.actor == actor]
    motion = (block.skin for shot in own for block in GroundTruth(shot).blocks())
    neutral = prepared.model.actor(actor).neutral_skin if dataset.skin_neutral is None else None
    return Regions.from_dataset(dataset, motion, settings.regions, neutral)


def _fingerprint(shot: EvaluationShot) -> Any:
    """What the scores of a shot depend on: its recording by content, its motion by size and time."""
    motion = [path.stat() for path in shot_files(shot.dataset.paths["SKIN_CACHE_ROOT"], shot.shot)]
    return [
        shot.audio_sha256(),
        [(stat.st_size, stat.st_mtime_ns) for stat in motion],
        [shot.actor, shot.shot, shot.emotion, shot.audio_start, shot.first, shot.num_frames, shot.fps],
        [(phone.symbol, phone.start, phone.end) for phone in shot.phones],
    ]


def _facts(shot: EvaluationShot) -> RecordingFacts:
    return RecordingFacts(
        name=shot.name,
        actor=shot.actor,
        shot=shot.shot,
        voice=shot.voice,
        emotion=shot.emotion,
        seconds=round(shot.seconds, 3),
        frames=shot.num_frames,
        fps=shot.fps,
        sha256=shot.audio_sha256(),
    )


def _metric_facts(summary: Mapping[str, Mapping[str, Any]]) -> dict[str, MetricFacts]:
    used = {metric for values in summary.values() for metric in values}
    return {
        name: MetricFacts(
            label=metric.label,
            unit=metric.unit,
            better=metric.better,
            definition=metric.definition,
            source=metric.source,
        )
        for name, metric in METRICS.items()
        if name in used
    }


def _worst(
    subjects: Sequence[Subject], scores: Mapping[str, Records], recordings: Sequence[RecordingFacts]
) -> dict[str, list[Moment]]:
    finished = [subject.name for subject in subjects if subject.variant == "finished"]
    return {name: worst_moments(scores[name], recordings) for name in finished}


def _curves(scores: Mapping[str, Records], shots: Sequence[EvaluationShot]) -> dict[str, Curves]:
    found = {}
    for shot in shots:
        records = {subject: own[shot.name] for subject, own in scores.items()}
        any_record = next(iter(records.values()))
        found[shot.name] = Curves(
            fps=shot.fps,
            truth=any_record["opening_true_mm"],
            subjects={subject: record["opening_mm"] for subject, record in records.items()},
            lag_ms=any_record["lag_ms"],
            lag_correlation={
                subject: record["lag_correlation"]
                for subject, record in records.items()
                if len(record["lag_correlation"]) == len(any_record["lag_ms"])
            },
        )
    return found


Test = Callable[[int, str], Sequence[Behaviour]]
