"""Runs a configuration file of the user in a separate process."""

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

# Python 3.11's parser shares one depth counter among all threads and fails when two parse at once.
_PARSING = threading.Lock()

SCRIPT = Path(__file__).with_name("run_user_file.py")
TIME_LIMIT_SECONDS = 30.0


@dataclass(frozen=True)
class UserFile:
    """The values that a file sets.

    Attributes:
        path: the file.
        values: its parameters in JSON types, unchecked.
        lines: the line of the last assignment to each name.
        problems: errors of running it: line (None: unknown), parameter ("": none) and message.
    """

    path: Path
    values: dict[str, Any] = field(default_factory=dict)
    lines: dict[str, int] = field(default_factory=dict)
    problems: tuple[tuple[int | None, str, str], ...] = ()

    @property
    def failed(self) -> bool:
        """Whether running the file failed."""
        return any(not parameter for _, parameter, _ in self.problems)


def run_user_file(path: Path, time_limit: float = TIME_LIMIT_SECONDS) -> UserFile:
    """Runs a configuration file, isolated from this process and its environment; its errors become `problems`.

    Args:
        path: the file.
        time_limit: seconds after which it is stopped.

    Returns:
        The values of the file and its problems.
    """
    with tempfile.TemporaryDirectory(prefix="a2f_config_") as folder:
        result = Path(folder, "result.json")
        command = [sys.executable, "-I", str(SCRIPT), str(path), str(result)]
        try:
            # Output of the user's code goes to standard error: standard output belongs to the stage.
            done = subprocess.run(command, stdin=subprocess.DEVNULL, stdout=2, timeout=time_limit, check=False)
        except subprocess.TimeoutExpired:
            return UserFile(path, problems=((None, "", f"still running after {time_limit:g} s, stopped"),))
        if not result.is_file():
            ended = f"its process ended with status {done.returncode} before it returned a result"
            return UserFile(path, problems=((None, "", ended),))
        answer = json.loads(result.read_text(encoding="utf-8"))
    problems = tuple((line, name, text) for line, name, text in answer["problems"])
    return UserFile(path, answer["values"], _assignment_lines(path), problems)


def _assignment_lines(path: Path) -> dict[str, int]:
    """Returns the line of the last assignment to each name of a file; empty if the file is not valid Python."""
    try:
        with _PARSING:
            tree = ast.parse(path.read_bytes())
    except (SyntaxError, ValueError, OSError):
        return {}
    stores = (node for node in ast.walk(tree) if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store))
    return {node.id: node.lineno for node in sorted(stores, key=lambda node: node.lineno)}
