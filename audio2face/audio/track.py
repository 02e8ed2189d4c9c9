"""Reads recordings as mono tracks at the network's sample rate, for training and inference alike.

Whole tracks (`read_track`) and streams (`stream_mono`) return the same samples. Recordings are measured in
blocks, for the dataset checks and to choose the channel with the voice: level, clipping, and what each channel carries.
Speech is detected by its level, which varies by the syllable; the level of hum, noise, time code and silence is steady.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, get_args

import numpy as np
import numpy.typing as npt

from audio2face.audio.reading import BLOCK_SAMPLES, read_header, sample_blocks
from audio2face.audio.resample import Resampler, StreamResampler, resample, resample_exact
from audio2face.errors import UserError
from audio2face.types import Float32Array, Float64Array, FloatArray

Method = Literal["w2v", "nva2f"]
MIN_SAMPLERATE = 8000  # Hz; lower rates lose consonants
QUIET_PEAK = 0.01  # a track with a peak up to this share of full scale counts as silence and is not normalised
_PIECE_SECONDS = 4.0  # resampled at once; packets of films are much shorter
# The largest positive value is one step below 1 in integer formats. The step of 16 bits covers all finer formats.
_FULL_SCALE = 1 - 2.0**-15
_FULL_SCALE_8_BIT = 1 - 2.0**-7
_LEVELS_PER_SECOND = 50
_CANCELLED = 0.5  # of the level that a mix of uncorrelated channels would have
_QUIET_DB = -50.0  # relative to full scale: below the level of recorded speech
_WEAK_DB = 25.0  # below the loudest channel: the level of crosstalk
_SPEECH_RANGE_DB = 12.0  # between loud and soft passages
_ALIKE = 0.5  # correlation of channels with the same content


@dataclass(frozen=True, eq=False)
class Track:
    """A mono signal.

    Attributes:
        data: float32 [samples]; full scale is 1.
        samplerate: samples per second.
        norm_factor: divisor for networks that normalise the signal; 1.0 for silence.
    """

    data: Float32Array
    samplerate: int
    norm_factor: float = 1.0

    @property
    def duration(self) -> float:
        """Length in seconds."""
        return len(self.data) / self.samplerate

    def read(self, start: int, stop: int) -> Float32Array:
        """Copies the samples from `start` up to `stop`; zero outside the track.

        Args:
            start: first sample; may be negative.
            stop: sample after the last, at least `start`.

        Returns:
            Float32 [stop - start].
        """
        window = np.zeros(stop - start, dtype=np.float32)
        first, last = max(start, 0), min(stop, len(self.data))
        if first < last:
            window[first - start : last - start] = self.data[first:last]
        return window


def read_track(
    path: Path | str,
    samplerate: int = 16_000,
    method: Method = "w2v",
    channel: int | None = None,
    resampler: Resampler = "soxr",
) -> Track:
    """Reads an audio file as a mono track, the arithmetic mean of its channels.

    - `"w2v"` keeps the level; the track's `norm_factor` is the peak after resampling.
    - `"nva2f"` divides by the peak before resampling, with the reference's filter for it; `norm_factor` is 1.0.

    In both cases a peak of at most `QUIET_PEAK` counts as silence and is not scaled.

    Args:
        path: any recording or film with audio, of 8 kHz or more.
        samplerate: rate of the track, in Hz.
        method: level rule.
        channel: index of the only channel to read, counted from 0; None for the mean of all.
        resampler: filter of `"w2v"`.

    Raises:
        UserError: the file is missing, its sample rate is too low or too uncommon, or the method is unknown.
        FileFormatError: it is not an audio file, is damaged or truncated, holds no samples, or a sample is not finite.
    """
    if method not in get_args(Method):
        raise UserError(f"audio method {method!r} is unknown", hint=f"Use one of {', '.join(get_args(Method))}.")
    path = Path(path)
    file_rate = read_header(path).samplerate
    check_samplerate(file_rate, path)
    samples = _read_mono(path, channel)
    try:
        if method == "nva2f":
            samples /= _level(samples)
            return Track(resample_exact(samples, file_rate, samplerate), samplerate)
        samples = resample(samples, file_rate, samplerate, resampler)
    except UserError as error:
        raise UserError(error.problem, path=path, hint=error.hint) from error
    return Track(samples, samplerate, norm_factor=_level(samples))


def check_samplerate(samplerate: int, path: Path) -> None:
    """Refuses rates that are too low for speech.

    Raises:
        UserError: with the file's path.
    """
    if samplerate < MIN_SAMPLERATE:
        raise UserError(
            f"a sample rate of {samplerate:,} Hz is too low for speech: expected {MIN_SAMPLERATE:,} Hz or more",
            path=path,
            hint="Record or export it at 16,000 Hz or more.",
        )


def float_samples(samples: npt.ArrayLike) -> Float32Array:
    """Samples as float32, full scale being 1.

    Args:
        samples: of any shape; floats are taken as they are, integers are divided by the full scale of their type.

    Raises:
        UserError: they are neither floats nor integers of 8, 16 or 32 bits, or a value is NaN or infinite.
    """
    given = np.asarray(samples)
    if not given.size and given.dtype == np.float64:  # an empty list
        return np.zeros(given.shape, np.float32)
    if given.dtype.kind == "i" and given.dtype.itemsize <= 4:
        return (given / -float(np.iinfo(given.dtype).min)).astype(np.float32)
    if given.dtype == np.uint8:  # 8-bit recordings have their zero at 128
        return (given - np.float32(128)) / np.float32(128)
    if given.dtype.kind != "f":
        raise UserError(
            f"audio of the type {given.dtype} arrived",
            hint="Give floats from -1 to 1, or integers of 8, 16 or 32 bits.",
        )
    floats: Float32Array = given.astype(np.float32)
    if not np.isfinite(floats).all():
        place = int(np.argmin(np.isfinite(floats).reshape(len(floats), -1).all(axis=1)))
        raise UserError(f"sample {place} of the audio is {given[place]}, expected a finite number")
    return floats


def to_mono(block: Float32Array, channel: int | None = None) -> Float32Array:
    """Returns one channel of a block `[samples, channels]`, or the mean of all, float32 `[samples]`."""
    if channel is not None:
        return np.ascontiguousarray(block[:, channel])
    mean: Float32Array = block.mean(axis=1, dtype=np.float64).astype(np.float32)
    return mean


def _read_mono(path: Path, channel: int | None) -> Float32Array:
    """Reads all samples of a file, float32 [samples].

    The buffer grows with the decoded samples, so that a wrong header cannot allocate memory.
    """
    buffer = bytearray()
    for block in sample_blocks(path):
        buffer += to_mono(block, channel).tobytes()
    return np.frombuffer(buffer, dtype=np.float32)


def _level(samples: Float32Array) -> float:
    """Returns the peak, or 1.0 for silence."""
    peak = max(float(samples.max()), -float(samples.min()))
    return peak if peak > QUIET_PEAK else 1.0


def stream_mono(
    path: Path | str, samplerate: int = 16_000, channel: int | None = None, resampler: Resampler = "soxr"
) -> Iterator[Float32Array]:
    """Yields a recording in order, mixed to mono and resampled; the concatenated chunks equal `read_track(path).data`.

    Args:
        path: any recording or film with audio, of 8 kHz or more.
        samplerate: rate of the chunks, in Hz.
        channel: index of the only channel to read, counted from 0; None for the mean of all.
        resampler: the filter.

    Yields:
        Float32 `[samples]`; full scale is 1.

    Raises:
        UserError: as `read_track`; errors after the header are raised when their chunk is reached.
    """
    path = Path(path)
    rate = read_header(path).samplerate
    check_samplerate(rate, path)
    mono = (to_mono(block, channel) for block in sample_blocks(path))
    if rate == samplerate:
        yield from mono
        return
    try:
        stream = StreamResampler(rate, samplerate, resampler, min_seconds=_PIECE_SECONDS)
    except UserError as error:
        raise UserError(error.problem, path=path, hint=error.hint) from error
    yield from map(stream.push, mono)
    yield stream.finish()


def stream_range(
    path: Path | str, samplerate: int, begin: int, count: int, resampler: Resampler = "soxr"
) -> Iterator[Float32Array]:
    """Yields a range of a recording as `stream_mono` does, with silence before its start; it ends with the recording.

    Args:
        path: any recording or film with audio.
        samplerate: rate of the chunks, in Hz.
        begin: first sample of the range at that rate; negative: that many samples before the start.
        count: number of samples.
        resampler: the filter.

    Raises:
        UserError: as `stream_mono`.
    """
    if begin < 0:
        yield np.zeros(min(-begin, count), np.float32)
        count, begin = count + begin, 0
    at = 0
    for piece in stream_mono(path, samplerate, resampler=resampler):
        part = piece[max(begin - at, 0) : max(begin + count - at, 0)]
        if len(part):
            yield part
        at += len(piece)
        if at >= begin + count:
            return


def peak_level(
    path: Path | str, samplerate: int = 16_000, channel: int | None = None, resampler: Resampler = "soxr"
) -> float:
    """Returns the largest magnitude of a recording at a rate, or 1.0 for silence: `norm_factor` of `read_track`.

    Arguments are those of `stream_mono`.

    Raises:
        UserError: as `stream_mono`.
    """
    pieces = stream_mono(path, samplerate, channel, resampler)
    peak = max((float(np.abs(piece).max()) for piece in pieces if len(piece)), default=0.0)
    return peak if peak > QUIET_PEAK else 1.0


def interval_loudness(samples: FloatArray, samplerate: int, rate: float, count: int) -> Float64Array:
    """RMS of samples `[samples]` in each of `count` intervals, `rate` per second; decibels of full scale, from -120."""
    bounds = np.clip(np.round(np.arange(count + 1) * samplerate / rate), 0, len(samples)).astype(np.intp)
    total = np.concatenate([[0.0], np.cumsum(np.square(samples, dtype=np.float64))])[bounds]
    power = np.diff(total) / np.maximum(np.diff(bounds), 1)
    return np.asarray(10 * np.log10(np.maximum(power, 1e-12)))


@dataclass(frozen=True)
class AudioLevels:
    """Levels of a recording; full scale is 1.

    Attributes:
        peak: largest magnitude of the mono mix.
        rms: root mean square of the mono mix.
        clipped_fraction: share of the samples of all channels that are at or above full scale. Peak normalisation
            puts one sample there; clipping many.
        is_silent: whether the peak is at most `QUIET_PEAK`.
    """

    peak: float
    rms: float
    clipped_fraction: float
    is_silent: bool


def measure_levels(source: Track | Path | str, block: int = BLOCK_SAMPLES) -> AudioLevels:
    """Measures a track, or a file at its own sample rate with bounded memory.

    Args:
        source: the track or file.
        block: samples per block.

    Raises:
        UserError, FileFormatError: the file cannot be read, as for `sample_blocks`.
    """
    peak, squares, clipped, num_samples, num_values = 0.0, 0.0, 0, 0, 0
    full_scale = _FULL_SCALE
    if not isinstance(source, Track) and read_header(source).subtype in ("PCM_U8", "PCM_S8"):
        full_scale = _FULL_SCALE_8_BIT
    for samples in _blocks(source, block):
        mono = samples.mean(axis=1, dtype=np.float64)
        peak = max(peak, float(np.abs(mono).max()))
        squares += float(mono @ mono)
        clipped += int(np.count_nonzero(np.abs(samples) >= full_scale))
        num_samples += len(samples)
        num_values += samples.size
    return AudioLevels(
        peak=peak,
        rms=math.sqrt(squares / max(num_samples, 1)),
        clipped_fraction=clipped / max(num_values, 1),
        is_silent=peak <= QUIET_PEAK,
    )


def _blocks(source: Track | Path | str, block: int) -> Iterator[Float32Array]:
    """Yields blocks of float32 [samples, channels]."""
    if not isinstance(source, Track):
        yield from sample_blocks(source, block)
        return
    for start in range(0, len(source.data), block):
        yield source.data[start : start + block, np.newaxis]


@dataclass(frozen=True)
class Channels:
    """Properties of the channels of a recording.

    Attributes:
        count: number of channels.
        level: root mean square of each; full scale is 1.
        has_speech: whether each carries speech.
        cancel: whether they cancel each other when mixed to mono.
        differ: whether two channels carry different speech.
        best: the channel with the most speech, counted from 0.
    """

    count: int
    level: tuple[float, ...]
    has_speech: tuple[bool, ...]
    cancel: bool
    differ: bool
    best: int

    @property
    def voice(self) -> int | None:
        """The channel to use instead of the mix: where channels cancel, or only some of them carry speech."""
        some_silent = any(self.has_speech) and not all(self.has_speech)
        return self.best if self.cancel or some_silent else None


def inspect_channels(path: Path | str) -> Channels:
    """Compares the channels of a recording.

    Raises:
        UserError, FileFormatError: the file cannot be read, as for `sample_blocks`.
    """
    header = read_header(path)
    count = header.num_channels
    if count == 1:
        return Channels(1, (0.0,), (True,), cancel=False, differ=False, best=0)
    hop = max(1, round(header.samplerate / _LEVELS_PER_SECOND))
    products = np.zeros((count, count))
    levels: list[Float64Array] = []
    rest = np.zeros((0, count), np.float32)
    samples = 0
    for block in sample_blocks(path):
        wide = block.astype(np.float64)
        products += wide.T @ wide
        samples += len(block)
        rest = np.concatenate([rest, block])
        whole = len(rest) // hop
        levels.append(np.square(rest[: whole * hop], dtype=np.float64).reshape(whole, hop, count).mean(axis=1))
        rest = rest[whole * hop :]
    decibels = 10 * np.log10(np.concatenate(levels) + 1e-12) if levels else np.zeros((0, count))
    return _classify(products / max(samples, 1), decibels if len(decibels) else np.full((1, count), -120.0))


def _classify(products: Float64Array, decibels: Float64Array) -> Channels:
    """Classifies channels by mean products `[channels, channels]` and levels over time `[rows, channels]`."""
    count = len(products)
    squares = np.diag(products)
    mixed, unrelated = float(products.sum()) / count**2, float(squares.sum()) / count**2
    soft, loud = np.percentile(decibels, (10, 95), axis=0)
    span = loud - soft
    speaks = (loud > max(_QUIET_DB, float(loud.max()) - _WEAK_DB)) & (span > _SPEECH_RANGE_DB)
    scores = np.where(speaks, loud, loud - 1000)
    related = products / np.sqrt(np.maximum(np.outer(squares, squares), 1e-24))
    return Channels(
        count=count,
        level=tuple(float(value) for value in np.sqrt(squares)),
        has_speech=tuple(bool(value) for value in speaks),
        cancel=unrelated > 10 ** (_QUIET_DB / 10) / count and mixed < _CANCELLED**2 * unrelated,
        differ=bool((np.abs(related[np.ix_(speaks, speaks)]) < _ALIKE).any()),
        best=int(np.argmax(scores)),
    )
