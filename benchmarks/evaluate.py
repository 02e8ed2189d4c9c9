"""How long does a whole report take?

    .venv/bin/python -m benchmarks.evaluate quickstart-diffusion latest datasets/example/ada

Takes a configuration, a training run, and a raw data set folder of the same mesh, of which it links the first shots of
60 seconds in all into a temporary folder. `evaluate --on` runs on it in a process of its own, once in full and once
with `--quick`, each into a new folder. Printed are seconds by the clock, and of processors in all processes. The target
for the quickstart's model on two cores is 40 seconds for the full report.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from audio2face.audio import read_header
from audio2face.dataset.shots import list_recordings

SECONDS = 60.0


def link_shots(source: Path, target: Path, seconds: float) -> tuple[int, float]:
    """Links the first shots of a data set; returns their number and length."""
    (target / "audio").mkdir(parents=True)
    total, count = 0.0, 0
    for name, paths in list_recordings(source / "audio").items():
        if total >= seconds:
            break
        total, count = total + read_header(paths[0]).duration, count + 1
        (target / "audio" / paths[0].name).symlink_to(paths[0].resolve())
        for part in ("cache/skin", "cache/tongue"):
            if (source / part / name).is_dir():
                (target / part).mkdir(parents=True, exist_ok=True)
                (target / part / name).symlink_to((source / part / name).resolve())
    for part in ("phonemes", "xform"):
        if (source / part).is_dir():
            (target / part).symlink_to((source / part).resolve())
    return count, total


def measure(words: list[str]) -> tuple[float, float]:
    """Runs `evaluate` with arguments; returns seconds by the clock and of processors."""
    began, before = time.perf_counter(), os.times()
    subprocess.run([sys.executable, "-m", "audio2face", "-q", "evaluate", *words], check=True)
    after = os.times()
    spent = after.children_user + after.children_system - before.children_user - before.children_system
    return time.perf_counter() - began, spent


def main() -> None:
    """Prints the times."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("config_name", help="name of a configuration")
    parser.add_argument("run", help="training run")
    parser.add_argument("folder", type=Path, help="raw data set folder with audio/ and cache/")
    args = parser.parse_args()
    with tempfile.TemporaryDirectory() as temporary:
        shots = Path(temporary) / "shots"
        count, seconds = link_shots(args.folder, shots, SECONDS)
        print(f"{count} recordings, {seconds:.0f} s, {os.cpu_count()} cores")
        for name, options in (("full", []), ("quick", ["--quick"])):
            words = [args.config_name, args.run, "--on", str(shots), "--to", str(Path(temporary) / name), *options]
            clock, spent = measure(words)
            print(f"{name:<6} {clock:6.1f} s by the clock, {spent:6.1f} s of processors", flush=True)


if __name__ == "__main__":
    main()
