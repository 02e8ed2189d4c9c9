"""Names of ARKit's blend shapes: their two orders, and matching of the spellings of other tools.

All readers and writers match ARKit names here.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cache

from audio2face.errors import UserError

# fmt: off
ARKIT_NAMES: tuple[str, ...] = (
    "eyeBlinkLeft", "eyeLookDownLeft", "eyeLookInLeft", "eyeLookOutLeft", "eyeLookUpLeft", "eyeSquintLeft",
    "eyeWideLeft", "eyeBlinkRight", "eyeLookDownRight", "eyeLookInRight", "eyeLookOutRight", "eyeLookUpRight",
    "eyeSquintRight", "eyeWideRight", "jawForward", "jawLeft", "jawRight", "jawOpen", "mouthClose", "mouthFunnel",
    "mouthPucker", "mouthLeft", "mouthRight", "mouthSmileLeft", "mouthSmileRight", "mouthFrownLeft", "mouthFrownRight",
    "mouthDimpleLeft", "mouthDimpleRight", "mouthStretchLeft", "mouthStretchRight", "mouthRollLower", "mouthRollUpper",
    "mouthShrugLower", "mouthShrugUpper", "mouthPressLeft", "mouthPressRight", "mouthLowerDownLeft",
    "mouthLowerDownRight", "mouthUpperUpLeft", "mouthUpperUpRight", "browDownLeft", "browDownRight", "browInnerUp",
    "browOuterUpLeft", "browOuterUpRight", "cheekPuff", "cheekSquintLeft", "cheekSquintRight", "noseSneerLeft",
    "noseSneerRight", "tongueOut",
)
"""The 52 shapes in the order of Audio2Face and its SDK (left before right)."""
TONGUE_NAMES: tuple[str, ...] = (
    "tongueTipUp", "tongueTipDown", "tongueTipLeft", "tongueTipRight", "tongueRollUp", "tongueRollDown",
    "tongueRollLeft", "tongueRollRight", "tongueUp", "tongueDown", "tongueLeft", "tongueRight", "tongueIn",
    "tongueStretch", "tongueWide", "tongueNarrow",
)
"""The 16 shapes that Audio2Face adds for the tongue, in its order."""
# fmt: on
ARKIT_INDEX: dict[str, int] = {name: index for index, name in enumerate(ARKIT_NAMES)}
TONGUE_INDEX: dict[str, int] = {name: index for index, name in enumerate(TONGUE_NAMES)}
"""Places of the shapes in these orders."""

_SWAPPED = (("jawLeft", "jawRight"), ("mouthLeft", "mouthRight"))
_TOKEN = re.compile(r"[A-Z]+(?![a-z])|[A-Z]?[a-z]+|\d+")
_SIDES = {"left": "left", "l": "left", "lf": "left", "lft": "left", "right": "right", "r": "right", "rt": "right"}
_LISTED = 8  # maximum number of names in a message


def _live_link_order() -> tuple[str, ...]:
    names = list(ARKIT_NAMES)
    for left, right in _SWAPPED:
        place = names.index(left)
        names[place : place + 2] = [right, left]
    return tuple(name[0].upper() + name[1:] for name in names)


LIVE_LINK_NAMES: tuple[str, ...] = _live_link_order()
"""The 52 columns in the order of the Live Link Face app: JawRight and MouthRight before the left."""


@dataclass(frozen=True)
class NameMatch:
    """The standard shapes found among the poses of a set.

    Attributes:
        columns: index of the pose of every standard shape found, by standard name.
        unmatched: poses that match no standard shape, in the order of the set.
    """

    columns: dict[str, int]
    unmatched: tuple[str, ...]


def match_names(poses: Sequence[str], standard: Sequence[str] = ARKIT_NAMES) -> NameMatch:
    """Finds standard shapes among the poses of a rig, in the naming conventions of common tools.

    Case and separators are ignored; the side may be `Left`, `L`, `Right` or `R` at either end or inside
    (`eyeBlink_L`, `left_eye_blink`, `EYEBLINKLEFT`); prefixes of nodes and meshes (`blendShape1.jawOpen`,
    `head_mesh|browDownLeft`) and numbers at the end (`jawOpen.001`) are ignored. Of several poses that match one shape,
    the one with the fewest extra words is taken; of equals the first.

    Args:
        poses: names of the rig's poses.
        standard: the names to find.
    """
    known = {key: name for name in standard for key in (_key(_tokens(name)),)}
    best: dict[str, tuple[int, int]] = {}
    for index, pose in enumerate(poses):
        found = _find(_tokens(pose), known)
        if found is not None:
            name, around = found
            best[name] = min(best.get(name, (around, index)), (around, index))
    columns = {name: best[name][1] for name in standard if name in best}
    taken = set(columns.values())
    return NameMatch(columns, tuple(pose for index, pose in enumerate(poses) if index not in taken))


def match_arkit(poses: Sequence[str]) -> NameMatch:
    """Matches the poses of a set that should be ARKit's; otherwise as `match_names`.

    Raises:
        UserError: most of the poses match none of the 52.
    """
    match = match_names(poses)
    if not is_arkit(match, len(poses)):
        raise UserError(
            f"of {len(poses)} poses {len(match.columns)} are ARKit's; these match no column: {listed(match.unmatched)}",
            hint="Name the poses as ARKit does (jawOpen, eyeBlinkLeft, mouthSmile_R, ...), or choose csv, which keeps "
            "the names of the set.",
        )
    return match


def is_arkit(match: NameMatch, num_poses: int) -> bool:
    """Returns whether at least half of a set, or of the 52, was found."""
    return 2 * len(match.columns) >= min(num_poses, len(ARKIT_NAMES))


def listed(names: Sequence[str]) -> str:
    """Formats names for a message; of many only the first few."""
    rest = len(names) - _LISTED
    return ", ".join(names[:_LISTED]) + (f" and {rest} more" if rest > 0 else "")


def _find(tokens: tuple[str, ...], known: dict[str, str]) -> tuple[str, int] | None:
    """Finds the standard shape that the end of a name spells, and the number of extra words."""
    count = len(tokens)
    while tokens and tokens[-1].isdigit():
        tokens = tokens[:-1]
    for start in range(len(tokens)):
        if start and tokens[start - 1] in _SIDES:
            continue  # half of a shape: L_browInnerUp is not browInnerUp
        for key in _spellings(tokens[start:]):
            if key in known:
                return known[key], count - len(tokens) + start
    return None


def _spellings(tokens: tuple[str, ...]) -> Iterator[str]:
    """Yields the keys that words may match: as they are, and with each side written out at the end."""
    yield _key(tokens)
    for place, token in enumerate(tokens):
        if token in _SIDES:
            yield _key((*tokens[:place], *tokens[place + 1 :], _SIDES[token]))


def _key(tokens: tuple[str, ...]) -> str:
    return "".join(tokens)


@cache
def _tokens(name: str) -> tuple[str, ...]:
    """Splits a name into words in lower case, at separators, capitals and digits."""
    return tuple(token.lower() for token in _TOKEN.findall(name))
