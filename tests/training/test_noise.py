"""Noise for silent clips, against recorded draws."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from audio2face.errors import UserError
from audio2face.training.data.audio import NoiseKind, noise


@pytest.mark.parametrize(("kind", "num_samples"), [("gauss", 2000), ("mic", 16_000)])
def test_the_recorded_draws(reference_data: Path, kind: NoiseKind, num_samples: int) -> None:
    with np.load(reference_data / "networks" / "muted_noise.npz", allow_pickle=False) as recorded:
        expected = recorded[kind]
    drawn = noise(num_samples, 16_000, kind, 0.1, np.random.default_rng(3))
    assert drawn.dtype == np.float64
    # The microphone is quiet (a peak of 4e-5), so its tolerance is relative to its own level.
    np.testing.assert_allclose(drawn, expected, rtol=0, atol=1e-12 * np.abs(expected).max())


@pytest.mark.parametrize("num_samples", [0, 1, 127, 128, 129, 256, 257, 520])
@pytest.mark.parametrize("kind", [None, "gauss", "mic"])
def test_every_length(kind: NoiseKind | None, num_samples: int) -> None:
    assert noise(num_samples, 16_000, kind, 1.0, np.random.default_rng(0)).shape == (num_samples,)


def test_no_kind_draws_nothing() -> None:
    rng = np.random.default_rng(5)
    assert not noise(100, 16_000, None, 1.0, rng).any()
    assert rng.random() == np.random.default_rng(5).random()


def test_an_unknown_kind_is_refused() -> None:
    with pytest.raises(UserError, match="'pink'"):
        noise(10, 16_000, "pink", 1.0, np.random.default_rng(0))  # type: ignore[arg-type]
