"""Messages with text of hostile configurations or files are short and free of terminal commands."""

from __future__ import annotations

import logging
from pathlib import Path

import pytest

from audio2face.config import Roots, load
from audio2face.console import start_logging
from audio2face.errors import FileFormatError, UserError, printable

NOT_PRINTABLE = "\x1b[2J\x1b]0;owned\x07\x85\u202e\ud800\r"

HOSTILE_FILES = (
    "raise ValueError({text!r} * 100_000)",
    "raise type({text!r} * 100_000, (Exception,), {{}})()",
    "globals()['A' + {text!r} * 100_000] = 1",
    "for number in range(20_000): globals()['A' + {text!r} + str(number)] = 1",
    "ACTOR_NAMES = [{text!r} * 100_000]",
    "ACTOR_NAMES = [{text!r} + str(number) for number in range(20_000)]",
    "CACHE_FPS = {{{text!r} * 100_000: 30.0}}",
    "AUDIO_ROOT = {{'a': {text!r} * 100_000}}",
    "SHOT_EMOTION_MAP = [({text!r} * 100_000,) * 3] * 100",
)


def load_dataset(folder: Path, text: str) -> None:
    config = folder / "configs" / "hostile"
    config.mkdir(parents=True)
    (config / "config_dataset.py").write_text(text, encoding="utf-8")
    roots = Roots(datasets=folder, workspace=folder)
    load("hostile", stage="check", roots=roots, configs_folder=config.parent)


@pytest.mark.parametrize("file", HOSTILE_FILES)
def test_hostile_configurations(tmp_path: Path, file: str) -> None:
    with pytest.raises(UserError) as caught:
        load_dataset(tmp_path, file.format(text=NOT_PRINTABLE.replace("\ud800", "")))
    assert len(str(caught.value)) < 30_000
    assert str(caught.value).replace("\n", "").isprintable()


@pytest.mark.parametrize(
    "name",
    [
        "..",
        "a/b",
        "a\\b",
        "a\0b",
        "a\nb",
        "",
        " ",
        "x" * 101,
        "ж" * 80,
        "a\u202eb",
        "con",
        "NUL.txt",
        "a.",
        ".a",
        "a:b",
    ],
)
def test_emotions_become_parts_of_files(tmp_path: Path, name: str) -> None:
    with pytest.raises(UserError, match=r"SHOT_EMOTION_NAMES\[1\]: should be a name"):
        load_dataset(tmp_path, f"SHOT_EMOTION_NAMES = ['neutral', {name!r}]")


def test_emotions_in_any_language(tmp_path: Path) -> None:
    load_dataset(tmp_path, "SHOT_EMOTION_NAMES = ['neutral', 'out of breath', 'šťastný', '喜び', 'very-sad_2']")


def test_errors_are_fit_for_a_terminal() -> None:
    error = FileFormatError(NOT_PRINTABLE * 10**6, path=f"a{NOT_PRINTABLE[:-1]}", hint=NOT_PRINTABLE)
    assert len(str(error)) < 100_000
    assert str(error).replace("\n", "").isprintable()
    assert "\\x1b[2J" in error.problem
    assert "characters omitted" in error.problem
    assert str(UserError("plain\nwords, ünïcode", hint="as they are")) == "plain\nwords, ünïcode\n  as they are"


def test_logs_are_fit_for_a_terminal(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    start_logging(tmp_path / "log.log")
    try:
        logging.getLogger("audio2face").warning("found %s", NOT_PRINTABLE)
    finally:
        logging.basicConfig(force=True)
    for text in (capsys.readouterr().out, (tmp_path / "log.log").read_text(encoding="utf-8")):
        assert "found \\x1b[2J" in text
        assert text.replace("\n", "").isprintable()


def test_printable_keeps_what_can_be_read() -> None:
    assert printable("a b\nñ喜") == "a b\nñ喜"
    assert printable("x" * 100, 20) == "x" * 10 + " ... (80 characters omitted) ... " + "x" * 10
