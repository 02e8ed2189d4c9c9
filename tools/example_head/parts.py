"""Teeth and eyes, modelled on the simple shapes that the base mesh carries.

The base mesh's teeth are one strip and its eyes coarse balls. Here a row of rounded teeth in gums follows the strip,
and each eye is a finer ball with an iris; both are then fitted to a face through the base mesh's own helper vertices.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from tools.example_head.identities import Colour
from tools.example_head.source import Indices, Points

Colours = npt.NDArray[np.uint8]

_ENAMEL, _GUM = (236, 229, 212), (176, 92, 92)
_SCLERA, _PUPIL = (238, 234, 230), (12, 10, 10)
# Widths along the arch in centimetres, from the middle backwards (common adult values, rounded).
_UPPER_WIDTHS = (0.85, 0.66, 0.76, 0.7, 0.68, 1.0, 0.95)
_LOWER_WIDTHS = (0.55, 0.6, 0.7, 0.7, 0.72, 1.05, 1.0)
_THICKNESS = 0.42
_TOOTH_CELLS = 4
_IRIS_DEGREES, _PUPIL_DEGREES = 25.0, 9.5


@dataclass(frozen=True)
class Part:
    """A piece of geometry of its own: vertices `[verts, 3]` cm, quads `[faces, 4]`, colours `[verts, 3]` sRGB."""

    vertices: Points
    faces: Indices
    colours: Colours


def join(parts: list[Part]) -> Part:
    """Several parts as one."""
    starts = np.cumsum([0] + [len(part.vertices) for part in parts[:-1]])
    return Part(
        np.concatenate([part.vertices for part in parts]),
        np.concatenate([part.faces + start for part, start in zip(parts, starts, strict=True)]),
        np.concatenate([part.colours for part in parts]),
    )


def affine_map(source: Points, target: Points) -> npt.NDArray[np.float64]:
    """Least-squares affine map `[4, 3]` (rows x, y, z, 1) that takes `source` to `target`, both `[verts, 3]`."""
    return np.linalg.lstsq(np.c_[source, np.ones(len(source))], target, rcond=None)[0]


def apply_affine(points: Points, mapping: npt.NDArray[np.float64]) -> Points:
    """Applies an `affine_map`."""
    return np.c_[points, np.ones(len(points))] @ mapping


def teeth(edge: Points, gum: Points, *, upper: bool) -> Part:
    """A row of fourteen teeth in their gum.

    Args:
        edge: `[n, 3]` the biting edge of the base mesh's strip, the actor's right to left, centimetres.
        gum: `[n, 3]` the strip's border in the gum, same columns.
        upper: which jaw.
    """
    widths = _UPPER_WIDTHS if upper else _LOWER_WIDTHS
    steps = np.linalg.norm(np.diff(edge, axis=0), axis=1)
    along = np.concatenate([[0.0], np.cumsum(steps)])
    along -= along[-1] / 2
    half = along[-1] / sum(widths)
    borders = np.concatenate([[0.0], np.cumsum(widths)]) * half
    centres = (borders[1:] + borders[:-1]) / 2

    def at(curve: Points, where: float) -> Points:
        return np.array([np.interp(where, along, curve[:, axis]) for axis in range(3)])

    pieces = []
    for sign in (-1.0, 1.0):
        for number, (centre, width) in enumerate(zip(centres, np.array(widths) * half, strict=True)):
            low, high = at(edge, sign * centre), at(gum, sign * centre)
            tangent = at(edge, sign * centre + width / 2) - at(edge, sign * centre - width / 2)
            pieces.append(_tooth(low, high, tangent, width, molar=number >= 3))
    return join([_gum(edge, gum), *pieces])


def _tooth(edge: Points, gum: Points, tangent: Points, width: float, *, molar: bool) -> Part:
    """One rounded block between its biting edge and its gum, narrower at the edge unless it is a molar."""
    across = tangent / np.linalg.norm(tangent)
    rise = gum - edge
    height = float(np.linalg.norm(rise))
    rise = rise / height
    outwards = np.cross(across, rise)
    outwards *= np.sign(outwards[2] or 1.0)
    cube, faces = _cube(_TOOTH_CELLS)
    block = cube / np.linalg.norm(cube**3, axis=1, keepdims=True) ** (1 / 3)
    from_edge = (block[:, 1] + 1) / 2
    thickness = _THICKNESS * (1.9 if molar else 0.45 + 0.55 * from_edge)
    sideways = block[:, 0] * width * 0.49 * (0.94 + 0.06 * (1 - from_edge))
    deep = (block[:, 2] - 1) / 2 * thickness
    vertices = (
        edge
        + sideways[:, None] * across
        + (from_edge * height * 0.86)[:, None] * rise
        + deep[:, None] * outwards
    )
    return Part(vertices, _outward(vertices, faces), _painted(len(vertices), _ENAMEL))


def _gum(edge: Points, gum: Points) -> Part:
    """A tube along the gum line that the teeth grow out of."""
    ring, samples = 8, 29
    at = np.linspace(0, len(gum) - 1, samples)
    columns = np.arange(len(gum))
    roots = np.stack([np.interp(at, columns, gum[:, axis]) for axis in range(3)], axis=1)
    tips = np.stack([np.interp(at, columns, edge[:, axis]) for axis in range(3)], axis=1)
    rise = roots - tips
    rise /= np.linalg.norm(rise, axis=1, keepdims=True)
    tangent = np.gradient(roots, axis=0)
    outwards = np.cross(tangent, rise)
    outwards /= np.linalg.norm(outwards, axis=1, keepdims=True)
    outwards *= np.where((outwards * (roots - roots.mean(axis=0))).sum(axis=1) < 0, -1.0, 1.0)[:, None]
    angle = np.linspace(0, 2 * np.pi, ring, endpoint=False)
    centre = roots - 0.24 * outwards
    vertices = (
        centre[:, None]
        + 0.26 * np.cos(angle)[:, None] * outwards[:, None]
        + 0.3 * np.sin(angle)[:, None] * rise[:, None]
    ).reshape(-1, 3)
    row, column = np.meshgrid(np.arange(samples - 1), np.arange(ring), indexing="ij")
    following = (column + 1) % ring
    faces = np.stack(
        [row * ring + column, (row + 1) * ring + column, (row + 1) * ring + following, row * ring + following], axis=-1
    ).reshape(-1, 4)
    return Part(vertices, _outward(vertices, faces, tube=ring), _painted(len(vertices), _GUM))


def eye(helper: Points, iris: Colour) -> tuple[Part, Points]:
    """A ball with an iris in place of the base mesh's coarse one.

    Args:
        helper: `[verts, 3]` the base mesh's ball, centimetres.
        iris: colour of the iris, sRGB.

    Returns:
        The eye looking along +z, and its centre `[3]`: the sphere fitted to the helper by linear least squares.
    """
    solution = np.linalg.lstsq(np.c_[2 * helper, np.ones(len(helper))], (helper**2).sum(axis=1), rcond=None)[0]
    centre = solution[:3]
    radius = float(np.sqrt(solution[3] + centre @ centre))
    # Rings from the pole of the pupil; colour borders get two rings close together so that they stay sharp.
    pupil, rim = _PUPIL_DEGREES, _IRIS_DEGREES
    rings = np.radians([2, pupil - 0.4, pupil + 0.4, 17, rim - 2.5, rim - 0.6, rim + 0.8, 40, 60, 80, 100, 125, 150, 176])
    sectors = 24
    around = np.linspace(0, 2 * np.pi, sectors, endpoint=False)
    polar, azimuth = np.meshgrid(rings, around, indexing="ij")
    ball = np.stack([np.sin(polar) * np.cos(azimuth), np.sin(polar) * np.sin(azimuth), np.cos(polar)], axis=-1)
    row, column = np.meshgrid(np.arange(len(rings) - 1), np.arange(sectors), indexing="ij")
    following = (column + 1) % sectors
    sides = np.stack(
        [row * sectors + column, (row + 1) * sectors + column, (row + 1) * sectors + following, row * sectors + following],
        axis=-1,
    ).reshape(-1, 4)
    vertices = centre + radius * ball.reshape(-1, 3)
    faces = np.concatenate([sides, _cap(0, sectors, flip=False), _cap((len(rings) - 1) * sectors, sectors, flip=True)])
    return Part(vertices, faces, _eye_colours(np.degrees(polar).ravel(), azimuth.ravel(), iris)), centre


def _cap(first: int, sectors: int, *, flip: bool) -> Indices:
    """Quads that close a ring of `sectors` vertices: a strip across it."""
    rows = [
        [first + step, first + step + 1, first + sectors - step - 2, first + sectors - step - 1]
        for step in range(sectors // 2 - 1)
    ]
    quads = np.array(rows, dtype=np.int64)
    return quads[:, ::-1] if flip else quads


def _eye_colours(polar: Points, azimuth: Points, iris: Colour) -> Colours:
    """White, a dark-rimmed iris with faint rays, a black pupil."""
    rays = 1 + 0.12 * np.sin(7 * azimuth) * np.sin(3 * azimuth + 1)
    rim = np.where(polar > _IRIS_DEGREES - 2, 0.45, 1.0)
    colours = np.where((polar < _IRIS_DEGREES)[:, None], np.outer(rays * rim, iris), np.array(_SCLERA, float))
    colours[polar < _PUPIL_DEGREES] = _PUPIL
    return np.clip(np.rint(colours), 0, 255).astype(np.uint8)


def _painted(count: int, colour: Colour) -> Colours:
    return np.tile(np.array(colour, dtype=np.uint8), (count, 1))


def _cube(cells: int) -> tuple[Points, Indices]:
    """Surface of the cube from -1 to 1 with `cells` quads along each edge; shared vertices on its edges."""
    points: list[tuple[float, ...]] = []
    faces: list[list[int]] = []
    number: dict[tuple[float, ...], int] = {}
    grid = np.linspace(-1, 1, cells + 1)

    def vertex(axis: int, side: float, u: float, v: float) -> int:
        point = [0.0, 0.0, 0.0]
        point[axis], point[(axis + 1) % 3], point[(axis + 2) % 3] = side, u, v
        key = tuple(point)
        if key not in number:
            number[key] = len(points)
            points.append(key)
        return number[key]

    for axis in range(3):
        for side in (-1.0, 1.0):
            for i in range(cells):
                for j in range(cells):
                    corners = ((i, j), (i + 1, j), (i + 1, j + 1), (i, j + 1))
                    quad = [vertex(axis, side, float(grid[u]), float(grid[v])) for u, v in corners]
                    faces.append(quad if side > 0 else quad[::-1])
    return np.array(points), np.array(faces, dtype=np.int64)


def _outward(vertices: Points, faces: Indices, tube: int = 0) -> Indices:
    """Turns all faces round when most of them look inwards; a tube's inside is the centre of each ring of `tube`."""
    middles = vertices[faces].mean(axis=1)
    normals = np.cross(vertices[faces[:, 2]] - vertices[faces[:, 0]], vertices[faces[:, 3]] - vertices[faces[:, 1]])
    if tube:
        rings = vertices.reshape(-1, tube, 3).mean(axis=1)
        inside = rings[faces[:, 0] // tube]
    else:
        inside = vertices.mean(axis=0)
    looks_outwards = (normals * (middles - inside)).sum(axis=1)
    return faces if looks_outwards.sum() > 0 else faces[:, ::-1]
