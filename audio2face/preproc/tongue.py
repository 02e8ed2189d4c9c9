"""Stabilises the tongue at its root, so that the network learns its own motion only, and measures its attachment.

Inference attaches the tongue to the jaw (`animation.rigid.attach_to_jaw`) with the measured transform; consumers of the
deployed folder parent it to the jaw. The neutral tongue and the neutral jaw may belong to different poses, and a tongue
may be independent of the jaw, so the transform comes from the recordings.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from audio2face.animation.rigid import fit_rigid, spans_a_plane
from audio2face.dataset import ActorDataset
from audio2face.errors import UserError
from audio2face.geometry.frames import PoseReader, blocks_of, check_finite
from audio2face.types import AnyArray, Float32Array, FloatArray, Int64Array

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


TO_JAW_ARRAY, FOLLOWS_ARRAY = "tongue_to_jaw", "tongue_follows_jaw"

_SAMPLES = 400  # frames to sample, evenly spaced over all shots
_STILL_CM = 0.02  # root mean square: smaller motion is inconclusive
_APART_CM = 0.1  # above it a note states that the neutrals belong to different poses


@dataclass(frozen=True, eq=False)
class TongueAttachment:
    """Position of the tongue's root relative to the lower jaw in the recorded frames; lengths are centimetres.

    Attributes:
        matrix: maps the neutral tongue to its position on the neutral jaw, float32 `[4, 4]`, rigid.
        follows: whether the root moves with the jaw rather than with the head.
        shift: root mean square displacement of the root by the matrix.
        error: root mean square distance, over frames, of the recorded root from its position by jaw and matrix.
        motion: root mean square distance, over frames, of the recorded root from its neutral position.
    """

    matrix: Float32Array
    follows: bool
    shift: float
    error: float
    motion: float

    def as_arrays(self) -> dict[str, AnyArray]:
        """Returns arrays for the display archive, by name."""
        return {TO_JAW_ARRAY: self.matrix, FOLLOWS_ARRAY: np.asarray(self.follows, np.uint8)}

    @property
    def notes(self) -> list[str]:
        """Returns notes for people."""
        if not self.follows:
            return [
                f"the root of the tongue is {10 * self.error:.1f} mm from its position on the jaw, and "
                f"{10 * self.motion:.1f} mm from its neutral position: it is assumed to stay with the head. If it "
                "should move with the jaw, check TONGUE_RIGID_VERTEX_LIST_FPATH and JAW_ANIM_DATA_FPATH"
            ]
        if self.shift > _APART_CM:
            return [
                f"the neutral tongue is {10 * self.shift:.1f} mm from its recorded position on the neutral jaw; "
                "finished animations correct this, consumers that parent it to the jaw do not. Export both neutrals "
                "in one pose"
            ]
        return []


def measure_attachment(dataset: ActorDataset, shots: Collection[str]) -> TongueAttachment | None:
    """Measures the position of the tongue's root relative to the jaw.

    Args:
        dataset: the actor's data.
        shots: the shots with a tongue in use.

    Returns:
        None for an actor without a tongue or a moving jaw.

    Raises:
        UserError: a file cannot be read.
    """
    neutral, root, jaw = dataset.tongue_neutral, dataset.tongue_rigid_vertices, dataset.jaw_keypoints_neutral
    if neutral is None or root is None or jaw is None or not spans_a_plane(jaw):
        return None
    rest = neutral[root].astype(np.float64)
    pairs = list(_sample_frames(dataset, shots, root))
    if not pairs:
        return None
    recorded, deltas = np.stack([pair[0] for pair in pairs]), np.stack([pair[1] for pair in pairs])
    # Into the jaw's space: the transform that maps its key points to neutral also maps the root.
    on_jaw = fit_rigid(jaw + deltas, jaw).apply(recorded)
    # The median ignores single broken frames.
    placed = fit_rigid(rest[None], np.median(on_jaw, axis=0))
    matrix = np.eye(4, dtype=np.float32)
    matrix[:3, :3], matrix[:3, 3] = placed.rotations[0], placed.translations[0]
    attached = placed.apply(rest[None])[0]
    error, motion = _rms(on_jaw - attached), _rms(recorded - rest)
    moved = _rms(recorded - recorded.mean(axis=0))
    follows = error <= max(moved, _STILL_CM)
    return TongueAttachment(
        matrix if follows else np.eye(4, dtype=np.float32), follows, _rms(attached - rest), error, motion
    )


def _sample_frames(
    dataset: ActorDataset, shots: Collection[str], root: npt.NDArray[np.integer[Any]]
) -> Iterator[tuple[FloatArray, FloatArray]]:
    """Yields positions of the root `[root verts, 3]` and of the jaw's key points `[points, 3]`, frame by frame."""
    each = max(1, _SAMPLES // max(1, len(shots)))
    for name in list(shots)[:: max(1, len(shots) // _SAMPLES)]:
        shot = dataset.shot(name)
        tongue, deltas = shot.tongue(), shot.jaw_deltas()
        if tongue is None or deltas is None:
            continue
        count = min(tongue.num_frames, len(deltas))
        for frame in np.unique(np.linspace(0, count - 1, min(each, count)).round().astype(int)).tolist():
            yield tongue.read(frame, frame + 1)[0, root].astype(np.float64), deltas[frame].astype(np.float64)


def _rms(offsets: FloatArray) -> float:
    """Returns the root mean square length of vectors `[..., 3]`."""
    return float(np.sqrt(np.mean(np.sum(offsets**2, axis=-1))))
