"""What is written reads back bit-equal, in every format."""

from __future__ import annotations

import struct
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np
import pytest
from cache_samples import KINDS, XML, frame_lead, frames_of, header, write_kind
from hypothesis import given, settings
from hypothesis import strategies as st

from audio2face.errors import UserError
from audio2face.geometry import maya_writer, open_cache, write_cache, write_maya
from audio2face.geometry.point_cache import StridedFrames

names = st.text("abcXYZ_019:|äé <&\"'", min_size=1, max_size=20)


def any_bits(rng: np.random.Generator, shape: tuple[int, ...], double: bool) -> np.ndarray:
    """Floats of random bits: subnormal, infinite, NaN with payload and all."""
    dtype = np.float64 if double else np.float32
    return np.frombuffer(rng.bytes(int(np.prod(shape)) * np.dtype(dtype).itemsize), dtype).reshape(shape)


def in_blocks(frames: np.ndarray, cuts: list[int]):
    yield from np.split(frames, sorted({cut for cut in cuts if cut <= len(frames)}))


@settings(max_examples=100, deadline=None)
@given(
    st.sampled_from(["npy", "pc2", "mdd", "xml", "xml wide", "xml per frame", "xml wide per frame"]),
    st.tuples(st.integers(1, 9), st.integers(1, 9)),
    st.booleans(),
    st.lists(st.integers(0, 9)),
    st.sampled_from([24, 25, 29.97, 30, 60]),
    st.integers(-300, 300),
    names,
    st.integers(0, 2**32),
)
def test_reads_back_bit_equal(kind, size, double, cuts, fps, first_frame, name, seed) -> None:
    extension = kind.split()[0]
    double = double and extension in ("npy", "xml")
    frames = any_bits(np.random.default_rng(seed), (*size, 3), double)
    common = {"num_frames": size[0], "num_verts": size[1], "fps": fps, "start_time": first_frame / fps}
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / f"x_a.b.{extension}"
        if extension == "xml":
            choices = {"wide": "wide" in kind, "per_frame": "per frame" in kind, "channel": name, "double": double}
            write_maya(path, in_blocks(frames, cuts), **common, **choices)
        else:
            write_cache(path, in_blocks(frames, cuts), **common, double=double)
        cache = open_cache(path)
        back = cache.read(0, size[0], np.empty(frames.shape, frames.dtype))
        assert back.tobytes() == frames.tobytes()
        assert (cache.shape, cache.dtype, cache.warnings) == (frames.shape, frames.dtype, ())
        if extension in ("xml", "mdd"):
            assert cache.start_time == pytest.approx(first_frame / fps, abs=1 / 6000)
            assert size[0] < 3 or cache.fps == pytest.approx(fps, rel=0.003)
        assert cache.channel == (name if extension == "xml" else None)


@pytest.mark.parametrize("kind", KINDS)
def test_frames_blocks_and_indices(kind: str, tmp_path: Path) -> None:
    frames = frames_of(10, 4)
    cache = open_cache(write_kind(tmp_path, kind, frames)[0])
    assert np.array_equal(cache[3], frames[3])
    assert np.array_equal(cache[-1], frames[-1])
    assert np.array_equal(cache[2:5], frames[2:5])
    assert np.array_equal(cache[8:2:-3], frames[8:2:-3])
    assert cache[5:2].shape == (0, 4, 3)
    assert np.array_equal(cache[[9, 0, 9]], frames[[9, 0, 9]])
    assert np.array_equal(cache[np.array([1, 2])], frames[1:3])
    assert np.array_equal(np.concatenate(list(cache.blocks(4))), frames)
    assert (len(cache), cache.nbytes) == (10, frames.nbytes)
    buffer = np.empty((64, 4, 3), np.float32)
    part = cache.read(2, 7, buffer)
    assert part.base is buffer
    assert np.array_equal(part, frames[2:7])
    for wrong in (slice(0, 11), slice(-1, 3), slice(4, 3)):
        with pytest.raises(IndexError):
            cache.read(wrong.start, wrong.stop)
    for outside in (10, -11, [0, 10]):
        with pytest.raises(IndexError):
            cache[outside]
    for buffer in (np.empty((4, 4, 3), np.float32), np.empty((9, 5, 3), np.float32), np.empty((9, 4, 3), int)):
        with pytest.raises(ValueError, match="buffer"):
            cache.read(0, 5, buffer)


@pytest.mark.parametrize("dtype", ["<f2", ">f4", ">f8", "<f8"])
def test_npy_of_any_float_and_order(dtype: str, tmp_path: Path) -> None:
    frames = frames_of(6, 3).astype(dtype)
    np.save(tmp_path / "c.npy", frames)
    np.save(tmp_path / "f.npy", np.asfortranarray(frames))
    for name in ("c.npy", "f.npy"):
        cache = open_cache(tmp_path / name)
        assert np.array_equal(cache.read(1, 5), frames[1:5].astype(np.float32))
        assert (cache.fps, cache.start_time) == (None, None)


def test_float64_beyond_float32_is_infinite_without_a_warning(tmp_path: Path) -> None:
    write_cache(tmp_path / "a.xml", np.full((2, 1, 3), 1e300), fps=30, double=True)
    assert np.isinf(open_cache(tmp_path / "a.xml")[0]).all()


def test_regular_maya_file_is_read_as_one_view(tmp_path: Path) -> None:
    for kind in ("mc", "mcx"):
        assert isinstance(open_cache(write_kind(tmp_path, kind, frames_of(5, 3))[0]).source, StridedFrames)


def test_beyond_2_gb_the_writer_turns_to_mcx(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    frames = frames_of(5, 7)
    write_cache(tmp_path / "a.xml", frames, fps=30)
    size = (tmp_path / "a.mc").stat().st_size
    monkeypatch.setattr(maya_writer, "MOST_MC_BYTES", size)
    write_cache(tmp_path / "b.xml", frames, fps=30)
    monkeypatch.setattr(maya_writer, "MOST_MC_BYTES", size - 1)
    write_cache(tmp_path / "c.xml", frames, fps=30)
    assert sorted(file.name for file in tmp_path.glob("*.mc*")) == ["a.mc", "b.mc", "c.mcx"]
    assert 'Format="mcx"' in (tmp_path / "c.xml").read_text()
    assert np.array_equal(open_cache(tmp_path / "c.xml")[:], frames)


@pytest.mark.parametrize("kind", KINDS)
def test_files_above_2_gb_are_read(kind: str, tmp_path: Path) -> None:
    """Sparse files: the headers of 180 frames of a million vertices, and the values of the last vertex."""
    num_frames, num_verts, last = 180, 1_000_000, np.array([[1.5, -2.5, 3.5]])
    frame_bytes = 12 * num_verts
    lead, head = b"", b""
    if kind == "npy":
        np.lib.format.open_memmap(tmp_path / "big.npy", "w+", np.float32, (num_frames, num_verts, 3))
        head = (tmp_path / "big.npy").open("rb").read(128)
    elif kind == "pc2":
        head = struct.pack("<12siiffi", b"POINTCACHE2\0", 1, num_verts, 0, 1, num_frames)
    elif kind == "mdd":
        head = struct.pack(">ii", num_frames, num_verts) + np.arange(num_frames, dtype=">f4").tobytes()
    else:
        wide = kind == "mcx"
        head, lead = header(wide=wide), frame_lead(num_verts, wide=wide)
        xml = XML.format(layout="OneFile", format=kind, range="0-0", step="200", channels="")
        (tmp_path / "big.xml").write_text(xml)
    data = tmp_path / f"big.{kind}"
    with data.open("wb") as handle:
        handle.write(head)
        for frame in range(num_frames):
            handle.seek(len(head) + frame * (len(lead) + frame_bytes))
            handle.write(lead)
        end = len(head) + num_frames * (len(lead) + frame_bytes)
        handle.seek(end - 12)
        handle.write(last.astype("<f4" if kind in ("npy", "pc2") else ">f4").tobytes())
    assert data.stat().st_size == end > 2**31
    cache = open_cache(tmp_path / "big.xml" if lead else data)
    assert cache.shape == (num_frames, num_verts, 3)
    assert cache[-1][-1].tolist() == last[0].tolist()
    assert not cache[-1][:-1].any()


LIMITED = """
import resource, signal, sys
from pathlib import Path
import numpy as np
from audio2face.errors import UserError
from audio2face.geometry import write_cache, write_maya
resource.setrlimit(resource.RLIMIT_FSIZE, (3000, 3000))
folder, frames = Path(sys.argv[1]), np.zeros((50, 20, 3), np.float32)
for name in ("a.npy", "a.pc2", "a.mdd", "a.xml"):
    try:
        write_cache(folder / name, frames, fps=30)
    except UserError as error:
        print(error.path.name)
try:
    write_maya(folder / "b.xml", np.zeros((3, 400, 3)), fps=30, per_frame=True)
except UserError as error:
    print(error.path.name)
"""


def test_full_disk_leaves_nothing(tmp_path: Path) -> None:
    run = subprocess.run(
        [sys.executable, "-c", LIMITED, tmp_path], capture_output=True, text=True, check=True, cwd=Path.cwd()
    )
    assert run.stdout.split() == ["a.npy", "a.pc2", "a.mdd", "a.mc", "bFrame0.mc"]
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("kind", KINDS)
def test_a_stream_that_fails_leaves_what_was_there(kind: str, tmp_path: Path) -> None:
    frames = frames_of(4, 3)
    path, _ = write_kind(tmp_path, kind, frames)
    before = {file: file.read_bytes() for file in tmp_path.iterdir()}

    def breaking():
        yield frames[:2]
        raise RuntimeError("the source broke")

    def rewrite(blocks, num_frames: int) -> None:
        if kind == "mcx":
            write_maya(path, blocks, fps=30, num_frames=num_frames, num_verts=3, wide=True)
        else:
            write_cache(path, blocks, fps=30, num_frames=num_frames, num_verts=3)

    with pytest.raises(RuntimeError):
        rewrite(breaking(), 4)
    for blocks, num_frames in (([frames], 5), ([frames], 3), ([frames[:, :2]], 4), ([frames.astype(int)], 4)):
        with pytest.raises(ValueError, match=r"frames|block"):
            rewrite(blocks, num_frames)
    assert {file: file.read_bytes() for file in tmp_path.iterdir()} == before


@pytest.mark.parametrize("name", ["a.npy", "a.pc2", "a.mdd", "a.xml"])
def test_unwritable_target_is_a_user_error(name: str, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("not a folder")
    with pytest.raises(UserError, match="could not be written"):
        write_cache(tmp_path / "file" / name, frames_of(), fps=30)
    with pytest.raises(UserError, match="could not be written"):
        write_maya(tmp_path / "file" / "b.xml", frames_of(), fps=30, per_frame=True)


def test_arguments_that_do_not_fit(tmp_path: Path) -> None:
    frames = frames_of(4, 3)
    for wrong in ({"num_frames": 5}, {"fps": 0}, {"fps": 6001}, {"channel": ""}, {"channel": {"a": 2}}):
        with pytest.raises(ValueError):
            write_maya(tmp_path / "a.xml", frames, **({"fps": 30} | wrong))
    with pytest.raises(ValueError, match="positive"):
        write_cache(tmp_path / "a.mdd", frames, fps=0)
    with pytest.raises(ValueError, match="must be known"):
        write_cache(tmp_path / "a.npy", iter([frames]), fps=30)
    for problem, action in (
        ("not the extension", lambda: write_cache(tmp_path / "a.abc", frames, fps=30)),
        ("float32 only", lambda: write_cache(tmp_path / "a.pc2", frames, fps=30, double=True)),
        ("99 hours", lambda: write_cache(tmp_path / "a.xml", frames, fps=30, start_time=360_000)),
        ("not the extension", lambda: open_cache(tmp_path / "a.mc")),
        ("cannot be read", lambda: open_cache(tmp_path / "none.npy")),
        ("cannot be read", lambda: open_cache(tmp_path / "none.xml")),
    ):
        with pytest.raises(UserError, match=problem):
            action()
    assert list(tmp_path.iterdir()) == []
