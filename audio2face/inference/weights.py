"""Weights of blend shapes straight from network output, without the mesh, for streams that need nothing else.

Post-processing is linear: with the gains g of lower and upper face, their filters F and the offsets D of the poses,

    D' (positions - rest) = F_lower(D' g_lower x) + F_upper(D' g_upper x) + constant

so that a frame x costs two small products in place of all vertices. A blink is one more value of x. The weights are
those of `AnimationStream`, but for the rounding of sums in another order.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from audio2face.animation import BlendshapeSolver
from audio2face.animation.animator import tongue_at_rest
from audio2face.animation.bounded import row_products
from audio2face.animation.skin import SkinTerms
from audio2face.audio import Resampler
from audio2face.geometry.frames import lerp
from audio2face.inference.animate import AnimationPipeline
from audio2face.inference.emotion import EmotionCurve
from audio2face.inference.executor import NetworkOutput
from audio2face.inference.retiming import TrackFrames
from audio2face.inference.streaming import SoundStream
from audio2face.types import MESHES, Float32Array, Float64Array, Mesh

_BLINK_FRAMES = 64  # that are made at a time


class WeightFrame(NamedTuple):
    """One frame of weights; names and arrays are those of `AnimationFrame`.

    Attributes:
        time: seconds from the start of the audio.
        emotion: float32 `[emotions]`.
        skin_weights: float32 `[poses]`; None where there are none.
        tongue_weights: float32 `[tongue poses]`; None where there are none.
    """

    time: float
    emotion: Float32Array
    skin_weights: Float32Array | None = None
    tongue_weights: Float32Array | None = None


@dataclass(frozen=True, eq=False)
class _PartPoses:
    """A part of the face: what its weights depend on.

    Attributes:
        channels: of the network output that move it.
        matrix: from them and the closure of the eyes to values that are filtered, float32 `[channels + 1, columns]`;
            the columns of lower and upper face follow each other.
        factors: of the two filters of each column, `[columns]`; 1: none.
        constant: is added to the sum of the halves, `[values]`.
        solver: of the weights whose right-hand side that is; None where the values are weights.
    """

    channels: slice | npt.NDArray[np.intp]
    matrix: Float32Array
    factors: Float64Array
    constant: Float64Array
    solver: BlendshapeSolver | None


class PoseSpace:
    """What the weights of one face depend on; streams share it.

    Args:
        pipeline: the model and its options.
    """

    def __init__(self, pipeline: AnimationPipeline) -> None:
        self.pipeline = pipeline
        sizes = pipeline.model.info.channel_sizes
        self.parts: Mapping[Mesh, _PartPoses] = {
            part: _skin_poses(pipeline) if part == "skin" else _tongue_poses(pipeline, sizes[0])
            for part in MESHES
            if part in pipeline.weight_parts
        }


def _skin_poses(pipeline: AnimationPipeline) -> _PartPoses:
    seconds = float(1 / pipeline.schedule.fps)
    terms = SkinTerms.of(pipeline.face, pipeline.animator_settings, seconds)
    solver = pipeline.solver("skin") if "skin" in pipeline.solved_parts else None
    deltas, compared, rest = _compared(solver, terms.neutral)
    shut = np.zeros((2, len(terms.neutral)))
    for row, half in zip(shut, terms.halves, strict=True):
        row[terms.lids] = half.shut
    columns = []
    channels: slice | npt.NDArray[np.intp] = slice(len(terms.neutral))
    components = pipeline.components.get("skin")
    for row, half in zip(shut, terms.halves, strict=True):
        gain = half.gain[compared].astype(np.float64)
        if components is None:
            moved = gain[:, None] * deltas
        else:
            moved = (components.reshape(len(components), -1)[:, compared] * gain) @ deltas
        columns.append(np.concatenate([moved, (row[compared] @ deltas)[None]]))
    if components is not None:
        channels = slice(len(components))
    elif not isinstance(compared, slice):
        channels = compared
    return _PartPoses(
        channels=channels,
        matrix=np.concatenate(columns, axis=1).astype(np.float32),
        factors=np.repeat([half.factor for half in terms.halves], deltas.shape[1]),
        constant=(terms.neutral[compared].astype(np.float64) - rest) @ deltas,
        solver=solver,
    )


def _tongue_poses(pipeline: AnimationPipeline, first: int) -> _PartPoses:
    neutral = tongue_at_rest(pipeline.face, pipeline.animator_settings).reshape(-1)
    solver = pipeline.solver("tongue")
    deltas, compared, rest = _compared(solver, neutral)
    strength, components = pipeline.animator_settings.tongue_strength, pipeline.components.get("tongue")
    channels: slice | npt.NDArray[np.intp]
    if components is None:
        matrix = strength * deltas
        channels = first + np.arange(len(neutral))[compared]
    else:
        matrix = strength * components.reshape(len(components), -1)[:, compared] @ deltas
        channels = slice(first, first + len(components))
    return _PartPoses(
        channels=channels,
        matrix=np.concatenate([matrix, np.zeros((1, matrix.shape[1]))]).astype(np.float32),
        factors=np.ones(matrix.shape[1]),
        constant=(neutral[compared].astype(np.float64) - rest) @ deltas,
        solver=solver,
    )


def _compared(
    solver: BlendshapeSolver | None, neutral: Float32Array
) -> tuple[Float64Array, slice | npt.NDArray[np.intp], Float32Array]:
    """D `[values, poses]`, which values of a part it compares, and these at rest; weights themselves without solver."""
    if solver is None:
        return np.eye(len(neutral)), slice(None), np.zeros(len(neutral), np.float32)
    compared = slice(None) if solver.compared is None else solver.compared
    return solver.deltas.astype(np.float64), compared, solver.rest


@dataclass(frozen=True, eq=False)
class PoseBlock:
    """Consecutive frames, before their weights are solved.

    Attributes:
        values: of each part: right-hand sides of its solver, or weights, float64 `[frames, values]`.
        emotion: `[frames, emotions]`.
    """

    values: Mapping[Mesh, Float64Array]
    emotion: Float32Array

    def __len__(self) -> int:
        return len(self.emotion)

    def select(self, frames: slice | list[int]) -> PoseBlock:
        """As `FrameBlock`."""
        return PoseBlock({part: values[frames] for part, values in self.values.items()}, self.emotion[frames])

    def concatenate(self, after: PoseBlock) -> PoseBlock:
        """As `FrameBlock`."""
        values = {part: np.concatenate([values, after.values[part]]) for part, values in self.values.items()}
        return PoseBlock(values, np.concatenate([self.emotion, after.emotion]))

    def mixed(self, other: PoseBlock, share: Float32Array) -> PoseBlock:
        """As `FrameBlock`."""
        values = {part: values + share[:, None] * (other.values[part] - values) for part, values in self.values.items()}
        return PoseBlock(values, lerp(self.emotion, other.emotion, share))


class _Filters:
    """The two cascaded filters of each column: `s += (input - s) a`, initialised with the first input."""

    def __init__(self, part: _PartPoses) -> None:
        self._part = part
        self._states: tuple[Float64Array, Float64Array] | None = None

    def __call__(self, values: Float32Array) -> Float64Array:
        """Filters the next frames `[frames, columns]`, and adds the halves: `[frames, values]`."""
        part, inputs = self._part, values.astype(np.float64)
        if self._states is None:
            self._states = inputs[0].copy(), inputs[0].copy()
        first, second = self._states
        made = np.empty((len(inputs), len(part.constant)))
        for row, result in zip(inputs, made, strict=True):
            first += (row - first) * part.factors
            second += (first - second) * part.factors
            second.reshape(-1, len(result)).sum(axis=0, out=result)
        made += part.constant
        return made


def _moved(poses: _PartPoses, frames: Float32Array, closure: Float32Array) -> Float32Array:
    """What is filtered, `[frames, columns]`, of network output `[frames, channels]` and closure `[frames]`."""
    return row_products(np.concatenate([frames[:, poses.channels], closure[:, None]], axis=1), poses.matrix)


class WeightStream(SoundStream[PoseBlock, WeightFrame]):
    """The weights of blend shapes for audio that arrives piece by piece.

    Args:
        space: of the face; streams share it and its pipeline.
        samplerate: as of `SoundStream`.
        resampler: as of `SoundStream`.
        emotion: as of `SoundStream`.
    """

    def __init__(
        self,
        space: PoseSpace,
        samplerate: int | None = None,
        resampler: Resampler | None = None,
        emotion: EmotionCurve | None = None,
    ) -> None:
        self._space = space
        solvers = {part: poses.solver for part, poses in space.parts.items()}
        self._solvers = {part: solver.another() for part, solver in solvers.items() if solver is not None}
        super().__init__(space.pipeline, samplerate, resampler, emotion)

    def _begin(self) -> TrackFrames[PoseBlock]:
        pipeline = self.pipeline
        for solver in self._solvers.values():
            solver.reset()
        self._filters = {part: _Filters(poses) for part, poses in self._space.parts.items()}
        self._blinks, self._closures = pipeline.blinks(), np.zeros(0, np.float32)
        schedule = pipeline.schedule
        return TrackFrames(self._posed, schedule.fps, pipeline.fps, schedule.samplerate)

    def _posed(self, output: NetworkOutput) -> PoseBlock:
        closure, mouth = self._closure(len(output.values)), output.mouth
        made: dict[Mesh, Float64Array] = {}
        for part, poses in self._space.parts.items():
            moved = _moved(poses, output.values, closure)
            if mouth is not None:  # lower face and tongue are the first columns
                own = slice(len(poses.constant))
                moved[:, own] = _moved(poses, mouth, closure)[:, own]
            values = self._filters[part](moved)
            made[part] = np.clip(values, 0, 1) if poses.solver is None else values
        return PoseBlock(made, output.emotion)

    def _closure(self, count: int) -> Float32Array:
        """How far the eyes are shut in the next frames, `[count]`."""
        if len(self._closures) < count:
            more = max(count, _BLINK_FRAMES)
            blinks = np.zeros(more, np.float32) if self._blinks is None else self._blinks(more)
            offset = np.float32(self.pipeline.animator_settings.blink_offset)
            self._closures = np.concatenate([self._closures, np.minimum(offset + blinks, np.float32(1))])
        closure, self._closures = self._closures[:count], self._closures[count:]
        return closure

    def _made(self, block: PoseBlock, times: Sequence[float]) -> Iterator[WeightFrame]:
        weights = {
            part: self._solvers[part].solve(values) if part in self._solvers else values.astype(np.float32)
            for part, values in block.values.items()
        }
        skin, tongue = weights.get("skin"), weights.get("tongue")
        for place, time in enumerate(times):
            yield WeightFrame(
                time,
                block.emotion[place],
                None if skin is None else skin[place],
                None if tongue is None else tongue[place],
            )
