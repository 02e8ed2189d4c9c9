"""Coding of motion: errors are what they claim, and within bounds; pages stay small; bad input is refused."""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from speaking_heads import cloud, speaking_head

from audio2face.errors import UserError
from audio2face.export import Surface
from audio2face.player import write_page
from audio2face.player.describe import error_curves, resample_to
from audio2face.player.motion_codec import Payload, Tolerance, encode_motion
from audio2face.player.page import bundled, web_text

MANY_VERTS = 24_002


def motion(num_frames: int, num_verts: int, rank: int, size_cm: float, seed: int) -> np.ndarray:
    rng = np.random.default_rng(seed)
    weights, shapes = rng.standard_normal((num_frames, rank)), rng.standard_normal((rank, num_verts * 3))
    falling = size_cm * 0.7 ** np.arange(rank)
    moved = (weights * falling) @ shapes + 20 * rng.standard_normal(num_verts * 3)
    return moved.reshape(num_frames, num_verts, 3).astype(np.float32)


@settings(max_examples=30, deadline=None)
@given(
    num_frames=st.integers(1, 80),
    rank=st.integers(0, 12),
    size_cm=st.floats(1e-3, 3.0),
    seed=st.integers(0, 99),
)
def test_error_is_measured_and_within_bounds(num_frames: int, rank: int, size_cm: float, seed: int) -> None:
    frames = motion(num_frames, 50, rank, size_cm, seed)
    code = encode_motion(frames)
    apart = 10 * np.linalg.norm(code.decode(slice(None)) - frames, axis=-1)
    assert code.mean_mm == pytest.approx(apart.mean(), abs=1e-4)
    assert code.worst_mm == pytest.approx(apart.max(), abs=1e-4)
    assert code.mean_mm <= Tolerance().mean_mm
    assert code.worst_mm <= Tolerance().worst_mm


def test_motion_of_few_shapes_takes_few() -> None:
    code = encode_motion(motion(300, 200, 5, 0.5, 0))
    assert len(code.components) == 5
    assert code.components.dtype == code.weights.dtype == np.int16


def test_face_of_the_largest_kind_stays_small(tmp_path: Path) -> None:
    head = speaking_head(tmp_path, seconds=10.0)
    rng = np.random.default_rng(0)
    spread = rng.integers(0, head.skin.num_verts, MANY_VERTS)
    wobble = motion(head.num_frames, head.skin.num_verts, 40, 0.05, 1) * np.float32(0.05)
    wobble -= wobble.mean(axis=0)
    faces = rng.integers(0, MANY_VERTS, (MANY_VERTS, 4)).astype(np.int32)
    frames = (head.skin.frames + wobble)[:, spread]
    large = replace(head, skin=Surface(head.skin.neutral[spread], frames, faces), parts={})
    path = write_page(large, tmp_path / "large.html")
    assert path.stat().st_size < 15_000_000


def test_second_animation_is_read_at_the_times_of_the_first(tmp_path: Path) -> None:
    one, other = speaking_head(tmp_path, 1.0, 60.0), speaking_head(tmp_path, 1.0, 30.0)
    read = resample_to(other, one)
    assert read.skin.frames.shape == one.skin.frames.shape
    np.testing.assert_array_equal(read.skin.frames[::2], other.skin.frames)
    mean, largest = error_curves(one, read)
    assert mean.max() < largest.max() < 0.5  # millimetres, from straight lines between frames


@pytest.mark.parametrize("change", ["empty", "endless", "infinite"])
def test_what_cannot_be_shown_is_refused(change: str, tmp_path: Path) -> None:
    face = cloud(4)
    frames = {
        "empty": face.skin.frames[:0],
        "endless": np.broadcast_to(face.skin.frames[:1], (18_031, *face.skin.frames.shape[1:])),
        "infinite": np.where(np.arange(3) == 1, np.float32(np.inf), face.skin.frames),
    }[change]
    with pytest.raises(UserError):
        write_page(replace(face, skin=replace(face.skin, frames=frames)), tmp_path / "page.html")
    assert not list(tmp_path.iterdir())


def test_payload_refuses_what_the_page_cannot_read() -> None:
    with pytest.raises(ValueError, match="float64"):
        Payload().add(np.zeros(3))


def test_every_import_and_export_is_understood_by_the_bundle() -> None:
    program = bundled()
    assert not re.search(r"^\s*(import|export)\b", program, re.MULTILINE)
    for name in re.findall(r'modules\["([\w.]+)"\] = ', program):
        exported = re.findall(r"^export .*?(\w+)(?: =|\(| \{|$)", web_text(name), re.MULTILINE)
        assert all(export in program for export in exported)
