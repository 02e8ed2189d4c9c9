"""Where the tongue sits on the jaw, measured in the recordings: what puts the jaw's motion back into a finished tongue.

The neutral tongue and the neutral jaw need not belong to one pose, and a tongue need not follow the jaw at all. Knows
one actor's caches and key points; what is carried, and when, is decided by whoever finishes an animation.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from audio2face.dataset import ActorDataset
from audio2face.geometry.rigid import fit_rigid, spans_a_plane
from audio2face.types import AnyArray, Float32Array, FloatArray

SEAT_ARRAY, FOLLOWS_ARRAY = "tongue_to_jaw", "tongue_follows_jaw"

_SAMPLES = 400  # frames that are looked at, spread evenly over all shots
_STILL_CM = 0.02  # root mean square: within it the recordings say nothing
_APART_CM = 0.1  # from which it is worth saying that the neutrals belong to different poses


@dataclass(frozen=True, eq=False)
class TongueSeat:
    """How the root of the tongue lies on the lower jaw in the recorded frames; lengths are centimetres.

    Attributes:
        matrix: maps the neutral tongue to where it lies on the neutral jaw, float32 `[4, 4]`, rigid.
        follows: whether the root moves with the jaw rather than with the head.
        shift: how far the matrix moves the root, root mean square.
        error: distance of the recorded root from where jaw and matrix put it, root mean square over frames.
        motion: distance of the recorded root from its neutral, likewise.
    """

    matrix: Float32Array
    follows: bool
    shift: float
    error: float
    motion: float

    def as_arrays(self) -> dict[str, AnyArray]:
        """Arrays for the display archive, by name."""
        return {SEAT_ARRAY: self.matrix, FOLLOWS_ARRAY: np.asarray(self.follows, np.uint8)}

    @property
    def notes(self) -> list[str]:
        """What people should know."""
        if not self.follows:
            return [
                f"the root of the tongue lies {10 * self.error:.1f} mm from where the jaw would carry it, and "
                f"{10 * self.motion:.1f} mm from its neutral: it is taken to stay with the head. If it should move "
                "with the jaw, look at TONGUE_RIGID_VERTEX_LIST_FPATH and JAW_ANIM_DATA_FPATH"
            ]
        if self.shift > _APART_CM:
            return [
                f"the neutral tongue lies {10 * self.shift:.1f} mm from where it is recorded on the neutral jaw; "
                "finished animations put it right, consumers that parent it to the jaw do not. Export both neutrals in "
                "one pose"
            ]
        return []


def measure_seat(dataset: ActorDataset, shots: Collection[str]) -> TongueSeat | None:
    """Measures how the tongue lies on the jaw.

    Args:
        dataset: the actor's data.
        shots: the shots whose tongue is used.

    Returns:
        None for an actor without a tongue or a moving jaw.

    Raises:
        UserError: a file cannot be read.
    """
    neutral, root, jaw = dataset.tongue_neutral, dataset.tongue_rigid_vertices, dataset.jaw_keypoints_neutral
    if neutral is None or root is None or jaw is None or not spans_a_plane(jaw):
        return None
    rest = neutral[root].astype(np.float64)
    pairs = list(_samples(dataset, shots, root))
    if not pairs:
        return None
    recorded, deltas = np.stack([pair[0] for pair in pairs]), np.stack([pair[1] for pair in pairs])
    # Into the jaw's space: the motion that brings its key points home brings the root along.
    on_jaw = fit_rigid(jaw + deltas, jaw).apply(recorded)
    # The median leaves single broken frames without a say.
    placed = fit_rigid(rest[None], np.median(on_jaw, axis=0))
    matrix = np.eye(4, dtype=np.float32)
    matrix[:3, :3], matrix[:3, 3] = placed.rotations[0], placed.translations[0]
    seated = placed.apply(rest[None])[0]
    error, motion = _rms(on_jaw - seated), _rms(recorded - rest)
    moved = _rms(recorded - recorded.mean(axis=0))
    follows = error <= max(moved, _STILL_CM)
    return TongueSeat(matrix if follows else np.eye(4, dtype=np.float32), follows, _rms(seated - rest), error, motion)


def _samples(
    dataset: ActorDataset, shots: Collection[str], root: npt.NDArray[np.integer[Any]]
) -> Iterator[tuple[FloatArray, FloatArray]]:
    """Positions of the root `[root verts, 3]` and motion of the jaw's key points `[points, 3]`, frame by frame."""
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
    """Root mean square of the lengths of vectors `[..., 3]`."""
    return float(np.sqrt(np.mean(np.sum(offsets**2, axis=-1))))
