"""The current scene of Maya, as `scene.FaceScene` describes it.

Written against the documentation of `maya.cmds` and `maya.api.OpenMaya` of Maya 2024. Positions are read through
OpenMaya, whose unit is the centimetre whatever the scene shows.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
from maya import cmds
from maya.api import OpenMaya

from a2f_dcc import SceneError
from a2f_dcc.scene import Integers, Mesh, Points
from a2f_dcc.sound import WavFile, cut_wav

_RATES = {"game": 15.0, "film": 24.0, "pal": 25.0, "ntsc": 30.0, "show": 48.0, "palf": 50.0, "ntscf": 60.0}
_NTSC = 1000 / 1001
_NEAR = 1e-4  # tells 29.97 from 30
_CHANGING = ("polySmoothFace", "polyReduce", "polySubdFace", "polyRemesh", "polyTriangulate", "polyQuad", "polyBevel3")
_GROUPS = {"lip_upper", "lip_lower", "lid_upper", "lid_lower", "tongue_root"}
_GROUPS |= {f"{lip}_lip_{edge}" for lip in ("upper", "lower") for edge in ("top", "bottom")}
_VERTICES = re.compile(r"\.vtx\[(?P<first>\d+)(?::(?P<last>\d+))?\]$")
_FULL = 6000  # item of a target at weight 1


def rate_of_unit(unit: str) -> float:
    """Frames per second of Maya's unit of time, such as "film" or "29.97fps".

    Raises:
        SceneError: the unit counts no frames, such as "sec".
    """
    if unit in _RATES:
        return _RATES[unit]
    match = re.fullmatch(r"(?P<rate>\d+(?:\.\d+)?)(?:fps|df)", unit)
    if match is None:
        raise SceneError(f"the scene counts its time in {unit!r}", "Choose frames per second: Settings, Time.")
    rate = float(match["rate"])
    exact = np.ceil(rate) * _NTSC
    return float(exact) if abs(rate / exact - 1) < _NEAR else rate


def vertices_of(components: list[str]) -> Integers:
    """The numbers of vertices in names such as "head.vtx[3:5]", in order."""
    found: list[int] = []
    for name in components:
        match = _VERTICES.search(name)
        if match is not None:
            found += range(int(match["first"]), int(match["last"] or match["first"]) + 1)
    return np.array(found, np.int64)


def shape_of(name: str) -> str:
    """The mesh below a transform that is shown, as a full path.

    Raises:
        SceneError: there is none.
    """
    shapes = cmds.listRelatives(name, shapes=True, noIntermediate=True, fullPath=True, type="mesh")
    if not shapes:
        raise SceneError(f"{name!r} has no mesh")
    return str(shapes[0])


def blend_shapes_of(name: str) -> list[tuple[str, str, int]]:
    """Node, alias and index of each target of the blend shapes that deform a mesh, in order."""
    nodes = cmds.ls(cmds.listHistory(shape_of(name)) or [], type="blendShape")
    found = []
    for node in nodes:
        indices = cmds.getAttr(f"{node}.weight", multiIndices=True) or []
        names = cmds.listAttr(f"{node}.weight", multi=True) or []
        found += [(str(node), str(alias), int(index)) for alias, index in zip(names, indices)]  # noqa: B905
    return found


class MayaScene:
    """The current scene.

    Args:
        sound: "scene", or a WAV file.
        sound_start: frame at which that file begins; the scene's first by default.
    """

    def __init__(self, sound: str = "scene", sound_start: float | None = None) -> None:
        self.program = f"Maya {cmds.about(version=True)}"
        self.file = str(cmds.file(query=True, sceneName=True, shortName=True))
        self.fps = rate_of_unit(str(cmds.currentUnit(query=True, time=True)))
        self.range = (
            round(cmds.playbackOptions(query=True, minTime=True)),
            round(cmds.playbackOptions(query=True, maxTime=True)),
        )
        self.centimetres = 1.0
        self.up: Points = np.array([0.0, 0.0, 1.0] if cmds.upAxis(query=True, axis=True) == "z" else [0.0, 1.0, 0.0])
        self._sound = sound
        self._sound_start = float(self.range[0]) if sound_start is None else sound_start

    # --- objects ---------------------------------------------------------------------------------------------------

    def meshes(self) -> list[str]:
        shapes = cmds.ls(type="mesh", noIntermediate=True, long=True) or []
        return sorted({str(parent) for shape in shapes for parent in cmds.listRelatives(shape, parent=True)})

    def bones(self) -> list[str]:
        meshes = set(self.meshes())
        return [str(name) for name in cmds.ls(type=["joint", "transform"]) or [] if name not in meshes]

    @staticmethod
    def _path(name: str) -> Any:
        selection = OpenMaya.MSelectionList()
        selection.add(name)
        return selection.getDagPath(0)

    def mesh(self, name: str) -> Mesh:
        mesh = OpenMaya.MFnMesh(self._path(shape_of(name)))
        points = np.array(mesh.getPoints(OpenMaya.MSpace.kWorld), np.float64)[:, :3]
        counts, corners = mesh.getVertices()
        return Mesh(points, np.array(corners, np.int64), np.array(counts, np.int64))

    def transform(self, name: str) -> Points:
        # Maya's matrices are for row vectors.
        return np.array(list(self._path(name).inclusiveMatrix()), np.float64).reshape(4, 4).T

    def colour(self, name: str) -> tuple[int, int, int] | None:
        return None

    def changers(self, name: str) -> list[str]:
        history = cmds.listHistory(shape_of(name)) or []
        return [f"{node} ({kind})" for node in history if (kind := cmds.nodeType(node)) in _CHANGING]

    def groups(self, name: str) -> dict[str, Integers]:
        """Sets of vertices (Create, Sets) whose names, without a namespace, are those of the lists."""
        found = {}
        for each in cmds.ls(type="objectSet") or []:
            plain = str(each).rpartition(":")[2]
            members = [str(member) for member in cmds.sets(each, query=True) or []] if plain in _GROUPS else []
            mine = [member for member in members if self._owner(member) == name]
            if mine:
                found[plain] = vertices_of(mine)
        return found

    @staticmethod
    def _owner(component: str) -> str:
        owner = component.partition(".")[0]
        parent = cmds.listRelatives(owner, parent=True) if cmds.nodeType(owner) == "mesh" else None
        return str(parent[0]) if parent else owner

    # --- time ------------------------------------------------------------------------------------------------------

    def markers(self) -> list[tuple[int, str]]:
        """The bookmarks of the time slider: each begins and ends a shot."""
        marks = []
        for node in cmds.ls(type="timeSliderBookmark") or []:
            first, last = (round(cmds.getAttr(f"{node}.timeRange{edge}")) for edge in ("Start", "Stop"))
            marks += [(first, str(cmds.getAttr(f"{node}.name"))), (last + 1, "end")]
        starts = {frame for frame, name in marks if name != "end"}
        return [(frame, name) for frame, name in marks if name != "end" or frame not in starts]

    def show(self, frame: int) -> None:
        cmds.currentTime(frame, edit=True)

    @contextmanager
    def rest(self) -> Iterator[None]:
        """Maya has no switch for the rest pose: the frame that is shown is the neutral one."""
        yield

    def has_rest(self, name: str) -> bool:
        return False

    # --- shapes ----------------------------------------------------------------------------------------------------

    def shapes(self, name: str) -> list[str]:
        return [alias for _, alias, _ in blend_shapes_of(name)]

    def shape_deltas(self, name: str, shape: str) -> Points:
        """The offsets that the node stores, turned and scaled as the mesh is."""
        node, _, index = next(found for found in blend_shapes_of(name) if found[1] == shape)
        item = f"{node}.inputTarget[0].inputTargetGroup[{index}].inputTargetItem[{_FULL}]"
        points = cmds.getAttr(f"{item}.inputPointsTarget") or []
        components = cmds.getAttr(f"{item}.inputComponentsTarget") or []
        deltas = np.zeros((len(self.mesh(name).points), 3))
        moved = vertices_of([f".{component}" for component in components])
        if len(moved) != len(points):
            raise SceneError(f"the target {shape!r} of {node!r} cannot be read", "Leave it out with --shapes.")
        if len(points):
            deltas[moved] = np.array(points, np.float64)[:, :3]
        turned: Points = deltas @ self.transform(name)[:3, :3].T
        return turned

    # --- sound -----------------------------------------------------------------------------------------------------

    def write_sound(self, start: float, frames: int, path: Path) -> bool:
        if self._sound != "scene":
            cut_wav(Path(self._sound), path, (start - self._sound_start) / self.fps, frames / self.fps)
            return True
        playing = []
        for node in cmds.ls(type="audio") or []:
            offset = float(cmds.getAttr(f"{node}.offset"))
            source = Path(str(cmds.getAttr(f"{node}.filename")))
            if cmds.getAttr(f"{node}.mute"):
                continue
            if float(cmds.getAttr(f"{node}.sourceStart")) > 0:
                raise SceneError(f"the sound {node!r} is trimmed", "Save the part that plays as a file of its own.")
            if offset < start + frames and offset + WavFile.open(source).seconds * self.fps > start:
                playing.append((str(node), source, offset))
        if len(playing) > 1:
            names = ", ".join(name for name, _, _ in playing)
            raise SceneError(
                f"several sounds lie in frames {start:g} to {start + frames:g}: {names}", "Mute the others."
            )
        for _, source, offset in playing:
            cut_wav(source, path, (start - offset) / self.fps, frames / self.fps)
        return bool(playing)
