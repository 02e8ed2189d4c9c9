"""Segments of clips: which frames and which samples belong together, and how they are read.

The segment is chosen before anything is read, and its motion stays in coefficients: no pose of a clip is ever made
here. Knows clips, motion and recordings. Does not know how segments are drawn or batched.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from audio2face.audio import NoiseKind, noise
from audio2face.dataset.arrays import Float32Array
from audio2face.geometry.frame_times import MIDDLE, recorded_places
from audio2face.training.clips import Clip
from audio2face.training.motion import Motion
from audio2face.training.recordings import Recordings
from audio2face.training.sampler import Draw

_ROUNDING = 1e-6  # frames: ratios of rates such as 60 / 29.97 are not exact in floating point


@dataclass(frozen=True, eq=False)
class Segment:
    """One item.

    Attributes:
        motion: at the rate of the network.
        audio: float32 `[samples]`.
    """

    motion: Motion
    audio: Float32Array


@dataclass(frozen=True)
class SegmentReader:
    """Reads segments.

    Attributes:
        clips: the clips that draws refer to.
        motions: motion of every shot, by its id.
        recordings: sound of every clip.
        fps: frames per second of the network.
        noise_kind: what muted clips sound like.
        noise_scale: loudness of that.
    """

    clips: Sequence[Clip]
    motions: Mapping[str, Motion]
    recordings: Recordings
    fps: float
    noise_kind: NoiseKind | None
    noise_scale: float

    @property
    def clip_frames(self) -> list[int]:
        """Length of every clip in frames of the network."""
        return [num_target_frames(clip, self.fps) for clip in self.clips]

    def read(self, draw: Draw) -> Segment:
        """Reads one segment.

        Raises:
            UserError: its recording cannot be read.
        """
        clip = self.clips[draw.clip]
        positions = frame_positions(clip, self.fps, draw.start, draw.num_frames, draw.time_shift)
        return Segment(self.motions[clip.shot.id].between(positions), self._audio(clip, draw))

    def _audio(self, clip: Clip, draw: Draw) -> Float32Array:
        rate = self.recordings.samplerate
        num_samples = num_segment_samples(draw.num_frames, self.fps, rate)
        if clip.audio is None:
            rng = np.random.default_rng(draw.noise_seed)
            return noise(num_samples, rate, self.noise_kind, self.noise_scale * draw.noise_gain, rng).astype(np.float32)
        start = round((clip.audio_start + draw.time_shift / clip.shot.fps) * rate) + int(draw.start * (rate / self.fps))
        return self.recordings.read(clip.audio, start, num_samples, draw.semitones)


def num_target_frames(clip: Clip, fps: float) -> int:
    """Frames of the network that a clip fills, at least 1."""
    return max(1, int(clip.num_frames * (fps / clip.shot.fps) + _ROUNDING))


def num_segment_samples(num_frames: int, fps: float, samplerate: int) -> int:
    """Samples that so many frames of the network take."""
    return int(num_frames / fps * samplerate)


def frame_positions(
    clip: Clip, fps: float, start: int, num_frames: int, time_shift: float = 0.0
) -> npt.NDArray[np.float64]:
    """Where frames of the network lie in a shot.

    A frame stands for the middle of its time, at either rate: frame j of the clip lies at (j + 0.5) / ratio - 0.5. What
    would lie outside the clip takes the clip's nearest frame.

    Args:
        clip: the clip.
        fps: rate of the network.
        start: first frame, at that rate, from the start of the clip.
        num_frames: how many.
        time_shift: frames of the shot by which all are moved.

    Returns:
        Positions in frames of the shot, float64 `[num_frames]`.
    """
    times = (np.arange(start, start + num_frames) + MIDDLE) * (clip.shot.fps / fps)  # in frames of the shot
    frames = recorded_places(times) + time_shift
    positions: npt.NDArray[np.float64] = clip.first + np.clip(frames, 0.0, clip.num_frames - 1.0)
    return positions
