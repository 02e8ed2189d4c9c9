"""Metrics over several samples, several emotions, and weights of blend shapes; the table of definitions."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from audio2face.evaluate.metrics import METRICS
from audio2face.evaluate.vertex_metrics import diversity, emotion_separability, score_weights


def test_diversity_is_the_mean_over_pairs() -> None:
    base = np.zeros((5, 4, 3), np.float32)
    samples = [base, base + np.float32([0.3, 0.0, 0.4]), base]
    assert diversity(samples) == pytest.approx((5.0 + 5.0 + 0.0) / 3)
    assert np.isnan(diversity(samples[:1]))


def test_emotions_told_apart() -> None:
    random = np.random.default_rng(0)
    emotions = ["joy", "anger", "sadness"] * 8
    centres = {name: 5 * random.standard_normal((6, 3)) for name in set(emotions)}
    apart = np.stack([centres[name] + random.standard_normal((6, 3)) for name in emotions])
    assert emotion_separability(apart, emotions) == 1
    assert emotion_separability(random.standard_normal((24, 6, 3)), emotions) < 0.7
    assert emotion_separability(apart[:3], emotions[:3]) != emotion_separability(apart[:3], emotions[:3])  # NaN


def test_a_recording_does_not_vouch_for_itself() -> None:
    poses = np.array([[0.0], [10.0], [8.0], [8.5]])
    assert emotion_separability(poses, ["a", "a", "b", "b"]) == 0.5  # with itself, 0 would be right too


def test_weights() -> None:
    true = np.zeros((100, 10))
    true[:, 3] = np.linspace(0, 1, 100)
    still = score_weights(np.zeros((100, 10)), true, [f"s{index}" for index in range(3)] + ["jawOpen"])
    assert still == {"weight_error": pytest.approx(0.05), "weight_opening_retention": 0}  # a small error, and no motion
    half = score_weights(0.5 * true, true, ["a", "b", "c", "jawOpen"])
    assert half["weight_opening_retention"] == pytest.approx(0.5)
    assert "weight_opening_retention" not in score_weights(true, 0.01 * true, ["a", "b", "c", "jawOpen"])


def test_definitions_stand_alone() -> None:
    for name, metric in METRICS.items():
        assert metric.name == name
        assert metric.definition.endswith(".")
        assert metric.definition.count(". ") == 0, f"{name}: one sentence"
    assert len({metric.label for metric in METRICS.values()}) == len(METRICS)


def test_the_documentation_has_the_same_definitions() -> None:
    page = (Path(__file__).parents[2] / "docs/evaluation.md").read_text(encoding="utf-8")
    for name, metric in METRICS.items():
        row = f"| {metric.label} (`{name}`) | {metric.unit} |"
        assert any(line.startswith(row) and metric.definition in line for line in page.splitlines()), name
