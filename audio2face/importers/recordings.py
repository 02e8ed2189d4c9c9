"""Cuts the recordings of shots out of that of their take, in one pass and to half a sample."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from audio2face.audio import read_header, sample_blocks, stream_mono
from audio2face.audio.writing import WavWriter
from audio2face.importers.take import Take
from audio2face.io.atomic import atomic_write
from audio2face.types import Float32Array

MONO_RATE = 16_000


@dataclass(frozen=True)
class SoundRange:
    """Samples of a recording: `begin` may be negative, silence stands for what lies outside of it."""

    begin: int
    count: int


def sound_range(take: Take, first: int, stop: int, samplerate: int) -> SoundRange:
    """The samples of the frames `first` to `stop` of a take.

    In a raw data set frame i is at the middle of its interval, (i + 0.5) / fps: the sound begins half a frame before
    the first frame.
    """
    fps = float(take.fps)
    begin = round((take.audio_start + (first - 0.5) / fps) * samplerate)
    return SoundRange(begin, round((stop - first) / fps * samplerate))


def spoken_frames(take: Take, seconds: float) -> tuple[int, int]:
    """The frames of a take whose moments lie in its recording: the first, and the one after the last."""
    fps = float(take.fps)
    first = max(0, math.ceil(-take.audio_start * fps))
    return first, min(take.num_frames, math.floor((seconds - take.audio_start) * fps) + 1)


def read_mono(path: Path, cut: SoundRange | None = None) -> Float32Array:
    """A recording mixed to mono at 16 kHz, float32 `[samples]`; or a range of it at that rate."""
    samples = np.concatenate([np.zeros(0, np.float32), *stream_mono(path, MONO_RATE)])
    return samples if cut is None else take_range(samples, cut)


def take_range(samples: Float32Array, cut: SoundRange) -> Float32Array:
    """A range of samples `[samples]`, with silence outside of them."""
    found = np.zeros(cut.count, np.float32)
    first, last = max(cut.begin, 0), min(cut.begin + cut.count, len(samples))
    if first < last:
        found[first - cut.begin : last - cut.begin] = samples[first:last]
    return found


def cut_recording(path: Path, cuts: Sequence[SoundRange], targets: Sequence[Path]) -> None:
    """Writes ranges of a recording as WAV files, each whole or not at all.

    Args:
        path: the recording.
        cuts: in its own samples, in order of their begin.
        targets: the files.

    Raises:
        UserError: it cannot be read, or a file cannot be written.
    """
    header = read_header(path)
    reader = _Reader(sample_blocks(path), header.num_channels)
    for cut, target in zip(cuts, targets, strict=True):
        with atomic_write(target) as handle, WavWriter(handle, header) as sound:
            for block in reader.take(cut):
                sound.write(block)


class _Reader:
    """Takes ranges out of blocks of samples `[samples, channels]`; a range may begin before the last one ended."""

    def __init__(self, blocks: Iterator[Float32Array], num_channels: int) -> None:
        self._blocks = blocks
        self._silence = np.zeros((0, num_channels), np.float32)
        self._kept = self._silence  # from `_at` on
        self._at = 0

    def take(self, cut: SoundRange) -> Iterator[Float32Array]:
        """Yields the samples of a range in pieces, silence outside of the recording."""
        at, end = cut.begin, cut.begin + cut.count
        if at < 0:
            yield self._zeros(min(-at, cut.count))
            at = min(0, end)
        while at < end:
            if at >= self._at + len(self._kept):
                block = next(self._blocks, None)
                if block is None:
                    yield self._zeros(end - at)
                    return
                self._at += len(self._kept)
                self._kept = block
                continue
            piece = self._kept[at - self._at : end - self._at]
            yield piece
            at += len(piece)

    def _zeros(self, count: int) -> Float32Array:
        return np.zeros((count, self._silence.shape[1]), np.float32)
