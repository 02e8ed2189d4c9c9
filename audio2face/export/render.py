"""Pictures of a finished face, drawn by the processor alone: no display, no graphics card, no graphics library."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from audio2face.export.animation import Animation, Float32Array
from audio2face.export.raster import PATTERNS, Seen, rasterise
from audio2face.export.scene import Scene
from audio2face.export.studio import MATERIALS, Studio, visibility

Picture = npt.NDArray[np.uint8]

_FIELD = np.radians(20.0)  # the camera's angle from top to bottom: a portrait lens
_TURN, _LIFT = np.radians(9.0), np.radians(3.0)  # where it stands: to the actor's left, and above
_BELOW, _ABOVE = 0.2, 0.05  # of the head's height: how much of the neck is left out, and room above
_TRIED_FRAMES = 120  # in which the widest open mouth is looked for
_GAP = 2e-3  # relative difference of distance that makes an outline, some millimetres
_EXPOSURE = 0.88
_CENTRE, _RIM = (196, 199, 203), (128, 133, 140)  # of the background


@dataclass(frozen=True, eq=False)
class Camera:
    """A pinhole camera.

    Attributes:
        eye: where it stands, `[3]`, centimetres.
        axes: its right, up and backward directions, unit vectors `[3, 3]`.
        scale: pixels of a length of one at a distance of one.
        width: of the picture, pixels.
        height: likewise.
    """

    eye: Float32Array
    axes: Float32Array
    scale: float
    width: int
    height: int

    @classmethod
    def framing(cls, points: Float32Array, width: int, height: int) -> Camera:
        """A camera that sees a head `[verts, 3]` from the front, from a little below the chin to above the hair."""
        low, high = points.min(axis=0), points.max(axis=0)
        tall = high[1] - low[1]
        bottom, top = low[1] + _BELOW * tall, high[1] + _ABOVE * tall
        wide = high[0] - low[0]
        shown = max(top - bottom, 1.05 * wide * height / width * 0.85)
        target = np.array([(low[0] + high[0]) / 2, (bottom + top) / 2, (low[2] + high[2]) / 2])
        backward = np.array([np.sin(_TURN) * np.cos(_LIFT), np.sin(_LIFT), np.cos(_TURN) * np.cos(_LIFT)])
        right = np.cross([0.0, 1.0, 0.0], backward)
        right /= np.linalg.norm(right)
        axes = np.stack([right, np.cross(backward, right), backward]).astype(np.float32)
        distance = shown / 2 / np.tan(_FIELD / 2) + (high[2] - low[2]) / 4
        eye = np.asarray(target + distance * backward, np.float32)
        return cls(eye, axes, height / (2 * np.tan(_FIELD / 2)), width, height)

    def project(self, points: Float32Array) -> Float32Array:
        """Places in the picture, pixels from its upper left corner, and one over the distance: `[verts, 3]`."""
        seen = (points - self.eye) @ self.axes.T
        nearness = 1 / np.maximum(-seen[:, 2], 1e-3)
        across = self.width / 2 + self.scale * seen[:, 0] * nearness
        down = self.height / 2 - self.scale * seen[:, 1] * nearness
        return np.stack([across, down, nearness], axis=1).astype(np.float32)


class Renderer:
    """Draws one animation; preparing takes about a second, a frame some hundredths of one."""

    def __init__(self, animation: Animation, width: int, height: int, samples: int) -> None:
        """Sets camera and lights for frames of `width` times `height` pixels, with that many samples (`PATTERNS`)."""
        self._samples = samples
        self._scene = Scene(animation)
        self._camera = Camera.framing(animation.skin.neutral, width, height)
        self._background = background(width, height)
        self._studio = Studio(
            self._scene.albedo, [MATERIALS[name] for name in self._scene.materials], self._scene.material_of
        )
        neutral, open_frame, self._opening = _widest(animation)
        self._neutral, self._animation = neutral, animation
        rest, wide = self._scene.rest(), self._scene.pose(open_frame)
        self._seen_at_rest, self._seen_open = (
            visibility(pose, self._scene.normals(pose), self._scene.triangles) for pose in (rest, wide)
        )

    def frame(self, number: int) -> Picture:
        """The picture of a frame, sRGB `[height, width, 3]`."""
        points = self._scene.pose(number)
        places = self._camera.project(points)
        left, top, width, height = _window(places, self._camera)
        places[:, :2] -= (left, top)
        picture = self._background.copy()
        if width > 0 and height > 0:
            seen = rasterise(places, self._scene.triangles, width, height, self._samples)
            colours = self._colours(points, seen, self._openness(number))
            window = picture[top : top + height, left : left + width]
            _paint(window, seen, places, self._scene.triangles, self._scene.body_of, colours)
        return picture

    def _openness(self, frame: int) -> float:
        """Where a frame stands between rest and the widest open mouth, 0 to 1."""
        moved = np.asarray(self._animation.skin.frames[frame], np.float32)[::_EVERY] - self._neutral
        return float(np.clip(np.vdot(moved, self._opening), 0, 1))

    def _colours(self, points: Float32Array, seen: Seen, openness: float) -> Float32Array:
        """sRGB of the vertices, 0 to 255, `[verts, 3]`; of those that are seen, others are 0."""
        shown = np.zeros(len(self._scene.triangles), bool)
        shown[seen.keys.reshape(-1).astype(np.uint32)] = True  # the first one too where nothing is, which does no harm
        used = np.zeros(len(points), bool)
        used[self._scene.triangles[shown]] = True
        rows = np.flatnonzero(used)
        free = self._seen_at_rest[rows]
        free = free + np.float32(openness) * (self._seen_open[rows] - free)
        normals = self._scene.normals(points)[rows]
        light = self._studio.shade(points[rows], normals, free, self._camera.eye, rows)
        colours = np.zeros_like(points)
        colours[rows] = _developed(light)
        return colours


_EVERY = 8  # of the skin's vertices, one is enough to tell how far the mouth is open


def _widest(animation: Animation) -> tuple[Float32Array, int, Float32Array]:
    """A part of the skin's vertices at rest, the frame farthest off, and its displacement divided by its square."""
    neutral = animation.skin.neutral[::_EVERY]
    tried = np.unique(np.linspace(0, animation.num_frames - 1, _TRIED_FRAMES).round().astype(int))
    moved = [np.asarray(animation.skin.frames[frame], np.float32)[::_EVERY] - neutral for frame in tried]
    reach = [float(np.vdot(one, one)) for one in moved]
    widest = int(np.argmax(reach))
    return neutral, int(tried[widest]), moved[widest] / max(reach[widest], 1e-9)


def _window(places: Float32Array, camera: Camera) -> tuple[int, int, int, int]:
    """The rectangle of the picture that holds all places: left, top, width, height."""
    low, high = np.floor(places[:, :2].min(axis=0)), np.ceil(places[:, :2].max(axis=0))
    left, top = (int(np.clip(value, 0, limit)) for value, limit in zip(low, (camera.width, camera.height), strict=True))
    right, bottom = (
        int(np.clip(value, 0, limit)) for value, limit in zip(high, (camera.width, camera.height), strict=True)
    )
    return left, top, right - left, bottom - top


def _developed(light: Float32Array) -> Float32Array:
    """sRGB from 0 to 255 of linear light, with bright parts rolled off instead of cut."""
    exposed = _EXPOSURE * np.maximum(light, 0)
    rolled = exposed * (1 + exposed / 4.0) / (1 + exposed * 0.75)
    return np.asarray(255 * np.minimum(1.055 * np.maximum(rolled, 1e-6) ** (1 / 2.4) - 0.055, 1), np.float32).clip(
        0, 255
    )


def _paint(
    window: Picture,
    seen: Seen,
    places: Float32Array,
    triangles: npt.NDArray[np.int32],
    body_of: npt.NDArray[np.int32],
    colours: Float32Array,
) -> None:
    """Colours a window of the picture: inside a surface one sample stands for a pixel, at outlines all are mixed."""
    nearest, farthest = seen.keys[0], seen.keys[0]
    for keys in seen.keys[1:]:
        nearest, farthest = np.maximum(nearest, keys), np.minimum(farthest, keys)
    pixels = np.flatnonzero(nearest)
    near, far = Seen.nearness(nearest.reshape(-1).take(pixels)), Seen.nearness(farthest.reshape(-1).take(pixels))
    inside = far > near * np.float32(1 - _GAP)
    first = seen.triangles(0, pixels)
    body = body_of.take(first)
    for sample in range(1, len(seen.keys)):
        inside &= body_of.take(seen.triangles(sample, pixels)) == body
    width = window.shape[1]
    planes = _Planes(places, triangles, colours, len(seen.keys))
    flat = np.empty((window.shape[0] * width, 3), np.uint8)
    flat[:] = window.reshape(-1, 3)
    chosen = pixels[inside]
    flat[chosen] = planes.lit(first[inside], chosen % width, chosen // width, 0)
    chosen = pixels[~inside]
    behind = flat[chosen].astype(np.float32)
    total = np.zeros_like(behind)
    for sample in range(len(seen.keys)):
        lit = planes.lit(seen.triangles(sample, chosen), chosen % width, chosen // width, sample)
        total += np.where(seen.keys[sample].reshape(-1).take(chosen)[:, None] > 0, lit, behind)
    flat[chosen] = total / len(seen.keys) + 0.5
    window[:] = flat.reshape(window.shape)


class _Planes:
    """The colour of each triangle as a function of the place in the picture."""

    def __init__(
        self, places: Float32Array, triangles: npt.NDArray[np.int32], colours: Float32Array, samples: int
    ) -> None:
        self._offsets = PATTERNS[samples]
        corners = np.ascontiguousarray(triangles.T)
        x, y = np.ascontiguousarray(places[:, 0]).take(corners), np.ascontiguousarray(places[:, 1]).take(corners)
        x_1, x_2, y_1, y_2 = x[1] - x[0], x[2] - x[0], y[1] - y[0], y[2] - y[0]
        area = x_1 * y_2 - x_2 * y_1
        share = np.where(np.abs(area) < 1e-2, 0, 1 / np.where(area == 0, 1, area))
        self._channels = []
        for channel in np.ascontiguousarray(colours.T):
            corner = channel.take(corners)
            one, two = (corner[1] - corner[0]) * share, (corner[2] - corner[0]) * share
            right, below = one * y_2 - two * y_1, two * x_1 - one * x_2
            self._channels.append((corner[0] - right * x[0] - below * y[0], right, below))

    def lit(
        self, numbers: npt.NDArray[np.uint32], across: npt.NDArray[np.intp], down: npt.NDArray[np.intp], sample: int
    ) -> Picture:
        """Colours of triangles at a sample of pixels, `[pixels, 3]`."""
        x, y = across.astype(np.float32), down.astype(np.float32)
        x += self._offsets[sample]
        y += (sample + 0.5) / len(self._offsets)
        found = np.empty((len(numbers), 3), np.uint8)
        for channel, (start, right, below) in enumerate(self._channels):
            colour = right.take(numbers)
            colour *= x
            slope = below.take(numbers)
            slope *= y
            colour += slope
            colour += start.take(numbers)
            colour += 0.5
            np.maximum(colour, 0, out=colour)
            found[:, channel] = np.minimum(colour, 255, out=colour)
        return found


def background(width: int, height: int) -> Picture:
    """A neutral backdrop, brighter behind the head, with a trace of noise against banding."""
    across = (np.arange(width) + 0.5) / width - 0.5
    down = (np.arange(height) + 0.5) / height - 0.45
    far = np.clip(np.hypot(across[None] * width / height, down[:, None]) / 0.95, 0, 1)
    share = far * far * (3 - 2 * far)
    noise = np.random.default_rng(0).uniform(-0.5, 0.5, (height, width, 1))
    colour = np.array(_CENTRE) + share[..., None] * (np.array(_RIM) - np.array(_CENTRE)) + noise
    return np.asarray(np.rint(colour), np.uint8)
