"""What of one actor never changes: the face at rest, and the poses and gazes that the animator adds. No files."""

from __future__ import annotations

from dataclasses import dataclass, fields

import numpy as np
import numpy.typing as npt

from audio2face.errors import UserError

Float32Array = npt.NDArray[np.float32]


@dataclass(frozen=True, eq=False, kw_only=True)
class FaceData:
    """The constant arrays of one actor; whatever is given is kept as contiguous float32.

    Attributes:
        skin: the skin at rest, `[verts, 3]`, centimetres, y upwards, z out of the face.
        tongue: the tongue at rest, `[tongue verts, 3]`; no rows for an actor without one.
        jaw: key points on the lower teeth at rest, `[points, 3]`.
        lip_open: what opens the lips, offsets from the neutral, `[verts, 3]`.
        eye_close: what shuts both eyes, likewise.
        saccades: pitch and yaw of both eyes, degrees, `[rows, 2]`, 30 rows a second.

    Raises:
        UserError: an array has another shape, holds NaN or infinity, or the skin has no height.
    """

    skin: Float32Array
    tongue: Float32Array
    jaw: Float32Array
    lip_open: Float32Array
    eye_close: Float32Array
    saccades: Float32Array

    def __post_init__(self) -> None:
        for field in fields(self):
            array = np.ascontiguousarray(getattr(self, field.name), np.float32)
            self._check(field.name, array)
            object.__setattr__(self, field.name, array)
        if not np.ptp(self.skin[:, 1]) > 0:
            raise UserError(
                "the neutral skin is flat: all vertices have the same y, so upper and lower face cannot be told apart",
                hint="The y axis must point upwards.",
            )

    def _check(self, name: str, array: Float32Array) -> None:
        columns = 2 if name == "saccades" else 3
        rows = len(self.skin) if name in ("lip_open", "eye_close") else None
        right = array.ndim == 2 and array.shape[1] == columns and rows in (None, len(array))
        if not right or (len(array) == 0 and name != "tongue"):
            expected = f"[{rows or 'any'}, {columns}]"
            raise UserError(f"array {name} of the face has shape {list(array.shape)}, expected {expected}")
        if not np.isfinite(array).all():
            raise UserError(f"array {name} of the face holds NaN or infinity")
