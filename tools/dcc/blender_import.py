"""Puts an animation of stage 4 onto a face in Blender: weights on shape keys or caches, jaw, eyes and sound.

Without a window:

    blender face.blend --background --python tools/dcc/blender_import.py -- --result FOLDER --skin Head --save out.blend

FOLDER is what stage 4 wrote for a recording, with `--format mdd arkit csv`. As a panel: open this file in
Blender's text editor and run it; it is in the sidebar of the 3D view, tab Audio2Face. docs/from_blender.md explains
each step.
The folder `a2f_dcc` has to lie beside this file.
"""

from __future__ import annotations

import sys
from pathlib import Path

import bpy


def _folder() -> Path:
    """The folder of this file, which in the text editor is known to the text only."""
    here = Path(__file__)
    text = None if here.is_file() else bpy.data.texts.get(here.name)
    return Path(bpy.path.abspath(text.filepath)).parent if text is not None else here.parent


sys.path.insert(0, str(_folder()))

from a2f_dcc import SceneError  # noqa: E402 (found in the folder above)
from a2f_dcc.arguments import import_options, script_arguments  # noqa: E402
from a2f_dcc.blender_result import run  # noqa: E402
from a2f_dcc.blender_scene import open_scene  # noqa: E402
from a2f_dcc.scene import Report  # noqa: E402


def main(argv: list[str]) -> int:
    """Imports by the options behind `--`; returns the exit status."""
    try:
        options = import_options("blender_import.py", script_arguments(argv))
        open_scene(argv)
        run(options, Report(lambda line: print(line, flush=True)))
        if options.save is not None:
            bpy.ops.wm.save_as_mainfile(filepath=str(options.save.absolute()))
    except SceneError as error:
        print(f"error: {error}", file=sys.stderr, flush=True)
        return 2
    except RuntimeError as error:  # Blender's own, such as a file that is no scene
        print(f"error: {str(error).strip()}", file=sys.stderr, flush=True)
        return 2
    return 0


if __name__ == "__main__":
    if "--" in sys.argv:
        sys.exit(main(sys.argv))
    if bpy.app.background and len(sys.argv) > 1:
        print("error: the options of this script stand behind ' -- '; -- --help lists them", file=sys.stderr)
        sys.exit(2)
    from a2f_dcc.blender_panels import register_import

    register_import(run)
