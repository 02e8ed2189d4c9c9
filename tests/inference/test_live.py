"""A live session: a frame for each moment, the same as those of a stream; late, lost and ended audio; nothing grows."""

from __future__ import annotations

import tracemalloc
from collections.abc import Iterable
from pathlib import Path

import numpy as np
import pytest

import audio2face
from audio2face.animation.animation import AnimationFrame
from audio2face.errors import UserError
from audio2face.inference.live import HOLD, RELAX, STAGES
from audio2face.types import Float32Array

RATE = 16_000
PIECE = 0.02  # seconds
PLAIN = dict.fromkeys(("lower_face_smoothing", "upper_face_smoothing"), 0.0)


def noise(seconds: float) -> Float32Array:
    return np.random.default_rng(0).uniform(-0.5, 0.5, round(seconds * RATE)).astype(np.float32)


def open_session(folder: Path, **options: object) -> audio2face.LiveSession:
    model = audio2face.load(folder, device="cpu")
    return model.live(RATE, actor="ada", blinks=False, parameters=PLAIN, **options)  # type: ignore[arg-type]


def play(
    session: audio2face.LiveSession, sent: Iterable[tuple[float, Float32Array]], until: float
) -> list[AnimationFrame]:
    """Sends pieces at their times, and asks for frames every millisecond of a clock that starts at 100."""
    pending = sorted(sent, key=lambda each: each[0])
    frames: list[AnimationFrame] = []
    for now in np.arange(0, until, 0.001).tolist():
        while pending and pending[0][0] <= now:
            session.push(pending.pop(0)[1], 100 + now)
        made = list(session.frames(100 + now))
        for frame in made:
            assert session.wait - 1e-3 < now - frame.time < session.wait + 2e-3  # neither early nor late
        frames += made
    return frames


def pieces(audio: Float32Array, start: float = 0.0) -> list[tuple[float, Float32Array]]:
    """A microphone: each piece is sent when its last sample was captured."""
    parts = np.split(audio, np.arange(round(PIECE * RATE), len(audio), round(PIECE * RATE)))
    return [(start + (index + 1) * PIECE, part) for index, part in enumerate(parts)]


def skins(frames: Iterable[AnimationFrame]) -> Float32Array:
    return np.stack([frame.skin for frame in frames])


def streamed(folder: Path, audio: Float32Array) -> Float32Array:
    model = audio2face.load(folder, device="cpu")
    stream = model.stream(RATE, actor="ada", blinks=False, parameters=PLAIN)
    stream.push(audio)
    stream.finish()
    return skins(stream.frames())


@pytest.mark.parametrize("kind", ["streaming", "diffusion", "diffusion_30", "regression"])
def test_every_moment_has_the_frame_of_the_stream(kind: str, request: pytest.FixtureRequest) -> None:
    folder = request.getfixturevalue(kind)
    session, audio = open_session(folder), noise(3.0)
    frames = play(session, pieces(audio), 2.9)
    expected = streamed(folder, audio)
    fps = float(session.fps)
    assert [frame.time for frame in frames] == pytest.approx(np.arange(len(frames)) / fps)
    assert len(frames) == int((2.899 - session.wait) * fps) + 1
    risen = round(0.1 * fps) + 1  # the face has risen from rest, and shows what the network makes
    np.testing.assert_allclose(skins(frames)[risen:], expected[risen : len(frames)], atol=1e-5)
    assert not np.allclose(frames[0].skin, expected[0], atol=1e-3)
    assert (session.held, session.gaps) == (0, 0)
    assert set(session.latency) == set(STAGES)
    assert all(0 <= found.p50 <= found.p95 <= found.p99 for found in session.latency.values())


def test_late_audio_is_caught_up_with(streaming: Path) -> None:
    audio = noise(2.0)
    late = [(1.1 if 1.0 < at < 1.1 else at, part) for at, part in pieces(audio)]
    session = open_session(streaming)
    frames, expected = skins(play(session, late, 1.9)), streamed(streaming, audio)
    apart = np.abs(frames - expected[: len(frames)]).max(axis=(1, 2))[5:] > 1e-4
    assert session.gaps == 1
    assert 1 <= session.held <= 3
    first = int(np.flatnonzero(apart)[0]) + 5
    assert np.array_equal(frames[first], frames[first - 1])  # held
    assert apart.sum() == session.held


def test_a_lost_source_relaxes_and_begins_anew(streaming: Path) -> None:
    audio = noise(3.0)
    first, again = audio[:16_000], audio[32_000:]
    session = open_session(streaming)
    rest = next(iter(play(open_session(streaming), [], 0.5))).skin
    frames = play(session, [*pieces(first), *pieces(again, start=2.0)], 2.9)
    gone = round((1.0 + HOLD + RELAX) * 30) + 1
    begun = round(2.0 * 30)
    for frame in frames[gone : begun - 1]:
        assert np.array_equal(frame.skin, rest)
    assert not np.allclose(frames[29].skin, rest, atol=1e-3)
    expected = streamed(streaming, again)
    risen = skins(frames)[begun + 5 :]
    assert min(np.abs(risen - expected[5 + late :][: len(risen)]).max() for late in (0, 1)) < 1e-5
    assert session.gaps == 1


def test_the_end_brings_the_face_to_rest_in_time(streaming: Path) -> None:
    audio, session = noise(1.0), open_session(streaming)
    rest = next(iter(play(open_session(streaming), [], 0.5))).skin
    frames = play(session, pieces(audio), 1.02)
    session.finish()
    frames += [frame for step in range(1000) for frame in session.frames(101.02 + step / 1000)]
    expected = streamed(streaming, audio)
    np.testing.assert_allclose(skins(frames)[5:30], expected[5:30], atol=1e-5)  # all that was said is shown
    for frame in frames[round((1.0 + HOLD + RELAX) * 30) + 1 :]:
        assert np.array_equal(frame.skin, rest)
    assert session.held == 0
    session.push(noise(0.5), 102.5)  # it may speak again at once
    again = [frame for step in range(500) for frame in session.frames(102.5 + step / 1000)]
    assert any(not np.allclose(frame.skin, rest, atol=1e-3) for frame in again)
    assert np.array_equal(again[-1].skin, rest)  # and is at rest again, since nothing followed


def test_an_emotion_eases_in(streaming: Path) -> None:
    session, audio = open_session(streaming, emotion="neutral"), noise(3.0)
    before = play(session, [each for each in pieces(audio) if each[0] < 1.5], 1.5)
    session.change_emotion("joy=0.8")
    after: list[AnimationFrame] = []
    for now in np.arange(1.5, 2.9, 0.02).tolist():
        start = round(now * RATE)
        session.push(audio[start : start + 320], 100 + now + PIECE)
        after += session.frames(100 + now + PIECE)
    joys = np.array([frame.emotion[0] for frame in after])
    assert before[-1].emotion[0] == 0
    assert joys[-1] == pytest.approx(0.8)
    assert 0 < np.diff(joys).max() < 0.8 / 5
    with pytest.raises(UserError, match="zeal"):
        session.change_emotion("zeal")


def test_nothing_grows(streaming: Path) -> None:
    session, audio = open_session(streaming, solver=None), noise(1.0)[: round(PIECE * RATE)]
    held = []
    tracemalloc.start()
    try:
        for second in range(40):
            for step in range(50):
                now = 100 + second + step * PIECE
                session.push(audio, now)
                for _ in session.frames(now):
                    pass
            held.append(tracemalloc.get_traced_memory()[0])
    finally:
        tracemalloc.stop()
    assert max(held[36:]) - max(held[34:36]) < 20_000  # bytes; the measured latencies are full by then


def test_what_a_session_refuses(streaming: Path) -> None:
    session = open_session(streaming)
    with pytest.raises(UserError, match="more than 60 seconds of audio wait"):
        session.push(np.zeros(61 * RATE, np.float32), 0.0)
    with pytest.raises(UserError, match="expected one channel"):
        session.push(np.zeros((10, 2), np.float32), 0.0)
    with pytest.raises(UserError, match="gives the network's 30 frames per second, not 25"):
        open_session(streaming, fps=25)
    with pytest.raises(UserError, match="too low for speech"):
        audio2face.load(streaming, device="cpu").live(1000, actor="ada")
