"""Shots of a scene: from its markers, its whole range, or ranges that are given."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

from a2f_dcc import SceneError

MARKERS, WHOLE = "markers", "scene"
_RANGE = re.compile(r"(?P<name>[^=]+)=(?P<first>-?\d+)-(?P<last>-?\d+)")
_END = re.compile(r"(?:.*[\s_.-])?end", re.IGNORECASE)
_FEWEST_FRAMES = 2


@dataclass(frozen=True)
class SceneShot:
    """A part of the time line.

    Attributes:
        name: also of its files.
        first, last: its frames, both included.
    """

    name: str
    first: int
    last: int

    @property
    def num_frames(self) -> int:
        """Number of frames."""
        return self.last - self.first + 1


def clean_name(text: str) -> str:
    """A name that is allowed in names of files: letters, digits, `_`, `-` and `.`; others become `_`."""
    name = re.sub(r"[^A-Za-z0-9_.-]+", "_", text.strip())
    return re.sub(r"\.{2,}", ".", name).strip("._-")[:80].strip("._-")


def find_shots(
    asked: Sequence[str], markers: Sequence[tuple[int, str]], scene_range: tuple[int, int], actor: str
) -> list[SceneShot]:
    """The shots that were asked for, in the order of their frames.

    Args:
        asked: "markers", "scene", or `name=first-last` for each shot.
        markers: frames and names of the time line.
        scene_range: first and last frame of the scene.
        actor: names the only shot of a whole scene.

    Raises:
        SceneError: there is no such shot, two have one name, or one has fewer than two frames.
    """
    if list(asked) == [WHOLE]:
        shots = [SceneShot(f"{clean_name(actor)}_{scene_range[0]}_{scene_range[1]}", *scene_range)]
    elif list(asked) == [MARKERS]:
        shots = _from_markers(markers, scene_range)
    else:
        shots = [_from_text(text) for text in asked]
    _check(shots)
    return sorted(shots, key=lambda shot: shot.first)


def _from_text(text: str) -> SceneShot:
    match = _RANGE.fullmatch(text)
    if match is None or not clean_name(match["name"]):
        raise SceneError(
            f"{text!r} names no shot",
            "Give 'markers', 'scene', or for each shot its name, first and last frame: s001_joy=1-120",
        )
    return SceneShot(clean_name(match["name"]), int(match["first"]), int(match["last"]))


def _from_markers(markers: Sequence[tuple[int, str]], scene_range: tuple[int, int]) -> list[SceneShot]:
    """A marker begins a shot of its name, which ends before the next marker or with the scene."""
    first_frame, last_frame = scene_range
    ordered = sorted(markers)
    shots = []
    for place, (frame, name) in enumerate(ordered):
        following = ordered[place + 1][0] if place + 1 < len(ordered) else last_frame + 1
        if _END.fullmatch(name.strip()) or not first_frame <= frame <= last_frame:
            continue
        if not clean_name(name):
            raise SceneError(f"the marker {name!r} in frame {frame} names no shot", "Use letters, digits and '_'.")
        shots.append(SceneShot(clean_name(name), frame, min(following - 1, last_frame)))
    if not shots:
        raise SceneError(
            f"no marker lies in the scene's range, frames {first_frame} to {last_frame}",
            "Set a marker with the shot's name in its first frame, and one called 'end' behind its last; or export "
            "the whole range ('scene'), or ranges such as s001_joy=1-120.",
        )
    return shots


def _check(shots: Sequence[SceneShot]) -> None:
    doubled = [name for name, count in Counter(shot.name.lower() for shot in shots).items() if count > 1]
    if doubled:
        raise SceneError(f"several shots are called {doubled[0]!r}", "Give each shot a name of its own.")
    for shot in shots:
        if shot.num_frames < _FEWEST_FRAMES:
            raise SceneError(
                f"shot {shot.name!r} has {max(shot.num_frames, 0)} frames ({shot.first} to {shot.last})",
                "A shot needs two frames or more, better 3 to 30 seconds: move its marker, or give another range.",
            )
