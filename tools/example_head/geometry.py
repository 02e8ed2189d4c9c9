"""Pieces of geometry: quads with vertex colours, joined, turned outwards and fitted by an affine map."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from tools.example_head.identities import Colour
from tools.example_head.source import Indices, Points

Colours = npt.NDArray[np.uint8]


@dataclass(frozen=True)
class Piece:
    """Vertices `[verts, 3]` in centimetres, quads `[faces, 4]`, colours `[verts, 3]` in sRGB."""

    vertices: Points
    faces: Indices
    colours: Colours


def join(pieces: list[Piece]) -> Piece:
    """Several pieces as one."""
    starts = np.cumsum([0] + [len(piece.vertices) for piece in pieces[:-1]])
    return Piece(
        np.concatenate([piece.vertices for piece in pieces]),
        np.concatenate([piece.faces + start for piece, start in zip(pieces, starts, strict=True)]),
        np.concatenate([piece.colours for piece in pieces]),
    )


def painted(count: int, colour: Colour) -> Colours:
    """One colour for `count` vertices: `[count, 3]`."""
    return np.tile(np.array(colour, dtype=np.uint8), (count, 1))


def rounded_colours(colours: Points) -> Colours:
    """Colours `[verts, 3]` from 0 to 255 as whole numbers."""
    whole: Colours = np.clip(np.rint(colours), 0, 255).astype(np.uint8)
    return whole


def ease(values: Points, start: float, end: float = 1.0) -> Points:
    """0 up to `start`, 1 from `stop_reason`, without corners between (smoothstep)."""
    t: Points = np.clip((values - start) / (end - start), 0.0, 1.0)
    return t * t * (3 - 2 * t)


def carried_along(points: Points, before: Points, after: Points) -> Points:
    """Moves `points` by the affine map that takes `before` to `after` best, all `[n, 3]`."""
    mapping = np.linalg.lstsq(np.c_[before, np.ones(len(before))], after, rcond=None)[0]
    moved: Points = np.c_[points, np.ones(len(points))] @ mapping
    return moved


def tube_faces(rings: int, sectors: int) -> Indices:
    """Quads `[(rings - 1) * sectors, 4]` of closed rings of `sectors` vertices each, one after the other."""
    row, column = np.meshgrid(np.arange(rings - 1), np.arange(sectors), indexing="ij")
    here, beside = row * sectors + column, row * sectors + (column + 1) % sectors
    return np.stack([here, here + sectors, beside + sectors, beside], axis=-1).reshape(-1, 4)


def cube(cells: int) -> tuple[Points, Indices]:
    """Surface of the cube from -1 to 1 with `cells` quads along each edge; vertices are shared across its edges."""
    grid = np.linspace(-1.0, 1.0, cells + 1)
    corners = [(i + di, j + dj) for i in range(cells) for j in range(cells) for di, dj in _QUAD]
    quads = []
    for axis in range(3):
        for side in (-1.0, 1.0):
            points = np.empty((len(corners), 3))
            points[:, axis] = side
            points[:, (axis + 1) % 3] = grid[[i for i, _ in corners]]
            points[:, (axis + 2) % 3] = grid[[j for _, j in corners]]
            quads.append(points.reshape(-1, 4, 3)[:, :: int(side)])
    vertices, number = np.unique(np.concatenate(quads).reshape(-1, 3), axis=0, return_inverse=True)
    return vertices, number.reshape(-1, 4)


_QUAD = ((0, 0), (1, 0), (1, 1), (0, 1))
