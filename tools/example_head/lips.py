"""The mouth: edge loops round it, lips that meet in the neutral face, and the vertex lists of the lips."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from tools.example_head.mesh import QuadMesh
from tools.example_head.source import Indices, Points

# Vertices of the base mesh on the lower lip's midline, from the inside of the mouth outwards; the edge loop through
# each runs round the whole mouth. The lips touch at the lower lip's `_INNER` and the upper lip's `_OUTER` loop; the
# last loop but one is the border of the red of the lips.
_LOOP_STARTS = (591, 574, 557, 540, 523, 493, 494, 513, 495, 496, 492, 5337)
_INNER, _OUTER, _RED_BORDER = 3, 4, 10
_SEAL_WEIGHTS = (0.1, 0.3, 0.7, 1.0, 1.0, 0.8, 0.55, 0.35, 0.2, 0.1, 0.0, 0.0)
_OVERLAP_CENTIMETRES = 0.08
_LIST_STEPS = (-3, -2, 0, 2, 3)
"""Lower-lip vertices of the vertex lists: steps from the midline, the actor's right first."""


@dataclass(frozen=True)
class Mouth:
    """Edge loops round the mouth, from inside outwards.

    Attributes:
        loops: `[loops, steps]`; step 0 is the middle of the lower lip, then over the actor's left corner to the
            middle of the upper lip at half the length, and back over the right corner.
        corners: step of each loop's left corner.
    """

    loops: Indices
    corners: Indices

    @classmethod
    def find(cls, mesh: QuadMesh, vertices: Points) -> Mouth:
        """Finds the loops in the base mesh."""
        loops = np.array([mesh.loop(start, vertices) for start in _LOOP_STARTS], dtype=np.int64)
        return cls(loops, np.argmax(vertices[loops, 0], axis=1))

    @property
    def contact(self) -> Indices:
        """The loop along which the lips touch; the mouth's inside is behind it."""
        contact: Indices = self.loops[_INNER]
        return contact

    def lip(self, loop: int, *, lower: bool) -> Indices:
        """A loop's vertices of one lip, without the corners, from the actor's right to left."""
        steps, corner = self.loops.shape[1], int(self.corners[loop])
        ordered = range(1 - corner, corner) if lower else range(steps - corner - 1, corner, -1)
        vertices: Indices = self.loops[loop, np.array(ordered) % steps]
        return vertices

    def seal(self, vertices: Points, *, only_open: bool = False) -> Points:
        """Moves the lips of a face up and down until they touch all along the mouth.

        Args:
            vertices: `[verts, 3]`, centimetres.
            only_open: leave lips alone where they already press into one another.

        Returns:
            The moved copy; each lip moves half the gap, fading out over the neighbouring loops.
        """
        corner = vertices[self.loops[_INNER, self.corners[_INNER]], 0]
        across = np.linspace(-corner, corner, 41)
        crest = np.max([self._height(vertices, loop, across, lower=True) for loop in (_INNER, _OUTER)], axis=0)
        bottom = np.min([self._height(vertices, loop, across, lower=False) for loop in (_INNER, _OUTER)], axis=0)
        half_gap = (bottom - crest + _OVERLAP_CENTIMETRES) / 2
        if only_open:
            half_gap = np.maximum(half_gap, 0.0)
        moved = vertices.copy()
        for loop, weight in enumerate(_SEAL_WEIGHTS):
            for lower, direction in ((True, 1.0), (False, -1.0)):
                lip = self.lip(loop, lower=lower)
                moved[lip, 1] += direction * weight * np.interp(vertices[lip, 0], across, half_gap, 0.0, 0.0)
        return moved

    def _height(self, vertices: Points, loop: int, across: Points, *, lower: bool) -> Points:
        """Height of one loop of a lip at each x of `across`."""
        corner = self.loops[loop, self.corners[loop]]
        opposite = self.loops[loop, -self.corners[loop]]
        points = vertices[[opposite, *self.lip(loop, lower=lower), corner]]
        order = np.argsort(points[:, 0], kind="stable")
        heights: Points = np.interp(across, points[order, 0], points[order, 1])
        return heights

    def vertex_lists(self, vertices: Points) -> dict[str, Indices]:
        """Five vertices of each line across the lips, the actor's right first, paired by x.

        Returns:
            `lip_upper` and `lip_lower` on the line where the lips touch; `lip_top` and `lip_bottom` on the borders
            of the red of the upper and the lower lip.
        """
        lower = self.loops[_INNER, list(_LIST_STEPS)]

        def paired(loop: int, *, lower_lip: bool) -> Indices:
            lip = self.lip(loop, lower=lower_lip)
            nearest: Indices = lip[np.argmin(np.abs(vertices[lip, 0] - vertices[lower, 0][:, None]), axis=1)]
            return nearest

        return {
            "lip_upper": paired(_OUTER, lower_lip=False),
            "lip_lower": lower,
            "lip_top": paired(_RED_BORDER, lower_lip=False),
            "lip_bottom": paired(_RED_BORDER, lower_lip=True),
        }

    def redness(self) -> dict[int, float]:
        """How red each vertex of the lips is, 0 to 1: full up to the border, half there."""
        return {
            int(vertex): 1.0 if loop < _RED_BORDER else 0.5
            for loop in range(_INNER, _RED_BORDER + 1)
            for vertex in self.loops[loop]
        }
