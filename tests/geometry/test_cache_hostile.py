"""Damaged and hostile caches give FileFormatError or a well-formed array, soon and in little memory."""

from __future__ import annotations

import os
import struct
import tempfile
import time
import tracemalloc
from functools import cache
from pathlib import Path

import numpy as np
import pytest
from cache_samples import KINDS, channel, chunk, frames_of, group, header, number, write_by_hand, write_kind
from hypothesis import given, settings
from hypothesis import strategies as st

from audio2face.errors import FileFormatError
from audio2face.geometry import PointCache, open_cache

SPARE_BYTES = 1 << 20  # memory of Python itself, for any file
NASTY = [0, 1, 2**30, 2**31 - 1, 2**31, 2**32 - 1, 2**32 - 8, 0x464F5234, 0x46564341]


def check_error(error: FileFormatError, path: Path) -> FileFormatError:
    assert error.path is not None
    assert error.path.parent == path.parent
    assert error.problem
    return error


def read_all(path: Path) -> PointCache | FileFormatError:
    """Opens and reads a cache; every error must be of the declared types, every result well-formed."""
    try:
        cache = open_cache(path)
        frames = cache.read(0, cache.num_frames)
    except FileFormatError as error:
        return check_error(error, path)
    assert frames.shape == cache.shape == (cache.num_frames, cache.num_verts, 3)
    assert frames.dtype == np.float32
    assert cache.fps is None or cache.fps > 0
    assert cache.start_time is None or np.isfinite(cache.start_time)
    return cache


@pytest.mark.parametrize("kind", [*KINDS, "xml"])
def test_cut_at_any_byte(kind: str, tmp_path: Path) -> None:
    frames = frames_of(3, 2)
    path, data = write_kind(tmp_path, "mc" if kind == "xml" else kind, frames)
    target = path if kind == "xml" else data
    for length in reversed(range(target.stat().st_size)):
        os.truncate(target, length)
        found = read_all(path)
        if isinstance(found, PointCache):
            # Only whole frames may be missing, and that is said; only white space may be missing from the .xml.
            assert np.array_equal(found[:], frames[: found.num_frames])
            assert found.num_frames == 3 or found.warnings


@pytest.mark.parametrize("kind", [*KINDS, "xml"])
def test_any_bit_flipped(kind: str, tmp_path: Path) -> None:
    path, data = write_kind(tmp_path, "mc" if kind == "xml" else kind, frames_of(2, 1))
    target = path if kind == "xml" else data
    whole = target.read_bytes()
    with target.open("r+b", buffering=0) as handle:  # in place: a file written anew costs milliseconds
        for position, byte in enumerate(whole):
            for bit in range(8):
                os.pwrite(handle.fileno(), bytes([byte ^ 1 << bit]), position)
                read_all(path)
            os.pwrite(handle.fileno(), bytes([byte]), position)


@cache
def sound_files(kind: str) -> tuple[str, str, dict[str, bytes]]:
    """Names of the file to open and of the file to damage, and the content of all files of a sound cache."""
    with tempfile.TemporaryDirectory() as folder:
        path, data = write_kind(Path(folder), "mc" if kind == "xml" else kind, frames_of(4, 3))
        files = {file.name: file.read_bytes() for file in Path(folder).iterdir()}
    return path.name, path.name if kind == "xml" else data.name, files


@st.composite
def mutations(draw: st.DrawFn) -> list[tuple[str, float, int]]:
    """What to do, where (as a fraction of the file), with which number."""
    kinds = st.sampled_from(["big-endian", "little-endian", "cut", "repeat", "insert", "drop"])
    where = st.floats(0, 1, exclude_max=True)
    return draw(st.lists(st.tuples(kinds, where, st.sampled_from(NASTY)), min_size=1, max_size=4))


def mutate(data: bytes, what: str, where: float, value: int) -> bytes:
    at = int(where * len(data))
    aligned = at & ~3
    if what.endswith("endian"):
        word = struct.pack(">I" if what == "big-endian" else "<I", value)
        return data[:aligned] + word + data[aligned + 4 :]
    if what == "cut":
        return data[:at]
    if what == "repeat":
        return data[:aligned] + data[aligned:] * 2
    return data[:at] + bytes(value % 9) + data[at:] if what == "insert" else data[:at] + data[at + 1 + value % 9 :]


@settings(max_examples=300, deadline=None)
@given(st.sampled_from([*KINDS, "xml"]), mutations())
def test_mutations_stay_small_and_fast(kind: str, changes: list[tuple[str, float, int]]) -> None:
    with tempfile.TemporaryDirectory() as folder:
        path, target = Path(folder) / sound_files(kind)[0], Path(folder) / sound_files(kind)[1]
        for name, content in sound_files(kind)[2].items():
            (Path(folder) / name).write_bytes(content)
        content = target.read_bytes()
        for change in changes:
            content = mutate(content, *change)
        target.write_bytes(content)
        tracemalloc.start()
        began = time.perf_counter()
        try:
            read_all(path)
            assert time.perf_counter() - began < 1
            assert tracemalloc.get_traced_memory()[1] < 4 * len(content) + SPARE_BYTES
        finally:
            tracemalloc.stop()


@settings(max_examples=200, deadline=None)
@given(st.sampled_from(["npy", "pc2", "mdd", "xml"]), st.binary(max_size=300))
def test_any_bytes_at_all(extension: str, content: bytes) -> None:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / f"a.{extension}"
        path.write_bytes(content)
        read_all(path)


@settings(max_examples=300, deadline=None)
@given(st.text(st.sampled_from("{}()[],:'\"<>f48|O_-. \n0123456789descrfotanhp"), max_size=120), st.booleans())
def test_any_npy_header(text: str, with_keys: bool) -> None:
    header_text = f"{{'descr': {text}, 'fortran_order': False, 'shape': (2, 2, 3), }}" if with_keys else text
    raw = header_text.encode()
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "a.npy"
        path.write_bytes(b"\x93NUMPY\x01\x00" + struct.pack("<H", len(raw)) + raw + bytes(48))
        read_all(path)


def npy(descr: str, shape: str) -> bytes:
    raw = f"{{'descr': {descr}, 'fortran_order': False, 'shape': {shape}}}".encode()
    return b"\x93NUMPY\x01\x00" + struct.pack("<H", len(raw)) + raw + bytes(144)


@pytest.mark.parametrize(
    ("content", "problem"),
    [
        (npy("'<f4'", "(1073741824, 1073741824, 3)"), "too short"),
        (npy("'<f4'", "(-1, -12, 3)"), "at least 1"),
        (npy("'<f4'", "(0, 12, 3)"), "at least 1"),
        (npy("'<f4'", "(6, 2)"), "frames, vertices, 3"),
        (npy("'<f4'", "(3, 2, 4)"), "frames, vertices, 3"),
        (npy("'|O'", "(6, 1, 3)"), "holds object"),
        (npy("'<i4'", "(6, 2, 3)"), "holds int32"),
        (npy("[('a', '<f4')]", "(6, 2, 3)"), "holds"),
        (npy("'(100,100)f4'", "(6, 2, 3)"), "holds"),
        (npy("'(1000000,1000000)f4'", "(6, 2, 3)"), "not a .npy file"),
        (npy("'<f4'", "(" * 9000), "not a .npy file"),
        (npy("'<f4'", "9" * 9000), "not a .npy file"),
        (b"\x93NUMPY\x03\x00" + bytes(200), "version"),
        (b"PK\x03\x04" + bytes(200), "not a .npy file"),
    ],
)
def test_npy_headers(content: bytes, problem: str, tmp_path: Path) -> None:
    path = tmp_path / "a.npy"
    path.write_bytes(content)
    with pytest.raises(FileFormatError, match=problem):
        open_cache(path)


@pytest.mark.parametrize(
    ("name", "content", "problem"),
    [
        ("a.pc2", struct.pack("<12siiffi", b"POINTCACHE2\0", 1, 2**30, 0, 1, 2**30), "too short"),
        ("a.pc2", struct.pack("<12siiffi", b"POINTCACHE2\0", 1, -5, 0, 1, 2), "at least 1"),
        ("a.pc2", struct.pack("<12siiffi", b"POINTCACHE2\0", 2, 1, 0, 1, 1) + bytes(12), "version 2"),
        ("a.pc2", struct.pack("<12siiffi", b"POINTCACHE3\0", 1, 1, 0, 1, 1) + bytes(12), "POINTCACHE2"),
        ("a.mdd", struct.pack(">ii", 2**30, 2**30), "too short"),
        ("a.mdd", struct.pack(">ii", 3, -7), "at least 1"),
        ("a.mdd", struct.pack(">ii", -3, 7), "at least 1"),
    ],
)
def test_counts_that_the_file_cannot_hold(name: str, content: bytes, problem: str, tmp_path: Path) -> None:
    path = tmp_path / name
    path.write_bytes(content)
    with pytest.raises(FileFormatError, match=problem):
        open_cache(path)


def test_2_to_the_30_vertices_in_a_maya_cache(tmp_path: Path) -> None:
    for count in (2**30, -1):
        lead = chunk(b"CHNM", b"a\0") + number(b"SIZE", count)
        frame = group(b"MYCH", number(b"TIME", 0), lead + chunk(b"FVCA", bytes(24)))
        with pytest.raises(FileFormatError, match=r"has 24 bytes; \d+ expected for its"):
            open_cache(write_by_hand(tmp_path, header() + frame))
        claimed = group(b"MYCH", number(b"TIME", 0), lead + chunk(b"FVCA", bytes(24), claim=count % 2**32))
        with pytest.raises(FileFormatError, match="bytes, 24 are left"):
            open_cache(write_by_hand(tmp_path, header() + claimed))


def test_data_after_the_last_frame_is_reported(tmp_path: Path) -> None:
    for kind in ("npy", "pc2", "mdd"):
        path, _ = write_kind(tmp_path, kind, frames_of())
        with path.open("ab") as handle:
            handle.write(b"12345")
        assert open_cache(path).warnings == ("5 bytes follow the last frame",)


def test_a_flood_of_tiny_chunks_are_refused_in_time(tmp_path: Path) -> None:
    first = group(b"MYCH", number(b"TIME", 0), channel("a", b"FVCA", np.zeros((1, 3))))
    tiny = group(b"MYCH", chunk(b"JUNK", b"") * 300_000)
    path = write_by_hand(tmp_path, header() + first + tiny)
    began = time.process_time()
    with pytest.raises(FileFormatError, match="of differing layouts"):
        open_cache(path)
    assert time.process_time() - began < 1
