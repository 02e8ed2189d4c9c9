"""What a capture lacks and is made: the tongue from speech, a blink and small eye motion from the takes themselves."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np

from audio2face.dataset.arkit_names import ARKIT_INDEX
from audio2face.example.gaze import BLINK_FPS, BLINK_KEYS, SACCADE_FPS, SACCADE_ROWS, saccade_table
from audio2face.geometry.frames import recorded_times
from audio2face.rigs.speech import extract_curves, speech_weights
from audio2face.rigs.viseme_source import extract_visemes
from audio2face.types import Float32Array, Float64Array

_SMOOTHING = 0.01  # s, of viseme channels
_BLINK_KEYS = len(BLINK_KEYS)
_SHUT = 0.55  # weight of a lid that is shut in a blink
_OPEN_SHARE = 0.35  # of the height of a blink that its ends stay below
_FEWEST_BLINKS = 3
_REST_SECONDS = 0.2  # around a frame at rest
_SHUT_COST = 3.0
_MOUTH = [index for name, index in ARKIT_INDEX.items() if name.startswith(("jaw", "mouth"))]
_LIDS = [ARKIT_INDEX["eyeBlinkLeft"], ARKIT_INDEX["eyeBlinkRight"]]
_BEFORE = 3  # keys before the lids are shut
_TREND_SECONDS = 1.0
_MOST_DEGREES = 4.0  # of a saccade around a fixation
_FEWEST_SACCADE_SECONDS = 20.0
_SEED = 5000


def tongue_of_speech(samples: Float32Array, samplerate: int, num_frames: int, fps: float) -> Float32Array:
    """Weights of the tongue that a recording tells, float32 `[frames, 16]`, at the middle of each frame.

    The encoder a2f-phonetic detects the sounds, and the example's rules say where the tongue is in each.

    Args:
        samples: mono, float32 `[samples]`, from the start of the first frame.
        samplerate: their rate, in Hz.
        num_frames: number of frames.
        fps: frames per second.
    """
    speech = extract_curves(samples, samplerate, extract_visemes, _SMOOTHING)
    times = recorded_times(np.arange(num_frames), fps)
    _, tongue = speech_weights(speech, times, strength=1.0, jaw=1.0, tongue=1.0)
    return np.asarray(tongue, np.float32)


def resting_frame(weights: Float32Array, fps: float) -> tuple[int, float]:
    """The frame of weights `[frames, 52]` whose mouth is most at rest, with open eyes, and how much it still shows.

    A muted shot repeats such a frame, so that a network learns to be still in pauses.
    """
    shown = weights[:, _MOUTH].sum(axis=1, dtype=np.float64) + _SHUT_COST * weights[:, _LIDS].max(axis=1)
    size = min(len(shown), round(_REST_SECONDS * fps) | 1)
    padded = np.pad(shown, (size // 2, size - 1 - size // 2), mode="edge")
    calm = np.convolve(padded, np.ones(size) / size, mode="valid")
    frame = int(calm.argmin())
    return frame, float(calm[frame])


def find_blinks(weights: Float32Array, fps: float) -> Float32Array:
    """The blinks in weights `[frames, 52]`, as keys at 30 frames per second from 0 to 1, float32 `[blinks, 10]`."""
    lids = weights[:, _LIDS].mean(axis=1).astype(np.float64)
    peaks = np.flatnonzero((lids[1:-1] >= _SHUT) & (lids[1:-1] >= lids[:-2]) & (lids[1:-1] > lids[2:])) + 1
    found = []
    for peak in peaks.tolist():
        frames = peak + (np.arange(_BLINK_KEYS) - _BEFORE) * fps / BLINK_FPS
        if frames[0] < 0 or frames[-1] > len(lids) - 1:
            continue
        curve = np.interp(frames, np.arange(len(lids)), lids)
        low = max(curve[0], curve[-1])
        if curve.argmax() == _BEFORE and low < _OPEN_SHARE * curve[_BEFORE]:
            found.append((curve - low) / (curve[_BEFORE] - low))
    return np.clip(np.array(found, np.float32).reshape(-1, _BLINK_KEYS), 0, 1)


def blink_keys(blinks: Float32Array) -> tuple[Float32Array, bool]:
    """One blink from those that were found, `[keys]`, and whether it is theirs; with too few the example's."""
    if len(blinks) < _FEWEST_BLINKS:
        return np.array(BLINK_KEYS, np.float32), False
    usual = np.median(blinks, axis=0)
    usual[[0, -1]] = 0.0
    return np.asarray(usual / usual.max(), np.float32), True


def small_eye_motion(eyes: Float32Array, fps: float) -> Float32Array:
    """Motion of the eyes around their fixations at 30 frames per second, degrees, float32 `[rows, 2]`.

    Args:
        eyes: `[frames, 2, 2]`, degrees.
        fps: frames per second.
    """
    gaze = eyes.mean(axis=1, dtype=np.float64)
    rows = int(len(gaze) * SACCADE_FPS / fps)
    places = np.arange(rows) * fps / SACCADE_FPS
    sampled = np.stack([np.interp(places, np.arange(len(gaze)), gaze[:, axis]) for axis in range(2)], axis=1)
    return np.asarray(np.clip(sampled - _trend(sampled), -_MOST_DEGREES, _MOST_DEGREES), np.float32)


def saccades(motions: Iterable[Float32Array]) -> tuple[Float32Array, bool]:
    """The table of saccades from small motion of takes, and whether it is theirs; with too little the example's."""
    found = np.concatenate([np.zeros((0, 2), np.float32), *motions])[:SACCADE_ROWS]
    if len(found) < _FEWEST_SACCADE_SECONDS * SACCADE_FPS or not found.std():
        return saccade_table(np.random.default_rng(_SEED)), False
    return found, True


def _trend(values: Float64Array) -> Float64Array:
    """The running mean of each column over a second."""
    size = min(len(values), round(_TREND_SECONDS * SACCADE_FPS) | 1)
    kernel = np.ones(size) / size
    padded = np.pad(values, ((size // 2, size - 1 - size // 2), (0, 0)), mode="edge")
    return np.stack([np.convolve(padded[:, axis], kernel, mode="valid") for axis in range(2)], axis=1)
