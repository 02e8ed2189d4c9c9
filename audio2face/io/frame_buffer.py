"""Frames kept in nameless temporary files, so that an animation of any length takes little memory."""

from __future__ import annotations

import tempfile
from collections.abc import Iterable
from pathlib import Path

import numpy as np

from audio2face.errors import UserError
from audio2face.types import Float32Array


class FrameBuffer:
    """Takes frames one block after the other and gives them back as one array.

    Args:
        shape: of a frame.
        folder: where the file lies, one that exists; it disappears with the array or the process.

    Raises:
        UserError: no file can be made there.
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
            raise ValueError(f"frames of shape {block.shape[1:]} came, expected {self._shape}")
        try:
            self._file.write(block.data)
        except OSError as error:
            raise _unwritable(self._folder, error) from error
        self.num_frames += len(block)

    def finish(self, num_frames: int | None = None) -> Float32Array:
        """All frames, or the first so many, float32 `[frames, *shape]`, mapped read-only."""
        shape = (self.num_frames if num_frames is None else num_frames, *self._shape)
        if 0 in shape:
            return np.zeros(shape, np.float32)
        try:
            self._file.flush()
            return np.memmap(self._file, np.float32, "r", shape=shape)
        except OSError as error:
            raise _unwritable(self._folder, error) from error


def buffer_frames(blocks: Iterable[Float32Array], num_frames: int, num_values: int, folder: Path) -> Float32Array:
    """Keeps the frames of an animation in a nameless temporary file, so that its length takes no memory.

    Args:
        blocks: frames `[n, num_values]`, finite.
        num_frames: frames in total.
        num_values: values of a frame.
        folder: where the file lies; it disappears with the array or the process.

    Returns:
        All frames, float32 `[num_frames, num_values]`, mapped read-only.

    Raises:
        UserError: the file cannot be written, or a value is NaN or infinite.
        ValueError: other than `num_frames` frames came.
    """
    kept = FrameBuffer((num_values,), folder)
    for block in blocks:
        if not np.isfinite(block).all():
            raise UserError(
                f"the network gives NaN or infinity in frames {kept.num_frames} to {kept.num_frames + len(block) - 1}",
                hint="The training went astray; use an earlier run, or another seed.",
            )
        kept.append(block)
    if kept.num_frames != num_frames:
        raise ValueError(f"{kept.num_frames} frames came, {num_frames} were announced")
    return kept.finish()


def _unwritable(folder: Path, error: OSError) -> UserError:
    return UserError(
        f"cannot be written to: {error.strerror or error}", path=folder, hint="Check free disk space and permissions."
    )
