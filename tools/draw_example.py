"""Draws the example actor to a PNG: a contact sheet of both identities' main expressions, for the eye to check.

    python -m tools.draw_example [PICTURE.png]

Works without a display (VTK renders off screen through EGL or OSMesa).
"""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

os.environ.setdefault("PYVISTA_OFF_SCREEN", "true")
import pyvista

from audio2face.dataset.arkit_names import ARKIT_INDEX, TONGUE_INDEX
from audio2face.example.head import IDENTITIES, Float32Array, Head, HeadPart

_BACKGROUND = "#c9ced6"
_VIEW_DEGREES = 24.0


@dataclass(frozen=True)
class Pose:
    """What to draw.

    Attributes:
        title: written under the picture.
        shapes: weight of each ARKit shape that is not 0.
        tongue: weight of each tongue shape that is not 0.
        gaze: pitch and yaw of both eyes, degrees.
        turn: how far the viewer stands to the actor's left, degrees.
        distance: of the viewer, centimetres.
        aim: height the viewer looks at, centimetres.
    """

    title: str
    shapes: Mapping[str, float] = field(default_factory=dict)
    tongue: Mapping[str, float] = field(default_factory=dict)
    gaze: tuple[float, float] = (0.0, 0.0)
    turn: float = 0.0
    distance: float = 76.0
    aim: float = -2.5


_SMILE = {"mouthSmileLeft": 0.8, "mouthSmileRight": 0.8, "cheekSquintLeft": 0.5, "cheekSquintRight": 0.5}
_TEETH = {"mouthUpperUpLeft": 0.5, "mouthUpperUpRight": 0.5, "mouthLowerDownLeft": 0.4, "mouthLowerDownRight": 0.4}
SHEET: tuple[Pose, ...] = (
    Pose("neutral"),
    Pose("wide open", {"jawOpen": 1}),
    Pose("jaw open, lips shut", {"mouthClose": 0.6}),
    Pose("smile", _SMILE | _TEETH | {"jawOpen": 0.05}),
    Pose("eyes shut", {"eyeBlinkLeft": 1, "eyeBlinkRight": 1}),
    Pose("tongue out", {"jawOpen": 0.5, "tongueOut": 1}),
    Pose("pucker", {"mouthPucker": 1}),
    Pose("funnel", {"mouthFunnel": 1, "jawOpen": 0.15}),
    Pose("profile", turn=90),
    Pose("looking aside", {"eyeLookInRight": 1, "eyeLookOutLeft": 1}, gaze=(0, 15), turn=35),
)
MOUTH_SHEET: tuple[Pose, ...] = tuple(
    Pose(title, shapes, tongue, turn=turn, distance=40, aim=-6.5)
    for title, shapes, tongue, turn in (
        ("neutral", {}, {}, 0),
        ("half open", {"jawOpen": 0.5}, {}, 20),
        ("smile", _SMILE | _TEETH | {"jawOpen": 0.08}, {}, 0),
        ("lips shut", {"mouthClose": 1}, {}, 20),
        ("tip up", {"jawOpen": 0.45}, {"tongueTipUp": 1}, 20),
        ("roll up", {"jawOpen": 0.6}, {"tongueRollUp": 1}, 20),
        ("tongue up", {"jawOpen": 0.6}, {"tongueUp": 1}, 0),
        ("tip left", {"jawOpen": 0.6}, {"tongueTipLeft": 1}, 0),
        ("stretch, wide", {"jawOpen": 0.6}, {"tongueStretch": 1, "tongueWide": 1}, 20),
        ("tongue out", {"jawOpen": 0.5, "tongueOut": 1}, {}, 20),
    )
)


def draw_sheet(poses: Sequence[Pose], picture: Path, size: int = 420) -> None:
    """Draws every identity in every pose, one row of five an identity after the other.

    Args:
        poses: what to draw.
        picture: PNG to write.
        size: width and height of one picture in pixels.
    """
    columns = min(5, len(poses))
    rows_each = -(-len(poses) // columns)
    rows = rows_each * len(IDENTITIES)
    plotter = pyvista.Plotter(
        off_screen=True, shape=(rows, columns), window_size=[size * columns, size * rows], lighting=None, border=False
    )
    for place, identity in enumerate(IDENTITIES):
        head = Head.open(identity)
        for number, pose in enumerate(poses):
            plotter.subplot(place * rows_each + number // columns, number % columns)
            draw(plotter, head, pose)
    picture.parent.mkdir(parents=True, exist_ok=True)
    plotter.enable_anti_aliasing("ssaa")
    plotter.screenshot(picture)
    plotter.close()


def draw(plotter: Any, head: Head, pose: Pose) -> None:
    """Draws one pose into the plotter's current picture."""
    weights, tongue_weights = np.zeros(len(ARKIT_INDEX), np.float32), np.zeros(len(TONGUE_INDEX), np.float32)
    for name, value in pose.shapes.items():
        weights[ARKIT_INDEX[name]] = value
    for name, value in pose.tongue.items():
        tongue_weights[TONGUE_INDEX[name]] = value
    draw_frame(plotter, head, weights, tongue_weights, np.array([pose.gaze, pose.gaze], np.float32))
    aim, turn = np.array([0.0, pose.aim, -5.0]), np.radians(pose.turn)
    plotter.camera.position = aim + pose.distance * np.array([np.sin(turn), 0.04, np.cos(turn)])
    plotter.camera.focal_point, plotter.camera.up = aim, (0, 1, 0)
    plotter.camera.view_angle = _VIEW_DEGREES
    plotter.add_text(f"{head.identity}: {pose.title}", font_size=9, color="#20242a", position="lower_left")


def draw_frame(
    plotter: Any, head: Head, weights: Float32Array, tongue_weights: Float32Array, rotations: Float32Array
) -> None:
    """Draws one frame, lit, into the plotter's current picture; the camera is the caller's.

    Args:
        plotter: a `pyvista.Plotter`.
        head: who.
        weights: `[52]` ARKit shapes.
        tongue_weights: `[16]` tongue shapes.
        rotations: `[2, 2]` degrees, as `Head.eyes` takes them.
    """
    row = weights[None]
    plotter.set_background(_BACKGROUND)
    _add(plotter, head.skin_part, head.skin(row)[0], shine=0.16, smooth=2)
    _add(plotter, head.tongue_part, head.tongue(row, tongue_weights[None])[0], shine=0.35, smooth=1)
    _add(plotter, head.upper_teeth_part, head.upper_teeth_part.vertices, shine=0.5)
    _add(plotter, head.lower_teeth_part, head.lower_teeth(row)[0], shine=0.5)
    _add(plotter, head.eyes_part, head.eyes(rotations[None])[0], shine=0.9)
    _light(plotter)


def _add(plotter: Any, part: HeadPart, vertices: Float32Array, *, shine: float, smooth: int = 0) -> None:
    """Adds a part with its vertex colours, refined `smooth` times by Loop subdivision."""
    mesh: Any = pyvista.PolyData.from_regular_faces(vertices.tolist(), part.faces.tolist()).triangulate()
    mesh.point_data["colours"] = part.colours.astype(np.float32)
    if smooth:
        mesh = mesh.subdivide(smooth, "loop")
    mesh.point_data["colours"] = _rounded(mesh.point_data["colours"])
    plotter.add_mesh(
        mesh,
        scalars="colours",
        rgb=True,
        smooth_shading=True,
        split_sharp_edges=False,
        ambient=0.22,
        diffuse=0.85,
        specular=shine,
        specular_power=30 if shine > 0.3 else 10,
    )


def _rounded(colours: npt.NDArray[np.float32]) -> npt.NDArray[np.uint8]:
    return np.clip(np.rint(colours), 0, 255).astype(np.uint8)


def _light(plotter: Any) -> None:
    """A warm key light, a cool fill, and a rim from behind."""
    for position, colour, intensity in (
        ((-40, 45, 70), "#fff3e6", 0.7),
        ((60, 5, 60), "#e6ecff", 0.5),
        ((30, 50, -70), "#ffffff", 0.4),
    ):
        # The plotter's own add_light would light every picture of the sheet.
        light = pyvista.Light(position=position, focal_point=(0, -2, -4), color=colour, intensity=intensity)
        plotter.renderer.add_light(light)


def main() -> None:
    """Draws the two sheets: faces, and mouths close up (beside it, with `_mouth` in the name)."""
    picture = Path(sys.argv[1]) if len(sys.argv) > 1 else Path("example_head.png")
    draw_sheet(SHEET, picture)
    draw_sheet(MOUTH_SHEET, picture.with_stem(picture.stem + "_mouth"))


if __name__ == "__main__":
    main()
