"""Prepares poses for the PCA: masks vertices, and stacks the kept frames of all shots as one matrix on disk."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from audio2face.errors import UserError
from audio2face.geometry.frames import PoseReader, blocks_of, read_frames
from audio2face.io.atomic import atomic_write
from audio2face.types import AnyArray, FloatArray, Int64Array


@dataclass(frozen=True)
class MaskedPoses:
    """A view of a shot with some of its vertices.

    Args:
        poses: the whole shot.
        vertices: `[verts]` indices of its vertices, as returned by `vertex_indices`.
    """

    poses: PoseReader
    vertices: Int64Array

    @property
    def num_frames(self) -> int:
        """Number of frames."""
        return self.poses.num_frames

    @property
    def num_verts(self) -> int:
        """Number of selected vertices."""
        return len(self.vertices)

    def read(self, start: int, stop: int, out: AnyArray | None = None) -> AnyArray:
        """Reads frames `start` up to `stop`, float32 `[stop - start, verts, 3]`."""
        chosen = self.poses.read(start, stop)[:, self.vertices]
        if out is None:
            return chosen
        out[: stop - start] = chosen
        return out[: stop - start]


def vertex_indices(mask: AnyArray, num_verts: int) -> Int64Array:
    """Returns increasing unique vertex indices from a list of indices or a boolean mask over all vertices.

    Args:
        mask: `[n]` integers from 0 to `num_verts - 1`, or `[num_verts]` booleans.
        num_verts: number of vertices of the mesh.

    Raises:
        UserError: another shape or type, an index outside the mesh, or no vertex selected.
    """
    hint = "Give vertex indices of the mesh that is pruned, or one boolean for each of its vertices."
    if mask.ndim != 1 or mask.dtype.kind not in "biu":
        raise UserError(f"a vertex mask of shape {mask.shape} and type {mask.dtype}; one row of integers", hint=hint)
    if mask.dtype.kind == "b":
        if len(mask) != num_verts:
            raise UserError(f"a vertex mask of {len(mask)} booleans for a mesh of {num_verts} vertices", hint=hint)
        mask = np.flatnonzero(mask)
    chosen = np.unique(mask)
    if not chosen.size:
        raise UserError("a vertex mask that selects no vertex", hint=hint)
    if chosen[0] < 0 or chosen[-1] >= num_verts:
        outside = chosen[0] if chosen[0] < 0 else chosen[-1]
        raise UserError(f"a vertex mask with index {outside} for a mesh of {num_verts} vertices", hint=hint)
    return chosen.astype(np.int64)


def stack_poses(shots: Mapping[str, PoseReader], frames: Mapping[str, Int64Array], path: Path) -> FloatArray:
    """Writes the selected frames of all shots, in order, as rows of one matrix, and maps it.

    Args:
        shots: readers with the same number of vertices; their order is the order of the rows.
        frames: increasing frame indices per shot; a missing shot adds no rows.
        path: the `.npy` file to write, `[rows, 3 * verts]` float32.

    Returns:
        The file as a read-only memory map, `[rows, 3 * verts]`.

    Raises:
        UserError: no frame is selected, or the file cannot be written.
        ValueError: the shots differ in their number of vertices.
    """
    num_rows = sum(len(frames.get(name, ())) for name in shots)
    widths = {3 * poses.num_verts for poses in shots.values()}
    if len(widths) != 1:
        raise ValueError(f"shots of {sorted(widths)} coordinates")
    if not num_rows:
        raise UserError("no pose is kept of any shot")
    width = widths.pop()
    header = {"descr": "<f4", "fortran_order": False, "shape": (num_rows, width)}
    with atomic_write(path) as handle:
        np.lib.format.write_array_header_1_0(handle, header)
        for name, poses in shots.items():
            for block in _blocks(poses, frames.get(name, np.empty(0, np.int64))):
                handle.write(block.astype("<f4", copy=False).data)
    rows: FloatArray = np.load(path, mmap_mode="r", allow_pickle=False)
    return rows


@dataclass(frozen=True)
class KeptPoses:
    """The selected frames of all shots as rows of one matrix, read from the shots each time.

    Args:
        shots: readers with the same number of vertices; their order is the order of the rows.
        frames: increasing frame indices per shot; a missing shot adds no rows.
    """

    shots: Mapping[str, PoseReader]
    frames: Mapping[str, Int64Array]

    def __len__(self) -> int:
        """Number of rows."""
        return sum(len(self.frames.get(name, ())) for name in self.shots)

    @property
    def num_coords(self) -> int:
        """Number of coordinates of each row."""
        return 3 * next(iter(self.shots.values())).num_verts

    def read(self, rows: Int64Array, out: FloatArray | None = None) -> FloatArray:
        """Reads rows of increasing number, float32 `[rows, coords]`, into the first rows of `out` if given."""
        found = np.empty((len(rows), self.num_coords), np.float32) if out is None else out[: len(rows)]
        first = 0
        for name, poses in self.shots.items():
            frames = self.frames.get(name, np.empty(0, np.int64))
            start, stop = np.searchsorted(rows, [first, first + len(frames)]).tolist()
            if stop > start:
                read_frames(poses, frames[rows[start:stop] - first], found[start:stop].reshape(stop - start, -1, 3))
            first += len(frames)
        return found


def frames_by_shot(rows: npt.ArrayLike, kept: Mapping[str, Int64Array]) -> dict[str, Int64Array]:
    """Maps rows of a stacked matrix to increasing frame indices of their shots, with an entry for every shot of `kept`.

    Args:
        rows: rows of the matrix that `stack_poses` returned for `kept`, in any order.
        kept: the frames that were stacked, shots in the same order.
    """
    chosen = np.unique(np.asarray(rows, np.int64))
    found, first = {}, 0
    for name, frames in kept.items():
        here = chosen[(chosen >= first) & (chosen < first + len(frames))]
        found[name] = frames[here - first]
        first += len(frames)
    return found


def _blocks(poses: PoseReader, frames: Int64Array) -> Iterator[AnyArray]:
    """Yields the frames in blocks."""
    for part in blocks_of(len(frames), poses.num_verts * 12):
        yield read_frames(poses, frames[part])
