"""Arrays in the text of a page: one deflated block in base64, and a table of what lies where in it.

The other half is `web/payload.js`. Knows arrays; does not know what they mean.
"""

from __future__ import annotations

import base64
import zlib
from typing import Any

import numpy as np
import numpy.typing as npt

_ALIGNMENT = 8  # bytes: every array of the page starts where a typed view may
_LEVEL = 6  # a fifteenth of the time of 9, for three hundredths more bytes
_DTYPES = ("uint8", "int16", "int32", "float32")


class Payload:
    """Collects arrays; `add` gives what the page needs to find one again."""

    def __init__(self) -> None:
        self._blocks: list[bytes] = []
        self._size = 0

    def add(self, array: npt.NDArray[Any]) -> dict[str, Any]:
        """Appends an array of bytes, 32-bit integers or floats as it is, one of 16-bit integers by `_folded` rows.

        Returns:
            Its place, for the page's description: `dtype`, `shape`, `offset` in bytes.

        Raises:
            ValueError: of a dtype that the page does not read.
        """
        if array.dtype.name not in _DTYPES:
            raise ValueError(f"the page reads {', '.join(_DTYPES)}, not {array.dtype}")
        little = np.ascontiguousarray(array, array.dtype.newbyteorder("<"))
        block = _folded(little) if array.dtype == np.int16 else little.tobytes()
        place = {"dtype": array.dtype.name, "shape": list(array.shape), "offset": self._size}
        block += bytes(-len(block) % _ALIGNMENT)
        self._blocks.append(block)
        self._size += len(block)
        return place

    def text(self) -> str:
        """Everything, deflated (zlib's format), in base64."""
        return base64.b64encode(zlib.compress(b"".join(self._blocks), _LEVEL)).decode("ascii")


def _folded(values: npt.NDArray[np.int16]) -> bytes:
    """16-bit integers in a form that deflates well: all high bytes, then all low bytes, of folded differences.

    Differences run along the last axis and wrap around; a difference d becomes 2 d, or -2 d - 1 where it is negative,
    so that small ones of either sign have a high byte of zero.
    """
    steps = np.diff(values, axis=-1, prepend=np.zeros((*values.shape[:-1], 1), np.int16)).astype(np.int16)
    folded = ((steps << 1) ^ (steps >> 15)).astype(np.uint16)
    return (folded >> 8).astype(np.uint8).tobytes() + (folded & 0xFF).astype(np.uint8).tobytes()
