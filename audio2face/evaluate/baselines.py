"""Baselines for trained networks: what a face does that is still, average, linear in the speech, or looked up.

Neutral and mean face ignore the speech. The ridge is linear in it (`ridge.py`). The nearest neighbour repeats recorded
faces: it moves as far as the actor does, and jitters, because each of its frames is looked up alone.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np

from audio2face.evaluate.ridge import NormalEquations, Ridge
from audio2face.types import Float32Array, Float64Array, FloatArray

NEUTRAL, MEAN_FACE, RIDGE, NEAREST = "neutral", "mean face", "ridge", "nearest neighbour"
BASELINES = (NEUTRAL, MEAN_FACE, RIDGE, NEAREST)
VISEME_RULES = "viseme rules"  # of evaluations: the face without any recording, to which nothing is fitted

NEIGHBOUR_FRAMES = 20_000  # of training that are searched, at most
_DIMENSIONS = 32  # of the features in which neighbours are near
_QUERIES = 512  # frames whose distances are in memory at a time


class Baseline(Protocol):
    """Predicts the values of a face from features of speech (`speech_features`)."""

    @property
    def name(self) -> str:
        """One of `BASELINES`."""

    def predict(self, features: FloatArray) -> Float64Array:
        """Values `[frames, values]` for features `[frames, features]`."""


def fit_baselines(
    features: Sequence[FloatArray], values: Sequence[FloatArray], neutral: FloatArray
) -> tuple[Baseline, ...]:
    """Fits all baselines to training shots, in the order of `BASELINES`.

    The values of a frame are those of all channels of the face, concatenated: coefficients of skin and tongue, deltas
    of the jaw's key points, rotations of the eyes. All baselines commute with linear maps, so that a face reconstructed
    from predicted coefficients is that of a baseline fitted to vertices, up to the error of the principal components.

    Beside the arguments, memory is needed for `NEIGHBOUR_FRAMES` values and blocks of a fixed size.

    Args:
        features: of each shot, `[frames, features]`.
        values: of each shot, `[frames, values]`.
        neutral: values of the neutral face, `[values]`.

    Raises:
        ValueError: there is no frame, or a shot has features of another number of frames than values.
    """
    equations = NormalEquations.of(features, values)
    return (
        ConstantFace(NEUTRAL, np.asarray(neutral, np.float64)),
        ConstantFace(MEAN_FACE, equations.offset),
        LinearFace(Ridge.from_equations(equations)),
        NearestFace.fit(equations, features, values),
    )


@dataclass(frozen=True, eq=False)
class ConstantFace:
    """The same face in every frame.

    Attributes:
        name: name of the baseline.
        face: its values, `[values]`.
    """

    name: str
    face: Float64Array

    def predict(self, features: FloatArray) -> Float64Array:
        """The face, `[frames, values]`, for features `[frames, features]`."""
        return np.tile(self.face, (len(features), 1))


@dataclass(frozen=True, eq=False)
class LinearFace:
    """The face that `Ridge` predicts.

    Attributes:
        ridge: the linear map.
    """

    ridge: Ridge
    name: str = RIDGE

    def predict(self, features: FloatArray) -> Float64Array:
        """Values `[frames, values]` for features `[frames, features]`."""
        return self.ridge.predict(features)


@dataclass(frozen=True, eq=False)
class NearestFace:
    """The face of the training frame with the nearest features.

    Features are standardised as for the ridge and projected onto the `_DIMENSIONS` principal components of all training
    frames; there the Euclidean distance counts. Searched are all training frames, or, of more than
    `NEIGHBOUR_FRAMES`, as many at even distances. Frames are looked up one by one, without smoothing.

    Attributes:
        centre: mean of the features, `[features]`.
        projection: onto the components, of features without their mean, `[features, components]`.
        known: projected features of the searched frames, float32 `[known frames, components]`.
        faces: their values, float32 `[known frames, values]`.
    """

    centre: Float64Array
    projection: Float64Array
    known: Float32Array
    faces: Float32Array
    name: str = NEAREST

    @classmethod
    def fit(
        cls, equations: NormalEquations, features: Sequence[FloatArray], values: Sequence[FloatArray]
    ) -> NearestFace:
        """Fits the components and keeps the searched frames.

        Args:
            equations: of the shots.
            features: of each shot, `[frames, features]`.
            values: of each shot, `[frames, values]`.
        """
        from scipy.linalg import eigh  # loads slowly, and animating needs none

        width = len(equations.gram)
        components = eigh(equations.gram, subset_by_index=(max(0, width - _DIMENSIONS), width - 1))[1]
        projection = components / equations.spread[:, None]
        count = min(equations.frames, NEIGHBOUR_FRAMES)
        rows = np.arange(count) * equations.frames // count
        starts = np.cumsum([0, *(len(shot) for shot in values)])
        known, faces = [], []
        for start, shot_features, shot_values in zip(starts[:-1], features, values, strict=True):
            own = rows[(rows >= start) & (rows < start + len(shot_values))] - start
            known.append(((shot_features[own] - equations.centre) @ projection).astype(np.float32))
            faces.append(np.asarray(shot_values[own], np.float32))
        return cls(equations.centre, projection, np.concatenate(known), np.concatenate(faces))

    def predict(self, features: FloatArray) -> Float64Array:
        """Values `[frames, values]` for features `[frames, features]`; of frames equally near, those of the first."""
        lengths = np.square(self.known).sum(axis=1)
        nearest = []
        for start in range(0, len(features), _QUERIES):
            queries = ((features[start : start + _QUERIES] - self.centre) @ self.projection).astype(np.float32)
            nearest.append((lengths - 2 * (queries @ self.known.T)).argmin(axis=1))  # without the query's own length
        return self.faces[np.concatenate(nearest)].astype(np.float64) if nearest else np.empty((0, self.faces.shape[1]))
