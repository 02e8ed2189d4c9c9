"""Reads and writes the cache formats of one header and one block of numbers: .npy, .pc2 and .mdd.

- .npy: NumPy's own, `[frames, verts, 3]`, any float type, either order.
- .pc2 (little-endian): signature, version 1, vertices, start frame, samples per frame, samples; then float32 data.
- .mdd (big-endian): int32 frames, int32 vertices, float32 time of each frame in seconds; then float32 data.

A .pc2 counts frames at an unstated rate, so its frame rate and start time are unknown.
"""

from __future__ import annotations

import math
import mmap
import struct
import warnings
from io import BytesIO
from pathlib import Path
from typing import Any, cast

import numpy as np

from audio2face.errors import FileFormatError, reason_of
from audio2face.geometry.mapped_files import MappedArray, MappedFile
from audio2face.geometry.point_cache import Frames, FrameStream, PointCache, StridedFrames
from audio2face.io.atomic import atomic_write

_PC2_SIGNATURE = b"POINTCACHE2\0"
_PC2_HEADER = struct.Struct("<12siiffi")
_MDD_HEADER = struct.Struct(">ii")
_NPY_HEADER_LIMIT = 16_384  # bytes passed to NumPy's header parser, which itself accepts 10,000 characters


def open_npy(path: Path) -> PointCache:
    """Opens `[frames, verts, 3]` of float16, float32 or float64.

    Raises:
        FileFormatError: another array, or a file shorter than its header states.
    """
    array = map_npy(path)
    shape, dtype = array.shape, array.dtype
    if dtype.kind != "f" or dtype.itemsize > 8:
        hint = "Give all frames the same vertices, as one float32 array." if dtype.hasobject else "Save it as float32."
        raise FileFormatError(f"holds {dtype}; float32 or float64 expected", path=path, offset=0, hint=hint)
    if len(shape) != 3 or shape[2] != 3:
        hint = (
            "Save all frames of the shot as one array: numpy.save(path, numpy.stack(frames)), each frame [vertices, 3]."
        )
        raise FileFormatError(f"has shape {shape}; (frames, vertices, 3) expected", path=path, offset=0, hint=hint)
    odd = _check_length(array.file, array.offset, shape[0], shape[1], dtype.itemsize)
    return PointCache(path, shape[0], shape[1], dtype.newbyteorder("="), StridedFrames(array), warnings=odd)


def map_npy(path: Path) -> MappedArray:
    """Maps the array of a .npy file of any shape and type; its length is not checked.

    Raises:
        FileFormatError: the file is not a .npy file.
    """
    file = MappedFile.open(path)
    shape, fortran_order, dtype, offset = _npy_header(path, file.content())
    strides = None
    if fortran_order:
        strides = tuple(dtype.itemsize * math.prod(shape[:axis]) for axis in range(len(shape)))
    return MappedArray(file, dtype, shape, offset, strides)


def _npy_header(path: Path, mapped: mmap.mmap) -> tuple[tuple[int, ...], bool, np.dtype[Any], int]:
    """Reads shape, Fortran order, type and position of the data."""
    prefix = BytesIO(mapped[:_NPY_HEADER_LIMIT])
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # about headers of Python 2 and outdated type names
            version = np.lib.format.read_magic(prefix)
            if version not in ((1, 0), (2, 0)):
                raise ValueError(f"version {version} is not for plain arrays")
            parse = np.lib.format.read_array_header_1_0 if version == (1, 0) else np.lib.format.read_array_header_2_0
            shape, fortran_order, dtype = parse(prefix)
    # A damaged header makes NumPy's parser raise errors of many types, tokenizer and recursion errors among them.
    except Exception as error:
        raise FileFormatError(
            f"is not a .npy file: {reason_of(error)[:120]}", path=path, offset=prefix.tell()
        ) from error
    return tuple(int(length) for length in shape), bool(fortran_order), dtype, prefix.tell()


def open_pc2(path: Path) -> PointCache:
    """Opens a Point Cache 2 file.

    Raises:
        FileFormatError: a wrong signature, version or count, or a file shorter than its header states.
    """
    file = MappedFile.open(path)
    mapped = file.content()
    if len(mapped) < _PC2_HEADER.size:
        raise FileFormatError("ends inside the header", path=path, offset=len(mapped))
    signature, version, num_verts, _, _, num_frames = _PC2_HEADER.unpack_from(mapped)
    if signature != _PC2_SIGNATURE:
        raise FileFormatError("does not start with POINTCACHE2", path=path, offset=0)
    if version != 1:
        raise FileFormatError(f"has version {version}; 1 expected", path=path, offset=12)
    odd = _check_length(file, _PC2_HEADER.size, num_frames, num_verts, 4)
    frames = MappedArray(file, np.dtype("<f4"), (num_frames, num_verts, 3), _PC2_HEADER.size)
    return PointCache(path, num_frames, num_verts, np.dtype(np.float32), StridedFrames(frames), warnings=odd)


def open_mdd(path: Path) -> PointCache:
    """Opens an .mdd file; its frame rate follows from the times of its first and last frame.

    Raises:
        FileFormatError: a wrong count, or a file shorter than its header states.
    """
    file = MappedFile.open(path)
    mapped = file.content()
    if len(mapped) < _MDD_HEADER.size:
        raise FileFormatError("ends inside the header", path=path, offset=len(mapped))
    num_frames, num_verts = _MDD_HEADER.unpack_from(mapped)
    offset = _MDD_HEADER.size + 4 * max(num_frames, 0)
    odd = _check_length(file, offset, num_frames, num_verts, 4)
    with np.errstate(invalid="ignore"):  # the bits of a time may be those of a signalling NaN
        times = np.ndarray((num_frames,), ">f4", mapped, _MDD_HEADER.size).astype(np.float64)
    fps, uneven = _rate_of_times(times)
    frames = MappedArray(file, np.dtype(">f4"), (num_frames, num_verts, 3), offset)
    return PointCache(
        path,
        num_frames,
        num_verts,
        np.dtype(np.float32),
        StridedFrames(frames),
        fps=fps,
        start_time=float(times[0]) if np.isfinite(times[0]) else None,
        warnings=odd + uneven,
    )


def _rate_of_times(times: np.ndarray[Any, np.dtype[np.float64]]) -> tuple[float | None, tuple[str, ...]]:
    """Returns the frames per second of evenly spaced times, and a warning where they are uneven."""
    if len(times) < 2:
        return None, ()
    span = float(times[-1] - times[0])
    if not (np.isfinite(times).all() and span > 0):
        return None, ("the times of the frames do not increase",)
    even = np.linspace(times[0], times[-1], len(times))
    uneven = float(np.abs(times - even).max()) > 0.01 * span / (len(times) - 1) + 1e-6 * float(np.abs(times).max())
    return (len(times) - 1) / span, ("the frames are not evenly spaced in time",) if uneven else ()


def _check_length(file: MappedFile, offset: int, num_frames: int, num_verts: int, itemsize: int) -> tuple[str, ...]:
    """Refuses counts that exceed the file; returns a warning where the file is longer."""
    if num_frames < 1 or num_verts < 1:
        raise FileFormatError(
            f"announces {num_frames} frames of {num_verts} vertices; both must be at least 1",
            path=file.path,
            offset=0,
            hint="The export was empty: select the mesh and the range of frames, and export it.",
        )
    surplus = file.size - offset - num_frames * num_verts * 3 * itemsize
    if surplus < 0:
        raise FileFormatError(
            f"announces {num_frames} frames of {num_verts} vertices and is {-surplus} bytes too short for them",
            path=file.path,
            offset=file.size,
            hint="The file was cut or its header is damaged: export it again.",
        )
    return (f"{surplus} bytes follow the last frame",) if surplus else ()


def write_npy(
    path: Path, frames: Frames, *, num_frames: int | None = None, num_verts: int | None = None, double: bool = False
) -> None:
    """Writes a little-endian, C-ordered .npy cache of float32, or of float64 if `double`."""
    stream = FrameStream.create(frames, num_frames, num_verts)
    dtype = np.dtype("<f8" if double else "<f4")
    shape = (stream.num_frames, stream.num_verts, 3)
    with atomic_write(path) as handle:
        header = {"descr": np.lib.format.dtype_to_descr(dtype), "fortran_order": False, "shape": shape}
        np.lib.format.write_array_header_1_0(handle, cast(Any, header))
        for block in stream.blocks(dtype):
            handle.write(block.tobytes())


def write_pc2(
    path: Path,
    frames: Frames,
    *,
    fps: float,
    num_frames: int | None = None,
    num_verts: int | None = None,
    start_time: float = 0.0,
) -> None:
    """Writes a .pc2 cache with one sample per frame."""
    stream = FrameStream.create(frames, num_frames, num_verts)
    header = (_PC2_SIGNATURE, 1, stream.num_verts, start_time * fps, 1.0, stream.num_frames)
    with atomic_write(path) as handle:
        handle.write(_PC2_HEADER.pack(*header))
        for block in stream.blocks(np.dtype("<f4")):
            handle.write(block.tobytes())


def write_mdd(
    path: Path,
    frames: Frames,
    *,
    fps: float,
    num_frames: int | None = None,
    num_verts: int | None = None,
    start_time: float = 0.0,
) -> None:
    """Writes an .mdd cache."""
    stream = FrameStream.create(frames, num_frames, num_verts)
    times = start_time + np.arange(stream.num_frames) / fps
    with atomic_write(path) as handle:
        handle.write(_MDD_HEADER.pack(stream.num_frames, stream.num_verts))
        handle.write(times.astype(">f4").tobytes())
        for block in stream.blocks(np.dtype(">f4")):
            handle.write(block.tobytes())
