"""Speed and memory of an import: a take at 60 frames per second, of any length.

    OMP_NUM_THREADS=1 .venv/bin/python -m benchmarks.import_take [KIND] [MINUTES ...] [--scratch FOLDER]

KIND is `livelink` (a table on the example head, the default), or one of a face of 24,002 vertices: `arkit` (weights
that move it as a rig), `vertices` (an array), `gltf` (morph targets), `usd` (samples of points). Sound is at 48 kHz.
Time counts everything of the command: reading, offset of the sound, cutting, the tongue from speech, all meshes on the
disk. The command runs in a process of its own, whose anonymous memory is read every 5 ms (Linux). Targets: 10 minutes
of `livelink` in 60 s on two cores; 1 GB for 30 minutes on 24,000 vertices.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import numpy as np
import soundfile

from audio2face.animation.animation import Animation, BlendWeights, Surface
from audio2face.dataset.arkit_names import ARKIT_INDEX, ARKIT_NAMES, LIVE_LINK_NAMES
from audio2face.example.head import Head
from audio2face.export.arkit import timecode
from audio2face.geometry import write_cache
from audio2face.geometry.frames import blocks_of
from audio2face.geometry.mesh import triangulate
from audio2face.io.atomic import write_npz
from audio2face.types import Float32Array, Int32Array

FPS, SAMPLERATE = 60, 48_000
NUM_VERTS = 24_002
_POLL_SECONDS = 0.005


def weights_of(frames: int) -> Float32Array:
    """A mouth that opens three times a second and eyes that blink every three seconds, `[frames, 52]`."""
    times = np.arange(frames) / FPS
    weights = np.repeat(0.1 + 0.1 * np.sin(times[:, None] * 9), len(ARKIT_NAMES), axis=1)
    weights[:, ARKIT_INDEX["jawOpen"]] = np.abs(np.sin(times * 9))
    blink = np.exp(-(((times % 3 - 1) / 0.06) ** 2))
    for side in ("Left", "Right"):
        weights[:, ARKIT_INDEX[f"eyeBlink{side}"]] = blink
    return weights.astype(np.float32)


def write_sound(path: Path, seconds: int) -> None:
    """A noise that swells as the mouth opens; written in blocks, so that it takes no memory."""
    rng = np.random.default_rng(0)
    with soundfile.SoundFile(path, "w", SAMPLERATE, 1, "PCM_16") as sound:
        for second in range(seconds):
            times = second + np.arange(SAMPLERATE) / SAMPLERATE
            sound.write(0.1 * np.abs(np.sin(times * 9)) * rng.standard_normal(SAMPLERATE))


@dataclass(frozen=True, eq=False)
class FineHead:
    """The example head with more vertices.

    Attributes:
        neutral: float32 `[verts, 3]`.
        faces: int32 `[triangles, 3]`.
        shapes: float32 `[52, verts, 3]`.
    """

    neutral: Float32Array
    faces: Int32Array
    shapes: Float32Array

    @staticmethod
    @cache
    def make() -> FineHead:
        """Every triangle in four by the middles of its edges, and some of these in three by their centres."""
        head = Head.open("ada")
        coarse = triangulate(head.skin_part.faces)
        count = len(head.skin_part.vertices)
        ends = np.sort(coarse[:, [0, 1, 1, 2, 2, 0]].reshape(-1, 2), axis=1)
        edges, place = np.unique(ends, axis=0, return_inverse=True)
        (a, b, c), (ab, bc, ca) = coarse.T, (count + place.reshape(-1, 3)).T
        quarters = ((a, ab, ca), (ab, b, bc), (ca, bc, c), (ab, bc, ca))
        faces = np.concatenate([np.stack(corners, axis=1) for corners in quarters])
        split, whole = np.split(faces, [NUM_VERTS - count - len(edges)])
        centre = np.arange(NUM_VERTS - len(split), NUM_VERTS)
        around = [np.stack([split[:, i], split[:, (i + 1) % 3], centre], axis=1) for i in range(3)]

        def fine(points: Float32Array) -> Float32Array:
            """Positions or offsets `[..., verts, 3]` of all vertices."""
            near = np.concatenate([points, points[..., edges, :].mean(axis=-2)], axis=-2)
            return np.concatenate([near, near[..., split, :].mean(axis=-2)], axis=-2).astype(np.float32)

        faces = np.concatenate([*around, whole]).astype(np.int32)
        return FineHead(fine(head.skin_part.vertices), faces, fine(head.skin_shapes))

    def posed(self, weights: Float32Array) -> Iterator[Float32Array]:
        """Blocks of frames `[n, verts, 3]`."""
        flat = self.shapes.reshape(len(self.shapes), -1)
        for block in blocks_of(len(weights), self.neutral.nbytes):
            yield (weights[block] @ flat).reshape(-1, *self.neutral.shape) + self.neutral


def live_link(folder: Path, seconds: int) -> list[str]:
    """A table as the app writes it."""
    weights = weights_of(seconds * FPS)[:, [ARKIT_INDEX[name[:1].lower() + name[1:]] for name in _LIVE_LINK_SHAPES]]
    with (folder / "take.csv").open("w") as file:
        file.write(",".join(["Timecode", "BlendShapeCount", *LIVE_LINK_NAMES]) + "\n")
        for frame, row in enumerate(weights):
            values = [*row, *np.zeros(len(LIVE_LINK_NAMES) - len(row))]
            numbers = ",".join(f"{value:.9f}" for value in values)
            file.write(f"{timecode(frame, FPS)},{len(LIVE_LINK_NAMES)},{numbers}\n")
    return ["livelink", "take.csv"]


_LIVE_LINK_SHAPES = [name for name in LIVE_LINK_NAMES if name[:1].lower() + name[1:] in ARKIT_INDEX]


def table_on_a_rig(folder: Path, seconds: int) -> list[str]:
    """Weights as an array, and the fine head as a rig."""
    head = FineHead.make()
    shapes = {name: head.neutral + delta for name, delta in zip(ARKIT_NAMES, head.shapes, strict=True)}
    names = np.array(["neutral", *shapes])
    write_npz(folder / "rig.npz", {"poseNames": names, "neutral": head.neutral, "faces": head.faces, **shapes})
    np.save(folder / "take.npy", weights_of(seconds * FPS))
    return ["arkit", "take.npy", "--fps", str(FPS), "--rig", "rig.npz"]


def array_of_vertices(folder: Path, seconds: int) -> list[str]:
    """Positions of all vertices, `[frames, verts, 3]`."""
    _write_positions(folder / "take.npy", seconds)
    return ["vertices", "take.npy", "--fps", str(FPS)]


def _write_positions(path: Path, seconds: int) -> Float32Array:
    count = seconds * FPS
    write_cache(path, FineHead.make().posed(weights_of(count)), fps=FPS, num_frames=count, num_verts=NUM_VERTS)
    mapped: Float32Array = np.load(path, mmap_mode="r")
    return mapped


def morph_targets(folder: Path, seconds: int) -> list[str]:
    """An animated character as the project exports it."""
    from audio2face.export.gltf import write_glb

    head, count = FineHead.make(), seconds * FPS
    animation = Animation(
        actor="ada",
        fps=FPS,
        skin=Surface(head.neutral, _write_positions(folder / "positions.npy", seconds), head.faces),
        tongue=None,
        jaw=np.tile(np.eye(4, dtype=np.float32), (count, 1, 1)),
        eyes=np.zeros((count, 4), np.float32),
        emotion=np.zeros((count, 0), np.float32),
        skin_weights=BlendWeights(ARKIT_NAMES, weights_of(count), head.neutral, head.shapes),
    )
    write_glb(animation, folder, "take")
    return ["gltf", "take.glb"]


def samples_of_points(folder: Path, seconds: int) -> list[str]:
    """A mesh with all its points in every frame, as caches in USD have them; needs the extra `usd`."""
    from pxr import Usd, UsdGeom, Vt  # type: ignore[import-untyped]

    head = FineHead.make()
    frames = _write_positions(folder / "positions.npy", seconds)
    stage = Usd.Stage.CreateNew(str(folder / "take.usdc"))
    UsdGeom.SetStageUpAxis(stage, UsdGeom.Tokens.y)
    UsdGeom.SetStageMetersPerUnit(stage, 0.01)
    stage.SetTimeCodesPerSecond(FPS)
    stage.SetStartTimeCode(0)
    stage.SetEndTimeCode(len(frames) - 1)
    mesh = UsdGeom.Mesh.Define(stage, "/face")
    mesh.GetFaceVertexCountsAttr().Set(Vt.IntArray.FromNumpy(np.full(len(head.faces), 3, np.int32)))
    mesh.GetFaceVertexIndicesAttr().Set(Vt.IntArray.FromNumpy(head.faces.reshape(-1)))
    mesh.GetPointsAttr().Set(Vt.Vec3fArray.FromNumpy(head.neutral))
    for frame, points in enumerate(frames):
        mesh.GetPointsAttr().Set(Vt.Vec3fArray.FromNumpy(points), frame)
    stage.Save()
    return ["usd", "take.usdc"]


SOURCES: dict[str, Callable[[Path, int], list[str]]] = {
    "livelink": live_link,
    "arkit": table_on_a_rig,
    "vertices": array_of_vertices,
    "gltf": morph_targets,
    "usd": samples_of_points,
}


def measure(kind: str, minutes: float, scratch: str | None) -> None:
    """Makes a take, imports it, and prints what that took."""
    seconds = round(60 * minutes)
    with tempfile.TemporaryDirectory(dir=scratch) as name:
        home = Path(name)
        (home / "configs").mkdir()
        words = SOURCES[kind](home, seconds)
        (home / "positions.npy").unlink(missing_ok=True)
        write_sound(home / "take.wav", seconds)
        repository = str(Path(__file__).resolve().parents[1])
        places = {"A2F_HOME": name, "A2F_DATASETS_ROOT": f"{name}/datasets", "A2F_WORKSPACE_ROOT": f"{name}/work"}
        command = [sys.executable, "-m", "audio2face.cli.import_data", *words, "--name", "bench", "-q"]
        began, before = time.perf_counter(), os.times()
        process = subprocess.Popen(command, cwd=home, env={**os.environ, **places, "PYTHONPATH": repository})
        memory = anonymous_gigabytes(process)
        wall, after = time.perf_counter() - began, os.times()
        processor = after.children_user + after.children_system - before.children_user - before.children_system
        size = sum(path.stat().st_size for path in (home / "datasets").rglob("*.npy")) / 1e9
    print(
        f"{kind}, {minutes:g} minutes at {FPS} frames/s, {size:.1f} GB of meshes: {wall:.1f} s, {processor:.1f} s of "
        f"processor, {memory:.2f} GB of anonymous memory"
    )


def anonymous_gigabytes(process: subprocess.Popen[bytes]) -> float:
    """Greatest memory of a process until it ends, without what is mapped from files.

    Raises:
        subprocess.CalledProcessError: it failed.
    """
    largest, status = 0, Path(f"/proc/{process.pid}/status")
    while process.poll() is None:
        fields = dict(line.split(":", 1) for line in status.read_text().splitlines() if ":" in line)
        largest = max(largest, int(fields.get("RssAnon", "0").split()[0]))
        time.sleep(_POLL_SECONDS)
    if process.returncode:
        raise subprocess.CalledProcessError(process.returncode, process.args)
    return largest / 1e6


def main() -> None:
    """Measures takes of one kind."""
    parser = argparse.ArgumentParser(description="Speed and memory of an import.")
    parser.add_argument("kind", nargs="?", choices=tuple(SOURCES), default="livelink")
    parser.add_argument("minutes", nargs="*", type=float, default=[10.0])
    parser.add_argument("--scratch", metavar="FOLDER", help="where takes are made (default: the system's folder)")
    args = parser.parse_args()
    for minutes in args.minutes:
        measure(args.kind, minutes, args.scratch)


if __name__ == "__main__":
    main()
