"""How long a host script takes before its stage begins, once the environment is prepared.

    .venv/bin/python -m benchmarks.start_up

Starts `run_tests.py --version` (the launcher, then pytest printing its version) and the same pytest without the
launcher, several times each, and prints the medians and their difference: the launcher's overhead.
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


def main() -> int:
    launched = median_seconds([sys.executable, "run_tests.py", "--version"])
    direct = median_seconds([str(ROOT / ".venv/bin/python"), "-m", "pytest", "--version"])
    print(f"with the launcher {launched:.2f} s, without {direct:.2f} s, overhead {launched - direct:.2f} s")
    return 0


if __name__ == "__main__":
    sys.exit(main())
