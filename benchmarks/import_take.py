"""Speed and memory of an import: a take of Live Link Face of ten minutes at 60 frames per second on the example head.

    OMP_NUM_THREADS=1 .venv/bin/python -m benchmarks.import_take [MINUTES]

The take is a table of 36,000 rows and a recording at 48 kHz. Time counts everything of the command: reading, offset of
the sound, cutting, the tongue from speech, all meshes on the disk. Targets: 60 s on two cores, 1 GB of memory.
"""

from __future__ import annotations

import os
import resource
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
import soundfile

from audio2face.cli import import_data
from audio2face.dataset.arkit_names import LIVE_LINK_NAMES
from audio2face.export.arkit import timecode

FPS, SAMPLERATE = 60, 48_000


def make_take(folder: Path, seconds: int) -> Path:
    """A mouth that opens with a noise that swells three times a second."""
    rng = np.random.default_rng(0)
    header = ",".join(["Timecode", "BlendShapeCount", *LIVE_LINK_NAMES])
    rows = [header]
    for frame in range(seconds * FPS):
        values = np.full(len(LIVE_LINK_NAMES), 0.1 + 0.1 * np.sin(frame / 7))
        values[LIVE_LINK_NAMES.index("JawOpen")] = abs(np.sin(frame / FPS * 9))
        rows.append(f"{timecode(frame, FPS)},{len(LIVE_LINK_NAMES)}," + ",".join(f"{value:.9f}" for value in values))
    (folder / "take.csv").write_text("\n".join(rows))
    with soundfile.SoundFile(folder / "take.wav", "w", SAMPLERATE, 1, "PCM_16") as sound:
        for second in range(seconds):  # in blocks, so that this takes no memory
            times = second + np.arange(SAMPLERATE) / SAMPLERATE
            sound.write(0.1 * np.abs(np.sin(times * 9)) * rng.standard_normal(SAMPLERATE))
    return folder / "take.csv"


def anonymous_gigabytes() -> float:
    """Greatest memory of this process, without what is mapped from files where the system tells."""
    status = Path("/proc/self/status")
    if status.is_file():
        fields = dict(line.split(":", 1) for line in status.read_text().splitlines() if ":" in line)
        return float(fields["VmHWM"].split()[0]) / 1e6 - float(fields["RssFile"].split()[0]) / 1e6
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e6


def main() -> None:
    """Makes a take, imports it, and prints what that took."""
    minutes = float(sys.argv[1]) if len(sys.argv) > 1 else 10.0
    with tempfile.TemporaryDirectory() as name:
        home = Path(name)
        (home / "configs").mkdir()
        os.environ |= {"A2F_HOME": name, "A2F_DATASETS_ROOT": f"{name}/datasets", "A2F_WORKSPACE_ROOT": f"{name}/work"}
        take = make_take(home, round(60 * minutes))
        wall, processor = time.perf_counter(), time.process_time()
        import_data.main(["livelink", str(take), "--name", "bench", "-q"])
        wall, processor = time.perf_counter() - wall, time.process_time() - processor
        size = sum(path.stat().st_size for path in home.rglob("*.npy")) / 1e9
    print(
        f"{minutes:g} minutes at {FPS} frames/s, {size:.1f} GB of meshes: {wall:.1f} s, {processor:.1f} s of processor"
    )
    print(f"greatest anonymous memory: {anonymous_gigabytes():.2f} GB")


if __name__ == "__main__":
    main()
