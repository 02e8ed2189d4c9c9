"""A scene without a program: the example head on a time line, in axes and units of its own."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
from a2f_dcc.scene import Integers, Mesh, Points
from a2f_dcc.sound import cut_wav

from audio2face.dataset.arkit_names import ARKIT_INDEX, ARKIT_NAMES
from audio2face.example.head import Head

FPS = 24 / 1.001
CENTIMETRES = 0.5  # of a unit
AXES = np.array([[0.0, 0.0, 1.0], [1.0, 0.0, 0.0], [0.0, 1.0, 0.0]])  # of the scene: z up, the face looks to +x
LAST = 40


class StandIn:
    """The scene: the jaw opens and shuts, eyes turn, the skull nods.

    Args:
        sound: a WAV file that begins at frame 1; None for a silent scene.
    """

    def __init__(self, sound: Path | None = None) -> None:
        self.program, self.file = "stand-in 1", "face.scene"
        self.fps, self.range, self.centimetres, self.axes = FPS, (1, LAST), CENTIMETRES, AXES
        self.up: Points = np.array([0.0, 0.0, 1.0])
        self.head = Head.open("ada")
        self.frame, self.at_rest, self.sound = 1, False, sound
        self.lost_vertices: set[int] = set()  # frames in which the skin has fewer vertices
        self.is_still = False
        self.marks = [(3, "s001 joy"), (21, "s002_neutral"), (35, "end")]

    # --- truth -----------------------------------------------------------------------------------------------------

    def weights(self, frame: int) -> Points:
        """Weights of ARKit's shapes in a frame, `[52]`."""
        weights = np.zeros(52)
        if not (self.at_rest or self.is_still):
            weights[ARKIT_INDEX["jawOpen"]] = 0.3 + 0.3 * np.sin(frame)
            weights[ARKIT_INDEX["mouthSmileLeft"]] = 0.5 + 0.5 * np.cos(frame / 3)
        return weights

    def nod(self) -> Points:
        """Motion of the skull, `[4, 4]` in centimetres, y up."""
        motion = np.eye(4)
        angle = 0.0 if self.at_rest or self.is_still else 0.2 * np.sin(self.frame / 5)
        motion[1:3, 1:3] = [[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]]
        motion[1, 3] = 5 * angle
        return motion

    def jaw(self) -> Points:
        """Motion of the jaw in the skull, `[4, 4]`."""
        motion = np.eye(4)
        turn, shift = self.head.jaw_transforms(self.weights(self.frame)[None])
        motion[:3, :3], motion[:3, 3] = turn[0], shift[0]
        return motion

    # --- the interface ---------------------------------------------------------------------------------------------

    def meshes(self) -> list[str]:
        return ["Head", "Teeth", "Tongue"]

    def bones(self) -> list[str]:
        return ["Rig:jaw", "Rig:skull"]

    def _place(self, points: Points) -> Points:
        moved = points @ self.nod()[:3, :3].T + self.nod()[:3, 3]
        placed: Points = moved @ self.axes.T / self.centimetres
        return placed

    def mesh(self, name: str) -> Mesh:
        if name == "Head":
            points, faces = self.head.skin(self.weights(self.frame)[None])[0], self.head.skin_part.faces
            if self.frame in self.lost_vertices:
                points = points[:-1]
        else:
            part = self.head.tongue_part if name == "Tongue" else self.head.lower_teeth_part
            points, faces = part.vertices @ self.jaw()[:3, :3].T + self.jaw()[:3, 3], part.faces
        return Mesh(
            self._place(points.astype(np.float64)), faces.ravel().astype(np.int64), np.full(len(faces), faces.shape[1])
        )

    def transform(self, name: str) -> Points:
        change = np.eye(4)
        change[:3, :3] = self.axes / self.centimetres
        motion = self.nod() @ (self.jaw() if name.endswith("jaw") else np.eye(4))
        placed: Points = change @ motion @ np.linalg.inv(change)
        return placed

    def colour(self, name: str) -> tuple[int, int, int] | None:
        return (200, 190, 180) if name == "Teeth" else None

    def changers(self, name: str) -> list[str]:
        return ["Cut (decimate)"]

    def markers(self) -> list[tuple[int, str]]:
        return self.marks

    def show(self, frame: int) -> None:
        self.frame = frame

    @contextmanager
    def rest(self) -> Iterator[None]:
        self.at_rest = True
        yield
        self.at_rest = False

    def has_rest(self, name: str) -> bool:
        return True

    def shapes(self, name: str) -> list[str]:
        return [f"face|{shape}" for shape in ARKIT_NAMES] if name == "Head" else []

    def shape_deltas(self, name: str, shape: str) -> Points:
        assert self.at_rest
        delta = self.head.skin_shapes[ARKIT_INDEX[shape.partition("|")[2]]]
        placed: Points = delta.astype(np.float64) @ self.axes.T / self.centimetres
        return placed

    def groups(self, name: str) -> dict[str, Integers]:
        return {"tongue_root": self.head.rigid_tongue.astype(np.int64)} if name == "Tongue" else {}

    def write_sound(self, start: float, frames: int, path: Path) -> bool:
        if self.sound is None:
            return False
        cut_wav(self.sound, path, (start - 1) / self.fps, frames / self.fps)
        return True
