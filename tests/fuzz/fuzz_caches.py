"""Coverage-guided fuzzing of the animation cache readers, on demand.

    python -m pip install atheris
    python tests/fuzz/fuzz_caches.py mc --seconds 60        (or mcx, pc2, mdd)

Every input must give a FileFormatError or a well-formed array; anything else ends the run with the input in a file
`crash-*` in the current folder. A slow input (over a second) and one that takes memory ends it as well.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from pathlib import Path

try:
    import atheris
except ImportError:
    sys.exit("This needs atheris, which is not installed. Run: python -m pip install atheris")

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))
with atheris.instrument_imports(include=["audio2face.geometry"]):
    from audio2face.geometry import open_cache, write_cache, write_maya

import numpy as np

from audio2face.errors import FileFormatError

KINDS = ("mc", "mcx", "pc2", "mdd")
MOST_MEMORY_MB = 512


def write_sound(folder: Path, kind: str, frames: np.ndarray) -> tuple[Path, Path]:
    """Writes a sound cache; returns the file to open and the file to damage."""
    if kind in ("mc", "mcx"):
        write_maya(folder / "a.xml", frames, fps=30, wide=kind == "mcx")
        return folder / "a.xml", folder / f"a.{kind}"
    write_cache(folder / f"a.{kind}", frames, fps=30)
    return folder / f"a.{kind}", folder / f"a.{kind}"


def main() -> None:
    parser = argparse.ArgumentParser(description="Fuzzes one cache reader.")
    parser.add_argument("kind", choices=KINDS)
    parser.add_argument("--seconds", type=int, default=60)
    chosen = parser.parse_args()
    shared_memory = Path("/dev/shm")
    with tempfile.TemporaryDirectory(dir=shared_memory if shared_memory.is_dir() else None) as name:
        folder = Path(name)
        seeds = folder / "seeds"
        for number, shape in enumerate([(1, 1, 3), (3, 2, 3), (2, 5, 3)]):
            _, sound = write_sound(folder / str(number), chosen.kind, np.ones(shape))
            seeds.mkdir(exist_ok=True)
            (seeds / str(number)).write_bytes(sound.read_bytes())
        path, data = write_sound(folder, chosen.kind, np.ones((2, 2, 3)))

        def one_input(content: bytes) -> None:
            data.write_bytes(content)
            try:
                cache = open_cache(path)
            except FileFormatError:
                return
            frames = cache.read(0, cache.num_frames)
            assert frames.shape == cache.shape
            assert frames.nbytes <= 4 * len(content)

        limits = [f"-max_total_time={chosen.seconds}", "-timeout=1", f"-rss_limit_mb={MOST_MEMORY_MB}", "-max_len=4096"]
        atheris.Setup([sys.argv[0], *limits, str(seeds)], one_input)
        atheris.Fuzz()


if __name__ == "__main__":
    main()
