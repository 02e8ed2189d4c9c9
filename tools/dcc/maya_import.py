"""Puts an animation of stage 4 onto a face in Maya: weights on blend shapes, or geometry caches, and sound.

In the script editor (Python): `import sys; sys.path.insert(0, "FOLDER/tools/dcc")`, then

    import maya_import
    maya_import.apply(skin="head", result="FOLDER_OF_THE_ANIMATION", start=1)

The folder is what stage 4 wrote for a recording, with `--format maya arkit csv`. Without a window:
`mayapy tools/dcc/maya_import.py face.ma -- --result FOLDER --skin head --save out.ma`. docs/from_maya.md explains it.
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parent))

from a2f_dcc import SceneError
from a2f_dcc.arguments import import_options, script_arguments
from a2f_dcc.scene import ImportOptions, Report

_PATHS = ("result", "weights", "sound", "save")


def apply(skin: str, **options: Any) -> None:
    """Puts an animation onto the current scene.

    Args:
        skin: mesh of the face.
        options: `result`, `weights`, `sound`, `tongue`, `motion`, `start`, `fps`, as `ImportOptions` describes them.

    Raises:
        SceneError: an object or a file is missing, or they do not fit.
    """
    from a2f_dcc.maya_result import run

    paths = {name: Path(value) for name, value in options.items() if name in _PATHS and value is not None}
    run(ImportOptions(skin=skin, **{**options, **paths}), Report())


def main(argv: list[str]) -> int:
    """Imports by the options behind `--`; returns the exit status."""
    import maya.standalone

    options = import_options("maya_import.py", script_arguments(argv))
    maya.standalone.initialize(name="python")
    from a2f_dcc.maya_result import run
    from maya import cmds

    try:
        for scene in [word for word in argv[1 : argv.index("--")] if word.endswith((".ma", ".mb"))]:
            cmds.file(scene, open=True, force=True)
        run(options, Report(lambda line: print(line, flush=True)))
        if options.save is not None:
            cmds.file(rename=str(options.save.absolute()))
            cmds.file(save=True, type="mayaBinary" if options.save.suffix == ".mb" else "mayaAscii")
    except (SceneError, RuntimeError) as error:  # RuntimeError is Maya's own
        print(f"error: {str(error).strip()}", file=sys.stderr, flush=True)
        return 2
    return 0


if __name__ == "__main__" and "--" in sys.argv:
    sys.exit(main(sys.argv))
