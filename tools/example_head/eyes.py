"""Eyes with an iris, in place of the coarse balls that the base mesh carries."""

from __future__ import annotations

import numpy as np

from tools.example_head.geometry import Colours, Piece, rounded_colours, tube_faces
from tools.example_head.identities import Colour
from tools.example_head.source import Indices, Points, Source

_SCLERA, _PUPIL = (238, 234, 230), (12, 10, 10)
_PUPIL_DEGREES, _IRIS_DEGREES = 9.5, 25.0
# Rings by their angle from the pole of the pupil; colour borders lie between two rings close together, to be sharp.
_RINGS = (2, 9.1, 9.9, 17, 22.5, 24.4, 25.8, 40, 60, 80, 100, 125, 150, 176)
_SECTORS = 24


def sphere(source: Source, face: Points, side: str) -> tuple[Points, float]:
    """Centre `[3]` and radius of the sphere that fits a face's `r` or `l` ball best (linear least squares)."""
    ball = face[np.unique(source.groups[f"helper-{side}-eye"])]
    solution = np.linalg.lstsq(np.c_[2 * ball, np.ones(len(ball))], (ball**2).sum(axis=1), rcond=None)[0]
    centre: Points = solution[:3]
    return centre, float(np.sqrt(solution[3] + centre @ centre))


def eye(centre: Points, radius: float, iris: Colour) -> Piece:
    """A ball that looks along +z."""
    around = np.linspace(0, 2 * np.pi, _SECTORS, endpoint=False)
    polar, azimuth = (grid.ravel() for grid in np.meshgrid(np.radians(_RINGS), around, indexing="ij"))
    ball = np.stack([np.sin(polar) * np.cos(azimuth), np.sin(polar) * np.sin(azimuth), np.cos(polar)], axis=-1)
    front, back = _cap(0), _cap((len(_RINGS) - 1) * _SECTORS)[:, ::-1]
    faces = np.concatenate([tube_faces(len(_RINGS), _SECTORS), front, back])
    return Piece(centre + radius * ball, faces, _colours(np.degrees(polar), azimuth, iris))


def _cap(first: int) -> Indices:
    """Quads that close the ring of vertices from `first` on: strips across it."""
    steps = np.arange(_SECTORS // 2 - 1)
    last = _SECTORS - 1
    return first + np.stack([steps, steps + 1, last - 1 - steps, last - steps], axis=1)


def _colours(polar: Points, azimuth: Points, iris: Colour) -> Colours:
    """White, a dark-rimmed iris with faint rays, a black pupil."""
    rays = 1 + 0.12 * np.sin(7 * azimuth) * np.sin(3 * azimuth + 1)
    rim = np.where(polar > _IRIS_DEGREES - 2, 0.45, 1.0)
    colours = np.where((polar < _IRIS_DEGREES)[:, None], np.outer(rays * rim, iris), np.array(_SCLERA, float))
    colours[polar < _PUPIL_DEGREES] = _PUPIL
    return rounded_colours(colours)
