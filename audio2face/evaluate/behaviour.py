"""Measures on curves of the mouth opening, and the behaviour tests that they decide.

A curve is the mouth opening above the neutral face in millimetres, `[frames]`; frame i is at (i + 0.5) / fps.
Sizes of the thresholds come from what viewers notice: docs/evaluation.md gives the reasons.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Literal

import numpy as np

from audio2face.evaluate.lips import TOUCH_MM
from audio2face.geometry.frames import MIDDLE
from audio2face.types import Float64Array, FloatArray

PERCENTILE = 95  # of the opening: wide open, without the one widest frame
SHUT_SECONDS = 0.3  # after the end of speech
_BURST_SECONDS = 1 / 30
# Deviations of recorded mouths from themselves, as shares of their 95th percentile: 7 to 9 % when they are a frame of
# 1/30 s late, 6 to 8 % with a fifth less motion, 14 to 19 % with half of it, 27 to 37 % for other speech.
UNNOTICED, NOTICED, STRANGE = 7.5, 15.0, 20.0


@dataclass(frozen=True, kw_only=True)
class BehaviourTest:
    """What one behaviour test measures, and the threshold that it must keep.

    Attributes:
        label: what is tested, in a few words.
        unit: of the value and the threshold.
        threshold: the largest value that passes, or the smallest.
        passes_if: which of the two.
        definition: how it is measured, one or two sentences.
    """

    label: str
    unit: str
    threshold: float
    passes_if: Literal["below", "above"] = "below"
    definition: str


def _shut(label: str, sound: str) -> BehaviourTest:
    return BehaviourTest(
        label=f"shut on {label}",
        unit="mm",
        threshold=TOUCH_MM,
        definition=f"95th percentile of the mouth opening above the neutral face during {sound}.",
    )


def _same_face(label: str, change: str, threshold: float) -> BehaviourTest:
    return BehaviourTest(
        label=f"same face {label}",
        unit="%",
        threshold=threshold,
        definition=f"Mean absolute difference of the mouth opening between clips and the same clips {change}, "
        "as a share of the 95th percentile of the opening; mean over clips.",
    )


BEHAVIOURS: Mapping[str, BehaviourTest] = MappingProxyType(
    {
        "closed_after_speech": BehaviourTest(
            label="closed after speech",
            unit="s",
            threshold=SHUT_SECONDS,
            definition="Time from the end of speech, which digital silence follows, until the mouth stays within 1 mm "
            "of the neutral face; the slowest of the clips.",
        ),
        "shut_on_silence": _shut("silence", "3 s of digital silence"),
        "shut_on_room_noise": _shut("room noise", "3 s of steady noise 35 dB below the speech"),
        "shut_on_breath": _shut("breath", "3 s of breathing 20 dB below the speech"),
        "shut_on_hum": _shut('a hummed "hmm"', "3 s of humming through closed lips, 10 dB below the speech"),
        "bursts": BehaviourTest(
            label="no bursts",
            unit="mm",
            threshold=TOUCH_MM,
            definition="Largest change of the mouth opening within 1/30 s where nobody speaks: during silence, room "
            "noise, breath and hum, and from 0.3 s after the end of speech.",
        ),
        "same_at_low_level": _same_face("at another level", "20 dB quieter", UNNOTICED),
        "same_for_other_voice": _same_face(
            "for another voice", "with pitch and formants moved by 3 semitones, up and down in turn", NOTICED
        ),
        "same_in_noise_20db": _same_face("in noise, 20 dB", "in pink noise 20 dB below the speech", UNNOTICED),
        "same_in_noise_10db": _same_face("in noise, 10 dB", "in pink noise 10 dB below the speech", NOTICED),
        "same_in_noise_0db": _same_face("in noise, 0 dB", "in pink noise as loud as the speech", STRANGE),
        "same_in_reverberation": _same_face(
            "in a room", "in a room with a reverberation time of 0.5 s, echo as strong as the voice", NOTICED
        ),
        "same_over_telephone": _same_face("over the telephone", "in the band and coding of a telephone call", NOTICED),
        "same_as_mp3": _same_face("as MP3", "after MP3 at 40 kbit/s", UNNOTICED),
        "drift": BehaviourTest(
            label="no drift",
            unit="mm",
            threshold=0.5,
            definition="Absolute difference between the mean mouth opening of clips at the end of 60 s of speech and "
            "that of the same clips alone, from their second second on.",
        ),
        "start_as_middle": BehaviourTest(
            label="start as middle",
            unit="%",
            threshold=UNNOTICED,
            definition="Mean absolute difference of the mouth opening in the first second of speech between a clip at "
            "the start of a recording and the same clip after 2 s of other speech, as a share of the 95th percentile "
            "of the opening; mean over clips.",
        ),
        "stream_as_file": BehaviourTest(
            label="stream as file",
            unit="mm",
            threshold=0.1,
            definition="Largest difference of the mouth opening between an animation that is streamed and that of the "
            "whole file.",
        ),
    }
)


def opening_at(opening: FloatArray, fps: float, start: float, frames: int) -> Float64Array:
    """The curve from a time on, linear between frames and constant beyond its ends, float64 `[frames]` at its rate."""
    positions = np.arange(frames) + start * fps
    return np.asarray(np.interp(positions, np.arange(len(opening)), opening))


def from_time(opening: FloatArray, fps: float, start: float) -> FloatArray:
    """The frames at or after a time in seconds."""
    return opening[max(int(np.ceil(start * fps - MIDDLE)), 0) :]


def closing_seconds(opening: FloatArray, fps: float, speech_end: float) -> float:
    """Time after speech from which the mouth stays within 1 mm of the neutral face.

    Args:
        opening: of speech and the silence after it.
        fps: frames per second.
        speech_end: seconds.

    Returns:
        At least 0; the length of the silence if the last frame is open.
    """
    wide = np.flatnonzero(np.asarray(opening) > TOUCH_MM)
    closed_from = (wide[-1] + 1) / fps if len(wide) else 0.0
    return float(max(closed_from - speech_end, 0.0))


def wide_opening(opening: FloatArray) -> float:
    """The 95th percentile, millimetres."""
    return float(np.percentile(opening, PERCENTILE))


def largest_burst(opening: FloatArray, fps: float) -> float:
    """Largest change within 1/30 s, or from one frame to the next at lower rates, millimetres; 0 for one frame."""
    width = min(max(round(fps * _BURST_SECONDS), 1) + 1, len(opening))
    windows = np.lib.stride_tricks.sliding_window_view(opening, width)
    return float(np.ptp(windows, axis=1).max())


def deviation(changed: FloatArray, reference: FloatArray, max_lag: int = 0) -> float:
    """Mean absolute difference of two curves as a share of the 95th percentile of the reference.

    Args:
        changed: `[frames]`.
        reference: `[frames]`; of curves of different lengths the common frames count.
        max_lag: the smallest deviation within this number of frames of shift is taken.

    Returns:
        A percentage; nan if the mouth of the reference opens by less than 1 mm, where a share says nothing.
    """
    scale = wide_opening(reference)
    if scale < TOUCH_MM:
        return float("nan")
    frames = min(len(changed), len(reference))
    one, other = np.asarray(changed[:frames], np.float64), np.asarray(reference[:frames], np.float64)
    lags = range(-min(max_lag, frames - 1), min(max_lag, frames - 1) + 1)
    return (
        100
        * min(
            float(np.abs(one[max(lag, 0) : frames + min(lag, 0)] - other[max(-lag, 0) : frames - max(lag, 0)]).mean())
            for lag in lags
        )
        / scale
    )
