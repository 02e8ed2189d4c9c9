"""The example actor's head: neutral face, shapes and rigid parts, and their evaluation from weights.

Knows the file `head.npz` beside it and how weights move each part. Knows nothing of speech, time or datasets.
Units are centimetres and degrees; +y up, +z out of the face, the actor's left at +x.

The skin is a linear blend-shape rig: `neutral + sum of weight * shape`. Two consequences for who drives it:
`mouthClose` holds the open jaw, so a shut mouth over a jaw opened by `a` is `mouthClose = a` with `jawOpen = 0`, and
`jawOpen = a, mouthClose = b` opens the jaw by `a + b` and the lips by `a`; and what other shapes do to the lips adds
up, so contact is to be checked with `lip_gap`. The jaw (teeth, tongue) turns rigidly, by an angle proportional to
`jawOpen + mouthClose`.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float32]
Integers = npt.NDArray[np.int32]

IDENTITIES: tuple[str, ...] = ("ada", "ben")


@dataclass(frozen=True)
class Head:
    """One identity of the example head; all float arrays float32 in centimetres, all index arrays int32.

    SIGNATURE DRAFT (being filled; names and shapes are final):
    """

    identity: str
    skin_neutral: Floats  # [verts, 3]
    skin_faces: Integers  # [faces, 4]
    skin_shapes: Floats  # [52, verts, 3]
    tongue_neutral: Floats  # [tongue_verts, 3]
    tongue_faces: Integers  # [faces, 4]
    tongue_shapes: Floats  # [16, tongue_verts, 3]
    tongue_out: Floats  # [tongue_verts, 3] the ARKit shape on the tongue part
    rigid_tongue: Integers  # [n] vertices that move with the jaw only
    upper_teeth_neutral: Floats
    upper_teeth_faces: Integers
    lower_teeth_neutral: Floats
    lower_teeth_faces: Integers
    eyes_neutral: Floats  # [eye_verts, 3] right eye first
    eyes_faces: Integers
    eye_centres: Floats  # [2, 3] right, left
    jaw_keypoints: Floats  # [5, 3] on the lower teeth
    lip_dist: dict[str, list[int]]  # {"upper": [5], "lower": [5]}
    eye_dist: dict[str, list[int]]  # {"upper": [2], "lower": [2]}
    lip_size: dict[str, dict[str, list[int]]]
    frontal_mask: Integers
    lip_open_delta: Floats  # [verts, 3]
    eye_close_delta: Floats  # [verts, 3]

    @classmethod
    def open(cls, identity: str) -> Head: ...

    def skin(self, weights: Floats) -> Floats: ...  # [frames, 52] -> [frames, verts, 3]

    def tongue(
        self, weights: Floats, tongue_weights: Floats
    ) -> Floats: ...  # [frames, 52], [frames, 16] -> [frames, tongue_verts, 3], jaw applied

    def jaw_keypoint_deltas(self, weights: Floats) -> Floats: ...  # [frames, 5, 3]

    def lower_teeth(self, weights: Floats) -> Floats: ...  # [frames, verts, 3]

    def eyes(self, rotations: Floats) -> Floats: ...  # [frames, 2 (right, left), 2 (pitch X, yaw Y)] deg

    def lip_gap(self, weights: Floats) -> Floats: ...  # [frames, 5] millimetres, signed: below 0 lips overlap

    def lid_gap(self, weights: Floats) -> Floats: ...  # [frames, 2] millimetres, right, left
