"""Shading of a rasterised picture: Gouraud shading of triangles, and antialiased outlines."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from audio2face.export.render.raster import PATTERNS, VisibilityBuffer
from audio2face.types import BoolArray, Float32Array, Int32Array, Picture

_GAP = 2e-3  # relative depth difference of an outline, some millimetres


@dataclass(frozen=True, eq=False)
class VisibleSurface:
    """The covered pixels of a picture.

    Attributes:
        pixels: their row-major indices, `[pixels]`.
        keys: keys of `VisibilityBuffer`, one array `[pixels]` per sample.
        triangles: the triangles of these keys; 0 for an empty sample.
    """

    pixels: npt.NDArray[np.intp]
    keys: list[npt.NDArray[np.uint64]]
    triangles: list[npt.NDArray[np.uint32]]

    @classmethod
    def from_buffer(cls, buffer: VisibilityBuffer) -> VisibleSurface:
        """The pixels with at least one covered sample."""
        anything = np.bitwise_or.reduce(buffer.keys, axis=0)
        pixels = np.flatnonzero(anything)
        keys = [plane.reshape(-1).take(pixels) for plane in buffer.keys]
        return cls(pixels, keys, [plane.astype(np.uint32) for plane in keys])

    def inside(self, surface_of: Int32Array) -> BoolArray:
        """Whether all samples of a pixel show one surface without a depth discontinuity, `[pixels]`."""
        nearest, farthest = self.keys[0], self.keys[0]
        for keys in self.keys[1:]:
            nearest, farthest = np.maximum(nearest, keys), np.minimum(farthest, keys)
        found = VisibilityBuffer.nearness(farthest) > VisibilityBuffer.nearness(nearest) * np.float32(1 - _GAP)
        first = surface_of.take(self.triangles[0])
        for numbers in self.triangles[1:]:
            found &= surface_of.take(numbers) == first
        return found


def shade(
    window: Picture,
    visible: VisibleSurface,
    positions: Float32Array,
    triangles: Int32Array,
    surface_of: Int32Array,
    colours: Float32Array,
) -> None:
    """Shades a window of a picture: one sample per pixel inside a surface, the mean of all samples at outlines.

    Args:
        window: `[height, width, 3]`, containing the background; modified in place.
        visible: its covered pixels.
        positions: screen positions of the vertices in the window, `[verts, 2 or more]`, pixels.
        triangles: `[triangles, 3]`.
        surface_of: index of the surface of each triangle.
        colours: sRGB of the vertices, 0 to 255, `[verts, 3]`.
    """
    width = window.shape[1]
    planes = _ColourPlanes(positions, triangles, colours, len(visible.keys))
    flat = window.reshape(-1, 3).copy()
    whole = flat.view("V3")[:, 0]  # pixels as single values, which are put in a third of the time
    inside = visible.inside(surface_of)
    chosen = np.flatnonzero(inside)
    pixels = visible.pixels.take(chosen)
    whole[pixels] = planes.at(visible.triangles[0].take(chosen), *_places(pixels, width), 0).view("V3")[:, 0]
    chosen = np.flatnonzero(~inside)
    pixels = visible.pixels.take(chosen)
    behind = flat.take(pixels, axis=0).astype(np.float32)
    total = np.zeros_like(behind)
    places = _places(pixels, width)
    for sample, (keys, numbers) in enumerate(zip(visible.keys, visible.triangles, strict=True)):
        colour = planes.at(numbers.take(chosen), *places, sample)
        total += np.where(keys.take(chosen)[:, None] > 0, colour, behind)
    total *= 1 / len(visible.keys)
    total += 0.5
    whole[pixels] = total.astype(np.uint8).view("V3")[:, 0]
    window[:] = flat.reshape(window.shape)


def _places(pixels: npt.NDArray[np.intp], width: int) -> tuple[Float32Array, Float32Array]:
    """Column and row of pixels, float32 `[pixels]` each."""
    numbers = pixels.astype(np.int32)
    rows = numbers // np.int32(width)
    numbers -= rows * np.int32(width)
    return numbers.astype(np.float32), rows.astype(np.float32)


class _ColourPlanes:
    """The colour of each triangle as a linear function of the screen position."""

    def __init__(self, positions: Float32Array, triangles: Int32Array, colours: Float32Array, samples: int) -> None:
        self._offsets = PATTERNS[samples]
        corners = np.ascontiguousarray(triangles.T)
        x, y = np.ascontiguousarray(positions[:, 0]).take(corners), np.ascontiguousarray(positions[:, 1]).take(corners)
        x_1, x_2, y_1, y_2 = x[1] - x[0], x[2] - x[0], y[1] - y[0], y[2] - y[0]
        area = x_1 * y_2 - x_2 * y_1
        share = np.where(np.abs(area) < 1e-2, 0, 1 / np.where(area == 0, 1, area))
        self._channels = []
        for channel in np.ascontiguousarray(colours.T):
            corner = channel.take(corners)
            one, two = (corner[1] - corner[0]) * share, (corner[2] - corner[0]) * share
            right, below = one * y_2 - two * y_1, two * x_1 - one * x_2
            self._channels.append((corner[0] - right * x[0] - below * y[0], right, below))

    def at(self, numbers: npt.NDArray[np.uint32], across: Float32Array, down: Float32Array, sample: int) -> Picture:
        """Colours of triangles at a sample of pixels, `[pixels, 3]`."""
        x = across + np.float32(self._offsets[sample])
        y = down + np.float32((sample + 0.5) / len(self._offsets))
        triangles = numbers.astype(np.intp)  # which each `take` would convert
        found = np.empty((len(numbers), 3), np.uint8)
        for channel, (start, right, below) in enumerate(self._channels):
            colour = right.take(triangles)
            colour *= x
            slope = below.take(triangles)
            slope *= y
            colour += slope
            colour += start.take(triangles)
            colour += 0.5
            np.maximum(colour, 0, out=colour)
            found[:, channel] = np.minimum(colour, 255, out=colour)
        return found
