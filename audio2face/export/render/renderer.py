"""Software renderer of a face: camera, caption, background, and frames of an animation."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import numpy as np

from audio2face.animation.animation import Animation
from audio2face.export.render.lighting import MATERIALS, Lighting, visibility
from audio2face.export.render.raster import rasterise
from audio2face.export.render.scene import Scene
from audio2face.export.render.shading import VisibleSurface, shade
from audio2face.types import Float32Array, Picture

_FIELD = np.radians(20.0)  # vertical field of view: a portrait lens
_TURN, _LIFT = np.radians(9.0), np.radians(3.0)  # of the camera to the actor's left, and upwards
_BELOW, _ABOVE = 0.2, 0.05  # of the head's height: cropped at the neck, and margin above


@dataclass(frozen=True, eq=False)
class Camera:
    """A pinhole camera.

    Attributes:
        eye: position, `[3]`, centimetres.
        distance: to the centre of the view, centimetres.
        axes: its right, up and backward directions, unit vectors `[3, 3]`.
        scale: focal length, pixels.
        width: of the picture, pixels.
        height: of the picture, pixels.
    """

    eye: Float32Array
    distance: float
    axes: Float32Array
    scale: float
    width: int
    height: int

    @classmethod
    def framing(cls, points: Float32Array, width: int, height: int) -> Camera:
        """A camera in front of a head `[verts, 3]` that frames it from just below the chin to above the hair."""
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
        """Screen positions, pixels from the upper left corner, and one over the distance: `[verts, 3]`."""
        local = (points - self.eye) @ self.axes.T
        nearness = 1 / np.maximum(-local[:, 2], 1e-3)
        across = self.width / 2 + self.scale * local[:, 0] * nearness
        down = self.height / 2 - self.scale * local[:, 1] * nearness
        return np.stack([across, down, nearness], axis=1).astype(np.float32)

    def window(self, positions: Float32Array) -> tuple[int, int, int, int]:
        """The bounding rectangle of screen positions within the picture: left, top, width, height."""
        limits = (self.width, self.height)
        left, top = np.clip(np.floor(positions[:, :2].min(axis=0)), 0, limits).astype(int).tolist()
        right, bottom = np.clip(np.ceil(positions[:, :2].max(axis=0)), 0, limits).astype(int).tolist()
        return left, top, right - left, bottom - top


_HEIGHT = 1 / 32  # of a letter, as a fraction of the picture
_MARGIN = 1 / 26


def write_caption(picture: Picture, text: str) -> None:
    """Writes a line into the lower left corner of a picture `[height, width, 3]`, clipped at its right edge."""
    if not text:
        return
    size = max(int(picture.shape[0] * _HEIGHT), 8)
    margin = max(int(picture.shape[0] * _MARGIN), 4)
    mask = _letters(text, size)[:, : max(picture.shape[1] - 2 * margin, 0)]
    bottom = picture.shape[0] - margin
    area = picture[bottom - mask.shape[0] : bottom, margin : margin + mask.shape[1]]
    area[:] = np.rint(area + mask[..., None] * (250.0 - area))


@lru_cache(maxsize=16)
def _letters(text: str, size: int) -> Float32Array:
    """Coverage of each pixel by letters, 0 to 1, `[height, width]`; the height fits all letters with descenders."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg  # loads in most of a second
    from matplotlib.figure import Figure

    figure = Figure(figsize=(len(text) + 4, 2), dpi=size)
    canvas: Any = FigureCanvasAgg(figure)
    figure.text(0, 0.5, text, fontsize=72, va="center", color="black", parse_math=False)
    canvas.draw()
    covered = 1 - np.asarray(canvas.buffer_rgba(), np.float32)[..., 0] / np.float32(255)
    columns = np.flatnonzero(covered.max(axis=0) > 0.02)
    rows = slice(covered.shape[0] // 2 - size, covered.shape[0] // 2 + size)
    return covered[rows, : columns[-1] + 1 if len(columns) else 0]


_SEARCH_FRAMES = 120  # frames searched for the widest open mouth
_EVERY = 8  # stride of the skin's vertices that measure how open the mouth is
_AVERTED = -0.3  # cosine between normal and view below which a vertex is back-facing
_EXPOSURE = 0.88
_CENTRE, _RIM = (196, 199, 203), (128, 133, 140)  # of the background


class Renderer:
    """Renders one animation; setup takes about a second, a frame some hundredths of a second."""

    def __init__(self, animation: Animation, width: int, height: int, samples: int) -> None:
        """Prepares camera and lights.

        Args:
            animation: the animation.
            width: pixels.
            height: pixels.
            samples: per pixel; a key of `raster.PATTERNS`.
        """
        self._samples = samples
        self._scene = Scene(animation)
        self._camera = Camera.framing(animation.skin.neutral, width, height)
        self._background = background(width, height)
        self._lighting = Lighting(
            self._scene.albedo, [MATERIALS[name] for name in self._scene.materials], self._scene.material_of
        )
        neutral, open_frame, self._opening = _widest(animation)
        self._neutral, self._animation = neutral, animation
        neutral_pose, open_pose = self._scene.neutral_pose(), self._scene.pose(open_frame)
        self._visible_neutral, self._visible_open = (
            visibility(pose, self._scene.normals(pose), self._scene.triangles) for pose in (neutral_pose, open_pose)
        )

    def frame(self, number: int) -> Picture:
        """The picture of a frame, sRGB `[height, width, 3]`."""
        points = self._scene.pose(number)
        positions = self._camera.project(self._scene.drawn_points(points))
        left, top, width, height = self._camera.window(positions)
        positions[:, :2] -= (left, top)
        picture = self._background.copy()
        if width > 0 and height > 0:
            triangles = self._scene.drawn_triangles
            visible = VisibleSurface.from_buffer(rasterise(positions, triangles, width, height, self._samples))
            colours = self._scene.drawn_colours(self._colours(points, self._openness(number)))
            window = picture[top : top + height, left : left + width]
            shade(window, visible, positions, triangles, self._scene.body_of, colours)
        return picture

    def _openness(self, frame: int) -> float:
        """Opening of the mouth in a frame, from neutral (0) to the widest (1)."""
        offsets = np.asarray(self._animation.skin.frames[frame], np.float32)[::_EVERY] - self._neutral
        return float(np.clip(np.vdot(offsets, self._opening), 0, 1))

    def _colours(self, points: Float32Array, openness: float) -> Float32Array:
        """sRGB of the vertices, 0 to 255, `[verts, 3]`; 0 for back-facing ones, with a margin."""
        normals = self._scene.normals(points)
        towards = np.einsum("vc,vc->v", normals, self._camera.eye - points) > _AVERTED * self._camera.distance
        # One more ring: refined vertices interpolate colours of their neighbours.
        adjacent = towards[self._scene.triangles].any(axis=1)
        towards[self._scene.triangles[adjacent]] = True
        rows = np.flatnonzero(towards)
        visible = self._visible_neutral[rows]
        visible += np.float32(openness) * (self._visible_open[rows] - visible)
        light = self._lighting.shade(points[rows], normals[rows], visible, self._camera.eye, rows)
        colours = np.zeros_like(points)
        colours[rows] = _tone_mapped(light)
        return colours


def _widest(animation: Animation) -> tuple[Float32Array, int, Float32Array]:
    """A subset of the neutral skin, the frame farthest from it, and its offsets divided by their squared norm."""
    neutral = animation.skin.neutral[::_EVERY]
    candidates = np.unique(np.linspace(0, animation.num_frames - 1, _SEARCH_FRAMES).round().astype(int))
    offsets = [np.asarray(animation.skin.frames[frame], np.float32)[::_EVERY] - neutral for frame in candidates]
    reach = [float(np.vdot(one, one)) for one in offsets]
    widest = int(np.argmax(reach))
    return neutral, int(candidates[widest]), offsets[widest] / max(reach[widest], 1e-9)


def _tone_mapped(light: Float32Array) -> Float32Array:
    """Tone mapping: sRGB from 0 to 255 of linear light, with a soft roll-off of highlights."""
    exposed = _EXPOSURE * np.maximum(light, 0)
    rolled = exposed * (1 + exposed / 4.0) / (1 + exposed * 0.75)
    return np.asarray(255 * np.minimum(1.055 * np.maximum(rolled, 1e-6) ** (1 / 2.4) - 0.055, 1), np.float32).clip(
        0, 255
    )


def background(width: int, height: int) -> Picture:
    """A neutral background, brighter behind the head, with slight noise against banding."""
    across = (np.arange(width) + 0.5) / width - 0.5
    down = (np.arange(height) + 0.5) / height - 0.45
    far = np.clip(np.hypot(across[None] * width / height, down[:, None]) / 0.95, 0, 1)
    share = far * far * (3 - 2 * far)
    noise = np.random.default_rng(0).uniform(-0.5, 0.5, (height, width, 1))
    colour = np.array(_CENTRE) + share[..., None] * (np.array(_RIM) - np.array(_CENTRE)) + noise
    return np.asarray(np.rint(colour), np.uint8)
