"""A picture of one held-out frame: the network's face beside the recorded one."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from audio2face.animation.animation import Animation, Surface
from audio2face.export.video import write_picture
from audio2face.types import Float32Array, Int32Array

PICTURE_FILE = "held_out_frame.png"
_SIZE = (960, 540)


@dataclass(frozen=True, eq=False, kw_only=True)
class HeldOutFrame:
    """One frame of the validation set.

    Attributes:
        actor: whose face it is.
        faces: polygons of the skin, int32 `[faces, 3 or 4]`.
        neutral: the neutral mesh, float32 `[verts, 3]`, centimetres.
        predicted: the network's skin, the same shape and unit.
        true: the recorded skin, the same shape and unit.
    """

    actor: str
    faces: Int32Array
    neutral: Float32Array
    predicted: Float32Array
    true: Float32Array

    def draw(self, path: Path) -> None:
        """Draws both faces as a PNG file.

        Raises:
            UserError: the polygons are not those of the mesh, or the file cannot be written.
        """
        predicted, true = self._face(self.predicted), self._face(self.true)
        write_picture(predicted, 0, path, compare=true, labels=("network", "recorded"), size=_SIZE)

    def _face(self, skin: Float32Array) -> Animation:
        return Animation(
            actor=self.actor,
            fps=1.0,
            skin=Surface(self.neutral, skin[None], self.faces),
            tongue=None,
            jaw=np.eye(4, dtype=np.float32)[None],
            eyes=np.zeros((1, 4), np.float32),
            emotion=np.zeros((1, 0), np.float32),
        )
