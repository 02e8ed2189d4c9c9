"""Calibrates animation parameters of an actor on held-out clips, where the recordings determine them.

Every parameter has a neutral value first, with its source. Each part of the face is fitted separately: the half with
the mouth (strength, smoothing, offset of the lips), the other half, lower teeth, tongue and eyes (strength and constant
offsets). `evaluate.amplitude` describes the method, and when a value stays neutral.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal

import numpy as np

from audio2face.animation import AnimatorSettings, FaceAnimator, stated_parameters
from audio2face.animation.skin import face_mask
from audio2face.deploy.held_out_motion import ClipMotion, HeldOutMotion, PartMotion
from audio2face.evaluate.amplitude import (
    Adjustment,
    AmplitudeProblem,
    ClipPoints,
    Fit,
    OffsetPose,
    SearchRange,
    principal_weights,
)
from audio2face.evaluate.lips import resample_frames
from audio2face.types import Float64Array, Int64Array

Source = Literal["configuration", "calibrated", "neutral", "default"]

# Values without effect on network output. Mask and saccade seed have no such value.
NEUTRAL: Mapping[str, float] = {
    "input_strength": 1.0,
    "upper_face_smoothing": 0.0,
    "lower_face_smoothing": 0.0,
    "upper_face_strength": 1.0,
    "lower_face_strength": 1.0,
    "skin_strength": 1.0,
    "blink_strength": 1.0,
    "lower_teeth_strength": 1.0,
    "lower_teeth_height_offset": 0.0,
    "lower_teeth_depth_offset": 0.0,
    "lip_open_offset": 0.0,
    "tongue_strength": 1.0,
    "tongue_height_offset": 0.0,
    "tongue_depth_offset": 0.0,
    "eyeballs_strength": 1.0,
    "saccade_strength": 1.0,
    "right_eye_rot_x_offset": 0.0,
    "right_eye_rot_y_offset": 0.0,
    "left_eye_rot_x_offset": 0.0,
    "left_eye_rot_y_offset": 0.0,
    "eyelid_open_offset": 0.0,
}
Half = Literal["lower", "upper"]
_STRENGTHS = (0.7, 1.5)
_OFFSETS = (-0.1, 0.1)  # of the open-lips pose
_SMOOTHINGS = (0.0, 0.005, 0.01, 0.015, 0.02, 0.03)  # seconds
_MIN_CM, _MIN_DEGREES = 0.01, 0.3  # standard deviation of a curve: less counts as no motion
_MIN_CORRELATION = 0.5
_MIN_POSE_CM = 0.02  # smallest opening of a usable lip-open pose
_MAX_POINTS = 64  # of the tongue
_CERTAIN = 2.0  # standard errors between a constant offset and 0
_CONSTANT_OFFSETS = {
    "tongue": (("tongue_height_offset", 1, 0.3, 0.01), ("tongue_depth_offset", 2, 0.3, 0.01)),
    "jaw": (("lower_teeth_height_offset", 1, 0.3, 0.01), ("lower_teeth_depth_offset", 2, 0.3, 0.01)),
}
_EYE_OFFSETS = ("right_eye_rot_x_offset", "right_eye_rot_y_offset", "left_eye_rot_x_offset", "left_eye_rot_y_offset")


@dataclass(frozen=True)
class PostProcessing:
    """Settings of post-processing in a configuration.

    Attributes:
        parameters: CONFIG, merged with the defaults.
        own: names of the entries of CONFIG in the user's file; calibration does not change them.
        calibrate: CALIBRATE_POST_PROCESSING; False uses `parameters` unchanged.
    """

    parameters: Mapping[str, Any]
    own: Collection[str] = ()
    calibrate: bool = False

    def start(self) -> dict[str, Choice]:
        """The parameters before calibration: the user's, and neutral values instead of defaults."""
        return {name: self._choice(name, self.parameters[name]) for name in stated_parameters(self.parameters)}

    def _choice(self, name: str, value: Any) -> Choice:
        if name in self.own:
            return Choice(value, "configuration")
        if self.calibrate and name in NEUTRAL:
            return Choice(NEUTRAL[name], "neutral")
        return Choice(value, "default")


@dataclass(frozen=True)
class Choice:
    """The value of one parameter.

    Attributes:
        value: the value.
        source: origin of the value.
        reason: why calibration kept it neutral; empty otherwise.
    """

    value: Any
    source: Source
    reason: str = ""


def values_of(choices: Mapping[str, Choice]) -> dict[str, Any]:
    """The values by name."""
    return {name: choice.value for name, choice in choices.items()}


@dataclass(frozen=True, eq=False)
class Mouth:
    """Vertices at which opening and error of the mouth are measured.

    Attributes:
        half: the half of the face that they belong to.
        vertices: indices among the kept vertices, `[vertices]`.
        weights: of the opening curve, `[vertices, 3]`.
        has_lips: whether they are listed lip vertices, or else those that move most.
    """

    half: Half
    vertices: Int64Array
    weights: Float64Array
    has_lips: bool

    @classmethod
    def from_motion(cls, motion: HeldOutMotion, parameters: Mapping[str, Any]) -> Mouth | None:
        """The mouth of an actor; None without lip vertices and without motion."""
        marked = motion.marked
        if marked.lips is not None:
            pairs = marked.lips.shape[1]
            weights = np.zeros((2 * pairs, 3))
            weights[:, 1] = np.repeat([1 / pairs, -1 / pairs], pairs)
            mask = face_mask(motion.face.skin, parameters["face_mask_level"], parameters["face_mask_softness"])
            vertices = marked.lips.reshape(-1)
            return cls("lower" if mask[vertices].mean() >= 0.5 else "upper", vertices, weights, True)
        half: Half = "lower" if len(marked.lower) else "upper"
        vertices = marked.lower if len(marked.lower) else marked.upper
        if not len(vertices):
            return None
        weights = principal_weights([true_skin(motion, clip, vertices) for clip in motion.clips])
        return cls(half, vertices, weights, False)


def calibrate(motion: HeldOutMotion, start: Mapping[str, Choice]) -> dict[str, Choice]:
    """Calibrates the parameters that are neutral so far.

    Args:
        motion: the held-out clips.
        start: initial parameters, from `PostProcessing.start`.

    Returns:
        All parameters.
    """
    return _Calibration(motion, dict(start)).run()


def true_skin(motion: HeldOutMotion, clip: ClipMotion, vertices: Int64Array) -> Float64Array:
    """Recorded positions of kept vertices, `[recorded frames, vertices, 3]`, centimetres."""
    return (motion.face.skin[vertices] + clip.true.skin[:, vertices]).astype(np.float64)


def finished_skin(
    motion: HeldOutMotion, clip: ClipMotion, vertices: Int64Array, parameters: Mapping[str, Any]
) -> Float64Array:
    """Positions of kept vertices in the finished animation, at the recorded frames.

    Args:
        motion: the face.
        clip: the clip.
        vertices: indices among the kept vertices.
        parameters: of post-processing.

    Returns:
        `[recorded frames, vertices, 3]`, centimetres.
    """
    animate = FaceAnimator(motion.face, AnimatorSettings.from_parameters(parameters), clip.network_fps)
    return at_recorded_frames(clip, animate.skin(clip.predicted.skin)[:, vertices])


def at_recorded_frames(clip: ClipMotion, values: np.ndarray[Any, Any]) -> Float64Array:
    """Resamples values at the network's frames, `[frames, ...]`, to the recorded frames."""
    resampled = resample_frames(values, clip.network_fps, clip.clip.num_frames, clip.clip.fps)
    return np.asarray(resampled, np.float64)


class _Calibration:
    def __init__(self, motion: HeldOutMotion, choices: dict[str, Choice]) -> None:
        self._motion, self._choices = motion, choices

    def run(self) -> dict[str, Choice]:
        mouth = Mouth.from_motion(self._motion, values_of(self._choices))
        if mouth is not None:
            self._fit_half(mouth.half, mouth)
            other: Half = "upper" if mouth.half == "lower" else "lower"
            self._fit_half(other, self._moving_half(other))
        self._fit_part("lower_teeth_strength", "jaw", lambda part: part.jaw, self._motion.face.jaw)
        self._fit_part("tongue_strength", "tongue", lambda part: part.tongue, self._motion.face.tongue)
        self._fit_eyes()
        return self._choices

    # --- skin --------------------------------------------------------------------------------------------------------

    def _moving_half(self, half: Half) -> Mouth | None:
        vertices = self._motion.marked.lower if half == "lower" else self._motion.marked.upper
        if not len(vertices):
            return None
        true = [true_skin(self._motion, clip, vertices) for clip in self._motion.clips]
        return Mouth(half, vertices, principal_weights(true), False)

    def _fit_half(self, half: Half, marked: Mouth | None) -> None:
        strength, smoothing = f"{half}_face_strength", f"{half}_face_smoothing"
        names = [strength, smoothing, *(["lip_open_offset"] if marked is not None and marked.has_lips else [])]
        free = [name for name in names if self._is_free(name)]
        if not free:
            return
        if marked is None:
            self._keep_neutral(free, "it does not move on the held-out shots")
            return
        pose = self._lip_pose(marked, strength) if "lip_open_offset" in free else None
        if pose is None and "lip_open_offset" in free:
            free.remove("lip_open_offset")
            self._keep_neutral(["lip_open_offset"], "the actor has no pose that opens the lips")
        given = self._choices[strength].value
        fit = AmplitudeProblem(
            clips={
                option: self._skin_clips(marked, strength, smoothing, option) for option in self._options(smoothing)
            },
            weights=marked.weights,
            search=SearchRange(_STRENGTHS if strength in free else (given, given), _OFFSETS if pose else (0.0, 0.0)),
            neutral=Adjustment(given, 0.0, self._choices[smoothing].value),
            min_spread=_MIN_CM,
            min_correlation=_MIN_CORRELATION,
            pose=pose,
        ).fit()
        found = fit.adjustment
        self._set(free, {strength: found.strength, smoothing: found.smoothing, "lip_open_offset": found.offset}, fit)

    def _options(self, smoothing: str) -> Sequence[float]:
        return _SMOOTHINGS if self._is_free(smoothing) else (self._choices[smoothing].value,)

    def _skin_clips(self, marked: Mouth, strength: str, smoothing: str, half_life: float) -> list[ClipPoints]:
        clips = []
        for clip in self._motion.clips:
            none, whole = (
                finished_skin(
                    self._motion, clip, marked.vertices, self._changed({strength: gain, smoothing: half_life})
                )
                for gain in (0.0, 1.0)
            )
            true = true_skin(self._motion, clip, marked.vertices)
            clips.append(ClipPoints(none, whole - none, true, clip.clip.fps))
        return clips

    def _lip_pose(self, mouth: Mouth, strength: str) -> OffsetPose | None:
        """Effect of `lip_open_offset` on the lip vertices; None if it does not open the lips."""
        still = np.zeros((1, self._motion.face.skin_values), np.float32)
        most = _OFFSETS[1]

        def added(gain: float) -> Float64Array:
            shut, parted = (
                FaceAnimator(
                    self._motion.face,
                    AnimatorSettings.from_parameters(self._changed({strength: gain, "lip_open_offset": offset})),
                    1,
                ).skin(still)[0, mouth.vertices]
                for offset in (0.0, most)
            )
            return np.asarray(parted - shut, np.float64) / most

        fixed = added(0.0)
        pose = OffsetPose(fixed, added(1.0) - fixed)
        opening = float((mouth.weights * (pose.fixed + pose.moving)).sum())
        return pose if abs(opening) >= _MIN_POSE_CM else None

    def _changed(self, changes: Mapping[str, float]) -> dict[str, Any]:
        return {**values_of(self._choices), **changes}

    # --- other parts -------------------------------------------------------------------------------------------------

    def _fit_part(
        self,
        strength: str,
        part: Literal["jaw", "tongue"],
        take: Callable[[PartMotion], np.ndarray[Any, Any] | None],
        rest: np.ndarray[Any, Any],
    ) -> None:
        offsets = _CONSTANT_OFFSETS[part]
        known = [clip for clip in self._motion.clips if take(clip.true) is not None]
        if not known:
            self._keep_neutral([strength, *(name for name, *_ in offsets)], "the held-out shots have no data of it")
            return
        true = [np.asarray(take(clip.true), np.float64) for clip in known]
        made = [at_recorded_frames(clip, np.asarray(take(clip.predicted))) for clip in known]
        spread = np.concatenate(true).std(axis=0).sum(axis=1)
        kept = np.sort(np.argsort(-spread, kind="stable")[:_MAX_POINTS])
        clips = [
            ClipPoints(
                np.broadcast_to(rest[kept], moved[:, kept].shape).astype(np.float64),
                moved[:, kept],
                rest[kept] + recorded[:, kept],
                clip.clip.fps,
            )
            for clip, moved, recorded in zip(known, made, true, strict=True)
        ]
        fit = self._fit_strength(strength, clips, _MIN_CM)
        gain = self._choices[strength].value
        for name, axis, most, least in offsets:
            means = [float((clip.true - clip.fixed - gain * clip.moving)[..., axis].mean()) for clip in clips]
            self._set_constant(name, means, most, least, fit)

    def _fit_eyes(self) -> None:
        names = ["eyeballs_strength", *_EYE_OFFSETS]
        known = [clip for clip in self._motion.clips if clip.true.eyes is not None and clip.true.eyes.any()]
        if not known:
            self._keep_neutral(names, "the held-out shots have no data of it")
            return
        clips = []
        for clip in known:
            true = np.asarray(clip.true.eyes, np.float64)[..., None]
            made = at_recorded_frames(clip, np.asarray(clip.predicted.eyes))[..., None]
            clips.append(ClipPoints(np.zeros_like(true), made, true, clip.clip.fps))
        fit = self._fit_strength("eyeballs_strength", clips, _MIN_DEGREES)
        gain = self._choices["eyeballs_strength"].value
        for index, name in enumerate(_EYE_OFFSETS):
            means = [float((clip.true - gain * clip.moving)[:, index].mean()) for clip in clips]
            self._set_constant(name, means, 3.0, 0.1, fit)

    def _fit_strength(self, name: str, clips: Sequence[ClipPoints], min_spread: float) -> Fit:
        given = self._choices[name].value
        fit = AmplitudeProblem(
            clips={0.0: clips},
            weights=principal_weights([clip.true for clip in clips]),
            search=SearchRange(_STRENGTHS if self._is_free(name) else (given, given)),
            neutral=Adjustment(given),
            min_spread=min_spread,
            min_correlation=_MIN_CORRELATION,
        ).fit()
        if self._is_free(name):
            self._set([name], {name: fit.adjustment.strength}, fit)
        return fit

    def _set_constant(self, name: str, means: Sequence[float], most: float, least: float, fit: Fit) -> None:
        """Sets a constant offset from the mean errors of clips, if all of them agree in sign."""
        if not self._is_free(name):
            return
        if fit.reason:
            self._keep_neutral([name], fit.reason)
            return
        mean = float(np.mean(means))
        uncertain = float(np.std(means, ddof=1)) / np.sqrt(len(means)) if len(means) > 1 else float("inf")
        if abs(mean) < max(least, _CERTAIN * uncertain):
            self._keep_neutral([name], "the held-out shots do not agree on another value")
            return
        drawn = mean * mean**2 / (mean**2 + uncertain**2)
        self._choices[name] = Choice(round(float(np.clip(drawn, -most, most)), 3), "calibrated")

    # --- choices -----------------------------------------------------------------------------------------------------

    def _is_free(self, name: str) -> bool:
        return self._choices[name].source == "neutral"

    def _set(self, names: Sequence[str], values: Mapping[str, float], fit: Fit) -> None:
        if fit.reason:
            self._keep_neutral(names, fit.reason)
            return
        for name in names:
            self._choices[name] = Choice(values[name], "calibrated")

    def _keep_neutral(self, names: Sequence[str], reason: str) -> None:
        for name in names:
            if self._is_free(name):
                self._choices[name] = replace(self._choices[name], value=NEUTRAL[name], reason=reason)
