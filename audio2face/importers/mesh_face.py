"""The face of takes of meshes: which pieces are what, how they are put in place, its lists, jaw and motion.

A file with shapes under ARKit's names tells its regions by them, as rigs do; of all others the motion tells.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

from audio2face.console import LOGGER
from audio2face.dataset.layout import ActorGeometry
from audio2face.dataset.vertex_lists import VertexLists
from audio2face.errors import FileFormatError
from audio2face.importers.actor import actor_of_rig
from audio2face.importers.moving import MovingMeshes, sample_frames
from audio2face.importers.speech_motion import blink_offsets, chin_scores, find_chin, opening_offsets, opening_scores
from audio2face.importers.still_parts import StillParts, find_still_parts
from audio2face.rigs.character import CharacterFace
from audio2face.rigs.jaw import NUM_POINTS, far_apart, moved_with_jaw
from audio2face.rigs.lists_file import lists_path
from audio2face.rigs.placement import Placed, place
from audio2face.rigs.regions import find_lips
from audio2face.rigs.rigid_pieces import is_eye
from audio2face.rigs.scene import Piece, Scene
from audio2face.rigs.shape_names import SIDES, ShapeTable
from audio2face.types import BoolArray, Float32Array, Float64Array, Int64Array

EYES = ("right_eye", "left_eye")
_OPEN, _BLINK = "jawOpen", "eyeBlink"
_UPPER_CM = 20.0  # around the mouth: what lies further away is no head
_CLOSED = 0.15  # of the samples: those with the lips closest
_LEAST_MOTION = 0.002  # of the size of all meshes
_MOST_OF_IT = (0.05, 0.95)  # of the vertices of a face, along each axis
_COLLAPSED = 0.1  # of the spread of a face
_FARTHEST = 1e4  # sizes of a face from the origin: a scene may be large


@dataclass(frozen=True, eq=False, kw_only=True)
class FaceInMotion:
    """A face whose motion is read from files.

    Attributes:
        actor: its geometry.
        matrix: from the file's coordinates to centimetres in place, `[3, 3]`.
        skin: numbers of the pieces that are its skin, joined in this order.
        tongue: those of its tongue.
        eyes: those of each eyeball, by side, right and left.
        jaw: those on which the motion of the jaw is measured.
        still: vertices of the skin that move with the head only, in place.
        jaw_vertices: vertices of the pieces `jaw` that move with the jaw.
        jaw_rest: their positions at rest, in place, `[n, 3]`.
        eye_rest: vertices of each eyeball at rest, in place.
        notes: what was found and changed, one sentence each.
    """

    actor: ActorGeometry
    matrix: Float64Array
    skin: tuple[int, ...]
    tongue: tuple[int, ...]
    eyes: Mapping[str, tuple[int, ...]]
    jaw: tuple[int, ...]
    still: StillParts
    jaw_vertices: Int64Array
    jaw_rest: Float32Array
    eye_rest: Mapping[str, Float32Array]
    notes: tuple[str, ...]


def find_face(takes: Sequence[MovingMeshes], given: VertexLists) -> FaceInMotion:
    """Finds the face of takes of the same meshes.

    Args:
        takes: the takes; the first shows the face at rest where any does.
        given: lists of vertices that are known; they take the place of those that are found.

    Raises:
        UserError: the meshes do not move, or (FileFormatError) they are damaged.
    """
    search = _Search(takes, given)
    found = search.face()
    if not takes[0].has_rest and found.actor.lists.lip_dist is not None:
        search.rest_with_closed_lips(found)
        found = search.face()
    if found.actor.lists.lip_dist is None:
        LOGGER.warning(
            "%s: the line where the lips meet was not found; write it to %s: "
            '{"lip_dist": {"upper": [...], "lower": [...]}}, vertices in pairs from the right to the left',
            takes[0].source.name,
            lists_path(takes[0].source),
        )
    return found


class _Search:
    """What is known of the face: samples of its takes, in the file's coordinates and without the head's motion."""

    def __init__(self, takes: Sequence[MovingMeshes], given: VertexLists) -> None:
        self._take = takes[0]
        self._given = given
        samples = sample_frames(takes)
        counts = [len(piece.vertices) for piece in self._take.pieces]
        self._ranges = np.split(np.arange(sum(counts)), np.cumsum(counts)[:-1])
        self._rest = np.concatenate([piece.vertices for piece in self._take.pieces]).astype(np.float32)
        if not self._take.has_rest:
            self._rest = samples[len(samples) // 2]
        if are_damaged(samples, self._rest).any() or are_far(self._rest[None], samples[0]).any():
            raise FileFormatError(
                "holds positions that are NaN, infinity, far from everything else, or all in one place",
                path=self._take.source,
                hint="Export it once more.",
            )
        self._samples = samples
        still = find_still_parts(samples, self._rest)
        self._aligned = np.asarray(still.fit(samples[:, still.vertices]).apply(samples), np.float32)
        self._find_opening()

    def _find_opening(self) -> None:
        """How far the jaw is open in the samples: by the largest motion at first, then by the chin that it shows."""
        scores = opening_scores(self._aligned, self._rest)
        opening = opening_offsets(self._aligned, scores)
        self._check_moves(opening)
        pieces, table, _ = self._pieces(opening)
        placed = place(self._scene(pieces, table), pieces, table)
        skin = self._vertices(_numbers(placed, CharacterFace(placed).skin))
        matrix = placed.matrix.T.astype(np.float32)
        shown = self._aligned[:, skin] @ matrix
        chin = find_chin(shown, self._rest[skin] @ matrix)
        self._scores = scores if chin is None else chin_scores(shown, chin)
        if not self._take.has_rest:
            self._rest = self._aligned[int(self._scores.argmin())]

    def rest_with_closed_lips(self, face: FaceInMotion) -> None:
        """Takes a frame with closed lips for the face at rest: that of them which is nearest to the usual pose."""
        pairs = face.actor.lists.lip_dist
        assert pairs is not None
        skin = self._vertices(face.skin)
        apart = self._aligned[:, skin[pairs.upper]] - self._aligned[:, skin[pairs.lower]]
        heights = apart.mean(axis=1) @ face.matrix[1]
        closed = self._aligned[heights <= np.quantile(heights, _CLOSED)]
        away = np.linalg.norm(closed - np.median(self._aligned, axis=0), axis=2).mean(axis=1)
        self._rest = closed[int(away.argmin())]

    def face(self) -> FaceInMotion:
        """The face at rest, and how its motion is read."""
        opening = opening_offsets(self._aligned, self._scores)
        pieces, table, is_named = self._pieces(opening)
        scene = self._scene(pieces, table)
        placed = place(scene, pieces, table)
        matrix = placed.matrix.T.astype(np.float32)
        skin = _numbers(placed, CharacterFace(placed).skin)
        inside = self._vertices(skin)
        neutral, opened = self._rest[inside] @ matrix, opening[inside] @ matrix
        shown = self._samples[:, inside] @ matrix
        still = find_still_parts(shown, neutral, _upper_head(neutral, opened))
        shown = np.asarray(still.fit(shown[:, still.vertices]).apply(shown), np.float32)
        if not is_named:
            placed = _with_blinks(placed, skin, shown, neutral, opened)
        face = CharacterFace(placed)
        jaw, jaw_vertices = self._jaw(placed, face, skin, shown, opening @ matrix)
        eyes = {side: _numbers(placed, found) for side, found in face.whole_parts.items() if side in EYES and found}
        jaw_rest = (self._rest @ matrix)[self._vertices(jaw)][jaw_vertices]
        return FaceInMotion(
            actor=self._actor(face, scene, jaw_rest, is_named=is_named),
            matrix=placed.matrix,
            skin=skin,
            tongue=_numbers(placed, face.tongue),
            eyes=eyes,
            jaw=jaw,
            still=still,
            jaw_vertices=jaw_vertices,
            jaw_rest=jaw_rest,
            eye_rest={side: (self._rest @ matrix)[self._vertices(numbers)] for side, numbers in eyes.items()},
            notes=placed.notes,
        )

    def _vertices(self, pieces: Sequence[int]) -> Int64Array:
        """The vertices of some pieces among those of all, one piece after the other."""
        return np.concatenate([self._ranges[number] for number in pieces]).astype(np.int64)

    def _pieces(self, opening: Float32Array) -> tuple[list[Piece], ShapeTable, bool]:
        """The pieces at rest, their shapes, and whether the file names them.

        Without names all pieces but eyeballs have one shape, the opening jaw; with them those without shapes.
        """
        named = _named_table(self._take.pieces)
        found = []
        for piece, own in zip(self._take.pieces, self._ranges, strict=True):
            opens = (named is None or not piece.targets) and not is_eye(piece)
            moved = {_OPEN: opening[own]} if opens else {}
            found.append(replace(piece, vertices=self._rest[own], targets={**piece.targets, **moved}))
        table = named or ShapeTable.find([_OPEN])
        assert table is not None
        return found, table, named is not None

    def _scene(self, pieces: list[Piece], table: ShapeTable) -> Scene:
        take = self._take
        return Scene(
            path=take.source,
            kind=take.kind,
            shapes=table.pose_names,
            load=lambda wanted: pieces,
            unit_cm=take.unit_cm,
            up=take.up,
            digest=hashlib.sha256(self._rest.tobytes()).hexdigest(),
        )

    def _check_moves(self, opening: Float32Array) -> None:
        largest, size = float(np.linalg.norm(opening, axis=1).max()), float(np.ptp(self._rest, axis=0).max())
        if largest < _LEAST_MOTION * size:
            raise FileFormatError(
                f"its meshes do not move as a speaking face does: by {largest / max(size, 1e-12):.2g} of their size",
                path=self._take.source,
                hint="Export it with its animation (shape keys, joints or point caches), over the frames of the take.",
            )

    def _jaw(
        self, placed: Placed, face: CharacterFace, skin: tuple[int, ...], shown: Float32Array, opening: Float32Array
    ) -> tuple[tuple[int, ...], Int64Array]:
        """The pieces and their vertices that move with the jaw: the lower teeth, else the chin."""
        teeth = _numbers(placed, face.whole_parts.get("lower_teeth", []))
        if teeth:
            return teeth, moved_with_jaw(opening[self._vertices(teeth)])
        neutral = np.concatenate([placed.pieces[number].vertices for number in skin])
        chin = find_chin(shown, neutral)
        return skin, moved_with_jaw(opening[self._vertices(skin)]) if chin is None else chin.vertices

    def _actor(self, face: CharacterFace, scene: Scene, jaw_rest: Float32Array, *, is_named: bool) -> ActorGeometry:
        rig = face.rig(scene)
        lists = rig.lists
        if lists.lip_dist is None:
            lists = replace(lists, lip_dist=find_lips(rig.neutral, rig.delta(_OPEN)))
        nothing = np.zeros(0, np.float32)  # the takes tell blink and saccades when they are written
        own = actor_of_rig(rig, nothing, nothing)
        return replace(
            own,
            faces=own.faces if own.faces is not None and len(own.faces) else None,
            lists=lists.replaced(self._given),
            jaw_keypoints=jaw_rest[far_apart(jaw_rest, NUM_POINTS)],
            shapes=own.shapes if is_named else None,
            tongue=own.tongue if own.tongue is None or is_named else replace(own.tongue, shapes=None),
        )


def are_far(frames: Float32Array, face: Float32Array) -> BoolArray:
    """The frames that hold a position which damage has made: not finite, or ten thousand faces away, bool `[frames]`.

    Args:
        frames: `[frames, verts, 3]`.
        face: in any pose, `[verts, 3]`.
    """
    size = float(np.ptp(np.quantile(face, _MOST_OF_IT, axis=0), axis=0).max())
    return np.asarray(~(np.abs(frames).max(axis=(1, 2), initial=0) <= _FARTHEST * size))


def are_damaged(frames: Float32Array, face: Float32Array) -> BoolArray:
    """The frames that no face is in: of `are_far`, or with all vertices in one place, as lost parts of files are.

    Args:
        frames: `[frames, verts, 3]`.
        face: the same vertices in any pose, `[verts, 3]`.
    """
    far = are_far(frames, face)
    spread = np.where(far[:, None, None], 0, frames).std(axis=1).max(axis=1, initial=0)
    return np.asarray(far | (spread < _COLLAPSED * float(face.std(axis=0).max())))


def _upper_head(neutral: Float32Array, opening: Float32Array) -> BoolArray:
    """The vertices that may be skull: above the mouth and near it."""
    weight = np.einsum("vc,vc->v", opening, opening)
    mouth = np.asarray(weight @ neutral / max(float(weight.sum()), 1e-12))
    return np.asarray((neutral[:, 1] > mouth[1]) & (np.linalg.norm(neutral - mouth, axis=1) < _UPPER_CM))


def _with_blinks(
    placed: Placed, skin: Sequence[int], shown: Float32Array, neutral: Float32Array, opening: Float32Array
) -> Placed:
    """The pieces in place with shapes that shut the eyes, where the takes have blinks."""
    found = {f"{_BLINK}{side}": blink_offsets(shown, neutral, opening, side) for side in SIDES}
    blinks = {name: delta for name, delta in found.items() if delta is not None}
    if len(blinks) < len(SIDES):
        return placed
    table = ShapeTable.find([_OPEN, *blinks])
    assert table is not None
    pieces, first = list(placed.pieces), 0
    for number in skin:
        piece = pieces[number]
        own = {name: delta[first : first + len(piece.vertices)] for name, delta in blinks.items()}
        pieces[number] = replace(piece, targets={**piece.targets, **own})
        first += len(piece.vertices)
    return replace(placed, pieces=pieces, table=table)


def _named_table(pieces: Sequence[Piece]) -> ShapeTable | None:
    """The shapes under ARKit's names; None where only the motion tells."""
    names = list(dict.fromkeys(name for piece in pieces for name in piece.targets))
    table = ShapeTable.find(names) if names else None
    return table if table is not None and table.visemes is None and len(table.found) > 1 else None


def _numbers(placed: Placed, pieces: Sequence[Piece]) -> tuple[int, ...]:
    """The numbers of pieces among those in place."""
    return tuple(number for number, piece in enumerate(placed.pieces) if any(piece is chosen for chosen in pieces))
