"""A small framework of its own: the real launcher, and one stage that a test writes."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[2]


def make_framework(folder: Path) -> Path:
    """Copies the launcher and returns the folder."""
    shutil.copytree(ROOT / "tools", folder / "tools", ignore=shutil.ignore_patterns("example_head", "web"))
    shutil.copy(ROOT / "run_quickstart.py", folder)
    (folder / "runners").mkdir()
    (folder / "audio2face").symlink_to(ROOT / "audio2face")
    return folder


def launcher_environment(**variables: str) -> dict[str, str]:
    """This process's environment without settings of a user's; this Python is the prepared one."""
    clean = {name: value for name, value in os.environ.items() if not name.startswith("A2F_")}
    return {**clean, "A2F_IN_CONTAINER": "1", **variables}


def start(framework: Path, stage_code: str, **variables: str) -> subprocess.Popen[str]:
    """Starts the quickstart of a small framework, whose stage is `stage_code`."""
    (framework / "runners" / "run_quickstart.py").write_text(stage_code)
    return subprocess.Popen(
        [sys.executable, str(framework / "run_quickstart.py")],
        env=launcher_environment(**variables),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
