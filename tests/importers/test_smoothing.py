"""Smoothing has no delay, removes noise, and keeps closures, blinks and peaks; rest is removed, 1 stays 1."""

from __future__ import annotations

import numpy as np
import pytest

from audio2face.dataset.arkit_names import ARKIT_INDEX
from audio2face.importers.smoothing import compare, gaze_through_blinks, jitter, lip_contacts, remove_rest, smooth
from audio2face.types import Float32Array

JAW, BLINK = ARKIT_INDEX["jawOpen"], ARKIT_INDEX["eyeBlinkLeft"]
FPS = 50.0


def weights_of(**curves: Float32Array) -> Float32Array:
    found = np.zeros((len(next(iter(curves.values()))), 52), np.float32)
    for name, curve in curves.items():
        found[:, ARKIT_INDEX[name]] = curve
    return found


def test_smoothing_removes_noise_without_delay() -> None:
    rng, times = np.random.default_rng(0), np.arange(400) / FPS
    clean = np.asarray(0.4 + 0.3 * np.sin(2 * np.pi * 2 * times), np.float32)
    noisy = weights_of(jawOpen=clean + 0.02 * rng.standard_normal(400).astype(np.float32))
    smoothed = smooth(noisy, FPS, np.zeros(400, np.bool_))[:, JAW]
    shifts = range(-3, 4)
    errors = [float(np.std(np.roll(smoothed, shift)[20:-20] - clean[20:-20])) for shift in shifts]
    assert shifts[int(np.argmin(errors))] == 0
    assert min(errors) < 0.02 / 1.8
    assert np.ptp(smoothed[20:-20]) == pytest.approx(0.6, abs=0.03)


def test_closures_and_blinks_keep_their_values() -> None:
    jaw = np.full(200, 0.4, np.float32)
    jaw[100:102] = 0.02
    lids = np.zeros(200, np.float32)
    lids[50:53] = 0.5, 0.9, 0.4
    weights = weights_of(jawOpen=jaw, eyeBlinkLeft=lids, eyeBlinkRight=lids)
    contacts = jaw < 0.1
    kept, alone = (smooth(weights, FPS, contacts, keep=keep) for keep in (True, False))
    assert kept[100:102, JAW] == pytest.approx([0.02, 0.02])
    assert alone[100, JAW] > 0.15
    assert kept[51, BLINK] == pytest.approx(0.9)
    assert alone[51, BLINK] < 0.8
    gaps = weights_of(jawOpen=np.array([10.0], np.float32))[0]
    figures = compare(weights, kept, alone, FPS, contacts, gaps)
    assert (figures.closures, figures.blinks) == (1, 1)
    assert figures.opening == pytest.approx((0.2, 10 * alone[100:102, JAW].mean(), 0.2))
    assert figures.blink_retention == pytest.approx(1)


def test_the_gaze_does_not_fall_in_blinks() -> None:
    lids, pitch = np.zeros(200, np.float32), np.linspace(0, 4, 200, dtype=np.float32)
    lids[50:55] = 0.2, 0.6, 0.6, 0.4, 0.1
    lids[100:150] = 0.6  # a second: the eyes may look down
    fallen = pitch + 30 * lids
    weights = weights_of(eyeBlinkLeft=lids, eyeBlinkRight=lids)
    eyes = np.zeros((200, 2, 2), np.float32)
    eyes[:, :, 0] = fallen[:, None]
    through = gaze_through_blinks(eyes, weights, FPS)[:, :, 0]
    np.testing.assert_allclose(through[:100], np.stack([pitch[:100]] * 2, axis=1), atol=1e-5)
    np.testing.assert_array_equal(through[100:, 0], fallen[100:])


def test_the_middle_of_a_long_closure_is_smoothed() -> None:
    rng = np.random.default_rng(0)
    noise = weights_of(jawOpen=0.1 + 0.01 * rng.standard_normal(300).astype(np.float32))
    smoothed = smooth(noise, FPS, np.ones(300, np.bool_))
    assert smoothed[20:-20, JAW].std() < 0.6 * noise[20:-20, JAW].std()
    assert smoothed[0, JAW] == noise[0, JAW]


def test_jitter_is_the_deviation_of_noise_at_rest() -> None:
    rng = np.random.default_rng(0)
    moving = np.asarray(0.5 + 0.4 * np.sin(np.arange(1000) / 4), np.float32)
    moving[400:800] = 0.3
    weights = np.repeat(moving[:, None], 52, axis=1)
    assert jitter(weights + 0.01 * rng.standard_normal((1000, 52)).astype(np.float32), FPS) == pytest.approx(
        0.01, rel=0.1
    )
    assert np.isnan(jitter(weights[:10], FPS))


def test_contacts_are_relative_to_the_nearest_lips_of_the_person() -> None:
    lips = np.full(100, 0.15, np.float32)
    lips[40:46], lips[60], lips[70] = 0.02, 0.03, np.nan
    assert np.flatnonzero(lip_contacts(lips)).tolist() == [*range(40, 46), 60]
    assert not lip_contacts(np.full(100, 0.1, np.float32)).any()
    assert not lip_contacts(np.full(10, np.nan, np.float32)).any()


def test_rest_is_removed_and_full_weights_stay() -> None:
    brow = np.full(200, 0.3, np.float32)
    brow[150:160] = 1.0
    out, into = np.full(200, 0.2, np.float32), np.zeros(200, np.float32)
    out[:50], into[:50] = 0.0, 0.1
    weights = weights_of(browDownLeft=brow, eyeLookOutLeft=out, eyeLookInLeft=into)
    tracked = np.ones(200, np.bool_)
    tracked[:10], weights[:10, ARKIT_INDEX["browDownLeft"]] = False, 0
    relative, rest = remove_rest(weights, tracked)
    assert rest[ARKIT_INDEX["browDownLeft"]] == pytest.approx(0.3)
    assert relative[20, ARKIT_INDEX["browDownLeft"]] == 0
    assert relative[155, ARKIT_INDEX["browDownLeft"]] == pytest.approx(1)
    # The eye usually looks 0.2 outwards; 0.1 inwards is 0.3 from there.
    assert relative[100, [ARKIT_INDEX["eyeLookOutLeft"], ARKIT_INDEX["eyeLookInLeft"]]] == pytest.approx([0, 0])
    assert relative[20, [ARKIT_INDEX["eyeLookOutLeft"], ARKIT_INDEX["eyeLookInLeft"]]] == pytest.approx([0, 0.3])
