"""Inner products and squared norms of many poses, on the CPU or on a GPU, whichever is faster.

Poses are float32. Products are float64, or float32 of some thousand coordinates that are summed in float64; both
backends agree up to rounding. The CPU converts pieces that stay in its cache: an array of all poses in float64 would
take longer to write than to multiply.
"""

from __future__ import annotations

import ctypes
import functools
import time
from contextlib import suppress
from typing import Any, Protocol

import numpy as np

from audio2face.console import LOGGER
from audio2face.geometry.frames import blocks_of
from audio2face.types import Float32Array, FloatArray

_PIECE_ROWS, _PIECE_COORDS = 64, 2048  # of the poses that are converted at a time: 1 MB in float64
# The benchmark of the two backends: a block of poses, and as many anchors as one pass of the selection has.
_TRIAL_ANCHORS, _TRIAL_ROWS, _TRIAL_COORDS = 64, 256, 32_768


class MatmulBackend(Protocol):
    """A backend for products."""

    @property
    def name(self) -> str:
        """Name of the backend, for messages."""

    def single(self, rows: Float32Array) -> Any:
        """Returns rows for `against`, whose products with them may be made in float32, and are summed in float64."""

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
            anchors: poses from `centred`, or rows from `single`, `[anchors, coords]`.
            rows: `[rows, coords]` float32.
            centre: `[coords]` float64, with `single` of values that float32 holds.
            norms: receives the squared norms of the poses minus the centre, float64 `[rows]`; None to skip them.
        """


class NumpyBackend:
    """Products by NumPy, in several threads where that is faster."""

    name = "processor"

    def single(self, rows: Float32Array) -> Any:
        """Implements `MatmulBackend.single`."""
        return rows

    def centred(self, rows: FloatArray, centre: FloatArray) -> Any:
        """Implements `MatmulBackend.centred`."""
        return rows - centre

    def against(
        self, anchors: Any, rows: FloatArray, centre: FloatArray, norms: FloatArray | None = None
    ) -> FloatArray:
        """Implements `MatmulBackend.against`."""
        inner, squared = np.zeros((len(anchors), len(rows))), np.zeros(len(rows))
        buffer = np.empty(_PIECE_ROWS * _PIECE_COORDS, anchors.dtype)
        middle = centre.astype(anchors.dtype)
        for cut in blocks_of(len(centre), 1, _PIECE_COORDS):
            some = anchors[:, cut]  # stay in the cache while all rows pass
            for part in blocks_of(len(rows), 1, _PIECE_ROWS):
                values = rows[part, cut]
                piece = buffer[: values.size].reshape(values.shape)
                np.subtract(values, middle[cut], out=piece)
                inner[:, part] += some @ piece.T
                if norms is not None:
                    squared[part] += np.einsum("ij,ij->i", piece, piece)
        if norms is not None:
            norms[...] = squared
        return inner


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

    def single(self, rows: Float32Array) -> Any:
        """Implements `MatmulBackend.single`, in float64: sums of float32 on a device are too coarse."""
        return self._to_device(rows)

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

    def _to_device(self, values: FloatArray) -> Any:
        return self._torch.tensor(np.ascontiguousarray(values)).to(self._device).double()


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
