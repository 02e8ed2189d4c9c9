"""What a report states: warnings, worst moments, comparisons."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from audio2face.evaluate.baselines import MEAN_FACE, RIDGE
from audio2face.evaluate.calibrated_error import GainCurve, common_gain
from audio2face.evaluator.results import RecordingFacts, Subject
from audio2face.evaluator.summary import (
    compare,
    flags_of,
    summarise,
    summarise_recorded,
    with_calibrated_error,
    worst_moments,
)

MODEL = "run, finished"
SUBJECTS = [
    Subject(name=MODEL, kind="model", run="run", variant="finished"),
    Subject(name=RIDGE, kind="baseline"),
    Subject(name=MEAN_FACE, kind="baseline"),
]


def recordings(count: int = 12) -> list[RecordingFacts]:
    return [
        RecordingFacts(
            name=f"s{index}",
            actor="ada",
            shot=f"s{index}",
            voice="ada",
            emotion="joy",
            seconds=4.0,
            frames=120,
            fps=30.0,
            sha256="0" * 64,
        )
        for index in range(count)
    ]


def scores(gain: float, closer: float, count: int = 12) -> dict[str, dict[str, dict[str, Any]]]:
    """A model whose correlation is `gain` above the ridge's, and whose lip error is `closer` mm below it."""
    random = np.random.default_rng(0)
    found: dict[str, dict[str, dict[str, Any]]] = {MODEL: {}, RIDGE: {}, MEAN_FACE: {}}
    for index in range(count):
        error, noise = 3 + random.normal(0, 0.5), random.normal(0, 0.02, 2)
        values = {
            MODEL: (error - closer + noise[0], 0.8 + gain + noise[1]),
            RIDGE: (error, 0.8),
            MEAN_FACE: (error + 2, None),
        }
        for name, (distance, correlation) in values.items():
            row = {"lip_vertex_error": distance}
            if correlation is not None:
                row["lip_distance_correlation"] = correlation
            found[name][f"s{index}"] = {"values": row, "error_mm": [], "expression": []}
    return found


def flags(found: dict[str, dict[str, dict[str, Any]]], count: int = 12) -> list[str]:
    facts = recordings(count)
    comparisons = compare(found, SUBJECTS, facts)
    return [flag.text for flag in flags_of(comparisons, SUBJECTS, facts, summarise(found, facts))]


def test_a_better_model_is_not_flagged() -> None:
    assert flags(scores(0.1, 0.5)) == []


@pytest.mark.parametrize(
    ("gain", "closer", "reason"),
    [
        (0.0, 0.5, "lip correlation may be the same"),
        (0.1, 0.0, "lip error may be the same"),
        (0.1, -0.5, "lip error is worse"),
    ],
)
def test_a_model_that_does_not_clear_the_ridge_is_flagged(gain: float, closer: float, reason: str) -> None:
    (text,) = flags(scores(gain, closer))
    assert text.startswith(f"{MODEL} is not shown to be better than a linear map")
    assert reason in text


def test_a_model_worse_than_a_still_face_is_flagged() -> None:
    assert any("A still face" in text for text in flags(scores(-0.2, -3.0)))


def test_few_shots_are_flagged_whatever_they_show() -> None:
    texts = flags(scores(0.3, 1.0, count=3), count=3)
    assert texts[0].startswith("Only 3 shots were evaluated")
    assert "is not shown to be better" in texts[1]
    assert texts[1].endswith("that takes 6 shots or more.")  # three shots show nothing, whatever the difference


def test_recorded_faces_are_summarised_once() -> None:
    found = scores(0.1, 0.5)
    for rows in found.values():
        for index, row in enumerate(rows.values()):
            row["recorded"] = {"viseme_changes": float(index)}
    recorded = summarise_recorded(found, recordings())
    assert recorded.keys() == {"viseme_changes"}
    assert (recorded["viseme_changes"].mean, recorded["viseme_changes"].recordings) == (5.5, 12)


def test_worst_moments_are_a_second_apart() -> None:
    facts = recordings(2)
    errors = np.ones(120)
    errors[[30, 31, 100]] = [9.0, 8.0, 7.0]
    records = {"s0": {"error_mm": errors.tolist()}, "s1": {"error_mm": np.full(120, 0.5).tolist()}}
    first, second, third = worst_moments(records, facts, 3)
    assert (first.recording, first.seconds, first.error_mm) == ("s0", pytest.approx(30.5 / 30, abs=0.01), 9.0)
    assert (second.seconds, second.error_mm) == (pytest.approx(100.5 / 30, abs=0.01), 7.0)
    assert (third.recording, third.error_mm) == ("s0", 1.0)


def test_the_calibrated_error_takes_one_gain_for_all_recordings() -> None:
    """Two recordings of twice and of half the recorded motion: one gain, which fits neither, and its interval."""
    true = np.random.default_rng(0).standard_normal((50, 4, 3)).cumsum(axis=0)
    curves = [GainCurve.measure(size * true + 3, true) for size in (2.0, 0.5)]
    records = {f"s{index}": _record(curve) for index, curve in enumerate(curves)}
    still = _record(GainCurve.measure(0 * true, true))
    found = with_calibrated_error({MODEL: records, MEAN_FACE: dict.fromkeys(records, still)})
    gain = common_gain(curves)
    errors = [found[MODEL][f"s{index}"]["values"]["lip_vertex_error_calibrated"] for index in range(2)]
    assert errors == pytest.approx([curve.error_at(gain) for curve in curves])
    assert found[MODEL]["s0"]["values"]["lip_vertex_error"] == 1
    summary = summarise(found, recordings(2))
    assert summary[MODEL]["lip_vertex_error_calibrated"].mean == pytest.approx(np.mean(errors))
    assert summary[MODEL]["common_gain"].mean == pytest.approx(gain)
    assert "common_gain" not in summary[MEAN_FACE]


def _record(curve: GainCurve) -> dict[str, Any]:
    gains = {"product": curve.product, "square": curve.square, "error_mm": curve.error_mm.tolist()}
    return {"values": {"lip_vertex_error": 1.0}, "error_mm": [], "expression": [], "gains": gains}
