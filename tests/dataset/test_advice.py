"""What is said of files that are whole and hold something else: advice for what they are, not to export them again."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from audio2face.dataset.phoneme_times import read_phoneme_times
from audio2face.dataset.vertex_lists import VertexPairs, read_faces
from audio2face.errors import UserError
from audio2face.geometry import open_cache
from audio2face.io.arrays import Archive, read_json, read_points

RAGGED = np.array([np.zeros((5, 3), np.float32), np.zeros((4, 3), np.float32)], object)


def saved(path: Path, value: Any) -> Path:
    if path.suffix == ".npy":
        np.save(path, value, allow_pickle=True)
    elif path.suffix == ".npz":
        np.savez(path, s1=value)  # type: ignore[arg-type]
    else:
        path.write_text(value if isinstance(value, str) else json.dumps(value), encoding="utf-8")
    return path


def points(path: Path) -> object:
    return read_points(path, (None, 3))


def member(path: Path) -> object:
    return Archive.open(path).read_floats("s1", (None, 5, 3))


@pytest.mark.parametrize(
    ("name", "value", "read", "advice"),
    [
        ("a.npy", RAGGED, points, r"rows of different lengths.*np\.stack"),
        ("a.npy", RAGGED, open_cache, "the same vertices"),
        ("a.npy", RAGGED, read_faces, r"rows of different lengths.*np\.stack"),
        ("a.npz", RAGGED, member, r"rows of different lengths.*np\.stack"),
        ("a.npy", np.zeros((3, 7)), points, r"axes are in another order.*transpose"),
        ("a.npy", np.zeros(21), points, r"reshape\(-1, 3\)"),
        ("a.npy", np.zeros((0, 3)), points, "It is empty"),
        ("a.npy", np.zeros((7, 4)), points, "right file"),
        ("a.npy", np.array([["1", "2", "3"]]), points, r"astype\(numpy\.float32\)"),
        ("a.npz", np.zeros((2, 4, 3)), member, "right file"),
        ("a.npz", np.zeros((2, 5, 3), bool), member, r"astype\(numpy\.float32\)"),
        ("a.npy", np.zeros((2, 15), np.float32), open_cache, r"numpy\.stack\(frames\)"),
        ("a.json", '{"upper": [1, 2],}', read_json, "Correct it in a text editor"),
        ("a.json", {"upper": [[1], [2, 3]], "lower": [4, 5]}, VertexPairs.read, "one flat list of whole numbers"),
        ("a.json", {"upper": [1, 2], "lower": [4]}, VertexPairs.read, "Every vertex above"),
        ("a.json", [1, 2], VertexPairs.read, r'\{"upper": \.\.\., "lower": \.\.\.\}'),
        ("a.tsv", "0 1 a\n", read_phoneme_times, "separated by"),
        ("a.tsv", "start\tend\tphone\n2\t1\ta\n", read_phoneme_times, "Correct the times of that line"),
    ],
)
def test_advice_is_for_what_the_file_is(
    tmp_path: Path, name: str, value: Any, read: Callable[[Path], object], advice: str
) -> None:
    with pytest.raises(UserError) as caught:
        read(saved(tmp_path / name, value))
    hint = caught.value.hint or ""
    assert "once more" not in hint
    with pytest.raises(UserError, match=rf"(?s){advice}"):
        raise caught.value


def test_an_archive_names_what_it_has(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"no array named 's2'\n  Save one of that name; there are: 's1'"):
        Archive.open(saved(tmp_path / "a.npz", np.zeros(3))).read("s2")
