"""How recordings are cut into windows, against the counts that consumers of deployed models expect."""

from __future__ import annotations

import numpy as np
import pytest

from audio2face.audio import Track
from audio2face.errors import UserError
from audio2face.inference import RawWindowSchedule, animate_windows

PLAN_60 = RawWindowSchedule(left_context=15, hop=30, right_context=15, window=16000, padding=16000, samplerate=16000)
PLAN_30 = RawWindowSchedule(left_context=7, hop=15, right_context=8, window=16000, padding=16000, samplerate=16000)


@pytest.mark.parametrize(
    ("plan", "samples", "frames", "windows"),
    [
        (PLAN_60, 16000, 60, 4),
        (PLAN_60, 64000, 240, 10),
        (PLAN_60, 65000, 244, 10),
        (PLAN_60, 1, 1, 2),
        (PLAN_30, 16000, 30, 4),
        (PLAN_30, 64000, 120, 10),
        (PLAN_30, 65000, 122, 10),
    ],
)
def test_every_frame_of_a_recording_and_none_besides(
    plan: RawWindowSchedule, samples: int, frames: int, windows: int
) -> None:
    heard: list[np.ndarray] = []

    def step(window: np.ndarray) -> np.ndarray:
        """Frames that hold the number of the sample at which they begin, or what is silent there."""
        heard.append(window)
        places = (plan.left_context + np.arange(plan.hop)) * plan.window // plan.frames
        return window[places, None]

    audio = np.arange(1, samples + 1, dtype=np.float32)  # 0 is silence
    found = np.concatenate(list(animate_windows(plan, Track(audio, 16000), step)))[:, 0]
    assert len(found) == frames == plan.num_frames(samples)
    assert len(heard) == windows == plan.num_windows(frames)
    assert all(len(window) == plan.window for window in heard)
    begins = np.arange(frames) * plan.window / plan.frames
    np.testing.assert_allclose(found, begins + 1, atol=1.0)


def test_leading_frames() -> None:
    assert (PLAN_60.lead_in_frames, PLAN_30.lead_in_frames) == (45, 23)
    assert (PLAN_60.fps, PLAN_30.fps) == (60, 30)
    assert [PLAN_60.start(index) for index in range(4)] == [-16000, -8000, 0, 8000]
    with pytest.raises(UserError, match="padding_left"):
        RawWindowSchedule(left_context=15, hop=30, right_context=15, window=16000, padding=3000, samplerate=16000)
