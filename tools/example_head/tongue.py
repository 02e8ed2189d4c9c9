"""The sixteen shapes of the tongue part, bent and stretched along its own centre line.

The tongue extends along z. Its centre line runs from the root (`along` = 0) to the tip (1); each shape moves, bends,
twists or scales the cross-sections by amounts that grow smoothly from zero at the fixed root. Angles in degrees,
lengths in centimetres.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from audio2face.dataset.arkit_names import TONGUE_NAMES
from tools.example_head.geometry import ease
from tools.example_head.source import Indices, Points

_ROOT, _BODY, _BLADE = 0.24, 0.3, 0.6
"""Where motion begins: nothing behind `_ROOT` ever moves; the body and the blade begin later."""


@dataclass(frozen=True)
class _Motion:
    """What one shape does to the cross-sections; each amount is reached at the tip, or at `peak` for `rise`."""

    pitch: float = 0.0  # bends the centre line upwards
    yaw: float = 0.0  # bends it to the actor's left
    roll: float = 0.0  # twists it about itself, left edge up
    rise: float = 0.0  # lifts a bump at `peak`
    peak: float = 0.62
    advance: float = 0.0  # moves it along z
    wide: float = 1.0  # scales its width
    thick: float = 1.0  # scales its height
    start: float = _BODY


_MOTIONS = {
    "tongueTipUp": _Motion(pitch=62, start=_BLADE),
    "tongueTipDown": _Motion(pitch=-48, start=_BLADE),
    "tongueTipLeft": _Motion(yaw=48, start=_BLADE),
    "tongueTipRight": _Motion(yaw=-48, start=_BLADE),
    "tongueRollUp": _Motion(pitch=130, start=0.5),
    "tongueRollDown": _Motion(pitch=-80, start=0.5),
    "tongueRollLeft": _Motion(roll=-40, start=_BODY),
    "tongueRollRight": _Motion(roll=40, start=_BODY),
    "tongueUp": _Motion(rise=1.5, start=_ROOT),
    "tongueDown": _Motion(rise=-0.6, start=_ROOT),
    "tongueLeft": _Motion(yaw=20, start=_ROOT),
    "tongueRight": _Motion(yaw=-20, start=_ROOT),
    "tongueIn": _Motion(advance=-1.1, thick=1.2, start=_ROOT),
    "tongueStretch": _Motion(advance=1.2, thick=0.85, wide=0.94, start=_ROOT),
    "tongueWide": _Motion(wide=1.22, thick=0.85),
    "tongueNarrow": _Motion(wide=0.74, thick=1.12),
}


def along(tongue: Points) -> Points:
    """Place of each vertex between root (0) and tip (1), from its z: `[verts]`."""
    depth = tongue[:, 2]
    share: Points = (depth - depth.min()) / np.ptp(depth)
    return share


def rigid_vertices(tongue: Points) -> Indices:
    """Vertices of the root, which no shape moves."""
    return np.flatnonzero(along(tongue) < _ROOT)


def fade_root(tongue: Points, delta: Points) -> Points:
    """A displacement with the root held still, let go smoothly over the body."""
    return delta * ease(along(tongue), _ROOT, 0.55)[:, None]


def shapes(tongue: Points) -> Points:
    """Displacements `[16, verts, 3]` in the order of `TONGUE_NAMES` for a tongue `[verts, 3]`."""
    return np.stack([_moved(tongue, _MOTIONS[name]) - tongue for name in TONGUE_NAMES])


def _moved(tongue: Points, motion: _Motion) -> Points:
    where = along(tongue)
    nodes = np.linspace(0, 1, 101)
    line = _centre_line(tongue, where, nodes)
    growth = ease(nodes, motion.start)
    pitch, yaw = np.radians(motion.pitch) * growth, np.radians(motion.yaw) * growth
    steps = np.diff(line, axis=0, prepend=line[:1])
    bent = np.cumsum(np.einsum("nij,nj->ni", _turn(pitch, yaw), steps), axis=0) + line[0]
    bent[:, 2] += motion.advance * growth
    bent[:, 1] += motion.rise * ease(nodes, motion.start, motion.peak) * (1 - 0.75 * ease(nodes, motion.peak))

    def sample(curve: Points) -> Points:
        return np.stack([np.interp(where, nodes, curve[:, axis]) for axis in range(3)], axis=1)

    grown = ease(where, motion.start, 0.8)
    offset = tongue - sample(line)
    offset *= 1 + (np.array([motion.wide, motion.thick, 1.0]) - 1) * grown[:, None]
    roll = np.radians(motion.roll) * grown
    offset = np.stack(
        [
            offset[:, 0] * np.cos(roll) - offset[:, 1] * np.sin(roll),
            offset[:, 0] * np.sin(roll) + offset[:, 1] * np.cos(roll),
            offset[:, 2],
        ],
        axis=1,
    )
    turn = _turn(np.interp(where, nodes, pitch), np.interp(where, nodes, yaw))
    moved: Points = sample(bent) + np.einsum("nij,nj->ni", turn, offset)
    return moved


def _centre_line(tongue: Points, where: Points, nodes: Points) -> Points:
    """Middle of the cross-section at each node: a smooth curve in the plane x = 0."""
    height = np.polynomial.Polynomial.fit(where, tongue[:, 1], 4)(nodes)
    depth = tongue[:, 2].min() + nodes * np.ptp(tongue[:, 2])
    return np.stack([np.zeros_like(nodes), height, depth], axis=1)


def _turn(pitch: Points, yaw: Points) -> Points:
    """Rotations `[n, 3, 3]` that lift +z by `pitch`, then turn it towards +x by `yaw`, both radians."""
    cp, sp, cy, sy = np.cos(pitch), np.sin(pitch), np.cos(yaw), np.sin(yaw)
    zero = np.zeros_like(pitch)
    return np.stack(
        [cy, -sy * sp, sy * cp, zero, cp, sp, -sy, -cy * sp, cy * cp],
        axis=-1,
    ).reshape(-1, 3, 3)
