"""Lip measures on faces whose error is known by construction."""

from __future__ import annotations

import numpy as np
import pytest

from audio2face.evaluate.lips import correlation, lip_distance, score_lips


def lips(opening: np.ndarray) -> np.ndarray:
    """Five pairs of vertices, parted by `opening` centimetres."""
    shape = np.zeros((len(opening), 2, 5, 3))
    shape[:, 0, :, 1] = opening[:, None]
    return shape


def test_error_is_that_of_the_worst_vertex_in_millimetres() -> None:
    true = lips(np.linspace(0, 1, 10))
    predicted = true.copy()
    predicted[:, 0, 2, 0] += 0.3
    predicted[:, 1, 4, 2] -= 0.1
    score = score_lips([predicted, true], [true, true])
    assert score.error_mm == pytest.approx(1.5)
    assert score.correlation == pytest.approx(1.0)


def test_correlation_follows_the_opening_and_leaves_out_shots_that_never_move() -> None:
    opening = np.sin(np.linspace(0, 9, 50))
    still = lips(np.zeros(50))
    score = score_lips([lips(-2 * opening), still], [lips(opening), still])
    assert score.correlation == pytest.approx(-1.0)
    assert np.isnan(correlation(np.ones(4), np.arange(4.0)))
    assert np.isnan(correlation(7 + 1e-15 * np.arange(4.0), np.arange(4.0)))
    assert correlation(7 + 1e-6 * np.arange(4.0), np.arange(4.0)) == pytest.approx(1.0)
    np.testing.assert_allclose(lip_distance(lips(opening)), opening)
