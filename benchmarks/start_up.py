"""How long a host script takes before its stage begins, and what the import of the animate command costs.

    .venv/bin/python -m benchmarks.start_up

Starts `run_tests.py --version` (the launcher, then pytest printing its version) and the same pytest without the
launcher, several times each, and prints the medians and their difference: the launcher's overhead. Then it measures the
processor time of a process that imports the animate command: what animating costs before any work.
"""

from __future__ import annotations

import statistics
import subprocess
import sys
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
REPEATS = 5


def median_seconds(command: list[str]) -> float:
    """Median wall time of a command in seconds, over `REPEATS` runs after one that warms the caches."""
    times = []
    for _ in range(REPEATS + 1):
        began = time.perf_counter()
        subprocess.run(command, cwd=ROOT, stdout=subprocess.DEVNULL, check=True)
        times.append(time.perf_counter() - began)
    return statistics.median(times[1:])


def import_seconds(module: str) -> float:
    """Median processor time in seconds of a process that imports a module, interpreter included."""
    code = f"import time, {module}; print(time.process_time())"
    command = [str(ROOT / ".venv/bin/python"), "-c", code]
    runs = [subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True) for _ in range(REPEATS + 1)]
    return statistics.median(float(run.stdout) for run in runs[1:])


def main() -> int:
    launched = median_seconds([sys.executable, "run_tests.py", "--version"])
    direct = median_seconds([str(ROOT / ".venv/bin/python"), "-m", "pytest", "--version"])
    print(f"with the launcher {launched:.2f} s, without {direct:.2f} s, overhead {launched - direct:.2f} s")
    print(f"import of audio2face.cli.animate: {import_seconds('audio2face.cli.animate'):.2f} s of processor time")
    return 0


if __name__ == "__main__":
    sys.exit(main())
