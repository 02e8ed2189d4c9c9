"""Checks the skin's motion over time: that it moves during speech, and that it is stored with enough precision.

The sweep feeds a trace of each shot with its blocks of frames. A trace keeps a few numbers per frame.

The rigid motion of the head is fitted by iteratively re-weighted Kabsch alignments of points: points far off the
current fit (a moving jaw, lips, lids) lose weight, so that the rigid part of the head determines the fit.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np

from audio2face.dataset.actor import ActorDataset
from audio2face.dataset.checks.relation import SoundFeatures
from audio2face.dataset.checks.report import Findings, first_few
from audio2face.geometry import PointCache
from audio2face.types import Float32Array, Int64Array

SKETCH_SIZE = 16  # numbers per frame that represent the positions of all sampled points
_SKETCH_SEED = 20_240_117
_MOST_LIP_POINTS = 60
_PRECISION_FRAMES = 64
_STILL_STEP = 1e-5  # cm between frames: a repeated frame
_STILL_SECONDS = 1.0
_SPEECH_SECONDS = 0.6  # of speech during frames without motion
_STILL_SPAN = 0.02  # cm: a shot in which no point moves further is static except for noise
_STILL_SHARE = 0.03  # of the typical motion of the other shots
_COARSE_STEP = 0.01  # cm
_MOST_MOVING = 40  # coordinates that are tested for a step
_FEWEST_LEVELS = 6
_FAR_CM = 0.5
_FAR_RATIO = 2.0  # distance of the neutral pose from the nearest frame, relative to the reach of the motion
_EVALUATE = (
    "Let the animation package evaluate the deformation (bake or cache the rig) before the caches are written, and "
    "export the shot once more."
)


@dataclass
class MotionTrace:
    """What is kept of one shot's skin, frame by frame.

    Attributes:
        cache: the frames.
        points: sampled vertices `[points]`.
        num_frames: frames of the shot; those that were damaged stay NaN.
    """

    cache: PointCache
    points: Int64Array
    num_frames: int = field(init=False)
    sketch: Float32Array = field(init=False)
    steps: Float32Array = field(init=False)
    nearest: float = field(init=False, default=float("inf"))
    _rest: Float32Array | None = field(init=False, default=None)
    _low: Float32Array | None = field(init=False, default=None)
    _high: Float32Array | None = field(init=False, default=None)
    _last: tuple[int, Float32Array] | None = field(init=False, default=None)
    _examples: list[Float32Array] = field(init=False, default_factory=list)

    def __post_init__(self) -> None:
        """Allocates memory for every frame."""
        self.num_frames = self.cache.num_frames
        self.sketch = np.full((self.num_frames, SKETCH_SIZE), np.nan, np.float32)
        self.steps = np.full(self.num_frames, np.nan, np.float32)

    @classmethod
    def start(cls, cache: PointCache, lips: Int64Array | None) -> MotionTrace:
        """Samples vertices all over the mesh, and those of the lips if they are listed."""
        points = sample_points(cache.num_verts)
        if lips is not None:
            points = np.union1d(points, lips[lips < cache.num_verts][:_MOST_LIP_POINTS])
        return cls(cache, points)

    def feed(self, block: Float32Array, frames: Int64Array, rest: Float32Array) -> None:
        """Adds finite frames `[frames, verts, 3]` with these numbers `[frames]`; `rest` is `[verts, 3]`."""
        flat = block[:, self.points].reshape(len(block), -1)
        if self._rest is None:
            self._rest = rest[self.points].reshape(-1)
            self._low = self._high = flat[0]
        assert self._low is not None
        assert self._high is not None
        spread = max(1, self.num_frames // _PRECISION_FRAMES)
        self._examples.append(flat[frames % spread == 0])
        deltas = flat - self._rest
        self.sketch[frames] = deltas @ _sketch_matrix(deltas.shape[1])
        self.nearest = min(self.nearest, float(np.sqrt(3 * np.square(deltas).mean(axis=1)).min()))
        self._low, self._high = np.minimum(self._low, flat.min(axis=0)), np.maximum(self._high, flat.max(axis=0))
        self.steps[frames[1:]] = np.abs(np.diff(flat, axis=0)).max(axis=1)
        if self._last is not None and self._last[0] == frames[0] - 1:
            self.steps[frames[0]] = np.abs(flat[0] - self._last[1]).max()
        self._last = int(frames[-1]), flat[-1].copy()

    @property
    def span(self) -> float:
        """Largest range of a point's motion along one axis, cm; 0 without a frame."""
        return 0.0 if self._low is None or self._high is None else float((self._high - self._low).max())

    @property
    def reach(self) -> float:
        """Root mean square of the points' ranges, cm."""
        if self._low is None or self._high is None:
            return 0.0
        return float(np.sqrt(3 * np.square(self._high - self._low).mean()))

    def stored_step(self) -> float | None:
        """Resolution of the cache's values at the position of the face, cm; None if it is fine enough.

        It follows from a coarse number type; values that were rounded before are detected by frames in which all
        moving coordinates are multiples of one step.
        """
        frames = np.concatenate(self._examples) if self._examples else np.zeros((0, 3), np.float32)
        if not len(frames):
            return None
        spacing = float(np.spacing(np.abs(frames).max().astype(self.cache.dtype)))
        if spacing > _COARSE_STEP:
            return spacing
        found = [_step_of(frames[:, axis::3]) for axis in range(3)]
        return max((step for step in found if step is not None), default=None)

    def still_runs(self, fps: float) -> list[tuple[int, int]]:
        """Returns ranges of frames, first and after the last, of a second or more without motion."""
        still = np.concatenate([[False], self.steps <= _STILL_STEP, [False]])  # NaN is not still
        edges = np.flatnonzero(np.diff(still.astype(np.int8)))
        runs = [(int(first) - 1, int(last)) for first, last in zip(edges[::2], edges[1::2], strict=True)]
        return [run for run in runs if run[1] - run[0] >= _STILL_SECONDS * fps]


def _sketch_matrix(values: int) -> Float32Array:
    """Returns a fixed random projection `[values, SKETCH_SIZE]`, which approximately preserves distances."""
    random = np.random.default_rng((_SKETCH_SEED, values))
    matrix: Float32Array = random.standard_normal((values, SKETCH_SIZE), np.float32) / np.float32(SKETCH_SIZE**0.5)
    return matrix


def _step_of(values: Float32Array) -> float | None:
    """Returns the step of which all values `[frames, coordinates]` of moving points are multiples, if it is coarse."""
    moving = values.T[np.ptp(values, axis=0) > _COARSE_STEP][:_MOST_MOVING]
    levels = np.unique(moving.astype(np.float64))
    if len(levels) < _FEWEST_LEVELS:
        return None
    step = float(np.diff(levels).min())
    ratios = levels / step  # of the values themselves: an even motion has equal differences as well
    return step if step > _COARSE_STEP * 1.01 and np.abs(ratios - np.rint(ratios)).max() < 0.05 else None


def check_motion(
    dataset: ActorDataset,
    traces: Mapping[str, MotionTrace],
    sounds: Mapping[str, SoundFeatures],
    findings: Findings,
    *,
    neutral: bool = True,
) -> None:
    """Reports shots that are static during speech, coarse numbers, and a neutral pose far from all frames.

    Args:
        dataset: the actor.
        traces: the motion of each shot.
        sounds: the sound of each shot.
        findings: receives the findings.
        neutral: whether to compare the neutral pose; False if it was reported already.
    """
    still = _check_still(dataset, traces, sounds, findings)
    _check_precision(dataset, traces, findings)
    if neutral:
        _check_neutral(dataset, {name: trace for name, trace in traces.items() if name not in still}, findings)


def _check_still(
    dataset: ActorDataset, traces: Mapping[str, MotionTrace], sounds: Mapping[str, SoundFeatures], findings: Findings
) -> set[str]:
    reaches = [trace.reach for trace in traces.values()]
    usual = float(np.median(reaches)) if reaches else 0.0
    still = {
        name
        for name, trace in traces.items()
        if name in sounds
        and sounds[name].speech_seconds(0, trace.num_frames / dataset.fps) >= _SPEECH_SECONDS
        and (trace.span < _STILL_SPAN or trace.reach < _STILL_SHARE * usual)
    }
    if len(still) == len(traces) and still:
        findings.error(
            "motion-still",
            f"no shot moves: over all frames no vertex goes further than {max(t.span for t in traces.values()):.2g} cm",
            _EVALUATE,
            file=dataset.paths["SKIN_CACHE_ROOT"],
        )
        return still
    for name, trace in traces.items():
        if name in still:
            findings.error(
                "motion-still",
                f"stands still: no vertex goes further than {trace.span:.2g} cm in {trace.num_frames} frames, while "
                "somebody speaks",
                _EVALUATE,
                file=trace.cache.path,
                shot=name,
            )
        elif name in sounds:
            _check_runs(name, trace, sounds[name], dataset.fps, findings)
    return still


def _check_runs(name: str, trace: MotionTrace, sound: SoundFeatures, fps: float, findings: Findings) -> None:
    for first, last in trace.still_runs(fps):
        speech = sound.speech_seconds(first / fps, last / fps)
        if speech >= _SPEECH_SECONDS:
            findings.error(
                "motion-still",
                f"stands still from frame {first} to {last - 1} of {trace.num_frames}, with {speech:.1f} s of speech "
                "beside it",
                _EVALUATE,
                file=trace.cache.path,
                shot=name,
                frame=first,
            )
            return


def _check_precision(dataset: ActorDataset, traces: Mapping[str, MotionTrace], findings: Findings) -> None:
    coarse = {name: step for name, trace in traces.items() if (step := trace.stored_step()) is not None}
    if not coarse:
        return
    worst = max(coarse, key=lambda name: coarse[name])
    findings.error(
        "motion-coarse",
        f"positions are stored in steps of {10 * coarse[worst]:.2g} mm where the face is, as "
        f"{traces[worst].cache.dtype}: in {first_few(coarse)}",
        "Export float32 without rounding, with the head near the origin: steps should stay below 0.1 mm.",
        file=traces[worst].cache.path,
        shot=worst if len(coarse) == 1 else None,
    )


def _check_neutral(dataset: ActorDataset, traces: Mapping[str, MotionTrace], findings: Findings) -> None:
    path = dataset.paths.get("SKIN_NEUTRAL_FPATH")
    moving = [trace for trace in traces.values() if np.isfinite(trace.nearest)]
    if path is None or not moving:
        return
    nearest, reach = min(trace.nearest for trace in moving), max(trace.reach for trace in moving)
    if nearest > max(_FAR_CM, _FAR_RATIO * reach):
        findings.warning(
            "neutral-far",
            f"no frame comes nearer to the neutral pose than {nearest:.2f} cm on average over the face, while the "
            f"frames differ by {reach:.2f} cm among themselves",
            "Export the neutral pose from the rig and the place that the caches were exported from.",
            file=path,
        )


MAX_POINTS = 200  # a sample of this size determines the motion to a fraction of a millimetre
_ROUNDS = 10
_SMALLEST_SCALE = 0.02  # cm; smaller differences are noise, and weights of a perfect fit stay defined
_CERTAIN = 3.0  # standard errors: the significance level against independent motion of the points


@dataclass(frozen=True)
class HeadMotion:
    """Rigid part of the motion of a set of points, per frame.

    Attributes:
        size: root mean square displacement of the points by it, in their unit, `[frames]`.
        angle: rotation in degrees, `[frames]`.
        by_chance: size that independent motion of the points can imitate, `[frames]`.
    """

    size: Float32Array
    angle: Float32Array
    by_chance: Float32Array


def sample_points(num_verts: int) -> Int64Array:
    """Returns vertices spread evenly over the list of vertices, at most `MAX_POINTS`."""
    return np.unique(np.linspace(0, num_verts - 1, min(num_verts, MAX_POINTS)).astype(np.int64))


def rigid_motion(frames: Float32Array, still: Float32Array) -> HeadMotion:
    """Fits the rigid motion from a still pose to each frame.

    Weights are Geman and McClure's, 1 / (1 + (r/s)^2)^2 of the residual r, with s of 1.5 times its median.

    Args:
        frames: posed points `[frames, points, 3]`, finite.
        still: the same points in the neutral pose `[points, 3]`, at least 3.
    """
    # Coordinates first and near zero: float32 then resolves a micrometre, and the sums are matrix products.
    centre = still.mean(axis=0)
    rest = np.ascontiguousarray((still - centre).T)
    posed = np.ascontiguousarray((frames - centre).transpose(0, 2, 1))
    weights = np.ones((len(frames), rest.shape[1]), np.float32)
    for _ in range(_ROUNDS):
        rotation, fitted = _align(rest, posed, weights)
        squares = np.square(posed - fitted).sum(axis=1)
        scale = np.maximum(1.5**2 * np.median(squares, axis=1, keepdims=True), _SMALLEST_SCALE**2)
        weights = 1 / np.square(1 + squares / scale)
    size = np.sqrt(np.square(fitted - rest).sum(axis=1).mean(axis=1))
    cosine = (np.trace(rotation, axis1=1, axis2=2) - 1) / 2
    # Six parameters fitted to 3n coordinates of error e displace the points by about e * sqrt(2 / n).
    by_chance = _CERTAIN * np.sqrt(squares.mean(axis=1) * 2 / rest.shape[1])
    return HeadMotion(size, np.degrees(np.arccos(np.clip(cosine, -1, 1))), by_chance)


def _align(rest: Float32Array, posed: Float32Array, weights: Float32Array) -> tuple[Float32Array, Float32Array]:
    """Aligns neutral points with each frame by the weighted Kabsch algorithm.

    Args:
        rest: `[3, points]`.
        posed: `[frames, 3, points]`.
        weights: `[frames, points]`.

    Returns:
        Rotations `[frames, 3, 3]`, and the aligned points `[frames, 3, points]`.
    """
    share = weights / weights.sum(axis=1, keepdims=True)
    centre_rest = share @ rest.T
    weighted = posed * share[:, None]
    centre_posed = weighted.sum(axis=2)
    covariance = weighted @ rest.T - centre_posed[:, :, None] * centre_rest[:, None]
    u, _, vt = np.linalg.svd(covariance.astype(np.float64))
    u[:, :, 2] *= np.linalg.det(u @ vt)[:, None]  # excludes reflections
    rotation = (u @ vt).astype(np.float32)
    shift = centre_posed - np.einsum("fij,fj->fi", rotation, centre_rest)
    return rotation, rotation @ rest + shift[:, :, None]
