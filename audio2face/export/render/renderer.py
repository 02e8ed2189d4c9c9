"""Where a face is seen from."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import numpy as np
import numpy.typing as npt

from audio2face.animation.animation import Animation
from audio2face.export.render.lighting import MATERIALS, Lighting, visibility
from audio2face.export.render.raster import rasterise
from audio2face.export.render.scene import Scene
from audio2face.export.render.shading import VisibleSurface, shade
from audio2face.types import Float32Array, Picture

_FIELD = np.radians(20.0)  # the camera's angle from top to bottom: a portrait lens
_TURN, _LIFT = np.radians(9.0), np.radians(3.0)  # where it stands: to the actor's left, and above
_BELOW, _ABOVE = 0.2, 0.05  # of the head's height: how much of the neck is left out, and room above


@dataclass(frozen=True, eq=False)
class Camera:
    """A pinhole camera.

    Attributes:
        eye: where it stands, `[3]`, centimetres.
        distance: from the middle of what it looks at, centimetres.
        axes: its right, up and backward directions, unit vectors `[3, 3]`.
        scale: pixels of a length of one at a distance of one.
        width: of the picture, pixels.
        height: likewise.
    """

    eye: Float32Array
    distance: float
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
        return cls(eye, float(distance), axes, height / (2 * np.tan(_FIELD / 2)), width, height)

    def project(self, points: Float32Array) -> Float32Array:
        """Places in the picture, pixels from its upper left corner, and one over the distance: `[verts, 3]`."""
        seen = (points - self.eye) @ self.axes.T
        nearness = 1 / np.maximum(-seen[:, 2], 1e-3)
        across = self.width / 2 + self.scale * seen[:, 0] * nearness
        down = self.height / 2 - self.scale * seen[:, 1] * nearness
        return np.stack([across, down, nearness], axis=1).astype(np.float32)

    def window(self, places: Float32Array) -> tuple[int, int, int, int]:
        """The rectangle of the picture that holds all of some places: left, top, width, height."""
        limits = (self.width, self.height)
        left, top = np.clip(np.floor(places[:, :2].min(axis=0)), 0, limits).astype(int).tolist()
        right, bottom = np.clip(np.ceil(places[:, :2].max(axis=0)), 0, limits).astype(int).tolist()
        return left, top, right - left, bottom - top


_HEIGHT = 1 / 32  # of a letter, as a share of the picture
_MARGIN = 1 / 26


def write_caption(picture: Picture, text: str) -> None:
    """Writes a line into the lower left corner of a picture `[height, width, 3]`, cut at its right edge."""
    if not text:
        return
    size = max(int(picture.shape[0] * _HEIGHT), 8)
    margin = max(int(picture.shape[0] * _MARGIN), 4)
    mask = _letters(text, size)[:, : max(picture.shape[1] - 2 * margin, 0)]
    bottom = picture.shape[0] - margin
    place = picture[bottom - mask.shape[0] : bottom, margin : margin + mask.shape[1]]
    place[:] = np.rint(place + mask[..., None] * (250.0 - place))


@lru_cache(maxsize=16)
def _letters(text: str, size: int) -> npt.NDArray[np.float32]:
    """How far letters cover each pixel, 0 to 1, `[height, width]`; the height is that of any letter with its tail."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg  # loads for most of a second
    from matplotlib.figure import Figure

    figure = Figure(figsize=(len(text) + 4, 2), dpi=size)
    canvas: Any = FigureCanvasAgg(figure)
    figure.text(0, 0.5, text, fontsize=72, va="center", color="black", parse_math=False)
    canvas.draw()
    covered = 1 - np.asarray(canvas.buffer_rgba(), np.float32)[..., 0] / np.float32(255)
    columns = np.flatnonzero(covered.max(axis=0) > 0.02)
    rows = slice(covered.shape[0] // 2 - size, covered.shape[0] // 2 + size)
    return covered[rows, : columns[-1] + 1 if len(columns) else 0]


_TRIED_FRAMES = 120  # in which the widest open mouth is looked for
_EVERY = 8  # of the skin's vertices, one is enough to tell how far the mouth is open
_AVERTED = -0.3  # cosine between a vertex's normal and the camera below which it cannot be seen
_EXPOSURE = 0.88
_CENTRE, _RIM = (196, 199, 203), (128, 133, 140)  # of the background


class Renderer:
    """Draws one animation; preparing takes about a second, a frame some hundredths of one."""

    def __init__(self, animation: Animation, width: int, height: int, samples: int) -> None:
        """Sets camera and lights for frames of `width` times `height` pixels, with that many samples (`PATTERNS`)."""
        self._samples = samples
        self._scene = Scene(animation)
        self._camera = Camera.framing(animation.skin.neutral, width, height)
        self._background = background(width, height)
        self._studio = Lighting(
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
        places = self._camera.project(self._scene.drawn_points(points))
        left, top, width, height = self._camera.window(places)
        places[:, :2] -= (left, top)
        picture = self._background.copy()
        if width > 0 and height > 0:
            triangles = self._scene.drawn_triangles
            shown = VisibleSurface.from_seen(rasterise(places, triangles, width, height, self._samples))
            colours = self._scene.drawn_colours(self._colours(points, self._openness(number)))
            window = picture[top : top + height, left : left + width]
            shade(window, shown, places, triangles, self._scene.body_of, colours)
        return picture

    def _openness(self, frame: int) -> float:
        """Where a frame stands between rest and the widest open mouth, 0 to 1."""
        moved = np.asarray(self._animation.skin.frames[frame], np.float32)[::_EVERY] - self._neutral
        return float(np.clip(np.vdot(moved, self._opening), 0, 1))

    def _colours(self, points: Float32Array, openness: float) -> Float32Array:
        """sRGB of the vertices, 0 to 255, `[verts, 3]`; 0 for those that face away, with a margin."""
        normals = self._scene.normals(points)
        towards = np.einsum("vc,vc->v", normals, self._camera.eye - points) > _AVERTED * self._camera.distance
        # One ring more: the finer vertices that are drawn take their colours from all around.
        beside = towards[self._scene.triangles].any(axis=1)
        towards[self._scene.triangles[beside]] = True
        rows = np.flatnonzero(towards)
        free = self._seen_at_rest[rows]
        free += np.float32(openness) * (self._seen_open[rows] - free)
        light = self._studio.shade(points[rows], normals[rows], free, self._camera.eye, rows)
        colours = np.zeros_like(points)
        colours[rows] = _developed(light)
        return colours


def _widest(animation: Animation) -> tuple[Float32Array, int, Float32Array]:
    """A part of the skin's vertices at rest, the frame farthest off, and its displacement divided by its square."""
    neutral = animation.skin.neutral[::_EVERY]
    tried = np.unique(np.linspace(0, animation.num_frames - 1, _TRIED_FRAMES).round().astype(int))
    moved = [np.asarray(animation.skin.frames[frame], np.float32)[::_EVERY] - neutral for frame in tried]
    reach = [float(np.vdot(one, one)) for one in moved]
    widest = int(np.argmax(reach))
    return neutral, int(tried[widest]), moved[widest] / max(reach[widest], 1e-9)


def _developed(light: Float32Array) -> Float32Array:
    """sRGB from 0 to 255 of linear light, with bright parts rolled off instead of cut."""
    exposed = _EXPOSURE * np.maximum(light, 0)
    rolled = exposed * (1 + exposed / 4.0) / (1 + exposed * 0.75)
    return np.asarray(255 * np.minimum(1.055 * np.maximum(rolled, 1e-6) ** (1 / 2.4) - 0.055, 1), np.float32).clip(
        0, 255
    )


def background(width: int, height: int) -> Picture:
    """A neutral backdrop, brighter behind the head, with a trace of noise against banding."""
    across = (np.arange(width) + 0.5) / width - 0.5
    down = (np.arange(height) + 0.5) / height - 0.45
    far = np.clip(np.hypot(across[None] * width / height, down[:, None]) / 0.95, 0, 1)
    share = far * far * (3 - 2 * far)
    noise = np.random.default_rng(0).uniform(-0.5, 0.5, (height, width, 1))
    colour = np.array(_CENTRE) + share[..., None] * (np.array(_RIM) - np.array(_CENTRE)) + noise
    return np.asarray(np.rint(colour), np.uint8)
