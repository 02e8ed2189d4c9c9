"""A moving mesh as shapes and weights: blend shapes that were solved, or the principal shapes of its frames.

Knows arrays; files are written by the modules of the formats.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from audio2face.console import LOGGER
from audio2face.export.animation import BlendWeights, Float32Array, Surface
from audio2face.geometry.pca import fit_basis

MAX_SHAPES = 40
"""Principal shapes at most: 40 of a face of 24,002 vertices take 23 MB with their normals."""
_WANTED_MM = 0.02  # root mean square over vertices and frames
_FIT_FRAMES = 300  # the frames that shapes are looked for in; all frames of 5 s at 60 per second
_MM_PER_CM = 10.0


@dataclass(frozen=True, eq=False)
class Morphs:
    """Shapes of a mesh and how strong each is over time: `neutral + sum of weight * delta`.

    Attributes:
        neutral: at weights of 0, float32 `[verts, 3]`, centimetres.
        names: of the shapes.
        deltas: what a weight of 1 adds, float32 `[shapes, verts, 3]`, centimetres.
        weights: float32 `[frames, shapes]`.
        rms_mm: distance of the sum from the animation, root mean square over vertices and frames, millimetres.
        worst_mm: the largest distance, millimetres.
    """

    neutral: Float32Array
    names: tuple[str, ...]
    deltas: Float32Array
    weights: Float32Array
    rms_mm: float
    worst_mm: float


def morphs_of(surface: Surface, solved: BlendWeights | None, what: str) -> Morphs:
    """The blend shapes of a surface where weights were solved, else principal shapes; the log says how near they are.

    Args:
        surface: the surface.
        solved: its blend shapes; they are left aside where they are of another mesh.
        what: the surface's name, for the log and the names of principal shapes.
    """
    if solved is not None and solved.neutral.shape == surface.neutral.shape:
        kind, parts = "blend shapes", (solved.neutral, solved.names, solved.deltas, np.asarray(solved.values))
    else:
        deltas, weights = _principal_shapes(surface)
        names = tuple(f"{what}_{index + 1:02d}" for index in range(len(deltas)))
        kind, parts = "principal shapes", (surface.neutral, names, deltas, weights)
    rms_mm, worst_mm = _distance(surface, parts[0], parts[2], parts[3])
    LOGGER.info(
        "%s as %d %s: %.3f mm from the animation (root mean square), %.2f mm at most",
        what,
        len(parts[1]),
        kind,
        rms_mm,
        worst_mm,
    )
    return Morphs(*parts, rms_mm=rms_mm, worst_mm=worst_mm)


def _principal_shapes(surface: Surface) -> tuple[Float32Array, Float32Array]:
    """The fewest shapes that keep the frames within `_WANTED_MM` (or `MAX_SHAPES`), and their weights.

    The shapes are found in at most `_FIT_FRAMES` frames, spread evenly; the weights belong to all. Each shape is scaled
    so that its weights reach 1 or -1, because Blender and others limit weights to small numbers.

    Returns:
        `[shapes, verts, 3]` centimetres, and `[frames, shapes]`.
    """
    count = len(surface.frames)
    neutral = surface.neutral.reshape(-1)
    chosen = np.unique(np.linspace(0, count - 1, min(count, _FIT_FRAMES)).round().astype(int))
    rows = np.asarray(surface.frames[chosen], np.float32).reshape(len(chosen), -1)
    offsets = rows - neutral
    moment = float(np.einsum("fc,fc->", offsets, offsets, dtype=np.float64))
    allowed = (_WANTED_MM / _MM_PER_CM) ** 2 * len(chosen) * surface.num_verts
    if moment <= allowed:
        return np.zeros((0, *surface.neutral.shape), np.float32), np.zeros((count, 0), np.float32)
    basis = fit_basis(rows, neutral, variance_threshold=1 - allowed / moment)
    shapes = basis.components[:MAX_SHAPES]
    weights = np.concatenate(
        [(block.reshape(len(block), -1) - neutral) @ shapes.T for block in surface.blocks()], dtype=np.float32
    )
    reach = np.maximum(np.abs(weights).max(axis=0), np.finfo(np.float32).tiny)
    return (shapes * reach[:, None]).reshape(-1, *surface.neutral.shape), weights / reach


def _distance(
    surface: Surface, neutral: Float32Array, deltas: Float32Array, weights: Float32Array
) -> tuple[float, float]:
    """Root mean square and maximum of the distance between the sum of shapes and the frames, millimetres."""
    flat = deltas.reshape(len(deltas), neutral.size)
    total, worst, first = 0.0, 0.0, 0
    for block in surface.blocks():
        rest = block.reshape(len(block), -1) - neutral.reshape(-1)
        rest -= np.asarray(weights[first : first + len(block)], np.float32) @ flat
        squares = np.einsum("fvc,fvc->fv", rest.reshape(block.shape), rest.reshape(block.shape))
        total += float(squares.sum(dtype=np.float64))
        worst = max(worst, float(squares.max()))
        first += len(block)
    return _MM_PER_CM * (total / (first * len(neutral))) ** 0.5, _MM_PER_CM * worst**0.5
