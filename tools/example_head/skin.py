"""The skin: where the body is cut, which vertices face forwards, where the lids are, and its colours."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from tools.example_head.geometry import Colours, ease, rounded_colours
from tools.example_head.identities import Colour, Identity
from tools.example_head.mesh import QuadMesh
from tools.example_head.source import Indices, Points

_NECK_LOOP_START = 1526
"""A vertex at the front of the base of the neck; the edge loop through it is level and clean."""
_SOCKET_RADII, _SOCKET_BACK_RADII = 1.04, 1.4
"""Skin nearer to an eye's centre than this many radii lies in its socket; behind the lids, the larger number."""


@dataclass(frozen=True)
class Cut:
    """The head's skin within the body.

    Attributes:
        body: vertex of the base mesh of each skin vertex, ascending.
        faces: `[faces, 4]` in skin vertices.
    """

    body: Indices
    faces: Indices

    @classmethod
    def find(cls, mesh: QuadMesh, faces: Indices, vertices: Points) -> Cut:
        """Keeps the vertices above the loop around the base of the neck."""
        used = np.unique(faces)
        top = int(used[np.argmax(vertices[used, 1])])
        body = np.array(sorted(mesh.enclosed(top, mesh.loop(_NECK_LOOP_START, vertices))), dtype=np.int64)
        kept = faces[np.isin(faces, body).all(axis=1)]
        return cls(body, np.searchsorted(body, kept))

    def local(self, body_vertices: Indices) -> Indices:
        """Skin vertices of body vertices."""
        return np.searchsorted(self.body, body_vertices)


def normals(vertices: Points, faces: Indices) -> Points:
    """Unit vertex normals `[verts, 3]`."""
    corners = vertices[faces]
    across = np.cross(corners[:, 2] - corners[:, 0], corners[:, 3] - corners[:, 1])
    summed = np.zeros_like(vertices)
    for corner in range(4):
        np.add.at(summed, faces[:, corner], across)
    unit: Points = summed / np.linalg.norm(summed, axis=1, keepdims=True)
    return unit


def lids(vertices: Points, blink: Points, eye_centre: Points) -> tuple[int, int]:
    """The vertices of the upper and the lower lid's edge in front of an eye's centre.

    The upper edge is where the blink moves the skin down most; the lower edge is the foremost skin it nearly meets.

    Args:
        vertices, blink: `[verts, 3]`, centimetres; the neutral face and the eye's blink shape.
        eye_centre: `[3]`.
    """
    near = np.abs(vertices - eye_centre)
    front = np.flatnonzero((near[:, 0] < 0.3) & (near[:, 1] < 1.4) & (vertices[:, 2] > eye_centre[2] + 1.2))
    drop = -blink[front, 1]
    movers = front[drop > 0.9 * drop.max()]
    upper = int(movers[np.argmin(vertices[movers, 1] - 0.5 * vertices[movers, 2] + near[movers, 0])])
    still = front[(drop < 0.3 * drop.max()) & (vertices[front, 1] < vertices[upper, 1])]
    score = vertices[still, 1] + 0.5 * vertices[still, 2] - np.abs(vertices[still, 0] - vertices[upper, 0])
    return upper, int(still[np.argmax(score)])


def cavities(
    vertices: Points, mesh: QuadMesh, cut: Cut, contact: Indices, eye_centres: Points, eye_radius: float
) -> tuple[Indices, Indices]:
    """Skin vertices that nobody sees on a closed face.

    Returns:
        All of them (inside the mouth, behind the lids), and those inside the mouth.
    """
    border = {*contact.tolist(), *mesh.loop(_NECK_LOOP_START, vertices)}
    top = int(cut.body[np.argmax(vertices[cut.body, 1])])
    mouth = np.flatnonzero(~np.isin(cut.body, np.array(sorted(mesh.enclosed(top, border)))))
    from_eye = vertices[cut.body][:, None] - eye_centres
    reach = np.where(from_eye[..., 2] > 0.2 * eye_radius, _SOCKET_RADII, _SOCKET_BACK_RADII) * eye_radius
    socket = np.flatnonzero((np.linalg.norm(from_eye, axis=2) < reach).any(axis=1))
    return np.union1d(mouth, socket), mouth


def colours(
    vertices: Points,
    identity: Identity,
    eye_centres: Points,
    lip_redness: dict[int, float],
    hidden: Indices,
    mouth: Indices,
) -> Colours:
    """Colours `[verts, 3]` of skin, lips, brows, cropped hair and the inside of the mouth, sRGB.

    Args:
        vertices: `[verts, 3]` neutral skin with the origin between the eyes.
        identity: its colours.
        eye_centres: `[2, 3]`.
        lip_redness: 0 to 1 by skin vertex.
        hidden: vertices in the cavities.
        mouth: those of them inside the mouth.
    """
    painted = np.tile(np.array(identity.skin, dtype=float), (len(vertices), 1))

    def blend(amount: Points, colour: Colour) -> None:
        painted[:] += amount[:, None] * (np.array(colour, dtype=float) - painted)

    flush = np.exp(-((np.abs(vertices[:, 0]) - 3.6) ** 2 + (vertices[:, 1] + 2.9) ** 2) / 3.0)
    blend(0.22 * flush * (vertices[:, 2] > 0), (206, 120, 104))
    blend(_hair(vertices), identity.hair)
    blend(_brows(vertices, eye_centres), identity.hair)
    redness = np.zeros(len(vertices))
    redness[list(lip_redness)] = list(lip_redness.values())
    blend(redness, identity.lips)
    inside = np.zeros(len(vertices))
    inside[hidden] = 0.35
    inside[mouth] = 1.0
    blend(inside, (112, 44, 44))
    return rounded_colours(painted)


def _hair(vertices: Points) -> Points:
    """Cropped hair: above a line that falls from the forehead over the temples to the nape."""
    x, y, z = vertices.T
    line: Points = np.interp(z, [-14.0, -10.0, -6.0, -3.4, -1.5, 2.5], [-6.0, -5.2, -1.2, 1.8, 3.6, 6.6])
    amount: Points = 0.92 * ease(y - line, -0.35, 0.45) * (z < 2.2) * ease(-np.abs(x), -7.6, -7.1)
    return amount


def _brows(vertices: Points, eye_centres: Points) -> Points:
    """Brows: an arch over each eye, thinning outwards."""
    x, y, z = vertices.T
    eye = np.abs(eye_centres[:, 0]).mean()
    along = (np.abs(x) - eye) / 2.0
    arch = 2.05 + 0.3 * (1 - (along - 0.25) ** 2)
    thickness = 0.34 - 0.1 * along
    inside = np.exp(-(((y - arch) / thickness) ** 2) * 1.2)
    amount: Points = 0.95 * inside * ease(along, -1.15, -0.75) * (1 - ease(along, 0.85, 1.25)) * (z > 0)
    return amount
