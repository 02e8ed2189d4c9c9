"""Motion as animation caches and plain arrays: of a finished face, and of a network before post-processing."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

import numpy as np

from audio2face.animation.animation import Animation, Surface
from audio2face.geometry import write_cache
from audio2face.io.atomic import atomic_files, atomic_write, write_npy
from audio2face.types import Float32Array

BLOCK_FRAMES = 64


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


@dataclass(frozen=True, eq=False)
class RawMotion:
    """The network output for one face.

    Attributes:
        fps: frames per second; frame i spans the time from i / fps to (i + 1) / fps.
        values: offsets from the neutral face, float32 `[frames, channels]`, in memory or memory-mapped: skin
            and tongue in centimetres (three a vertex), jaw key points in centimetres, eye rotations in degrees.
        neutral_skin: the neutral skin, float32 `[verts, 3]`, centimetres.
        neutral_tongue: the neutral tongue, float32 `[verts, 3]`, centimetres; its motion is in the jaw's space
            (`animation.attach_to_jaw`).
        jaw_size: channels of the jaw, three per key point; the remaining channels are those of the eyes.
    """

    fps: float
    values: Float32Array
    neutral_skin: Float32Array
    neutral_tongue: Float32Array
    jaw_size: int

    @property
    def num_frames(self) -> int:
        """Number of frames."""
        return len(self.values)

    def skin(self) -> Iterator[Float32Array]:
        """Yields positions of the skin's vertices in blocks `[n, verts, 3]`, centimetres."""
        return self._positions(0, self.neutral_skin)

    def tongue(self) -> Iterator[Float32Array]:
        """Yields positions of the tongue's vertices in blocks `[n, verts, 3]`, centimetres."""
        return self._positions(self.neutral_skin.size, self.neutral_tongue)

    @property
    def jaw(self) -> Float32Array:
        """Offsets of the jaw's key points, `[frames, jaw_size]`, centimetres."""
        return self.values[:, self._rigid : self._rigid + self.jaw_size]

    @property
    def eyes(self) -> Float32Array:
        """Rotations of the eyes, `[frames, 4]`, degrees: pitch and yaw of the right eye, then of the left."""
        return self.values[:, self._rigid + self.jaw_size :]

    @property
    def _rigid(self) -> int:
        return self.neutral_skin.size + self.neutral_tongue.size

    def _positions(self, start: int, neutral: Float32Array) -> Iterator[Float32Array]:
        for first in range(0, self.num_frames, BLOCK_FRAMES):
            moved = self.values[first : first + BLOCK_FRAMES, start : start + neutral.size]
            yield moved.reshape(-1, *neutral.shape) + neutral


def write_maya_caches(motion: RawMotion, folder: Path, name: str, suffix: str = "") -> list[Path]:
    """Writes Maya caches (`.xml` with `.mc`) of the skin and, if there is one, the tongue, in centimetres.

    Args:
        motion: the motion.
        folder: output folder.
        name: of the skin's files; the tongue's are `<name>_tongue`.
        suffix: appended to both names.

    Returns:
        The `.xml` files.

    Raises:
        UserError: a file cannot be written.
    """
    parts = {
        f"{name}{suffix}.xml": (motion.skin(), len(motion.neutral_skin)),
        f"{name}_tongue{suffix}.xml": (motion.tongue(), len(motion.neutral_tongue)),
    }
    written = []
    for file, (blocks, num_verts) in parts.items():
        if num_verts:
            path = folder / file
            write_cache(path, blocks, fps=motion.fps, num_frames=motion.num_frames, num_verts=num_verts)
            written.append(path)
    return written


def write_transforms(motion: RawMotion, folder: Path, name: str) -> list[Path]:
    """Writes `<name>_jaw.npy` `[frames, 3 * points]` and `<name>_eye.npy` `[frames, 4]`, in degrees.

    Raises:
        UserError: a file cannot be written.
    """
    written = []
    for part, values in (("jaw", motion.jaw), ("eye", motion.eyes)):
        path = folder / f"{name}_{part}.npy"
        write_npy(path, values)
        written.append(path)
    return written


def write_rows(path: Path, blocks: Iterable[Float32Array], num_frames: int, num_values: int) -> Path:
    """Writes blocks `[n, num_values]` as one `.npy` file, float32 `[num_frames, num_values]`, as a stream.

    Raises:
        UserError: the file cannot be written.
    """
    header = {"descr": "<f4", "fortran_order": False, "shape": (num_frames, num_values)}
    with atomic_write(path) as handle:
        np.lib.format.write_array_header_1_0(handle, cast(Any, header))
        for block in blocks:
            handle.write(np.ascontiguousarray(block, "<f4").tobytes())
    return path
