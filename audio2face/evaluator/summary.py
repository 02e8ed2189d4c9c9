"""From scores of shots to what a report states: means with intervals, paired differences, warnings, worst moments."""

from __future__ import annotations

from collections.abc import Hashable, Mapping, Sequence
from itertools import combinations
from typing import Any

import numpy as np

from audio2face.evaluate.baselines import MEAN_FACE, RIDGE
from audio2face.evaluate.calibrated_error import MOST_GAIN, GainCurve, common_gain
from audio2face.evaluate.intervals import (
    MIN_SHOTS,
    Estimate,
    bootstrap_mean,
    bootstrap_ratio,
    group_by_shot,
    paired_difference,
)
from audio2face.evaluate.metrics import METRICS
from audio2face.evaluate.vertex_metrics import emotion_separability
from audio2face.evaluator.results import Comparison, Flag, Interval, Moment, RecordingFacts, Subject
from audio2face.evaluator.wording import DECISIVE, number, range_words

# What every model is compared in, against the ridge and against other models.
COMPARED = (
    "lip_vertex_error",
    "lip_vertex_error_calibrated",
    "lip_distance_correlation",
    "mean_vertex_error",
    "opening_retention",
    "closure_hits",
    "jerk_ratio",
)
FEW_SHOTS = 10  # below that many an interval is itself uncertain
_WORST = 10
_APART = 1.0  # seconds between two moments of one shot

Scores = Mapping[str, Mapping[str, Mapping[str, Any]]]  # subject, recording, record of `tasks.score_record`


def with_calibrated_error(scores: Scores) -> Scores:
    """The scores with the calibrated lip error of each recording, at the gain that all recordings of a subject share.

    The gain stays that of the whole set where intervals resample it: at the least-squares gain the squared error
    does not change to first order with the gain, and so the mean of a report is that of its recordings.
    """
    found = {}
    for subject, records in scores.items():
        curves = {name: _gain_curve(record) for name, record in records.items() if "gains" in record}
        gain = common_gain(curves.values())
        errors = {name: {"lip_vertex_error_calibrated": curve.error_at(gain)} for name, curve in curves.items()}
        found[subject] = {
            name: {**record, "values": {**record["values"], **errors.get(name, {})}} for name, record in records.items()
        }
    return found


def _gain_curve(record: Mapping[str, Any]) -> GainCurve:
    gains = record["gains"]
    return GainCurve(gains["product"], gains["square"], np.array(gains["error_mm"]))


def _gain_interval(records: Mapping[str, Mapping[str, Any]], shots: Mapping[str, str]) -> Interval | None:
    """The common gain; None of a still face."""
    terms: dict[Hashable, list[tuple[float, float]]] = {}
    for name, record in records.items():
        if record.get("gains", {}).get("square"):
            terms.setdefault(shots[name], []).append((record["gains"]["product"], record["gains"]["square"]))
    if not terms:
        return None
    found = bootstrap_ratio(terms)
    mean, low, high = (
        None if end is None else min(max(end, 0.0), MOST_GAIN) for end in (found.mean, found.low, found.high)
    )
    return Interval(mean=mean or 0.0, low=low, high=high, recordings=found.recordings)


def summarise(scores: Scores, recordings: Sequence[RecordingFacts]) -> dict[str, dict[str, Interval]]:
    """Mean and interval of every metric, by subject and metric; metrics that are undefined everywhere are missing.

    Args:
        scores: result of `with_calibrated_error`.
        recordings: the recordings.
    """
    shots = _shots(recordings)
    found: dict[str, dict[str, Interval]] = {}
    for subject, records in scores.items():
        found[subject] = {
            metric: _interval(bootstrap_mean(group_by_shot(values, shots)))
            for metric in METRICS
            if (values := _values(records, metric))
        }
        gain = _gain_interval(records, shots)
        if gain is not None:
            found[subject]["common_gain"] = gain
        separability = _separability(records, recordings)
        if np.isfinite(separability):
            found[subject]["emotion_separability"] = Interval(
                mean=separability, low=None, high=None, recordings=len(recordings)
            )
    return found


def summarise_recorded(scores: Scores, recordings: Sequence[RecordingFacts]) -> dict[str, Interval]:
    """What the recorded faces have themselves, by metric: those that say something without a comparison."""
    records = next(iter(scores.values()), {})  # every subject is compared with the same faces
    rows = {name: record.get("recorded", {}) for name, record in records.items()}
    shots = _shots(recordings)
    found = {
        metric: _interval(bootstrap_mean(group_by_shot(values, shots)))
        for metric in METRICS
        if (values := {name: row[metric] for name, row in rows.items() if metric in row})
    }
    separability = _separability(records, recordings, "expression_true")
    if np.isfinite(separability):
        found["emotion_separability"] = Interval(mean=separability, low=None, high=None, recordings=len(recordings))
    return found


def _interval(estimate: Estimate) -> Interval:
    return Interval(mean=estimate.mean, low=estimate.low, high=estimate.high, recordings=estimate.recordings)


def _values(records: Mapping[str, Mapping[str, Any]], metric: str) -> dict[str, float]:
    """The values of a metric by recording, where it is defined."""
    return {name: record["values"][metric] for name, record in records.items() if metric in record["values"]}


def _shots(recordings: Sequence[RecordingFacts]) -> dict[str, str]:
    """The shot of each recording: voices of one shot are drawn together."""
    return {each.name: f"{each.actor}/{each.shot}" for each in recordings}


def _separability(
    records: Mapping[str, Mapping[str, Any]], recordings: Sequence[RecordingFacts], pose: str = "expression"
) -> float:
    actors = {each.actor for each in recordings}
    if len(actors) != 1:  # faces of several actors differ by more than their emotions
        return float("nan")
    poses = np.array([records[each.name].get(pose, []) for each in recordings])
    return emotion_separability(poses, [each.emotion for each in recordings]) if poses.size else float("nan")


def compare(scores: Scores, subjects: Sequence[Subject], recordings: Sequence[RecordingFacts]) -> list[Comparison]:
    """Paired differences: every variant of a model against the ridge, and finished animations against each other."""
    models = [each.name for each in subjects if each.kind == "model"]
    finished = [each.name for each in subjects if each.variant == "finished"]
    pairs = [(name, RIDGE) for name in models if RIDGE in scores] + list(combinations(finished, 2))
    return [
        found
        for one, other in pairs
        for metric in COMPARED
        if (found := _comparison(scores, recordings, one, other, metric)) is not None
    ]


def _comparison(
    scores: Scores, recordings: Sequence[RecordingFacts], subject: str, against: str, metric: str
) -> Comparison | None:
    one, other = (_values(scores[name], metric) for name in (subject, against))
    found = paired_difference(one, other, _shots(recordings), METRICS[metric].better)
    if found is None:
        return None
    return Comparison(
        subject=subject,
        against=against,
        metric=metric,
        difference=_interval(found.estimate),
        verdict=found.verdict,
    )


def flags_of(
    comparisons: Sequence[Comparison],
    subjects: Sequence[Subject],
    recordings: Sequence[RecordingFacts],
    summary: Mapping[str, Mapping[str, Interval]],
) -> list[Flag]:
    """What a reader must not miss."""
    flags = []
    num_shots = len(set(_shots(recordings).values()))
    if num_shots < FEW_SHOTS:
        flags.append(
            Flag(
                level="warning",
                text=f"Only {num_shots} {'shot was' if num_shots == 1 else 'shots were'} evaluated: intervals are "
                f"uncertain below {FEW_SHOTS} shots, and small differences mean nothing.",
            )
        )
    for subject in subjects:
        if subject.variant == "finished":
            flags += _flags_of_model(subject, comparisons, summary, num_shots)
    return flags


def _flags_of_model(
    subject: Subject, comparisons: Sequence[Comparison], summary: Mapping[str, Mapping[str, Interval]], num_shots: int
) -> list[Flag]:
    against_ridge = {
        each.metric: each for each in comparisons if each.subject == subject.name and each.against == RIDGE
    }
    decisive = [against_ridge[metric] for metric in DECISIVE if metric in against_ridge]
    flags = []
    short = [each for each in decisive if each.verdict != "better"]
    if short or not decisive:
        reasons = "; ".join(_reason(each) for each in short) or "nothing could be compared"
        if num_shots < MIN_SHOTS:
            reasons = f"that takes {MIN_SHOTS} shots or more"
        flags.append(
            Flag(
                level="warning",
                subject=subject.name,
                text=f"{subject.name} is not shown to be better than a linear map from the spectrum (ridge): "
                f"{reasons}.",
            )
        )
    if _mean_face_is_nearer(subject.name, summary):
        flags.append(
            Flag(
                level="warning",
                subject=subject.name,
                text="A still face (the mean of the training data) is nearer to the recorded lips than "
                f"{subject.name}.",
            )
        )
    return flags


def _reason(comparison: Comparison) -> str:
    difference, metric = comparison.difference, METRICS[comparison.metric]
    ends = range_words(difference, 3, signed=True)
    interval = f", interval {ends}" if ends else ""
    words = "is worse" if comparison.verdict == "worse" else "may be the same"
    mean = f"{number(difference.mean, 3, signed=True)} {metric.unit}".rstrip()
    return f"{metric.label} {words} ({mean}{interval})"


def _mean_face_is_nearer(name: str, summary: Mapping[str, Mapping[str, Interval]]) -> bool:
    metric = DECISIVE[0]
    mine, still = (summary.get(subject, {}).get(metric) for subject in (name, MEAN_FACE))
    return mine is not None and still is not None and mine.mean >= still.mean


def worst_moments(
    records: Mapping[str, Mapping[str, Any]], recordings: Sequence[RecordingFacts], count: int = _WORST
) -> list[Moment]:
    """The moments of the largest lip errors of one subject, a second apart within a shot, the worst first."""
    found = [moment for each in recordings for moment in _peaks(each, np.array(records[each.name]["error_mm"]), count)]
    return sorted(found, key=lambda moment: -moment.error_mm)[:count]


def _peaks(recording: RecordingFacts, errors: Any, count: int) -> list[Moment]:
    peaks: list[Moment] = []
    left = errors.copy()
    reach = round(_APART * recording.fps)
    while len(peaks) < count and len(left) and left.max() > 0:
        frame = int(left.argmax())
        peaks.append(
            Moment(
                recording=recording.name,
                seconds=round((frame + 0.5) / recording.fps, 2),
                error_mm=round(float(errors[frame]), 2),
            )
        )
        left[max(0, frame - reach) : frame + reach + 1] = 0
    return peaks
