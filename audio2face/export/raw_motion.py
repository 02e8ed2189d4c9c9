"""Network output before post-processing: offsets from neutral, read in blocks of frames, and its files."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

import numpy as np

from audio2face.geometry import write_cache
from audio2face.io.atomic import atomic_write, write_npy
from audio2face.types import Float32Array

BLOCK_FRAMES = 64


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
