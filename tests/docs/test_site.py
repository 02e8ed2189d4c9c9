"""The documentation builds into a site without a warning, links lead somewhere, and quoted messages exist."""

from __future__ import annotations

import ast
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from snippets import PAGES, ROOT

LINK = re.compile(r"(?<!`)\[[^\]`]*\]\((?P<target>[^)\s]+)\)")
MESSAGES = ROOT / "docs" / "troubleshooting.md"
QUOTED = re.compile(r'^(?:###|\|) "(?P<message>.*?)"', re.MULTILINE)


def test_the_site_builds_without_a_warning(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "sphinx", "-W", "-n", "-q", "--keep-going", "docs", str(tmp_path / "site")]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    pages = {page.stem for page in PAGES if page.parent.name == "docs"}
    assert {path.stem for path in (tmp_path / "site").glob("*.html")} >= pages


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_links_to_files_lead_somewhere(page: Path) -> None:
    for match in LINK.finditer(page.read_text(encoding="utf-8")):
        path = match["target"].partition("#")[0]
        if path and "://" not in path:
            assert (page.parent / path).exists(), match["target"]


def messages_of(source: Path) -> Iterator[str]:
    """The texts of a module; what is filled in later stands as …."""
    for node in ast.walk(ast.parse(source.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Constant) and isinstance(node.value, str):
            yield re.sub(r"\{[^{}]*\}", "…", node.value)
        if isinstance(node, ast.JoinedStr):
            parts = [part.value if isinstance(part, ast.Constant) else "…" for part in node.values]
            yield "".join(map(str, parts))


def plain(text: str) -> str:
    """Words only: names are quoted in messages, and punctuation stands where something is filled in."""
    return " ".join(re.findall(r"[\w']+", text.replace("'", "")))


def test_quoted_messages_are_said_somewhere() -> None:
    sources = [path for folder in ("audio2face", "tools", "runners") for path in (ROOT / folder).rglob("*.py")]
    said = [plain(message) for source in sources for message in messages_of(source)]
    quoted = QUOTED.findall(MESSAGES.read_text(encoding="utf-8"))
    assert len(quoted) > 30
    for message in quoted:
        for piece in filter(None, map(plain, message.split("…"))):
            assert any(piece in text for text in said), (message, piece)
