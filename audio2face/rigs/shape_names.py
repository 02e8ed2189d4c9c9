"""Which of a file's shapes are which of ARKit's 52, in the habits of common tools, and what the missing ones cost.

A shape may have another name (`Brow_Drop_L`, `AU12_R`, `blinkLeft`), be one for both sides (`mouthSmile`), or one half
of what ARKit has in the middle (`browInnerUp_L`). Spellings are those of `dataset.arkit_names`.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np

from audio2face.dataset.arkit_names import ARKIT_INDEX, ARKIT_NAMES, TONGUE_NAMES, match_names
from audio2face.rigs.viseme_shapes import VisemeSet, find_visemes
from audio2face.types import Float32Array

SIDES = ("Left", "Right")
_MOUTH = ("jaw", "mouth", "tongue")

# What is lost without a shape of either side, in the order of its weight for speech.
LOSSES: Mapping[str, str] = {
    "jawOpen": "the mouth does not open",
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
_SMALL_LOSSES: Mapping[str, str] = {
    "eyeLook": "lids do not follow the gaze",
    "jaw": "the jaw only opens",
    "mouth": "a little of the mouth's expression",
    "tongue": "the tongue stays in the mouth",
}  # of all others, by how they begin
_LEAST_LOSS = "a little of the expression"

# Other names of ARKit's shapes, without a side; those of Character Creator, VRM, VRoid and Ready Player Me among them.
_OTHER_NAMES: Mapping[str, tuple[str, ...]] = {
    "eyeBlink": ("eyesClosed", "blink", "EYEClose", "eyeClose"),
    "browInnerUp": ("browRaiseInner",),
    "browOuterUp": ("browRaiseOuter",),
    "browDown": ("browDrop",),
    "cheekSquint": ("cheekRaise",),
    "mouthLowerDown": ("mouthDownLower",),
    "mouthUpperUp": ("mouthUpUpper",),
    "mouthRollLower": ("mouthRollInLower",),
    "mouthRollUpper": ("mouthRollInUpper",),
    "jawOpen": ("mouthOpen", "jawDrop"),
}
# Action units of the Facial Action Coding System, by the shape that is nearest.
_ACTION_UNITS: Mapping[int, str] = {
    1: "browInnerUp", 2: "browOuterUp", 4: "browDown", 5: "eyeWide", 6: "cheekSquint", 7: "eyeSquint", 9: "noseSneer",
    10: "mouthUpperUp", 12: "mouthSmile", 14: "mouthDimple", 15: "mouthFrown", 16: "mouthLowerDown",
    17: "mouthShrugLower", 18: "mouthPucker", 19: "tongueOut", 20: "mouthStretch", 22: "mouthFunnel", 24: "mouthPress",
    26: "jawOpen", 27: "jawOpen", 28: "mouthRollLower", 29: "jawForward", 33: "cheekPuff", 34: "cheekPuff",
    45: "eyeBlink",
}  # fmt: skip
_UNIT = re.compile(r"(?<![A-Za-z])AU[_ ]?0*(\d{1,2})(?!\d)(.*)$", re.IGNORECASE | re.DOTALL)
_UNIT_SIDES = re.compile(r"(?:^|[^a-z])(?:(l|left)|(r|right))(?:[^a-z]|$)|(left)|(right)", re.IGNORECASE)
_SUFFIX = re.compile(r"[ _.]?(?:blendshape|shape|target|mesh|geo|bs)\d*$", re.IGNORECASE)


@dataclass(frozen=True)
class ShapeRow:
    """One of ARKit's shapes in a file.

    Attributes:
        own: the file's names of the shapes that stand for it: none, one, or two halves.
        share: their weight for its weight of 1: a half where one shape moves both sides.
    """

    own: tuple[str, ...] = ()
    share: float = 1.0

    @property
    def is_merged(self) -> bool:
        """Whether the file's shape moves both sides."""
        return self.share < 1


@dataclass(frozen=True, eq=False)
class ShapeTable:
    """The shapes of a file that speech drives.

    Attributes:
        rows: of each of `ARKIT_NAMES`.
        visemes: the visemes of a mouth without `jawOpen`, in place of ARKit's shapes of the mouth.
        tongue: the file's names of the shapes of `TONGUE_NAMES` that it has.
        unused: the file's shapes that nothing drives.
    """

    rows: tuple[ShapeRow, ...]
    visemes: VisemeSet | None
    tongue: Mapping[str, str]
    unused: tuple[str, ...]

    @classmethod
    def find(cls, names: Sequence[str]) -> ShapeTable | None:
        """Finds the shapes of a face among the names of all shapes; None of a face that cannot speak."""
        rows = _find_rows(names)
        visemes = None
        if not match_names(_plain(names), ("jawOpen",)).columns:  # another name of it opens less well than visemes
            visemes = find_visemes(names)
        if visemes is not None:
            rows = [ShapeRow() if name.startswith(_MOUTH) else row for name, row in zip(ARKIT_NAMES, rows, strict=True)]
        elif not rows[ARKIT_INDEX["jawOpen"]].own:
            return None
        tongue = {name: names[column] for name, column in match_names(_plain(names), TONGUE_NAMES).columns.items()}
        taken = {name for row in rows for name in row.own} | set(tongue.values())
        taken |= set() if visemes is None else set(visemes.poses)
        return cls(tuple(rows), visemes, tongue, tuple(name for name in names if name not in taken))

    @cached_property
    def driven(self) -> tuple[str, ...]:
        """The file's names of the shapes that ARKit's drive, in ARKit's order."""
        return tuple(dict.fromkeys(name for row in self.rows for name in row.own))

    @property
    def pose_names(self) -> tuple[str, ...]:
        """The driven shapes, then the visemes."""
        return self.driven if self.visemes is None else (*self.driven, *self.visemes.poses)

    @property
    def driving(self) -> Float32Array:
        """Weights of the driven shapes for a weight of 1 of each of ARKit's, float32 `[driven shapes, 52]`."""
        matrix = np.zeros((len(self.driven), len(ARKIT_NAMES)), np.float32)
        for column, row in enumerate(self.rows):
            for name in row.own:
                matrix[self.driven.index(name), column] = row.share
        return matrix

    @property
    def opening(self) -> int:
        """Which of the poses opens the jaw."""
        if self.visemes is not None:
            return len(self.driven) + self.visemes.opening
        return self.driven.index(self.rows[ARKIT_INDEX["jawOpen"]].own[0])

    @property
    def found(self) -> list[str]:
        """ARKit's names of the shapes that there are."""
        return [name for name, row in zip(ARKIT_NAMES, self.rows, strict=True) if row.own]

    def own(self, shape: str) -> tuple[str, ...]:
        """The file's names of what stands for a shape of ARKit."""
        return self.rows[ARKIT_INDEX[shape]].own

    def sided(self) -> dict[str, tuple[str, ...]]:
        """The file's shapes of one side alone, by side."""
        sides: dict[str, tuple[str, ...]] = {}
        for side in SIDES:
            rows = [(name, self.rows[ARKIT_INDEX[name]]) for name in self.found if name.endswith(side)]
            plain = [row.own[0] for name, row in rows if not row.is_merged and name not in _SWEEPS]
            halves = [row.own[SIDES.index(side)] for row in self.rows if len(row.own) == len(SIDES)]
            sides[side] = (*plain, *halves)
        return sides

    def mirrored(self) -> ShapeTable:
        """The table with left and right exchanged, for names that say the viewer's sides."""
        rows = list(self.rows)
        for name, index in ARKIT_INDEX.items():
            rows[index] = self.rows[ARKIT_INDEX[_other_side(name)]]
        return replace(self, rows=tuple(rows))

    def losses(self) -> list[str]:
        """What each missing shape costs, the worst first; shapes of two sides are named once."""
        if self.visemes is not None:
            return []
        found = self.found
        return [
            f"{name}: {loss}" for name, loss in LOSSES.items() if not {name, f"{name}Left", f"{name}Right"} & {*found}
        ]

    def lines(self) -> Iterator[str]:
        """The table as lines of text."""
        yield f"{'ARKit':<22}{'in the file':<40}"
        for name, row in zip(ARKIT_NAMES, self.rows, strict=True):
            yield f"{name:<22}{_described(name, row, self.visemes is not None)}".rstrip()
        if self.visemes is not None:
            yield f"{'visemes':<22}{', '.join(self.visemes.poses)}"
        for name in self.tongue:
            yield f"{name:<22}{self.tongue[name]}"
        if self.unused:
            yield f"{'not used':<22}{', '.join(self.unused)}"


_SWEEPS = ("jawLeft", "jawRight", "mouthLeft", "mouthRight")  # these move both sides


def _described(name: str, row: ShapeRow, speaks_by_visemes: bool) -> str:
    if row.own:
        how = ""
        if row.is_merged:
            how = "for both sides: the mean of left and right"
        elif len(row.own) > 1:
            how = "halves, moved together"
        return f"{' + '.join(row.own):<40}{how}"
    if speaks_by_visemes and name.startswith(_MOUTH):
        return f"{'-':<40}by visemes"
    return f"{'-':<40}{_loss(name)}"


def _loss(name: str) -> str:
    stem = next((name.removesuffix(side) for side in SIDES if name.endswith(side) and name not in _SWEEPS), name)
    if stem in LOSSES:
        return LOSSES[stem]
    return next((loss for start, loss in _SMALL_LOSSES.items() if name.startswith(start)), _LEAST_LOSS)


def _other_side(name: str) -> str:
    for side, other in (SIDES, SIDES[::-1]):
        if name.endswith(side):
            return name.removesuffix(side) + other
    return name


def _find_rows(names: Sequence[str]) -> list[ShapeRow]:
    """What stands for each of ARKit's shapes."""
    stems = dict.fromkeys(name.removesuffix(_side(name)) for name in ARKIT_NAMES)
    spelled = [spelling for stem in stems for spelling in (stem, *_OTHER_NAMES.get(stem, ()))]
    standard = dict.fromkeys(f"{spelling}{side}" for spelling in spelled for side in ("", *SIDES))
    columns = match_names(_plain(names), tuple(standard)).columns
    known = {name: names[column] for name, column in columns.items()}
    return [_row(name, known) for name in ARKIT_NAMES]


def _row(name: str, known: Mapping[str, str]) -> ShapeRow:
    side = _side(name)
    stem = name.removesuffix(side)
    spellings = (stem, *_OTHER_NAMES.get(stem, ()))
    for spelling in spellings:
        if f"{spelling}{side}" in known:
            return ShapeRow((known[f"{spelling}{side}"],))
    if not side:
        halves = [[known[f"{one}{end}"] for end in SIDES if f"{one}{end}" in known] for one in spellings]
        return next((ShapeRow(tuple(found)) for found in halves if found), ShapeRow())
    other = _other_side(side)
    if any(f"{spelling}{other}" in known for spelling in spellings):
        return ShapeRow()  # of one side there is a shape, so that one for both would move it twice
    return next((ShapeRow((known[one],), 1 / len(SIDES)) for one in spellings if one in known), ShapeRow())


def _side(name: str) -> str:
    """The side at the end of a name of ARKit's; "" of a shape that moves both."""
    return next((side for side in SIDES if name.endswith(side) and name not in _SWEEPS), "")


def _plain(names: Sequence[str]) -> list[str]:
    """Names without words that say only that they are shapes; action units under ARKit's names."""
    return [_named_unit(_SUFFIX.sub("", name) or name) for name in names]


def _named_unit(name: str) -> str:
    unit = _UNIT.search(name)
    if unit is None or int(unit[1]) not in _ACTION_UNITS:
        return name
    side = _UNIT_SIDES.search(unit[2])
    end = "" if side is None else SIDES[int(bool(side[2] or side[4]))]
    return _ACTION_UNITS[int(unit[1])] + end
