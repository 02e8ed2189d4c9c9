"""The executor: sound in pieces or whole, several tracks, open and closed streams, emotions, memory."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from audio2face.errors import UserError
from audio2face.inference import EmotionCurve, Executor, NetworkOutput, TrackSettings
from audio2face.inference.executor import OutputFrames
from audio2face.model_folder import DeployedModel
from audio2face.models.windows import WindowSchedule
from audio2face.types import BoolArray, Float32Array


def sound(seconds: float, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).uniform(-0.8, 0.8, round(seconds * 16000)).astype(np.float32)


def track(model: DeployedModel, actor: str = "ada", **changes: object) -> TrackSettings:
    curve = EmotionCurve.from_keys(
        [(2000, np.zeros(len(model.info.emotions))), (30000, np.ones(len(model.info.emotions)))],
        len(model.info.emotions),
    )
    return TrackSettings(**{"emotion": curve, "actor": actor, **changes})  # type: ignore[arg-type]


def joined(motions: Sequence[NetworkOutput], index: int = 0) -> tuple[np.ndarray, list[int]]:
    own = [motion for motion in motions if motion.track == index]
    for one, after in itertools.pairwise(own):
        assert one.next_timestamp == after.timestamps[0]
    stamps = [stamp for motion in own for stamp in motion.timestamps]
    return np.concatenate([motion.values for motion in own]), stamps


def whole(model: DeployedModel, samples: np.ndarray, **changes: object) -> tuple[np.ndarray, list[int]]:
    executor = Executor.open(model, [track(model, **changes)])
    executor.push(0, samples)
    executor.close(0)
    return joined(list(executor.run()))


@pytest.mark.parametrize(
    ("samples", "frames", "frames_60"), [(16000, 30, 60), (64000, 120, 240), (65000, 122, 244), (160, 1, 1)]
)
def test_a_frame_for_every_moment(deployed: Path, samples: int, frames: int, frames_60: int) -> None:
    model = DeployedModel.open(deployed)
    values, stamps = whole(model, sound(samples / 16000))
    fps = 60 if deployed.name == "diffusion" else 30
    assert len(values) == len(stamps) == (frames_60 if fps == 60 else frames)
    assert stamps == [frame * 16000 // fps for frame in range(len(stamps))]
    assert np.isfinite(values).all()


@settings(max_examples=12, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(cuts=st.lists(st.integers(0, 41234), max_size=12).map(sorted))
def test_pieces_of_any_length_give_the_same_bits(deployed: Path, cuts: list[int]) -> None:
    model, samples = DeployedModel.open(deployed), sound(41234 / 16000)
    expected, stamps = whole(model, samples)
    executor, motions = Executor.open(model, [track(model)]), []
    for piece in np.split(samples, cuts):
        executor.push(0, piece)
        motions += list(executor.run())
    executor.close(0)
    motions += list(executor.run())
    found, found_stamps = joined(motions)
    assert found_stamps == stamps
    np.testing.assert_array_equal(found, expected)


def test_an_open_stream_yields_every_complete_window(deployed: Path) -> None:
    model = DeployedModel.open(deployed)
    executor = Executor.open(model, [track(model)])
    executor.push(0, sound(4.0))
    counts = [len(motion.values) for motion in executor.run()]
    # 9 windows of 30 frames less the 45 before the recording; 113 of 120 frames; 119, which wait for 66 ms
    expected = {"diffusion": ([15, 30], 225), "regression": ([1, 1], 113), "streaming": ([1, 1], 119)}
    assert (counts[:2], sum(counts)) == expected[deployed.name]
    executor.close(0)
    assert sum(counts) + sum(len(motion.values) for motion in executor.run()) == executor.schedule.num_frames(64000)


def test_several_tracks_are_what_each_is_alone(deployed: Path) -> None:
    model = DeployedModel.open(deployed)
    last = model.info.identities[-1]
    spoken = [sound(2.3, 1), sound(0.7, 2), sound(4.1, 3)]
    ways = [{"seed": 1}, {"actor": last, "gain": 0.5}, {"actor": last, "seed": 9}]
    executor = Executor.open(model, [track(model, **way) for way in ways])  # type: ignore[arg-type]
    motions: list[NetworkOutput] = []
    executor.push(2, spoken[2][:50000])  # the others wait, and remember nothing of it
    motions += list(executor.run())
    for index in (1, 0):
        executor.push(index, spoken[index])
        executor.close(index)
        motions += list(executor.run())
    executor.push(2, spoken[2][50000:])
    executor.close(2)
    motions += list(executor.run())
    for index, (samples, way) in enumerate(zip(spoken, ways, strict=True)):
        values, stamps = joined(motions, index)
        alone, alone_stamps = whole(model, samples, **way)
        assert stamps == alone_stamps
        np.testing.assert_allclose(values, alone, atol=1e-5 * np.ptp(alone))
    assert np.abs(whole(model, spoken[0])[0] - whole(model, spoken[0], gain=0.1)[0]).max() > 1e-3


def test_reset_forgets_the_sound_and_the_memory(deployed: Path) -> None:
    model = DeployedModel.open(deployed)
    executor = Executor.open(model, [track(model)])
    executor.push(0, sound(3.0, 5))
    list(executor.run())
    executor.reset()
    executor.push(0, sound(1.0))
    executor.close(0)
    np.testing.assert_array_equal(joined(list(executor.run()))[0], whole(model, sound(1.0))[0])


def test_an_open_emotion_holds_windows_back(diffusion: Path) -> None:
    model = DeployedModel.open(diffusion)
    curve = EmotionCurve(2)
    executor = Executor.open(model, [track(model, emotion=curve)])
    executor.push(0, sound(4.0))
    assert list(executor.run()) == []
    curve.add(0, [0, 0])
    assert list(executor.run()) == []  # one window is covered; its frames come before the recording
    last = executor.schedule.timestamps(1)[-2]  # of the second window, whose last 15 frames count
    curve.add(last - 1, [1, 0])
    assert list(executor.run()) == []
    curve.add(last, [1, 1])
    assert [len(motion.values) for motion in executor.run()] == [15]
    curve.close()
    assert [len(motion.values) for motion in executor.run()] == [30] * 7


def test_emotions_are_given_frame_by_frame(deployed: Path) -> None:
    model = DeployedModel.open(deployed)
    executor = Executor.open(model, [track(model)])
    executor.push(0, sound(3.0))
    executor.close(0)
    for motion in executor.run():
        expected = np.clip((np.array(motion.timestamps) - 2000) / 28000, 0, 1)
        np.testing.assert_allclose(motion.emotion[:, 0], expected, atol=1e-6)


def test_sound_strength(deployed: Path) -> None:
    """`input_strength` is a gain of the audio for regression networks only."""
    model = DeployedModel.open(deployed)
    gain = 1.0 if deployed.name == "diffusion" else 1.3
    np.testing.assert_array_equal(whole(model, sound(0.5))[0], whole(model, sound(0.5), gain=gain)[0])


def test_regression_at_any_rate(regression: Path) -> None:
    model = DeployedModel.open(regression)
    executor = Executor.open(model, [track(model)], fps=Fraction(30000, 1001))
    executor.push(0, sound(1.0))
    executor.close(0)
    assert joined(list(executor.run()))[1][:5] == [0, 533, 1067, 1601, 2135]


def test_what_is_refused(deployed: Path) -> None:
    model = DeployedModel.open(deployed)
    with pytest.raises(UserError, match="has no actor 'eve'"):
        Executor.open(model, [track(model, actor="eve")])
    if len(model.actors) > 1:
        with pytest.raises(UserError, match="several actors"):
            Executor.open(model, [track(model, actor=None)])
    executor = Executor.open(model, [track(model)])
    with pytest.raises(UserError, match="one channel"):
        executor.push(0, np.zeros((100, 2), np.float32))
    executor.push(0, np.zeros(100, np.float32))
    with pytest.raises(UserError, match="sample 103 of the audio is nan"):
        executor.push(0, np.array([0, 0, 0, np.nan], np.float32))
    (deployed / "network.onnx").write_bytes(b"damaged")
    with pytest.raises(UserError, match=r"network\.onnx"):
        Executor.open(model, [track(model)])


class _Counting:
    """A network whose only value is the number of each frame, counted from the first one it is asked for."""

    def __init__(self, hop: int) -> None:
        self._hop, self._window = hop, 0

    def run(self, audio: Float32Array, emotion: Float32Array, executed: BoolArray) -> Float32Array:
        frames = self._window * self._hop + np.arange(self._hop, dtype=np.float32)
        self._window += 1
        return frames[None, :, None]

    def reset(self) -> None:
        self._window = 0


@pytest.mark.parametrize(("left", "hop", "right"), [(7, 15, 8), (15, 30, 15), (6, 12, 6), (8, 10, 12)])
@pytest.mark.parametrize("pieces", [1, 7])
def test_frames_begin_with_the_recording_at_any_rate(left: int, hop: int, right: int, pieces: int) -> None:
    schedule = WindowSchedule.divided(
        window=16_000, left_context=left, hop=hop, right_context=right, padding=16_000, samplerate=16_000
    )
    executor = Executor(_Counting(hop), schedule, [(EmotionCurve.constant([0.0]), 1.0)])
    frames, found = OutputFrames(executor), []
    for piece in np.array_split(np.zeros(40_000, np.float32), pieces):
        executor.push(0, piece)
        found += list(frames.run())
    executor.close(0)
    found += list(frames.run())
    values = np.concatenate(found)[:, 0]
    expected = schedule.lead_in_frames + np.arange(len(values))
    np.testing.assert_array_equal(values[1:], expected[1:])
    assert values[0] in expected[:2]  # the frame itself, or where rounding skips it the one after it
    assert len(values) - schedule.num_frames(40_000) in (0, 1)  # rounded down, one more may lie before the end
