"""Types and constants that every layer shares: arrays by element type, channels of a frame, units."""

from __future__ import annotations

from typing import Any, Literal

import numpy as np
import numpy.typing as npt

Float16Array = npt.NDArray[np.float16]
Float32Array = npt.NDArray[np.float32]
Float64Array = npt.NDArray[np.float64]
FloatArray = npt.NDArray[np.floating[Any]]  # any of them
Int32Array = npt.NDArray[np.int32]
Int64Array = npt.NDArray[np.int64]
UInt8Array = npt.NDArray[np.uint8]
BoolArray = npt.NDArray[np.bool_]
AnyArray = npt.NDArray[Any]
Picture = UInt8Array  # [height, width, 3], sRGB

# What moves in a face: the meshes, which have PCA components and blend shapes, and all channels of a frame in order.
Mesh = Literal["skin", "tongue"]
MESHES: tuple[Mesh, ...] = ("skin", "tongue")
CHANNELS = ("skin", "tongue", "jaw", "eye")

MM_PER_CM = 10.0
