"""Vertices of lips, lids and the tongue's root: from named groups, or from the shapes that open and shut them.

Also finds ARKit's shapes among the names of a rig, as `audio2face.dataset.arkit_names` does (a test compares them).
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping, Sequence

import numpy as np

from a2f_dcc import SceneError
from a2f_dcc.scene import Integers, Points

_TOKEN = re.compile(r"[A-Z]+(?![a-z])|[A-Z]?[a-z]+|\d+")
_SIDES = {"left": "left", "l": "left", "lf": "left", "lft": "left", "right": "right", "r": "right", "rt": "right"}
LIP_OPEN = {"mouthLowerDownLeft": 0.6, "mouthLowerDownRight": 0.6, "mouthUpperUpLeft": 0.3, "mouthUpperUpRight": 0.3}
"""Shares of shapes that part the lips by some millimetres with the jaw closed."""
BLINKS = ("eyeBlinkRight", "eyeBlinkLeft")

_LIP_PAIRS = 5
_MOVES, _STAYS, _OPENS = 0.5, 0.3, 0.4  # of the largest motion of a shape
_TOUCH = 0.35  # centimetres between vertices that meet
_DEPTH = 0.3  # centimetres behind the foremost contact
_INNER = 0.8  # share of the mouth's width that the pairs span
_STILL = 0.02  # of the largest motion: vertices of the tongue that its shapes do not move
_MOST_RIGID, _FEWEST_RIGID, _REAR = 40, 4, 0.1


def match_names(poses: Sequence[str], standard: Sequence[str]) -> dict[str, int]:
    """The index of the pose that spells each standard name, for those found.

    Case, separators, prefixes of nodes and numbers at the end are ignored; a side may be L or R at either end.
    """
    known = {"".join(_tokens(name)): name for name in standard}
    best: dict[str, tuple[int, int]] = {}
    for index, pose in enumerate(poses):
        tokens = _tokens(pose)
        count = len(tokens)
        while tokens and tokens[-1].isdigit():
            tokens = tokens[:-1]
        found = _find(tokens, known)
        if found is not None:
            name, start = found
            around = count - len(tokens) + start
            best[name] = min(best.get(name, (around, index)), (around, index))
    return {name: best[name][1] for name in standard if name in best}


def _tokens(name: str) -> tuple[str, ...]:
    return tuple(token.lower() for token in _TOKEN.findall(name))


def _find(tokens: tuple[str, ...], known: Mapping[str, str]) -> tuple[str, int] | None:
    for start in range(len(tokens)):
        if start and tokens[start - 1] in _SIDES:
            continue  # half of a shape: L_browInnerUp is not browInnerUp
        for key in _spellings(tokens[start:]):
            if key in known:
                return known[key], start
    return None


def _spellings(tokens: tuple[str, ...]) -> Iterator[str]:
    yield "".join(tokens)
    for place, token in enumerate(tokens):
        if token in _SIDES:
            yield "".join((*tokens[:place], *tokens[place + 1 :], _SIDES[token]))


def pair_up(upper: Integers, lower: Integers, points: Points) -> dict[str, list[int]]:
    """Pairs the vertices of two rows by their place from the actor's right to the left; the shorter row decides.

    Raises:
        SceneError: a row is empty.
    """
    if min(len(upper), len(lower)) == 0:
        raise SceneError("one of the groups of a pair is empty", "Assign vertices to it, or remove both groups.")
    rows = [row[np.argsort(points[row, 0], kind="stable")] for row in (upper, lower)]
    count = min(map(len, rows))
    even = [row[np.round(np.linspace(0, len(row) - 1, count)).astype(int)] for row in rows]
    return {"upper": even[0].tolist(), "lower": even[1].tolist()}


def lips_of(jaw_open: Points, neutral: Points) -> dict[str, list[int]] | None:
    """Pairs of vertices that touch in the neutral face and part when the jaw opens; None where there are none.

    Args:
        jaw_open: offsets of the shape, `[verts, 3]` in centimetres.
        neutral: `[verts, 3]`, y upwards, z out of the face.
    """
    upper, lower = _contacts(jaw_open, neutral, neutral + jaw_open)
    if len(upper) == 0:
        return None
    foremost = neutral[upper, 2].max()
    x = neutral[upper, 0]
    half = _INNER * np.ptp(x) / 2
    middle = (x.max() + x.min()) / 2
    chosen: list[int] = []
    for target in np.linspace(middle - half, middle + half, _LIP_PAIRS):
        near = np.abs(x - target) < max(half / (_LIP_PAIRS - 1), 1e-6)
        near &= neutral[upper, 2] > min(foremost, neutral[upper[near], 2].max() if near.any() else foremost) - _DEPTH
        options = np.flatnonzero(near)
        if len(options):
            gap = np.linalg.norm(neutral[upper[options]] - neutral[lower[options]], axis=1)
            order = np.lexsort((np.abs(x[options] - target), np.round(gap, 2)))
            chosen.append(int(options[order[0]]))
    chosen = list(dict.fromkeys(chosen))
    return {"upper": upper[chosen].tolist(), "lower": lower[chosen].tolist()}


def lids_of(blinks: Sequence[Points], neutral: Points) -> dict[str, list[int]] | None:
    """One pair per eye whose vertices meet when it shuts, in the order of `blinks`; None where one has none."""
    pairs: list[tuple[int, int]] = []
    for blink in blinks:
        upper, lower = _contacts(blink, neutral + blink, neutral)
        if len(upper) == 0:
            return None
        moved = np.linalg.norm(blink, axis=1)
        middle = neutral[moved > _MOVES * moved.max(), 0].mean()
        opening = np.linalg.norm(neutral[upper] - neutral[lower], axis=1)
        off = np.abs(neutral[upper, 0] - middle)
        best = int(np.argmin(off - 0.2 * opening))
        pairs.append((int(upper[best]), int(lower[best])))
    return {"upper": [pair[0] for pair in pairs], "lower": [pair[1] for pair in pairs]}


def _contacts(motion: Points, shut: Points, opened: Points) -> tuple[Integers, Integers]:
    """Vertices of the moving and of the still edge that touch when shut and are apart when open; upper ones first."""
    length = np.linalg.norm(motion, axis=1)
    largest = float(length.max()) if len(length) else 0.0
    moving = np.flatnonzero(length > _MOVES * largest)
    near = shut[moving]
    inside = ((shut > near.min(axis=0) - 1) & (shut < near.max(axis=0) + 1)).all(axis=1) if largest > 0 else []
    still = np.flatnonzero(inside & (length < _STAYS * largest)) if largest > 0 else np.zeros(0, np.int64)
    if len(moving) == 0 or len(still) == 0:
        return np.zeros(0, np.int64), np.zeros(0, np.int64)
    nearest = np.concatenate(
        [
            np.argmin(((shut[part, None] - shut[None, still]) ** 2).sum(axis=2), axis=1)
            for part in np.array_split(moving, max(1, len(moving) * len(still) // 2_000_000))
        ]
    )
    other = still[nearest]
    together = np.linalg.norm(shut[moving] - shut[other], axis=1)
    apart = np.linalg.norm(opened[moving] - opened[other], axis=1)
    meets = (together < _TOUCH) & (apart - together > _OPENS * largest)
    moving, other = moving[meets], other[meets]
    swapped = len(moving) > 0 and float((opened[moving, 1] - opened[other, 1]).mean()) < 0
    return (other, moving) if swapped else (moving, other)


def root_of(neutral: Points, deltas: Sequence[Points]) -> tuple[list[int], str]:
    """Vertices of the tongue that move with the jaw only, and how they were found.

    Args:
        neutral: of the tongue, `[verts, 3]`, z out of the face.
        deltas: offsets of its shapes, each `[verts, 3]`.
    """
    if deltas:
        moved = np.max([np.linalg.norm(delta, axis=1) for delta in deltas], axis=0)
        still = np.flatnonzero(moved <= _STILL * moved.max())
        if len(still) >= _FEWEST_RIGID:
            step = max(1, len(still) // _MOST_RIGID)
            return still[::step].tolist(), "the vertices that no shape of the tongue moves"
    count = max(_FEWEST_RIGID, min(_MOST_RIGID, round(_REAR * len(neutral))))
    return np.sort(np.argsort(neutral[:, 2])[:count]).tolist(), "the rear of the tongue, a guess"


def find_lists(
    groups: Mapping[str, Integers], neutral: Points, delta: Callable[[str], Points | None]
) -> tuple[dict[str, object], list[str]]:
    """The vertex lists of the skin by name of their file, and how those were found that no group gives.

    Args:
        groups: named sets of vertices; `lip_upper` and `lip_lower`, `lid_upper` and `lid_lower`, `upper_lip_top`,
            `upper_lip_bottom`, `lower_lip_top` and `lower_lip_bottom` are used.
        neutral: `[verts, 3]` in centimetres, y upwards, z out of the face.
        delta: offsets of one of ARKit's shapes; None where the mesh has no such shape.
    """
    lists: dict[str, object] = {}
    made = []
    for name, above, below in (("lip_dist", "lip_upper", "lip_lower"), ("eye_dist", "lid_upper", "lid_lower")):
        if above in groups and below in groups:
            lists[name] = pair_up(groups[above], groups[below], neutral)
    if "lip_dist" not in lists and (jaw := delta("jawOpen")) is not None and (lips := lips_of(jaw, neutral)):
        lists["lip_dist"] = lips
        made.append("vertices of the lips: what touches in the neutral face and parts with jawOpen")
    blinks = [found for name in BLINKS if (found := delta(name)) is not None]
    if "eye_dist" not in lists and len(blinks) == len(BLINKS) and (pairs := lids_of(blinks, neutral)):
        lists["eye_dist"] = pairs
        made.append("vertices of the lids: what meets in eyeBlink")
    edges = [f"{lip}_lip_{edge}" for lip in ("upper", "lower") for edge in ("top", "bottom")]
    if all(edge in groups for edge in edges):
        rows = [pair_up(groups[edges[place]], groups[edges[place + 1]], neutral) for place in (0, 2)]
        named = [{"top": row["upper"], "bottom": row["lower"]} for row in rows]
        lists["lip_size"] = {"upper_lip": named[0], "lower_lip": named[1]}
    return lists, made
