"""The filters of the two audio methods, against their formulas evaluated directly and against pure tones."""

from __future__ import annotations

import math
from fractions import Fraction

import numpy as np
import numpy.typing as npt
import pytest

from audio2face.audio import resample_exact, resample_hann, resample_soxr
from audio2face.errors import UserError

RATES = [44_100, 48_000, 22_050, 8_000]


def slow_windowed_sinc(samples: npt.NDArray[np.float32], old_rate: int, new_rate: int) -> npt.NDArray[np.float64]:
    """One kernel per output phase, correlated with the padded signal, in double precision."""
    common = math.gcd(old_rate, new_rate)
    old, new = old_rate // common, new_rate // common
    bandwidth = 0.99 * min(old, new)
    width = math.ceil(6 * old / bandwidth)
    taps = np.arange(-width, width + old)
    phases = np.arange(new)[:, np.newaxis]
    u = np.clip((taps / old - phases / new) * bandwidth, -6, 6)
    kernels = bandwidth / old * np.sinc(u) * np.cos(np.pi * u / 12) ** 2
    padded = np.pad(samples.astype(np.float64), (width, width + old))
    strides = range((len(padded) - len(taps)) // old + 1)
    outputs = [kernels @ padded[step * old : step * old + len(taps)] for step in strides]
    return np.concatenate(outputs)[: math.ceil(new * len(samples) / old)]


@pytest.mark.parametrize("rate", RATES)
@pytest.mark.parametrize("num_samples", [1, 100, 5003])
def test_hann_equals_the_formula(rate: int, num_samples: int) -> None:
    samples = np.random.default_rng(rate).uniform(-1, 1, num_samples).astype(np.float32)
    resampled = resample_hann(samples, rate, 16_000)
    assert resampled.dtype == np.float32
    np.testing.assert_allclose(resampled, slow_windowed_sinc(samples, rate, 16_000), rtol=0, atol=1e-5)


@pytest.mark.parametrize("resample", [resample_hann, resample_exact, resample_soxr])
@pytest.mark.parametrize("rate", [*RATES, 44_056, 192_000])
def test_a_tone_keeps_its_pitch_phase_and_level(resample, rate: int) -> None:  # type: ignore[no-untyped-def]
    """A drift of 1 in 2,000, as a ratio rounded to thousandths gives at 44.1 kHz, would put the end out of phase."""
    seconds, hertz = 4, 1000
    tone = np.sin(2 * np.pi * hertz * np.arange(seconds * rate) / rate).astype(np.float32)
    resampled = resample(tone, rate, 16_000)
    assert len(resampled) == seconds * 16_000
    expected = np.sin(2 * np.pi * hertz * np.arange(len(resampled)) / 16_000)
    np.testing.assert_allclose(resampled[200:-200], expected[200:-200], atol=5e-3)


def test_frequencies_above_the_new_band_are_removed() -> None:
    tone = np.sin(2 * np.pi * 11_000 * np.arange(48_000) / 48_000).astype(np.float32)
    for resample in (resample_hann, resample_exact):
        assert np.abs(resample(tone, 48_000, 16_000)[200:-200]).max() < 0.02


def alias_level(resample, rate: int) -> float:  # type: ignore[no-untyped-def]
    """Loudest alias of a sine swept from 8 kHz to the Nyquist frequency of `rate`, in dB of its peak."""
    first, last, seconds = 8_000.0, rate / 2 - 100, 4
    times = np.arange(seconds * rate) / rate
    sweep = np.sin(2 * np.pi * (first * times + (last - first) / (2 * seconds) * times**2))
    aliases = resample(sweep.astype(np.float32), rate, 16_000)
    first_alias = round(16_000 * seconds * 1_000 / (last - first))  # 1 kHz above the new Nyquist frequency
    return float(20 * np.log10(np.abs(aliases[first_alias:-1_600]).max()))  # without the click at the end


@pytest.mark.parametrize("rate", [44_100, 48_000])
def test_soxr_removes_what_the_new_rate_cannot_hold(rate: int) -> None:
    """Measured from 1 kHz above on: soxr -127 dB, the reference's filter -17 dB."""
    assert alias_level(resample_soxr, rate) < -100
    assert alias_level(resample_hann, rate) > -20


def test_lengths_round_up() -> None:
    for num_samples in (1, 2, 3, 440, 441, 442):
        length = math.ceil(Fraction(num_samples * 16_000, 44_100))
        samples = np.ones(num_samples, dtype=np.float32)
        assert len(resample_hann(samples, 44_100, 16_000)) == length
        assert len(resample_exact(samples, 44_100, 16_000)) == length
        assert len(resample_soxr(samples, 44_100, 16_000)) == length


def test_equal_rates_change_nothing() -> None:
    samples = np.arange(5, dtype=np.float32)
    assert resample_hann(samples, 16_000, 16_000) is samples
    assert resample_exact(samples, 16_000, 16_000) is samples
    assert resample_soxr(samples, 16_000, 16_000) is samples


def test_a_rate_that_would_need_a_filter_of_gigabytes_is_refused() -> None:
    with pytest.raises(UserError, match="2,147,483,647 Hz"):
        resample_hann(np.zeros(10, dtype=np.float32), 2**31 - 1, 16_000)
