"""Where a face is seen from."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from audio2face.export.animation import Float32Array

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
