"""Consecutive frames of a face: what metrics compare."""

from __future__ import annotations

from dataclasses import dataclass

from audio2face.types import Float32Array


@dataclass(frozen=True, eq=False, kw_only=True)
class FaceFrames:
    """Consecutive frames of one face, at the times of the recorded frames.

    Attributes:
        skin: positions of all vertices, float32 `[frames, verts, 3]`, centimetres.
        tongue: positions in the head's space, moved by the jaw, float32 `[frames, tongue verts, 3]`, centimetres; None:
            no data.
        jaw: deltas of the key points of the lower jaw, float32 `[frames, points, 3]`, centimetres; None: no data.
        eyes: rotations of right and left eye, x and y each, float32 `[frames, 4]`, degrees; None: no data.
    """

    skin: Float32Array
    tongue: Float32Array | None = None
    jaw: Float32Array | None = None
    eyes: Float32Array | None = None

    def __len__(self) -> int:
        """Number of frames."""
        return len(self.skin)
