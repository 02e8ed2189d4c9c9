"""Stabilises the tongue at its root, so that the network learns only its own motion.

Inference attaches the tongue to the jaw again (`animation.jaw.attach_to_jaw`, with the transform measured
in `tongue_attachment`); consumers of the deployed folder parent it to the jaw.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from audio2face.errors import UserError
from audio2face.geometry.pose_reader import PoseReader, blocks_of, check_finite
from audio2face.geometry.rigid import fit_rigid, spans_a_plane
from audio2face.types import AnyArray, FloatArray, Int64Array

_BLOCK_BYTES = 16 << 20  # float64 copies of the frames of one block


@dataclass(frozen=True)
class StabilisedTongue:
    """A tongue shot whose frames are transformed, as they are read, so that the root matches the neutral root.

    Created by `stabilise`.

    Attributes:
        poses: the shot as animated.
        root: `[root verts]` indices of the vertices that move with the jaw.
        root_target: `[root verts, 3]` float64, positions of those vertices in the neutral pose.
    """

    poses: PoseReader
    root: Int64Array
    root_target: FloatArray

    @property
    def num_frames(self) -> int:
        """Number of frames."""
        return self.poses.num_frames

    @property
    def num_verts(self) -> int:
        """Number of vertices."""
        return self.poses.num_verts

    def read(self, start: int, stop: int, out: AnyArray | None = None) -> AnyArray:
        """Reads frames `start` up to, not including, `stop`, float32 `[stop - start, verts, 3]`.

        Raises:
            UserError: a frame has a non-finite coordinate.
        """
        frames = self.poses.read(start, stop, out)
        for part in blocks_of(stop - start, self.num_verts * 24, _BLOCK_BYTES):
            block = frames[part]
            check_finite(block.reshape(len(block), -1), start + part.start)
            block[:] = fit_rigid(block[:, self.root], self.root_target).apply(block)
        return frames


def stabilise(poses: PoseReader, neutral: AnyArray, root: npt.ArrayLike) -> StabilisedTongue:
    """Stabilises a tongue shot at its root.

    Args:
        poses: one shot.
        neutral: `[verts, 3]`.
        root: indices of the vertices at the tongue's root.

    Raises:
        UserError: the neutral has another number of vertices, or the root does not determine a rotation.
    """
    if neutral.shape != (poses.num_verts, 3):
        raise UserError(f"a neutral tongue of shape {neutral.shape} for caches of {poses.num_verts} vertices")
    indices = np.asarray(root, np.int64).reshape(-1)
    outside = indices[(indices < 0) | (indices >= len(neutral))]
    if outside.size:
        raise UserError(f"rigid tongue vertex {outside[0]} for a mesh of {len(neutral)} vertices")
    target = neutral[indices].astype(np.float64)
    if not spans_a_plane(target):
        raise UserError(
            f"{len(indices)} rigid tongue vertices that lie on one line, which leaves the rotation undetermined",
            hint="List at least three vertices at the root of the tongue, better ten or more, spread out.",
        )
    return StabilisedTongue(poses, indices, target)
