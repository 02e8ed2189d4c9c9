"""A deforming mesh as morph targets and weights: solved blend shapes, and principal components of the residual.

Works on arrays; the modules of the formats write files.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from audio2face.animation.animation import BlendWeights, Surface
from audio2face.console import LOGGER
from audio2face.geometry.pca import fit_basis
from audio2face.types import MM_PER_CM, Float32Array

MAX_SHAPES = 48
"""Maximum of components: 48 of a face of 24,002 vertices need 28 MB with their normals."""
_TARGET_MM = 0.05  # root mean square over vertices and frames
_FIT_FRAMES = 300  # frames used for the components; all frames of 5 s at 60 per second


@dataclass(frozen=True, eq=False)
class MorphTargets:
    """Morph targets of a mesh and their weights over time: `neutral + sum of weight * delta`.

    Attributes:
        neutral: at weights of 0, float32 `[verts, 3]`, centimetres.
        names: of the targets.
        deltas: offsets of a weight of 1, float32 `[shapes, verts, 3]`, centimetres.
        weights: float32 `[frames, shapes]`.
        rms_mm: distance of the reconstruction from the animation, root mean square over vertices and frames,
            millimetres.
        worst_mm: the largest distance, millimetres.
    """

    neutral: Float32Array
    names: tuple[str, ...]
    deltas: Float32Array
    weights: Float32Array
    rms_mm: float
    worst_mm: float


def fit_morph_targets(surface: Surface, solved: BlendWeights | None, name: str) -> MorphTargets:
    """Approximates a deforming surface by morph targets, and logs the error.

    Solved blend shapes come first, under their names; weights between 0 and 1 of a rig rarely reproduce every frame, so
    `correction_01` and so on add components of the residual. Without solved weights, principal components of the frames
    (`<name>_01` and so on) are the targets. Their number is the smallest with an error of `_TARGET_MM`, at most
    `MAX_SHAPES`.

    Args:
        surface: the surface.
        solved: its blend shapes; ignored if they belong to another mesh.
        name: name of the surface.
    """
    count = len(surface.frames)
    if solved is not None and solved.neutral.shape == surface.neutral.shape:
        start = _Approximation(
            surface, solved.neutral, solved.names, solved.deltas, np.asarray(solved.values, np.float32)
        )
        kind, before = "correction", start.distance_mm()[0]
    else:
        nothing = np.zeros((0, *surface.neutral.shape), np.float32)
        start = _Approximation(surface, surface.neutral, (), nothing, np.zeros((count, 0), np.float32))
        kind, before = name, float("nan")
    deltas, weights = start.residual_components()
    names = (*start.names, *(f"{kind}_{index + 1:02d}" for index in range(len(deltas))))
    whole = _Approximation(
        surface,
        start.neutral,
        names,
        np.concatenate([start.deltas, deltas]),
        np.concatenate([start.weights, weights], axis=1),
    )
    rms_mm, worst_mm = whole.distance_mm()
    LOGGER.info(
        "%s as %d shapes%s: %.3f mm from the animation (root mean square), %.2f mm at most",
        name,
        len(names),
        f" ({len(start.names)} blend shapes, which alone are {before:.2f} mm off)" if start.names else "",
        rms_mm,
        worst_mm,
    )
    return MorphTargets(whole.neutral, names, whole.deltas, whole.weights, rms_mm=rms_mm, worst_mm=worst_mm)


@dataclass(frozen=True, eq=False)
class _Approximation:
    """A surface and its approximation by targets; fields as in `MorphTargets`."""

    surface: Surface
    neutral: Float32Array
    names: tuple[str, ...]
    deltas: Float32Array
    weights: Float32Array

    def residual_components(self) -> tuple[Float32Array, Float32Array]:
        """The fewest components of the residual with an error of `_TARGET_MM`, at most `MAX_SHAPES`, and their weights.

        The components are fitted to at most `_FIT_FRAMES` evenly spaced frames; the weights are of all frames. A
        component gives two targets, one per direction, scaled to weights from 0 to 1: Blender clips other weights.

        Returns:
            `[shapes, verts, 3]` centimetres, and `[frames, shapes]`.
        """
        count = len(self.surface.frames)
        chosen = np.unique(np.linspace(0, count - 1, min(count, _FIT_FRAMES)).round().astype(int))
        rows = self._residual(np.asarray(self.surface.frames[chosen], np.float32), self.weights[chosen])
        moment = float(np.einsum("fc,fc->", rows, rows, dtype=np.float64))
        allowed = (_TARGET_MM / MM_PER_CM) ** 2 * rows.size / 3
        if moment <= allowed:
            return np.zeros((0, *self.neutral.shape), np.float32), np.zeros((count, 0), np.float32)
        basis = fit_basis(rows, np.zeros(rows.shape[1], np.float32), variance_threshold=1 - allowed / moment)
        components = basis.components[: MAX_SHAPES // 2]
        along = np.concatenate([residual @ components.T for residual in self._residuals()], dtype=np.float32)
        shapes = np.stack([components, -components], axis=1).reshape(-1, rows.shape[1])
        weights = np.maximum(np.stack([along, -along], axis=2).reshape(count, -1), 0)
        used = weights.max(axis=0) > 0
        shapes, weights = shapes[used], weights[:, used]
        reach = weights.max(axis=0)
        return (shapes * reach[:, None]).reshape(-1, *self.neutral.shape), weights / reach

    def distance_mm(self) -> tuple[float, float]:
        """Root mean square and maximum of the distance between approximation and surface, millimetres."""
        total, worst, count = 0.0, 0.0, 0
        for residual in self._residuals():
            points = residual.reshape(-1, 3)
            squares = np.einsum("pc,pc->p", points, points)
            total += float(squares.sum(dtype=np.float64))
            worst = max(worst, float(squares.max()))
            count += len(points)
        return MM_PER_CM * (total / count) ** 0.5, MM_PER_CM * worst**0.5

    def _residuals(self) -> Iterator[Float32Array]:
        """The residuals of the frames, in blocks `[n, 3 * verts]`."""
        first = 0
        for block in self.surface.blocks():
            yield self._residual(block, self.weights[first : first + len(block)])
            first += len(block)

    def _residual(self, frames: Float32Array, weights: Float32Array) -> Float32Array:
        residual = frames.reshape(len(frames), -1) - self.neutral.reshape(-1)
        residual -= weights @ self.deltas.reshape(len(self.deltas), self.neutral.size)
        return residual
