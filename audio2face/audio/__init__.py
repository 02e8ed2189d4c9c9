"""Reads audio files as mono tracks, measures their levels and resamples them."""

from __future__ import annotations

from audio2face.audio.reading import AudioHeader, read_header, sample_blocks
from audio2face.audio.resample import Resampler, StreamResampler, resample, resample_exact, resample_hann, resample_soxr
from audio2face.audio.track import (
    MIN_SAMPLERATE,
    QUIET_PEAK,
    AudioLevels,
    Channels,
    Method,
    Track,
    float_samples,
    inspect_channels,
    measure_levels,
    peak_level,
    read_track,
    stream_mono,
    stream_range,
)

__all__ = [
    "MIN_SAMPLERATE",
    "QUIET_PEAK",
    "AudioHeader",
    "AudioLevels",
    "Channels",
    "Method",
    "Resampler",
    "StreamResampler",
    "Track",
    "float_samples",
    "inspect_channels",
    "measure_levels",
    "peak_level",
    "read_header",
    "read_track",
    "resample",
    "resample_exact",
    "resample_hann",
    "resample_soxr",
    "sample_blocks",
    "stream_mono",
    "stream_range",
]
