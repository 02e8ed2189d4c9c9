"""The content of an evaluation report: what is written as JSON and CSV, and what the page shows.

Plain values only. NaN, which JSON does not have, is None in files.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal

SCHEMA = "audio2face.evaluation/1"  # of the JSON file; the number rises when a field changes its meaning or goes
Kind = Literal["model", "baseline"]
Variant = Literal["finished", "uncalibrated", "network output"]  # of a model's animation
Verdict = Literal["better", "worse", "undecided"]


@dataclass(frozen=True, kw_only=True)
class RecordingFacts:
    """A recording of the evaluated set.

    Attributes:
        name: its name in the report, unique: shot, and voice where it is not the actor's own.
        actor: whose face is animated and compared.
        shot: the shot with the ground truth.
        voice: the speaker.
        emotion: of the shot.
        seconds: its length.
        frames: number of compared frames.
        fps: rate of the ground truth.
        sha256: checksum of the recording's file.
    """

    name: str
    actor: str
    shot: str
    voice: str
    emotion: str
    seconds: float
    frames: int
    fps: float
    sha256: str


@dataclass(frozen=True, kw_only=True)
class RegionFacts:
    """A region of the mesh on which metrics are measured.

    Attributes:
        vertices: number of vertices.
        sha256: checksum of their sorted indices as little-endian int64.
        source: the parameter or file that lists them, or how they were derived.
    """

    vertices: int
    sha256: str
    source: str


@dataclass(frozen=True, kw_only=True)
class MetricFacts:
    """The definition of a metric, copied into the report so that it stands alone.

    Attributes:
        label: short name for tables and axes.
        unit: such as "mm"; empty for a number without unit.
        better: the direction or the value that is best.
        definition: one exact sentence.
        source: the publication or library whose definition it is; empty for one of this framework.
    """

    label: str
    unit: str
    better: Literal["lower", "higher", "zero", "one", "descriptive"]
    definition: str
    source: str = ""


@dataclass(frozen=True, kw_only=True)
class Subject:
    """What is scored: one variant of a model's animation, or a baseline.

    Attributes:
        name: unique in the report, such as "261130_120109_mary, finished" or "ridge".
        kind: model or baseline.
        run: the training run; empty for a baseline.
        variant: None for a baseline.
        network_type: the kind of network; empty for a baseline.
    """

    name: str
    kind: Kind
    run: str = ""
    variant: Variant | None = None
    network_type: str = ""


@dataclass(frozen=True, kw_only=True)
class Interval:
    """A mean over recordings with its confidence interval (95 %, bootstrap over shots).

    Attributes:
        mean: over the recordings where the metric is defined.
        low: lower end of the interval; None with fewer than two shots.
        high: upper end.
        recordings: number of recordings in the mean.
    """

    mean: float
    low: float | None
    high: float | None
    recordings: int


@dataclass(frozen=True, kw_only=True)
class Comparison:
    """The paired difference of two subjects in one metric.

    Attributes:
        subject: name of the one.
        against: name of the other.
        metric: name of the metric.
        difference: mean over recordings of subject minus other, with its interval.
        verdict: whether the interval lies on the better or the worse side of 0, or holds 0.
    """

    subject: str
    against: str
    metric: str
    difference: Interval
    verdict: Verdict


@dataclass(frozen=True, kw_only=True)
class Flag:
    """A statement in words that a reader must not miss.

    Attributes:
        level: "warning" or "note".
        text: one or two sentences.
        subject: whom it concerns; empty for the whole report.
    """

    level: Literal["warning", "note"]
    text: str
    subject: str = ""


@dataclass(frozen=True, kw_only=True)
class Behaviour:
    """The result of one behaviour test of a model.

    Attributes:
        name: identifier, such as "closed_after_speech".
        label: what is tested, in a few words.
        value: the measured number; None where it could not be measured.
        unit: of value and threshold.
        threshold: the largest (or smallest) value that passes.
        passes_if: "below" or "above" the threshold.
        definition: how it is measured, one or two sentences.
        note: why there is no value; empty otherwise.
    """

    name: str
    label: str
    value: float | None
    unit: str
    threshold: float
    passes_if: Literal["below", "above"]
    definition: str
    note: str = ""

    @property
    def passed(self) -> bool | None:
        """Whether the value is on the right side of the threshold; None without a value."""
        if self.value is None:
            return None
        return self.value <= self.threshold if self.passes_if == "below" else self.value >= self.threshold


@dataclass(frozen=True, kw_only=True)
class Moment:
    """One of the moments at which a model is furthest from the ground truth.

    Attributes:
        recording: name of the recording.
        seconds: time from the start of the recording, as its player page counts.
        error_mm: largest distance of a lip vertex from the ground truth.
        page: path of the player page that shows it, relative to the report's folder; empty without one.
    """

    recording: str
    seconds: float
    error_mm: float
    page: str = ""


@dataclass(frozen=True, kw_only=True)
class Curves:
    """Curves of one recording over time.

    Attributes:
        fps: samples per second.
        truth: recorded mouth opening above the neutral face, millimetres.
        subjects: by name of a subject, its mouth opening.
        lag_ms: the shifts of the lag plot, milliseconds; positive: the animation is late.
        lag_correlation: by name of a subject, the correlation of the opening at each shift.
    """

    fps: float
    truth: Sequence[float]
    subjects: Mapping[str, Sequence[float]]
    lag_ms: Sequence[float] = ()
    lag_correlation: Mapping[str, Sequence[float]] = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True)
class Report:
    """One evaluation.

    Attributes:
        title: what was evaluated on what, one line.
        created: ISO 8601 time.
        framework: version of the framework.
        evaluated_set: what the recordings are ("the test set of ...", "the validation set of ...", "the recordings in
            ...").
        chosen_by: whether anything was chosen on these recordings (weights, settings, post-processing), one sentence.
        recordings: all recordings.
        regions: by name.
        metrics: definitions, by name; the order is that of tables.
        subjects: models first, then baselines.
        scores: subject, recording, metric to value; undefined values are missing.
        summary: subject, metric to mean and interval.
        comparisons: paired differences: each model against the ridge, and models against each other.
        flags: statements that must not be missed.
        behaviours: by subject.
        worst: by subject, the ten worst moments.
        curves: by recording.
        recorded: by metric, what the recorded faces have themselves, of metrics that are compared with it.
        quick: whether it is a quick report, without behaviour tests and players.
    """

    title: str
    created: str
    framework: str
    evaluated_set: str
    chosen_by: str
    recordings: Sequence[RecordingFacts]
    regions: Mapping[str, RegionFacts]
    metrics: Mapping[str, MetricFacts]
    subjects: Sequence[Subject]
    scores: Mapping[str, Mapping[str, Mapping[str, float]]]
    summary: Mapping[str, Mapping[str, Interval]]
    comparisons: Sequence[Comparison]
    flags: Sequence[Flag]
    behaviours: Mapping[str, Sequence[Behaviour]] = field(default_factory=dict)
    worst: Mapping[str, Sequence[Moment]] = field(default_factory=dict)
    curves: Mapping[str, Curves] = field(default_factory=dict)
    recorded: Mapping[str, Interval] = field(default_factory=dict)
    quick: bool = False
