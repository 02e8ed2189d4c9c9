"""One configuration file of the user, run once in a process of its own."""

from __future__ import annotations

import ast
import json
import subprocess
import sys
import tempfile
import threading
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

# Python 3.11's parser keeps one count of depth for all threads and fails when two parse at once.
_PARSING = threading.Lock()

SCRIPT = Path(__file__).with_name("run_user_file.py")
TIME_LIMIT_SECONDS = 30.0


@dataclass(frozen=True)
class UserFile:
    """What a file sets.

    Attributes:
        path: the file.
        values: its parameters in terms of JSON, unchecked.
        lines: the line of the last assignment to each name.
        problems: what went wrong while it ran: line (None: not known), parameter ("": none) and message.
    """

    path: Path
    values: dict[str, Any] = field(default_factory=dict)
    lines: dict[str, int] = field(default_factory=dict)
    problems: tuple[tuple[int | None, str, str], ...] = ()

    @property
    def failed(self) -> bool:
        """Whether it gave nothing because running it failed."""
        return any(not parameter for _, parameter, _ in self.problems)


def run_user_file(path: Path, time_limit: float = TIME_LIMIT_SECONDS) -> UserFile:
    """Runs a configuration file, isolated from this process and its environment.

    Args:
        path: the file.
        time_limit: seconds after which it is stopped.

    Returns:
        What it sets; trouble is in `problems`, nothing is raised for it.
    """
    with tempfile.TemporaryDirectory(prefix="a2f_config_") as folder:
        result = Path(folder, "result.json")
        command = [sys.executable, "-I", str(SCRIPT), str(path), str(result)]
        try:
            # What the user's code prints goes to standard error: standard output belongs to the stage.
            done = subprocess.run(command, stdin=subprocess.DEVNULL, stdout=2, timeout=time_limit, check=False)
        except subprocess.TimeoutExpired:
            return UserFile(path, problems=((None, "", f"still running after {time_limit:g} s, stopped"),))
        if not result.is_file():
            ended = f"its process ended with status {done.returncode} before it gave a result"
            return UserFile(path, problems=((None, "", ended),))
        answer = json.loads(result.read_text(encoding="utf-8"))
    problems = tuple((line, name, text) for line, name, text in answer["problems"])
    return UserFile(path, answer["values"], _assignment_lines(path), problems)


def _assignment_lines(path: Path) -> dict[str, int]:
    """The line of the last assignment to each name of a file; empty for a file that is no Python."""
    try:
        with _PARSING:
            tree = ast.parse(path.read_bytes())
    except (SyntaxError, ValueError, OSError):
        return {}
    stores = (node for node in ast.walk(tree) if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store))
    return {node.id: node.lineno for node in sorted(stores, key=lambda node: node.lineno)}
