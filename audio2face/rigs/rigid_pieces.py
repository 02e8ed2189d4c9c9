"""What of a character's meshes is tongue, teeth and eyeballs, by names, places and the motion of the jaw."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from audio2face.rigs.scene import Piece, islands
from audio2face.types import BoolArray

_TEETH = re.compile(r"teeth|tooth|dentur|gum", re.IGNORECASE)
_TONGUE = re.compile(r"tongue", re.IGNORECASE)
_EYE = re.compile(
    r"eye(?!.*(lash|brow|lid|wet|shadow|occl|socket|blend|wear|glass|patch|liner))|"
    r"sclera|cornea|iris[ _]?(left|right|[lr]\b)",
    re.IGNORECASE,
)
_LEFT = re.compile(r"(?:^|[^a-z])(?:left|l)(?:[^a-z]|$)|left", re.IGNORECASE)
_RIGHT = re.compile(r"(?:^|[^a-z])(?:right|r)(?:[^a-z]|$)|right", re.IGNORECASE)
_LOWER = re.compile(r"lower|bottom|down|mandib", re.IGNORECASE)
_UPPER = re.compile(r"upper|top|maxil", re.IGNORECASE)
STILL_CM = 0.01
"""Smaller motion is none: files have rounding in it."""
_DEEP = 0.5  # of the deepest surface of the lower jaw: single teeth are less deep than a tongue
_WITH_JAW = 0.3  # of the largest motion of the opening jaw: a part that moves more is one of the lower jaw


def is_named_part(name: str) -> bool:
    """Whether a name is that of teeth, gums, a tongue or an eyeball."""
    return any(pattern.search(name) is not None for pattern in (_TEETH, _TONGUE, _EYE))


def is_eye(piece: Piece) -> bool:
    """Whether a mesh is an eyeball, by its name."""
    return _EYE.search(piece.name) is not None and len(piece.vertices) > 0


def is_tongue(piece: Piece) -> bool:
    """Whether a mesh is a tongue, by its name."""
    return _TONGUE.search(piece.name) is not None and _TEETH.search(piece.name) is None and len(piece.vertices) > 0


def is_teeth(piece: Piece) -> bool:
    """Whether a mesh is teeth or gums, by its name."""
    return _TEETH.search(piece.name) is not None and len(piece.vertices) > 0


def tongues_apart(pieces: Sequence[Piece], opening: str) -> list[Piece]:
    """The pieces, with tongues apart from gums and teeth that are in one mesh with them, as in ICT-FaceKit.

    Of the surfaces that the opening jaw moves, the tongue is the one that lies nearest to the middle of the mouth.

    Args:
        pieces: all pieces, the actor's left at +x.
        opening: name of the shape that opens the jaw.
    """
    found: list[Piece] = []
    for piece in pieces:
        tongue = _tongue_of(piece, opening) if _TONGUE.search(piece.name) and _TEETH.search(piece.name) else None
        if tongue is None:
            found.append(piece)
        else:
            found += [replace(part_of(piece, ~tongue), name="gums"), replace(part_of(piece, tongue), name="tongue")]
    return found


def _tongue_of(piece: Piece, opening: str) -> BoolArray | None:
    """Which vertices of a mesh of gums and tongue are the tongue, `[verts]`; None where that is not certain."""
    numbers = islands(piece.vertices, piece.faces)
    counts = np.bincount(numbers)
    moved = np.linalg.norm(piece.targets.get(opening, np.zeros_like(piece.vertices)), axis=1)
    lower = np.bincount(numbers, moved) / counts > _WITH_JAW * moved.max(initial=0)
    deep = np.array([np.ptp(piece.vertices[numbers == number, 2]) for number in range(len(counts))])
    likely = np.flatnonzero(lower & (deep > _DEEP * deep[lower].max(initial=0)))
    if moved.max(initial=0) < STILL_CM or not len(likely):
        return None
    beside = np.bincount(numbers, np.abs(piece.vertices[:, 0])) / counts
    return np.asarray(numbers == likely[beside[likely].argmin()])


def split_teeth(pieces: Sequence[Piece], opening: str) -> dict[str, list[Piece]]:
    """Sorts teeth into "lower_teeth" and "upper_teeth"; a mesh of both is taken apart.

    The motion of the opening jaw tells, else names, else what lies lower.

    Args:
        pieces: the teeth.
        opening: name of the shape that opens the jaw.
    """
    found: dict[str, list[Piece]] = {"lower_teeth": [], "upper_teeth": []}
    for piece in pieces:
        lower = _lower(piece, opening)
        for name, kept in (("lower_teeth", lower), ("upper_teeth", ~lower)):
            if kept.any():
                found[name].append(piece if kept.all() else part_of(piece, kept))
    return {name: parts for name, parts in found.items() if parts}


def split_eyes(pieces: Sequence[Piece]) -> dict[str, list[Piece]]:
    """Sorts eyeballs into "right_eye" and "left_eye", by name; a mesh of both is taken apart by its place.

    Args:
        pieces: the eyeballs, the actor's left at +x.
    """
    found: dict[str, list[Piece]] = {"right_eye": [], "left_eye": []}
    for piece in pieces:
        is_left, is_right = _LEFT.search(piece.name) is not None, _RIGHT.search(piece.name) is not None
        if is_left != is_right:
            found["left_eye" if is_left else "right_eye"].append(piece)
            continue
        numbers = islands(piece.vertices, piece.faces)
        places = np.bincount(numbers, piece.vertices[:, 0]) / np.maximum(np.bincount(numbers), 1)
        left = np.asarray(places[numbers] > 0)
        for name, kept in (("right_eye", ~left), ("left_eye", left)):
            if kept.any():
                found[name].append(piece if kept.all() else part_of(piece, kept))
    return {side: parts for side, parts in found.items() if parts}


def _lower(piece: Piece, opening: str) -> BoolArray:
    """Which vertices belong to the lower jaw, `[verts]`."""
    count, numbers = len(piece.vertices), islands(piece.vertices, piece.faces)
    sizes = np.maximum(np.bincount(numbers), 1)
    moved = np.linalg.norm(piece.targets.get(opening, np.zeros_like(piece.vertices)), axis=1)
    if moved.max(initial=0) > STILL_CM:
        lower = np.bincount(numbers, moved) / sizes > _WITH_JAW * moved.max()
        return np.asarray(lower[numbers])
    if _LOWER.search(piece.name) or _UPPER.search(piece.name):
        return np.full(count, _LOWER.search(piece.name) is not None)
    heights = np.bincount(numbers, piece.vertices[:, 1]) / sizes
    return np.asarray(heights[numbers] < (heights.min() + heights.max()) / 2)


def part_of(piece: Piece, kept: BoolArray) -> Piece:
    """The part of a mesh that some of its vertices make, `[verts]`."""
    numbers = np.cumsum(kept) - 1
    corners = np.where(piece.faces >= 0, kept[piece.faces], True).all(axis=1)
    faces = np.where(piece.faces >= 0, numbers[piece.faces], -1)[corners]
    return Piece(
        piece.name,
        piece.vertices[kept],
        faces.astype(np.int32),
        {name: delta[kept] for name, delta in piece.targets.items()},
        None if piece.colours is None else piece.colours[kept],
    )
