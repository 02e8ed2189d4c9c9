"""Where a recording holds speech, and how loud it is there.

Frames of 20 ms count as active when their level is within 30 dB of the loud ones: a simple form of the active speech
level of ITU-T P.56. It needs a recording in which somebody speaks, with a background at least 30 dB below the voice.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from audio2face.types import BoolArray, Float32Array, Float64Array

_FRAME_SECONDS = 0.02
_RANGE_DB = 30.0
_LOUD_PERCENTILE = 95
_SILENT = 1e-4  # RMS, -80 dB of full scale: nobody speaks in a recording that is nowhere louder
_LEAD_SECONDS = 0.1  # of an excerpt before its speech, so that an onset is not cut
_PAUSE_SECONDS = 0.06  # the closure of a stop is shorter, a gap between phrases longer
_FADE_SECONDS = 0.01  # at both ends of an excerpt, so that a cut does not click


@dataclass(frozen=True)
class Excerpt:
    """A part of a recording that begins and ends with speech.

    Attributes:
        samples: float32 `[samples]`.
        speech_start: seconds from its start at which speech begins.
        speech_end: seconds from its start at which speech ends.
    """

    samples: Float32Array
    speech_start: float
    speech_end: float


def active_level(samples: Float32Array, samplerate: int) -> float:
    """Root mean square of the active frames, as a share of full scale; 0 for a recording without speech.

    Args:
        samples: `[samples]`, full scale 1.
        samplerate: samples per second.
    """
    levels = _levels(samples, samplerate)
    active = _active(levels)
    return float(np.sqrt(np.mean(np.square(levels[active])))) if active.any() else 0.0


def excerpt(samples: Float32Array, samplerate: int, seconds: float) -> Excerpt | None:
    """The first speech of a recording, cut in the last pause of the second half, or at the full length without one.

    Args:
        samples: `[samples]`, full scale 1.
        samplerate: samples per second.
        seconds: greatest length.

    Returns:
        None if nobody speaks.
    """
    active = _active(_levels(samples, samplerate))
    if not active.any():
        return None
    frame = _frame_samples(samplerate)
    onset = int(np.argmax(active))
    first = max(onset * frame - round(_LEAD_SECONDS * samplerate), 0)
    spoken = active[onset : (first + round(seconds * samplerate)) // frame]
    end = (onset + _last_phrase(spoken)) * frame
    part = samples[first:end].astype(np.float32)
    fade = min(round(_FADE_SECONDS * samplerate), len(part) // 2)
    ramp = np.linspace(0, 1, fade, endpoint=False, dtype=np.float32)
    part[:fade] *= ramp
    part[len(part) - fade :] *= ramp[::-1]
    return Excerpt(part, (onset * frame - first) / samplerate, len(part) / samplerate)


def _last_phrase(active: BoolArray) -> int:
    """Number of frames up to the last pause that begins in the second half; all up to the last active one without."""
    spoken = int(np.flatnonzero(active)[-1]) + 1 if active.any() else len(active)
    needed = round(_PAUSE_SECONDS / _FRAME_SECONDS)
    pauses = [
        index
        for index in range(max(len(active) // 2, 1), len(active) - needed + 1)
        if active[index - 1] and not active[index : index + needed].any()
    ]
    return pauses[-1] if pauses else spoken


def _frame_samples(samplerate: int) -> int:
    return round(_FRAME_SECONDS * samplerate)


def _levels(samples: Float32Array, samplerate: int) -> Float64Array:
    """Root mean square of each whole frame, float64 `[frames]`."""
    frame = _frame_samples(samplerate)
    whole = len(samples) // frame * frame
    return np.asarray(np.sqrt(np.mean(np.square(samples[:whole].reshape(-1, frame), dtype=np.float64), axis=1)))


def _active(levels: Float64Array) -> BoolArray:
    loud = float(np.percentile(levels, _LOUD_PERCENTILE)) if len(levels) else 0.0
    if loud < _SILENT:
        return np.zeros(len(levels), np.bool_)
    return np.asarray(levels >= loud * 10 ** (-_RANGE_DB / 20))
