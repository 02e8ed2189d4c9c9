"""Axes, units and rigid motion: from a scene's world to centimetres, y upwards, z out of the face.

Points are rows, `[n, 3]`; matrices `[4, 4]` are for column vectors.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from a2f_dcc import SceneError
from a2f_dcc.scene import FaceScene, Integers, Points

AXES = {f"{sign}{name}": (sign + "1", place) for place, name in enumerate("xyz") for sign in "+-"}
_SMALLEST, _LARGEST, _LARGE = 8.0, 300.0, 60.0  # centimetres: part of a face, a person, more than a head
_USUAL = 25.0
_CLEAR = 0.08  # of the head's size: how far the mouth lies in front of its middle


@dataclass(frozen=True, eq=False)
class Space:
    """The map from a scene's world to the data set's space.

    Attributes:
        matrix: rotation times scale, `[3, 3]`.
        front: the axis of the scene that the face looks to, such as "-y".
    """

    matrix: Points
    front: str

    def points(self, world: Points) -> Points:
        """Maps points or offsets `[n, 3]`."""
        mapped: Points = world @ self.matrix.T
        return mapped

    def motion(self, world: Points) -> Points:
        """Maps a motion `[4, 4]` of the scene's world: what it does to points of the data set."""
        change = np.eye(4)
        change[:3, :3] = self.matrix
        moved: Points = change @ world @ np.linalg.inv(change)
        return moved


def axis(name: str) -> Points:
    """The direction of an axis such as "-y", `[3]`.

    Raises:
        SceneError: there is no such axis.
    """
    known = name if name[:1] in "+-" else f"+{name}"
    if known not in AXES:
        raise SceneError(f"there is no axis {name!r}", f"Choose one of {', '.join(AXES)}, or auto.")
    sign, place = AXES[known]
    direction = np.zeros(3)
    direction[place] = float(sign)
    return direction


def new_space(up: Points, front: str, centimetres: float) -> Space:
    """The space of a face that looks to `front`.

    Raises:
        SceneError: the face would look up or down.
    """
    forward = axis(front)
    if abs(float(up @ forward)) > 0:
        raise SceneError(f"the face cannot look to {front}: that is up or down in this scene", "Choose another axis.")
    return Space(np.stack([np.cross(up, forward), up, forward]) * centimetres, front)


def find_front(up: Points, middle: Points, mouth: Points) -> str | None:
    """The axis from the middle of the head to the mouth, both `[3]`; None where it is not clear.

    The distance of the two is compared with 1: pass both in sizes of the head.
    """
    away = mouth - middle
    level = away - up * float(away @ up)
    place = int(np.argmax(np.abs(level)))
    if abs(float(level[place])) < _CLEAR:
        return None
    return f"{'+' if level[place] > 0 else '-'}{'xyz'[place]}"


def check_size(skin: Points, name: str, centimetres: float, warn: Callable[[str], None]) -> None:
    """Refuses a face whose size is that of no head.

    Args:
        skin: `[verts, 3]` in centimetres.
        name: of the mesh.
        centimetres: of one unit of the scene, as taken.
        warn: receives a warning.

    Raises:
        SceneError: with the scale that would fit.
    """
    height = float(np.ptp(skin[:, 1]))
    if not _SMALLEST <= height <= _LARGEST:
        fitting = _USUAL * centimetres / height if height > 0 else centimetres
        raise SceneError(
            f"{name!r} is {height:.3g} cm high in the units of this scene; a head is about 25 cm high",
            f"One unit is taken for {centimetres:g} cm. Give another length, such as --scale {fitting:.2g}.",
        )
    if height > _LARGE:
        warn(f"{name!r} is {height:.0f} cm high, more than a head: a mesh of the head alone trains faster")


def fit_rigid(start: Points, end: Points) -> tuple[Points, float]:
    """The rigid motion `[4, 4]` that moves `start` to `end`, both `[n, 3]`, and its residual (root mean square).

    Kabsch: Acta Crystallographica A32 (1976), 922.
    """
    middle, target = start.mean(axis=0), end.mean(axis=0)
    left, _, right = np.linalg.svd((start - middle).T @ (end - target))
    turn = right.T @ np.diag([1.0, 1.0, np.sign(np.linalg.det(right.T @ left.T))]) @ left.T
    motion = np.eye(4)
    motion[:3, :3], motion[:3, 3] = turn, target - turn @ middle
    residual = (start @ turn.T + motion[:3, 3]) - end
    return motion, float(np.sqrt((residual**2).sum(axis=1).mean()))


def apply(motion: Points, points: Points) -> Points:
    """Moves points `[n, 3]` by a motion `[4, 4]`."""
    moved: Points = points @ motion[:3, :3].T + motion[:3, 3]
    return moved


def eye_angles(turn: Points) -> tuple[float, float]:
    """Pitch (down) and yaw (to the actor's left) in degrees of a rotation `[3, 3]`, from where it turns +z to."""
    x, y, z = turn[:, 2]
    return float(np.degrees(np.arctan2(-y, np.hypot(x, z)))), float(np.degrees(np.arctan2(x, z)))


def spread_points(points: Points, count: int) -> Integers:
    """Vertices far from one another, the first being the one most in front, `[count]` or fewer."""
    chosen = [int(np.argmax(points[:, 2]))]
    distance = np.linalg.norm(points - points[chosen[0]], axis=1)
    while len(chosen) < min(count, len(points)):
        chosen.append(int(np.argmax(distance)))
        distance = np.minimum(distance, np.linalg.norm(points - points[chosen[-1]], axis=1))
    return np.array(chosen)


class Tracker:
    """Follows a bone, or a mesh that moves as a rigid body, in the data set's space.

    Args:
        scene: the scene, showing the neutral face.
        name: of the bone or mesh.
        space: the data set's space.
    """

    def __init__(self, scene: FaceScene, name: str, space: Space) -> None:
        self._scene, self.name, self._space = scene, name, space
        self.is_mesh = name in scene.meshes()
        self.points = space.points(scene.mesh(name).points) if self.is_mesh else None
        self._start = np.linalg.inv(scene.transform(name))
        self.residual = 0.0
        """Largest residual of a mesh's rigid motion, in centimetres."""

    @property
    def origin(self) -> Points:
        """Its origin in the neutral pose, `[3]`."""
        world = np.linalg.inv(self._start)[:3, 3]
        return np.asarray(self._space.matrix @ world)

    def motion(self) -> Points:
        """Its motion from the neutral pose to the current frame, `[4, 4]`, free of scale."""
        if self.points is not None:
            motion, residual = fit_rigid(self.points, self._space.points(self._scene.mesh(self.name).points))
            self.residual = max(self.residual, residual)
            return motion
        motion = self._space.motion(self._scene.transform(self.name) @ self._start)
        left, _, right = np.linalg.svd(motion[:3, :3])
        pivot = self.origin
        moved = motion[:3, :3] @ pivot + motion[:3, 3]
        motion[:3, :3] = left @ right
        motion[:3, 3] = moved - motion[:3, :3] @ pivot
        return motion
