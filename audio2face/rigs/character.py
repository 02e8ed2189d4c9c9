"""A rig from a character file: meshes with shapes under ARKit's names or with visemes become skin, tongue and parts."""

from __future__ import annotations

import difflib
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path

import numpy as np

from audio2face.console import LOGGER
from audio2face.dataset.arkit_names import ARKIT_INDEX, ARKIT_NAMES, TONGUE_NAMES, listed, match_names
from audio2face.dataset.vertex_lists import VertexLists
from audio2face.errors import MAX_LENGTH, FileFormatError
from audio2face.geometry.mesh import DEFAULT_COLOURS
from audio2face.rigs.jaw import RigJaw
from audio2face.rigs.lists_file import corrected
from audio2face.rigs.placement import Placed, moving_vertices, place
from audio2face.rigs.regions import find_lists, find_root, frontal_vertices
from audio2face.rigs.rig import Rig, RigTongue
from audio2face.rigs.rigid_pieces import STILL_CM, is_eye, is_teeth, is_tongue, split_eyes, split_teeth, tongues_apart
from audio2face.rigs.scene import Piece, Scene, islands, joined_faces
from audio2face.rigs.shape_names import SIDES, ShapeTable
from audio2face.types import AnyArray, Float32Array, Int64Array

_NEAR = 0.75  # of the face's size around it: what lies further away is no part of the head
_EYEBALL_CM = 2.5  # from a lid to the middle of an eyeball at most
_INSIDE = re.compile(r"teeth|tooth|mouth|oral|tongue|gum", re.IGNORECASE)
_TONGUE_OUT = ARKIT_INDEX["tongueOut"]


def rig_of(scene: Scene) -> Rig:
    """Makes a rig of a character.

    Meshes with shapes become the skin, with whatever lies around the face. Meshes that are named as eyes, teeth and
    tongue become parts of their own: eyes turn with the gaze, lower teeth and tongue move with the jaw.

    Raises:
        FileFormatError: the file has no shapes, or they are neither ARKit's nor visemes, or they move nothing.
    """
    if not scene.shapes:
        raise FileFormatError(
            f"has no {scene.kind}, so its face cannot move",
            path=scene.path,
            hint="Export it with its blend shapes (in Blender: Shape Keys), named as ARKit does: jawOpen, mouthClose, "
            "mouthFunnel, eyeBlinkLeft, ...",
        )
    table = ShapeTable.find(scene.shapes)
    if table is None:
        raise _cannot_speak(scene)
    placed = place(scene, scene.load({*table.pose_names, *table.tongue.values()}), table)
    _say(scene, placed)
    pieces = tongues_apart(placed.pieces, placed.table.pose_names[placed.table.opening])
    return CharacterFace(replace(placed, pieces=pieces)).rig(scene)


def _cannot_speak(scene: Scene) -> FileFormatError:
    names = scene.shapes
    near = [f"{name} ({close[0]}?)" for name in names if (close := difflib.get_close_matches(name, ARKIT_NAMES, 1))]
    count = len(match_names(names).columns)
    found = f"{count} of its {len(names)} {scene.kind} are" if count else f"none of its {len(names)} {scene.kind} is"
    return FileFormatError(
        f"{found} ARKit's, without jawOpen, which speech needs, and there are no visemes; it has "
        f"{listed(near or names)}",
        path=scene.path,
        hint="Name the shapes as ARKit does (jawOpen, mouthClose, mouthFunnel, mouthPucker, eyeBlinkLeft, "
        "eyeBlinkRight, ...; spellings such as jaw_open and eyeBlink_L are understood), or as visemes (viseme_PP, "
        "viseme_aa, ...).",
    )


def _say(scene: Scene, placed: Placed) -> None:
    """Logs how the face was placed, and what its missing shapes cost."""
    name, table = scene.path.name, placed.table
    for note in placed.notes:
        LOGGER.info("%s: %s", name, note)
    if table.visemes is not None:
        LOGGER.info("%s speaks with visemes: %s", name, ", ".join(table.visemes.poses))
    elif lost := table.losses():
        LOGGER.info("%s has %d of ARKit's 52 shapes; without %s", name, len(table.found), "; ".join(lost))


def _actor_name(path: Path) -> str:
    """The file's name as the name of an actor, which is part of names of files."""
    plain = re.sub(r"[^A-Za-z0-9_-]+", "-", path.stem).strip("-")[:MAX_LENGTH]
    return plain or "character"


@dataclass(frozen=True, eq=False)
class CharacterFace:
    """The pieces of a character, joined.

    Attributes:
        placed: all pieces and the shapes that speech drives.
    """

    placed: Placed

    def rig(self, scene: Scene) -> Rig:
        """The rig of the face."""
        table, vertices, faces = self._table, _vertices(self.skin), joined_faces(self.skin)
        deltas = _deltas(self.skin, table.pose_names)
        tongue = self._tongue_rig()
        blinks = [_deltas(self.skin, table.own(f"eyeBlink{side}")).sum(axis=0) for side in ("Right", "Left")]
        lists = find_lists(vertices, faces, deltas[table.opening], blinks)
        if tongue is not None:
            lists = replace(lists, tongue_rigid=find_root(tongue.neutral, self._tongue_shapes))
        lists, digest = corrected(lists, scene, len(vertices), 0 if tongue is None else len(tongue.neutral))
        return Rig(
            name=_actor_name(scene.path),
            source=scene.path.name,
            path=scene.gltf,
            digest=digest,
            neutral=vertices,
            faces=faces,
            pose_names=table.pose_names,
            deltas=deltas,
            driving=table.driving,
            table=table,
            notes=self.placed.notes,
            lists=lists,
            frontal=frontal_vertices(vertices, faces),
            jaw=self._jaw,
            jaw_points=self._jaw.key_points(),
            visemes=None if table.visemes is None else table.visemes.mix,
            tongue=tongue,
            parts=self._parts() | self._lids(lists),
        )

    @property
    def _table(self) -> ShapeTable:
        return self.placed.table

    @cached_property
    def skin(self) -> list[Piece]:
        """What deforms, and what lies around it, such as hair and lashes."""
        driven = set(self._table.pose_names)
        own = [piece for piece in self.placed.pieces if not self._is_part(piece)]
        area = moving_vertices(own, driven)
        if not len(area):
            own = list(self.placed.pieces)  # a mouth alone
            area = moving_vertices(own, driven)
        low, high = area.min(axis=0), area.max(axis=0)
        margin = _NEAR * float((high - low).max())
        kept = []
        for piece in own:
            if driven & piece.targets.keys():
                kept.append(piece)
            elif len(piece.vertices):
                lowest, highest = piece.vertices.min(axis=0), piece.vertices.max(axis=0)
                if (lowest >= low - margin).all() and (highest <= high + margin).all():
                    kept.append(piece)
        return kept

    def _is_part(self, piece: Piece) -> bool:
        return is_tongue(piece) or is_teeth(piece) or any(piece is one for one in self._eyeballs)

    @cached_property
    def _eyeballs(self) -> list[Piece]:
        """Eyeballs that are meshes of their own, which no shape moves but those of their gaze."""
        looks = {name for shape in ARKIT_NAMES if shape.startswith("eyeLook") for name in self._table.own(shape)}
        driven = set(self._table.pose_names) - looks
        return [piece for piece in self.placed.pieces if is_eye(piece) and not driven & _moving_names(piece)]

    @cached_property
    def teeth(self) -> dict[str, list[Piece]]:
        """The pieces of lower and upper teeth; of a mesh of both, its parts."""
        teeth = [piece for piece in self.placed.pieces if is_teeth(piece)]
        return split_teeth(teeth, self._table.pose_names[self._table.opening])

    @property
    def whole_parts(self) -> dict[str, list[Piece]]:
        """The meshes that are one part and nothing else: "lower_teeth", "right_eye" and so on."""
        parts = self.teeth | split_eyes(self._eyeballs)
        return {
            name: [piece for piece in self.placed.pieces if any(piece is one for one in found)]
            for name, found in parts.items()
        }

    @cached_property
    def _jaw(self) -> RigJaw:
        """The jaw, by the motion of the lower teeth, else of the chin."""
        opening = self._table.pose_names[self._table.opening]
        teeth = [piece for piece in self.teeth.get("lower_teeth", []) if opening in _moving_names(piece)]
        shapes = teeth or self.skin
        vertices, moved = _vertices(shapes), _deltas(shapes, [opening])[0]
        visemes = self._table.visemes
        if visemes is not None:
            column = ARKIT_INDEX["jawOpen"]
            return RigJaw.fit(
                vertices, moved, (column,), moved[None] / np.float32(visemes.targets[visemes.opening, column])
            )
        columns = tuple(
            index
            for index, (name, row) in enumerate(zip(ARKIT_NAMES, self._table.rows, strict=True))
            if name.startswith("jaw") and row.own
        )
        own = _deltas(shapes, self._table.driven)
        offsets = np.stack([np.tensordot(self._table.driving[:, column], own, axes=1) for column in columns])
        return RigJaw.fit(vertices, moved, columns, offsets)

    @cached_property
    def tongue(self) -> list[Piece]:
        """The pieces that are named as a tongue."""
        return [piece for piece in self.placed.pieces if is_tongue(piece)]

    @cached_property
    def _tongue_shapes(self) -> Float32Array:
        """Offsets of the tongue by the shapes `TONGUE_NAMES` and by `tongueOut`, `[17, tongue verts, 3]`."""
        own = [self._table.tongue.get(name) for name in TONGUE_NAMES]
        zero = np.zeros_like(_vertices(self.tongue))
        found = [zero if name is None else _deltas(self.tongue, [name])[0] for name in own]
        return np.stack([*found, _deltas(self.tongue, self._table.own("tongueOut")).sum(axis=0)])

    def _tongue_rig(self) -> RigTongue | None:
        """The tongue; its own shapes move it, then the jaw."""
        if not self.tongue:
            return None
        neutral, jaw = _vertices(self.tongue), self._jaw
        deltas, out = self._tongue_shapes[:-1], self._tongue_shapes[-1]

        def pose(weights: Float32Array, tongue_weights: Float32Array) -> Float32Array:
            own = neutral + np.tensordot(np.asarray(tongue_weights, np.float32), deltas, axes=1)
            own += np.asarray(weights, np.float32)[:, _TONGUE_OUT, None, None] * out
            moved = jaw(weights)
            turned = own @ moved[:, :3, :3].transpose(0, 2, 1)
            return np.asarray(turned + moved[:, None, :3, 3], np.float32)

        names = tuple(self._table.tongue.get(name, name) for name in TONGUE_NAMES)
        faces = joined_faces(self.tongue)
        return RigTongue(
            neutral=neutral,
            faces=faces,
            deltas=deltas,
            pose=pose,
            pose_names=names,
            bends=bool(self._tongue_shapes.any()),
        )

    def _lids(self, lists: VertexLists) -> dict[str, AnyArray]:
        """The lids of a face without eyes, behind which eyeballs are drawn (`animation.parts`)."""
        pairs = lists.eye_dist
        if pairs is None or len(pairs.upper) < len(SIDES) or self._has_eyes(pairs.all()):
            return {}
        return {"eye_upper": pairs.upper, "eye_lower": pairs.lower}

    def _has_eyes(self, lids: Int64Array) -> bool:
        """Whether there are eyeballs: by name, or as surfaces of their own behind the lids."""
        if any(is_eye(piece) for piece in self.placed.pieces):
            return True
        vertices, numbers = _vertices(self.skin), islands(_vertices(self.skin), joined_faces(self.skin))
        centres = np.stack([np.bincount(numbers, axis) for axis in vertices.T], axis=1) / np.bincount(numbers)[:, None]
        others = centres[np.arange(len(centres)) != np.bincount(numbers).argmax()]
        apart = np.linalg.norm(others[:, None] - vertices[lids], axis=2)
        return bool((apart < _EYEBALL_CM).any())

    def _parts(self) -> dict[str, AnyArray]:
        """Colours of skin and tongue; teeth and eyeballs as rigid parts."""
        arrays: dict[str, AnyArray] = {"extra_skin_colours": _colours(self.skin, "skin")}
        if self.tongue:
            arrays["extra_tongue_colours"] = _colours(self.tongue, "tongue")
        for name, pieces in self.teeth.items():
            arrays |= _part(name, pieces, _colours(pieces, "part"))
        for name, pieces in split_eyes(self._eyeballs).items():
            arrays |= _part(name, pieces, _eye_colours(pieces, _vertices(pieces)))
        return arrays


def _moving_names(piece: Piece) -> set[str]:
    """The shapes that move a piece."""
    return {name for name, delta in piece.targets.items() if np.abs(delta).max(initial=0) > STILL_CM}


def _vertices(pieces: Sequence[Piece]) -> Float32Array:
    return np.concatenate([piece.vertices for piece in pieces])


def _deltas(pieces: Sequence[Piece], names: Sequence[str]) -> Float32Array:
    """Offsets of some shapes, `[shapes, verts, 3]`; zeros of pieces that lack one."""
    count = sum(len(piece.vertices) for piece in pieces)
    found, start = np.zeros((len(names), count, 3), np.float32), 0
    for piece in pieces:
        for number, name in enumerate(names):
            if name in piece.targets:
                found[number, start : start + len(piece.vertices)] = piece.targets[name]
        start += len(piece.vertices)
    return found


def _part(name: str, pieces: Sequence[Piece], colours: AnyArray) -> Mapping[str, AnyArray]:
    arrays = {"vertices": _vertices(pieces), "faces": joined_faces(pieces), "colours": colours}
    return {f"extra_{name}_{kind}": array for kind, array in arrays.items()}


def _colours(pieces: Sequence[Piece], kind: str) -> AnyArray:
    """The file's own colours; where it has none those of what a mesh is named as."""
    shades = [
        np.tile(
            np.array(DEFAULT_COLOURS["part" if kind == "skin" and _INSIDE.search(piece.name) else kind], np.uint8),
            (len(piece.vertices), 1),
        )
        if piece.colours is None
        else piece.colours
        for piece in pieces
    ]
    return np.concatenate(shades)


def _eye_colours(pieces: Sequence[Piece], vertices: Float32Array) -> AnyArray:
    """The file's own colours; of an eye that has them in a picture, a dark iris around the direction of the look."""
    if all(piece.colours is not None for piece in pieces):
        return np.concatenate([piece.colours for piece in pieces if piece.colours is not None])
    middle = (vertices.min(axis=0) + vertices.max(axis=0)) / 2
    ahead = (vertices - middle) / np.maximum(np.linalg.norm(vertices - middle, axis=1, keepdims=True), 1e-6)
    around = ahead[:, 2]  # the cosine of the angle from +z
    palette = np.array([[12, 10, 10], [92, 112, 122], [238, 234, 230]], np.uint8)
    shades: AnyArray = palette[np.select([around > 0.985, around > 0.88], [0, 1], 2)]
    return shades
