"""The actor's blend shapes as the basis of the skin (SKIN_BASIS = "blendshapes"): coefficients are weights from 0 to 1.

Shapes are not orthonormal, so that a pose is not projected but solved for (`animation.shapes.ShapeFit`). What reads
coefficients must not take their length for a distance: `geometry.pca.coefficient_metric` gives it.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from audio2face.animation.shapes import ShapeFit
from audio2face.dataset import BlendshapeFiles
from audio2face.errors import UserError
from audio2face.io.arrays import read_json
from audio2face.preproc.blendshapes import NEUTRAL, read_poses
from audio2face.types import AnyArray, BoolArray, Float32Array, FloatArray

LIMIT_MM = 2.0
"""What 99 % of all vertices must be within, posed by the weights that were found for them."""


@dataclass(frozen=True, eq=False)
class ShapeBasis:
    """Blend shapes as components.

    Attributes:
        names: of the shapes, `[components]`.
        components: offsets of a weight of 1, float32 `[components, coords]`, centimetres.
        mean: the neutral of the shapes, float32 `[coords]`, centimetres.
        active: the shapes that weights are found for, bool `[components]`: those that move the skin, and that
            `bsSolveActivePoses` does not switch off. The weights of the others are 0.
    """

    names: tuple[str, ...]
    components: Float32Array
    mean: Float32Array
    active: BoolArray

    @property
    def num_components(self) -> int:
        """Number of shapes."""
        return len(self.components)

    @classmethod
    def read(cls, files: BlendshapeFiles, num_verts: int) -> ShapeBasis:
        """Reads the shapes as packaging repairs them.

        Args:
            files: the actor's blend shapes of the skin.
            num_verts: vertices of the caches.

        Raises:
            UserError: they are damaged, are of another mesh, or none of them is active.
        """
        poses = read_poses(files.data)
        mean = poses.pop(NEUTRAL)
        if len(mean) != num_verts:
            raise UserError(
                f"the blend shapes have {len(mean)} vertices, the caches have {num_verts}",
                path=files.data,
                hint='Export the blend shapes from the mesh of the caches, or set SKIN_BASIS = "pca".',
            )
        components = np.stack([pose.reshape(-1) for pose in poses.values()])
        listed = read_json(files.config)["blendshape_params"]["bsSolveActivePoses"]
        active = np.asarray(listed, np.bool_) & components.any(axis=1)
        if not active.any():
            raise UserError("no blend shape is active", path=files.config, hint="Set some of bsSolveActivePoses to 1.")
        return cls(tuple(poses), components, mean.reshape(-1), active)

    def projection(self) -> Callable[[AnyArray], FloatArray]:
        """Returns the function that finds weights of consecutive frames of one shot, in order.

        It takes poses `[frames, verts, 3]` and returns the weights from 0 to 1 whose pose is nearest, float32
        `[frames, components]`.
        """
        fit = ShapeFit(self.components, self.active)
        mean = self.mean.astype(np.float64)

        def find(poses: AnyArray) -> FloatArray:
            return fit(poses.reshape(len(poses), -1) - mean).astype(np.float32)

        return find
