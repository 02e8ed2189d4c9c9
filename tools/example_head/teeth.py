"""Rows of teeth in their gums, in place of the plain strips that the base mesh carries."""

from __future__ import annotations

import numpy as np

from tools.example_head.geometry import Piece, carried_along, cube, join, painted, tube_faces
from tools.example_head.source import Indices, Points, Source

# Columns of the base mesh's strips from the middle to the actor's left: biting edge, border in the gum.
_EDGES = {
    "upper": (15069, 15086, 15071, 15070, 15085, 15078, 15077, 15076, 15080),
    "lower": (15010, 15001, 15002, 15003, 15004, 15005, 15006, 15007, 15008),
}
_BORDERS = {
    "upper": (15061, 15060, 15062, 15063, 15064, 15065, 15066, 15067, 15068),
    "lower": (14993, 14992, 14994, 14995, 14996, 14997, 14998, 14999, 15000),
}
# Relative widths along the arch from the middle backwards (common adult values, rounded).
_WIDTHS = {
    "upper": (0.85, 0.66, 0.76, 0.7, 0.68, 1.0, 0.95),
    "lower": (0.55, 0.6, 0.7, 0.7, 0.72, 1.05, 1.0),
}
_FIRST_PREMOLAR = 3
_CROWN_SHARE = 0.58
"""Share of the strip's height that stands out of the gum."""
_ARCH_SCALE = 0.975
"""The rows stand this much further in than the strips, off the lips."""
_THICKNESS = 0.42
_CELLS = 4
_ENAMEL, _GUM = (236, 229, 212), (176, 92, 92)


def strip(source: Source, jaw: str) -> Indices:
    """Vertices of the base mesh's strip of the `upper` or `lower` jaw."""
    return np.unique(source.groups[f"helper-{jaw}-teeth"])


def row(source: Source, jaw: str) -> Piece:
    """Fourteen teeth and their gum where the base mesh has the strip of that jaw."""
    edge, border = (_mirrored(source.vertices[list(half[jaw])]) for half in (_EDGES, _BORDERS))
    back = np.array([0.0, 0.0, edge[:, 2].min()])
    edge, border = ((line - back) * [_ARCH_SCALE, 1.0, _ARCH_SCALE] + back for line in (edge, border))
    gum = edge + _CROWN_SHARE * (border - edge)

    along = np.concatenate([[0.0], np.cumsum(np.linalg.norm(np.diff(edge, axis=0), axis=1))])
    along -= along[-1] / 2
    widths = np.array(_WIDTHS[jaw]) * along[-1] / sum(_WIDTHS[jaw])
    ends = np.cumsum(widths)
    pieces = [_gum(edge, gum)]
    for side in (-1.0, 1.0):
        for number, (end, width) in enumerate(zip(ends, widths, strict=True)):
            places = side * (end - width / 2) + np.array([-0.5, 0.0, 0.5]) * width
            right, foot, left = _sampled(edge, along, places)
            crown = _sampled(gum, along, places[1:2])[0]
            pieces.append(_tooth(foot, crown, left - right, width, flat=number >= _FIRST_PREMOLAR))
    return join(pieces)


def fitted(source: Source, face: Points, jaw: str) -> Points:
    """Vertices of `row` in a face `[verts, 3]`, which carries the strip with it."""
    helper = strip(source, jaw)
    return carried_along(row(source, jaw).vertices, source.vertices[helper], face[helper])


def keypoints(face: Points) -> Points:
    """Five points `[5, 3]` of a face's lower teeth that span space.

    They are the front edge, the edges of both molars, and both premolars in the gum, right before left.
    """
    front = face[_EDGES["lower"][0]] * [0, 1, 1]
    molar, premolar = face[_EDGES["lower"][6]], face[_BORDERS["lower"][3]]
    mirror = np.array([-1, 1, 1])
    return np.array([front, molar * mirror, molar, premolar * mirror, premolar])


def _mirrored(half: Points) -> Points:
    """A line of points from the actor's right to left from its left half, middle first."""
    return np.concatenate([half[:0:-1] * [-1, 1, 1], half])


def _sampled(line: Points, along: Points, places: Points) -> Points:
    """Points `[places, 3]` of a line given at the arc lengths `along`."""
    return np.stack([np.interp(places, along, line[:, axis]) for axis in range(3)], axis=1)


def _tooth(edge: Points, gum: Points, across: Points, width: float, *, flat: bool) -> Piece:
    """One rounded block between its biting edge and its gum; front teeth thin out towards the edge."""
    across = across / np.linalg.norm(across)
    rise = gum - edge
    height = float(np.linalg.norm(rise))
    rise = rise / height
    outwards = np.cross(across, rise)
    outwards *= np.sign(outwards[2] or 1.0)
    box, faces = cube(_CELLS)
    block = box / np.linalg.norm(box**3, axis=1, keepdims=True) ** (1 / 3)
    up = (block[:, 1] + 1) / 2
    thickness = _THICKNESS * (1.9 if flat else 0.45 + 0.55 * up)
    vertices = (
        edge
        + np.outer(block[:, 0] * width * 0.49 * (1 - 0.06 * up), across)
        + np.outer(up * height * 0.86, rise)
        + np.outer((block[:, 2] - 1) / 2 * thickness, outwards)
    )
    # The frame is left-handed where the gum lies above the edge.
    handed = np.linalg.det([across, rise, outwards]) > 0
    return Piece(vertices, faces if handed else faces[:, ::-1], painted(len(vertices), _ENAMEL))


def _gum(edge: Points, gum: Points) -> Piece:
    """A tube along the gum line that the teeth grow out of."""
    samples, sectors = 29, 8
    columns = np.arange(len(gum), dtype=float)
    places = np.linspace(0, len(gum) - 1, samples)
    roots, tips = _sampled(gum, columns, places), _sampled(edge, columns, places)
    rise = (roots - tips) / np.linalg.norm(roots - tips, axis=1, keepdims=True)
    outwards = np.cross(np.gradient(roots, axis=0), rise)
    outwards /= np.linalg.norm(outwards, axis=1, keepdims=True)
    above = bool(rise[samples // 2, 1] > 0)
    outwards *= np.sign(outwards[samples // 2, 2])
    angle = np.linspace(0, 2 * np.pi, sectors, endpoint=False)[:, None]
    rings = (roots - 0.24 * outwards)[:, None] + (
        0.26 * np.cos(angle) * outwards[:, None] + 0.3 * np.sin(angle) * rise[:, None]
    )
    vertices = rings.reshape(-1, 3)
    faces = tube_faces(samples, sectors)
    return Piece(vertices, faces[:, ::-1] if above else faces, painted(len(vertices), _GUM))
