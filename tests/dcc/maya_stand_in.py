"""A stand-in for Maya's modules: the commands that the scripts call, with documented flags, on the example head.

It answers from `stand_in.StandIn`; an unknown command, flag or plug is an error, as in Maya.
"""

from __future__ import annotations

import sys
import types
from typing import Any

import numpy as np
import pytest
from stand_in import LAST, StandIn

from audio2face.dataset.arkit_names import ARKIT_NAMES

# Long names of flags in the command reference.
FLAGS = {
    "about": {"version"},
    "file": {"query", "sceneName", "shortName", "open", "force", "rename", "save", "type"},
    "currentUnit": {"query", "time", "linear", "angle"},
    "playbackOptions": {"query", "minTime", "maxTime"},
    "upAxis": {"query", "axis"},
    "ls": {"type", "noIntermediate", "long", "selection", "flatten"},
    "listRelatives": {"parent", "shapes", "noIntermediate", "fullPath", "type"},
    "listHistory": {"pruneDagObjects"},
    "nodeType": set(),
    "sets": {"query"},
    "currentTime": {"query", "edit"},
    "getAttr": {"multiIndices"},
    "setAttr": set(),
    "listAttr": {"multi"},
    "sound": {"file", "offset", "name"},
    "cutKey": {"attribute", "clear"},
    "listConnections": {"source", "destination", "plugs"},
    "disconnectAttr": set(),
    "setKeyframe": {"attribute", "time", "value", "inTangentType", "outTangentType"},
    "cacheFile": {"attachFile", "fileName", "directory", "inAttr"},
    "window": {"exists", "title"},
    "deleteUI": set(),
    "columnLayout": {"adjustableColumn"},
    "textFieldGrp": {"label", "text", "query"},
    "textFieldButtonGrp": {"label", "text", "query", "edit", "buttonLabel", "buttonCommand"},
    "button": {"label", "command"},
    "showWindow": set(),
    "confirmDialog": {"title", "message", "button"},
}
MESHES = {"Head": "|Head|HeadShape", "Teeth": "|Teeth|TeethShape", "Tongue": "|Tongue|TongueShape"}
JOINTS = {"jaw": "Rig:jaw", "skull": "Rig:skull"}  # in Maya, and in the stand-in


class MayaScene(StandIn):
    """The stand-in's scene as Maya has it: y up, the face looks to +z, positions in centimetres."""

    def __init__(self) -> None:
        super().__init__()
        self.axes, self.centimetres = np.eye(3), 1.0
        self.time_unit = "23.976fps"
        self.bookmarks = [("s001_joy", 3, 20), ("s002_neutral", 21, 34)]
        self.sounds: dict[str, dict[str, Any]] = {}
        self.sets = {"face:lip_upper": ["HeadShape.vtx[421]", "Head.vtx[515:516]"], "lip_lower": ["Head.vtx[535:536]"]}
        self.keys: dict[str, list[tuple[float, float]]] = {}
        self.attributes: dict[str, Any] = {}
        self.caches: list[dict[str, Any]] = []
        self.fields: dict[str, str] = {}
        self.commands: list[Any] = []
        self.said: list[str] = []
        self.neutral_frame = 0

    def weights(self, frame: int) -> Any:
        return np.zeros(52) if frame == self.neutral_frame else super().weights(frame)

    def nod(self) -> Any:
        return np.eye(4) if self.frame == self.neutral_frame else super().nod()

    def truth(self, first: int, count: int) -> Any:
        """Frames of the skin with the head stabilised, `[count, verts, 3]`."""
        return self.head.skin(np.stack([self.weights(first + frame) for frame in range(count)]))

    # --- commands --------------------------------------------------------------------------------------------------

    def about(self, version: bool) -> str:
        return "2024"

    def file_(self, *names: str, **flags: Any) -> str:
        return "face.ma"

    def currentUnit(self, query: bool, time: bool) -> str:  # noqa: N802
        return self.time_unit

    def playbackOptions(self, query: bool, **edge: bool) -> float:  # noqa: N802
        return 1.0 if "minTime" in edge else float(LAST)

    def upAxis(self, query: bool, axis: bool) -> str:  # noqa: N802
        return "y"

    def ls(self, *names: Any, **flags: Any) -> list[str]:
        kinds = flags.get("type")
        found = {
            "mesh": list(MESHES.values()),
            "blendShape": ["faceShapes"] if names and "faceShapes" in names[0] else [],
            "objectSet": ["initialShadingGroup", *self.sets],
            "timeSliderBookmark": [f"mark{place}" for place in range(len(self.bookmarks))],
            "audio": list(self.sounds),
        }
        if flags.get("selection"):
            return ["Head"]
        return [*JOINTS, *MESHES] if kinds == ["joint", "transform"] else found[kinds]

    def listRelatives(self, name: str, **flags: Any) -> list[str] | None:  # noqa: N802
        if flags.get("parent"):
            return [name.rpartition("|")[2].removesuffix("Shape")]
        return [MESHES[name]] if name in MESHES else None

    def listHistory(self, shape: str) -> list[str]:  # noqa: N802
        return [shape, "faceShapes", "cut1"] if "Head" in shape else [shape]

    def nodeType(self, name: str) -> str:  # noqa: N802
        kinds = {"faceShapes": "blendShape", "cut1": "polyReduce"}
        return kinds.get(name, "mesh" if name.endswith("Shape") else "transform")

    def currentTime(self, *frame: float, **flags: bool) -> float:  # noqa: N802
        self.frame = int(frame[0]) if frame else self.frame
        return float(self.frame)

    def listAttr(self, plug: str, multi: bool) -> list[str]:  # noqa: N802
        assert plug == "faceShapes.weight"
        return list(ARKIT_NAMES)

    def getAttr(self, plug: str, multiIndices: bool = False) -> Any:  # noqa: N802
        node, _, attribute = plug.partition(".")
        if node.startswith("mark"):
            name, first, last = self.bookmarks[int(node[4:])]
            return {"name": name, "timeRangeStart": float(first), "timeRangeStop": float(last)}[attribute]
        if node in self.sounds:
            return self.sounds[node][attribute]
        if attribute == "weight":
            assert multiIndices
            return list(range(100, 152))
        index = int(attribute.partition("inputTargetGroup[")[2].partition("]")[0]) - 100
        delta = self.head.skin_shapes[index].astype(float)
        moved = np.flatnonzero(np.abs(delta).max(axis=1) > 0)
        assert ".inputTargetItem[6000]." in plug
        if attribute.endswith("inputPointsTarget"):
            return [(*delta[vertex].tolist(), 1.0) for vertex in moved]
        return [f"vtx[{vertex}]" for vertex in moved]

    def setAttr(self, plug: str, value: Any) -> None:  # noqa: N802
        self.attributes[plug] = value

    def sound_(self, **flags: Any) -> str:
        self.sounds[flags["name"]] = flags
        return str(flags["name"])

    def cutKey(self, node: str, attribute: str, clear: bool) -> None:  # noqa: N802
        self.keys.pop(attribute, None)

    def listConnections(self, plug: str, **flags: bool) -> list[str] | None:  # noqa: N802
        return ["control.smile"] if plug == "faceShapes.mouthSmileLeft" else None

    def disconnectAttr(self, source: str, target: str) -> None:  # noqa: N802
        self.attributes[target] = f"no longer {source}"

    def setKeyframe(self, node: str, attribute: str, time: float, value: float, **tangents: str) -> None:  # noqa: N802
        assert node == "faceShapes"
        assert tangents == {"inTangentType": "linear", "outTangentType": "linear"}
        self.keys.setdefault(attribute, []).append((time, value))

    def cacheFile(self, **flags: Any) -> str:  # noqa: N802
        self.caches.append(flags)
        return "cache1"

    # --- windows ---------------------------------------------------------------------------------------------------

    def window(self, name: str, **flags: Any) -> bool:
        return False

    def textFieldGrp(self, *field: str, **flags: Any) -> Any:  # noqa: N802
        if flags.get("query"):
            return self.fields[field[0]]
        if flags.get("edit"):
            self.fields[field[0]] = flags.get("text", self.fields[field[0]])
            if "buttonCommand" in flags:
                self.commands.append(flags["buttonCommand"])
            return None
        self.fields[flags["label"]] = flags["text"]
        return flags["label"]

    textFieldButtonGrp = textFieldGrp  # noqa: N815

    def button(self, label: str, command: Any) -> None:
        self.commands.append(command)

    def confirmDialog(self, title: str, message: str, button: list[str]) -> None:  # noqa: N802
        self.said.append(message)

    def deleteUI(self, name: str) -> None:  # noqa: N802
        pass

    columnLayout = showWindow = lambda self, *names, **flags: None  # noqa: N815

    # --- modules ---------------------------------------------------------------------------------------------------

    def install(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """Puts modules called `maya` in the place of Maya's."""
        for name in [name for name in sys.modules if name.startswith(("a2f_dcc.maya", "maya"))]:
            monkeypatch.delitem(sys.modules, name)
        made = {
            name: types.ModuleType(name) for name in ("maya", "maya.cmds", "maya.mel", "maya.api", "maya.standalone")
        }
        made["maya.api.OpenMaya"] = types.ModuleType("maya.api.OpenMaya")
        for name, module in made.items():
            monkeypatch.setitem(sys.modules, name, module)
            above, _, last = name.rpartition(".")
            if above:
                setattr(made[above], last, module)
        for command, flags in FLAGS.items():
            setattr(made["maya.cmds"], command, self._checked(command, flags))
        made["maya.standalone"].initialize = lambda name: None  # type: ignore[attr-defined]
        made["maya.mel"].eval = self._mel  # type: ignore[attr-defined]
        open_maya: Any = made["maya.api.OpenMaya"]
        open_maya.MSelectionList = lambda: _Selection(self)
        open_maya.MFnMesh = _MeshFunctions
        open_maya.MSpace = types.SimpleNamespace(kWorld=4)

    def _checked(self, command: str, flags: set[str]) -> Any:
        def call(*values: Any, **given: Any) -> Any:
            assert given.keys() <= flags, f"{command}: {given.keys() - flags}"
            if command == "sets":
                return self.sets.get(values[0], [])
            own = f"{command}_" if hasattr(self, f"{command}_") else command  # the stand-in's scene has other names
            return getattr(self, own)(*values, **given)

        return call

    def _mel(self, text: str) -> str:
        assert text.startswith("createHistorySwitch(")
        return "switch1"


class _Selection:
    def __init__(self, scene: MayaScene) -> None:
        self._scene = scene

    def add(self, name: str) -> None:
        self._name = name

    def getDagPath(self, index: int) -> _Path:  # noqa: N802
        return _Path(self._scene, self._name.strip("|").partition("|")[0])


class _Path:
    def __init__(self, scene: MayaScene, name: str) -> None:
        self.scene, self.name = scene, name

    def inclusiveMatrix(self) -> list[float]:  # noqa: N802
        """For row vectors; meshes stand still, their points move."""
        matrix = self.scene.transform(JOINTS[self.name]) if self.name in JOINTS else np.eye(4)
        return [float(value) for value in matrix.T.ravel()]


class _MeshFunctions:
    def __init__(self, path: _Path) -> None:
        self._mesh = path.scene.mesh(path.name)

    def getPoints(self, space: int) -> list[tuple[float, ...]]:  # noqa: N802
        assert space == 4
        return [(*point, 1.0) for point in self._mesh.points.tolist()]

    def getVertices(self) -> tuple[list[int], list[int]]:  # noqa: N802
        return self._mesh.counts.tolist(), self._mesh.corners.tolist()
