"""Atomic files and the JSON style, without which nothing saved could be trusted."""

from __future__ import annotations

import json
import pickle
import resource
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from audio2face.errors import FileFormatError, UserError
from audio2face.io import atomic

ROOT = Path(__file__).parents[2]
json_values = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**40), 2**40)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(),
    lambda inner: st.lists(inner, max_size=5) | st.dictionaries(st.text(), inner, max_size=5),
    max_leaves=20,
)


def names_in(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def test_a_failure_leaves_the_old_file_and_nothing_else(tmp_path: Path) -> None:
    target = tmp_path / "a.json"
    atomic.write_text(target, "old")
    with pytest.raises(RuntimeError, match="stop"), atomic.atomic_write(target) as handle:
        handle.write(b"half")
        raise RuntimeError("stop")
    assert target.read_text() == "old"
    assert names_in(tmp_path) == ["a.json"]


def test_disk_full_is_one_clear_error(tmp_path: Path) -> None:
    code = (
        "import numpy as np, sys; from pathlib import Path\n"
        "from audio2face import errors; from audio2face.io import atomic\n"
        "try: atomic.write_npy(Path(sys.argv[1]) / 'a.npy', np.zeros(100_000))\n"
        "except errors.UserError as error: print(error); raise SystemExit(3)\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, str(tmp_path)],
        cwd=ROOT,
        capture_output=True,
        text=True,
        preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (4096, 4096)),
    )
    assert done.returncode == 3, done.stderr
    assert "a.npy" in done.stdout
    assert "could not be written" in done.stdout
    assert names_in(tmp_path) == []


def test_a_parent_that_is_a_file_is_one_clear_error(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(UserError, match="could not be written"):
        atomic.write_text(tmp_path / "file" / "inside.txt", "x")


def test_arrays_are_plain_uncompressed_and_c_ordered(tmp_path: Path) -> None:
    fortran = np.asfortranarray(np.arange(12, dtype=np.float32).reshape(3, 4))
    atomic.write_npz(tmp_path / "a.npz", {"b": fortran, "a": np.array(["x"], "S")})
    with np.load(tmp_path / "a.npz", allow_pickle=False) as loaded:
        assert loaded.files == ["b", "a"]
        assert loaded["b"].flags.c_contiguous
        np.testing.assert_array_equal(loaded["b"], fortran)
    with pytest.raises(ValueError, match="pickle"):
        atomic.write_npy(tmp_path / "o.npy", np.array([{}]))
    assert names_in(tmp_path) == ["a.npz"]


@given(json_values)
def test_pretty_json_keeps_the_value(value: object) -> None:
    assert json.loads(atomic.pretty_json(value)) == value


def test_pretty_json_is_the_references_style(reference_data: Path) -> None:
    text = (reference_data / "preproc" / "expected" / "deploy" / "data_info.json").read_text()
    assert atomic.pretty_json(json.loads(text)) == text
    assert atomic.pretty_json({"a": [1, 2.5, True], "b": ["x"], "c": [], "d": [1, None]}) == (
        '{\n    "a": [1, 2.5, true],\n    "b": [\n        "x"\n    ],\n    "c": [],\n    "d": [1, null]\n}'
    )


def test_errors_pass_between_processes() -> None:
    error = FileFormatError("is cut", path="a.mc", offset=12, hint="Export it again.")
    copy = pickle.loads(pickle.dumps(error))
    assert (type(copy), str(copy), copy.path, copy.offset) == (FileFormatError, str(error), error.path, 12)


def test_modules_of_tests_have_different_names() -> None:
    """Folders of tests are no packages, so that pytest would collect one of two such modules only."""
    folders: dict[str, list[Path]] = {}
    for path in sorted((ROOT / "tests").rglob("test_*.py")):
        if not (path.parent / "__init__.py").exists():
            folders.setdefault(path.name, []).append(path)
    assert not [paths for paths in folders.values() if len(paths) > 1]
