"""Baselines of trained networks, on features and values with known answers."""

from __future__ import annotations

import numpy as np
import pytest

from audio2face.evaluate import baselines
from audio2face.evaluate.baselines import BASELINES, Baseline, fit_baselines
from audio2face.evaluate.ridge import NormalEquations, Ridge
from audio2face.types import Float64Array


def _fit(features: list[Float64Array], values: list[Float64Array]) -> dict[str, Baseline]:
    fitted = fit_baselines(features, values, np.full(values[0].shape[1], 0.25))
    assert tuple(each.name for each in fitted) == BASELINES
    return {each.name: each for each in fitted}


def test_still_faces() -> None:
    random = np.random.default_rng(1)
    features = [random.standard_normal((frames, 6)) for frames in (30, 10)]
    values = [np.full((30, 2), 1.0), np.full((10, 2), 3.0)]
    fitted = _fit(features, values)
    np.testing.assert_array_equal(fitted["neutral"].predict(features[1]), np.full((10, 2), 0.25))
    np.testing.assert_allclose(fitted["mean face"].predict(features[1]), np.full((10, 2), 1.5))  # of frames, not shots


def test_the_ridge_of_sums_is_that_of_whole_arrays() -> None:
    random = np.random.default_rng(2)
    # Bands of silence are nearly constant and far from zero; the longest shot takes two blocks.
    shots = [-6 + np.array([1.0, 1e-4, 30.0, 0.0, 2.0]) * random.standard_normal((n, 5)) for n in (5000, 70, 1)]
    values = [40 + shot @ random.standard_normal((5, 3)) + random.standard_normal((len(shot), 3)) for shot in shots]
    whole, sums = Ridge.fit(shots, values), Ridge.from_equations(NormalEquations.of(shots, values))
    for name in ("centre", "spread", "weights", "offset"):
        np.testing.assert_allclose(getattr(sums, name), getattr(whole, name), rtol=0, atol=1e-9)
    predicted = _fit(shots, values)["ridge"].predict(shots[1])
    np.testing.assert_allclose(predicted, whole.predict(shots[1]), rtol=0, atol=1e-9)


def test_the_nearest_face_is_that_of_the_same_speech() -> None:
    random = np.random.default_rng(3)
    shots = [random.standard_normal((900, 4)) * [1.0, 10.0, 0.1, 5.0] for _ in range(2)]
    values = [np.stack([np.arange(900.0) + 1000 * number, -np.arange(900.0)], axis=1) for number in (0, 1)]
    nearest = _fit(shots, values)["nearest neighbour"]
    spread = np.concatenate(shots).std(axis=0)
    asked = shots[1][::-1] + 1e-3 * spread * random.standard_normal((900, 4))
    np.testing.assert_array_equal(nearest.predict(asked), values[1][::-1])
    assert nearest.predict(asked[:0]).shape == (0, 2)


def test_the_scale_of_a_feature_does_not_choose_the_neighbour() -> None:
    features = [np.array([[0.0, 0.0], [1000.0, 0.0], [0.0, 1.0], [1000.0, 1.0]])]
    nearest = _fit(features, [np.arange(4.0)[:, None]])["nearest neighbour"]
    # Unscaled, the distances in the first feature (400) would hide those in the second.
    np.testing.assert_array_equal(nearest.predict(np.array([[400.0, 0.9], [600.0, 0.1]])), [[2.0], [1.0]])


def test_long_training_sets_are_thinned_evenly(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(baselines, "NEIGHBOUR_FRAMES", 10)
    features = [np.arange(60.0)[:, None], np.arange(60.0, 100.0)[:, None]]
    nearest = _fit(features, features)["nearest neighbour"]
    np.testing.assert_array_equal(
        nearest.predict(np.arange(100.0)[:, None])[:, 0][[0, 44, 46, 94, 99]], [0, 40, 50, 90, 90]
    )


def test_only_the_widest_dimensions_count() -> None:
    random = np.random.default_rng(4)
    common = random.standard_normal((400, 1))
    features = [np.concatenate([common + 1e-3 * random.standard_normal((400, 40)), np.zeros((400, 8))], axis=1)]
    nearest = _fit(features, [common])["nearest neighbour"]
    assert isinstance(nearest, baselines.NearestFace)
    assert nearest.known.shape == (400, 32)
    np.testing.assert_allclose(nearest.predict(features[0]), common, atol=0.02)


def test_nothing_to_fit() -> None:
    with pytest.raises(ValueError, match="no frame to fit"):
        fit_baselines([np.zeros((0, 3))], [np.zeros((0, 2))], np.zeros(2))
    with pytest.raises(ValueError, match="differ in frames"):
        fit_baselines([np.zeros((4, 3))], [np.zeros((5, 2))], np.zeros(2))
