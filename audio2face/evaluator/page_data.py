"""The numbers inside the page, from which its program draws: scores and curves, rounded to what a plot can show."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from audio2face.evaluator.results import Curves, Report, Subject
from audio2face.evaluator.wording import decimals_for, leading_subjects, main_metrics, ridge_of

_OPENING_DECIMALS, _CORRELATION_DECIMALS = 2, 3
_SCORE_DIGITS = 5


def page_data(report: Report) -> dict[str, Any]:
    """The data: subjects and recordings in the order of the report, and numbers by their places in it."""
    leading, ridge = leading_subjects(report), ridge_of(report)
    return {
        "main": main_metrics(report),
        "metrics": {
            name: {
                "label": facts.label,
                "unit": facts.unit,
                "better": facts.better,
                "definition": facts.definition,
                "source": facts.source,
                "decimals": decimals_for(row[name].mean for row in report.summary.values() if name in row),
            }
            for name, facts in report.metrics.items()
        },
        "subjects": [
            {"name": subject.name, "kind": subject.kind, "style": style, "shown": _is_shown(subject, leading, ridge)}
            for subject, style in zip(report.subjects, styles(report), strict=True)
        ],
        "recordings": [
            {"name": recording.name, "emotion": recording.emotion, "seconds": _finite(recording.seconds)}
            for recording in report.recordings
        ],
        "scores": {
            name: [
                [_score(report.scores.get(subject.name, {}), recording.name, name) for recording in report.recordings]
                for subject in report.subjects
            ]
            for name in report.metrics
        },
        "curves": {
            recording.name: _curves(report.curves[recording.name], report.subjects)
            for recording in report.recordings
            if recording.name in report.curves
        },
    }


def styles(report: Report) -> list[str]:
    """For each subject the class of its colour and mark: "s0" and on for models, "b0" and on for baselines."""
    counts = {"model": 0, "baseline": 0}
    found = []
    for subject in report.subjects:
        found.append(f"{'s' if subject.kind == 'model' else 'b'}{counts[subject.kind] % 6}")
        counts[subject.kind] += 1
    return found


def _is_shown(subject: Subject, leading: Sequence[Subject], ridge: str | None) -> bool:
    """Whether plots show a subject from the start: models as users get them, and the ridge."""
    return subject in leading or subject.name == ridge


def _score(rows: Mapping[str, Mapping[str, float]], recording: str, metric: str) -> float | None:
    value = rows.get(recording, {}).get(metric)
    return None if value is None else _finite(float(f"{value:.{_SCORE_DIGITS}g}"))


def _curves(curves: Curves, subjects: Iterable[Subject]) -> dict[str, Any]:
    names = [subject.name for subject in subjects]
    return {
        "fps": _finite(curves.fps),
        "truth": _rounded(curves.truth, _OPENING_DECIMALS),
        "subjects": [_rounded(curves.subjects.get(name, ()), _OPENING_DECIMALS) for name in names],
        "lag": _rounded(curves.lag_ms, _OPENING_DECIMALS),
        "correlation": [_rounded(curves.lag_correlation.get(name, ()), _CORRELATION_DECIMALS) for name in names],
    }


def _rounded(values: Iterable[float], decimals: int) -> list[float | None]:
    return [_finite(round(value, decimals)) for value in values]


def _finite(value: float) -> float | None:
    """The value as JSON has it."""
    return value if math.isfinite(value) else None
