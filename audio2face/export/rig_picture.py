"""A picture of a rig with the vertices that mark its lips and lids, numbered, for looking over and correcting them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from audio2face.animation.animation import Animation, Surface
from audio2face.dataset.arkit_names import ARKIT_INDEX
from audio2face.dataset.vertex_lists import VertexPairs
from audio2face.export.render.renderer import Camera, Renderer
from audio2face.io.atomic import atomic_write
from audio2face.rigs.rig import Rig
from audio2face.types import Float32Array, Int64Array, Picture

PICTURE_SUFFIXES = (".png", ".jpg")
"""Suffixes of pictures that are written."""
_SIZE = 2000  # pixels of the rendered face, of which the panels show parts
_SAMPLES = 2
_REST, _OPEN, _SHUT = range(3)  # frames
_OPEN_JAW = 0.4  # weight at which the mouth is shown open
_MARGIN, _EYE_MARGIN = 0.25, 1.0  # of the size of what a panel shows, around it
_LEAST_PIXELS = 120
_UPPER, _LOWER, _BORDER = "#ff3b30", "#0a6cff", "#ffd60a"


def write_rig_picture(rig: Rig, path: Path) -> Path:
    """Draws a face at rest with all of its lists, the mouth shut and open, and both eyes open and shut.

    Dots of upper vertices are red, of lower ones blue, of the borders of lips yellow, with the vertices' numbers.

    Args:
        rig: the rig.
        path: the file, of one of `PICTURE_SUFFIXES`.

    Raises:
        UserError: the file cannot be written.
    """
    from matplotlib.figure import Figure  # loads in most of a second

    animation = _poses(rig)
    renderer = Renderer(animation, _SIZE, _SIZE, _SAMPLES)
    camera = Camera.framing(rig.neutral, _SIZE, _SIZE)
    pictures = [renderer.frame(frame) for frame in range(animation.num_frames)]
    places = [camera.project(np.asarray(points))[:, :2] for points in animation.skin.frames]
    figure = Figure(figsize=(13.5, 10.8), layout="constrained")
    figure.suptitle(f"{rig.source}: lips (red above, blue below), their borders (yellow), and lids")
    panels = figure.subplot_mosaic(
        [["head", "mouth", "open"], ["head", "right", "left"], ["head", "right shut", "left shut"]]
    )
    head = np.arange(len(rig.neutral))
    _draw(panels["head"], "at rest", pictures[_REST], places[_REST], rig, head, numbered=False)
    mouth, right, left = _mouth(rig), _eye(rig, 0), _eye(rig, 1)
    for name, title, frame, shown in (
        ("mouth", "mouth at rest", _REST, mouth),
        ("open", f"mouth with jawOpen {_OPEN_JAW:g}", _OPEN, mouth),
        ("right", "the actor's right eye", _REST, right),
        ("left", "the actor's left eye", _REST, left),
        ("right shut", "right eye with eyeBlink", _SHUT, right),
        ("left shut", "left eye with eyeBlink", _SHUT, left),
    ):
        _draw(
            panels[name], title, pictures[frame], places[frame], rig, shown, numbered=name in ("open", "right", "left")
        )
    with atomic_write(path) as handle:
        figure.savefig(handle, format=path.suffix[1:].lower(), dpi=90)
    return path


def _poses(rig: Rig) -> Animation:
    """The face at rest, with an open jaw, and with shut eyes, as three frames."""
    weights = np.zeros((3, len(ARKIT_INDEX)), np.float32)
    weights[_OPEN, ARKIT_INDEX["jawOpen"]] = _OPEN_JAW
    weights[_SHUT, [ARKIT_INDEX["eyeBlinkLeft"], ARKIT_INDEX["eyeBlinkRight"]]] = 1
    inside, still = rig.tongue, np.zeros((3, 16), np.float32)
    return Animation(
        actor=rig.name,
        fps=1.0,
        skin=Surface(rig.neutral, rig.skin(weights), rig.faces),
        tongue=None if inside is None else Surface(inside.neutral, inside.pose(weights, still), inside.faces),
        jaw=rig.jaw(weights),
        eyes=np.zeros((3, 4), np.float32),
        emotion=np.zeros((3, 0), np.float32),
        parts=rig.parts,
    )


def _mouth(rig: Rig) -> Int64Array:
    lists = rig.lists
    found = [lists.lip_dist.all()] if lists.lip_dist is not None else []
    found += [lists.lip_size.all()] if lists.lip_size is not None else []
    return np.concatenate([np.zeros(0, np.int64), *found])


def _eye(rig: Rig, side: int) -> Int64Array:
    pairs = rig.lists.eye_dist
    if pairs is None or len(pairs.upper) <= side:
        return np.zeros(0, np.int64)
    return np.array([pairs.upper[side], pairs.lower[side]], np.int64)


def _draw(
    panel: Any, title: str, picture: Picture, places: Float32Array, rig: Rig, shown: Int64Array, *, numbered: bool
) -> None:
    """Draws the part of a picture around some vertices, with the dots of all lists."""
    panel.set_axis_off()
    if not len(shown):
        panel.set_title(f"{title}: not found")
        return
    panel.set_title(title)
    low, high = places[shown].min(axis=0), places[shown].max(axis=0)
    margin = _EYE_MARGIN if len(shown) == len(_eye(rig, 0)) else _MARGIN
    reach = np.maximum((high - low).max() * (0.5 + margin), _LEAST_PIXELS / 2)
    middle = (low + high) / 2
    if len(shown) == len(places):  # the whole head, as it is framed
        middle, reach = np.full(2, _SIZE / 2), np.float32(_SIZE / 2)
    panel.imshow(picture)
    for vertices, colour, is_above in _marks(rig):
        panel.scatter(*places[vertices].T, s=14, color=colour, edgecolors="black", linewidths=0.5, zorder=3)
        inside = (np.abs(places[vertices] - middle) < reach).all(axis=1)
        for vertex in vertices[inside].tolist() if numbered else []:
            panel.annotate(
                str(vertex),
                places[vertex],
                xytext=(0, 4 if is_above else -11),
                textcoords="offset points",
                ha="center",
                fontsize=8,
            )
    panel.set_xlim(middle[0] - reach, middle[0] + reach)
    panel.set_ylim(middle[1] + reach, middle[1] - reach)


def _marks(rig: Rig) -> list[tuple[Int64Array, str, bool]]:
    """Vertices of the lists with their colours, and whether they are upper ones; borders first, beneath the others."""
    lists = rig.lists
    found: list[tuple[Int64Array, str, bool]] = []
    if lists.lip_size is not None:
        found += [(lists.lip_size.upper_lip.upper, _BORDER, True), (lists.lip_size.lower_lip.lower, _BORDER, False)]
    pairs: list[VertexPairs | None] = [lists.lip_dist, lists.eye_dist]
    for one in pairs:
        if one is not None:
            found += [(one.upper, _UPPER, True), (one.lower, _LOWER, False)]
    return found
