"""Writes requirements.lock and requirements-dev.lock from pyproject.toml (needs `uv`: pip install uv).

    python tools/update_lock.py

Both hold exact versions and hashes for Python 3.11 to 3.13 on every platform. torch itself is left out, because
which build of it is right depends on the machine (CPU, CUDA); what torch needs in pure Python is locked like the
rest, so that installing torch afterwards adds as little as possible.
"""

from __future__ import annotations

import subprocess
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
# The smaller lock is held to the versions of the larger one: an environment for tests serves the stages as well.
LOCKS = {"requirements-dev.lock": ["--extra", "dev"]}
LOCKS["requirements.lock"] = ["--extra", "all", "--constraint", "requirements-dev.lock"]
# Requirements of torch 2.13.0 that are plain Python packages.
TORCH_NEEDS = "filelock\nfsspec\njinja2\nnetworkx\nsympy\nsetuptools<82\n"


def main() -> int:
    with tempfile.TemporaryDirectory() as folder:
        without_torch = Path(folder, "without_torch.txt")
        without_torch.write_text("torch ; python_version < '0'\n", encoding="utf-8")
        torch_needs = Path(folder, "torch_needs.in")
        torch_needs.write_text(TORCH_NEEDS, encoding="utf-8")
        for lock, options in LOCKS.items():
            command = ["uv", "pip", "compile", "pyproject.toml", str(torch_needs), *options]
            command += ["--universal", "--python-version", "3.11", "--generate-hashes"]
            command += [
                "--override",
                str(without_torch),
                "--no-header",
                "--no-annotate",
                "--upgrade",
                "--quiet",
            ]
            subprocess.run([*command, "--output-file", lock], cwd=ROOT, check=True)
            print(f"wrote {lock}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
