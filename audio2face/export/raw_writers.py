"""Writes the raw output of a network as Maya caches and NumPy arrays. Files appear whole or not at all."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Any, cast

import numpy as np
import numpy.typing as npt

from audio2face.export.raw_motion import RawMotion
from audio2face.files import atomic_write, write_npy
from audio2face.geometry import write_cache


def write_maya_caches(motion: RawMotion, folder: Path, name: str, suffix: str = "") -> list[Path]:
    """Writes the skin and, where there is one, the tongue: positions in centimetres, `.xml` with `.mc` beside it.

    Args:
        motion: the motion.
        folder: where the files go.
        name: of the skin's files; those of the tongue are called `<name>_tongue`.
        suffix: follows either name.

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
    """Writes `<name>_jaw.npy` `[frames, 3 * points]` and `<name>_eye.npy` `[frames, 4]`; see `RawMotion`.

    Raises:
        UserError: a file cannot be written.
    """
    written = []
    for part, values in (("jaw", motion.jaw), ("eye", motion.eyes)):
        path = folder / f"{name}_{part}.npy"
        write_npy(path, values)
        written.append(path)
    return written


def write_rows(path: Path, blocks: Iterable[npt.NDArray[np.float32]], num_frames: int, num_values: int) -> Path:
    """Writes blocks `[n, num_values]` as one `.npy` file, float32 `[num_frames, num_values]`, without gathering them.

    Raises:
        UserError: the file cannot be written.
    """
    header = {"descr": "<f4", "fortran_order": False, "shape": (num_frames, num_values)}
    with atomic_write(path) as handle:
        np.lib.format.write_array_header_1_0(handle, cast(Any, header))
        for block in blocks:
            handle.write(np.ascontiguousarray(block, "<f4").tobytes())
    return path
