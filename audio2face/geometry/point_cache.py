"""Defines the common view of all animation caches: frames of vertices, copied in blocks on demand.

Frames come from an array, a mapped file, or one file per frame.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol, overload

import numpy as np
import numpy.typing as npt

from audio2face.errors import FileFormatError
from audio2face.geometry.mapped_files import MappedArray, unreadable
from audio2face.types import AnyArray, Int64Array

BLOCK_FRAMES = 64  # frames per block: 18 MB of float32 at 24,000 vertices


class FrameSource(Protocol):
    """Source of the frames of a cache."""

    def copy_frames(self, start: int, stop: int, out: AnyArray) -> None:
        """Casts frames `start` to `stop` (checked by the caller) into `out` `[stop - start, verts, 3]`."""


@dataclass(frozen=True, eq=False)
class StridedFrames:
    """Equally spaced frames in one array, in memory or in a file.

    Args:
        array: `[frames, verts, 3]`, any float type, byte order and strides.
    """

    array: AnyArray | MappedArray

    def copy_frames(self, start: int, stop: int, out: AnyArray) -> None:
        view = self.array.view if isinstance(self.array, MappedArray) else self.array
        # A float64 beyond the range of float32 becomes infinite; checks of values find it there.
        with np.errstate(over="ignore", invalid="ignore"):
            np.copyto(out, view[start:stop], casting="unsafe")


@dataclass(frozen=True, eq=False)
class ScatteredFrames:
    """Frames at arbitrary positions of any files.

    Args:
        paths: the file of each frame.
        offsets: position of each frame in its file, in bytes.
        dtype: type of the stored numbers.
    """

    paths: Sequence[Path]
    offsets: Int64Array
    dtype: np.dtype[Any]

    def copy_frames(self, start: int, stop: int, out: AnyArray) -> None:
        values = out[0].size if len(out) else 0
        for row, frame in enumerate(range(start, stop)):
            path, offset = self.paths[frame], int(self.offsets[frame])
            try:
                stored = np.fromfile(path, self.dtype, values, offset=offset)
            except OSError as error:
                raise unreadable(path, error) from error
            if stored.size != values:
                raise FileFormatError("was truncated while it was in use", path=path, offset=offset)
            with np.errstate(over="ignore", invalid="ignore"):
                np.copyto(out[row], stored.reshape(out.shape[1:]), casting="unsafe")


@dataclass(frozen=True, eq=False)
class PointCache:
    """Vertex positions over time, `[frames, verts, 3]`, read lazily; the units are those of the file.

    Between reads only the most recently used files stay open.

    Attributes:
        path: the file that was opened.
        num_frames: number of frames, at least 1.
        num_verts: number of vertices of every frame, at least 1.
        dtype: type of the numbers in the file, in native byte order.
        source: source of the frames.
        fps: frames per second; None in formats without it.
        start_time: time of frame 0 in seconds; None in formats without it.
        channel: name of the selected channel; None in formats without channels.
        warnings: anomalies of the file; its frames are usable.
    """

    path: Path
    num_frames: int
    num_verts: int
    dtype: np.dtype[Any]
    source: FrameSource
    fps: float | None = None
    start_time: float | None = None
    channel: str | None = None
    warnings: tuple[str, ...] = ()

    @property
    def shape(self) -> tuple[int, int, int]:
        """`(frames, verts, 3)`."""
        return self.num_frames, self.num_verts, 3

    @property
    def nbytes(self) -> int:
        """Size of all frames as float32, in bytes."""
        return self.num_frames * self.num_verts * 12

    def __len__(self) -> int:
        return self.num_frames

    def read(self, start: int, stop: int, out: AnyArray | None = None) -> AnyArray:
        """Reads frames `start` up to, not including, `stop`; touches only their bytes.

        Args:
            start: first frame.
            stop: frame after the last.
            out: buffer `[at least stop - start, verts, 3]`, float32 or float64; by default a new float32 array.

        Returns:
            `[stop - start, verts, 3]`, a view of `out` if given.

        Raises:
            IndexError: the range exceeds the cache.
            ValueError: `out` has another shape or type.
        """
        if not 0 <= start <= stop <= self.num_frames:
            raise IndexError(f"frames {start} to {stop} of a cache of {self.num_frames} frames")
        if out is None:
            out = np.empty((stop - start, self.num_verts, 3), np.float32)
        if out.ndim != 3 or out.shape[1:] != (self.num_verts, 3) or len(out) < stop - start:
            raise ValueError(f"buffer {out.shape} does not hold {(stop - start, self.num_verts, 3)}")
        if out.dtype not in (np.float32, np.float64):
            raise ValueError(f"buffer of {out.dtype}; float32 or float64 expected")
        part = out[: stop - start]
        self.source.copy_frames(start, stop, part)
        return part

    def blocks(self, size: int = BLOCK_FRAMES) -> Iterator[AnyArray]:
        """Yields all frames in order, in new float32 arrays `[up to size, verts, 3]`."""
        for start in range(0, self.num_frames, size):
            yield self.read(start, min(start + size, self.num_frames))

    @overload
    def __getitem__(self, frames: int) -> AnyArray: ...

    @overload
    def __getitem__(self, frames: slice | Sequence[int] | npt.NDArray[np.integer[Any]]) -> AnyArray: ...

    def __getitem__(self, frames: int | slice | Sequence[int] | npt.NDArray[np.integer[Any]]) -> AnyArray:
        """Returns one frame `[verts, 3]` or the frames of a slice or list of indices `[n, verts, 3]`, float32.

        Raises:
            IndexError: a frame is outside the cache; negative indices count from the end.
        """
        if isinstance(frames, int | np.integer):
            frame: AnyArray = self._read_frames([int(frames)])[0]
            return frame
        if isinstance(frames, slice):
            chosen = range(*frames.indices(self.num_frames))
            return (
                self.read(chosen.start, max(chosen.start, chosen.stop))
                if chosen.step == 1
                else self._read_frames(chosen)
            )
        return self._read_frames([int(frame) for frame in frames])

    def _read_frames(self, frames: Sequence[int]) -> AnyArray:
        out = np.empty((len(frames), self.num_verts, 3), np.float32)
        for row, frame in enumerate(frames):
            index = frame + self.num_frames if frame < 0 else frame
            self.read(index, index + 1, out[row : row + 1])
        return out


Frames = AnyArray | Iterable[AnyArray]


@dataclass(frozen=True)
class FrameStream:
    """Frames `[num_frames, num_verts, 3]` that are processed block by block."""

    num_frames: int
    num_verts: int
    source: Iterable[AnyArray]

    @classmethod
    def create(cls, frames: Frames, num_frames: int | None, num_verts: int | None) -> FrameStream:
        """Creates a stream over an array `[frames, verts, 3]`, or over blocks `[n, verts, 3]` with given totals.

        Raises:
            ValueError: the totals are missing, below 1, or differ from the array's.
        """
        if isinstance(frames, np.ndarray):
            if frames.ndim != 3 or frames.shape[2] != 3:
                raise ValueError(f"frames of shape {frames.shape}; [frames, verts, 3] expected")
            if num_frames not in (None, frames.shape[0]) or num_verts not in (None, frames.shape[1]):
                raise ValueError(f"array {frames.shape}, but {num_frames} frames of {num_verts} vertices expected")
            num_frames, num_verts = frames.shape[:2]
            frames = [frames]
        if num_frames is None or num_verts is None or min(num_frames, num_verts) < 1:
            raise ValueError(f"{num_frames} frames of {num_verts} vertices; both must be known and at least 1")
        return cls(num_frames, num_verts, frames)

    def blocks(self, dtype: np.dtype[Any]) -> Iterator[AnyArray]:
        """Yields C-ordered blocks `[up to BLOCK_FRAMES, num_verts, 3]` of `dtype`.

        Raises:
            ValueError: a block of another shape or not of floats, or another total number of frames.
        """
        passed = 0
        for block in self.source:
            if block.ndim != 3 or block.shape[1:] != (self.num_verts, 3) or block.dtype.kind != "f":
                raise ValueError(f"block {block.shape} of {block.dtype}; floats [n, {self.num_verts}, 3] expected")
            passed += len(block)
            if passed > self.num_frames:
                break
            for start in range(0, len(block), BLOCK_FRAMES):
                with np.errstate(over="ignore", invalid="ignore"):
                    converted = np.ascontiguousarray(block[start : start + BLOCK_FRAMES], dtype=dtype)
                yield converted
        if passed != self.num_frames:
            raise ValueError(f"{passed} frames given, {self.num_frames} expected")
