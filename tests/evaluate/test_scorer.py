"""The score of a shot: in blocks of any size, and each number again by another route."""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable

import numpy as np
import pytest
import torch
from scipy.interpolate import CubicSpline
from scipy.stats import pearsonr
from speaking_face import FPS, PAIRS, PHONES, UPPER, part, small_regions, speaking
from torchmetrics.functional.multimodal import lip_vertex_error

from audio2face.errors import UserError
from audio2face.evaluate.metrics import METRICS
from audio2face.evaluate.scorer import FaceFrames, ShotScore, ShotScorer

LIPS = sorted(PAIRS.reshape(-1).tolist())
LOUDNESS = np.where(np.arange(75) % 30 < 15, -20.0, -70.0) + np.random.default_rng(5).uniform(-3, 3, 75)
PREDICTED, TRUE = speaking(1), speaking(2)


def score(blocks: list[int], predicted: FaceFrames = PREDICTED, true: FaceFrames = TRUE) -> ShotScore:
    scorer = ShotScorer(small_regions(), FPS, PHONES, LOUDNESS)
    bounds = [*itertools.accumulate(blocks, initial=0), len(true)]
    for start, stop in itertools.pairwise(bounds):
        scorer.update(part(predicted, slice(start, stop)), part(true, slice(start, stop)))
    return scorer.finish()


def test_block_sizes_change_no_bit() -> None:
    whole, single, odd = score([]), score([1] * 75), score([7, 1, 0, 32, 20])
    for other in (single, odd):
        assert other.values == whole.values
        for name in ("opening_mm", "opening_true_mm", "error_mm", "lag_correlation", "lips", "expression"):
            np.testing.assert_array_equal(getattr(other, name), getattr(whole, name))
    assert set(whole.values) == set(METRICS) - {
        "emotion_separability",
        "lip_vertex_error_calibrated",
        "common_gain",
        "diversity",
        "weight_error",
        "weight_opening_retention",
    }


def test_the_recorded_face_itself_is_perfect() -> None:
    for name, value in score([], TRUE, TRUE).values.items():
        best = METRICS[name].better
        if best in ("lower", "zero") and name not in ("pause_jitter", "closure_contact_error"):
            assert value == pytest.approx(0, abs=0.2 if name == "lip_lag" else 1e-4), name
        elif best == "one" or name == "lip_distance_correlation":
            assert value == pytest.approx(1), name


def test_a_still_face() -> None:
    still = FaceFrames(skin=np.repeat(small_regions().neutral[None], 75, axis=0))
    scorer = ShotScorer(small_regions(), FPS)
    scorer.update(still, TRUE)
    values = scorer.finish().values
    assert values["opening_retention"] == values["jerk_ratio"] == values["viseme_changes"] == 0
    assert values["viseme_hold_time"] == pytest.approx(1000 * 75 / FPS)
    undefined = {"lip_distance_correlation", "lip_lag", "closure_hits", "loudness_correlation", "jaw_error"}
    assert not undefined & set(values)


@pytest.mark.parametrize("frames", [1, 2, 3, 4, 12])
def test_short_shots_have_what_they_define(frames: int) -> None:
    scorer = ShotScorer(small_regions(), FPS, PHONES, LOUDNESS)
    scorer.update(part(PREDICTED, slice(frames)), part(TRUE, slice(frames)))
    values = scorer.finish().values
    assert {"lip_vertex_error", "landmark_warped_distance", "mean_vertex_error"} <= set(values)
    assert ("velocity_error" in values, "jerk_ratio" in values) == (frames > 1, frames > 3)


def test_what_describes_the_recorded_face() -> None:
    found, itself = score([]).recorded, score([], TRUE, TRUE).values
    assert set(found) == {"loudness_correlation", "pause_jitter", "viseme_hold_time", "viseme_changes"}
    assert found == {name: itself[name] for name in found}


def test_a_broken_frame_is_not_left_out_in_silence() -> None:
    skin = PREDICTED.skin.copy()
    skin[70, 20, 1] = np.nan
    scorer = ShotScorer(small_regions(), FPS)
    scorer.update(FaceFrames(skin=skin), TRUE)
    with pytest.raises(UserError, match="NaN or infinity"):
        scorer.finish()


def test_what_does_not_belong_together_is_refused() -> None:
    scorer = ShotScorer(small_regions(), FPS)
    with pytest.raises(ValueError, match="no frame"):
        scorer.finish()
    with pytest.raises(ValueError, match="cannot compare"):
        scorer.update(part(PREDICTED, slice(3)), part(TRUE, slice(4)))
    short = ShotScorer(small_regions(), FPS, loudness=LOUDNESS[:70])
    short.update(PREDICTED, TRUE)
    with pytest.raises(ValueError, match="loudness of 70 frames for 75"):
        short.finish()


# --- each number by another route: loops over frames and vertices, torchmetrics, scipy --------------------------------


def mm(face: FaceFrames) -> np.ndarray:
    return 10 * face.skin.astype(np.float64)


OURS, RECORDED = mm(PREDICTED), mm(TRUE)
NEUTRAL = 10 * small_regions().neutral.astype(np.float64)


def gap(frame: int, vertex: int) -> float:
    return math.dist(OURS[frame, vertex], RECORDED[frame, vertex])


def opening(face: np.ndarray, frame: int) -> float:
    def height(points: np.ndarray) -> float:
        return sum(points[up, 1] - points[low, 1] for up, low in PAIRS.T) / 3

    return height(face[frame]) - height(NEUTRAL)


def openings(face: np.ndarray) -> list[float]:
    return [opening(face, frame) for frame in range(75)]


def largest() -> list[float]:
    return [max(gap(frame, vertex) for vertex in LIPS) for frame in range(75)]


def dynamics(face: np.ndarray, power: int) -> list[float]:
    return [np.std([math.dist(face[frame, v], NEUTRAL[v]) ** power for frame in range(75)]) for v in UPPER]


def torch_lip_error() -> float:
    return float(lip_vertex_error(torch.tensor(OURS), torch.tensor(RECORDED), LIPS))


def mean_distance(one: np.ndarray | None, other: np.ndarray | None, scale: float) -> float:
    assert one is not None
    assert other is not None
    points = zip(one.reshape(-1, one.shape[-1]), other.reshape(-1, one.shape[-1]), strict=True)
    return scale * float(np.mean([math.dist(a, b) for a, b in points]))


def near_phones() -> list[range]:
    return [range(14, 19), range(45, 49)]  # 0.51 to 0.6 s holds the middles of frames 15 to 17, and one frame each side


def smallest(face: np.ndarray) -> list[float]:
    return [min(opening(face, frame) for frame in frames) for frames in near_phones()]


def hold(face: np.ndarray) -> float:
    begins = [0]
    for frame in range(75):
        squares = [math.dist(face[frame, v], face[begins[-1], v]) ** 2 for v in LIPS]
        if sum(squares) / len(LIPS) > 1:
            begins.append(frame)
    return 1000 * 75 / FPS / len(begins)


def swings(face: np.ndarray) -> int:
    turns, curve = [openings(face)[0]], openings(face)
    for value in curve:  # extremes of a curve whose swings under 1 mm are left out
        rising = len(turns) > 1 and turns[-1] > turns[-2]
        falling = len(turns) > 1 and turns[-1] < turns[-2]
        if (rising and value > turns[-1]) or (falling and value < turns[-1]):
            turns[-1] = value
        elif abs(value - turns[-1]) >= 1:
            turns.append(value)
    return len(turns) - 1


def warped() -> float:
    cost = [[np.mean([math.dist(OURS[j, v], RECORDED[i, v]) for v in LIPS]) for j in range(75)] for i in range(75)]
    best: dict[tuple[int, int], tuple[float, int]] = {(-1, -1): (0.0, 0)}
    for i in range(75):
        for j in range(max(0, i - 9), min(75, i + 10)):
            before = [best[key] for key in ((i - 1, j), (i, j - 1), (i - 1, j - 1)) if key in best]
            total, steps = min(before)
            best[i, j] = total + cost[i][j], steps + 1
    total, steps = best[74, 74]
    return total / steps


def paused_jitter() -> float:
    squares = []
    for frame in [*range(18, 27), *range(48, 57)]:  # quiet: 15 to 29 and 45 to 59
        near = np.clip(range(frame - 3, frame + 4), 0, 74)
        squares += [math.dist(OURS[frame, v], OURS[near, v].mean(axis=0)) ** 2 for v in LIPS]
    return math.sqrt(np.mean(squares))


def lag() -> float:
    curve, frames = CubicSpline(range(75), openings(OURS)), np.arange(11, 64)
    true = np.array(openings(RECORDED))[frames]
    shifts = np.arange(-300, 301)
    found = [pearsonr(curve(frames + shift / 1000 * FPS), true).statistic for shift in shifts]
    return float(shifts[np.argmax(found)])


def velocity() -> float:
    changes = [
        math.dist(OURS[f + 1, v] - OURS[f, v], RECORDED[f + 1, v] - RECORDED[f, v]) for f in range(74) for v in LIPS
    ]
    return FPS * float(np.mean(changes))


def jerk(face: np.ndarray) -> float:
    kernel = [1, -3, 3, -1]
    values = [np.convolve(face[:, v, axis], kernel, "valid") for v in LIPS for axis in range(3)]
    return math.sqrt(np.mean(np.square(values)))


ROUTES: dict[str, Callable[[], float]] = {
    "lip_vertex_error": lambda: float(np.mean(largest())),
    "lip_vertex_error_squared": torch_lip_error,
    "lip_vertex_error_rms": lambda: math.sqrt(torch_lip_error()),
    "lip_vertex_error_95": lambda: float(np.percentile(largest(), 95)),
    "worst_lip_vertex": lambda: max(largest()),
    "landmark_warped_distance": warped,
    "lip_distance_correlation": lambda: float(pearsonr(openings(OURS), openings(RECORDED)).statistic),
    "lip_lag": lag,
    "mouth_opening_difference": lambda: float(
        np.mean([abs(opening(OURS, frame) - opening(RECORDED, frame)) for frame in range(75)])
    ),
    "opening_retention": lambda: float(np.percentile(openings(OURS), 95) / np.percentile(openings(RECORDED), 95)),
    "closure_hits": lambda: sum(value <= 1 for value in smallest(OURS)) / 2,
    "closure_contact_error": lambda: sum(max(0, value) for value in smallest(OURS)) / 2,
    "closure_depth": lambda: (sum(smallest(OURS)) - sum(smallest(RECORDED))) / 2,
    "loudness_correlation": lambda: float(pearsonr(openings(OURS), LOUDNESS).statistic),
    "velocity_error": velocity,
    "jerk_ratio": lambda: jerk(OURS) / jerk(RECORDED),
    "pause_jitter": paused_jitter,
    "viseme_hold_time": lambda: hold(OURS),
    "viseme_hold_ratio": lambda: hold(OURS) / hold(RECORDED),
    "viseme_changes": lambda: swings(OURS) / 2.5,
    "viseme_change_ratio": lambda: swings(OURS) / swings(RECORDED),
    "mean_vertex_error": lambda: mean_distance(PREDICTED.skin, TRUE.skin, 10),
    "upper_face_dynamics_deviation": lambda: float(np.mean(dynamics(RECORDED, 1)) - np.mean(dynamics(OURS, 1))),
    "upper_face_dynamics_deviation_absolute": lambda: float(
        np.mean([abs(a - b) for a, b in zip(dynamics(RECORDED, 1), dynamics(OURS, 1), strict=True)])
    ),
    "upper_face_dynamics_deviation_squared": lambda: float(np.mean(dynamics(RECORDED, 2)) - np.mean(dynamics(OURS, 2))),
    "jaw_error": lambda: mean_distance(PREDICTED.jaw, TRUE.jaw, 10),
    "tongue_error": lambda: mean_distance(PREDICTED.tongue, TRUE.tongue, 10),
    "eye_error": lambda: mean_distance(
        PREDICTED.eyes.reshape(75, 2, 2),
        TRUE.eyes.reshape(75, 2, 2),
        1,
    ),
}


def test_every_number_by_another_route() -> None:
    values = score([32, 32]).values
    assert set(values) == set(ROUTES)
    for name, route in ROUTES.items():
        # float32 positions of 10 cm resolve 1e-5 mm; the lag is read on a spline in whole milliseconds
        tolerance = {"abs": 4.0} if name == "lip_lag" else {"rel": 1e-4, "abs": 1e-5}
        assert values[name] == pytest.approx(route(), **tolerance), name
