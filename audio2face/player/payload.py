"""Arrays inside a page: one deflated block in base64, addressed by dtype, shape and offset.

`web/payload.js` reads it.
"""

from __future__ import annotations

import base64
import zlib
from typing import Any

import numpy as np
import numpy.typing as npt

from audio2face.types import AnyArray

_ALIGNMENT = 8  # bytes: alignment of typed array views
_LEVEL = 6  # 15 times as fast as 9, for 3 % more bytes
_DTYPES = ("uint8", "int16", "int32", "float32")


class Payload:
    """Collects arrays; `add` returns the reference by which the page reads one."""

    def __init__(self) -> None:
        self._blocks: list[bytes] = []
        self._size = 0

    def add(self, array: AnyArray) -> dict[str, Any]:
        """Appends an array; 16-bit integers are stored as zigzag-coded differences.

        Returns:
            Its reference: `dtype`, `shape`, `offset` in bytes.

        Raises:
            ValueError: the page has no reader for the dtype.
        """
        if array.dtype.name not in _DTYPES:
            raise ValueError(f"the page reads {', '.join(_DTYPES)}, not {array.dtype}")
        little = np.ascontiguousarray(array, array.dtype.newbyteorder("<"))
        block = _zigzag_bytes(little) if array.dtype == np.int16 else little.tobytes()
        reference = {"dtype": array.dtype.name, "shape": list(array.shape), "offset": self._size}
        block += bytes(-len(block) % _ALIGNMENT)
        self._blocks.append(block)
        self._size += len(block)
        return reference

    def text(self) -> str:
        """All arrays, deflated (zlib), in base64."""
        return base64.b64encode(zlib.compress(b"".join(self._blocks), _LEVEL)).decode("ascii")


def _zigzag_bytes(values: npt.NDArray[np.int16]) -> bytes:
    """16-bit integers in a form that compresses well: all high bytes, then all low bytes, of zigzag-coded differences.

    Differences run along the last axis and wrap around. The zigzag code maps a difference d to 2 d, or to -2 d - 1 if
    it is negative, so that small differences of either sign have a high byte of zero.
    """
    steps = np.diff(values, axis=-1, prepend=np.zeros((*values.shape[:-1], 1), np.int16)).astype(np.int16)
    zigzag = ((steps << 1) ^ (steps >> 15)).astype(np.uint16)
    return (zigzag >> 8).astype(np.uint8).tobytes() + (zigzag & 0xFF).astype(np.uint8).tobytes()
