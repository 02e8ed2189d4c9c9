"""Lighting of deforming surfaces: area lights, ambient occlusion and shadows, and specular reflections.

Light arrives from a fixed set of directions. The visibility of each vertex from them is computed once per pose by
rendering a depth map from each direction; frames interpolate between two such poses.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from audio2face.export.render.raster import VisibilityBuffer, rasterise
from audio2face.types import Float32Array, Int32Array, Int64Array

_DIRECTIONS = 48
_MAP_PIXELS = 160  # of the depth map of one direction
_OFF_SURFACE_CM = 0.12  # offset of a vertex along its normal before the depth test
_BIAS_CM = 0.12  # of the depth test, against self-shadowing

# Direction to the lamp, its light (linear red, green, blue), and its width (cosine at half of the intensity).
_LIGHTS = (
    ((-0.60, 0.55, 0.70), (4.30, 4.00, 3.70), 0.86),  # key, upper left
    ((0.90, 0.10, 0.55), (0.55, 0.63, 0.76), 0.65),  # fill, right
    ((0.75, 0.40, -0.75), (2.20, 2.30, 2.50), 0.80),  # rim, behind right
    ((-0.85, 0.30, -0.60), (1.20, 1.15, 1.10), 0.80),  # rim, behind left
)
_SKY, _GROUND = (0.32, 0.34, 0.38), (0.17, 0.14, 0.12)
# Lamps with specular reflections, and the reflected direction: of the key its lower edge, which lids do not occlude.
_MIRRORED = ((0, (-0.46, 0.30, 0.84)), (1, (0.85, 0.09, 0.52)), (2, (0.66, 0.35, -0.66)))


@dataclass(frozen=True)
class Material:
    """Reflection of light by a surface.

    Attributes:
        scatter: fraction of subsurface scattering in red, green and blue: softer, redder shadows.
        shine: strength of specular reflections.
        sharpness: specular exponent: 10 for skin, hundreds for wet surfaces.
    """

    scatter: tuple[float, float, float]
    shine: float
    sharpness: float


MATERIALS = {
    "skin": Material((0.50, 0.24, 0.16), 0.20, 16.0),
    "tongue": Material((0.45, 0.25, 0.2), 0.5, 40.0),
    "teeth": Material((0.75, 0.72, 0.66), 0.5, 60.0),
    "eye": Material((0.25, 0.25, 0.25), 2.2, 260.0),
    "marker": Material((0.0, 0.0, 0.0), 0.1, 10.0),
}


def directions() -> Float32Array:
    """Directions of incoming light, unit vectors `[directions, 3]` on a Fibonacci lattice of the sphere."""
    index = np.arange(_DIRECTIONS) + 0.5
    height = 1 - 2 * index / _DIRECTIONS
    around = index * np.pi * (1 + 5**0.5)
    radius = np.sqrt(1 - height**2)
    return np.stack([radius * np.cos(around), height, radius * np.sin(around)], axis=1).astype(np.float32)


def radiance(towards: Float32Array) -> Float32Array:
    """Radiance from unit directions `[n, 3]`: lamps and a vertical sky gradient; `[n, 3]`."""
    up = (towards[:, 1:2] + 1) / 2
    light = up * np.array(_SKY) + (1 - up) * np.array(_GROUND)
    for lamp, colour, half in _LIGHTS:
        cosine = towards @ (np.array(lamp) / np.linalg.norm(lamp))
        light += (cosine[:, None] > -1) * np.exp2((cosine[:, None] - 1) / (1 - half)) * np.array(colour)
    return np.asarray(light, np.float32)


def visibility(points: Float32Array, normals: Float32Array, triangles: Int32Array) -> Float32Array:
    """Visibility of each of `directions` from each vertex of a scene, 0 to 1, float32 `[verts, directions]`.

    Args:
        points: `[verts, 3]`, centimetres.
        normals: `[verts, 3]`.
        triangles: `[triangles, 3]`, all occluders.
    """
    found = np.empty((len(points), _DIRECTIONS), np.float32)
    centre = (points.max(axis=0) + points.min(axis=0)) / 2
    reach = float(np.linalg.norm(points - centre, axis=1).max()) + 1.0
    scale = (_MAP_PIXELS - 4) / (2 * reach)
    raised = points + _OFF_SURFACE_CM * normals
    for number, towards in enumerate(directions()):
        across = _across(towards)
        scene = _onto_map(points - centre, across, towards, scale, reach)
        depth = VisibilityBuffer.nearness(rasterise(scene, triangles, _MAP_PIXELS, _MAP_PIXELS, samples=1).keys[0])
        found[:, number] = _unoccluded(depth, _onto_map(raised - centre, across, towards, scale, reach), _BIAS_CM)
    return found


def _across(towards: Float32Array) -> Float32Array:
    """Two unit vectors `[2, 3]` orthogonal to a direction: right and up of a view against it."""
    helper = np.array([0.0, 1.0, 0.0] if abs(towards[1]) < 0.9 else [0.0, 0.0, 1.0])
    right = np.cross(helper, towards)
    right /= np.linalg.norm(right)
    return np.stack([right, np.cross(towards, right)]).astype(np.float32)


def _onto_map(
    points: Float32Array, across: Float32Array, towards: Float32Array, scale: float, reach: float
) -> Float32Array:
    """Map positions in pixels, and nearness in centimetres from a plane behind the scene."""
    flat = points @ across.T * scale
    middle = _MAP_PIXELS / 2
    return np.stack([middle + flat[:, 0], middle - flat[:, 1], points @ towards + reach], axis=1).astype(np.float32)


def _unoccluded(depth: Float32Array, positions: Float32Array, bias: float) -> Float32Array:
    """Bilinear fraction of the four map pixels around each position without a nearer surface."""
    corner = np.floor(positions[:, :2] - 0.5)
    share = positions[:, :2] - 0.5 - corner
    column, row = corner.astype(np.int64).T
    total = np.zeros(len(positions), np.float32)
    for right in (0, 1):
        for below in (0, 1):
            weight = np.abs(1 - right - share[:, 0]) * np.abs(1 - below - share[:, 1])
            total += weight * (positions[:, 2] + bias >= depth[row + below, column + right])
    return total


class Lighting:
    """Computes the shaded colours of the vertices of one scene."""

    def __init__(self, albedo: Float32Array, materials: list[Material], material_of: Int32Array) -> None:
        """Prepares the constants of all frames.

        Args:
            albedo: colours of the vertices in linear light, `[verts, 3]`.
            materials: the materials of the scene.
            material_of: index of the material of each vertex, `[verts]`.
        """
        self._directions = directions()
        self._light = radiance(self._directions) / _DIRECTIONS
        scatter = np.array([material.scatter for material in materials], np.float32)[material_of]
        self._direct, self._scattered = albedo * (1 - scatter), albedo * scatter
        self._shine = np.array([material.shine for material in materials], np.float32)[material_of]
        self._sharpness = np.array([material.sharpness for material in materials], np.float32)[material_of]
        lamps = np.array([np.array(lamp[0]) / np.linalg.norm(lamp[0]) for lamp in _LIGHTS], np.float32)
        self._lamp_light = np.array([lamp[1] for lamp in _LIGHTS], np.float32)
        near = np.maximum(self._directions @ lamps.T - 0.6, 0) ** 2
        self._lamp_share = (near / near.sum(axis=0)).astype(np.float32)

    def shade(
        self,
        points: Float32Array,
        normals: Float32Array,
        visible: Float32Array,
        eye: Float32Array,
        rows: Int64Array,
    ) -> Float32Array:
        """Light from vertices to the camera.

        Args:
            points: `[rows, 3]`, centimetres.
            normals: `[rows, 3]`.
            visible: result of `visibility`, `[rows, directions]`.
            eye: position of the camera, `[3]`.
            rows: indices of these vertices in the scene.

        Returns:
            Linear red, green and blue, `[rows, 3]`, about 1 for white.
        """
        cosines = normals @ self._directions.T
        direct = np.maximum(cosines, 0)
        direct *= visible
        wrapped = np.maximum(cosines + 0.45, 0)
        wrapped *= 1 / 1.45
        wrapped *= 0.35 + 0.65 * visible
        light = self._direct[rows] * (direct @ self._light)
        light += self._scattered[rows] * (wrapped @ self._light)
        light *= 4.0  # the mean of a clamped cosine over the sphere is a quarter
        view = eye - points
        view /= np.linalg.norm(view, axis=1, keepdims=True)
        return np.asarray(light + self._reflections(normals, view, visible, rows), np.float32)

    def _reflections(
        self, normals: Float32Array, view: Float32Array, visible: Float32Array, rows: Int64Array
    ) -> Float32Array:
        """Specular reflections of lamps (Blinn and Phong) with a Fresnel term (Schlick)."""
        lamp_visible = visible @ self._lamp_share
        facing = np.clip(np.einsum("vc,vc->v", normals, view), 0, 1)
        fresnel = self._shine[rows] * (0.25 + 0.75 * (1 - facing) ** 4)
        sharpness = self._sharpness[rows]
        total = np.zeros_like(normals)
        for lamp, direction in _MIRRORED:
            half = view + np.array(direction, np.float32)
            half /= np.linalg.norm(half, axis=1, keepdims=True)
            cosine = np.clip(np.einsum("vc,vc->v", normals, half), 1e-4, 1)
            strength = np.exp(sharpness * np.log(cosine)) * fresnel * lamp_visible[:, lamp]
            total += strength[:, None] * self._lamp_light[lamp]
        return total
