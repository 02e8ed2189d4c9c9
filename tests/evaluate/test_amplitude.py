"""Strength, offset and smoothing that were planted are found again, and nothing is fitted where clips show nothing."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence

import numpy as np
import pytest

from audio2face.evaluate.amplitude import (
    ERROR_BOUND,
    Adjustment,
    AmplitudeProblem,
    ClipPoints,
    OffsetPose,
    SearchRange,
    principal_weights,
)
from audio2face.types import Float64Array

FPS = 30.0
WEIGHTS = np.array([[0.0, 1.0, 0.0], [0.0, -1.0, 0.0]])  # an upper and a lower lip
REST = np.array([[0.0, 0.5, 9.0], [0.0, -0.5, 9.0]])
OPENS = OffsetPose(np.zeros((2, 3)), np.array([[0.0, 0.4, 0.0], [0.0, -0.6, 0.0]]))


def speech(seed: int, seconds: float = 20.0) -> Float64Array:
    """How far the lips are apart over time, `[frames]`, centimetres: some syllables a second."""
    random = np.random.default_rng(seed)
    frames = round(seconds * FPS)
    smooth = np.convolve(random.standard_normal(frames + 8), np.hanning(9), "valid")
    return np.asarray(np.maximum(smooth / smooth.std(), 0.0) * 0.4)


def lips(opening: Float64Array) -> Float64Array:
    """Displacements of both lips, `[frames, 2, 3]`: the lower one does most of it."""
    return np.stack([0.2 * opening, -0.8 * opening], axis=1)[..., None] * np.array([0.0, 1.0, 0.0])


def clip(made: Float64Array, true: Float64Array) -> ClipPoints:
    return ClipPoints(np.broadcast_to(REST, (len(made), 2, 3)), lips(made), REST + lips(true), FPS)


def problem(clips: Sequence[ClipPoints], **changes: object) -> AmplitudeProblem:
    made = AmplitudeProblem(
        clips={0.0: clips},
        weights=WEIGHTS,
        search=SearchRange((0.7, 1.5)),
        neutral=Adjustment(),
        min_spread=0.01,
        min_correlation=0.5,
    )
    return dataclasses.replace(made, **changes)  # type: ignore[arg-type]


@pytest.mark.parametrize("strength", [0.8, 1.0, 1.3])
def test_planted_strength_is_found(strength: float) -> None:
    clips = [clip(speech(seed) / strength, speech(seed)) for seed in range(3)]
    found = problem(clips).fit()
    assert found.reason == ""
    assert found.adjustment.strength == pytest.approx(strength, abs=0.02)
    assert (found.adjustment.offset, found.adjustment.smoothing) == (0.0, 0.0)


def test_planted_offset_is_found_beside_the_strength() -> None:
    offset = 0.06  # its pose parts the lips by a centimetre and grows with the strength
    clips = [clip(speech(seed) / 1.2 - offset, speech(seed)) for seed in range(3)]
    found = problem(clips, search=SearchRange((0.7, 1.5), (-0.1, 0.1)), pose=OPENS).fit()
    assert found.adjustment.strength == pytest.approx(1.2, abs=0.02)
    assert found.adjustment.offset == pytest.approx(offset, abs=0.003)


def test_motion_that_is_averaged_gets_the_recorded_amplitude_within_the_bound_on_the_error() -> None:
    # What speech leaves open, a network leaves out: the rest is as recorded, and too small.
    known, unknown = [speech(seed) for seed in range(4)], [speech(seed + 10) for seed in range(4)]
    clips = [clip(one, one + 0.8 * (other - other.mean())) for one, other in zip(known, unknown, strict=True)]
    found = problem(clips).fit().adjustment
    made, true = np.concatenate(known), np.concatenate([part.true[..., 1] @ [1, -1] - 1 for part in clips])
    before, after = (abs(np.percentile(gain * made, 95) / np.percentile(true, 95) - 1) for gain in (1, found.strength))
    assert after < 0.5 * before
    error, least = (np.sqrt(np.mean((gain * made - true) ** 2)) for gain in (found.strength, 1.0))
    assert error <= ERROR_BOUND * least


def test_smoothing_is_chosen_where_it_saves_error_alone() -> None:
    random = np.random.default_rng(0)
    still = [clip(speech(seed), speech(seed)) for seed in range(3)]
    trembling = [clip(speech(seed) + 0.2 * random.standard_normal(600), speech(seed)) for seed in range(3)]
    late = [clip(np.roll(speech(seed), 2), speech(seed)) for seed in range(3)]
    for unfiltered, filtered, expected in ((trembling, still, 0.02), (still, late, 0.0)):
        options = dataclasses.replace(problem([]), clips={0.0: unfiltered, 0.02: filtered})
        assert options.fit().adjustment.smoothing == expected


def test_given_strength_is_kept() -> None:
    clips = [clip(speech(seed) / 1.2 - 0.06, speech(seed)) for seed in range(3)]
    given = problem(
        clips, search=SearchRange((1.0, 1.0), (-0.1, 0.1)), pose=OPENS, neutral=Adjustment(1.0, 0.0, 0.0)
    ).fit()
    assert given.adjustment.strength == 1.0
    assert given.adjustment.offset > 0.0


@pytest.mark.parametrize(
    ("made", "true", "reason"),
    [
        (speech(0, 1.0), 1.3 * speech(0, 1.0), "only 1.0 s are held out"),
        (speech(0), np.zeros(600), "it does not move"),
        (np.zeros(600), speech(0), "does not follow it there"),
        (speech(1), speech(0), "does not follow it there"),
    ],
)
def test_nothing_is_fitted_where_clips_show_nothing(made: Float64Array, true: Float64Array, reason: str) -> None:
    found = problem([clip(made, true)]).fit()
    assert found.adjustment == Adjustment()
    assert reason in found.reason


def test_strengths_that_do_not_carry_over_stay_neutral() -> None:
    clips = [clip(speech(seed), gain * speech(seed)) for seed, gain in ((0, 0.75), (1, 1.3))]
    assert "do not carry over" in problem(clips).fit().reason
    halves = np.concatenate([0.75 * speech(0), 1.3 * speech(1)])
    assert "do not carry over" in problem([clip(np.concatenate([speech(0), speech(1)]), halves)]).fit().reason


def test_no_clip_at_all() -> None:
    assert problem([]).fit().adjustment == Adjustment()


def test_principal_curve_grows_where_the_mouth_opens_and_is_in_the_unit_of_the_positions() -> None:
    true = [REST + lips(speech(0))]
    curve = np.tensordot(true[0], principal_weights(true), axes=2)
    opening = speech(0)
    assert np.corrcoef(curve, opening)[0, 1] == pytest.approx(1)  # the lower lip, which moves farther, goes down
    assert np.ptp(curve) == pytest.approx(np.sqrt((0.2**2 + 0.8**2) / 2) * np.ptp(opening))
