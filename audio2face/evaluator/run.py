"""One evaluation: models and baselines animate all shots, scores are kept, and a report is made of them."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from functools import cached_property
from hashlib import sha256
from itertools import count
from pathlib import Path
from typing import Any

from audio2face import __version__
from audio2face.console import LOGGER, track
from audio2face.evaluate.baselines import BASELINES, VISEME_RULES
from audio2face.evaluate.metrics import METRICS
from audio2face.evaluate.regions import Region, Regions
from audio2face.evaluator.baseline_fit import fit_to_run
from audio2face.evaluator.prepare import PreparedRun, check_same_face
from audio2face.evaluator.processes import KeptTasks, digest, run_tasks
from audio2face.evaluator.results import (
    SCHEMA,
    Behaviour,
    Curves,
    Flag,
    MetricFacts,
    Moment,
    RecordingFacts,
    RegionFacts,
    Report,
    Subject,
)
from audio2face.evaluator.sets import EvaluatedSet, flags_of_training
from audio2face.evaluator.shots import EvaluationShot
from audio2face.evaluator.summary import (
    Scores,
    compare,
    flags_of,
    summarise,
    summarise_recorded,
    with_calibrated_error,
    worst_moments,
)
from audio2face.evaluator.tasks import (
    BaselineTask,
    BehaviourTask,
    Context,
    ModelTask,
    PageTask,
    RulesTask,
    Task,
    subject_name,
)
from audio2face.io.atomic import file_sha256
from audio2face.model_folder import model_digest
from audio2face.run_names import CONFIGURATION_FILE
from audio2face.training.run_folder import PREPROC_FILE

QUICK_SHOTS, QUICK_SECONDS = 10, 6.0
_SAMPLED_SHOTS = 3  # animated under other noise too
_TESTED_SHOTS = 6  # whose speech behaviour tests choose from
_KEPT_FOLDER = "kept"  # of a report, for a repeated call
PLAYERS_FOLDER = "players"
_LONGEST_NAME = 60  # characters: below 255 bytes in any script


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
    return evaluation.report(*evaluation.animations())


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
        check_same_face(prepared, actors)
        evaluated = replace(evaluated, flags=(*evaluated.flags, *_unknown_emotions(prepared, shots)))
        first = prepared[0]
        context = Context(
            models=tuple(each.settings for each in prepared),
            baselines=fit_to_run(first.run, first.model, actors),
            regions={actor: _regions(first, actor, settings.regions) for actor in actors},
        )
        return cls(prepared=prepared, evaluated=evaluated, settings=settings, context=context)

    @property
    def shots(self) -> tuple[EvaluationShot, ...]:
        return self.evaluated.shots

    # --- tasks -------------------------------------------------------------------------------------------------------

    def done(self, tasks: Sequence[Task], what: str) -> list[dict[str, Any]]:
        """The results of tasks, in their order; those that an earlier call kept are reused."""
        kept = KeptTasks(self.settings.folder / _KEPT_FOLDER)
        keys = [self._key(task) for task in tasks]
        found = {index: result for index, key in enumerate(keys) if (result := kept.read(key)) is not None}
        missing = [index for index in range(len(tasks)) if index not in found]
        if found:
            LOGGER.info("%s: %d of %d parts are kept from an earlier call", what, len(found), len(tasks))
        running = run_tasks(self.context, [tasks[index] for index in missing], self.settings.jobs)
        lengths = [max(1, round(tasks[index].seconds)) for index in missing]
        for number, result in track(running, sum(lengths), what, lambda item: lengths[item[0]]):
            index = missing[number]
            kept.write(keys[index], result)
            found[index] = result
        return [found[index] for index in range(len(tasks))]

    def _key(self, task: Task) -> str:
        """A checksum of everything that the result of a task depends on."""
        regions, model = self.context.regions[task.shots[0].actor], task.model
        return digest(
            SCHEMA,
            __version__,
            list(METRICS),
            type(task).__name__,
            [self._fingerprints[shot.name] for shot in task.shots],
            {name: region.sha256 for name, region in regions.all().items()},
            sha256(regions.neutral.tobytes()).hexdigest(),
            self._fitted if model is None else self._models[model],
            task.options,
        )

    @cached_property
    def _models(self) -> list[Any]:
        return [[each.name, model_digest(each.model.folder), each.settings.parameters] for each in self.prepared]

    @cached_property
    def _fitted(self) -> list[Any]:
        """What the baselines depend on: the training data of the first run."""
        path = self.prepared[0].run.path
        return [path.name, file_sha256(path / CONFIGURATION_FILE), file_sha256(path / PREPROC_FILE)]

    @cached_property
    def _file_names(self) -> dict[str, str]:
        return file_names([shot.name for shot in self.shots])

    @cached_property
    def _fingerprints(self) -> dict[str, Any]:
        return {shot.name: shot.fingerprint() for shot in self.shots}

    def animations(self) -> tuple[Scores, dict[str, list[Behaviour]]]:
        """Scores by subject and recording, and the behaviour tests by subject."""
        tasks: list[Task] = []
        for shot in sorted(self.shots, key=lambda shot: -shot.num_frames):  # long ones first
            tasks += [self._model_task(shot, model) for model in range(len(self.prepared))]
            tasks += [BaselineTask(shots=(shot,)), RulesTask(shots=(shot,), model=0)]
        tested = [] if self.settings.quick else self._behaviour_tasks()
        results = self.done([*tested, *tasks], "evaluation")
        scores: dict[str, dict[str, dict[str, Any]]] = {}
        for task, result in zip(tasks, results[len(tested) :], strict=True):
            for subject, record in result.items():
                scores.setdefault(subject, {})[task.shots[0].name] = record
        behaviours = {
            subject_name(self.prepared[task.model].name, "finished"): [Behaviour(**row) for row in result["behaviours"]]
            for task, result in zip(tested, results[: len(tested)], strict=True)
        }
        return with_calibrated_error(scores), behaviours

    def _model_task(self, shot: EvaluationShot, model: int) -> ModelTask:
        is_sampled = not self.settings.quick and shot in self.shots[:_SAMPLED_SHOTS]
        return ModelTask(shots=(shot,), model=model, samples=is_sampled)

    def _behaviour_tasks(self) -> list[BehaviourTask]:
        """Tests of every model on the speech of one actor, in several emotions where there are."""
        actor = self.shots[0].actor
        by_emotion = {shot.emotion: shot for shot in reversed(self.shots) if shot.actor == actor}
        chosen = [*by_emotion.values(), *(shot for shot in self.shots if shot.actor == actor)]
        shots = tuple({shot.name: shot for shot in chosen}.values())[:_TESTED_SHOTS]
        return [BehaviourTask(model=model, shots=shots) for model in range(len(self.prepared))]

    def with_players(self, worst: Mapping[str, Sequence[Moment]]) -> dict[str, list[Moment]]:
        """The worst moments with the pages that show them; the pages are written."""
        by_name = {shot.name: shot for shot in self.shots}
        tasks: dict[tuple[str, str], PageTask] = {}
        for index, each in enumerate(self.prepared):
            subject = subject_name(each.name, "finished")
            for moment in worst.get(subject, ()):
                path = self.settings.folder / PLAYERS_FOLDER / each.name / f"{self._file_names[moment.recording]}.html"
                tasks[subject, moment.recording] = PageTask(shots=(by_name[moment.recording],), model=index, path=path)
        missing = [task for task in tasks.values() if not self._is_written(task)]
        self.done(missing, "player pages")
        return {
            subject: [
                replace(moment, page=tasks[subject, moment.recording].path.relative_to(self.settings.folder).as_posix())
                for moment in moments
            ]
            for subject, moments in worst.items()
        }

    def _is_written(self, task: PageTask) -> bool:
        """Whether a page is there; the record of one that was removed is removed too."""
        record = self.settings.folder / _KEPT_FOLDER / f"{self._key(task)}.json"
        if not task.path.is_file():
            record.unlink(missing_ok=True)
        return record.is_file()

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
        return [*models, *(Subject(name=name, kind="baseline") for name in (*BASELINES, VISEME_RULES))]

    def report(self, scores: Scores, behaviours: Mapping[str, Sequence[Behaviour]]) -> Report:
        """The report."""
        recordings = [_facts(shot) for shot in self.shots]
        subjects = self.subjects()
        summary = summarise(scores, recordings)
        comparisons = compare(scores, subjects, recordings)
        worst = _worst(subjects, scores, recordings, self.shots)
        names = ", ".join(each.name for each in self.prepared)
        return Report(
            title=f"{names} on {self.evaluated.label}",
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
            flags=[
                *self.evaluated.flags,
                *flags_of_training(self.prepared, self.shots),
                *flags_of(comparisons, subjects, recordings, summary),
            ],
            behaviours=behaviours,
            worst=worst if self.settings.quick else self.with_players(worst),
            curves=_curves(scores, self.shots),
            recorded=summarise_recorded(scores, recordings),
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


def _regions(prepared: PreparedRun, actor: str, given: Mapping[str, Region] | None) -> Regions:
    dataset = prepared.dataset(actor)
    neutral = prepared.model.actor(actor).neutral_skin if dataset.skin_neutral is None else None
    return Regions.from_dataset(dataset, given, neutral)


def _unknown_emotions(prepared: Sequence[PreparedRun], shots: Sequence[EvaluationShot]) -> list[Flag]:
    """Warnings of runs that do not know the emotion of a shot."""
    found = []
    for settings in (each.settings for each in prepared):
        unknown = sorted({shot.emotion for shot in shots} - {*settings.emotions, settings.zero_emotion})
        if unknown:
            text = f"{settings.run} does not know the emotions {', '.join(unknown)}: it speaks these shots as "
            found.append(Flag(level="warning", text=f"{text}{settings.default_emotion}."))
    return found


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
    subjects: Sequence[Subject], scores: Scores, recordings: Sequence[RecordingFacts], shots: Sequence[EvaluationShot]
) -> dict[str, list[Moment]]:
    """The worst moments of finished animations, at their times in the recordings."""
    starts = {shot.name: shot.audio_start for shot in shots}
    return {
        subject.name: [
            replace(moment, seconds=round(starts[moment.recording] + moment.seconds, 2))
            for moment in worst_moments(scores[subject.name], recordings)
        ]
        for subject in subjects
        if subject.variant == "finished"
    }


def _curves(scores: Scores, shots: Sequence[EvaluationShot]) -> dict[str, Curves]:
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


def file_names(recordings: Sequence[str]) -> dict[str, str]:
    """Names of files for recordings, without ending; different in file systems that ignore case too."""
    found: dict[str, str] = {}
    for recording in recordings:
        plain = re.sub(r"[^\w.-]+", "_", recording).strip("_.")[:_LONGEST_NAME] or "recording"
        taken = {name.casefold() for name in found.values()}
        names = (plain if number == 1 else f"{plain}_{number}" for number in count(1))
        found[recording] = next(name for name in names if name.casefold() not in taken)
    return found
