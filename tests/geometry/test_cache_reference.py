"""Caches that the reference implementation wrote or read."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from audio2face.geometry import open_cache, write_maya

MC_HEADER = 48  # bytes


def caches(root: Path) -> list[Path]:
    return [
        path
        for suffix in ("xml", "pc2", "npy")
        for path in sorted((root / "preproc/dataset/cache").rglob(f"*.{suffix}"))
    ]


def test_all_formats_of_the_dataset_agree_with_its_lengths(reference_data: Path) -> None:
    frames = {"s1_neutral": 120, "s2_joy": 95, "s3_anger": 141, "s4_neutral": 110}
    found = caches(reference_data)
    assert len(found) == 8
    for path in found:
        cache = open_cache(path)
        assert cache.shape == (frames[path.stem], 200 if "skin" in path.parts else 60, 3)
        assert cache.warnings == ()
        assert cache.fps in (30, None)
        heights = cache[:][:, :, 1]
        assert 100 < heights.min() < heights.max() < 220  # centimetres above the floor


def test_maya_payload_is_read_as_it_lies_in_the_file(reference_data: Path) -> None:
    path = reference_data / "preproc/dataset/cache/skin/s4_neutral/s4_neutral.xml"
    raw = np.frombuffer(path.with_suffix(".mc").read_bytes(), np.uint8, offset=MC_HEADER).reshape(110, -1)
    expected = raw[:, -2400:].copy().view(">f4").reshape(110, 200, 3)
    assert np.array_equal(open_cache(path)[:], expected)


def test_our_maya_file_is_the_same_byte_for_byte(reference_data: Path, tmp_path: Path) -> None:
    path = reference_data / "preproc/dataset/cache/skin/s4_neutral/s4_neutral.xml"
    write_maya(tmp_path / "a.xml", open_cache(path)[:], fps=30, channel="headShape")
    assert (tmp_path / "a.mc").read_bytes() == path.with_suffix(".mc").read_bytes()


@pytest.mark.parametrize("double", [False, True])
def test_size_of_a_maya_file(double: bool, tmp_path: Path) -> None:
    """Header 48 bytes; per frame 8 and 60 + 12 or 24 per vertex, for the reference's channel name."""
    write_maya(tmp_path / "a.xml", np.zeros((7, 33, 3)), fps=30, channel="head_meshShape", double=double)
    assert (tmp_path / "a.mc").stat().st_size == 48 + 7 * (8 + 60 + 33 * (24 if double else 12))


def test_stabilised_tongue_that_the_reference_wrote(reference_data: Path) -> None:
    folder = reference_data / "preproc/expected/pca/tongue/intermediate/tongue_cache_stab"
    for path in sorted(folder.rglob("*.xml")):
        cache = open_cache(path)
        assert (cache.dtype, cache.num_verts, cache.fps, cache.channel) == (np.float64, 60, 30, "head_meshShape")
        assert cache.warnings == ()
        payload = np.frombuffer(path.with_suffix(".mc").read_bytes(), np.uint8, offset=MC_HEADER).reshape(
            len(cache), -1
        )
        expected = payload[:, -60 * 24 :].copy().view(">f8").reshape(cache.shape)
        assert np.array_equal(cache.read(0, len(cache), np.empty(cache.shape)), expected)
