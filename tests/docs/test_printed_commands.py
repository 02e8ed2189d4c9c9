"""Commands that stages print work as they are printed: each is found in the code and goes through its parser."""

from __future__ import annotations

import ast
import re
import shlex
from collections.abc import Iterator
from pathlib import Path

import pytest

from audio2face.cli import parsers

ROOT = Path(__file__).parents[2]
SOURCES = [path for folder in ("audio2face", "runners", "tools") for path in (ROOT / folder).rglob("*.py")]
_COMMAND = re.compile(r"python run_(?P<stage>[a-z]+)\.py(?P<words>[^\n`]*)")
_MENTION = re.compile(r"run_[a-z]+\.py")
_VALUE = "value"  # stands for what is filled in; a name that every parser takes
# Values that are several words, or none.
_FILLED = {
    "options": "",
    "devices": "",
    "args.devices": "2",
    "again": "python run_inference.py CONFIG RUN --audio speech.wav",
    "' '.join(formats)": " ".join(parsers.FORMATS),
    "other": "offline",
    "target.name": "261123_101500_run",
}


def texts(source: Path) -> Iterator[str]:
    """All texts of a file but its docstrings, with values filled in."""
    tree = ast.parse(source.read_text(encoding="utf-8"))
    inner: set[ast.AST] = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant):
            inner.add(node.value)
        if isinstance(node, ast.JoinedStr):
            inner |= set(ast.walk(node)) - {node}
    for node in ast.walk(tree):
        if isinstance(node, ast.JoinedStr):
            yield "".join(map(_filled, node.values))
        elif isinstance(node, ast.Constant) and isinstance(node.value, str) and node not in inner:
            yield node.value


def _filled(part: ast.expr) -> str:
    if isinstance(part, ast.Constant):
        return str(part.value)
    assert isinstance(part, ast.FormattedValue)
    return _FILLED.get(ast.unparse(part.value), _VALUE)


def printed() -> list[tuple[str, str, str]]:
    """Of each command its file, stage and arguments."""
    found = []
    for source in SOURCES:
        for text in texts(source):
            for match in _COMMAND.finditer(text):
                if match["stage"] != _VALUE:  # help, whose examples another test looks at
                    found.append((source.name, match["stage"], match["words"]))
    return found


def test_commands_are_found() -> None:
    stages = {(file, stage) for file, stage, _ in printed()}
    assert {("deploy.py", "inference"), ("stages.py", "deploy"), ("stages.py", "train")} <= stages
    assert {("quickstart.py", "inference"), ("run.py", "train"), ("raw_inference.py", "inference")} <= stages


@pytest.mark.parametrize(("file", "stage", "words"), printed())
def test_a_printed_command_is_understood(file: str, stage: str, words: str) -> None:
    args = parsers.parse(stage, shlex.split(words, comments=True))
    if stage == "inference":
        assert args.audio, "without a recording there is nothing to animate"


def test_every_mention_of_a_stage_is_a_whole_command() -> None:
    """Were it something else, the tests above would not see it."""
    for source in SOURCES:
        for text in texts(source):
            whole = len(_COMMAND.findall(text))
            is_start = re.fullmatch(r"(?:python3? )?run_[a-z{}]+\.py", text)  # put together elsewhere
            in_help = source.parent.name == "parsers" or source.name in ("docker.py", "start.py", "launch.py")
            assert is_start or in_help or len(_MENTION.findall(re.sub(" # .*", "", text))) == whole, (
                f"{source.name}: {text}"
            )
