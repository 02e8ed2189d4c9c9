"""Distances between animations, frame rates, and the floor under networks."""

from __future__ import annotations

import numpy as np
import pytest

from audio2face.audio import Track
from audio2face.evaluate import Ridge, compare_motion, resample_frames, speech_features
from audio2face.evaluate.ridge import BANDS, TAPS


def test_difference_in_millimetres() -> None:
    one = np.zeros((150, 12), np.float32)
    one[:, 0] = 0.1
    other = one.copy()
    other[70, 3:6] = [0.3, 0.0, 0.4]
    other[:, 9:] = 7.0  # not of the skin
    found = compare_motion(one, other, skin_size=9)
    assert found.largest_mm == pytest.approx(5.0)
    assert found.largest_frame == 70
    assert found.mean_mm == pytest.approx(5.0 / 450)
    assert found.motion_mm == pytest.approx(1.0 / 3)
    assert "0.011 mm on average, 5 mm at most (frame 70)" in str(found)
    with pytest.raises(ValueError, match="cannot be compared"):
        compare_motion(one, other[1:], 9)


def test_frames_are_read_in_the_middle_of_their_time() -> None:
    times = (np.arange(120) + 0.5) / 60
    slow = resample_frames(times[:, None, None] * np.ones((1, 2, 3)), 60.0, 60, 30.0)
    np.testing.assert_allclose(slow[:, 1, 2], (np.arange(60) + 0.5) / 30)
    fast = resample_frames((np.arange(60) + 0.5) / 30, 30.0, 130, 60.0)
    np.testing.assert_allclose(fast[1:119], times[1:119])
    np.testing.assert_allclose(fast[119:], fast[119])


def test_ridge_finds_a_linear_map() -> None:
    random = np.random.default_rng(0)
    shots = [3 + 2 * random.standard_normal((200, 5)) for _ in range(3)]
    truth = random.standard_normal((5, 4))
    ridge = Ridge.fit(shots[:2], [shot @ truth + 1 for shot in shots[:2]], penalty=1e-6)
    np.testing.assert_allclose(ridge.predict(shots[2]), shots[2] @ truth + 1, atol=1e-6)


@pytest.mark.parametrize("samplerate", [8000, 22050, 48000])
def test_features_of_long_speech_keep_their_time_at_any_rate(samplerate: int) -> None:
    audio = np.zeros(100 * samplerate, np.float32)
    audio[90 * samplerate :] = np.sin(np.arange(10 * samplerate) * (2 * np.pi * 500 / samplerate))
    track = Track(audio, samplerate)
    middle = speech_features(track, 3000, 30.0).reshape(3000, TAPS, BANDS)[:, TAPS // 2].mean(axis=1)
    assert np.diff(middle).argmax() + 1 == 2700  # 90 s
    later = speech_features(track, 600, 30.0, start=2400.5).reshape(600, TAPS, BANDS)[:, TAPS // 2].mean(axis=1)
    assert np.diff(later).argmax() + 1 in (299, 300)  # half a frame earlier than frame 2700


def test_features_follow_the_speech() -> None:
    audio = np.zeros(32000, np.float32)
    audio[16000:16400] = np.sin(np.arange(400) * 0.3)
    features = speech_features(Track(audio, 16000), 60, 30.0).reshape(60, TAPS, BANDS)
    loud = features.mean(axis=2)
    assert loud[:, TAPS // 2].argmax() == 30  # spans 1 s to 1.033 s
    assert loud[:, 0].argmax() == 35  # looks 0.16 s back
    assert np.isfinite(speech_features(Track(audio[:300], 16000), 60, 30.0)).all()
