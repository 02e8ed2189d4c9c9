"""A report of made-up numbers: two models in two variants and four baselines on recordings of three emotions."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from audio2face.evaluator.results import (
    Behaviour,
    Comparison,
    Curves,
    Flag,
    Interval,
    MetricFacts,
    Moment,
    RecordingFacts,
    RegionFacts,
    Report,
    Subject,
    Variant,
)

FPS = 60.0
EMOTIONS = ("neutral", "joy", "anger")
RUNS = {"261130_120109_mary": "diffusion", "261130_142233_mary": "regression"}
METRICS = {
    "lip_distance_correlation": MetricFacts(
        label="lip correlation",
        unit="",
        better="higher",
        definition="Pearson correlation of the lip distance with that of the ground truth.",
    ),
    "lip_vertex_error": MetricFacts(
        label="lip error",
        unit="mm",
        better="lower",
        definition="Largest distance of a lip vertex from the ground truth, mean over frames.",
        source="Richard et al., MeshTalk, ICCV 2021",
    ),
    "opening_retention": MetricFacts(
        label="opening kept",
        unit="",
        better="one",
        definition="95th percentile of the mouth opening over that of the ground truth.",
    ),
    "closure_hits": MetricFacts(
        label="closures hit",
        unit="",
        better="higher",
        definition="Share of the closures on p, b and m that the animation makes.",
    ),
    "lip_lag": MetricFacts(
        label="lag",
        unit="ms",
        better="zero",
        definition="Shift of the animation at which the lip distance correlates best; positive: late.",
    ),
    "upper_face_dynamics_deviation": MetricFacts(
        label="upper-face dynamics",
        unit="mm",
        better="zero",
        definition="Mean over vertices of the difference of the standard deviations over time.",
        source="Xing et al., CodeTalker, CVPR 2023",
    ),
    "pause_jitter": MetricFacts(
        label="jitter in pauses",
        unit="mm",
        better="lower",
        definition="Speed of the lip vertices where the recording is silent.",
    ),
}
# Mean of each metric, in the order above; the models' variants in the order of `_subjects`.
LEVELS = {
    "finished": (0.83, 2.1, 0.86, 0.93, 11.0, -0.12, 1.2),
    "network output": (0.82, 2.2, 0.71, 0.85, 14.0, -0.2, 1.9),
    "neutral": (np.nan, 6.1, 0.0, 1.0, np.nan, -0.9, 0.0),
    "mean face": (np.nan, 5.2, 0.0, 0.0, np.nan, -0.9, 0.0),
    "ridge": (0.81, 2.3, 0.78, 0.62, 4.0, -0.31, 2.4),
    "nearest neighbour": (0.55, 4.1, 1.04, 0.71, -22.0, 0.08, 6.0),
}
SPREAD = (0.05, 0.35, 0.08, 0.06, 8.0, 0.05, 0.4)


def made_report(recordings: int = 6, *, quick: bool = False, prefix: str = "", seconds: float = 6.0) -> Report:
    """The report.

    Args:
        recordings: number of recordings.
        quick: leave out behaviour tests and the pages of moments.
        prefix: of every name that a user can choose.
        seconds: length of a recording.
    """
    random = np.random.default_rng(7)
    subjects = _subjects(prefix)
    facts = [_recording(index, prefix, seconds) for index in range(recordings)]
    scores = {
        subject.name: {fact.name: _scores(subject, index, random) for index, fact in enumerate(facts)}
        for subject in subjects
    }
    models = [subject for subject in subjects if subject.kind == "model"]
    ridge = next(subject for subject in subjects if subject.name.endswith("ridge"))
    pairs = [(model, ridge) for model in models] + [(models[0], models[2])]
    return Report(
        title=f"{prefix}Two networks of mary on test shots",
        created="2026-11-30T14:02:11+00:00",
        framework="1.4.0",
        evaluated_set=f"{prefix}test shots of mary",
        chosen_by="Nothing was chosen on these recordings.",
        recordings=facts,
        regions={
            "lips": RegionFacts(vertices=214, sha256="3f" * 32, source="SKIN_LIP_VERTEX_LIST_FPATH"),
            f"{prefix}upper face": RegionFacts(vertices=3011, sha256="a1" * 32, source="above the nose's tip"),
        },
        metrics=METRICS,
        subjects=subjects,
        scores=scores,
        summary={name: _summary(rows) for name, rows in scores.items()},
        comparisons=[comparison for one, other in pairs for comparison in _compared(one.name, other.name, scores)],
        flags=[
            Flag(level="note", text="4 recordings have phoneme times; closures are counted on them alone."),
            Flag(
                level="warning",
                text="It does not clear the ridge: the 95 % interval of its lip error holds the ridge's.",
                subject=models[2].name,
            ),
        ],
        behaviours={} if quick else {model.name: _behaviours(place) for place, model in enumerate(models[::2])},
        worst={
            model.name: [
                Moment(
                    recording=facts[rank % recordings].name,
                    seconds=0.4 + 0.37 * rank,
                    error_mm=9.3 - 0.4 * rank,
                    page="" if quick else f"players/{prefix}{rank % recordings} {place}.html",
                )
                for rank in range(10)
            ]
            for place, model in enumerate(models[::2])
        },
        curves={fact.name: _curves(index, subjects, seconds) for index, fact in enumerate(facts)},
        recorded={"pause_jitter": Interval(mean=0.456, low=0.4, high=0.5, recordings=recordings)},
        quick=quick,
    )


def _subjects(prefix: str) -> list[Subject]:
    variants: tuple[Variant, ...] = ("finished", "network output")
    models = [
        Subject(
            name=f"{prefix}{run}, {variant}", kind="model", run=f"{prefix}{run}", variant=variant, network_type=kind
        )
        for run, kind in RUNS.items()
        for variant in variants
    ]
    return models + [Subject(name=f"{prefix}{name}", kind="baseline") for name in list(LEVELS)[2:]]


def _recording(index: int, prefix: str, seconds: float) -> RecordingFacts:
    emotion = EMOTIONS[index % len(EMOTIONS)]
    return RecordingFacts(
        name=f"{prefix}cp{index + 1}_{emotion}",
        actor="mary",
        shot=f"cp{index + 1}_{emotion}",
        voice="mary",
        emotion=emotion,
        seconds=seconds,
        frames=round(seconds * FPS),
        fps=FPS,
        sha256=f"{index:02x}" * 32,
    )


def _scores(subject: Subject, index: int, random: np.random.Generator) -> dict[str, float]:
    kind = subject.variant or next(name for name in LEVELS if subject.name.endswith(name))
    shift = 0.4 * (index % 3 - 1) - 0.8 * (subject.network_type == "regression")
    values = {}
    for name, level, spread in zip(METRICS, LEVELS[kind], SPREAD, strict=True):
        has_value = np.isfinite(level) and (name != "closure_hits" or index < 4)
        if has_value and level != 0.0:
            sign = -1 if METRICS[name].better == "lower" else 1
            values[name] = float(level + spread * (sign * shift + random.normal()))
        elif has_value:
            values[name] = 0.0
    return values


def _summary(rows: Mapping[str, Mapping[str, float]]) -> dict[str, Interval]:
    found = {}
    for name in METRICS:
        values = [row[name] for row in rows.values() if name in row]
        if values:
            found[name] = _interval(values)
    return found


def _interval(values: list[float]) -> Interval:
    mean, half = float(np.mean(values)), float(2 * np.std(values) / np.sqrt(len(values)))
    few = len(values) < 2
    return Interval(
        mean=mean, low=None if few else mean - half, high=None if few else mean + half, recordings=len(values)
    )


def _compared(one: str, other: str, scores: Mapping[str, Mapping[str, Mapping[str, float]]]) -> list[Comparison]:
    found = []
    for name, facts in METRICS.items():
        differences = [
            row[name] - scores[other][recording][name]
            for recording, row in scores[one].items()
            if name in row and name in scores[other][recording]
        ]
        interval = _interval(differences)
        side = 0 if interval.low is None or interval.high is None else int(interval.low > 0) - int(interval.high < 0)
        good = -1 if facts.better == "lower" else 1
        found.append(
            Comparison(
                subject=one,
                against=other,
                metric=name,
                difference=interval,
                verdict="undecided" if side == 0 else "better" if side == good else "worse",
            )
        )
    return found


def _behaviours(place: int) -> list[Behaviour]:
    rows = (
        ("closed_after_speech", "closed 0.3 s after speech ends", 0.4 + place, "mm", 1.0, "below", ""),
        ("shut_on_silence", "shut on silence", 0.2, "mm", 0.5, "below", ""),
        ("same_face_at_another_level", "same face at −20 dB", 0.97 - 0.1 * place, "", 0.9, "above", ""),
        ("noise_10_db", "holds up in noise at 10 dB", 0.88, "", 0.8, "above", ""),
        ("mp3", "holds up after MP3", None, "", 0.9, "above", "No MP3 encoder is installed."),
    )
    return [
        Behaviour(
            name=name,
            label=label,
            value=value,
            unit=unit,
            threshold=threshold,
            passes_if="below" if side == "below" else "above",
            definition=f"How far the mouth is open, measured for {label}.",
            note=note,
        )
        for name, label, value, unit, threshold, side, note in rows
    ]


def _curves(index: int, subjects: list[Subject], seconds: float) -> Curves:
    time = np.arange(round(seconds * FPS)) / FPS
    truth = np.maximum(0.0, 6 * np.sin(7 * time + index) * np.sin(2.3 * time) + 2 * np.sin(19 * time))
    shifts = np.arange(-200.0, 201.0, 10.0)
    curves, lags = {}, {}
    for place, subject in enumerate(subjects):
        moves = "neutral" not in subject.name and "mean face" not in subject.name
        late = np.roll(truth, 1 + place % 3)
        curves[subject.name] = (late * (0.9 - 0.08 * place) + 0.3 * np.sin(31 * time) if moves else 0 * time).tolist()
        if moves:
            lags[subject.name] = ((0.85 - 0.05 * place) * np.exp(-(((shifts - 15 * place) / 150) ** 2))).tolist()
    return Curves(fps=FPS, truth=truth.tolist(), subjects=curves, lag_ms=shifts.tolist(), lag_correlation=lags)
