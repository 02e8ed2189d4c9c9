"""Pictures of a finished face, drawn by the processor alone: no display, no graphics card, no graphics library."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from audio2face.export.animation import Animation, Float32Array
from audio2face.export.camera import Camera
from audio2face.export.paint import Shown, paint
from audio2face.export.raster import rasterise
from audio2face.export.scene import Scene
from audio2face.export.studio import MATERIALS, Studio, visibility

Picture = npt.NDArray[np.uint8]

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
        places = self._camera.project(self._scene.drawn_points(points))
        left, top, width, height = self._camera.window(places)
        places[:, :2] -= (left, top)
        picture = self._background.copy()
        if width > 0 and height > 0:
            triangles = self._scene.drawn_triangles
            shown = Shown.of(rasterise(places, triangles, width, height, self._samples))
            colours = self._scene.drawn_colours(self._colours(points, self._openness(number)))
            window = picture[top : top + height, left : left + width]
            paint(window, shown, places, triangles, self._scene.body_of, colours)
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
