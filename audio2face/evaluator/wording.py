"""The summary in plain words and numbers: which metrics come first, what they say, whether a model beats a linear map.

Numbers have as many decimals as a metric needs, a real minus sign, and their interval in words.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

from audio2face.evaluate.baselines import RIDGE
from audio2face.evaluate.intervals import MIN_SHOTS
from audio2face.evaluator.results import Interval, Report, Subject, Verdict

# A model is shown to be better than a linear map where it is better in both.
DECISIVE = ("lip_vertex_error", "lip_distance_correlation")
# What a reader sees first, in this order.
MAIN_METRICS = (
    "lip_distance_correlation",
    "lip_vertex_error",
    "lip_vertex_error_calibrated",
    "opening_retention",
    "closure_hits",
    "lip_lag",
    "mean_vertex_error",
)
_FALLBACK = 6  # metrics of a report that has none of them
_FINISHED = ("finished", "uncalibrated", "network output")  # which variant stands for a model


def main_metrics(report: Report) -> list[str]:
    """The names of the metrics that summaries show; those of the report that come first where it has none of them."""
    return [name for name in MAIN_METRICS if name in report.metrics] or list(report.metrics)[:_FALLBACK]


def leading_subjects(report: Report) -> list[Subject]:
    """One subject for each model, the one that users get: finished where there is such a variant."""
    models: dict[str, list[Subject]] = {}
    for subject in report.subjects:
        if subject.kind == "model":
            models.setdefault(subject.run or subject.name, []).append(subject)
    return [min(variants, key=_rank) for variants in models.values()]


def _rank(subject: Subject) -> int:
    return _FINISHED.index(subject.variant) if subject.variant in _FINISHED else len(_FINISHED)


def ridge_of(report: Report) -> str | None:
    """The name of the ridge among the subjects, the linear map that a model must beat; None without one."""
    names = (subject.name for subject in report.subjects if subject.kind == "baseline")
    return next((name for name in names if RIDGE in name), None)


def model_label(subject: Subject) -> str:
    """The run of a model, or the name of a subject without one."""
    return subject.run or subject.name


_MAP_REACHES, _MAP_HAS = "a linear map of the sound reaches", "a linear map has"


@dataclass(frozen=True)
class _Case:
    """A metric of one model with what it is compared with."""

    label: str
    unit: str
    own: Interval
    ridge: Interval | None
    decimals: int

    @property
    def figure(self) -> str:
        """Such as "2.07 mm (1.93 to 2.21)"."""
        ends = range_words(self.own, self.decimals)
        return self.value(self.own) + (f" ({ends})" if ends else "")

    def beside(self, words: str) -> str:
        """The clause about the ridge; empty without one."""
        return "" if self.ridge is None else f"; {words} {self.value(self.ridge)}"

    def value(self, interval: Interval) -> str:
        """The mean with its unit."""
        return f"{number(interval.mean, self.decimals)} {self.unit}".rstrip()


def _correlation(case: _Case) -> str:
    return f"The lips follow the speech: correlation {case.figure}, where 1 is perfect{case.beside(_MAP_REACHES)}."


def _lip_error(case: _Case) -> str:
    return f"The point of the lips that is furthest off misses by {case.figure} on average{case.beside(_MAP_HAS)}."


def _calibrated(case: _Case) -> str:
    about = "With each recording's own mean mouth and one gain for all, which leaves shape and timing, it misses by"
    return f"{about} {case.figure}{case.beside(_MAP_HAS)}."


def _vertex_error(case: _Case) -> str:
    return f"The whole face is off by {case.figure} on average{case.beside(_MAP_HAS)}."


def _retention(case: _Case) -> str:
    return f"The mouth opens {_percent(case.own)} as far as the actor's."


def _closure(case: _Case) -> str:
    return f"It closes on {_percent(case.own)} of the sounds p, b and m."


def _lag(case: _Case) -> str:
    mean = case.own.mean
    ends = range_words(case.own, 0, signed=True)
    within = f" (95 % interval {ends} {case.unit})" if ends else ""
    if number(mean, 0) == "0":
        return f"The lips move in time with the recorded ones{within}."
    return f"The lips are {number(abs(mean), 0)} {case.unit} {'late' if mean > 0 else 'early'}{within}."


_SENTENCES: dict[str, Callable[[_Case], str]] = {
    "lip_distance_correlation": _correlation,
    "lip_vertex_error": _lip_error,
    "lip_vertex_error_calibrated": _calibrated,
    "opening_retention": _retention,
    "closure_hits": _closure,
    "lip_lag": _lag,
    "mean_vertex_error": _vertex_error,
}


def _percent(interval: Interval) -> str:
    """A ratio in percent with its interval."""
    hundred = Interval(
        mean=100 * interval.mean,
        low=None if interval.low is None else 100 * interval.low,
        high=None if interval.high is None else 100 * interval.high,
        recordings=interval.recordings,
    )
    words = range_words(hundred, 0)
    return f"{number(hundred.mean, 0)} %" + (f" ({words} %)" if words else "")


def sentences(report: Report, subject: Subject) -> list[str]:
    """What the main metrics say about a model, a sentence each."""
    ridge, found = ridge_of(report), []
    for name in main_metrics(report):
        own = report.summary.get(subject.name, {}).get(name)
        if own is None or number(own.mean, 3) == number(None, 0):
            continue
        facts = report.metrics[name]
        decimals = decimals_for(row[name].mean for row in report.summary.values() if name in row)
        other = report.summary.get(ridge, {}).get(name) if ridge else None
        case = _Case(facts.label, facts.unit, own, other, decimals)
        found.append(_SENTENCES.get(name, _plain)(case))
    return found


def _plain(case: _Case) -> str:
    return f"{case.label}: {case.figure}{case.beside(_MAP_HAS)}."


@dataclass(frozen=True)
class Judgement:
    """Whether a model is worth more than a linear map; the warnings of a report (`summary.flags_of`) decide alike.

    Attributes:
        verdict: better, worse, or undecided.
        headline: in a few words.
        reason: in how many metrics it is what.
    """

    verdict: Verdict
    headline: str
    reason: str


def judgement(report: Report, subject: Subject) -> Judgement | None:
    """Compares a model with the ridge by the metrics that decide; None without such comparisons."""
    ridge, names = ridge_of(report), main_metrics(report)
    found = {
        comparison.metric: comparison.verdict
        for comparison in report.comparisons
        if comparison.subject == subject.name and comparison.against == ridge and comparison.metric in names
    }
    verdicts = list(found.values())
    if not verdicts:
        return None
    shots = len({(recording.actor, recording.shot) for recording in report.recordings})
    if shots < MIN_SHOTS:
        reason = (
            f"{shots} {'shot is' if shots == 1 else 'shots are'} too few for a verdict; it takes {MIN_SHOTS} or more."
        )
        return Judgement("undecided", "Too few recordings to compare with a linear map", reason)
    better, worse = verdicts.count("better"), verdicts.count("worse")
    reason = (
        f"Of {len(verdicts)} main metrics, {better} {_are(better)} clearly better than the linear map's, "
        f"{worse} clearly worse, and {verdicts.count('undecided')} too close to tell."
    )
    decisive = {found.get(name, "undecided") for name in DECISIVE}
    if decisive == {"better"}:
        return Judgement("better", "Better than a linear map", reason)
    if "worse" in decisive and "better" not in decisive:
        return Judgement("worse", "Worse than a linear map", reason)
    if "worse" in decisive:
        return Judgement("undecided", "Better than a linear map in some ways, worse in others", reason)
    return Judgement("undecided", "Not shown to be better than a linear map", reason)


def _are(count: int) -> str:
    return "is" if count == 1 else "are"


def behaviour_count(report: Report, subject_names: Sequence[str]) -> tuple[int, int, int]:
    """How many behaviour tests some subjects passed, failed, and could not take."""
    results = [test.passed for name in subject_names for test in report.behaviours.get(name, ())]
    return results.count(True), results.count(False), results.count(None)


MISSING = "–"
_DECIMALS = ((100.0, 0), (10.0, 1), (1.0, 2))  # from this size on, so many decimals
_MOST_DECIMALS = 3


def decimals_for(values: Iterable[float | None]) -> int:
    """The decimals with which the largest of some values has three digits; one number for all, so that they align."""
    largest = max((abs(value) for value in values if value is not None and math.isfinite(value)), default=0.0)
    return next((decimals for size, decimals in _DECIMALS if largest >= size), _MOST_DECIMALS)


def number(value: float | None, decimals: int, *, signed: bool = False) -> str:
    """The number with a true minus sign, and a plus sign where `signed`; a dash for one that is missing or NaN."""
    if value is None or not math.isfinite(value):
        return MISSING
    text = f"{abs(value):.{decimals}f}"
    if not any(digit in text for digit in "123456789"):
        return text
    return f"−{text}" if value < 0 else f"+{text}" if signed else text


def range_words(interval: Interval, decimals: int, *, signed: bool = False) -> str:
    """Such as "0.78 to 0.85"; empty without an interval."""
    if interval.low is None or interval.high is None:
        return ""
    return f"{number(interval.low, decimals, signed=signed)} to {number(interval.high, decimals, signed=signed)}"


def clock(seconds: float) -> str:
    """A time as minutes:seconds, such as "1:04.25"; a dash for NaN."""
    if not math.isfinite(100 * seconds):
        return MISSING
    hundredths = round(100 * seconds)
    return f"{hundredths // 6000}:{hundredths % 6000 / 100:05.2f}"
