"""Exports the animation of a face from Blender as a raw data set, with a configuration left to `audio2face init`.

Without a window:

    blender face.blend --background --python tools/dcc/blender_export.py -- --actor mary --skin Head --shots markers

As a panel: open this file in Blender's text editor and run it; it is in the sidebar of the 3D view, tab Audio2Face.
Without Blender, with its Python package: `python tools/dcc/blender_export.py face.blend -- --actor mary ...`.
docs/from_blender.md explains each step. The folder `a2f_dcc` has to lie beside this file.
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
from a2f_dcc.arguments import export_options, script_arguments  # noqa: E402
from a2f_dcc.blender_scene import BlenderScene, open_scene  # noqa: E402
from a2f_dcc.export_scene import export  # noqa: E402
from a2f_dcc.scene import ExportOptions, Report  # noqa: E402


def run(options: ExportOptions, report: Report) -> int:
    """Exports the current scene and leaves it in the frame that it was in; returns the number of shots."""
    frame = bpy.context.scene.frame_current
    try:
        return len(export(BlenderScene(options.sound, options.sound_start), options, report))
    finally:
        bpy.context.scene.frame_set(frame)


def main(argv: list[str]) -> int:
    """Exports by the options behind `--`; returns the exit status."""
    try:
        options = export_options("blender_export.py", script_arguments(argv))
        open_scene(argv)
        report = Report(lambda line: print(line, flush=True))
        run(options, report)
    except SceneError as error:
        print(f"error: {error}", file=sys.stderr, flush=True)
        return 2
    except RuntimeError as error:  # Blender's own, such as a file that is no scene
        print(f"error: {str(error).strip()}", file=sys.stderr, flush=True)
        return 2
    print(f"next: audio2face init {options.actor} --data {options.out}")
    return 0


if __name__ == "__main__":
    if "--" in sys.argv:
        sys.exit(main(sys.argv))
    if bpy.app.background and len(sys.argv) > 1:
        print("error: the options of this script stand behind ' -- '; -- --help lists them", file=sys.stderr)
        sys.exit(2)
    from a2f_dcc.blender_panels import register_export

    register_export(run)
