"""The sound of clips: tracks read when needed, kept or not, and shifted in pitch.

Knows samples and seconds of a recording. Knows nothing of segments, batches or chance.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import python_stretch.Signalsmith

from audio2face.audio import Method, Track, read_header, read_track
from audio2face.console import LOGGER
from audio2face.dataset.arrays import Float32Array
from audio2face.training.clips import Clip, listed

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


def check_recordings(clips: Iterable[Clip]) -> None:
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
