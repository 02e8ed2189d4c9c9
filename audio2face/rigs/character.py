"""A rig from a character file: glTF with morph targets under ARKit's names, or with visemes."""

from __future__ import annotations

import difflib
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from audio2face.console import LOGGER
from audio2face.dataset.arkit_names import ARKIT_INDEX, ARKIT_NAMES, listed, match_names
from audio2face.dataset.vertex_lists import VertexLists
from audio2face.errors import MAX_LENGTH, FileFormatError
from audio2face.geometry.mesh import DEFAULT_COLOURS
from audio2face.io.atomic import file_sha256
from audio2face.rigs.gltf_reader import GltfFile
from audio2face.rigs.gltf_scene import Piece, read_pieces
from audio2face.rigs.jaw import RigJaw
from audio2face.rigs.regions import find_lips, frontal_vertices
from audio2face.rigs.rig import Rig
from audio2face.rigs.viseme_shapes import VisemeSet, find_visemes
from audio2face.types import AnyArray, Float32Array, Int32Array

_CENTIMETRES = 100.0
_MOVES = 0.02  # share of a shape's largest motion: less is not part of the face
_FACE_CM = (5.0, 60.0)  # widths of a face that are taken as they are
_USUAL_FACE_CM = 14.0
_NEAR = 0.75  # of the face's size around it: what lies further away is no part of the head
_EYEBALL = re.compile(r"eye(?!.*(lash|brow|lid|wet|shadow|occl))", re.IGNORECASE)
_LEFT = re.compile(r"(?:^|[^a-z])(?:left|l)(?:[^a-z]|$)|left", re.IGNORECASE)
_RIGHT = re.compile(r"(?:^|[^a-z])(?:right|r)(?:[^a-z]|$)|right", re.IGNORECASE)
_BOTH_EYES = ("eyesClosed", "eyeBlink", "blink", "EYEClose")  # in the place of one shape for each eye
_MOUTH = ("jaw", "mouth", "tongue")
_INSIDE = re.compile(r"teeth|tooth|mouth|oral|tongue", re.IGNORECASE)

# What is lost without a shape, in the order of its weight for speech.
LOSSES: Mapping[str, str] = {
    "mouthClose": "lips close by shutting the jaw",
    "mouthFunnel": "no open rounding (aw, sh)",
    "mouthPucker": "no close rounding (oo, w)",
    "mouthLowerDown": "the lower lip shows no teeth",
    "mouthUpperUp": "the upper lip stays down",
    "mouthRollLower": "the lower lip does not reach the teeth (f, v)",
    "mouthStretch": "lips do not widen (ee, s)",
    "mouthSmile": "no smile, and ee is less wide",
    "mouthPress": "closed lips are not pressed",
    "eyeBlink": "no blinks",
    "browInnerUp": "brows stay still",
}


def read_character(path: Path) -> Rig:
    """Reads a character.

    Meshes with morph targets become the skin, with whatever lies around the face; meshes of eyeballs turn with the
    gaze. Lengths become centimetres. A face that looks away from the viewer is turned.

    Raises:
        UserError: the file is missing.
        FileFormatError: it is damaged, has no morph targets, or they are neither ARKit's nor visemes.
    """
    pieces = read_pieces(GltfFile.open(path))
    names = list(dict.fromkeys(name for piece in pieces for name in piece.targets))
    if not names:
        raise FileFormatError(
            "has no morph targets, so its face cannot move",
            path=path,
            hint="Export it with its blend shapes (in Blender: Shape Keys), named as ARKit does: jawOpen, mouthClose, "
            "mouthFunnel, eyeBlinkLeft, ...",
        )
    shapes = _FaceShapes.find(names)
    if shapes is None:
        raise _cannot_speak(names, path)
    _log_losses(shapes, path)
    face = _Face(_centimetres(pieces, shapes, path), shapes)
    deltas = face.deltas
    opening = deltas[shapes.opening]
    jaw = _jaw_of(face.vertices, shapes, deltas)
    return Rig(
        name=_actor_name(path),
        source=path.name,
        path=path.absolute(),
        digest=file_sha256(path),
        neutral=face.vertices,
        faces=face.faces,
        pose_names=shapes.pose_names,
        deltas=deltas,
        driving=np.eye(len(ARKIT_NAMES), dtype=np.float32)[list(shapes.columns)],
        lists=VertexLists(lip_dist=find_lips(face.vertices, opening)),
        frontal=frontal_vertices(face.vertices, face.faces),
        jaw=jaw,
        jaw_points=jaw.key_points(),
        visemes=None if shapes.visemes is None else shapes.visemes.mix,
        parts=face.parts(),
    )


@dataclass(frozen=True, eq=False)
class _FaceShapes:
    """The shapes of a character that speech drives.

    Attributes:
        columns: indices in `ARKIT_NAMES` of those that are ARKit's, ascending.
        pose_names: the file's names of these, then of its visemes.
        visemes: the visemes of a mouth without `jawOpen`.
    """

    columns: tuple[int, ...]
    pose_names: tuple[str, ...]
    visemes: VisemeSet | None = None

    @classmethod
    def find(cls, names: Sequence[str]) -> _FaceShapes | None:
        """Finds them among the names of all shapes; None of a face that cannot speak."""
        found = {ARKIT_INDEX[name]: names[column] for name, column in match_names(names).columns.items()}
        blink = match_names(names, _BOTH_EYES).columns
        if blink and not found.keys() & {ARKIT_INDEX["eyeBlinkLeft"], ARKIT_INDEX["eyeBlinkRight"]}:
            found[ARKIT_INDEX["eyeBlinkLeft"]] = names[next(iter(blink.values()))]
        if ARKIT_INDEX["jawOpen"] in found:
            return cls(tuple(sorted(found)), tuple(found[column] for column in sorted(found)))
        visemes = find_visemes(names)
        if visemes is None:
            return None
        found = {column: name for column, name in found.items() if not ARKIT_NAMES[column].startswith(_MOUTH)}
        own = tuple(found[column] for column in sorted(found))
        return cls(tuple(sorted(found)), (*own, *visemes.poses), visemes)

    @property
    def opening(self) -> int:
        """Which of the shapes opens the jaw."""
        if self.visemes is not None:
            return len(self.columns) + self.visemes.opening
        return self.columns.index(ARKIT_INDEX["jawOpen"])


def _cannot_speak(names: Sequence[str], path: Path) -> FileFormatError:
    near = [f"{name} ({close[0]}?)" for name in names if (close := difflib.get_close_matches(name, ARKIT_NAMES, 1))]
    count = len(match_names(names).columns)
    found = f"{count} of its {len(names)} morph targets are" if count else f"none of its {len(names)} morph targets is"
    return FileFormatError(
        f"{found} ARKit's, without jawOpen, which speech needs, and there are no visemes; it has "
        f"{listed(near or names)}",
        path=path,
        hint="Name the shapes as ARKit does (jawOpen, mouthClose, mouthFunnel, mouthPucker, eyeBlinkLeft, "
        "eyeBlinkRight, ...; spellings such as jaw_open and eyeBlink_L are understood), or as visemes (viseme_PP, "
        "viseme_aa, ...).",
    )


def _log_losses(shapes: _FaceShapes, path: Path) -> None:
    """Logs what the missing shapes cost."""
    if shapes.visemes is not None:
        LOGGER.info("%s speaks with visemes: %s", path.name, ", ".join(shapes.visemes.poses))
        return
    present = {ARKIT_NAMES[column] for column in shapes.columns}
    lost = [f"{name}: {loss}" for name, loss in LOSSES.items() if not present & {name, f"{name}Left", f"{name}Right"}]
    if lost:
        LOGGER.info("%s has %d of ARKit's 52 shapes; without %s", path.name, len(present), "; ".join(lost))


def _actor_name(path: Path) -> str:
    """The file's name as the name of an actor, which is part of names of files."""
    plain = re.sub(r"[^A-Za-z0-9_-]+", "-", path.stem).strip("-")[:MAX_LENGTH]
    return plain or "character"


def _centimetres(pieces: Sequence[Piece], shapes: _FaceShapes, path: Path) -> list[Piece]:
    """The pieces in centimetres, the face towards +z."""
    moving = _moving(pieces, set(shapes.pose_names))
    width = float(np.ptp(moving[:, 0])) * _CENTIMETRES
    if width <= 0:
        raise FileFormatError("its morph targets move nothing", path=path, hint="Export the shapes with their motion.")
    scale = _CENTIMETRES
    if not _FACE_CM[0] <= width <= _FACE_CM[1]:
        scale *= _USUAL_FACE_CM / width
        LOGGER.info("%s: its face is %.3g cm wide; it is taken as %g cm", path.name, width, _USUAL_FACE_CM)
    if _looks_back(pieces, moving):
        LOGGER.info("%s looks along -z; it is turned round", path.name)
        turn = np.array([-scale, scale, -scale], np.float32)
    else:
        turn = np.full(3, scale, np.float32)
    return [
        replace(
            piece,
            vertices=piece.vertices * turn,
            targets={name: delta * turn for name, delta in piece.targets.items()},
        )
        for piece in pieces
    ]


def _moving(pieces: Sequence[Piece], names: set[str]) -> Float32Array:
    """The vertices that some shapes move, `[verts, 3]`."""
    found = [np.zeros((0, 3), np.float32)]
    for piece in pieces:
        for name, delta in piece.targets.items():
            length = np.linalg.norm(delta, axis=1)
            if name in names and length.max(initial=0) > 0:
                found.append(piece.vertices[length > _MOVES * length.max()])
    return np.concatenate(found)


def _looks_back(pieces: Sequence[Piece], moving: Float32Array) -> bool:
    """Whether the moving face lies behind the middle of what is as high as it."""
    low, high = moving[:, 1].min(), moving[:, 1].max()
    every = np.concatenate([piece.vertices for piece in pieces])
    beside = every[(every[:, 1] >= low) & (every[:, 1] <= high), 2]
    middle = (beside.min() + beside.max()) / 2
    return bool(moving[:, 2].mean() < middle - 0.1 * np.ptp(beside))


@dataclass(frozen=True, eq=False)
class _Face:
    """The pieces of a character, joined.

    Attributes:
        pieces: all pieces, centimetres.
        shapes: the shapes that speech drives.
    """

    pieces: Sequence[Piece]
    shapes: _FaceShapes

    @property
    def skin(self) -> list[Piece]:
        """What deforms, and what lies around it: hair, lashes, teeth."""
        driven = set(self.shapes.pose_names)
        moving = [piece for piece in self.pieces if driven & piece.targets.keys()]
        area = _moving(moving, driven)
        low, high = area.min(axis=0), area.max(axis=0)
        margin = _NEAR * float((high - low).max())
        eyes = self._eyes()
        kept = []
        for piece in self.pieces:
            if driven & piece.targets.keys():
                kept.append(piece)
            elif len(piece.vertices) and not any(piece in found for found in eyes.values()):
                lowest, highest = piece.vertices.min(axis=0), piece.vertices.max(axis=0)
                if (lowest >= low - margin).all() and (highest <= high + margin).all():
                    kept.append(piece)
        return kept

    @property
    def vertices(self) -> Float32Array:
        """Neutral positions, `[verts, 3]`."""
        return np.concatenate([piece.vertices for piece in self.skin])

    @property
    def faces(self) -> Int32Array:
        """Triangles, `[n, 3]`."""
        return _joined_faces(self.skin)

    @property
    def deltas(self) -> Float32Array:
        """Offsets of the shapes, `[shapes, verts, 3]`."""
        still = [np.zeros_like(piece.vertices) for piece in self.skin]
        return np.stack(
            [
                np.concatenate([piece.targets.get(name, zero) for piece, zero in zip(self.skin, still, strict=True)])
                for name in self.shapes.pose_names
            ]
        )

    def parts(self) -> dict[str, AnyArray]:
        """Colours of the skin, and eyeballs as rigid parts."""
        usual = np.array(DEFAULT_COLOURS["skin"], np.uint8)
        inside = np.array(DEFAULT_COLOURS["part"], np.uint8)
        shades = [
            np.tile(inside if _INSIDE.search(piece.name) else usual, (len(piece.vertices), 1))
            if piece.colours is None
            else piece.colours
            for piece in self.skin
        ]
        arrays: dict[str, AnyArray] = {"extra_skin_colours": np.concatenate(shades)}
        for side, found in self._eyes().items():
            vertices = np.concatenate([piece.vertices for piece in found])
            arrays[f"extra_{side}_vertices"] = vertices
            arrays[f"extra_{side}_faces"] = _joined_faces(found)
            arrays[f"extra_{side}_colours"] = _eye_colours(found, vertices)
        return arrays

    def _eyes(self) -> dict[str, list[Piece]]:
        """The pieces of each eyeball that is a mesh of its own, which no shape moves."""
        driven = set(self.shapes.pose_names)
        still = [piece for piece in self.pieces if not driven & piece.targets.keys() and _EYEBALL.search(piece.name)]
        sides = {
            "right_eye": [piece for piece in still if _RIGHT.search(piece.name)],
            "left_eye": [piece for piece in still if _LEFT.search(piece.name)],
        }
        return {side: found for side, found in sides.items() if found}


def _joined_faces(pieces: Sequence[Piece]) -> Int32Array:
    starts = np.cumsum([0, *(len(piece.vertices) for piece in pieces)])
    return np.concatenate([piece.faces + start for piece, start in zip(pieces, starts, strict=False)]).astype(np.int32)


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


def _jaw_of(neutral: Float32Array, shapes: _FaceShapes, deltas: Float32Array) -> RigJaw:
    """The jaw, by the motion of the chin."""
    opening = deltas[shapes.opening]
    if shapes.visemes is None:
        chosen = tuple(column for column in shapes.columns if ARKIT_NAMES[column].startswith("jaw"))
        return RigJaw.fit(neutral, opening, chosen, deltas[[shapes.columns.index(column) for column in chosen]])
    column = ARKIT_INDEX["jawOpen"]
    share = np.float32(shapes.visemes.targets[shapes.visemes.opening, column])
    return RigJaw.fit(neutral, opening, (column,), opening[None] / share)
