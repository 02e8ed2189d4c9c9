"""Colours of what brings none, and the way between colours as people name them (sRGB) and amounts of light.

Page, video and glTF take the same colours from here. The conversion is that of IEC 61966-2-1.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any

import numpy as np
import numpy.typing as npt

from audio2face.export.animation import Float32Array

DEFAULT_COLOURS: Mapping[str, tuple[int, int, int]] = MappingProxyType(
    {"skin": (214, 164, 140), "tongue": (188, 98, 98), "part": (225, 225, 225)}
)
"""sRGB of surfaces whose actor has no colours: skin, tongue, and rigid parts."""


def linear(colours: npt.NDArray[Any]) -> Float32Array:
    """Amounts of red, green and blue light `[..., 3]`, 0 to 1, of sRGB colours from 0 to 255 (opacity is dropped)."""
    shares = np.asarray(colours, np.float32)[..., :3] / 255
    return np.where(shares <= 0.04045, shares / 12.92, ((shares + 0.055) / 1.055) ** 2.4).astype(np.float32)
