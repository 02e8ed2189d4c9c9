"""Resamples audio: soxr, and scipy's polyphase filter with the two windows of the reference; whole and streamed.

`StreamResampler` keeps the samples between two chunks of a stream; its results are those of the whole, bit for bit.
"""

from __future__ import annotations

import math
from typing import Any, Literal, Protocol, cast

import numpy as np
import soxr

from audio2face.errors import UserError
from audio2face.types import Float32Array

Resampler = Literal["soxr", "hann"]
_SOXR_QUALITY = "HQ"  # 20 bits: a passband up to 0.91 of the Nyquist frequency, aliases below -120 dB

_ZERO_CROSSINGS = 6  # of the windowed sinc, on each side
_ROLLOFF = 0.99  # cutoff as a share of the lower Nyquist frequency
# The filters have 12 and 20 taps per step of the larger term. All rates up to 48 kHz fit, and higher ones with enough
# common factors, as all rates in use; a damaged header must not allocate a filter of gigabytes.
_MAX_TERM = 48_000


def resample(samples: Float32Array, old_rate: int, new_rate: int, method: Resampler = "soxr") -> Float32Array:
    """Resamples with `resample_soxr` or `resample_hann`, whose arguments, result and errors these are."""
    function = {"soxr": resample_soxr, "hann": resample_hann}[method]
    return function(samples, old_rate, new_rate)


def resample_soxr(samples: Float32Array, old_rate: int, new_rate: int) -> Float32Array:
    """Resamples with the SoX resampler at its setting "HQ", linear phase, without delay.

    Arguments, result and errors are those of `resample_hann`.
    """
    old, new = rate_ratio(old_rate, new_rate)
    if old == new:
        return samples
    resampled = np.asarray(soxr.resample(samples, old_rate, new_rate, quality=_SOXR_QUALITY), np.float32)
    return np.pad(resampled, (0, -(-len(samples) * new // old) - len(resampled)))  # soxr rounds lengths to the nearest


def resample_hann(samples: Float32Array, old_rate: int, new_rate: int) -> Float32Array:
    """Resamples with a Hann-windowed sinc of 6 zero crossings, cut off at 0.99 of the lower Nyquist frequency.

    Let o and n be the rates divided by their greatest common divisor: o input samples last as long as n output samples,
    one unit of time. With b = 0.99 min(o, n), the weight of an input sample at distance t from an output sample is
    (b/o) sinc(u) cos(pi u / 12)^2 with u = t b, and zero beyond |u| = 6. This equals torchaudio's default.

    Args:
        samples: float32 [samples].
        old_rate: their rate in Hz.
        new_rate: the target rate, in Hz.

    Returns:
        Float32 [ceil(samples * new_rate / old_rate)]; the same array when the rates are equal.

    Raises:
        UserError: the ratio of the rates needs too long a filter.
    """
    old, new = rate_ratio(old_rate, new_rate)
    if old == new:
        return samples
    return _polyphase(samples, old, new, _hann_taps(old, new))


def resample_exact(samples: Float32Array, old_rate: int, new_rate: int) -> Float32Array:
    """Resamples with scipy's default polyphase filter (Kaiser window) at the exact ratio of the rates.

    Arguments, result and errors are those of `resample_hann`.
    """
    old, new = rate_ratio(old_rate, new_rate)
    if old == new:
        return samples
    return _polyphase(samples, old, new, ("kaiser", 5.0))


class StreamResampler:
    """`resample` for samples that arrive in chunks: the concatenated results are bit-identical.

    Results are returned as soon as the input samples around them are known. For results at 16 kHz, "hann" is within 1
    ms of the corresponding samples from 48 kHz and within 20 ms from 44.1 kHz; "soxr" is within 41 ms of both. Equal
    rates pass at once.

    Args:
        old_rate: sample rate of the input, in Hz.
        new_rate: sample rate of the results, in Hz.
        method: the filter.
        min_seconds: minimum length that "hann" resamples at once before the end: longer chunks take less time in total.

    Raises:
        UserError: the ratio of the rates needs too long a filter.
    """

    def __init__(self, old_rate: int, new_rate: int, method: Resampler = "soxr", *, min_seconds: float = 0.0) -> None:
        old, new = rate_ratio(old_rate, new_rate)
        self._filter: _ResampleFilter | None = None
        if old != new:
            is_soxr = method == "soxr"
            self._filter = _SoxrFilter(old_rate, new_rate) if is_soxr else _HannFilter(old_rate, new_rate, min_seconds)

    def push(self, samples: Float32Array) -> Float32Array:
        """Adds samples, float32 `[samples]`, and returns the results that are complete."""
        return samples if self._filter is None else self._filter.push(samples)

    def finish(self) -> Float32Array:
        """Returns the remaining results after the last sample."""
        return np.zeros(0, np.float32) if self._filter is None else self._filter.finish()


class _ResampleFilter(Protocol):
    def push(self, samples: Float32Array) -> Float32Array: ...

    def finish(self) -> Float32Array: ...


class _SoxrFilter:
    def __init__(self, old_rate: int, new_rate: int) -> None:
        self._old, self._new = rate_ratio(old_rate, new_rate)
        self._stream = soxr.ResampleStream(old_rate, new_rate, 1, dtype="float32", quality=_SOXR_QUALITY)
        self._num_samples = self._num_made = 0

    def push(self, samples: Float32Array) -> Float32Array:
        made = np.asarray(self._stream.resample_chunk(np.ascontiguousarray(samples)), np.float32)
        self._num_samples += len(samples)
        self._num_made += len(made)
        return made

    def finish(self) -> Float32Array:
        if not self._num_samples:
            return np.zeros(0, np.float32)
        made = np.asarray(self._stream.resample_chunk(np.zeros(0, np.float32), last=True), np.float32)
        missing = -(-self._num_samples * self._new // self._old) - self._num_made - len(made)
        self._stream.clear()
        self._num_samples = self._num_made = 0
        return np.pad(made, (0, missing))


class _HannFilter:
    def __init__(self, old_rate: int, new_rate: int, min_seconds: float) -> None:
        self._old, self._new = rate_ratio(old_rate, new_rate)
        # Chunks start and end with whole units of time, where samples of both rates coincide.
        self._context = -(-filter_reach(self._old, self._new) // self._old) * self._old
        self._minimum = max(1, int(min_seconds * old_rate) // self._old) * self._old
        self._known = np.zeros(
            0, np.float32
        )  # pending samples, preceded by up to `_context` samples that have been resampled
        self._before = 0  # samples of `_known` that have been resampled

    def push(self, samples: Float32Array) -> Float32Array:
        self._known = np.concatenate([self._known, samples])
        count = (len(self._known) - self._before - self._context) // self._old * self._old
        if count < self._minimum:
            return np.zeros(0, np.float32)
        made = self._resample(self._known[: self._before + count + self._context], count)
        keep = max(0, self._before + count - self._context)
        self._known, self._before = self._known[keep:], self._before + count - keep
        return made

    def finish(self) -> Float32Array:
        count = len(self._known) - self._before
        made = self._resample(self._known, count) if count else self._known[:0]
        self._known, self._before = self._known[:0], 0
        return made

    def _resample(self, samples: Float32Array, count: int) -> Float32Array:
        """Returns the results of `count` samples after those that have been resampled."""
        resampled = resample_hann(samples, self._old, self._new)
        end = -(-(self._before + count) * self._new // self._old)
        return resampled[self._before * self._new // self._old : end]


def filter_reach(old: int, new: int) -> int:
    """Returns the receptive field of `resample_hann` on each side, in input samples, for a ratio from `rate_ratio`."""
    return math.ceil(_ZERO_CROSSINGS * old / (_ROLLOFF * min(old, new))) + 1


def rate_ratio(old_rate: int, new_rate: int) -> tuple[int, int]:
    """Divides the two rates by their greatest common divisor.

    Raises:
        UserError: the ratio of the rates needs too long a filter.
    """
    common = math.gcd(old_rate, new_rate)
    old, new = old_rate // common, new_rate // common
    if max(old, new) > _MAX_TERM:
        raise UserError(
            f"a sample rate of {old_rate:,} Hz cannot be converted to {new_rate:,} Hz: the ratio {old}:{new} needs too "
            "long a filter",
            hint="Convert the audio to 48,000 Hz first.",
        )
    return old, new


def _polyphase(samples: Float32Array, old: int, new: int, window: Float32Array | tuple[str, float]) -> Float32Array:
    from scipy.signal import resample_poly  # loads in half a second

    # scipy accepts taps as documented; its published types omit them.
    resampled = resample_poly(samples, up=new, down=old, window=cast(Any, window))
    return np.ascontiguousarray(resampled, dtype=np.float32)


def _hann_taps(old: int, new: int) -> Float32Array:
    """Computes the kernel at the points of the common grid of both rates, `old * new` per unit of time.

    Args:
        old: input samples per unit of time.
        new: output samples per unit of time.

    Returns:
        Float32 [2 * half + 1], symmetric, divided by `new`, with which scipy multiplies it.
    """
    bandwidth = _ROLLOFF * min(old, new)
    half = math.floor(_ZERO_CROSSINGS * old * new / bandwidth)
    u = np.arange(half + 1) * (bandwidth / (old * new))
    right = np.sinc(u)
    right *= np.cos(u * (math.pi / (2 * _ZERO_CROSSINGS))) ** 2
    right *= bandwidth / (old * new)
    return np.concatenate([right[:0:-1], right]).astype(np.float32)
