"""The blocks of code in the documentation, and what is known of commands that a test cannot run."""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parents[2]
PAGES = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted((ROOT / "docs").glob("*.md"))]
_FENCE = re.compile(r"^(?P<indent> *)```(?P<language>[^\n`]*)\n(?P<text>.*?)^(?P=indent)```$", re.MULTILINE | re.DOTALL)

# First words of commands that are not ours and change or ask the user's system, with the reason why no test runs them.
NOT_RUN = {
    "sudo": "changes the user's system",
    "curl": "fetches from the internet",
    "git clone": "fetches from the internet",
    "docker run": "needs Docker's engine",
    "docker build": "needs Docker's engine",
    "sbatch": "needs a cluster with Slurm",
    "nvidia-smi": "needs an NVIDIA GPU",
    "explorer.exe": "needs Windows",
    "wsl": "needs Windows",
    "nano": "an editor",
    "cd": "where the next command is typed",
    "mkdir": "makes folders of the user",
    "pip install": "fetches packages from the internet",
    "pip wheel": "tests/stages/test_wheel.py builds it",
    "hf auth login": "asks for a token",
    "mayapy -m pip": "fetches packages from the internet",
    "npm ci": "fetches packages from the internet",
    "(cd tools/web": "fetches packages from the internet; a test of the player does it where npm is",
    ".venv/bin/tensorboard": "a server that does not end",
    ".venv/bin/pip install atheris": "fetches from the internet",
    ".venv/bin/python tests/fuzz/fuzz_caches.py": "needs atheris, which is not locked",
    ".venv/bin/python tests/fuzz/fuzz_serve.py": "needs atheris, which is not locked",
}
# What marks Python that cannot be run, with the reason; what it imports is imported all the same, except from Maya.
NOT_EXECUTED = {
    "import maya.cmds": "needs Maya",
    "subj_seq_to_idx.pkl": "needs the files of VOCASET",
    "write_page(animation": "needs a finished animation; tests/player write such pages",
}


@dataclass(frozen=True)
class Block:
    """A block of code."""

    page: Path
    line: int
    language: str
    text: str

    def __str__(self) -> str:
        return f"{self.page.name}:{self.line}"


def blocks(*languages: str) -> list[Block]:
    """The blocks of all pages in some languages, or in any."""
    found = [block for page in PAGES for block in _blocks_of(page)]
    return [block for block in found if not languages or block.language in languages]


def _blocks_of(page: Path) -> Iterator[Block]:
    text = page.read_text(encoding="utf-8")
    for match in _FENCE.finditer(text):
        indent = match["indent"]
        lines = [line.removeprefix(indent) for line in match["text"].splitlines()]
        line = text.count("\n", 0, match.start()) + 1
        yield Block(page, line, match["language"].strip(), "\n".join(lines) + "\n")


def commands(block: Block) -> list[list[str]]:
    """The commands of a block of shell, as words; what is piped or redirected belongs to its command."""
    joined = block.text.replace("\\\n", " ")
    return [words for line in joined.splitlines() if (words := shlex.split(line, comments=True))]


def why_not_run(words: list[str]) -> str | None:
    """The reason why a command is not run, where there is one."""
    line = " ".join(words)
    return next((reason for start, reason in NOT_RUN.items() if f"{line} ".startswith(f"{start} ")), None)
