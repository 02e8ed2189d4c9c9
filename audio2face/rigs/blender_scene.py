"""Characters that only Blender reads (FBX, and its own files): Blender converts them to glTF in a temporary folder.

Blender is the program `blender` on the PATH, or its module `bpy` in this environment. Neither is loaded into this
process.
"""

from __future__ import annotations

import importlib.util
import shutil
import subprocess
import sys
import tempfile
from dataclasses import replace
from pathlib import Path

from audio2face.console import LOGGER
from audio2face.errors import FileFormatError, UserError, missing_file
from audio2face.io.atomic import file_sha256
from audio2face.rigs.gltf_scene import read_gltf
from audio2face.rigs.scene import Scene

_SECONDS = 600
_SHOWN = 12  # lines of Blender's output in a message
# Normals and texture coordinates are left out: they would split vertices.
_SCRIPT = """\
import sys
import bpy
source, target = sys.argv[-2:]
if source.lower().endswith(".fbx"):
    bpy.ops.wm.read_factory_settings(use_empty=True)
    bpy.ops.import_scene.fbx(filepath=source, use_anim=False)
else:
    bpy.ops.wm.open_mainfile(filepath=source)
bpy.ops.export_scene.gltf(
    filepath=target, export_format="GLB", export_yup=True, export_animations=False, export_morph=True,
    export_morph_normal=False, export_normals=False, export_texcoords=False, export_image_format="NONE",
)
"""


def read_through_blender(path: Path) -> Scene:
    """Converts a file and opens what came out of it.

    Raises:
        UserError: there is no such file, or Blender is not installed.
        FileFormatError: Blender cannot read it.
    """
    if not path.is_file():
        raise missing_file("there is no such character", path, "Give the path of a .fbx or .blend file.")
    command = _blender()
    if command is None:
        raise UserError(
            "is read by Blender, which is not installed here",
            path=path,
            hint="Install Blender so that the command `blender` starts it, or its module (pip install bpy). Or open "
            "the file in Blender elsewhere and export it as glTF (.glb) with shape keys, or as USD.",
        )
    LOGGER.info("%s: Blender converts it", path.name)
    with tempfile.TemporaryDirectory(prefix="a2f_") as folder:
        script, made = Path(folder) / "convert.py", Path(folder) / "character.glb"
        script.write_text(_SCRIPT, encoding="utf-8")
        _run([*command, str(script), "--", str(path.absolute()), str(made)], path, made)
        scene = read_gltf(made)
    return replace(scene, path=path, kind="shape keys", digest=file_sha256(path), gltf=None)


def _blender() -> list[str] | None:
    """The start of a command that runs a script in Blender; None where there is none."""
    program = shutil.which("blender")
    if program is not None:
        return [program, "--background", "--factory-startup", "--python-exit-code", "1", "--python"]
    return None if importlib.util.find_spec("bpy") is None else [sys.executable]


def _run(command: list[str], path: Path, made: Path) -> None:
    try:
        done = subprocess.run(
            command, capture_output=True, text=True, errors="replace", timeout=_SECONDS, stdin=subprocess.DEVNULL
        )
    except subprocess.TimeoutExpired as error:
        raise UserError(f"Blender did not convert it within {_SECONDS // 60} minutes", path=path) from error
    except OSError as error:
        raise UserError(f"{command[0]} cannot be started: {error.strerror}", hint="Install Blender again.") from error
    if done.returncode != 0 or not made.is_file():
        said = "\n  ".join((done.stderr or done.stdout).strip().splitlines()[-_SHOWN:])
        raise FileFormatError(
            f"Blender could not convert it (status {done.returncode}):\n  {said}",
            path=path,
            hint="Open it in Blender to see what is wrong with it, or export it from its program as USD or glTF.",
        )
