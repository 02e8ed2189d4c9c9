"""Baselines that animate a face: fitted to the training shots of a run, they predict what its network predicts."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from audio2face.animation import attach_to_jaw, rigid_transforms
from audio2face.audio import Resampler, Track, read_track
from audio2face.evaluate.baselines import Baseline, fit_baselines
from audio2face.evaluate.ridge import speech_features
from audio2face.evaluate.scorer import FaceFrames
from audio2face.evaluator.faces import jaw_deltas
from audio2face.evaluator.shots import BLOCK_FRAMES, EvaluationShot
from audio2face.geometry.pca import dual_components
from audio2face.preproc.network_data import PcaComponents
from audio2face.types import Float32Array, Float64Array

SAMPLERATE = 16_000  # of the speech that features are computed from
_MARGIN_STEPS = 30  # of 10 ms: more than the features reach


@dataclass(frozen=True, eq=False, kw_only=True)
class TrainingShot:
    """What a baseline learns from: speech features and the values of the face, at the recorded frames.

    Attributes:
        features: `[frames, features]`.
        values: coefficients of skin and tongue, deltas of jaw key points, rotations of the eyes, `[frames, values]`.
    """

    features: Float32Array
    values: Float32Array


@dataclass(frozen=True, eq=False, kw_only=True)
class FaceShape:
    """How values become a face.

    Attributes:
        skin: components of the skin.
        tongue: components of the tongue, in the space of the jaw; None for an actor without a tongue.
        jaw: neutral key points of the lower jaw, float32 `[points, 3]`, centimetres.
        eye_angles: number of values of the eyes.
        tongue_to_jaw: transform of the tongue relative to the jaw; None: the tongue does not move with it.
    """

    skin: PcaComponents
    tongue: PcaComponents | None
    jaw: Float32Array
    eye_angles: int
    tongue_to_jaw: Float32Array | None

    @property
    def sizes(self) -> tuple[int, int, int, int]:
        """Number of values of skin, tongue, jaw and eyes."""
        tongue = 0 if self.tongue is None else len(self.tongue.matrix)
        return len(self.skin.matrix), tongue, self.jaw.size, self.eye_angles

    def frames(self, values: Float64Array) -> FaceFrames:
        """The face of values `[frames, values]`."""
        skin, tongue, jaw, eyes = np.split(values.astype(np.float32), np.cumsum(self.sizes[:-1]), axis=1)
        transforms = rigid_transforms(self.jaw, self.jaw + jaw.reshape(len(jaw), *self.jaw.shape))
        return FaceFrames(
            skin=reconstruct(self.skin, skin),
            tongue=None if self.tongue is None else self._tongue(reconstruct(self.tongue, tongue), transforms),
            jaw=jaw_deltas(self.jaw, transforms),
            eyes=eyes if self.eye_angles else None,
        )

    def _tongue(self, positions: Float32Array, jaw: Float32Array) -> Float32Array:
        return positions if self.tongue_to_jaw is None else attach_to_jaw(positions, jaw, self.tongue_to_jaw)


def reconstruct(components: PcaComponents, coefficients: Float32Array) -> Float32Array:
    """Positions `[frames, verts, 3]` from coefficients `[frames, components]`."""
    flat = coefficients @ components.matrix.reshape(len(components.matrix), -1)
    return np.asarray(flat.reshape(len(flat), *components.mean.shape) + components.mean, np.float32)


@dataclass(frozen=True, eq=False)
class BaselineFaces:
    """All baselines of one actor.

    Attributes:
        shape: how values become a face.
        baselines: fitted.
        resampler: filter for recordings of other rates.
    """

    shape: FaceShape
    baselines: tuple[Baseline, ...]
    resampler: Resampler = "soxr"

    @classmethod
    def fit(
        cls, shots: Sequence[TrainingShot], neutral: Float64Array, shape: FaceShape, resampler: Resampler
    ) -> BaselineFaces:
        """Fits the baselines to training shots.

        Args:
            shots: the training shots.
            neutral: values of the neutral face, `[values]`.
            shape: how values become a face.
            resampler: filter for recordings of other rates.
        """
        features, values = [shot.features for shot in shots], [shot.values for shot in shots]
        return cls(shape, fit_baselines(features, values, neutral), resampler)

    @property
    def names(self) -> tuple[str, ...]:
        """Names of the baselines."""
        return tuple(each.name for each in self.baselines)

    def animate(self, shot: EvaluationShot) -> dict[str, Iterator[FaceFrames]]:
        """The shot's animation by each baseline, in blocks of `BLOCK_FRAMES` at the recorded frames."""
        features = features_of(shot.audio, shot.audio_start, shot.num_frames, shot.fps, self.resampler)
        return {each.name: self._blocks(each.predict(features)) for each in self.baselines}

    def _blocks(self, values: Float64Array) -> Iterator[FaceFrames]:
        for start in range(0, len(values), BLOCK_FRAMES):
            yield self.shape.frames(values[start : start + BLOCK_FRAMES])


def features_of(audio: Path, audio_start: float, num_frames: int, fps: float, resampler: Resampler) -> Float64Array:
    """Speech features of a part of a recording at the recorded frames, `[frames, features]`.

    Args:
        audio: the recording.
        audio_start: time of the first frame in it, in seconds.
        num_frames: number of frames.
        fps: frames per second.
        resampler: filter for recordings of other rates.
    """
    track = read_track(audio, SAMPLERATE, resampler=resampler)
    # Whole steps of the analysis before and after the part: its features are those of the whole recording.
    lead = _MARGIN_STEPS * SAMPLERATE // 100
    begin = round(audio_start * SAMPLERATE)
    part = Track(track.read(begin - lead, begin + round(num_frames / fps * SAMPLERATE) + lead), SAMPLERATE)
    return speech_features(part, num_frames, fps, _MARGIN_STEPS / 100 * fps)


def neutral_values(shape: FaceShape, neutral_skin: Float32Array, neutral_tongue: Float32Array | None) -> Float64Array:
    """The values of the neutral face: projected onto the components, `[values]`."""
    parts = [project(shape.skin, neutral_skin)]
    if shape.tongue is not None:
        parts.append(project(shape.tongue, shape.tongue.mean if neutral_tongue is None else neutral_tongue))
    return np.concatenate([*parts, np.zeros(shape.jaw.size + shape.eye_angles)])


def project(components: PcaComponents, points: Float32Array) -> Float64Array:
    """Coefficients of a pose `[verts, 3]`, `[components]`."""
    rows = dual_components(components.matrix.reshape(len(components.matrix), -1))
    return np.asarray(rows @ (points - components.mean).reshape(-1), np.float64)
