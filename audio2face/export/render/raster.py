"""Which triangle is seen where: a z-buffer over several samples a pixel, with nothing but array operations.

Works by rows: a triangle covers one run of samples in each row that crosses it, and the ends of all runs of all
triangles are found at once. Knows screen positions and depths; not what is drawn or how it is lit.

Arrays are kept one per quantity and in 32 bits: what takes time here is moving numbers, not computing them.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from audio2face.types import Float32Array, Int32Array

PATTERNS = {
    1: (0.5,),
    2: (0.25, 0.75),
    4: (0.375, 0.875, 0.125, 0.625),
    8: (0.5625, 0.1875, 0.8125, 0.3125, 0.9375, 0.0625, 0.6875, 0.4375),
}
"""By number of samples: where they lie across the pixel, each in a row of its own and no two in a column."""
_SLIVER = 1e-2  # square pixels; across less, rounding would outweigh the slope of nearness


@dataclass(frozen=True, eq=False)
class VisibilityBuffer:
    """What the samples show.

    Attributes:
        keys: uint64 `[samples, height, width]`: the bits of the nearness above the number of the triangle, so that a
            larger key is nearer; 0 where nothing is.
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
        """Where the lines of some triangles cross heights `y`."""
        x = self.slope.take(triangle)
        x *= y
        x += self.start.take(triangle)
        return x


@dataclass(frozen=True, eq=False)
class _Outlines:
    """The triangles that may be seen.

    Attributes:
        number: of each, `[n]`.
        left: two edges that bound it on the left; the same twice where there is one.
        right: likewise on the right.
        nearness: its change per pixel right and down, and its value in the corner of the picture, each `[n]`.
        first_row: the first row of samples that crosses it.
        num_rows: how many do.
    """

    number: npt.NDArray[np.intp]
    left: tuple[_Edge, _Edge]
    right: tuple[_Edge, _Edge]
    nearness: tuple[Float32Array, Float32Array, Float32Array]
    first_row: Int32Array
    num_rows: Int32Array


def rasterise(points: Float32Array, triangles: Int32Array, width: int, height: int, samples: int) -> VisibilityBuffer:
    """Finds the nearest triangle at each sample.

    A triangle counts where its corners turn counter-clockwise to the eye. Triangles that share an edge leave no gap
    and no overlap.

    Args:
        points: `[points, 3]`: x and y in pixels from the upper left corner, y downwards, and nearness: positive, larger
            nearer, and linear on the screen along a straight line (one over the distance, in perspective).
        triangles: `[triangles, 3]`.
        width: pixels.
        height: pixels.
        samples: of a pixel; a key of `PATTERNS`.
    """
    buffer = np.zeros(samples * height * width, np.uint64)
    outlines = _outlines(points, triangles, width, height, samples)
    triangle = np.repeat(np.arange(len(outlines.number), dtype=np.int32), outlines.num_rows)
    row = _counted(outlines.num_rows)
    row += outlines.first_row.take(triangle)
    begin, count, nearness = _runs(outlines, triangle, row, width, samples)
    filled = np.flatnonzero(count > 0)
    triangle, row, begin = triangle.take(filled), row.take(filled), begin.take(filled)
    count, nearness = count.take(filled), nearness.take(filled)

    run = np.repeat(np.arange(len(filled), dtype=np.int32), count)
    along = _counted(count)
    place = (row % samples * height + row // samples) * width + begin
    keys = np.empty((len(run), 2), np.uint32)
    near = outlines.nearness[0].take(triangle).take(run)
    near *= along
    near += nearness.take(run)
    keys[:, 0] = outlines.number.astype(np.uint32).take(triangle).take(run)
    keys[:, 1] = near.view(np.uint32)  # positive floats are ordered like their bits
    along += place.take(run)
    np.maximum.at(buffer, along.astype(np.intp), keys.view(np.uint64)[:, 0])
    return VisibilityBuffer(buffer.reshape(samples, height, width))


def _outlines(points: Float32Array, triangles: Int32Array, width: int, height: int, samples: int) -> _Outlines:
    """What the triangles look like that turn to the eye and touch a sample row of the picture."""
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

    Of the three edges, one or two go down the screen, which bounds the triangle on the left, and the others up; a
    level edge bounds no run.
    """
    following = corners[[1, 2, 0]]
    # Both triangles at an edge must find the same line to the last bit.
    low, high = np.minimum(corners, following), np.maximum(corners, following)
    high_x, low_x, low_y = across.take(high), across.take(low), down.take(low)
    with np.errstate(divide="ignore", invalid="ignore"):
        slope = (high_x - low_x) / (down.take(high) - low_y)
        start = low_x - slope * low_y
    fall = y[[1, 2, 0]] - y

    def pair(side: npt.NDArray[np.bool_]) -> tuple[_Edge, _Edge]:
        ones = [np.where(side[0], array[0], np.where(side[1], array[1], array[2])) for array in (slope, start)]
        others = [np.where(side[2], array[2], np.where(side[1], array[1], array[0])) for array in (slope, start)]
        return _Edge(*ones), _Edge(*others)

    return pair(fall > 0), pair(fall < 0)


def _runs(
    outlines: _Outlines, triangle: Int32Array, row: Int32Array, width: int, samples: int
) -> tuple[Int32Array, Int32Array, Float32Array]:
    """For each crossing of a triangle and a row: the first pixel, how many (or less than 1), nearness at the first."""
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


def _counted(counts: Int32Array) -> Int32Array:
    """0, 1, ... within each of the groups that have `counts` items."""
    total = np.cumsum(counts, dtype=np.int32)
    numbers = np.arange(total[-1] if len(total) else 0, dtype=np.int32)
    numbers -= np.repeat(total - counts, counts)
    return numbers
