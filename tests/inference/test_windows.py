"""How recordings are cut into windows, against the counts that consumers of deployed models expect."""

from __future__ import annotations

import numpy as np
import pytest

from audio2face.audio import Track
from audio2face.models.windows import WindowSchedule
from audio2face.training.inference.animate import animate_windows

WINDOWS_60 = WindowSchedule.divided(
    window=16000, left_context=15, hop=30, right_context=15, padding=16000, samplerate=16000
)
WINDOWS_30 = WindowSchedule.divided(
    window=16000, left_context=7, hop=15, right_context=8, padding=16000, samplerate=16000
)


@pytest.mark.parametrize(
    ("schedule", "samples", "frames", "windows"),
    [
        (WINDOWS_60, 16000, 60, 4),
        (WINDOWS_60, 64000, 240, 10),
        (WINDOWS_60, 65000, 244, 10),
        (WINDOWS_60, 1, 1, 2),
        (WINDOWS_30, 16000, 30, 4),
        (WINDOWS_30, 64000, 120, 10),
        (WINDOWS_30, 65000, 122, 10),
    ],
)
def test_every_frame_of_a_recording_and_none_besides(
    schedule: WindowSchedule, samples: int, frames: int, windows: int
) -> None:
    seen: list[np.ndarray] = []

    def step(window: np.ndarray) -> np.ndarray:
        """Frames that hold the number of the sample at which they begin, or what is silent there."""
        assert window.shape == (1, schedule.window)
        seen.append(window)
        places = (schedule.left_context + np.arange(schedule.hop)) * schedule.window // schedule.frames
        return window[0, places, None]

    audio = np.arange(1, samples + 1, dtype=np.float32)  # 0 is silence
    found = np.concatenate(list(animate_windows(schedule, Track(audio, 16000), step)))[:, 0]
    assert len(found) == frames == schedule.num_frames(samples)
    assert len(seen) == windows == schedule.num_windows(frames)
    begins = np.arange(frames) * schedule.window / schedule.frames
    np.testing.assert_allclose(found, begins + 1, atol=1.0)


def test_leading_frames() -> None:
    assert (WINDOWS_60.lead_in_frames, WINDOWS_30.lead_in_frames) == (45, 23)
    assert (WINDOWS_60.fps, WINDOWS_30.fps) == (60, 30)
    assert [WINDOWS_60.first_sample(index) for index in range(4)] == [-16000, -8000, 0, 8000]
