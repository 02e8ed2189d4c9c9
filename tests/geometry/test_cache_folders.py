"""Which cache belongs to a shot."""

from __future__ import annotations

from pathlib import Path

import pytest
from cache_samples import frames_of

from audio2face.errors import UserError
from audio2face.geometry import find_cache, list_shots, list_strays, open_cache, write_cache


def test_precedence_and_duplicates(tmp_path: Path) -> None:
    for extension in ("mdd", "pc2", "xml", "npy"):
        write_cache(tmp_path / "s1" / f"s1.{extension}", frames_of(), fps=30)
        found = find_cache(tmp_path, "s1")
        assert found.path == tmp_path / "s1" / f"s1.{extension}"
        assert open_cache(found.path).shape == (3, 2, 3)
    assert [path.suffix for path in found.duplicates] == [".xml", ".pc2", ".mdd"]


def test_missing_cache_names_shot_and_folder(tmp_path: Path) -> None:
    (tmp_path / "s1").mkdir()
    (tmp_path / "s1" / "s2.npy").touch()
    with pytest.raises(UserError, match="shot s1 has no animation cache") as caught:
        find_cache(tmp_path, "s1")
    assert caught.value.path == tmp_path


@pytest.mark.parametrize("name", ["../s1", "s1/..", "s1\n", "s\0", "", "s" * 101, "[s]1", "*"])
def test_names_that_leave_the_folder_are_refused(name: str, tmp_path: Path) -> None:
    with pytest.raises(UserError, match="not allowed"):
        find_cache(tmp_path, name)


def test_shots_in_byte_order_and_strays(tmp_path: Path) -> None:
    for name in ("cp1_x", "cp10_x", "B.2", ".hidden", "with space"):
        write_cache(tmp_path / name / f"{name}.npy", frames_of(), fps=30)
    (tmp_path / "empty").mkdir()
    (tmp_path / "notes.txt").touch()
    assert list_shots(tmp_path) == ["B.2", "cp10_x", "cp1_x"]
    assert [path.name for path in list_strays(tmp_path)] == ["empty", "notes.txt", "with space"]
    for broken in (tmp_path / "none", tmp_path / "notes.txt"):
        with pytest.raises(UserError, match="cannot be read"):
            list_shots(broken)
