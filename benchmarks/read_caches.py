"""How fast animation caches are read, beside a plain .npy and a reader that takes element by element.

    .venv/bin/python -m benchmarks.read_caches [--gigabytes 1] [--verts 24002] [--folder FOLDER]

Writes a float32 .mc (and .npy, .pc2, .mdd, .mcx, and a float64 .mc of the same number of frames) of random vertices,
reads each once into the page cache, then times reading it in blocks of 64 frames into one preallocated float32
array. The first row is the yardstick: the same numbers from .npy through numpy.load and a memory map. The last row
reads the .mc with the standard library's array module, frame by frame and with a byte swap. Files are deleted.
"""

from __future__ import annotations

import argparse
import array
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping
from functools import partial
from pathlib import Path

import numpy as np
import numpy.typing as npt
from rich.console import Console
from rich.table import Table

from audio2face.geometry import BLOCK_FRAMES, open_cache, write_cache, write_maya

TARGET = 0.6  # of the rate of .npy, for .mc
YARDSTICK = ".npy, numpy.load"
Buffer = npt.NDArray[np.float32]


def random_blocks(num_frames: int, num_verts: int) -> Iterator[Buffer]:
    """The same block again and again, with another last block where the number of frames asks for it."""
    block = np.random.default_rng(0).standard_normal((BLOCK_FRAMES, num_verts, 3), dtype=np.float32)
    for start in range(0, num_frames, BLOCK_FRAMES):
        yield block[: num_frames - start]


def read_ours(path: Path, buffer: Buffer) -> None:
    """Our way, opening included."""
    cache = open_cache(path)
    for start in range(0, cache.num_frames, BLOCK_FRAMES):
        cache.read(start, min(start + BLOCK_FRAMES, cache.num_frames), buffer)


def read_npy(path: Path, buffer: Buffer) -> None:
    """The yardstick."""
    stored = np.load(path, mmap_mode="r")
    for start in range(0, len(stored), BLOCK_FRAMES):
        part = stored[start : start + BLOCK_FRAMES]
        np.copyto(buffer[: len(part)], part)


def read_elementwise(path: Path, num_frames: int, num_verts: int, buffer: Buffer) -> None:
    """The plain way: per frame one array of the standard library, swapped, then converted."""
    with path.open("rb") as handle:
        handle.seek(48)
        lead = (path.stat().st_size - 48) // num_frames - 12 * num_verts
        for frame in range(num_frames):
            handle.seek(lead, 1)
            values = array.array("f")
            values.fromfile(handle, 3 * num_verts)
            values.byteswap()
            buffer[frame % BLOCK_FRAMES] = np.array(values, np.float32).reshape(num_verts, 3)


def best_times(readers: Mapping[str, Callable[[], None]], rounds: int) -> dict[str, float]:
    """Seconds of the fastest round of each reader, taking turns, after one round that warms the cache."""
    best = dict.fromkeys(readers, float("inf"))
    for turn in range(rounds + 1):
        for name, read in readers.items():
            began = time.perf_counter()
            read()
            if turn:
                best[name] = min(best[name], time.perf_counter() - began)
    return best


def measure(folder: Path, num_frames: int, num_verts: int, rounds: int) -> dict[str, float]:
    """Name and seconds of every reader; at most two files are on disk at a time."""
    buffer = np.empty((BLOCK_FRAMES, num_verts, 3), np.float32)
    npy, xml = folder / "a.npy", folder / "a.xml"

    def write(path: Path, double: bool = False, wide: bool = False) -> None:
        blocks = random_blocks(num_frames, num_verts)
        if wide:
            write_maya(path, blocks, fps=30, num_frames=num_frames, num_verts=num_verts, wide=True)
        else:
            write_cache(path, blocks, fps=30, num_frames=num_frames, num_verts=num_verts, double=double)

    write(npy)
    write(xml)
    readers = {
        YARDSTICK: lambda: read_npy(npy, buffer),
        ".npy": lambda: read_ours(npy, buffer),
        ".mc": lambda: read_ours(xml, buffer),
        ".mc, element by element": lambda: read_elementwise(xml.with_suffix(".mc"), num_frames, num_verts, buffer),
    }
    seconds = best_times(readers, rounds)
    npy.unlink()
    for name, file, options in (
        (".pc2", "b.pc2", {}),
        (".mdd", "b.mdd", {}),
        (".mcx", "b.xml", {"wide": True}),
        (".mc of float64", "c.xml", {"double": True}),
    ):
        path = folder / file
        write(path, **options)
        seconds |= best_times({name: partial(read_ours, path, buffer)}, rounds)
        for written in folder.glob(f"{path.stem}.*"):
            written.unlink()
    return seconds


def main() -> None:
    parser = argparse.ArgumentParser(description="Times the readers of animation caches.")
    parser.add_argument("--gigabytes", type=float, default=1.0, help="size of the .mc")
    parser.add_argument("--verts", type=int, default=24002)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--folder", type=Path, help="where the files are made; default: the system's temporary folder")
    chosen = parser.parse_args()
    num_frames = max(1, round(chosen.gigabytes * 1e9 / (12 * chosen.verts)))
    with tempfile.TemporaryDirectory(dir=chosen.folder) as folder:
        seconds = measure(Path(folder), num_frames, chosen.verts, chosen.rounds)
    title = f"{num_frames} frames of {chosen.verts} vertices"
    table = Table("reader", "s", "GB/s of float32", "of the yardstick", title=title)
    for name, taken in seconds.items():
        rate = num_frames * chosen.verts * 12 / taken / 1e9
        table.add_row(name, f"{taken:.3f}", f"{rate:.2f}", f"{seconds[YARDSTICK] / taken:.0%}")
    Console().print(table)
    reached = seconds[YARDSTICK] / seconds[".mc"]
    print(f"target: .mc at {TARGET:.0%} of the yardstick or more; {'reached' if reached >= TARGET else 'MISSED'}")


if __name__ == "__main__":
    main()
