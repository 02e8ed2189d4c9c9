"""Reads recordings as mono tracks at the network's sample rate, for training and inference alike.

Whole tracks (`read_track`) and streams (`stream_mono`) return the same samples.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, get_args

import numpy as np
import numpy.typing as npt

from audio2face.audio.reading import read_header, sample_blocks
from audio2face.audio.resample import Resampler, StreamResampler, resample, resample_exact
from audio2face.errors import UserError
from audio2face.types import Float32Array

Method = Literal["w2v", "nva2f"]
MIN_SAMPLERATE = 8000  # Hz; lower rates lose consonants
QUIET_PEAK = 0.01  # a track with a peak up to this share of full scale counts as silence and is not normalised


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


_PIECE_SECONDS = 4.0  # resampled at once; packets of films are much shorter


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
