"""How fast finished animations are written: every format, the video and a picture.

    .venv/bin/python -m benchmarks.export [--seconds 10] [--fps 60] [--size large|example] [FORMAT ...]

`large` is a synthetic face of the size of the reference's (24,002 skin and 5,602 tongue vertices, 52 and 16 blend
shapes); `example` is the example head in synthetic motion. Wall and processor seconds both count from the call to the
finished files, libraries loaded before. Peak memory is what the process took at most up to then, the animation itself
(mapped from files) excluded where the system reports it separately.
"""

from __future__ import annotations

import argparse
import resource
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
import soundfile
from rich.console import Console
from rich.table import Table

from audio2face.dataset.arkit_names import ARKIT_NAMES, TONGUE_NAMES
from audio2face.example.head import Head
from audio2face.export import FORMATS, Animation, BlendWeights, Surface
from audio2face.export.video import write_picture, write_video

Float32Array = npt.NDArray[np.float32]
SAMPLERATE = 16_000
BLOCK_FRAMES = 64


@dataclass(frozen=True)
class Taken:
    """What one export took.

    Attributes:
        name: of the format.
        wall: seconds.
        processor: seconds on all cores together.
        megabytes: of the files.
        peak_gb: resident memory of the process, the highest so far.
    """

    name: str
    wall: float
    processor: float
    megabytes: float
    peak_gb: float


def ball(rings: int, segments: int, radii: tuple[float, float, float]) -> tuple[Float32Array, npt.NDArray[np.int32]]:
    """An ellipsoid of `rings * segments + 2` vertices: positions and quadrilaterals, with triangles at the poles."""
    down = np.pi * np.arange(1, rings + 1) / (rings + 1)
    around = -2 * np.pi * np.arange(segments) / segments
    body = np.stack(
        [
            np.outer(np.sin(down), np.cos(around)),
            np.repeat(np.cos(down)[:, None], segments, axis=1),
            np.outer(np.sin(down), np.sin(around)),
        ],
        axis=-1,
    ).reshape(-1, 3)
    points = np.concatenate([body, [[0, 1, 0], [0, -1, 0]]]) * radii
    ring, column = np.meshgrid(np.arange(rings - 1), np.arange(segments), indexing="ij")
    beside = (column + 1) % segments
    quads = np.stack(
        [
            ring * segments + column,
            ring * segments + beside,
            (ring + 1) * segments + beside,
            (ring + 1) * segments + column,
        ],
        axis=-1,
    ).reshape(-1, 4)
    start = np.arange(segments)
    last, top = (rings - 1) * segments, rings * segments
    none = np.full(segments, -1)
    caps = [
        np.stack([np.full(segments, top), (start + 1) % segments, start, none], axis=1),
        np.stack([np.full(segments, top + 1), last + start, last + (start + 1) % segments, none], axis=1),
    ]
    return points.astype(np.float32), np.concatenate([quads, *caps]).astype(np.int32)


def bumps(points: Float32Array, count: int, seed: int) -> Float32Array:
    """Smooth local displacements `[count, verts, 3]`, each of a region of its own, up to a centimetre."""
    random = np.random.default_rng(seed)
    size = float(np.ptp(points, axis=0).max())
    centres = points[random.integers(0, len(points), count)]
    near = np.exp(-((points[None] - centres[:, None]) ** 2).sum(axis=-1) / (0.12 * size) ** 2)
    return (np.where(near > 1e-3, near, 0)[..., None] * random.uniform(-1, 1, (count, 1, 3))).astype(np.float32)


def curves(num_frames: int, count: int, fps: float, seed: int) -> Float32Array:
    """Weights between 0 and 1 that rise and fall a few times a second, `[frames, count]`."""
    random = np.random.default_rng(seed)
    time_s = np.arange(num_frames)[:, None] / fps
    waves = np.sin(2 * np.pi * random.uniform(0.3, 3, count) * time_s + random.uniform(0, 6, count))
    return np.clip(waves, 0, 1).astype(np.float32)


def moving(neutral: Float32Array, deltas: Float32Array, weights: Float32Array, file: Path) -> Float32Array:
    """Frames of a rig, with some motion that it does not have, mapped from a file."""
    frames = np.memmap(file, np.float32, "w+", shape=(len(weights), *neutral.shape))
    surplus = bumps(neutral, 6, 99).reshape(6, -1) * 0.1
    other = curves(len(weights), 6, 30.0, 98)
    for first in range(0, len(weights), BLOCK_FRAMES):
        cut = slice(first, first + BLOCK_FRAMES)
        moved = weights[cut] @ deltas.reshape(len(deltas), -1) + other[cut] @ surplus
        frames[cut] = moved.reshape(-1, *neutral.shape) + neutral
    frames.flush()
    return np.memmap(file, np.float32, "r", shape=frames.shape)


def synthetic(size: str, seconds: float, fps: float, folder: Path) -> Animation:
    """A face in motion, with a recording."""
    num_frames = round(seconds * fps)
    if size == "large":
        skin, skin_faces = ball(120, 200, (8.0, 12.0, 9.0))
        tongue, tongue_faces = ball(70, 80, (2.0, 1.0, 3.0))
        skin_deltas, tongue_deltas = bumps(skin, len(ARKIT_NAMES), 1), bumps(tongue, len(TONGUE_NAMES), 2)
        parts: dict[str, npt.NDArray[np.generic]] = {}
    else:
        head = Head.open("ada")
        skin, skin_faces, skin_deltas = head.skin_part.vertices, head.skin_part.faces, head.skin_shapes
        tongue, tongue_faces, tongue_deltas = head.tongue_part.vertices, head.tongue_part.faces, head.tongue_shapes
        parts = {"extra_skin_colours": head.skin_part.colours, "extra_eye_centres": head.eye_centres}
        for name, part in (("upper_teeth", head.upper_teeth_part), ("lower_teeth", head.lower_teeth_part)):
            parts |= {
                f"extra_{name}_vertices": part.vertices,
                f"extra_{name}_faces": part.faces,
                f"extra_{name}_colours": part.colours,
            }
        parts |= {"eye_upper": head.eye_dist["upper"], "eye_lower": head.eye_dist["lower"]}
    skin_weights = curves(num_frames, len(skin_deltas), fps, 3) * np.float32(0.4)
    tongue_weights = curves(num_frames, len(tongue_deltas), fps, 4)
    soundfile.write(
        folder / "sound.wav", 0.1 * np.random.default_rng(5).standard_normal(round(seconds * SAMPLERATE)), SAMPLERATE
    )
    return Animation(
        actor=size,
        fps=fps,
        skin=Surface(skin, moving(skin, skin_deltas, skin_weights, folder / "skin"), skin_faces),
        tongue=Surface(tongue, moving(tongue, tongue_deltas, tongue_weights, folder / "tongue"), tongue_faces),
        jaw=np.tile(np.eye(4, dtype=np.float32), (num_frames, 1, 1)),
        eyes=(20 * curves(num_frames, 4, fps, 6) - 10).astype(np.float32),
        emotions=("joy",),
        emotion=curves(num_frames, 1, fps, 7),
        skin_weights=BlendWeights(ARKIT_NAMES, skin_weights, skin, skin_deltas),
        tongue_weights=BlendWeights(TONGUE_NAMES, tongue_weights, tongue, tongue_deltas),
        parts=parts,
        audio=folder / "sound.wav",
    )


def measure(animation: Animation, folder: Path, names: list[str]) -> list[Taken]:
    """Writes an animation in each of the formats, "video" and "picture" among them, once."""
    writers: dict[str, Callable[[Path], object]] = {
        "video": lambda out: write_video(animation, out / "x.mp4"),
        "picture": lambda out: write_picture(animation, animation.num_frames // 2, out / "x.png"),
    }
    found = []
    for name in names:
        out = folder / name
        if name not in writers:
            chosen = FORMATS[name]
            writers[name] = lambda out, chosen=chosen: chosen.write(animation, out, "x")  # type: ignore[misc]
        wall, processor = time.perf_counter(), time.process_time()
        writers[name](out)
        wall, processor = time.perf_counter() - wall, time.process_time() - processor
        megabytes = sum(file.stat().st_size for file in out.iterdir()) / 1e6
        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e6
        found.append(Taken(name, wall, processor, megabytes, peak))
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description="Times the exports of a finished animation.")
    parser.add_argument("formats", nargs="*", metavar="FORMAT", help=f"of {', '.join(FORMATS)}, video, picture")
    parser.add_argument("--seconds", type=float, default=10.0)
    parser.add_argument("--fps", type=float, default=60.0)
    parser.add_argument("--size", choices=("large", "example"), default="large")
    parser.add_argument("--folder", type=Path, help="where the files are made; default: the system's temporary folder")
    chosen = parser.parse_args()
    names = chosen.formats or [*FORMATS, "video", "picture"]
    with tempfile.TemporaryDirectory(dir=chosen.folder) as folder:
        warm = Path(folder) / "warm"
        warm.mkdir()
        measure(synthetic("example", 0.1, 30.0, warm), warm, names)
        animation = synthetic(chosen.size, chosen.seconds, chosen.fps, Path(folder))
        taken = measure(animation, Path(folder), names)
    title = f"{animation.num_frames} frames, {animation.skin.num_verts} skin vertices"
    table = Table("export", "s", "processor s", "frames/s", "of processor", "MB", "peak GB", title=title)
    for row in taken:
        rates = (animation.num_frames / row.wall, animation.num_frames / row.processor)
        if row.name == "picture":
            rates = (1 / row.wall, 1 / row.processor)
        figures = (row.wall, row.processor, *rates, row.megabytes, row.peak_gb)
        table.add_row(row.name, *(f"{figure:.2f}" if figure < 100 else f"{figure:.0f}" for figure in figures))
    Console().print(table)


if __name__ == "__main__":
    main()
