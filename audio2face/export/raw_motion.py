"""What a network says of a face, before the animator: displacements from rest, read in blocks of frames."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from audio2face.errors import UserError
from audio2face.export.spooling import Spool

Float32Array = npt.NDArray[np.float32]
BLOCK_FRAMES = 64


@dataclass(frozen=True, eq=False)
class RawMotion:
    """The motion of one face as a network gives it.

    Attributes:
        fps: frames per second; frame i spans the time from i / fps to (i + 1) / fps.
        values: displacements from the face at rest, float32 `[frames, values]`, in memory or mapped from a file: skin
            and tongue in centimetres (three a vertex), jaw key points in centimetres, eye rotations in degrees.
        neutral_skin: the skin at rest, float32 `[verts, 3]`, centimetres.
        neutral_tongue: the tongue at rest, likewise; its motion is that in the jaw's space, see `attach_to_jaw`.
        jaw_size: values of the jaw, three a key point; the eyes' follow up to the end.
    """

    fps: float
    values: Float32Array
    neutral_skin: Float32Array
    neutral_tongue: Float32Array
    jaw_size: int

    @property
    def num_frames(self) -> int:
        """Frames."""
        return len(self.values)

    def skin(self) -> Iterator[Float32Array]:
        """Positions of the skin's vertices, blocks `[n, verts, 3]`, centimetres."""
        return self._positions(0, self.neutral_skin)

    def tongue(self) -> Iterator[Float32Array]:
        """Positions of the tongue's vertices, blocks `[n, verts, 3]`, centimetres."""
        return self._positions(self.neutral_skin.size, self.neutral_tongue)

    @property
    def jaw(self) -> Float32Array:
        """Displacements of the jaw's key points, `[frames, jaw_size]`, centimetres."""
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


def spool(blocks: Iterable[Float32Array], num_frames: int, num_values: int, folder: Path) -> Float32Array:
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
    kept = Spool((num_values,), folder)
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
