"""The window of audio around a frame of a clip, as a regression network hears it: speech, or the noise of a held pose.

Knows clips, frames and samples. Does not know how frames are drawn or batched.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path

import numpy as np
import python_stretch.Signalsmith

from audio2face.audio import Method, NoiseKind, Track, noise, read_header, read_track
from audio2face.console import LOGGER
from audio2face.geometry.frame_times import recorded_times
from audio2face.training.data.clips import TrainingClip, listed
from audio2face.types import Float32Array, Float64Array, Int64Array


@dataclass(frozen=True)
class NoiseSettings:
    """What held poses sound like; see the AUG_MUTED_AUDIO parameters.

    Attributes:
        kind: which noise; None: silence.
        scale: its loudness.
        gain: limits of the factor on it that each sequence draws.
        seed: seed of all of it.
    """

    kind: NoiseKind | None
    scale: float
    gain: tuple[float, float]
    seed: int


@dataclass(frozen=True)
class AudioWindows:
    """Reads windows.

    Attributes:
        clips: the clips that numbers refer to.
        recordings: their sound.
        num_samples: length of a window.
        offset: the sample of a window at which the middle of the frame lies.
        noise: what held poses sound like.
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
        """Frames by which each clip's recording comes later than the face."""
        return np.array([clip.audio_offset for clip in self.clips], np.float64)

    def times(self, clips: Int64Array, frames: Int64Array, time_shifts: Float64Array) -> Float64Array:
        """Where the middles of frames lie in the recordings.

        Args:
            clips: of each item, `[items]`.
            frames: of the shot, `[items, length]`.
            time_shifts: in frames, `[items]`.

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
            clips: see `times`.
            frames: see `times`.
            time_shifts: see `times`; of no effect on a held pose.
            variants: which of many noises a held pose has, `[items]`.

        Returns:
            `[items, length, num_samples]`.

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
        """What the windows of each item are to be divided by where they are wanted normalised, `[items]`."""
        paths = [self.clips[clip].audio for clip in clips.tolist()]
        factors = [1.0 if path is None else self.recordings.track(path).norm_factor for path in paths]
        return np.array(factors, np.float32)

    def _noise(self, clip: int, frames: Int64Array, variant: int) -> Float64Array:
        """The noise of each frame by itself, all equally loud, `[length, num_samples]`."""
        settings, rate = self.noise, self.recordings.samplerate
        least, most = settings.gain
        gain = least + (most - least) * np.random.default_rng([settings.seed, clip, variant]).random()
        sounds = [
            noise(
                self.num_samples,
                rate,
                settings.kind,
                settings.scale * gain,
                np.random.default_rng([settings.seed, clip, variant, frame]),
            )
            for frame in frames.tolist()
        ]
        return np.stack(sounds)


_PITCH_MARGIN = (
    0.25  # seconds read on either side, two blocks of the stretcher, so that a cut sounds as the whole would
)
_SILENT_END = 0.25  # seconds of a clip beyond the end of its recording that are worth a warning


@dataclass
class Recordings:
    """Tracks by file.

    Attributes:
        samplerate: rate of all tracks, in Hz.
        method: how levels and rates are treated, see `read_track`.
        keep: whether a track that was read stays in memory.
    """

    samplerate: int
    method: Method
    keep: bool
    _tracks: dict[Path, Track] = field(default_factory=dict, repr=False)

    def track(self, path: Path) -> Track:
        """The track of a file; raises UserError where it cannot be read."""
        track = self._tracks.get(path)
        if track is None:
            track = read_track(path, self.samplerate, self.method)
            if self.keep:
                self._tracks[path] = track
        return track

    def read(self, path: Path, start: int, num_samples: int, semitones: float | None = None) -> Float32Array:
        """Reads a part of a track, float32 `[num_samples]`; zeros outside the recording.

        Args:
            path: the recording.
            start: first sample; may be negative.
            num_samples: length.
            semitones: by how much the voice is raised, its timing kept; None leaves it as it is.
        """
        track = self.track(path)
        if semitones is None:
            return track.read(start, start + num_samples)
        margin = round(_PITCH_MARGIN * self.samplerate)
        wave = track.read(start - margin, start + num_samples + margin)
        return shift_pitch(wave, self.samplerate, semitones)[margin : margin + num_samples]


def shift_pitch(wave: Float32Array, samplerate: int, semitones: float) -> Float32Array:
    """Raises the pitch of a signal, float32 `[samples]`, and keeps its timing; the same input gives the same output."""
    stretch = python_stretch.Signalsmith.Stretch()
    stretch.preset(1, float(samplerate))
    stretch.setTransposeSemitones(semitones)
    shifted: Float32Array = np.asarray(stretch.process(wave[None]), np.float32)[0]
    return shifted  # as long as `wave`, the delay of the stretcher already taken out


def check_recordings(clips: Iterable[TrainingClip]) -> None:
    """Reads the header of every recording, so that a missing one is found before training.

    Warns of short ones, and once per actor of those in a lossy format.

    Raises:
        UserError: a recording is missing or (FileFormatError) is no audio.
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
        LOGGER.warning("Recordings that end before their clip are taken for silent there: %s", listed(short))
