"""Products of many poses in float64, where they are made fastest: on the processors, or on a GPU that is good at it.

Pruning and selection spend nearly all their time in three products, which a GPU may take over: inner products of poses,
squared lengths, and what poses have in common with the components of a PCA. Both ways of making them give the same up
to rounding. Knows matrices; does not know what they mean.
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
from audio2face.geometry.pose_reader import blocks_of, in_threads
from audio2face.types import FloatArray

_SCORE_BYTES = 4 << 20
_TABLE_BYTES = 256 << 20  # of columns in memory: 787 of them for 42,000 poses
# What the two ways are compared on: a block of poses, and as many anchors as a pass of the selection has.
_TRIAL_ANCHORS, _TRIAL_ROWS, _TRIAL_COORDS = 64, 256, 32_768


class ColumnTable(Protocol):
    """Columns of inner products, one for each chosen pose, that grow one by one."""

    def set(self, index: int, column: FloatArray) -> None:
        """Keeps a column `[poses]` at a place; an earlier one there is forgotten."""

    def sum(self, count: int) -> FloatArray:
        """The sum of the first `count` columns, `[poses]`."""

    def squared_scores(self, weights: FloatArray, offsets: FloatArray) -> FloatArray:
        """Squared lengths of `weights^T columns - offsets`, of the first columns.

        Args:
            weights: `[columns, components]`.
            offsets: `[components]`.

        Returns:
            float64 `[poses]`.
        """


class MatmulBackend(Protocol):
    """A way of making products."""

    @property
    def name(self) -> str:
        """What makes them, for people."""

    def centred(self, rows: FloatArray, centre: FloatArray) -> Any:
        """Poses less a centre in float64, where the products are made; for the methods below alone.

        Args:
            rows: `[rows, coords]` float32.
            centre: `[coords]` float64.
        """

    def inner(self, left: Any, right: Any) -> FloatArray:
        """Inner products of centred poses, float64 `[left, right]`."""

    def squared_norms(self, rows: Any) -> FloatArray:
        """Squared lengths of centred poses, float64 `[rows]`."""

    def table(self, capacity: int, num_poses: int, scratch: Path | None = None) -> ColumnTable:
        """Room for so many columns of so many poses.

        Args:
            capacity: the most columns.
            num_poses: their length.
            scratch: a folder; a large table lies in a file without a name there, not in memory.
        """


class NumpyBackend:
    """Products by NumPy, spread over threads where it is known to pay."""

    name = "processor"

    def centred(self, rows: FloatArray, centre: FloatArray) -> Any:
        """See `MatmulBackend.centred`."""
        return rows - centre

    def inner(self, left: Any, right: Any) -> FloatArray:
        """See `MatmulBackend.inner`."""
        return np.asarray(left @ right.T)

    def squared_norms(self, rows: Any) -> FloatArray:
        """See `MatmulBackend.squared_norms`."""
        return np.asarray(np.einsum("ij,ij->i", rows, rows))

    def table(self, capacity: int, num_poses: int, scratch: Path | None = None) -> ColumnTable:
        """See `MatmulBackend.table`."""
        return _ProcessorTable(capacity, num_poses, scratch)


class _ProcessorTable:
    def __init__(self, capacity: int, num_poses: int, scratch: Path | None) -> None:
        self._columns = _room((capacity, num_poses), scratch)

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


def _room(shape: tuple[int, int], scratch: Path | None) -> FloatArray:
    """An array to be filled, in a file where it would take much memory and a folder is given."""
    if scratch is None or math.prod(shape) * 8 <= _TABLE_BYTES:
        return np.empty(shape)
    try:
        with tempfile.TemporaryFile(prefix=".columns.", dir=scratch) as file:
            file.truncate(math.prod(shape) * 8)
            if hasattr(os, "posix_fallocate"):  # a disk that is full is told of now, not by a signal later
                os.posix_fallocate(file.fileno(), 0, math.prod(shape) * 8)
            return np.memmap(file, np.float64, "r+", shape=shape)
    except OSError as error:
        raise UserError(
            f"cannot be written to: {error.strerror or error}", path=scratch, hint="Check free disk space."
        ) from error


class TorchBackend:
    """Products by PyTorch on one device; poses travel there as float32, half of what they take afterwards.

    Args:
        device: of PyTorch, such as "cuda"; it must know float64.
    """

    def __init__(self, device: str) -> None:
        import torch  # only where a GPU is: it takes seconds and memory that preprocessing does not need otherwise

        self._torch = torch
        self._device = torch.device(device)
        self.name = torch.cuda.get_device_name(self._device) if self._device.type == "cuda" else device

    def centred(self, rows: FloatArray, centre: FloatArray) -> Any:
        """See `MatmulBackend.centred`."""
        return self._moved(rows) - self._moved(centre)

    def inner(self, left: Any, right: Any) -> FloatArray:
        """See `MatmulBackend.inner`."""
        return _back(left @ right.T)

    def squared_norms(self, rows: Any) -> FloatArray:
        """See `MatmulBackend.squared_norms`."""
        return _back(rows.square().sum(dim=1))

    def table(self, capacity: int, num_poses: int, scratch: Path | None = None) -> ColumnTable:
        """See `MatmulBackend.table`; it lies on the device."""
        return _TorchTable(self._torch.empty(capacity, num_poses, dtype=self._torch.float64, device=self._device))

    def _moved(self, values: FloatArray) -> Any:
        return self._torch.tensor(np.ascontiguousarray(values)).to(self._device).double()


class _TorchTable:
    def __init__(self, columns: Any) -> None:
        self._columns = columns

    def set(self, index: int, column: FloatArray) -> None:
        self._columns[index] = self._columns.new_tensor(column)

    def sum(self, count: int) -> FloatArray:
        return _back(self._columns[:count].sum(dim=0))

    def squared_scores(self, weights: FloatArray, offsets: FloatArray) -> FloatArray:
        moved = self._columns.new_tensor(np.ascontiguousarray(weights.T))
        scores = moved @ self._columns[: len(weights)]
        scores -= self._columns.new_tensor(offsets)[:, None]
        return _back(scores.square_().sum(dim=0))


@functools.cache
def fastest_backend() -> MatmulBackend:
    """The fastest way of making products here: both are tried once where there is a GPU.

    Many GPUs calculate in float64 no faster than a processor, so that being there is not enough.
    """
    processor = NumpyBackend()
    if not _has_cuda_driver():
        return processor
    try:
        gpu = TorchBackend("cuda")
        seconds = [_trial_seconds(way) for way in (processor, gpu)]
    except (ImportError, RuntimeError, AssertionError) as error:  # a PyTorch without CUDA, or a GPU that is taken
        LOGGER.info("preprocessing does not use the GPU: %s", str(error).splitlines()[0])
        return processor
    fastest = gpu if seconds[1] < seconds[0] else processor
    LOGGER.info(
        "products of poses on %s: a trial takes %.1f ms on the processor, %.1f ms on %s",
        fastest.name,
        *(1000 * taken for taken in seconds),
        gpu.name,
    )
    return fastest


def _has_cuda_driver() -> bool:
    """Whether a driver of NVIDIA is installed; costs nothing, unlike asking PyTorch."""
    with suppress(OSError):
        ctypes.CDLL("libcuda.so.1")
        return True
    return False


def _trial_seconds(way: MatmulBackend) -> float:
    """What a typical product takes, the better of two after one that warms up."""
    rows = np.ones((_TRIAL_ROWS, _TRIAL_COORDS), np.float32)
    centre = np.zeros(_TRIAL_COORDS)
    anchors = way.centred(rows[:_TRIAL_ANCHORS], centre)
    taken = []
    for _ in range(3):
        began = time.perf_counter()
        way.inner(anchors, way.centred(rows, centre))
        taken.append(time.perf_counter() - began)
    return min(taken[1:])


def _back(values: Any) -> FloatArray:
    array: FloatArray = values.cpu().numpy()
    return array
