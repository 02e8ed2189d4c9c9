"""What --audio names: each recording once, with an output of its own inside the output folder."""

from __future__ import annotations

import os
import string
import tempfile
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from audio2face.cli.recordings import Recording, collect, is_single_file
from audio2face.errors import UserError
from audio2face.outputs import RECORD_FILE


@pytest.fixture
def takes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder of recordings, which is the current folder's."""
    monkeypatch.chdir(tmp_path)
    for name in ("b.wav", "a b.FLAC", "day 1/ünï.wav", "day 1/notes.txt", "day2/x/c.mov", "day2/x/c.wav", ".b.wav"):
        file = tmp_path / "takes" / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(b"sound")
    return tmp_path / "takes"


def found(*words: str, output: Path | None = None) -> list[tuple[str, str]]:
    recordings = collect(words, Path("datasets"), output)
    return [(recording.path.name, recording.subfolder.as_posix()) for recording in recordings]


ALL = [("a b.FLAC", "."), ("b.wav", "."), ("ünï.wav", "day 1"), ("c.mov", "day2/x"), ("c.wav", "day2/x")]


@pytest.mark.parametrize(
    "word", ["takes", "takes/", "./takes/../takes", "takes/*", "takes/**", "takes/**/*", "@all.txt"]
)
def test_all_of_a_folder(takes: Path, word: str) -> None:
    Path("all.txt").write_text("# all takes\n\n  takes\n", encoding="utf-8")
    assert found(word) == ALL


@pytest.mark.parametrize(
    ("pattern", "names"),
    [
        ("takes/*.wav", ["b.wav"]),
        ("takes/**/*.wav", ["b.wav", "ünï.wav", "c.wav"]),
        ("takes/day*/*.wav", ["ünï.wav"]),
        ("takes/day?/x", ["c.mov", "c.wav"]),
        ("takes/**/x/*.[!w]*", ["c.mov"]),
        ("t*/day2", ["c.mov", "c.wav"]),
    ],
)
def test_patterns(takes: Path, pattern: str, names: list[str]) -> None:
    assert [name for name, _ in found(pattern)] == names


def test_a_file_may_look_like_a_pattern_or_a_list(takes: Path) -> None:
    for name in ("[1].wav", "@x.wav", "speech"):
        Path(name).write_bytes(b"sound")
    assert found("[1].wav", "@x.wav", "speech") == [("[1].wav", "."), ("@x.wav", "."), ("speech", ".")]


def test_lists(takes: Path) -> None:
    (takes / "list.txt").write_text("b.wav\r\nday 1\ngone.wav\n", encoding="utf-8-sig")
    assert found("@takes/list.txt") == [("b.wav", "."), ("ünï.wav", "."), ("gone.wav", ".")]


@pytest.mark.parametrize(
    ("word", "problem"),
    [
        ("gone.wav", "no such audio file"),
        ("takes/*.mp3", "no recording matches 'takes/\\*.mp3'"),
        ("gone/*", "no recording matches"),
        ("empty", "contains no recordings"),
        ("@gone.txt", "the list cannot be read"),
        ("@empty.txt", "the list is empty"),
        ("@takes/b.wav", "the list names another list"),
        ("@latin.txt", "not a list of paths in UTF-8"),
    ],
)
def test_arguments_that_name_nothing(takes: Path, word: str, problem: str) -> None:
    Path("empty").mkdir()
    Path("empty.txt").write_text("# nothing\n")
    Path("latin.txt").write_bytes(b"\xe9.wav")
    (takes / "b.wav").write_text("@more.txt\n")
    with pytest.raises(UserError, match=problem):
        found("takes/b.wav", word)


def test_each_file_is_found_once(takes: Path) -> None:
    (takes / "link.wav").symlink_to(takes / "b.wav")
    (takes / "day2" / "round").symlink_to(takes)
    (takes / "day2" / "again").symlink_to(takes / "day 1")
    (takes / "self.wav").symlink_to(takes / "self.wav")
    expected = [name for name, _ in ALL]
    assert [name for name, _ in found("takes/b.wav", "takes", "takes/**/*.wav", str(takes)) if name != "self.wav"] == [
        "b.wav", "a b.FLAC", *expected[2:]
    ]  # fmt: skip


def test_outputs_are_no_recordings(takes: Path) -> None:
    for folder in ("earlier", "output"):
        (takes / folder).mkdir()
        (takes / folder / "d.wav").write_bytes(b"sound")
    (takes / "earlier" / RECORD_FILE).write_text("{}")
    assert found("takes", output=takes / "output") == ALL
    assert found("takes", output=takes) == [*ALL, ("d.wav", "output")]
    assert found("takes/earlier") == [("d.wav", ".")]


def test_a_single_file(takes: Path) -> None:
    datasets = takes
    assert is_single_file(["takes/b.wav"], datasets)
    assert is_single_file(["day2/x/c.wav"], datasets)
    for words in (["takes"], ["takes/*.wav"], ["@b.wav"], ["takes/b.wav", "takes/b.wav"]):
        assert not is_single_file(words, datasets)


NAMES = st.text(st.sampled_from(string.ascii_letters + " .é*[?@-"), min_size=1, max_size=5).filter(
    lambda name: name.strip(". ") != ""
)
TREES = st.lists(st.lists(NAMES, min_size=1, max_size=3), min_size=1, max_size=8)


@settings(max_examples=40, deadline=None)
@given(tree=TREES, words=st.lists(st.sampled_from([".", "*", "**/*", "**", "*/*"]), min_size=1, max_size=3))
def test_outputs_are_unique_and_inside(tree: list[list[str]], words: list[str]) -> None:
    """Whatever the names are: no output is another's, and none leads out of the output folder."""
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder) / "takes"
        for *parents, name in tree:
            file = root.joinpath(*(f"d{part}" for part in parents), f"{name}.wav")
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_bytes(b"sound")
        recordings: list[Recording] = []
        try:
            recordings = collect([f"{root}/{word}" for word in words], root)
        except UserError as error:
            assert "no recording matches" in str(error) or "contains no recordings" in str(error)  # noqa: PT017
        outputs = [recording.subfolder / recording.path.stem for recording in recordings]
        assert len({recording.path for recording in recordings}) == len(recordings)
        assert len(set(outputs)) == len(outputs)
        for output in outputs:
            assert not output.is_absolute()
            assert ".." not in output.parts
            assert os.path.normpath(output) == str(output)
