"""The binary half of a glTF file: arrays as accessors, and the container that joins them with the JSON.

Knows numbers and bytes (glTF 2.0, sections 3.6 and 4); the scene is put together in `gltf`.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator

import numpy as np
import numpy.typing as npt
import pygltflib as gltf  # type: ignore[import-untyped]

Float32Array = npt.NDArray[np.float32]
Int64Array = npt.NDArray[np.int64]

_TYPES = {(): gltf.SCALAR, (2,): gltf.VEC2, (3,): gltf.VEC3, (4,): gltf.VEC4}
_COMPONENTS = {
    np.dtype("<f4"): gltf.FLOAT,
    np.dtype("<u4"): gltf.UNSIGNED_INT,
    np.dtype("<u2"): gltf.UNSIGNED_SHORT,
    np.dtype("u1"): gltf.UNSIGNED_BYTE,
}
_GLB_MAGIC, _GLB_VERSION = 0x46546C67, 2
_JSON_CHUNK, _BINARY_CHUNK = 0x4E4F534A, 0x004E4942


class Accessors:
    """Collects arrays for one binary chunk, each in a buffer view of its own, and tells their accessors' numbers."""

    def __init__(self, document: gltf.GLTF2) -> None:
        self._document = document
        self._pieces: list[bytes] = []
        self._zeros: dict[int, int] = {}
        self._size = 0

    def dense(
        self,
        array: npt.NDArray[np.generic],
        *,
        target: int | None = None,
        bounds: bool = False,
        normalized: bool = False,
    ) -> int:
        """Adds an array `[count]` or `[count, 2 to 4]` as it is.

        Args:
            array: float32, or unsigned integers of 8, 16 or 32 bits.
            target: what a graphics card uses it for, `gltf.ARRAY_BUFFER` or `gltf.ELEMENT_ARRAY_BUFFER`.
            bounds: whether minimum and maximum are told, as positions and times need.
            normalized: whether integers stand for 0 to 1.
        """
        accessor = self._described(array, bounds)
        accessor.bufferView = self._view(array, target)
        accessor.byteOffset = 0
        accessor.normalized = normalized
        return self._added(accessor)

    def sparse(self, array: Float32Array, rows: Int64Array, rows_view: int, bounds: bool) -> int:
        """Adds `array` `[count, 3]`, of which only `rows` are stored and all others read as zero.

        Args:
            array: all rows.
            rows: numbers of those to store, rising.
            rows_view: where these numbers lie, from `row_numbers`.
            bounds: whether minimum and maximum are told.
        """
        accessor = self._described(array, bounds)
        # The format lets this view be left out; a reader (VTK's) then takes whatever is in its memory for zeros.
        accessor.bufferView = self._zero_view(len(array))
        accessor.sparse = gltf.Sparse(
            count=len(rows),
            indices=gltf.AccessorSparseIndices(bufferView=rows_view, componentType=_row_component(len(array))),
            values=gltf.AccessorSparseValues(bufferView=self._view(array[rows], None)),
        )
        return self._added(accessor)

    def row_numbers(self, rows: Int64Array, count: int) -> int:
        """Stores numbers of rows for `sparse` accessors of `count` rows; gives their buffer view."""
        return self._view(rows.astype("<u2" if _row_component(count) == gltf.UNSIGNED_SHORT else "<u4"), None)

    def container(self) -> Iterator[bytes]:
        """The bytes of the .glb file, in pieces; nothing may be added afterwards."""
        self._document.buffers = [gltf.Buffer(byteLength=self._size)]
        text = self._document.gltf_to_json(separators=(",", ":"), indent=None).encode()
        text += b" " * (-len(text) % 4)
        yield struct.pack("<III", _GLB_MAGIC, _GLB_VERSION, 12 + 8 + len(text) + 8 + self._size)
        yield struct.pack("<II", len(text), _JSON_CHUNK) + text
        yield struct.pack("<II", self._size, _BINARY_CHUNK)
        yield from self._pieces

    def _described(self, array: npt.NDArray[np.generic], bounds: bool) -> gltf.Accessor:
        accessor = gltf.Accessor(
            componentType=_COMPONENTS[array.dtype], count=len(array), type=_TYPES[array.shape[1:]], max=None, min=None
        )
        if bounds:
            flat = array.reshape(len(array), -1)
            accessor.min, accessor.max = flat.min(axis=0).tolist(), flat.max(axis=0).tolist()
        return accessor

    def _zero_view(self, count: int) -> int:
        if count not in self._zeros:
            self._zeros[count] = self._view(np.zeros((count, 3), np.float32), gltf.ARRAY_BUFFER)
            self._document.bufferViews[-1].byteStride = 12  # must be told of a view that several accessors share
        return self._zeros[count]

    def _view(self, array: npt.NDArray[np.generic], target: int | None) -> int:
        piece = np.ascontiguousarray(array).tobytes()
        view = gltf.BufferView(buffer=0, byteOffset=self._size, byteLength=len(piece), target=target)
        piece += b"\0" * (-len(piece) % 4)
        self._pieces.append(piece)
        self._size += len(piece)
        self._document.bufferViews.append(view)
        return len(self._document.bufferViews) - 1

    def _added(self, accessor: gltf.Accessor) -> int:
        self._document.accessors.append(accessor)
        return len(self._document.accessors) - 1


def _row_component(count: int) -> int:
    return int(gltf.UNSIGNED_SHORT if count <= 1 << 16 else gltf.UNSIGNED_INT)
