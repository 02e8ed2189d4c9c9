"""A face without any recording against recorded ones: what the rules do with speech that was filmed.

    .venv/bin/python -m benchmarks.rig datasets/example/ada [--rig example]

Takes a raw dataset folder, as `benchmarks.ridge` does. Printed are the correlation of the opening between the rig's
lips with the distance of the recorded lips (mean over shots), for several `closure_strength`, and the seconds that a
minute of speech takes without exports, on one core where OMP_NUM_THREADS is 1. The faces differ, so no millimetres are
compared. Before them, the same correlation of the encoders' viseme channels alone, with no face at all: of the sum of
those that open and close the lips, `OPENING`, fixed before any recording was compared.
"""

from __future__ import annotations

import argparse
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np

from audio2face.audio import read_track
from audio2face.dataset.vertex_lists import VertexPairs
from audio2face.evaluate.lips import correlation, lip_distance, resample_frames
from audio2face.geometry import find_cache, list_shots, open_cache
from audio2face.inference.visemes import VISEME_CHANNELS, Visemes, recorded_visemes, viseme_channels
from audio2face.rigs import Rig, RigOptions, RigPipeline, open_rig
from audio2face.types import Float32Array, Float64Array

STRENGTHS = (1.0, 0.5, 0.0)
OPENING = {"jaw": 3.0, "lower": 1.0, "upper": 1.0, "funnel": 0.5, "press": -1.0, "roll_lower": -1.0}
ENCODERS: dict[str, Callable[[Float32Array, int], Visemes]] = {
    "a2f-phonetic": viseme_channels,
    "a2f-phonetic-bidirectional": lambda samples, rate: recorded_visemes(samples, rate)[0],
}


def recorded(folder: Path) -> dict[str, Float64Array]:
    """The distance of the recorded lips of each shot, `[frames]`."""
    pairs = VertexPairs.read(folder / "geom" / "skin" / "lip_dist_vertex_list.json")
    marked, skin = np.stack([pairs.upper, pairs.lower]), folder / "cache" / "skin"
    found = {}
    for name in list_shots(skin):
        blocks = open_cache(find_cache(skin, name).path).blocks()
        found[name] = lip_distance(np.concatenate([block[:, marked] for block in blocks]))
    return found


def score_channels(
    encode: Callable[[Float32Array, int], Visemes], folder: Path, truth: dict[str, Float64Array], fps: float
) -> float:
    """Mean correlation of the channels' sum."""
    weights, values = np.zeros(len(VISEME_CHANNELS)), []
    for name, weight in OPENING.items():
        weights[VISEME_CHANNELS.index(name)] = weight
    for name, distance in truth.items():
        track = read_track(folder / "audio" / f"{name}.wav")
        visemes = encode(track.data, track.samplerate)
        opening = resample_frames(visemes.channels @ weights, visemes.steps_per_second, len(distance), fps)
        values.append(correlation(np.asarray(opening, np.float64), distance))
    return float(np.mean(values))


def score(rig: Rig, folder: Path, truth: dict[str, Float64Array], fps: float, strength: float) -> tuple[float, float]:
    """Mean correlation, and seconds of computing for a minute of speech."""
    pipeline = RigPipeline(rig, RigOptions(blinks=False, parameters={"closure_strength": strength}))
    values, spoken, began = [], 0.0, time.perf_counter()
    for name, distance in truth.items():
        with tempfile.TemporaryDirectory() as scratch:
            animation = pipeline.animate(folder / "audio" / f"{name}.wav", Path(scratch))
            lips = np.concatenate([block[:, rig.lips] for block in animation.skin.blocks()])
        opening = resample_frames(lip_distance(lips), animation.fps, len(distance), fps, frame_offset=0)
        values.append(correlation(np.asarray(opening, np.float64), distance))
        spoken += animation.seconds
    return float(np.mean(values)), 60 * (time.perf_counter() - began) / spoken


def main() -> None:
    """Prints the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path, help="raw dataset of one actor")
    parser.add_argument("--fps", type=float, default=30.0, help="of its animation (default: 30)")
    parser.add_argument("--rig", default="example", help="the rig (default: example)")
    args = parser.parse_args()
    rig, truth = open_rig(args.rig), recorded(args.folder)
    print(f"{len(truth)} shots, {sum(map(len, truth.values()))} frames; rig {rig.source}")
    for name, encode in ENCODERS.items():
        print(f"viseme channels of {name}: correlation {score_channels(encode, args.folder, truth, args.fps):.3f}")
    for strength in STRENGTHS:
        mean, seconds = score(rig, args.folder, truth, args.fps, strength)
        print(f"closure_strength {strength:g}: correlation {mean:.3f}, {seconds:.1f} s for a minute of speech")


if __name__ == "__main__":
    main()
