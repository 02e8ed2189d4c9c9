"""The user's code runs in a process of its own, and all of its errors are reported."""

from __future__ import annotations

import os
import time
from pathlib import Path

import pytest

from audio2face.config.overlay import run_user_file


def _run(tmp_path: Path, text: str) -> tuple[dict[str, object], list[tuple[int | None, str, str]]]:
    path = tmp_path / "config_train.py"
    path.write_text(text, encoding="utf-8")
    user = run_user_file(path, time_limit=5.0)
    return user.values, list(user.problems)


def test_values_are_normalised_and_helpers_skipped(tmp_path: Path) -> None:
    values, problems = _run(
        tmp_path,
        "from __future__ import annotations\n"
        "import math, json as tool\nfrom pathlib import Path\nfrom typing import Literal\n"
        "_ROOT = Path('/datasets')\n"
        "def helper(): return 1\n"
        "class Thing: pass\n"
        "AUDIO_ROOT = {'ada': _ROOT / 'a'}\nCLIPS = [('ada', (0, 1))]\nX = helper()\n",
    )
    assert values == {"AUDIO_ROOT": {"ada": "/datasets/a"}, "CLIPS": [["ada", [0, 1]]], "X": 1}
    assert not problems


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("A = 1\nB = A / 0\n", (2, "", "running it failed: ZeroDivisionError: division by zero")),
        ("A = 1\nif\n", (2, "", "running it failed: SyntaxError: invalid syntax")),
        ("import sys\nsys.exit(0)\n", (2, "", "running it failed: SystemExit: 0")),
        ("import os\nos._exit(3)\n", (None, "", "its process ended with status 3 before it returned a result")),
        ("A = {1: 2}\n", (None, "A", "A: the key 1 is of type int, keys must be text")),
        ("A = [{'b': {1}}]\n", (None, "A", "A[0]['b']: a value of type set cannot be configured")),
        ("A = float('nan')\n", (None, "A", "A: nan is not a finite number")),
        ("A = 10 ** 5000\n", (None, "A", "A: the number is too large")),
        ("A = '\\ud800'\n", (None, "A", "A: the text is not valid Unicode")),
        ("RUN_NAME = lambda: 'x'\n", (None, "RUN_NAME", "RUN_NAME: a value of type function cannot be configured")),
        (
            "class Odd(str):\n    def __iter__(self): return 1 / 0\nA = Odd('x')\n",
            (2, "", "running it failed: ZeroDivisionError: division by zero"),
        ),
    ],
)
def test_failures_are_reported_with_their_place(tmp_path: Path, text: str, expected: tuple[object, ...]) -> None:
    assert _run(tmp_path, text)[1] == [expected]


def test_a_list_that_holds_itself_is_reported(tmp_path: Path) -> None:
    (_, name, text), *rest = _run(tmp_path, "A = []\nA.append(A)\n")[1]
    assert (name, rest) == ("A", [])
    assert "nested" in text


def test_a_file_that_never_ends_is_stopped(tmp_path: Path) -> None:
    path = tmp_path / "config_train.py"
    path.write_text("while True: pass\n", encoding="utf-8")
    began = time.monotonic()
    assert "still running" in run_user_file(path, time_limit=0.5).problems[0][2]
    assert time.monotonic() - began < 5


def test_the_file_touches_neither_this_process_nor_its_environment(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    (tmp_path / "json.py").write_text("raise SystemExit('hijacked')", encoding="utf-8")
    values, problems = _run(
        tmp_path,
        "import os, sys, json\nos.environ['A2F_TOUCHED'] = '1'\nsys.setrecursionlimit(99)\nPID = os.getpid()\n",
    )
    assert not problems
    assert values["PID"] != os.getpid()
    assert "A2F_TOUCHED" not in os.environ
