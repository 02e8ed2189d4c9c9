"""Where an animation belongs in a scene: the map from its centimetres, y up, to the scene's world."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from a2f_dcc import SceneError
from a2f_dcc.results import Cache
from a2f_dcc.scene import Points
from a2f_dcc.space import AXES, new_space

_SAMPLES = 20
_UNLIKE = 2.0  # centimetres between a mesh and its animation, on average, that no expression explains
_SAME_PLACE = 0.5  # centimetres: what is nearer stands where it was recorded


def check_count(rest: Points, cache: Cache, name: str) -> None:
    """Refuses a mesh `[verts, 3]` of other vertices than its animation.

    Raises:
        SceneError: with both numbers.
    """
    verts = cache.frames.shape[1]
    if verts != len(rest):
        raise SceneError(
            f"the animation has {verts} vertices, {name!r} has {len(rest)}",
            "Name the mesh that the model was trained with, or import its neutral.obj without reordering.",
        )


def find_placement(
    rest: Points, cache: Cache, up: Points, centimetres: float, name: str, say: Callable[[str], None]
) -> Points:
    """The map `[4, 4]` from the animation to the scene's world.

    The axis that the face looks to is the one that fits. A head that stands elsewhere than it was recorded is
    animated where it stands.

    Args:
        rest: the mesh at rest, `[verts, 3]` in the scene's world.
        cache: its animation.
        up: direction upwards in the scene.
        centimetres: of one unit of the scene.
        name: of the mesh.
        say: receives what was found.

    Raises:
        SceneError: the mesh has other vertices, or another shape in every direction.
    """
    check_count(rest, cache, name)
    frames = len(cache.frames)
    chosen = np.unique(np.linspace(0, frames - 1, _SAMPLES).astype(int))
    pose = np.mean([np.asarray(cache.frames[frame], np.float64) for frame in chosen], axis=0)
    options = {}
    for front in AXES:
        if abs(float(up[AXES[front][1]])) == 0:
            space = new_space(up, front, centimetres)
            away = space.points(rest) - pose
            off = np.median(away, axis=0)  # most of a head is still
            options[front] = (float(np.sqrt(((away - off) ** 2).sum(axis=1).mean())), off, space)
    front = min(options, key=lambda axis: options[axis][0])
    unlike, off, space = options[front]
    if unlike > _UNLIKE:
        raise SceneError(
            f"{name!r} and its animation differ by {unlike:.1f} cm on average in every direction",
            f"One unit is taken for {centimetres:g} cm: give another length with --scale; or the vertices have "
            "another order, or the mesh is another one.",
        )
    if float(np.linalg.norm(off)) < _SAME_PLACE:
        off = np.zeros(3)
    else:
        say(f"{name!r} stands {np.linalg.norm(off):.1f} cm from where it was recorded: it is animated where it stands")
    to_scene = np.linalg.inv(space.matrix)
    placement = np.eye(4)
    placement[:3, :3], placement[:3, 3] = to_scene, to_scene @ off
    return placement
