"""Puts an animation onto objects of the current scene in Maya: blend shapes or geometry caches, and sound.

Frame i of the animation is at i / fps after the start, whatever the scene's rate: keys may lie between frames.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
from maya import cmds, mel

from a2f_dcc import SceneError
from a2f_dcc.maya_scene import MayaScene, blend_shapes_of, shape_of
from a2f_dcc.results import RECORD, Result, curves_of_shapes, find_result, one_rate, read_curves
from a2f_dcc.scene import ImportOptions, Points, Report

_MOVED = 1e-6


def run(options: ImportOptions, report: Report) -> None:
    """Puts an animation onto the current scene.

    Raises:
        SceneError: an object or a file is missing, or they do not fit.
    """
    scene = MayaScene()
    for mesh in [name for name in (options.skin, options.tongue) if name]:
        if mesh not in scene.meshes():
            raise SceneError(
                f"the scene has no mesh {mesh!r}", f"Its meshes are: {', '.join(scene.meshes()) or 'none'}."
            )
    if options.jaw or options.right_eye or options.left_eye:
        raise SceneError(
            "jaw and eyes are not keyed in Maya",
            "Leave --jaw, --right-eye and --left-eye out: docs/from_maya.md says which columns of the table move them.",
        )
    result = Result(name="speech") if options.result is None else find_result(options.result)
    weights = options.weights or result.weights
    curves = None if weights is None else read_curves(weights)
    fps = options.fps or one_rate({RECORD: result.fps, "weights": None if curves is None else curves.fps})
    start = scene.range[0] if options.start is None else options.start
    for part, name in (("skin", options.skin), ("tongue", options.tongue)):
        if name is None:
            continue
        keys = {} if curves is None else curves_of_shapes(curves, scene.shapes(name))
        if options.motion == "weights" or (options.motion == "auto" and keys):
            _key_shapes(name, keys, start, scene.fps / fps, report)
        else:
            _attach_cache(name, options.result, part, start, scene, report)
    sound = options.sound or result.sound
    if sound is not None:
        cmds.sound(file=str(sound.absolute()), offset=start, name="speech")
    report.info(f"{result.name}: {fps:.6g} frames per second in a scene of {scene.fps:.6g}, from frame {start} on")


def _key_shapes(name: str, keys: dict[str, Points], start: int, step: float, report: Report) -> None:
    if not keys:
        raise SceneError(
            f"{name!r} has no blend shape of which there are weights",
            "Name its targets as ARKit does (jawOpen, eyeBlinkLeft ...), or take the cache: --motion cache.",
        )
    nodes = {alias: node for node, alias, _ in blend_shapes_of(name)}
    for shape, values in keys.items():
        node = nodes[shape]
        cmds.cutKey(node, attribute=shape, clear=True)
        driven = cmds.listConnections(f"{node}.{shape}", source=True, destination=False, plugs=True) or []
        for plug in driven:
            cmds.disconnectAttr(plug, f"{node}.{shape}")
            report.warn(f"{name!r}: {shape} was driven by {plug}, which is disconnected")
        for frame, value in enumerate(values.tolist()):
            cmds.setKeyframe(
                node,
                attribute=shape,
                time=start + frame * step,
                value=value,
                inTangentType="linear",
                outTangentType="linear",
            )
    report.info(f"{name!r}: keys on {len(keys)} of {len(nodes)} blend shapes")


def _attach_cache(name: str, folder: Path | None, part: str, start: int, scene: MayaScene, report: Report) -> None:
    ending = "_tongue.xml" if part == "tongue" else ".xml"
    files = sorted(folder.glob(f"*{ending}")) if folder is not None else []
    files = [path for path in files if part == "tongue" or not path.stem.endswith("_tongue")]
    if not files:
        if part == "tongue":
            return
        raise SceneError(f"there is no Maya cache for {name!r}", "Let stage 4 write one, with --format maya arkit csv")
    if np.abs(scene.transform(name) - np.eye(4)).max() > _MOVED:
        raise SceneError(
            f"{name!r} is moved, turned or scaled; a cache holds positions in its own space, in centimetres, y up",
            "Freeze its transformations (Modify, Freeze Transformations), or take the weights: --motion weights.",
        )
    shape = shape_of(name)
    switch = mel.eval(f'createHistorySwitch("{shape}", false)')
    cache = cmds.cacheFile(
        attachFile=True, fileName=files[0].stem, directory=str(files[0].parent), inAttr=[f"{switch}.inp[0]"]
    )
    cmds.setAttr(f"{switch}.playFromCache", 1)
    cmds.setAttr(f"{cache}.startFrame", start)
    report.info(f"{name!r}: geometry cache {files[0].name}")
