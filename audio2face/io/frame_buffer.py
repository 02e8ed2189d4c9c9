"""Buffers frames in unnamed temporary files, so that an animation of any length takes little memory."""

from __future__ import annotations

import tempfile
from collections.abc import Iterable
from pathlib import Path

import numpy as np

from audio2face.errors import UserError
from audio2face.types import Float32Array


class FrameBuffer:
    """Collects blocks of frames on disk and returns them as one mapped array.

    Args:
        shape: shape of a frame.
        folder: an existing folder for the file, which disappears with the array or the process.

    Raises:
        UserError: the file cannot be created.
    """

    def __init__(self, shape: tuple[int, ...], folder: Path) -> None:
        self._shape, self._folder = shape, folder
        self.num_frames = 0
        try:
            self._file = tempfile.TemporaryFile(prefix=".animation.", dir=folder)  # noqa: SIM115  (the array keeps it)
        except OSError as error:
            raise _unwritable(folder, error) from error

    def append(self, frames: Float32Array) -> None:
        """Adds frames `[n, *shape]`.

        Raises:
            UserError: the disk is full.
        """
        block = np.ascontiguousarray(frames, np.float32)
        if block.shape[1:] != self._shape:
            raise ValueError(f"frames of shape {block.shape[1:]} given, expected {self._shape}")
        try:
            self._file.write(block.data)
        except OSError as error:
            raise _unwritable(self._folder, error) from error
        self.num_frames += len(block)

    def finish(self, num_frames: int | None = None) -> Float32Array:
        """Returns all frames, or the first `num_frames`, float32 `[frames, *shape]`, mapped read-only."""
        shape = (self.num_frames if num_frames is None else num_frames, *self._shape)
        if 0 in shape:
            return np.zeros(shape, np.float32)
        try:
            self._file.flush()
            return np.memmap(self._file, np.float32, "r", shape=shape)
        except OSError as error:
            raise _unwritable(self._folder, error) from error


def buffer_frames(blocks: Iterable[Float32Array], num_frames: int, num_values: int, folder: Path) -> Float32Array:
    """Buffers the frames of an animation in an unnamed temporary file.

    Args:
        blocks: frames `[n, num_values]`, finite.
        num_frames: number of frames in total.
        num_values: number of values per frame.
        folder: folder of the file, which disappears with the array or the process.

    Returns:
        All frames, float32 `[num_frames, num_values]`, mapped read-only.

    Raises:
        UserError: the file cannot be written, or a value is NaN or infinite.
        ValueError: the blocks hold another number of frames.
    """
    kept = FrameBuffer((num_values,), folder)
    for block in blocks:
        if not np.isfinite(block).all():
            raise UserError(
                f"the network outputs NaN or infinity in frames {kept.num_frames} to "
                f"{kept.num_frames + len(block) - 1}",
                hint="The training diverged; use an earlier run, or another seed.",
            )
        kept.append(block)
    if kept.num_frames != num_frames:
        raise ValueError(f"{kept.num_frames} frames given, {num_frames} expected")
    return kept.finish()


def _unwritable(folder: Path, error: OSError) -> UserError:
    return UserError(
        f"cannot be written to: {error.strerror or error}", path=folder, hint="Check free disk space and permissions."
    )
