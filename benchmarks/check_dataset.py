"""How fast the dataset check reads, and how much anonymous memory it takes.

    .venv/bin/python -m benchmarks.check_dataset DATASET_FOLDER [--fps 30] [--emotions neutral,joy]
    .venv/bin/python -m benchmarks.check_dataset --synthetic GIGABYTES

DATASET_FOLDER has the usual layout (audio/, cache/skin/, geom/, xform/, bs_data/). A synthetic dataset is sparse on
disk and costs no time to make. Anonymous memory is sampled 50 times a second; pages of mapped files do not count.
"""

from __future__ import annotations

import argparse
import json
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import soundfile

from audio2face.config import load
from audio2face.console import console
from audio2face.dataset import ActorDataset
from audio2face.dataset.checks import check_actor
from audio2face.dataset.checks.report import show

ACTOR = "actor"
USUAL_PLACES = {
    "AUDIO_ROOT": "audio",
    "SKIN_CACHE_ROOT": "cache/skin",
    "SKIN_NEUTRAL_FPATH": "geom/skin/neutral_pose.npy",
    "SKIN_LIP_OPEN_POSE_DELTA_FPATH": "geom/skin/lip_open_pose_delta.npy",
    "SKIN_EYE_CLOSE_POSE_DELTA_FPATH": "geom/skin/eye_close_pose_delta.npy",
    "SKIN_LIP_DIST_VERTEX_LIST_FPATH": "geom/skin/lip_dist_vertex_list.json",
    "SKIN_LIP_SIZE_VERTEX_LIST_FPATH": "geom/skin/lip_size_vertex_list.json",
    "SKIN_EYE_DIST_VERTEX_LIST_FPATH": "geom/skin/eye_dist_vertex_list.json",
    "SKIN_FACES_FPATH": "geom/skin/faces.npy",
    "TONGUE_CACHE_ROOT": "cache/tongue",
    "TONGUE_NEUTRAL_FPATH": "geom/tongue/neutral_pose.npy",
    "TONGUE_RIGID_VERTEX_LIST_FPATH": "geom/tongue/rigid_vertex_list.json",
    "TONGUE_FACES_FPATH": "geom/tongue/faces.npy",
    "JAW_KEYPOINTS_NEUTRAL_FPATH": "xform/jaw_keypoints_neutral.npy",
    "JAW_ANIM_DATA_FPATH": "xform/jaw_keypoints_cache_all.npz",
    "EYE_ANIM_DATA_FPATH": "xform/eye_rotations_all.npz",
    "EYE_BLINK_KEYS_FPATH": "xform/eye_blink_keys.npy",
    "EYE_SACCADE_ROTATIONS_FPATH": "xform/eye_saccade_rotations.npy",
    "BLENDSHAPE_SKIN_FPATH": "bs_data/bs_skin.npz",
    "BLENDSHAPE_SKIN_CONFIG_FPATH": "bs_data/bs_skin_config.json",
    "BLENDSHAPE_TONGUE_FPATH": "bs_data/bs_tongue.npz",
    "BLENDSHAPE_TONGUE_CONFIG_FPATH": "bs_data/bs_tongue_config.json",
}
SAMPLES_PER_SECOND = 50
VERTS = 24_000
SHOTS = 4


def open_dataset(root: Path, fps: float, emotions: list[str]) -> ActorDataset:
    """Opens a dataset folder of the usual layout by way of a configuration."""
    places = {name: {ACTOR: str(root / place)} for name, place in USUAL_PLACES.items() if (root / place).exists()}
    lines = [f"{name} = {value!r}" for name, value in places.items()]
    lines += [f"ACTOR_NAMES = [{ACTOR!r}]", f"CACHE_FPS = {{{ACTOR!r}: {fps}}}", f"SHOT_EMOTION_NAMES = {emotions}"]
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "benchmark" / "config_dataset.py"
        file.parent.mkdir()
        file.write_text("\n".join(lines), encoding="utf-8")
        configuration = load("benchmark", stage="check", configs_folder=Path(folder))
    return ActorDataset.open(ACTOR, configuration.dataset)


def make_synthetic(root: Path, gigabytes: float) -> None:
    """Writes a dataset of motionless shots whose caches are sparse files, with noise as sound."""
    frames = int(gigabytes * 1e9 / SHOTS / (VERTS * 12))
    for name in (f"s{number}" for number in range(SHOTS)):
        cache = root / "cache" / "skin" / name / f"{name}.npy"
        cache.parent.mkdir(parents=True)
        with cache.open("wb") as handle:
            header = {"descr": "<f4", "fortran_order": False, "shape": (frames, VERTS, 3)}
            np.lib.format.write_array_header_1_0(handle, header)
            handle.truncate(handle.tell() + frames * VERTS * 12)
        (root / "audio").mkdir(exist_ok=True)
        noise = np.random.default_rng(0).normal(0, 0.1, int(frames / 30 * 16_000))
        soundfile.write(root / "audio" / f"{name}.wav", noise, 16_000)


@contextmanager
def anonymous_memory() -> Iterator[list[int]]:
    """Samples the anonymous memory of this process, in bytes, while the block runs (Linux)."""
    samples: list[int] = []
    done = threading.Event()

    def sample() -> None:
        while not done.wait(1 / SAMPLES_PER_SECOND):
            status = Path("/proc/self/status").read_text(encoding="ascii")
            samples.extend(int(line.split()[1]) * 1024 for line in status.splitlines() if line.startswith("RssAnon"))

    thread = threading.Thread(target=sample, daemon=True)
    thread.start()
    try:
        yield samples
    finally:
        done.set()
        thread.join()


def main() -> None:
    """Checks one dataset and prints the time, the size and the memory."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("dataset", nargs="?", type=Path)
    parser.add_argument("--synthetic", type=float, metavar="GIGABYTES")
    parser.add_argument("--fps", type=float, default=30.0)
    parser.add_argument("--emotions", default="neutral")
    args = parser.parse_args()
    if (args.dataset is None) == (args.synthetic is None):
        parser.error("give a folder or --synthetic")
    with tempfile.TemporaryDirectory() as folder:
        root = args.dataset or Path(folder)
        if args.synthetic is not None:
            make_synthetic(root, args.synthetic)
        dataset = open_dataset(root.resolve(), args.fps, args.emotions.split(","))
        with anonymous_memory() as samples:
            began = time.perf_counter()
            report = check_actor(dataset)
            seconds = time.perf_counter() - began
        show([report], console())
    result = {"seconds": round(seconds, 2), "anonymous_mb": max(samples) // 10**6, "errors": len(report.errors)}
    print(json.dumps(result))


if __name__ == "__main__":
    main()
