"""Regions of a face by its geometry and by the motion of its shapes: lips, lids, the root of a tongue, what is seen.

Edges that touch in one pose and part in another, such as those of lips under `jawOpen`, are found where neighbours move
apart by more than skin can stretch. The border of a lip is where its profile is furthest in front.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from audio2face.dataset.vertex_lists import LipSize, VertexLists, VertexPairs
from audio2face.geometry.mesh import Normals, triangulate
from audio2face.rigs.scene import islands
from audio2face.types import BoolArray, Float32Array, FloatArray, Int32Array, Int64Array

_PLACES = (-0.6, -0.32, 0.0, 0.32, 0.6)  # of half the width of the mouth, from the actor's right to the left
_LEVELS = np.arange(
    0.1, 0.95, 0.1
)  # of the largest motion: each parts the vertices that move more from those that less
_PARTS = 0.15  # of the largest motion: neighbours that move further apart may be two edges
_TEARS = 1.5  # lengths by which they move apart for each length between them: more than skin stretches
_APART = 0.08  # of the width of what moves: more is not the same place of two edges
_DEPTH_COST = 4.0  # a pair may lie this much further back for each length that it is closer together
_SIDE_COST = 3.0  # or nearer to the place that is looked for
_STRIP = 0.1  # of half the width of the mouth: what belongs to one profile of it
_LIP = 0.55  # of half the width of the mouth: the thickest lip
_STEEP = 0.8  # depth by which a profile falls back for each length along it, behind the border of a lip
_STEP, _NEARBY = 0.06, 0.25  # of half the width of the mouth: a step along a profile, and what is compared with it
_INSIDE = 0.2  # of half the width of the mouth: further behind what is nearby lies the inside of the mouth
_ROOT, _FEWEST_ROOT = 0.02, 4  # of the largest motion: vertices of a tongue that move less are its root
_BACK = 0.15  # share of a tongue without shapes that is taken as its root
_FACING = 0.15  # cosine between a normal and the view of a vertex that is seen
_CELL_CM, _BEHIND_CM = 0.3, 1.5  # of a picture of depths; further behind what is in front is hidden


def find_lists(
    neutral: Float32Array, faces: Int32Array, jaw_open: Float32Array, blinks: Sequence[Float32Array]
) -> VertexLists:
    """Finds lips and lids of a face.

    Args:
        neutral: `[verts, 3]`, centimetres, y upwards, z out of the face.
        faces: `[faces, 3 or 4]`.
        jaw_open: offsets of the shape that opens the jaw over closed lips, `[verts, 3]`.
        blinks: offsets of the shapes that shut the right and the left eye, or zeros.

    Returns:
        The lists; None for those that were not found.
    """
    skin = _largest(neutral, faces)
    eyes = [_find_lids(neutral, blink, skin) for blink in blinks]
    found = [eye for eye in eyes if eye is not None]
    lids = None
    if len(found) == len(blinks):
        lids = VertexPairs(*(np.array(side, np.int64) for side in zip(*found, strict=True)))
    lips = _find_edges(neutral, -jaw_open[:, 1], skin)
    if lips is None:
        return VertexLists(eye_dist=lids)
    pairs = lips.mouth_pairs()
    return VertexLists(lip_dist=pairs, eye_dist=lids, lip_size=_lip_size(neutral, skin, pairs, lips.half))


def find_lips(neutral: Float32Array, jaw_open: Float32Array) -> VertexPairs | None:
    """Finds pairs of vertices where the lips meet, of a face whose polygons are not known.

    Args:
        neutral: `[verts, 3]`, centimetres, y upwards, z out of the face.
        jaw_open: offsets of the shape that opens the jaw, `[verts, 3]`.

    Returns:
        Up to five pairs, from the actor's right to the left; None where there is no such line.
    """
    lips = _find_edges(neutral, -jaw_open[:, 1], np.ones(len(neutral), np.bool_))
    return None if lips is None else lips.mouth_pairs()


@dataclass(frozen=True, eq=False)
class _Edges:
    """Pairs of vertices on two edges that touch.

    Attributes:
        still, moved: the vertices, `[pairs]`; `moved` goes away from `still`.
        middle: where the edges have their middle, across the face.
        half: half the width of the edges.
        across: place of each pair from the middle, `[pairs]`.
        cost: lower for pairs that are closer together and further in front, `[pairs]`.
    """

    still: Int64Array
    moved: Int64Array
    middle: float
    half: float
    across: FloatArray
    cost: FloatArray

    def mouth_pairs(self) -> VertexPairs:
        """Pairs at places of a mouth that `jawOpen` opens."""
        upper, lower = self.at([place * self.half for place in _PLACES])
        return VertexPairs(upper, lower)

    def at(self, places: Sequence[float]) -> tuple[Int64Array, Int64Array]:
        """The best pair near each of some places across, each once: `still` and `moved`."""
        chosen = [int((self.cost + _SIDE_COST * np.abs(self.across - place)).argmin()) for place in places]
        chosen = list(dict.fromkeys(chosen))
        return self.still[chosen], self.moved[chosen]


def _find_edges(points: Float32Array, parting: FloatArray, skin: BoolArray) -> _Edges | None:
    """Finds two edges that touch in a pose and part under a motion.

    Args:
        points: the pose `[verts, 3]`.
        parting: how far each vertex moves away from the other edge, `[verts]`.
        skin: which vertices are asked for, `[verts]`.
    """
    from scipy.spatial import cKDTree  # loads in a fifth of a second

    reach = float(parting[skin].max(initial=0))
    if reach <= 0:
        return None
    apart = _APART * float(np.ptp(points[skin & (parting > _PARTS * reach), 0]))
    pairs: list[Int64Array] = []
    for level in _LEVELS * reach:
        still = np.flatnonzero(skin & (parting < level - _PARTS / 2 * reach))
        moved = np.flatnonzero(skin & (parting > level + _PARTS / 2 * reach))
        if len(still) and len(moved):
            distance, nearest = cKDTree(points[still]).query(points[moved], distance_upper_bound=apart)
            near = np.isfinite(distance)
            pairs.append(np.stack([still[np.asarray(nearest)[near]], moved[near]], axis=1))
    found = np.unique(np.concatenate([np.zeros((0, 2), np.int64), *pairs]), axis=0)
    still, moved = found[:, 0], found[:, 1]
    distance = np.linalg.norm(points[still] - points[moved], axis=1)
    torn = parting[moved] - parting[still] > _TEARS * distance
    still, moved, distance = still[torn], moved[torn], distance[torn]
    if not len(still):
        return None
    across = points[moved, 0].astype(np.float64)
    middle, half = float(across.min() + across.max()) / 2, float(np.ptp(across)) / 2
    return _Edges(still, moved, middle, half, across - middle, _DEPTH_COST * distance - points[moved, 2])


def _find_lids(neutral: Float32Array, blink: Float32Array, skin: BoolArray) -> tuple[int, int] | None:
    """The middle of the edges of one eye's lids, upper and lower; they touch where the eye is shut."""
    edges = _find_edges(neutral + blink, -blink[:, 1], skin)
    if edges is None:
        return None
    lower, upper = edges.at([0.0])
    return int(upper[0]), int(lower[0])


def _lip_size(neutral: Float32Array, skin: BoolArray, lips: VertexPairs, half: float) -> LipSize:
    """The borders of both lips above and below each pair of the line where they meet."""
    top = [_border(neutral, skin, vertex, half, upwards=True) for vertex in lips.upper.tolist()]
    bottom = [_border(neutral, skin, vertex, half, upwards=False) for vertex in lips.lower.tolist()]
    return LipSize(VertexPairs(np.array(top), lips.upper), VertexPairs(lips.lower, np.array(bottom)))


def _border(neutral: Float32Array, skin: BoolArray, start: int, half: float, *, upwards: bool) -> int:
    """The border of a lip in the profile through a vertex: the upper lip is furthest in front, the lower recedes."""
    along = (neutral[:, 1] - neutral[start, 1]) * (1 if upwards else -1)
    inside = skin & (along > 0) & (along < _LIP * half)
    strip = np.flatnonzero(inside & (np.abs(neutral[:, 0] - neutral[start, 0]) < _STRIP * half))
    if not len(strip):
        return start
    # The outer sheet of the surface: of each step along the profile the front, where it is not far behind others.
    steps = np.floor(along[strip] / (_STEP * half)).astype(np.int64)
    order = strip[np.lexsort((-neutral[strip, 2], steps))]
    sheet = order[np.unique(np.sort(steps), return_index=True)[1]]
    nearby = np.abs(along[sheet][:, None] - along[sheet]) < _NEARBY * half
    front_of = np.where(nearby, neutral[sheet, 2], -np.inf).max(axis=1)
    sheet = sheet[neutral[sheet, 2] > front_of - _INSIDE * half]
    depth = neutral[sheet, 2]
    front = int(depth.argmax())
    if upwards:
        return int(sheet[front])
    border = front
    for place in range(front + 1, len(sheet)):
        if depth[border] - depth[place] > _STEEP * (along[sheet[place]] - along[sheet[border]]):
            break
        border = place
    return int(sheet[border])


def find_root(neutral: Float32Array, deltas: Float32Array) -> Int64Array:
    """The root of a tongue, which only the jaw moves: the vertices that its shapes leave alone, else its back.

    Args:
        neutral: `[tongue verts, 3]`, z out of the face.
        deltas: offsets of its shapes without the jaw's motion, `[shapes, tongue verts, 3]`.
    """
    reach = np.linalg.norm(deltas, axis=2).max(axis=0, initial=0)
    still = np.flatnonzero(reach < _ROOT * reach.max(initial=0))
    if len(still) >= _FEWEST_ROOT:
        return still.astype(np.int64)
    count = max(int(_BACK * len(neutral)), min(_FEWEST_ROOT, len(neutral)))
    return np.sort(np.argsort(neutral[:, 2], kind="stable")[:count]).astype(np.int64)


def _largest(neutral: Float32Array, faces: Int32Array) -> BoolArray:
    """The vertices of the largest connected surface, `[verts]`: no lashes, no teeth."""
    numbers = islands(neutral, faces)
    return np.asarray(numbers == np.bincount(numbers).argmax())


def frontal_vertices(neutral: Float32Array, faces: Int32Array) -> Int32Array:
    """The vertices that face the viewer and that nothing in front of them hides, int32 `[n]`.

    Args:
        neutral: `[verts, 3]`, centimetres, z out of the face.
        faces: `[faces, 3 or 4]`.
    """
    facing = Normals(triangulate(faces), len(neutral)).compute(neutral)[:, 2] > _FACING
    cells = np.floor((neutral[:, :2] - neutral[:, :2].min(axis=0)) / _CELL_CM).astype(np.int64)
    front = np.full(cells.max(axis=0) + 3, -np.inf)
    for across in range(3):
        for down in range(3):
            np.maximum.at(front, (cells[:, 0] + across, cells[:, 1] + down), neutral[:, 2])
    seen = neutral[:, 2] > front[cells[:, 0] + 1, cells[:, 1] + 1] - _BEHIND_CM
    return np.flatnonzero(facing & seen).astype(np.int32)
