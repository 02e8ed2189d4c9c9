"""Default colours of a face, which page, video and glTF share, and their conversion to linear light.

The conversion between sRGB and linear light follows IEC 61966-2-1.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

import numpy as np

from audio2face.types import AnyArray, Float32Array

DEFAULT_COLOURS: Mapping[str, tuple[int, int, int]] = MappingProxyType(
    {"skin": (214, 164, 140), "tongue": (188, 98, 98), "part": (225, 225, 225)}
)
"""Default sRGB colours of skin, tongue and rigid parts."""


def linear(colours: AnyArray) -> Float32Array:
    """Converts sRGB colours from 0 to 255 to linear red, green and blue `[..., 3]` from 0 to 1; drops opacity."""
    shares = np.asarray(colours, np.float32)[..., :3] / 255
    return np.where(shares <= 0.04045, shares / 12.92, ((shares + 0.055) / 1.055) ** 2.4).astype(np.float32)
