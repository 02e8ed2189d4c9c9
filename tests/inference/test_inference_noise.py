"""Noise that anyone can repeat."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from audio2face.errors import UserError
from audio2face.inference import read_noise, repeated_noise, seeded_noise


def test_seeded_noise_is_the_documented_one_in_any_order() -> None:
    noise, again = seeded_noise(5, 60, 20), seeded_noise(5, 60, 20)
    expected = np.random.default_rng([5, 2]).standard_normal((60, 20), np.float32)
    for index in (7, 3, 2, 1, 0, 9):
        noise(index, 0, 60)
    np.testing.assert_array_equal(noise(2, 0, 60), expected)
    np.testing.assert_array_equal(again(2, 15, 45), expected[15:45])
    assert not np.array_equal(seeded_noise(6, 60, 20)(2, 0, 60), expected)


def test_a_whole_recording_meets_the_noise_of_its_windows() -> None:
    noise = seeded_noise(0, 60, 3)
    kept = noise(1, 15, 45)
    whole = repeated_noise(noise, left_context=15, hop=30, lead_in_frames=45)(1, 0, 100)
    np.testing.assert_array_equal(whole[:15], kept[15:])  # frame 0 is number 45 of the stream: 15 of its second block
    np.testing.assert_array_equal(whole[15:45], kept)
    np.testing.assert_array_equal(repeated_noise(noise, 15, 30, 45)(1, 70, 100), whole[70:])


def test_noise_from_a_file(tmp_path: Path) -> None:
    path = tmp_path / "noise.npy"
    values = np.random.default_rng(0).standard_normal((1, 3, 80, 5))
    np.save(path, values)
    noise, frames = read_noise(path, steps=2, values=5)
    assert frames == 80
    np.testing.assert_allclose(noise(1, 10, 20), values[0, 1, 10:20], rtol=1e-6)
    with pytest.raises(UserError, match=r"shape \[1, 3, 80, 5\], expected \[1, 4, any, 5\]"):
        read_noise(path, steps=3, values=5)
    values[0, 2, 7, 1] = np.nan
    np.save(path, values)
    with pytest.raises(UserError, match="NaN or infinity at step 2"):
        read_noise(path, steps=2, values=5)[0](2, 0, 10)
    with pytest.raises(UserError, match="there is no such"):
        read_noise(tmp_path / "none.npy", 2, 5)
