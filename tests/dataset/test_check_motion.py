"""Faults in time: frozen or coarse motion, a distant neutral pose, shifted audio or another rate.

The face is an egg whose mouth opens with the loudness of a buzz, so that sound and picture belong together exactly.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import soundfile
from raw_datasets import Open

from audio2face.dataset import ActorDataset
from audio2face.dataset.checks import CheckReport, check_actor
from audio2face.geometry import write_cache

RATE = 16_000
SHOTS = {"a_neutral": 7.0, "b_neutral": 6.0, "c_neutral": 8.0}


def egg(points: int = 400) -> np.ndarray:
    """A head's size, centimetres, y up, z out of the face, `[points, 3]`."""
    number = np.arange(points)
    height = 1 - 2 * (number + 0.5) / points
    turn, ring = number * np.pi * (3 - 5**0.5), np.sqrt(1 - height**2)
    return np.stack([8 * ring * np.cos(turn), 12 * height, 10 * ring * np.sin(turn)], axis=1).astype(np.float32)


def loudness(times: np.ndarray, shot: str) -> np.ndarray:
    """Syllables of a shot, irregular, 0 to 1."""
    random = np.random.default_rng(ord(shot[0]))
    starts = np.cumsum(random.uniform(0.15, 0.5, 2000))
    heights = random.uniform(0.3, 1, 2000)
    return np.interp(times, np.stack([starts, starts + 0.07], 1).ravel(), np.stack([0 * heights, heights], 1).ravel())


def frames_of(shot: str, seconds: float, fps: float, late: float = 0.0, points: int = 400) -> np.ndarray:
    """The face of a shot `[frames, points, 3]`, its motion `late` seconds after its sound."""
    rest = egg(points)
    times = (np.arange(round(seconds * fps)) + 0.5) / fps - late
    mouth = np.exp(-np.square(rest - np.array([0, -5, 9], np.float32)).sum(axis=1) / 20) * np.sign(rest[:, 1] + 5)
    moved = np.repeat(rest[None], len(times), axis=0)
    moved[:, :, 1] += 0.8 * loudness(times, shot)[:, None] * mouth
    return moved.astype(np.float32)


def sound_of(shot: str, seconds: float) -> np.ndarray:
    """The buzz of a shot."""
    times = np.arange(round(seconds * RATE)) / RATE
    buzz = np.sum([np.sin(2 * np.pi * 120 * k * times) / k for k in range(1, 20)], axis=0)
    return np.asarray(0.15 * loudness(times, shot) * buzz)


class Recorded:
    """A data set on disk, right until a test changes it."""

    def __init__(self, root: Path, shots: dict[str, float] = SHOTS, fps: float = 30.0, points: int = 400) -> None:
        self.root, self.fps, self.shots, self.points = root, fps, shots, points
        (root / "audio").mkdir(parents=True)
        np.save(root / "neutral.npy", egg(points))
        for shot, seconds in shots.items():
            self.skin(shot, frames_of(shot, seconds, fps, points=points))
            self.sound(shot, sound_of(shot, seconds))

    def skin(self, shot: str, frames: np.ndarray, extension: str = ".npy", **options: float) -> None:
        folder = self.root / "skin" / shot
        folder.mkdir(parents=True, exist_ok=True)
        for old in folder.iterdir():
            old.unlink()
        if extension == ".npy":
            np.save(folder / f"{shot}.npy", frames)
        else:
            write_cache(folder / f"{shot}{extension}", frames, **{"fps": self.fps, **options})

    def sound(self, shot: str, samples: np.ndarray) -> None:
        soundfile.write(self.root / "audio" / f"{shot}.wav", samples, RATE)

    def check(self) -> CheckReport:
        paths = {name: self.root / place for name, place in (("AUDIO_ROOT", "audio"), ("SKIN_CACHE_ROOT", "skin"))}
        paths["SKIN_NEUTRAL_FPATH"] = self.root / "neutral.npy"
        return check_actor(ActorDataset("mary", self.fps, paths, ("neutral",), {}))


@pytest.fixture
def recorded(tmp_path: Path) -> Recorded:
    return Recorded(tmp_path / "data")


def codes(report: CheckReport) -> set[tuple[str, str | None]]:
    return {(finding.code, finding.shot) for finding in report.findings}


def test_right_data_have_no_findings(recorded: Recorded) -> None:
    assert not recorded.check().findings


def test_a_shot_that_stands_still_under_speech(recorded: Recorded) -> None:
    recorded.skin("a_neutral", np.repeat(egg()[None], 210, axis=0))
    assert codes(recorded.check()) == {("motion-still", "a_neutral")}


def test_half_a_shot_that_stands_still_under_speech(recorded: Recorded) -> None:
    frames = frames_of("a_neutral", 7.0, 30.0)
    frames[90:] = frames[90]
    recorded.skin("a_neutral", frames)
    (finding,) = recorded.check().findings
    assert (finding.code, finding.shot, finding.frame) == ("motion-still", "a_neutral", 90)


def test_a_shot_may_stand_still_in_silence(recorded: Recorded) -> None:
    frames, samples = frames_of("a_neutral", 7.0, 30.0), sound_of("a_neutral", 7.0)
    frames[90:], samples[3 * RATE :] = frames[90], 0
    recorded.skin("a_neutral", frames)
    recorded.sound("a_neutral", samples)
    assert not recorded.check().findings


def test_a_shot_may_stand_still_under_noise(recorded: Recorded) -> None:
    recorded.skin("a_neutral", np.repeat(egg()[None], 210, axis=0))
    recorded.sound("a_neutral", np.random.default_rng(0).normal(0, 0.1, 7 * RATE))
    assert not recorded.check().findings


def test_a_dataset_that_stands_still(recorded: Recorded) -> None:
    for shot, seconds in SHOTS.items():
        noise = np.random.default_rng(0).normal(0, 1e-4, (round(30 * seconds), 400, 3))
        recorded.skin(shot, (egg() + noise).astype(np.float32))
    assert codes(recorded.check()) == {("motion-still", None)}


@pytest.mark.parametrize(
    "store",
    [
        lambda frames: (frames + np.float32([0, 160, 0])).astype(np.float16),
        lambda frames: (frames + np.float32([0, 160, 0])).astype(np.float16).astype(np.float32),
        lambda frames: frames + np.float32([0, 4e5, 0]),
        lambda frames: np.round(frames / 0.02) * np.float32(0.02),
    ],
    ids=["float16", "was float16", "float32 far away", "rounded"],
)
def test_steps_above_a_tenth_of_a_millimetre(recorded: Recorded, store: Callable[[np.ndarray], np.ndarray]) -> None:
    (recorded.root / "neutral.npy").unlink()
    for shot, seconds in SHOTS.items():
        recorded.skin(shot, store(frames_of(shot, seconds, 30.0)))
    assert ("motion-coarse", None) in codes(recorded.check())


def test_float16_near_the_origin_is_fine_enough(recorded: Recorded) -> None:
    for shot, seconds in SHOTS.items():
        recorded.skin(shot, frames_of(shot, seconds, 30.0).astype(np.float16))
    assert not {code for code, _ in codes(recorded.check())} & {"motion-coarse", "motion-still"}


def test_a_neutral_of_another_face(recorded: Recorded) -> None:
    np.save(recorded.root / "neutral.npy", egg() * np.float32([1.2, 0.85, 1.1]))
    assert ("neutral-far", None) in codes(recorded.check())


@pytest.mark.parametrize("late", [0.5, 0.25, -0.4])
def test_all_sound_of_another_moment(recorded: Recorded, late: float) -> None:
    for shot, seconds in SHOTS.items():
        recorded.skin(shot, frames_of(shot, seconds, 30.0, late))
    (finding,) = recorded.check().findings
    assert (finding.code, finding.shot) == ("sound-offset", None)
    side = "after" if late > 0 else "before"
    assert any(f"{abs(late) + error:.2f} s" in finding.message for error in (-0.05, 0, 0.05))
    assert f"{side} the sound" in finding.message


def test_one_shot_of_another_moment(recorded: Recorded) -> None:
    recorded.skin("c_neutral", frames_of("c_neutral", 8.0, 30.0, 0.6))
    assert codes(recorded.check()) == {("sound-offset", "c_neutral")}


def test_exchanged_recordings(recorded: Recorded) -> None:
    recorded.sound("a_neutral", sound_of("b_neutral", 7.0))
    recorded.sound("b_neutral", sound_of("a_neutral", 6.0))
    (finding,) = recorded.check().findings
    assert finding.code == "sound-swapped"
    assert "'a_neutral'" in finding.message
    assert "'b_neutral'" in finding.message


@pytest.mark.parametrize(
    ("true", "configured", "extension"),
    [(30_000 / 1001, 30.0, ".mdd"), (24_000 / 1001, 24.0, ".npy"), (30.0, 29.97, ".npy")],
)
@pytest.mark.parametrize("cut", [False, True], ids=["whole", "cut to one length"])
def test_rates_that_differ_by_a_thousandth(
    tmp_path: Path, true: float, configured: float, extension: str, cut: bool
) -> None:
    take = {"long_neutral": 200.0}
    recorded = Recorded(tmp_path / "data", take, configured, 40)
    frames = frames_of("long_neutral", 202.0, true, points=40)[: round(200 * (configured if cut else true))]
    recorded.skin("long_neutral", frames, extension, **({"fps": true} if extension != ".npy" else {}))
    errors = [finding for finding in recorded.check().errors if finding.code == "frame-rate"]
    assert errors
    assert all(f"{true:.2f}" in finding.message + finding.remedy for finding in errors)


def test_starts_that_caches_state(recorded: Recorded) -> None:
    for shot, seconds in SHOTS.items():
        recorded.skin(shot, frames_of(shot, seconds, 30.0), ".mdd", start_time=1.0)
    assert not recorded.check().findings
    recorded.skin("b_neutral", frames_of("b_neutral", 6.0, 30.0), ".xml", start_time=1.5)
    assert codes(recorded.check()) == {("cache-start", "b_neutral")}


@pytest.mark.parametrize(
    ("channels", "words"),
    [
        (lambda voice: [voice, -voice], "cancel each other"),
        (lambda voice: [0 * voice, voice], "channel 1 of 2 carries no speech"),
        (lambda voice: [np.sin(np.arange(len(voice)) / 30), voice], "channel 2 is the voice"),
        (lambda voice: [voice, voice * np.random.default_rng(0).normal(size=len(voice))], "hold different sound"),
    ],
    ids=["opposite", "empty", "hum", "two voices"],
)
def test_channels_that_spoil_the_mix(
    recorded: Recorded, channels: Callable[[np.ndarray], list[np.ndarray]], words: str
) -> None:
    recorded.sound("a_neutral", np.stack(channels(sound_of("a_neutral", 7.0)), axis=1))
    found = [finding for finding in recorded.check().findings if finding.code == "audio-channels"]
    assert len(found) == 1
    assert words in found[0].message


def test_stereo_of_one_voice_is_right(recorded: Recorded) -> None:
    voice = sound_of("a_neutral", 7.0)
    recorded.sound("a_neutral", np.stack([voice, 0.3 * voice], axis=1))
    assert not recorded.check().findings


def test_random_motion_and_copies_of_a_shot_prove_nothing(dataset: Path, open_actor: Open) -> None:
    report = check_actor(open_actor(dataset))
    assert not {finding.code for finding in report.findings} & {"sound-offset", "sound-swapped", "motion-still"}
