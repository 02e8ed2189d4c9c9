"""Many poses in few numbers: coordinates in the space that some of them span, and the length of what lies outside.

Poses of a face lie near a space of some dozens to hundreds of dimensions. One pass over them finds coordinates, from
which distances and errors of reconstruction follow within bounds; only where bounds overlap are poses compared in full.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from audio2face.geometry.frames import blocks_of, check_finite, in_threads
from audio2face.geometry.pca import falling_eigenpairs
from audio2face.preproc.matmul import MatmulBackend
from audio2face.types import Float32Array, FloatArray

SLACK = 2e-6
"""Rounding of products of a sketch, relative to squared norms: four times the most that was measured (4.6e-7)."""

_READ_BYTES = 32 << 20  # float32 poses of a block
_PARTS = 4  # of all poses, which threads process
_SPANNED = 1e-9  # directions with less than this part of the largest variance do not belong to the sketch

# Reads consecutive poses as float32 `[poses, coords]`, into the first rows of the buffer if they must be copied.
ReadBlock = Callable[[slice, Float32Array], Float32Array]


@dataclass(frozen=True, eq=False)
class PoseSketch:
    """Coordinates of poses about a centre.

    Attributes:
        centre: float64 `[coords]`, of values that float32 holds.
        inside: coordinates in the sketched space, float32 `[directions, poses]`.
        norms: squared lengths about the centre, float64 `[poses]`, within `SLACK` of themselves.
    """

    centre: FloatArray
    inside: Float32Array
    norms: FloatArray

    @classmethod
    def create(
        cls, anchors: Float32Array, count: int, read: ReadBlock, products: MatmulBackend, threads: bool = False
    ) -> PoseSketch:
        """Reads each pose once.

        Args:
            anchors: poses that span the sketch, finite, `[anchors, coords]`.
            count: number of poses.
            read: reads poses of the numbers given.
            products: backend for products.
            threads: whether several parts are read at the same time.

        Raises:
            UserError: a pose has a non-finite coordinate.
        """
        centre = anchors.mean(axis=0, dtype=np.float64).astype(np.float32).astype(np.float64)
        # Nystrom's method: an orthonormal basis of the anchors, as combinations of them.
        values, vectors = falling_eigenpairs(products.against(products.centred(anchors, centre), anchors, centre))
        spanned = values > _SPANNED * values[0]
        weights = (vectors[:, spanned] / np.sqrt(values[spanned])).T.astype(np.float32)
        basis = products.single(weights @ (anchors - centre.astype(np.float32)))
        inside, norms = np.empty((len(weights), count), np.float32), np.empty(count)

        def fill(part: slice) -> None:
            cuts = list(blocks_of(part.stop - part.start, anchors[0].nbytes, _READ_BYTES))
            buffer = np.empty((cuts[0].stop, len(centre)), np.float32)  # takes no memory where it stays unused
            for block in cuts:
                cut = slice(part.start + block.start, part.start + block.stop)
                rows = read(cut, buffer)
                with np.errstate(over="ignore", invalid="ignore"):
                    inside[:, cut] = products.against(basis, rows, centre, norms[cut])
                if not np.isfinite(norms[cut]).all():
                    check_finite(rows, cut.start)

        if threads:
            in_threads(fill, blocks_of(count, 1, -(-count // _PARTS)))
        else:
            fill(slice(0, count))
        return cls(centre, inside, norms)

    def outside(self) -> tuple[FloatArray, FloatArray]:
        """Returns bounds from below and above of the length of what lies outside of the space, `[poses]` each."""
        squared = self.norms - np.einsum("ij,ij->j", self.inside, self.inside, dtype=np.float64)
        slack = SLACK * self.norms
        return np.sqrt(np.maximum(squared - slack, 0)), np.sqrt(np.maximum(squared, 0) + slack)
