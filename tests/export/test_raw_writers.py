"""Raw motion on disk, read back by what is not ours where that exists."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from audio2face.errors import UserError
from audio2face.export import RawMotion, buffer_frames, write_maya_caches, write_rows, write_transforms
from audio2face.geometry import open_cache

RANDOM = np.random.default_rng(0)
FRAMES, SKIN, TONGUE = 150, 7, 4
VALUES = 3 * (SKIN + TONGUE) + 15 + 4


def animation(tongue: int = TONGUE) -> RawMotion:
    return RawMotion(
        fps=60.0,
        values=RANDOM.standard_normal((FRAMES, 3 * (SKIN + tongue) + 19)).astype(np.float32),
        neutral_skin=RANDOM.standard_normal((SKIN, 3)).astype(np.float32),
        neutral_tongue=RANDOM.standard_normal((tongue, 3)).astype(np.float32),
        jaw_size=15,
    )


def test_caches_hold_positions_and_names_survive_dots(tmp_path: Path) -> None:
    moving = animation()
    files = write_maya_caches(moving, tmp_path, "take.1.final_ada")
    assert [path.name for path in files] == ["take.1.final_ada.xml", "take.1.final_ada_tongue.xml"]
    assert {path.name for path in tmp_path.iterdir()} == {
        name for path in files for name in (path.name, f"{path.stem}.mc")
    }
    skin, tongue = (open_cache(path) for path in files)
    assert skin.fps == tongue.fps == 60.0
    expected = moving.values[:, : 3 * SKIN].reshape(FRAMES, SKIN, 3) + moving.neutral_skin
    np.testing.assert_array_equal(skin[:], expected)
    expected = moving.values[:, 3 * SKIN : 3 * (SKIN + TONGUE)].reshape(FRAMES, TONGUE, 3) + moving.neutral_tongue
    np.testing.assert_array_equal(tongue[:], expected)
    delta = write_maya_caches(moving, tmp_path, "x", "_delta")
    assert [path.name for path in delta] == ["x_delta.xml", "x_tongue_delta.xml"]


def test_a_face_without_a_tongue(tmp_path: Path) -> None:
    assert len(write_maya_caches(animation(tongue=0), tmp_path, "x")) == 1


def test_arrays(tmp_path: Path) -> None:
    moving = animation()
    jaw, eyes = (np.load(path) for path in write_transforms(moving, tmp_path, "a.b"))
    np.testing.assert_array_equal(jaw, moving.values[:, -19:-4])
    np.testing.assert_array_equal(eyes, moving.values[:, -4:])
    path = write_rows(tmp_path / "a.b.npy", iter([moving.values[:100], moving.values[100:]]), FRAMES, VALUES)
    np.testing.assert_array_equal(np.load(path), moving.values)


def test_spooled_frames_leave_no_file(tmp_path: Path) -> None:
    values = animation().values
    kept = buffer_frames(iter([values[:33], values[33:]]), FRAMES, VALUES, tmp_path)
    np.testing.assert_array_equal(kept, values)
    assert not list(tmp_path.iterdir())
    with pytest.raises(ValueError, match="33 frames given"):
        buffer_frames([values[:33]], FRAMES, VALUES, tmp_path)
    values[40, 3] = np.inf
    with pytest.raises(UserError, match="NaN or infinity in frames 33 to 149"):
        buffer_frames([values[:33], values[33:]], FRAMES, VALUES, tmp_path)
    with pytest.raises(UserError, match="cannot be written to"):
        buffer_frames([values], FRAMES, VALUES, tmp_path / "none")
