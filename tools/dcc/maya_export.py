"""Exports the animation of a face from Maya as a raw data set, with a configuration left to `audio2face init`.

Without a window, in Maya's Python:

    mayapy tools/dcc/maya_export.py face.ma -- --actor mary --skin head --jaw jaw_joint --shots markers

As a window, in the script editor (Python): `import sys; sys.path.insert(0, "FOLDER/tools/dcc")`, then
`import maya_export; maya_export.show()`. NumPy is installed once with `mayapy -m pip install numpy`.
docs/from_maya.md explains each step. The folder `a2f_dcc` has to lie beside this file.
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parent))

from a2f_dcc import SceneError
from a2f_dcc.arguments import export_options, script_arguments
from a2f_dcc.scene import ExportOptions, Report

_WINDOW = "audio2face_export"
_FIELDS = {
    "actor": "Actor",
    "skin": "Skin",
    "tongue": "Tongue",
    "lower_teeth": "Lower Teeth",
    "upper_teeth": "Upper Teeth",
    "right_eye": "Right Eye",
    "left_eye": "Left Eye",
    "jaw": "Jaw",
    "head": "Head",
    "shots": "Shots",
    "neutral": "Neutral Frame",
    "out": "Folder",
}
_TYPED = ("actor", "shots", "neutral", "out")  # the others are taken from the selection


def run(options: ExportOptions, report: Report) -> int:
    """Exports the current scene and leaves it in the frame that it was in; returns the number of shots."""
    from a2f_dcc.export_scene import export
    from a2f_dcc.maya_scene import MayaScene
    from maya import cmds

    frame = cmds.currentTime(query=True)
    try:
        return len(export(MayaScene(options.sound, options.sound_start), options, report))
    finally:
        cmds.currentTime(frame, edit=True)


def show() -> None:
    """Opens the window of the export."""
    from maya import cmds

    if cmds.window(_WINDOW, exists=True):
        cmds.deleteUI(_WINDOW)
    cmds.window(_WINDOW, title="Export Face Animation")
    cmds.columnLayout(adjustableColumn=True)
    fields: dict[str, Any] = {}
    for name, label in _FIELDS.items():
        text = "markers" if name == "shots" else ""
        if name in _TYPED:
            fields[name] = cmds.textFieldGrp(label=label, text=text)
        else:
            fields[name] = cmds.textFieldButtonGrp(label=label, text=text, buttonLabel="Selected")
            cmds.textFieldButtonGrp(fields[name], edit=True, buttonCommand=_taker(fields[name]))
    cmds.button(label="Export Data Set", command=lambda *_: _export_fields(fields))
    cmds.showWindow(_WINDOW)


def _taker(field: str) -> Any:
    """What puts the name of the selected object into a field."""

    def take(*_: Any) -> None:
        from maya import cmds

        for name in (cmds.ls(selection=True) or [])[:1]:
            cmds.textFieldButtonGrp(field, edit=True, text=name)

    return take


def _export_fields(fields: dict[str, Any]) -> None:
    """Exports what the window shows, and says in a dialog how it went."""
    from maya import cmds

    read = {True: cmds.textFieldGrp, False: cmds.textFieldButtonGrp}
    values = {name: str(read[name in _TYPED](field, query=True, text=True)).strip() for name, field in fields.items()}
    report = Report()
    try:
        missing = [_FIELDS[name] for name in ("actor", "skin", "out") if not values[name]]
        if missing:
            raise SceneError(f"{missing[0]} is not named")
        given = {name: value for name, value in values.items() if value and name not in ("shots", "out")}
        shots = values["shots"].split() or ["markers"]
        count = run(ExportOptions(out=Path(values["out"]).absolute(), shots=shots, **given), report)  # type: ignore[arg-type]
        text = "\n".join([f"{count} shots are in {values['out']}", *report.warnings])
    except SceneError as error:
        text = f"Nothing was written: {error}"
    cmds.confirmDialog(title="Export Face Animation", message=text, button=["OK"])


def main(argv: list[str]) -> int:
    """Exports by the options behind `--`; returns the exit status."""
    import maya.standalone

    options = export_options("maya_export.py", script_arguments(argv))
    maya.standalone.initialize(name="python")
    from maya import cmds

    try:
        for scene in [word for word in argv[1 : argv.index("--")] if word.endswith((".ma", ".mb"))]:
            cmds.file(scene, open=True, force=True)
        run(options, Report(lambda line: print(line, flush=True)))
    except (SceneError, RuntimeError) as error:  # RuntimeError is Maya's own
        print(f"error: {str(error).strip()}", file=sys.stderr, flush=True)
        return 2
    print(f"next: audio2face init {options.actor} --data {options.out}")
    return 0


if __name__ == "__main__":
    if "--" in sys.argv:
        sys.exit(main(sys.argv))
    show()
