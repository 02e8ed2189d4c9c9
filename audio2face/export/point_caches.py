"""The positions of a finished face as animation caches and plain arrays."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from audio2face.animation.animation import Animation, Surface
from audio2face.geometry import write_cache
from audio2face.io.atomic import atomic_files, write_npy


def write_maya(animation: Animation, folder: Path, name: str) -> list[Path]:
    """Writes Maya caches, `<name>.xml` and `<name>_tongue.xml` with an `.mc` beside each."""
    return _write(animation, folder, name, ".xml")


def write_pc2(animation: Animation, folder: Path, name: str) -> list[Path]:
    """Writes point caches, `<name>.pc2` and `<name>_tongue.pc2`."""
    return _write(animation, folder, name, ".pc2")


def write_mdd(animation: Animation, folder: Path, name: str) -> list[Path]:
    """Writes motion designer caches, `<name>.mdd` and `<name>_tongue.mdd`."""
    return _write(animation, folder, name, ".mdd")


def write_arrays(animation: Animation, folder: Path, name: str) -> list[Path]:
    """Writes float32 NumPy arrays, for your own programs.

    Returns:
        `<name>_skin.npy` and `<name>_tongue.npy` `[frames, verts, 3]`, centimetres; `<name>_jaw.npy` `[frames, 4, 4]`
        and `<name>_eyes.npy` `[frames, 4]`, degrees.

    Raises:
        UserError: a file cannot be written.
    """
    with atomic_files(folder) as made:
        for part, surface in animation.surfaces.items():
            _write_surface(made / f"{name}_{part}.npy", surface, animation.fps)
        for part, values in (("jaw", animation.jaw), ("eyes", animation.eyes)):
            write_npy(made / f"{name}_{part}.npy", np.asarray(values, np.float32))
        written = _names(made, ".npy")
    return [folder / file for file in written]


def _write(animation: Animation, folder: Path, name: str, extension: str) -> list[Path]:
    """Writes a cache of the skin and, if there is one, of the tongue.

    Args:
        animation: the animation.
        folder: output folder; the files appear together.
        name: of the skin's file; the tongue's is `<name>_tongue`.
        extension: of a format of `write_cache`.

    Returns:
        The files to open, the skin's first.

    Raises:
        UserError: a file cannot be written.
    """
    with atomic_files(folder) as made:
        for part, surface in animation.surfaces.items():
            file = name if part == "skin" else f"{name}_{part}"
            _write_surface(made / f"{file}{extension}", surface, animation.fps, animation.first_frame)
        written = _names(made, extension)
    return [folder / file for file in written]


def _write_surface(path: Path, surface: Surface, fps: float, first: int = 0) -> None:
    count, verts = len(surface.frames), surface.num_verts
    write_cache(path, surface.blocks(), fps=fps, num_frames=count, num_verts=verts, start_time=first / fps)


def _names(folder: Path, extension: str) -> list[str]:
    """Sorted names of the files with an extension; a prefix comes before the longer name."""
    return sorted(file.name for file in folder.iterdir() if file.suffix == extension)
