"""Rasterisation with a z-buffer and several samples per pixel, with array operations only.

A triangle covers one span of samples in each row that crosses it; the spans of all triangles are computed at once.
Quantities are separate 32-bit arrays, because memory bandwidth limits the speed.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from audio2face.types import BoolArray, Float32Array, Int32Array

PATTERNS = {
    1: (0.5,),
    2: (0.25, 0.75),
    4: (0.375, 0.875, 0.125, 0.625),
    8: (0.5625, 0.1875, 0.8125, 0.3125, 0.9375, 0.0625, 0.6875, 0.4375),
}
"""Horizontal sample positions within a pixel by number of samples, one per row and column."""
_SLIVER = 1e-2  # square pixels; for smaller triangles rounding errors dominate the slope of nearness


@dataclass(frozen=True, eq=False)
class VisibilityBuffer:
    """The nearest triangle of each sample.

    Attributes:
        keys: uint64 `[samples, height, width]`: the bits of the nearness above the index of the triangle, so that a
            larger key is nearer; 0 for the background.
    """

    keys: npt.NDArray[np.uint64]

    @staticmethod
    def nearness(keys: npt.NDArray[np.uint64]) -> Float32Array:
        """The nearness in keys of any shape."""
        return np.asarray((keys >> np.uint64(32)).astype(np.uint32).view(np.float32))


@dataclass(frozen=True, eq=False)
class _Edge:
    """One edge of each triangle as the line `x = slope * y + start`, float32 `[triangles]`."""

    slope: Float32Array
    start: Float32Array

    def at(self, triangle: Int32Array, y: Float32Array) -> Float32Array:
        """The x at which the lines of some triangles cross heights `y`."""
        x = self.slope.take(triangle)
        x *= y
        x += self.start.take(triangle)
        return x


@dataclass(frozen=True, eq=False)
class _Outlines:
    """Front-facing triangles inside the picture.

    Attributes:
        number: index of each triangle, `[n]`.
        left: two edges that bound it on the left; equal if there is only one.
        right: two edges that bound it on the right; equal if there is only one.
        nearness: its change per pixel right and down, and its value in the corner of the picture, each `[n]`.
        first_row: the first row of samples that crosses it.
        num_rows: number of rows of samples that cross it.
    """

    number: npt.NDArray[np.intp]
    left: tuple[_Edge, _Edge]
    right: tuple[_Edge, _Edge]
    nearness: tuple[Float32Array, Float32Array, Float32Array]
    first_row: Int32Array
    num_rows: Int32Array


def rasterise(points: Float32Array, triangles: Int32Array, width: int, height: int, samples: int) -> VisibilityBuffer:
    """Finds the nearest triangle at each sample.

    Only triangles with counter-clockwise corners on the screen are drawn. Triangles that share an edge leave neither
    gap nor overlap.

    Args:
        points: `[points, 3]`: x and y in pixels from the upper left corner, y downwards, and nearness: positive,
            larger when nearer, and linear on the screen (in perspective, one over the distance).
        triangles: `[triangles, 3]`.
        width: pixels.
        height: pixels.
        samples: per pixel; a key of `PATTERNS`.
    """
    buffer = np.zeros(samples * height * width, np.uint64)
    outlines = _outlines(points, triangles, width, height, samples)
    triangle = np.repeat(np.arange(len(outlines.number), dtype=np.int32), outlines.num_rows)
    row = _counted(outlines.num_rows, triangle)
    row += outlines.first_row.take(triangle)
    begin, count, nearness = _spans(outlines, triangle, row, width, samples)
    filled = np.flatnonzero(count > 0)
    triangle, row, begin = triangle.take(filled), row.take(filled), begin.take(filled)
    count, nearness = count.take(filled), nearness.take(filled)

    run = np.repeat(np.arange(len(filled), dtype=np.int32), count)
    along = _counted(count, run)
    offset = (row % samples * height + row // samples) * width + begin
    keys = np.empty((len(run), 2), np.uint32)
    near = outlines.nearness[0].take(triangle).take(run)
    near *= along
    near += nearness.take(run)
    keys[:, 0] = outlines.number.astype(np.uint32).take(triangle).take(run)
    keys[:, 1] = near.view(np.uint32)  # positive floats have the order of their bits
    along += offset.take(run)
    np.maximum.at(buffer, along.astype(np.intp), keys.view(np.uint64)[:, 0])
    return VisibilityBuffer(buffer.reshape(samples, height, width))


def _outlines(points: Float32Array, triangles: Int32Array, width: int, height: int, samples: int) -> _Outlines:
    """Finds the front-facing triangles that cross a sample row of the picture."""
    across, down = np.ascontiguousarray(points[:, 0]), np.ascontiguousarray(points[:, 1])
    corners = np.ascontiguousarray(triangles.T)
    x, y = across.take(corners), down.take(corners)
    area = (x[1] - x[0]) * (y[2] - y[0]) - (x[2] - x[0]) * (y[1] - y[0])
    rows = height * samples
    first = np.clip(np.ceil(np.minimum(np.minimum(y[0], y[1]), y[2]) * samples - 0.5), 0, rows).astype(np.int32)
    last = np.clip(np.ceil(np.maximum(np.maximum(y[0], y[1]), y[2]) * samples - 0.5), 0, rows).astype(np.int32)
    beside = (np.maximum(np.maximum(x[0], x[1]), x[2]) <= 0) | (np.minimum(np.minimum(x[0], x[1]), x[2]) >= width)
    kept = np.flatnonzero((area < 0) & (last > first) & ~beside)
    x, y, area, corners = x[:, kept], y[:, kept], area[kept], corners[:, kept]
    left, right = _edges(across, down, corners, y)
    near = points[:, 2].take(corners)
    nearness = _slope_of_nearness(x, y, near, area)
    return _Outlines(kept, left, right, nearness, first[kept], (last - first)[kept])


def _slope_of_nearness(
    x: Float32Array, y: Float32Array, near: Float32Array, area: Float32Array
) -> tuple[Float32Array, Float32Array, Float32Array]:
    one, two = near[1] - near[0], near[2] - near[0]
    sliver = area > -_SLIVER
    one[sliver] = two[sliver] = 0
    right = (one * (y[2] - y[0]) - two * (y[1] - y[0])) / area
    below = (two * (x[1] - x[0]) - one * (x[2] - x[0])) / area
    return right, below, near[0] - right * x[0] - below * y[0]


def _edges(
    across: Float32Array, down: Float32Array, corners: Int32Array, y: Float32Array
) -> tuple[tuple[_Edge, _Edge], tuple[_Edge, _Edge]]:
    """Two left and two right edges of triangles; edge i runs from corner i to the next.

    Of the three edges, one or two go down the screen and bound the triangle on the left, the others go up and bound it
    on the right; a horizontal edge bounds no span.
    """
    following = corners[[1, 2, 0]]
    # Both triangles of an edge must compute bit-identical lines.
    low, high = np.minimum(corners, following), np.maximum(corners, following)
    high_x, low_x, low_y = across.take(high), across.take(low), down.take(low)
    with np.errstate(divide="ignore", invalid="ignore"):
        slope = (high_x - low_x) / (down.take(high) - low_y)
        start = low_x - slope * low_y
    fall = y[[1, 2, 0]] - y

    def pair(side: BoolArray) -> tuple[_Edge, _Edge]:
        ones = [np.where(side[0], array[0], np.where(side[1], array[1], array[2])) for array in (slope, start)]
        others = [np.where(side[2], array[2], np.where(side[1], array[1], array[0])) for array in (slope, start)]
        return _Edge(*ones), _Edge(*others)

    return pair(fall > 0), pair(fall < 0)


def _spans(
    outlines: _Outlines, triangle: Int32Array, row: Int32Array, width: int, samples: int
) -> tuple[Int32Array, Int32Array, Float32Array]:
    """The span of each crossing of a triangle and a row: first pixel, count (may be below 1), nearness at the first."""
    y = row.astype(np.float32)
    y += 0.5
    y *= 1 / samples
    offset = np.array(PATTERNS[samples], np.float32).take(row % samples)
    left = np.maximum(outlines.left[0].at(triangle, y), outlines.left[1].at(triangle, y))
    right = np.minimum(outlines.right[0].at(triangle, y), outlines.right[1].at(triangle, y))
    for side in (left, right):
        side -= offset
        np.ceil(side, out=side)
        np.maximum(side, 0, out=side)
        np.minimum(side, width, out=side)
    begin = left.astype(np.int32)
    count = right.astype(np.int32)
    count -= begin
    left += offset
    left *= outlines.nearness[0].take(triangle)
    left += _Edge(*outlines.nearness[1:]).at(triangle, y)
    return begin, count, left


def _counted(counts: Int32Array, group: Int32Array) -> Int32Array:
    """Indices 0, 1, ... within consecutive groups of `counts` items; `group` is the group of each item."""
    numbers = np.arange(len(group), dtype=np.int32)
    numbers -= (np.cumsum(counts, dtype=np.int32) - counts).take(group)
    return numbers
