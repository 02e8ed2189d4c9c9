"""Audio of clips: windows around frames for a regression network, recordings, and the noise of muted clips.

Noise as audio of silence teaches a network a neutral face for room noise as well as for zeros. The order in which its
random numbers are drawn is part of the contract.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Literal

import numpy as np
import python_stretch.Signalsmith

from audio2face.audio import Method, Resampler, Track, read_header, read_track
from audio2face.console import LOGGER
from audio2face.errors import UserError
from audio2face.geometry.frames import recorded_times
from audio2face.training.data.clips import TrainingClip, listed
from audio2face.types import Float32Array, Float64Array, Int64Array

# Seconds read on either side, two blocks of the stretcher, so that a segment equals the same part of a shifted whole.
_PITCH_MARGIN = 0.25
_SILENT_END = 0.25  # seconds of a clip beyond the end of its recording that cause a warning
NoiseKind = Literal["gauss", "mic"]
_NOISE_WINDOW, _NOISE_HOP = 256, 128  # samples: scipy's default Hann window and 50 % overlap
_NUM_BINS = _NOISE_WINDOW // 2 + 1
# Level of a quiet microphone over frequency, in decibels: falls from -82 at 0 Hz towards -121.
_FLOOR_DB, _RISE_DB, _FALL_HZ, _SPREAD_DB = -121.0, 39.0, 300.0, 5.85


@dataclass(frozen=True)
class NoiseSettings:
    """Noise of muted clips, set by the AUG_MUTED_AUDIO parameters; its repr is part of cache keys.

    Attributes:
        kind: kind of noise; None: silence.
        scale: level of the noise.
        gain: range of the random gain of each sequence.
        seed: seed of the random generators.
    """

    kind: NoiseKind | None
    scale: float
    gain: tuple[float, float]
    seed: int


@dataclass(frozen=True)
class AudioWindows:
    """Reads the windows of audio around frames.

    Attributes:
        clips: the indexed clips.
        recordings: audio of the clips.
        num_samples: length of a window in samples.
        offset: index of the window's sample at the middle of the frame.
        noise: noise of muted clips.
    """

    clips: Sequence[TrainingClip]
    recordings: Recordings
    num_samples: int
    offset: int
    noise: NoiseSettings

    @cached_property
    def _rates(self) -> Float64Array:
        return np.array([clip.shot.fps for clip in self.clips])

    @cached_property
    def _offsets(self) -> Float64Array:
        """Delay of each clip's recording relative to the face, in frames."""
        return np.array([clip.audio_offset for clip in self.clips], np.float64)

    def times(self, clips: Int64Array, frames: Int64Array, time_shifts: Float64Array) -> Float64Array:
        """Times of the middles of frames in the recordings.

        Args:
            clips: clip index of each item, `[items]`.
            frames: frames of the shot, `[items, length]`.
            time_shifts: time shifts in frames, `[items]`.

        Returns:
            Seconds, `[items, length]`.
        """
        rates, offsets = self._rates[clips, None], self._offsets[clips, None]
        return recorded_times(frames, rates) + offsets / rates + time_shifts[:, None] / rates

    def read(
        self, clips: Int64Array, frames: Int64Array, time_shifts: Float64Array, variants: Int64Array
    ) -> Float32Array:
        """Reads the windows around frames.

        Args:
            clips: clip index of each item, `[items]`.
            frames: frames of the shot, `[items, length]`.
            time_shifts: time shifts in frames, `[items]`; ignored for muted clips.
            variants: index of the noise of a muted clip, `[items]`.

        Returns:
            Float32 `[items, length, num_samples]`.

        Raises:
            UserError: a recording cannot be read.
        """
        seconds = self.times(clips, frames, time_shifts)
        starts = np.rint(seconds * self.recordings.samplerate).astype(np.int64) - self.offset
        windows = np.empty((*frames.shape, self.num_samples), np.float32)
        for item, clip in enumerate(clips.tolist()):
            path = self.clips[clip].audio
            if path is None:
                windows[item] = self._noise(clip, frames[item], int(variants[item]))
                continue
            track = self.recordings.track(path)
            for index, start in enumerate(starts[item].tolist()):
                windows[item, index] = track.read(start, start + self.num_samples)
        return windows

    def norm_factors(self, clips: Int64Array) -> Float32Array:
        """The divisor that normalises the windows of each item, float32 `[items]`."""
        paths = [self.clips[clip].audio for clip in clips.tolist()]
        factors = [1.0 if path is None else self.recordings.track(path).norm_factor for path in paths]
        return np.array(factors, np.float32)

    def _noise(self, clip: int, frames: Int64Array, variant: int) -> Float64Array:
        """Independent noise of each frame at one gain, `[length, num_samples]`."""
        settings, rate = self.noise, self.recordings.samplerate
        least, most = settings.gain
        gain = least + (most - least) * np.random.default_rng([settings.seed, clip, variant]).random()
        frames_of_noise = [
            noise(
                self.num_samples,
                rate,
                settings.kind,
                settings.scale * gain,
                np.random.default_rng([settings.seed, clip, variant, frame]),
            )
            for frame in frames.tolist()
        ]
        return np.stack(frames_of_noise)


@dataclass
class Recordings:
    """Audio tracks by file.

    Attributes:
        samplerate: sample rate of all tracks, in Hz.
        method: level rule.
        resampler: filter for recordings of other rates.
        keep: whether tracks are cached in memory.
    """

    samplerate: int
    method: Method
    resampler: Resampler
    keep: bool
    _tracks: dict[Path, Track] = field(default_factory=dict, repr=False)

    def track(self, path: Path) -> Track:
        """The track of a file; raises UserError if it is unreadable."""
        track = self._tracks.get(path)
        if track is None:
            track = read_track(path, self.samplerate, self.method, resampler=self.resampler)
            if self.keep:
                self._tracks[path] = track
        return track

    def read(self, path: Path, start: int, num_samples: int, semitones: float | None = None) -> Float32Array:
        """Reads a part of a track, float32 `[num_samples]`; zeros outside the recording.

        Args:
            path: the recording.
            start: first sample; may be negative.
            num_samples: length.
            semitones: pitch shift of the voice at constant timing; None: unchanged.
        """
        track = self.track(path)
        if semitones is None:
            return track.read(start, start + num_samples)
        margin = round(_PITCH_MARGIN * self.samplerate)
        wave = track.read(start - margin, start + num_samples + margin)
        return shift_pitch(wave, self.samplerate, semitones)[margin : margin + num_samples]


def shift_pitch(wave: Float32Array, samplerate: int, semitones: float) -> Float32Array:
    """Shifts the pitch of a signal, float32 `[samples]`, at constant timing; deterministic."""
    stretch = python_stretch.Signalsmith.Stretch()
    stretch.preset(1, float(samplerate))
    stretch.setTransposeSemitones(semitones)
    shifted: Float32Array = np.asarray(stretch.process(wave[None]), np.float32)[0]
    return shifted  # of the length of `wave`; the stretcher compensates its own delay


def check_recordings(clips: Iterable[TrainingClip]) -> None:
    """Reads the header of every recording, which reports missing files before training starts.

    Warns about recordings that end before their clip, and once per actor about those in a lossy format.

    Raises:
        UserError: a recording is missing or (FileFormatError) not an audio file.
    """
    durations: dict[Path, float] = {}
    lossy: dict[str, list[str]] = {}
    short = []
    for clip in clips:
        if clip.audio is None:
            continue
        if clip.audio not in durations:
            header = read_header(clip.audio)
            durations[clip.audio] = header.duration
            if header.is_lossy:
                lossy.setdefault(clip.shot.actor, []).append(clip.audio.name)
        silent = clip.audio_start + clip.num_frames / clip.shot.fps - durations[clip.audio]
        if silent > _SILENT_END:
            short.append(f"{clip} ({silent:.1f} s of {clip.audio.name})")
    for actor, names in lossy.items():
        LOGGER.warning(
            "%s: %d recordings are in a lossy format, which alters the voice (%s); record as WAV where you can",
            actor,
            len(names),
            listed(names),
        )
    if short:
        LOGGER.warning("Recordings that end before their clip are padded with silence: %s", listed(short))


def noise(
    num_samples: int, samplerate: int, kind: NoiseKind | None, scale: float, rng: np.random.Generator
) -> Float64Array:
    """Generates noise.

    Args:
        num_samples: length.
        samplerate: samples per second; determines the spectrum of "mic".
        kind: None for zeros (no random numbers are drawn), "gauss" for white noise of standard deviation 1, "mic" for
            the noise of a microphone.
        scale: factor on the result.
        rng: drawn from in a fixed order: for "mic" first the levels of the spectrogram, column by column, then all
            phases.

    Returns:
        Float64 [num_samples].

    Raises:
        UserError: the kind is unknown.
    """
    if kind is None:
        return np.zeros(num_samples)
    if kind == "gauss":
        return rng.normal(size=num_samples) * scale
    if kind == "mic":
        return _microphone(num_samples, samplerate, rng) * scale
    raise UserError(f"noise type {kind!r} is unknown", hint="Use 'gauss', 'mic' or None.")


def _microphone(num_samples: int, samplerate: int, rng: np.random.Generator) -> Float64Array:
    """Returns a signal from a spectrogram of random levels and phases, float64 [num_samples]."""
    from scipy.signal import istft  # loads in half a second

    num_columns = math.ceil((num_samples - _NOISE_WINDOW) / _NOISE_HOP) + 3
    frequencies = np.linspace(0.0, samplerate // 2, _NUM_BINS)
    mean_db = _FLOOR_DB + _RISE_DB * np.exp(-frequencies / _FALL_HZ)
    level_db = rng.normal(mean_db, _SPREAD_DB, size=(num_columns, _NUM_BINS)).T
    phase = 2 * math.pi * rng.random((_NUM_BINS, num_columns))
    spectrogram = 10 ** (level_db / 20) * np.exp(1j * phase)
    _, samples = istft(spectrogram, fs=samplerate)
    return np.asarray(samples[:num_samples], dtype=np.float64)
