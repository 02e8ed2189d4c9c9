"""Matrix products of many poses in float64, on the CPU or on a GPU, whichever is faster.

Pruning and selection spend nearly all their time in three products: inner products of poses, squared norms, and scores
of poses on the components of a PCA. Both backends agree up to rounding.

Poses are float32 and products float64. The CPU converts pieces that stay in its cache: an array of all poses in float64
would take longer to write than to multiply.
"""

from __future__ import annotations

import ctypes
import functools
import math
import os
import tempfile
import time
from contextlib import suppress
from pathlib import Path
from typing import Any, Protocol

import numpy as np

from audio2face.console import LOGGER
from audio2face.errors import UserError
from audio2face.geometry.frames import blocks_of, in_threads
from audio2face.types import FloatArray

_SCORE_BYTES = 4 << 20
_PIECE_ROWS, _PIECE_COORDS = 64, 2048  # of the poses that are converted at a time: 1 MB in float64
_TABLE_BYTES = 256 << 20  # of columns in memory: 787 of them for 42,000 poses
# The benchmark of the two backends: a block of poses, and as many anchors as one pass of the selection has.
_TRIAL_ANCHORS, _TRIAL_ROWS, _TRIAL_COORDS = 64, 256, 32_768


class ColumnTable(Protocol):
    """Columns of inner products, one for each selected pose, appended one by one."""

    def set(self, index: int, column: FloatArray) -> None:
        """Stores a column `[poses]` at an index, replacing an earlier one."""

    def sum(self, count: int) -> FloatArray:
        """Returns the sum of the first `count` columns, `[poses]`."""

    def squared_scores(self, weights: FloatArray, offsets: FloatArray) -> FloatArray:
        """Returns the squared norms of `weights^T columns - offsets`, of the first columns.

        Args:
            weights: `[columns, components]`.
            offsets: `[components]`.

        Returns:
            float64 `[poses]`.
        """


class MatmulBackend(Protocol):
    """A backend for products."""

    @property
    def name(self) -> str:
        """Name of the backend, for messages."""

    def centred(self, rows: FloatArray, centre: FloatArray) -> Any:
        """Returns poses minus a centre in float64, on the backend's device; for `against`.

        Args:
            rows: `[rows, coords]` float32.
            centre: `[coords]` float64.
        """

    def against(
        self, anchors: Any, rows: FloatArray, centre: FloatArray, norms: FloatArray | None = None
    ) -> FloatArray:
        """Returns inner products of poses with anchors, all minus a centre, float64 `[anchors, rows]`.

        Args:
            anchors: poses from `centred`, `[anchors, coords]`.
            rows: `[rows, coords]` float32.
            centre: `[coords]` float64.
            norms: receives the squared norms of the poses minus the centre, float64 `[rows]`; None to skip them.
        """

    def table(self, capacity: int, num_poses: int, scratch: Path | None = None) -> ColumnTable:
        """Allocates a table of columns.

        Args:
            capacity: maximum number of columns.
            num_poses: length of a column.
            scratch: folder for an unnamed temporary file that holds a large table; None to keep it in memory.
        """


class NumpyBackend:
    """Products by NumPy, in several threads where that is faster."""

    name = "processor"

    def centred(self, rows: FloatArray, centre: FloatArray) -> Any:
        """Implements `MatmulBackend.centred`."""
        return rows - centre

    def against(
        self, anchors: Any, rows: FloatArray, centre: FloatArray, norms: FloatArray | None = None
    ) -> FloatArray:
        """Implements `MatmulBackend.against`."""
        inner, squared = np.zeros((len(anchors), len(rows))), np.zeros(len(rows))
        buffer = np.empty(_PIECE_ROWS * _PIECE_COORDS)
        for cut in blocks_of(len(centre), 1, _PIECE_COORDS):
            some = anchors[:, cut]  # stay in the cache while all rows pass
            for part in blocks_of(len(rows), 1, _PIECE_ROWS):
                values = rows[part, cut]
                piece = buffer[: values.size].reshape(values.shape)
                np.copyto(piece, values)
                piece -= centre[cut]
                inner[:, part] += some @ piece.T
                if norms is not None:
                    squared[part] += np.einsum("ij,ij->i", piece, piece)
        if norms is not None:
            norms[...] = squared
        return inner

    def table(self, capacity: int, num_poses: int, scratch: Path | None = None) -> ColumnTable:
        """Implements `MatmulBackend.table`."""
        return _NumpyTable(capacity, num_poses, scratch)


class _NumpyTable:
    def __init__(self, capacity: int, num_poses: int, scratch: Path | None) -> None:
        self._columns = _allocate((capacity, num_poses), scratch)

    def set(self, index: int, column: FloatArray) -> None:
        self._columns[index] = column

    def sum(self, count: int) -> FloatArray:
        return np.asarray(self._columns[:count].sum(axis=0))

    def squared_scores(self, weights: FloatArray, offsets: FloatArray) -> FloatArray:
        columns = self._columns[: len(weights)]
        squared = np.empty(columns.shape[1])

        def fill(part: slice) -> None:
            scores = weights.T @ columns[:, part] - offsets[:, None]
            np.einsum("ij,ij->j", scores, scores, out=squared[part])

        in_threads(fill, blocks_of(len(squared), weights.shape[1] * 8, _SCORE_BYTES))
        return squared


def _allocate(shape: tuple[int, int], scratch: Path | None) -> FloatArray:
    """Allocates an array; in a file if it is large and a folder is given."""
    if scratch is None or math.prod(shape) * 8 <= _TABLE_BYTES:
        return np.empty(shape)
    try:
        with tempfile.TemporaryFile(prefix=".columns.", dir=scratch) as file:
            file.truncate(math.prod(shape) * 8)
            if hasattr(os, "posix_fallocate"):  # reports a full disk now, instead of by a signal later
                os.posix_fallocate(file.fileno(), 0, math.prod(shape) * 8)
            return np.memmap(file, np.float64, "r+", shape=shape)
    except OSError as error:
        raise UserError(
            f"cannot be written to: {error.strerror or error}", path=scratch, hint="Check free disk space."
        ) from error


class TorchBackend:
    """Products by PyTorch on one device; poses are transferred as float32, half the size of float64.

    Args:
        device: PyTorch device with float64 support, such as "cuda".
    """

    def __init__(self, device: str) -> None:
        import torch  # only with a GPU: it takes seconds and memory that preprocessing otherwise saves

        self._torch = torch
        self._device = torch.device(device)
        self.name = torch.cuda.get_device_name(self._device) if self._device.type == "cuda" else device

    def centred(self, rows: FloatArray, centre: FloatArray) -> Any:
        """Implements `MatmulBackend.centred`."""
        return self._to_device(rows) - self._to_device(centre)

    def against(
        self, anchors: Any, rows: FloatArray, centre: FloatArray, norms: FloatArray | None = None
    ) -> FloatArray:
        """Implements `MatmulBackend.against`."""
        moved = self.centred(rows, centre)
        if norms is not None:
            norms[...] = _to_numpy(moved.square().sum(dim=1))
        return _to_numpy(anchors @ moved.T)

    def table(self, capacity: int, num_poses: int, scratch: Path | None = None) -> ColumnTable:
        """Implements `MatmulBackend.table`; the table is on the device."""
        return _TorchTable(self._torch.empty(capacity, num_poses, dtype=self._torch.float64, device=self._device))

    def _to_device(self, values: FloatArray) -> Any:
        return self._torch.tensor(np.ascontiguousarray(values)).to(self._device).double()


class _TorchTable:
    def __init__(self, columns: Any) -> None:
        self._columns = columns

    def set(self, index: int, column: FloatArray) -> None:
        self._columns[index] = self._columns.new_tensor(column)

    def sum(self, count: int) -> FloatArray:
        return _to_numpy(self._columns[:count].sum(dim=0))

    def squared_scores(self, weights: FloatArray, offsets: FloatArray) -> FloatArray:
        moved = self._columns.new_tensor(np.ascontiguousarray(weights.T))
        scores = moved @ self._columns[: len(weights)]
        scores -= self._columns.new_tensor(offsets)[:, None]
        return _to_numpy(scores.square_().sum(dim=0))


@functools.cache
def fastest_backend() -> MatmulBackend:
    """Selects the faster backend; with a GPU both are timed once.

    Many GPUs compute in float64 no faster than a CPU.
    """
    processor = NumpyBackend()
    if not _has_cuda_driver():
        return processor
    try:
        gpu = TorchBackend("cuda")
        seconds = [_trial_seconds(way) for way in (processor, gpu)]
    except (ImportError, RuntimeError, AssertionError) as error:  # a PyTorch without CUDA, or a GPU in use
        LOGGER.info("preprocessing does not use the GPU: %s", str(error).splitlines()[0])
        return processor
    fastest = gpu if seconds[1] < seconds[0] else processor
    LOGGER.info(
        "products of poses on %s: a trial takes %.1f ms on the CPU, %.1f ms on %s",
        fastest.name,
        *(1000 * taken for taken in seconds),
        gpu.name,
    )
    return fastest


def _has_cuda_driver() -> bool:
    """Checks for an NVIDIA driver, which is much faster than loading PyTorch."""
    with suppress(OSError):
        ctypes.CDLL("libcuda.so.1")
        return True
    return False


def _trial_seconds(way: MatmulBackend) -> float:
    """Times a typical product: the better of two runs after a warm-up."""
    rows = np.ones((_TRIAL_ROWS, _TRIAL_COORDS), np.float32)
    centre = np.zeros(_TRIAL_COORDS)
    anchors = way.centred(rows[:_TRIAL_ANCHORS], centre)
    taken = []
    for _ in range(3):
        began = time.perf_counter()
        way.against(anchors, rows, centre)
        taken.append(time.perf_counter() - began)
    return min(taken[1:])


def _to_numpy(values: Any) -> FloatArray:
    array: FloatArray = values.cpu().numpy()
    return array
