"""A small synthetic face that speaks: 40 vertices, of which 6 are paired lips and 8 the upper face."""

from __future__ import annotations

import numpy as np

from audio2face.dataset.phoneme_times import PhonemeTime
from audio2face.evaluate.regions import Region, Regions
from audio2face.evaluate.scorer import FaceFrames

FPS = 30.0
PAIRS = np.array([[2, 3, 4], [5, 6, 7]])
UPPER = np.arange(30, 38)
PHONES = [PhonemeTime("p", 0.51, 0.6), PhonemeTime("a", 0.6, 0.9), PhonemeTime("b", 1.52, 1.6)]


def small_regions() -> Regions:
    neutral = np.random.default_rng(1).uniform(-5, 5, (40, 3)).astype(np.float32)
    neutral[30:38, 1], neutral[:8, 1] = 9.0, -4.0
    neutral[38, 1], neutral[39, 1] = 10.0, -8.0
    return Regions.build(neutral, PAIRS, given={"upper_face": Region(UPPER, "a test")})


def speaking(seed: int, frames: int = 75) -> FaceFrames:
    """A mouth that opens to about a centimetre three times a second, with other motion everywhere."""
    random, times = np.random.default_rng(seed), (np.arange(frames) + 0.5) / FPS
    skin = small_regions().neutral + 0.05 * random.standard_normal((frames, 40, 3)).cumsum(axis=0)
    skin[:, 5:8, 1] -= 0.5 * (1 - np.cos(2 * np.pi * 3 * times + seed))[:, None]
    return FaceFrames(
        skin=skin.astype(np.float32),
        tongue=random.standard_normal((frames, 4, 3)).astype(np.float32),
        jaw=random.standard_normal((frames, 5, 3)).astype(np.float32),
        eyes=random.standard_normal((frames, 4)).astype(np.float32),
    )


def part(face: FaceFrames, frames: slice) -> FaceFrames:
    assert face.tongue is not None
    assert face.jaw is not None
    assert face.eyes is not None
    return FaceFrames(skin=face.skin[frames], tongue=face.tongue[frames], jaw=face.jaw[frames], eyes=face.eyes[frames])
