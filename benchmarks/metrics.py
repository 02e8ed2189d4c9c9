"""Speed of the metrics of an evaluation on one core, at the size of a large face.

    OPENBLAS_NUM_THREADS=1 .venv/bin/python -m benchmarks.metrics

A synthetic face of 24,002 vertices, 60 seconds at 60 frames per second in blocks, all of it with tongue, jaw, eyes,
phones and loudness. The blocks are made outside the measured time. The target is 2,000 frames/s.
"""

from __future__ import annotations

import argparse
import time

import numpy as np

from audio2face.dataset.phoneme_times import PhonemeTime
from audio2face.evaluate.regions import Region, Regions
from audio2face.evaluate.scorer import FaceFrames, ShotScorer
from audio2face.types import Float32Array

VERTS, TONGUE_VERTS, PAIRS, LIP_VERTS, FPS = 24_002, 5_602, 13, 200, 60.0
_PHONE_SECONDS = 0.08


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--frames", type=int, default=3_600, help="number of frames (default 3,600)")
    parser.add_argument("--block", type=int, default=48, help="frames of a block (default 48)")
    args = parser.parse_args()
    random = np.random.default_rng(0)
    regions = make_regions(random)
    seconds = args.frames / FPS
    phones = [PhonemeTime("p", start, start + _PHONE_SECONDS) for start in np.arange(0, seconds - 1, 0.5)]
    scorer = ShotScorer(regions, FPS, phones, random.uniform(-60, 0, args.frames))
    predicted, true = (make_block(regions.neutral, args.block, random) for _ in range(2))
    begin, begin_cpu = time.perf_counter(), time.process_time()
    for start in range(0, args.frames, args.block):
        count = min(args.block, args.frames - start)
        scorer.update(*(head(face, count) for face in (predicted, true)))
    update = time.perf_counter() - begin
    score = scorer.finish()
    total, cpu = time.perf_counter() - begin, time.process_time() - begin_cpu
    print(f"upper face: {len(regions.upper_face or ()):,} vertices, lips: {len(regions.lips)}")
    print(f"metrics: {len(score.values)}")
    print(f"update {args.frames / update:,.0f} frames/s, finish {total - update:.2f} s")
    print(f"all {args.frames / total:,.0f} frames/s, {args.frames / cpu:,.0f} by processor time")


def make_regions(random: np.random.Generator) -> Regions:
    """A face whose upper 40 % are the upper face, with lips among the lower vertices."""
    neutral = random.uniform(-10, 10, (VERTS, 3)).astype(np.float32)
    lower = np.flatnonzero(neutral[:, 1] < 0)
    chosen = random.choice(lower, LIP_VERTS, replace=False)
    lips = np.sort(chosen)
    return Regions.build(
        neutral, chosen[: 2 * PAIRS].reshape(2, PAIRS), lips=None, given={"lips": Region(lips, "chosen")}
    )


def make_block(neutral: Float32Array, frames: int, random: np.random.Generator) -> FaceFrames:
    """Random motion of about a millimetre."""

    def noise(*shape: int) -> Float32Array:
        return 0.1 * random.standard_normal((frames, *shape), np.float32)

    return FaceFrames(skin=neutral + noise(VERTS, 3), tongue=noise(TONGUE_VERTS, 3), jaw=noise(5, 3), eyes=noise(4))


def head(face: FaceFrames, count: int) -> FaceFrames:
    """The first frames."""
    assert face.tongue is not None
    assert face.jaw is not None
    assert face.eyes is not None
    return FaceFrames(skin=face.skin[:count], tongue=face.tongue[:count], jaw=face.jaw[:count], eyes=face.eyes[:count])


if __name__ == "__main__":
    main()
