"""The window of audio around a frame of a clip, as a regression network hears it: speech, or the noise of a held pose.

Knows clips, frames and samples. Does not know how frames are drawn or batched.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import numpy.typing as npt

from audio2face.audio import NoiseKind, noise
from audio2face.dataset.arrays import Float32Array
from audio2face.geometry.frame_times import recorded_times
from audio2face.training.clips import Clip
from audio2face.training.recordings import Recordings

IntArray = npt.NDArray[np.int64]
FloatArray = npt.NDArray[np.float64]


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

    clips: Sequence[Clip]
    recordings: Recordings
    num_samples: int
    offset: int
    noise: NoiseSettings

    @cached_property
    def _rates(self) -> FloatArray:
        return np.array([clip.shot.fps for clip in self.clips])

    @cached_property
    def _offsets(self) -> FloatArray:
        """Frames by which each clip's recording comes later than the face."""
        return np.array([clip.audio_offset for clip in self.clips], np.float64)

    def times(self, clips: IntArray, frames: IntArray, time_shifts: FloatArray) -> FloatArray:
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

    def read(self, clips: IntArray, frames: IntArray, time_shifts: FloatArray, variants: IntArray) -> Float32Array:
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

    def norm_factors(self, clips: IntArray) -> Float32Array:
        """What the windows of each item are to be divided by where they are wanted normalised, `[items]`."""
        paths = [self.clips[clip].audio for clip in clips.tolist()]
        factors = [1.0 if path is None else self.recordings.track(path).norm_factor for path in paths]
        return np.array(factors, np.float32)

    def _noise(self, clip: int, frames: IntArray, variant: int) -> FloatArray:
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
