"""The export formats of a finished animation, by their names on the command line."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType

from audio2face.animation.animation import Animation
from audio2face.errors import UserError
from audio2face.export.arkit import write_arkit
from audio2face.export.point_caches import write_arrays, write_maya, write_mdd, write_pc2
from audio2face.export.tables import write_sound, write_table
from audio2face.extras import require


def _write_glb(animation: Animation, folder: Path, name: str) -> list[Path]:
    if animation.character is not None:
        from audio2face.export.character import write_character

        return [write_character(animation, animation.character, folder / f"{name}.glb")]
    require("the format 'glb'", "gltf")
    from audio2face.export.gltf import write_glb  # loads in a third of a second

    return write_glb(animation, folder, name)


def _write_usd(animation: Animation, folder: Path, name: str) -> list[Path]:
    require("the format 'usd'", "usd")
    from audio2face.export.usd import write_usd  # loads in most of a second

    return write_usd(animation, folder, name)


Writer = Callable[[Animation, Path, str], list[Path]]


@dataclass(frozen=True)
class Format:
    """An export format.

    Attributes:
        description: contents of the files.
        opened_by: programs that read it.
        write: writes an animation into a folder under a name and returns the files to open; all files appear together.
            References to the audio are to `<name>.wav` in the same folder (`write_sound`).
        extra: the extra of the package that it needs; None for the base.
    """

    description: str
    opened_by: str
    write: Writer
    extra: str | None = None


FORMATS: Mapping[str, Format] = MappingProxyType(
    {
        "maya": Format("caches of skin and tongue, .xml with .mc", "Maya", write_maya),
        "pc2": Format("point caches of skin and tongue", "Blender, 3ds Max", write_pc2),
        "mdd": Format("motion designer caches of skin and tongue", "Blender, LightWave, Modo", write_mdd),
        "npy": Format("NumPy arrays of skin, tongue, jaw and eyes", "your own programs", write_arrays),
        "csv": Format("jaw, eyes, emotion and weights per frame", "spreadsheets, any program", write_table),
        "arkit": Format(
            "52 ARKit weights: Live Link Face CSV and Audio2Face JSON", "Unreal Engine, Unity, Maya", write_arkit
        ),
        "glb": Format(
            "glTF binary: morph targets with animated weights, jaw, eyes, teeth",
            "Blender, three.js, Unity, Unreal Engine, browsers",
            _write_glb,
            "gltf",
        ),
        "usd": Format(
            "USD: positions of every frame; and a UsdSkel character with blend shapes",
            "usdview, Houdini, Omniverse, Maya, Blender",
            _write_usd,
            "usd",
        ),
    }
)


def write_formats(animation: Animation, folder: Path, name: str, formats: Iterable[str]) -> list[Path]:
    """Writes an animation in several formats, and its audio beside them.

    Args:
        animation: the animation.
        folder: output folder; created if it is missing.
        name: prefix of all file names.
        formats: keys of `FORMATS`.

    Returns:
        The files to open, then the audio file if there is one.

    Raises:
        UserError: a format is unknown or needs data that the animation lacks, or a file cannot be written.
    """
    chosen = [_format(key) for key in dict.fromkeys(formats)]
    sound = write_sound(animation, folder, name)
    written = [path for chosen_format in chosen for path in chosen_format.write(animation, folder, name)]
    return written if sound is None else [*written, sound]


def _format(key: str) -> Format:
    if key not in FORMATS:
        raise UserError(f"export format {key!r} is unknown", hint=f"Choose from {', '.join(FORMATS)}.")
    return FORMATS[key]
