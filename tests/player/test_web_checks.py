"""The page's own program: types and lint, as TypeScript and ESLint find them."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest

CHECKS = Path(__file__).parents[2] / "tools" / "web"


def test_types_and_lint() -> None:
    npm = shutil.which("npm")
    if npm is None or not (CHECKS / "node_modules").is_dir():
        pytest.skip("npm or the packages of tools/web are missing: install Node.js, then run npm ci in tools/web")
    done = subprocess.run([npm, "run", "check"], cwd=CHECKS, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
