"""Archives return the arrays that numpy wrote, with memory bounded by the size of the file."""

from __future__ import annotations

import io
import struct
import tracemalloc
import zipfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from audio2face.errors import FileFormatError, UserError
from audio2face.io.arrays import Archive
from audio2face.preproc.steps import StepStore

MEGABYTE = 1 << 20
BOMB_MEGABYTES = 192  # of zeros, in less than 0.2 MB


def header(shape: tuple[int, ...], descr: str = "<f4") -> bytes:
    held = io.BytesIO()
    np.lib.format.write_array_header_1_0(held, {"descr": descr, "fortran_order": False, "shape": shape})
    return held.getvalue()


def write_bomb(path: Path, members: int = 1) -> Path:
    zeros = bytes(MEGABYTE)
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for number in range(members):
            with archive.open(f"a{number}.npy", "w") as member:
                size = BOMB_MEGABYTES // members
                member.write(header((size * MEGABYTE // 12, 3)))
                for _ in range(size):
                    member.write(zeros)
    return path


@pytest.mark.parametrize("write", [np.savez, np.savez_compressed])
def test_what_numpy_wrote(tmp_path: Path, write: Callable[..., None]) -> None:
    rng = np.random.default_rng(0)
    arrays = {
        "floats": rng.standard_normal((40, 7, 3)).astype(np.float32),
        "fortran": np.asfortranarray(rng.standard_normal((5, 6))),
        "big": np.arange(5, dtype=">i4"),
        "names": np.array([b"neutral", b"jawOpen"]),
        "words": np.array(["a", "bcd"]),
        "number": np.asarray(30.0, np.float32),
        "nothing": np.empty((0, 3), np.float32),
        "flags": np.array([True, False]),
        "zeros": np.zeros((2 * MEGABYTE,), np.float32),  # a valid archive that shrinks by 1,000
    }
    write(tmp_path / "a.npz", **arrays)
    archive = Archive.open(tmp_path / "a.npz")
    assert list(archive.members) == list(arrays)
    for name, array in arrays.items():
        read = archive.read(name)
        assert (read.dtype, read.shape) == (array.dtype, array.shape)
        assert read.flags["F_CONTIGUOUS"] or name != "fortran"
        np.testing.assert_array_equal(read, array)


@pytest.mark.parametrize("members", [1, 64])
def test_a_bomb_is_refused_before_it_is_unpacked(tmp_path: Path, members: int) -> None:
    path = write_bomb(tmp_path / "a.npz", members)
    assert path.stat().st_size < MEGABYTE
    tracemalloc.start()
    try:
        with pytest.raises(FileFormatError, match=r"arrays would take 201 MB, more than 67 MB .* may unpack to"):
            Archive.open(path)
        assert tracemalloc.get_traced_memory()[1] < 4 * MEGABYTE
    finally:
        tracemalloc.stop()


def test_another_shape_is_refused_before_it_is_unpacked(tmp_path: Path) -> None:
    np.savez_compressed(tmp_path / "a.npz", a=np.zeros((8, 1_000_000), np.float32))
    archive = Archive.open(tmp_path / "a.npz")
    tracemalloc.start()
    try:
        with pytest.raises(FileFormatError, match=r"array 'a' has the shape \[8, 1000000\], expected \[any, 3\]"):
            archive.read_floats("a", (None, 3))
        assert tracemalloc.get_traced_memory()[1] < MEGABYTE
    finally:
        tracemalloc.stop()


def test_steps_of_preprocessing_are_bounded_as_well(tmp_path: Path) -> None:
    store = StepStore(tmp_path)
    store.folder.mkdir()
    write_bomb(store.folder / "step.npz")
    with pytest.raises(FileFormatError, match="may unpack to"):
        store.once("step", dict)


def repacked(path: Path, change: Callable[[bytearray], None]) -> Path:
    content = bytearray(path.read_bytes())
    change(content)
    path.write_bytes(content)
    return path


def understate(content: bytearray) -> None:
    """The directory claims fewer bytes than the entry unpacks to; the header of the array claims the same."""
    shape, sizes = content.index(b"(2000000,)"), content.index(b"PK\x01\x02")
    content[shape : shape + 10] = b"(2,)      "
    struct.pack_into("<I", content, sizes + 24, struct.unpack_from("<I", content, sizes + 24)[0] - 4 * 1_999_998)


def test_an_entry_that_unpacks_to_more_than_it_says(tmp_path: Path) -> None:
    held = io.BytesIO()
    with zipfile.ZipFile(held, "w", zipfile.ZIP_DEFLATED, compresslevel=0) as archive:
        archive.writestr("a.npy", header((2_000_000,)) + bytes(8_000_000))
    path = tmp_path / "a.npz"
    path.write_bytes(held.getvalue())
    with pytest.raises(UserError):
        Archive.open(repacked(path, understate)).read("a")


def test_other_packings_are_refused(tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "a.npz", "w", zipfile.ZIP_LZMA) as archive:
        archive.writestr("a.npy", header((2,)) + bytes(8))
    with pytest.raises(FileFormatError, match=r"numpy\.savez does not use"):
        Archive.open(tmp_path / "a.npz")


def test_mapped_arrays_are_views_of_the_file(tmp_path: Path) -> None:
    path = tmp_path / "a.npz"
    values = np.random.default_rng(1).standard_normal((2 * MEGABYTE, 2)).astype(np.float32)
    np.savez(path, odd=np.arange(3, dtype=np.float64), values=values)
    archive = Archive.open(path)
    tracemalloc.start()
    mapped = archive.map_floats("values", (None, 2))
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < MEGABYTE
    np.testing.assert_array_equal(mapped, values)
    assert not mapped.flags.writeable
    assert archive.map_floats("odd", (3,)).tolist() == [0, 1, 2]  # of another type: in memory
    np.savez_compressed(tmp_path / "packed.npz", values=values[:5])
    np.testing.assert_array_equal(Archive.open(tmp_path / "packed.npz").map_floats("values", (5, 2)), values[:5])


def test_a_mapped_array_that_is_damaged(tmp_path: Path) -> None:
    path = tmp_path / "a.npz"
    np.savez(path, values=np.ones((MEGABYTE, 2), np.float32))
    content = bytearray(path.read_bytes())
    content[4 * MEGABYTE] ^= 1
    path.write_bytes(content)
    with pytest.raises(FileFormatError, match="its checksum is wrong"):
        Archive.open(path).map_floats("values", (None, 2))
