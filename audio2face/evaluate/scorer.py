"""Scores an animation of a shot against the recorded face, in blocks of consecutive frames.

Of the whole mesh sums are kept, of the lips every frame: memory grows with marked vertices times frames. All numbers
are exactly the same for any block sizes, because every frame is added by itself.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from audio2face.dataset.phoneme_times import PhonemeTime
from audio2face.errors import UserError
from audio2face.evaluate.calibrated_error import GainCurve
from audio2face.evaluate.curve_metrics import (
    lag_curve,
    opening_difference,
    opening_retention,
    pauses,
    quiet_frames,
    score_contact,
    shape_changes,
)
from audio2face.evaluate.lips import correlation
from audio2face.evaluate.metrics import METRICS
from audio2face.evaluate.regions import Regions
from audio2face.evaluate.vertex_metrics import (
    Dynamics,
    distances,
    dynamics_deviation,
    hold_time,
    jerk_ratio,
    jitter,
    lip_errors,
    speed,
    velocity_error,
    warped_distance,
)
from audio2face.types import MM_PER_CM, BoolArray, Float32Array, Float64Array, Int64Array

_STILL_SPEED = 5.0  # mm/s


@dataclass(frozen=True, eq=False, kw_only=True)
class FaceFrames:
    """Consecutive frames of one face, at the times of the recorded frames.

    Attributes:
        skin: positions of all vertices, float32 `[frames, verts, 3]`, centimetres.
        tongue: positions in the head's space, moved by the jaw, float32 `[frames, tongue verts, 3]`, centimetres; None:
            no data.
        jaw: deltas of the key points of the lower jaw, float32 `[frames, points, 3]`, centimetres; None: no data.
        eyes: rotations of right and left eye, x and y each, float32 `[frames, 4]`, degrees; None: no data.
    """

    skin: Float32Array
    tongue: Float32Array | None = None
    jaw: Float32Array | None = None
    eyes: Float32Array | None = None

    def __len__(self) -> int:
        """Number of frames."""
        return len(self.skin)


@dataclass(frozen=True, eq=False, kw_only=True)
class ShotScore:
    """The score of one animation of one shot.

    Attributes:
        values: by name of a metric (`METRICS`), those that are defined.
        opening_true_mm: recorded mouth opening above neutral, float64 `[frames]`.
        opening_mm: that of the animation, `[frames]`.
        error_mm: largest distance of a lip vertex, `[frames]`.
        lag_ms: shifts, `[lags]`; empty for a short shot.
        lag_correlation: correlation of the opening at each shift, `[lags]`.
        recorded: what the metrics without a best value, and the jitter, are for the recorded face.
        gains: what the calibrated lip error of a set of recordings needs of this one.
        lips: animated lip vertices, float32 `[frames, verts, 3]`, centimetres.
        expression: mean offset of the upper face from neutral, float64 `[verts, 3]`, centimetres.
        expression_true: that of the recorded face.
    """

    values: dict[str, float]
    opening_true_mm: Float64Array
    opening_mm: Float64Array
    error_mm: Float64Array
    lag_ms: Float64Array
    lag_correlation: Float64Array
    recorded: dict[str, float]
    gains: GainCurve
    lips: Float32Array
    expression: Float64Array
    expression_true: Float64Array


class ShotScorer:
    """Scores one animation of one shot.

    Args:
        regions: of the face.
        fps: rate of the recorded frames.
        phones: with their times, for closures.
        loudness: of each recorded frame (`frame_loudness`), float64 `[frames]`, decibels; None: not known.
    """

    def __init__(
        self,
        regions: Regions,
        fps: float,
        phones: Sequence[PhonemeTime] = (),
        loudness: Float64Array | None = None,
    ) -> None:
        self._regions, self._fps, self._phones, self._loudness = regions, fps, phones, loudness
        self._kept = np.union1d(regions.lips.vertices, regions.mouth.region.vertices)
        self._predicted, self._true = (_Face(regions, self._kept) for _ in range(2))
        self._skin = _MeanDistance()
        self._parts: dict[str, _MeanDistance] = {}

    def update(self, predicted: FaceFrames, true: FaceFrames) -> None:
        """Adds the next frames.

        Args:
            predicted: of the animation.
            true: the recorded ones, as many.

        Raises:
            ValueError: the shapes differ.
        """
        if predicted.skin.shape != true.skin.shape or predicted.skin.shape[1:] != self._regions.neutral.shape:
            raise ValueError(f"cannot compare skins of {predicted.skin.shape} and {true.skin.shape}")
        for one, other in zip(predicted.skin, true.skin, strict=True):
            self._skin.add(one, other)
            self._predicted.add(one)
            self._true.add(other)
        self._add_part("tongue_error", predicted.tongue, true.tongue)
        self._add_part("jaw_error", predicted.jaw, true.jaw)
        self._add_part("eye_error", _eyes(predicted.eyes), _eyes(true.eyes))

    def _add_part(self, name: str, predicted: Float32Array | None, true: Float32Array | None) -> None:
        if predicted is None or true is None:
            return
        part = self._parts.setdefault(name, _MeanDistance())
        for one, other in zip(predicted, true, strict=True):
            part.add(one, other)

    def finish(self) -> ShotScore:
        """The score of all frames.

        Raises:
            ValueError: there was no frame.
            UserError: a position is NaN or infinite.
        """
        if not self._skin.frames:
            raise ValueError("no frame to score")
        for name, part in {"skin": self._skin, **self._parts}.items():
            if not np.isfinite(part.mean):
                raise UserError(
                    f"the animation or the recording holds NaN or infinity ({name.removesuffix('_error')})",
                    hint="Check the recordings: python run_check.py CONFIG_NAME",
                )
        shot = self._shot()
        values = lip_errors(shot.error) | self._motion(shot) | self._opening(shot) | self._means()
        if self._regions.upper_face is not None:
            values |= dynamics_deviation(self._predicted.dynamics, self._true.dynamics)
        lags = lag_curve(shot.opening, shot.opening_true, self._fps)
        values["lip_lag"] = lags.best_ms
        return ShotScore(
            values=_defined(values),
            opening_true_mm=shot.opening_true,
            opening_mm=shot.opening,
            error_mm=shot.error,
            lag_ms=lags.lag_ms,
            lag_correlation=lags.correlation,
            recorded=_defined(self._recorded(shot)),
            gains=GainCurve.measure(shot.lips, shot.lips_true),
            lips=self._predicted.positions()[:, np.searchsorted(self._kept, self._regions.lips.vertices)],
            expression=self._predicted.expression(),
            expression_true=self._true.expression(),
        )

    def _shot(self) -> _Shot:
        at = [
            np.searchsorted(self._kept, region.vertices) for region in (self._regions.lips, self._regions.mouth.region)
        ]
        neutral = self._regions.neutral[self._kept]
        faces = (self._predicted.positions(), self._true.positions())
        scale = np.float32(MM_PER_CM)
        (lips, mouth), (lips_true, mouth_true) = (
            [scale * (face[:, part] - neutral[part]) for part in at] for face in faces
        )
        return _Shot(
            lips=lips,
            lips_true=lips_true,
            mouth=mouth,
            mouth_true=mouth_true,
            opening=self._regions.mouth.opening(mouth),
            opening_true=self._regions.mouth.opening(mouth_true),
            error=distances(lips, lips_true).max(axis=1),
        )

    def _motion(self, shot: _Shot) -> dict[str, float]:
        hold, hold_true = (hold_time(lips, self._fps) for lips in (shot.lips, shot.lips_true))
        return {
            "landmark_warped_distance": warped_distance(shot.mouth, shot.mouth_true, self._fps),
            "velocity_error": velocity_error(shot.lips, shot.lips_true, self._fps),
            "jerk_ratio": jerk_ratio(shot.lips, shot.lips_true),
            "pause_jitter": jitter(shot.lips, self._pauses(shot), self._fps),
            "viseme_hold_time": hold,
            "viseme_hold_ratio": hold / hold_true,
        }

    def _opening(self, shot: _Shot) -> dict[str, float]:
        ours, true = shot.opening, shot.opening_true
        contact = score_contact(ours, true, self._phones, self._fps)
        changes, recorded = (shape_changes(curve, self._fps) for curve in (ours, true))
        return {
            "mouth_opening_difference": opening_difference(ours, true),
            "opening_retention": opening_retention(ours, true),
            "lip_distance_correlation": correlation(ours, true),
            "loudness_correlation": self._with_loudness(ours),
            "closure_hits": contact.hits,
            "closure_contact_error": contact.error_mm,
            "closure_depth": contact.depth_mm,
            "viseme_changes": changes,
            "viseme_change_ratio": changes / recorded if recorded else np.nan,
        }

    def _recorded(self, shot: _Shot) -> dict[str, float]:
        """What describes the recorded face by itself."""
        opening = shot.opening_true
        return {
            "loudness_correlation": self._with_loudness(opening),
            "pause_jitter": jitter(shot.lips_true, self._pauses(shot), self._fps),
            "viseme_hold_time": hold_time(shot.lips_true, self._fps),
            "viseme_changes": shape_changes(opening, self._fps),
        }

    def _with_loudness(self, opening: Float64Array) -> float:
        return float("nan") if self._loudness is None else correlation(opening, self._loud_frames(opening))

    def _loud_frames(self, like: Float64Array) -> Float64Array:
        assert self._loudness is not None
        if len(self._loudness) < len(like):
            raise ValueError(f"loudness of {len(self._loudness)} frames for {len(like)} frames")
        return self._loudness[: len(like)]

    def _pauses(self, shot: _Shot) -> BoolArray:
        if self._loudness is not None:
            return pauses(quiet_frames(self._loud_frames(shot.opening)), self._fps)
        return pauses(speed(shot.lips_true, self._fps) < _STILL_SPEED, self._fps)

    def _means(self) -> dict[str, float]:
        units = {"tongue_error": MM_PER_CM, "jaw_error": MM_PER_CM, "eye_error": 1.0}
        parts = {name: units[name] * part.mean for name, part in self._parts.items()}
        return {"mean_vertex_error": MM_PER_CM * self._skin.mean} | parts


@dataclass(frozen=True, eq=False, kw_only=True)
class _Shot:
    """Offsets from neutral `[frames, verts, 3]` and curves `[frames]` of a whole shot, millimetres."""

    lips: Float32Array
    lips_true: Float32Array
    mouth: Float32Array
    mouth_true: Float32Array
    opening: Float64Array
    opening_true: Float64Array
    error: Float64Array


class _Face:
    """What is kept of one of the two faces.

    Args:
        regions: of the face.
        kept: vertices of which every frame is kept.
    """

    def __init__(self, regions: Regions, kept: Int64Array) -> None:
        self._kept = kept
        self._frames: list[Float32Array] = []
        self._upper = np.zeros(0, np.int64) if regions.upper_face is None else regions.upper_face.vertices
        self._neutral = regions.neutral[self._upper]
        self._offsets = np.empty_like(self._neutral)
        self._total = np.zeros(self._neutral.shape)
        self.dynamics = Dynamics(len(self._upper))

    def add(self, frame: Float32Array) -> None:
        """Adds one frame, `[verts, 3]`."""
        self._frames.append(frame[self._kept])
        # Into an array in the cache; "clip" leaves out a check that the regions have passed.
        np.take(frame, self._upper, axis=0, out=self._offsets, mode="clip")
        self._offsets -= self._neutral
        self._total += self._offsets
        self._offsets *= np.float32(MM_PER_CM)
        self.dynamics.add(_squares(self._offsets))

    def positions(self) -> Float32Array:
        """All frames of the kept vertices, `[frames, kept, 3]`."""
        return np.stack(self._frames)

    def expression(self) -> Float64Array:
        """Mean offset of the upper face, `[verts, 3]`."""
        return self._total / len(self._frames)


class _MeanDistance:
    """The mean distance between corresponding points of two animations."""

    def __init__(self) -> None:
        self.frames = 0
        self._total = 0.0
        self._gap: Float32Array | None = None  # kept, because new memory costs more than the sums

    def add(self, one: Float32Array, other: Float32Array) -> None:
        """Adds one frame, `[points, coordinates]`."""
        self._gap = np.subtract(one, other, out=self._gap)
        squares = _squares(self._gap)
        self._total += float(np.sqrt(squares, out=squares).sum(dtype=np.float64)) / len(squares)
        self.frames += 1

    @property
    def mean(self) -> float:
        """Over points and frames."""
        return self._total / self.frames


def _defined(values: dict[str, float]) -> dict[str, float]:
    """The values that are numbers, in the order of the table."""
    return {name: values[name] for name in METRICS if np.isfinite(values.get(name, np.nan))}


def _squares(vectors: Float32Array) -> Float32Array:
    """Squared lengths of vectors `[points, coordinates]`, which are overwritten."""
    vectors *= vectors
    first, second, *others = vectors.T
    result = np.asarray(first + second)
    for other in others:
        result += other
    return result


def _eyes(rotations: Float32Array | None) -> Float32Array | None:
    """Rotations of both eyes, `[frames, 2, 2]`."""
    return None if rotations is None else rotations.reshape(len(rotations), 2, 2)
