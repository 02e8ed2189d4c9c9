"""Reads glTF 2.0 files, binary (.glb) and text (.gltf): the document, and its accessors as arrays.

Implements sections 3.6 (buffers, accessors, sparse accessors), 4 (GLB) and the extension KHR_mesh_quantization of the
Khronos glTF 2.0 specification. Compressed geometry is refused.
"""

from __future__ import annotations

import base64
import binascii
import json
import struct
from collections.abc import Iterator
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import unquote

import numpy as np

from audio2face.errors import FileFormatError, UserError, missing_file
from audio2face.rigs.scene import damage
from audio2face.types import AnyArray

_MAGIC, _JSON_CHUNK, _BINARY_CHUNK = 0x46546C67, 0x4E4F534A, 0x004E4942
_COMPONENTS = {5120: "<i1", 5121: "<u1", 5122: "<i2", 5123: "<u2", 5125: "<u4", 5126: "<f4"}
_WIDTHS = {"SCALAR": 1, "VEC2": 2, "VEC3": 3, "VEC4": 4, "MAT4": 16}
_MOST_ROWS = 20_000_000  # of an accessor: more would fill the memory
_LARGEST_FILE = 2 << 30  # bytes
_COMPRESSED = ("KHR_draco_mesh_compression", "EXT_meshopt_compression")


@dataclass(frozen=True, eq=False)
class GltfFile:
    """An opened glTF file.

    Attributes:
        path: the file.
        document: the JSON document.
        buffers: contents of the buffers, in order.
    """

    path: Path
    document: dict[str, Any]
    buffers: tuple[bytes, ...] = field(repr=False)

    @classmethod
    def open(cls, path: Path) -> GltfFile:
        """Reads a file and the buffers beside it.

        Raises:
            UserError: there is no such file, or it is too large.
            FileFormatError: it is damaged, of another format, or its geometry is compressed.
        """
        data = _read(path)
        with format_errors(path):
            document, binary = _split(data, path)
            buffers = tuple(_buffer(entry, binary, path) for entry in document.get("buffers", []))
            used = [name for name in _COMPRESSED if name in document.get("extensionsUsed", [])]
        if used:
            raise FileFormatError(
                f"its geometry is compressed ({used[0]})",
                path=path,
                hint="Export it without compression, which is an option of the exporter.",
            )
        return cls(path, document, buffers)

    def accessor(self, index: int) -> AnyArray:
        """The rows of an accessor, `[count]` or `[count, width]`; normalised integers as float32 from -1 to 1.

        Raises:
            LookupError, TypeError, ValueError: the file is damaged (see `format_errors`).
        """
        entry = self.document["accessors"][checked_index(index)]
        count, width = int(entry["count"]), _WIDTHS[entry["type"]]
        dtype = np.dtype(_COMPONENTS[entry["componentType"]])
        if not 0 <= count <= _MOST_ROWS:
            raise ValueError(f"an accessor has {count} rows")
        if "bufferView" in entry:
            rows = self._rows(entry["bufferView"], entry.get("byteOffset", 0), count, width, dtype)
        else:
            rows = np.zeros((count, width), dtype)
        if "sparse" in entry:
            rows = self._with_sparse(rows, entry["sparse"], width)
        if entry.get("normalized") and dtype.kind in "iu":
            rows = np.maximum(rows.astype(np.float32) / np.float32(np.iinfo(dtype).max), np.float32(-1))
        return rows[:, 0] if width == 1 else rows

    def _with_sparse(self, rows: AnyArray, sparse: dict[str, Any], width: int) -> AnyArray:
        count = int(sparse["count"])
        indices, values = sparse["indices"], sparse["values"]
        kind = np.dtype(_COMPONENTS[indices["componentType"]])
        places = self._rows(indices["bufferView"], indices.get("byteOffset", 0), count, 1, kind)[:, 0]
        filled = rows.copy()
        filled[places] = self._rows(values["bufferView"], values.get("byteOffset", 0), count, width, rows.dtype)
        return filled

    def _rows(self, view_index: int, offset: int, count: int, width: int, dtype: np.dtype[Any]) -> AnyArray:
        """Rows `[count, width]` of a buffer view, which may interleave them with others."""
        view = self.document["bufferViews"][checked_index(view_index)]
        buffer = self.buffers[checked_index(view["buffer"])]
        begin = int(view.get("byteOffset", 0))
        length = int(view["byteLength"])
        size = width * dtype.itemsize
        stride = int(view.get("byteStride", size))
        if min(begin, length, offset, count) < 0 or begin + length > len(buffer) or stride < size:
            raise ValueError("a buffer view lies outside of its buffer")
        if count and offset + stride * (count - 1) + size > length:
            raise ValueError("an accessor lies outside of its buffer view")
        shape, strides = (count, width), (stride, dtype.itemsize)
        return np.ndarray(shape, dtype, buffer, begin + offset, strides).copy() if count else np.zeros(shape, dtype)


def checked_index(value: Any) -> int:
    """An index of the document, which must not count from the end.

    Raises:
        ValueError: it is negative or no whole number.
    """
    if isinstance(value, bool) or not isinstance(value, int) or value < 0:
        raise ValueError(f"{value!r} is not an index")
    return value


def format_errors(path: Path) -> AbstractContextManager[None]:
    """Turns what a damaged document causes into one error, a FileFormatError with what is wrong."""
    return damage(path, "glTF 2.0 file", "Export the character again as .glb.")


def _read(path: Path) -> bytes:
    if not path.is_file():
        raise missing_file("there is no such character", path, "Give the path of a .glb or .gltf file.")
    try:
        if path.stat().st_size > _LARGEST_FILE:
            raise UserError(f"is larger than {_LARGEST_FILE >> 30} GB", path=path)
        return path.read_bytes()
    except OSError as error:
        raise UserError(f"cannot be read: {error.strerror}", path=path) from error


def _split(data: bytes, path: Path) -> tuple[dict[str, Any], bytes | None]:
    """The JSON document, and the binary chunk of a .glb."""
    binary = None
    text = data
    if data[:4] == struct.pack("<I", _MAGIC):
        _, version, length = struct.unpack_from("<III", data)
        if version != 2:
            raise FileFormatError(f"is glTF {version}, expected 2", path=path, hint="Export it as glTF 2.0.")
        if length > len(data):
            raise FileFormatError(
                f"is cut off: {len(data):,} of {length:,} bytes are there",
                path=path,
                hint="Copy or export it once more.",
            )
        chunks = dict(_chunks(data[:length]))
        text, binary = chunks[_JSON_CHUNK], chunks.get(_BINARY_CHUNK)
    document = json.loads(text.decode("utf-8-sig"))
    if not isinstance(document, dict) or "asset" not in document:
        raise ValueError("there is no 'asset' in it")
    return document, binary


def _chunks(data: bytes) -> Iterator[tuple[int, bytes]]:
    at = 12
    while at + 8 <= len(data):
        size, kind = struct.unpack_from("<II", data, at)
        if at + 8 + size > len(data):
            raise ValueError("a chunk is cut off")
        yield kind, data[at + 8 : at + 8 + size]
        at += 8 + size


def _buffer(entry: dict[str, Any], binary: bytes | None, path: Path) -> bytes:
    uri = entry.get("uri")
    if uri is None:
        if binary is None:
            raise ValueError("a buffer has no content")
        return binary
    if uri.startswith("data:"):
        try:
            return base64.b64decode(uri.partition(",")[2], validate=True)
        except binascii.Error as error:
            raise ValueError(f"a buffer is not base64: {error}") from error
    beside = path.parent / unquote(uri)
    if "://" in uri or not beside.resolve().is_relative_to(path.parent.resolve()):
        raise FileFormatError(
            f"its buffer {uri!r} lies elsewhere", path=path, hint="Export it as .glb, which is one file."
        )
    if not beside.is_file():
        raise missing_file("the buffer of a character is missing", beside, f"It belongs to {path.name}.")
    return beside.read_bytes()
