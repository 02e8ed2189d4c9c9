"""A linear map from viseme channels to the motion of one actor: how this actor shows what the rules say.

It is a ridge regression from channels that an encoder reads off recorded speech to the recorded motion, with a
constant for each emotion. Gains make its motion larger or smaller about the recorded mean, and `LipContact` closes the
lips where a channel says so, which a regression does by halves.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from audio2face.types import Float64Array, FloatArray

PENALTY = 0.01  # of the ridge, relative to the variance of a channel


@dataclass(frozen=True)
class MovingSpeech:
    """A stretch of recorded speech.

    Attributes:
        channels: of visemes, `[frames, channels]`.
        motion: of the face, in any unit, `[frames, values]`.
        emotion: its emotion.
    """

    channels: FloatArray
    motion: FloatArray
    emotion: str


@dataclass(frozen=True)
class VisemeMap:
    """The map: motion = mean + (channels - mean channels) x weights.

    Attributes:
        weights: `[channels, values]`.
        channels: mean of the recorded channels by emotion, `[channels]`.
        motion: mean of the recorded motion by emotion, `[values]`.
    """

    weights: Float64Array
    channels: Mapping[str, Float64Array]
    motion: Mapping[str, Float64Array]

    def __call__(self, channels: FloatArray, emotion: str, gains: float | FloatArray = 1.0) -> Float64Array:
        """Maps channels to motion, in one of the recorded emotions.

        Args:
            channels: `[frames, channels]`.
            emotion: the emotion.
            gains: factor on the distance from the recorded mean, one or `[frames]`.

        Returns:
            `[frames, values]`.
        """
        centred = channels.astype(np.float64) - self.channels[emotion]
        motion: Float64Array = (np.reshape(gains, (-1, 1)) * centred) @ self.weights + self.motion[emotion]
        return motion


def fit_viseme_map(speech: Sequence[MovingSpeech]) -> VisemeMap:
    """Fits a map by ridge regression, with channels and motion centred within each emotion.

    Args:
        speech: at least one frame.
    """
    by_emotion: dict[str, list[MovingSpeech]] = defaultdict(list)
    for one in speech:
        by_emotion[one.emotion].append(one)
    frames = sum(len(one.channels) for one in speech)
    means_in, means_out = (
        {emotion: _mean([getattr(one, name) for one in own]) for emotion, own in by_emotion.items()}
        for name in ("channels", "motion")
    )
    products = [
        (centred.T @ centred, centred.T @ (one.motion.astype(np.float64) - means_out[one.emotion]))
        for one in speech
        for centred in [one.channels.astype(np.float64) - means_in[one.emotion]]
    ]
    squares, cross = (np.sum([pair[side] for pair in products], axis=0) / frames for side in (0, 1))
    variance = np.diag(squares).copy()
    # A channel that never moves gets no weight.
    weights = np.linalg.solve(squares + np.diag(PENALTY * variance + 1e-9), cross)
    return VisemeMap(weights, means_in, means_out)


def explained_variance(fitted: VisemeMap, speech: Sequence[MovingSpeech]) -> float:
    """The share of the motion's variance within emotions that a map tells; 0 of motion that does not vary."""
    rest = sum(float(np.square(one.motion - fitted(one.channels, one.emotion)).sum()) for one in speech)
    whole = sum(float(np.square(one.motion - fitted.motion[one.emotion]).sum()) for one in speech)
    return 1 - rest / whole if whole > 0 else 0.0


def _mean(blocks: Sequence[FloatArray]) -> Float64Array:
    total: Float64Array = np.sum([block.sum(axis=0, dtype=np.float64) for block in blocks], axis=0)
    return total / sum(map(len, blocks))


@dataclass(frozen=True)
class LipContact:
    """The lips of an actor as recorded motion opens them.

    Attributes:
        opening: how far each value parts the lips, `[values]`.
        values: values that part the lips by one unit, as recorded motion does, `[values]`.
        closed: opening of closed lips, in the same unit, from the zero of the values.
    """

    opening: Float64Array
    values: Float64Array
    closed: float

    @classmethod
    def fit(cls, motion: Sequence[FloatArray], opening: Float64Array, share: float) -> LipContact:
        """Learns from recorded speech how lips part, and when they are closed.

        Args:
            motion: `[frames, values]` of each stretch.
            opening: how far each value parts the lips, `[values]`.
            share: of the frames, those in which lips count as closed.
        """
        joined = np.concatenate(motion).astype(np.float64)
        opened = joined @ opening
        apart = opened - opened.mean()
        values = (joined - joined.mean(axis=0)).T @ apart / max(float(apart @ apart), 1e-12)
        return cls(opening, values, float(np.quantile(opened, share)))

    def openings(self, opened: Float64Array, closure: FloatArray) -> Float64Array:
        """Openings `[frames]` after contact: closed where `closure [frames]` is 1, and never more than closed."""
        parted = np.maximum(opened - self.closed, 0.0)
        wanted: Float64Array = self.closed + (1 - closure.astype(np.float64)) * parted
        return wanted

    def apply(self, motion: Float64Array, closure: FloatArray) -> Float64Array:
        """Closes the lips of motion `[frames, values]` where `closure [frames]` says so."""
        opened = motion @ self.opening
        moved: Float64Array = motion + (self.openings(opened, closure) - opened)[:, None] * self.values
        return moved


def principal_direction(speech: Sequence[MovingSpeech]) -> Float64Array:
    """The direction in which motion varies most within an emotion, of unit length, `[values]`."""
    means = {
        emotion: _mean([one.motion for one in speech if one.emotion == emotion])
        for emotion in {one.emotion for one in speech}
    }
    centred = [one.motion.astype(np.float64) - means[one.emotion] for one in speech]
    covariance = np.sum([block.T @ block for block in centred], axis=0)
    direction: Float64Array = np.linalg.eigh(covariance)[1][:, -1]
    return direction


def spread(positions: Sequence[Float64Array], emotions: Sequence[str]) -> float:
    """The standard deviation of positions `[frames]` of several stretches, within each emotion."""
    by_emotion: dict[str, list[Float64Array]] = defaultdict(list)
    for position, emotion in zip(positions, emotions, strict=True):
        by_emotion[emotion].append(position)
    joined = [np.concatenate(own) for own in by_emotion.values()]
    squares = sum(float(np.square(own - own.mean()).sum()) for own in joined if len(own))
    return float(np.sqrt(squares / max(sum(map(len, joined)), 1)))
