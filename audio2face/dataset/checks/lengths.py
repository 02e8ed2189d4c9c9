"""Compares the durations of recording and animation, and looks for a frame rate that explains differences."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from pathlib import Path

from audio2face.dataset.actor import ActorDataset
from audio2face.dataset.checks.report import Findings

# Durations of audio and animation differ by a frame or two in any export.
_SMALL_DIFFERENCE = 0.1  # s
_LACKING = 0.25  # s: a syllable without audio
_LACKING_SHARE = 0.05
_USUAL_RATES = (23.976, 24.0, 25.0, 29.97, 30.0, 48.0, 50.0, 59.94, 60.0, 90.0, 100.0, 120.0)
_MOST_SHOTS = 2 / 3
_RATE_TOLERANCE = 0.01
_SAME_RATE = 0.005  # in short shots 29.97 and 30 are equivalent
_THOUSANDTH = 1.001  # 30 to 29.97, 60 to 59.94, 24 to 23.976
_SAME_THOUSANDTH = 1e-4
_FRAMES_OFF = 1.5  # tolerance of a duration, in frames


@dataclass(frozen=True)
class ShotLength:
    """Durations of recording and animation of a shot.

    Attributes:
        shot: name of the shot.
        file: its recording.
        sound: duration of the recording, in seconds.
        frames: number of frames of its animation.
        cache: file of the animation.
        cache_fps: frames per second stated by the file; None if its format has none.
    """

    shot: str
    file: Path
    sound: float
    frames: int
    cache: Path
    cache_fps: float | None


def check_lengths(dataset: ActorDataset, lengths: list[ShotLength], findings: Findings) -> None:
    """Compares audio and animation: first whether most shots imply one other frame rate, then shot by shot."""
    suggested = [_suggested_rate(length, dataset.fps) for length in lengths]
    (rate, votes), *_ = Counter(suggested).most_common(1) or [(None, 0)]
    fps = dataset.fps
    if rate is not None and votes > 1 and votes >= _MOST_SHOTS * len(lengths):
        findings.error(
            "frame-rate",
            f"CACHE_FPS is {fps:g}, but {votes} of {len(lengths)} recordings are as long as their animation at "
            f"{rate:g} frames per second",
            f'Set CACHE_FPS["{dataset.actor}"] = {rate} in config_dataset.py, or export the caches at {fps:g}.',
            file=dataset.paths["SKIN_CACHE_ROOT"],
        )
        fps = rate
    fps = _check_thousandth(dataset, lengths, fps, findings)
    for length in lengths:
        if not _check_cache_rate(length, fps, findings):
            _check_length(length, fps, findings)


def _check_thousandth(dataset: ActorDataset, lengths: list[ShotLength], fps: float, findings: Findings) -> float:
    """Looks for long takes that fit a rate of 1000/1001 or 1001/1000 of the configured one; returns the rate to use."""
    for rate in (fps / _THOUSANDTH, fps * _THOUSANDTH):
        long = [length for length in lengths if length.frames * abs(1 - fps / rate) > 2.5 * _FRAMES_OFF]
        fitting = [length for length in long if _fits_better(length, rate, fps)]
        stated = [length for length in fitting if _states(length, rate)]
        if not fitting or len(fitting) < _MOST_SHOTS * len(long):
            continue
        drift = max(abs(length.frames / fps - length.frames / rate) for length in fitting)
        add = findings.error if len(fitting) > 1 or stated else findings.warning
        add(
            "frame-rate",
            f"CACHE_FPS is {fps:g}, but {len(fitting)} of {len(long)} long recordings are as long as their animation "
            f"at {rate:.2f} frames per second{', which their caches state' if stated else ''}: by the end of a take, "
            f"audio and animation are {drift:.2f} s apart",
            f'Set CACHE_FPS["{dataset.actor}"] = {rate:.6g} in config_dataset.py, or export the caches at {fps:g}.',
            file=dataset.paths["SKIN_CACHE_ROOT"],
        )
        return rate
    return fps


def _fits_better(length: ShotLength, rate: float, fps: float) -> bool:
    fits = abs(length.sound - length.frames / rate) <= _FRAMES_OFF / rate
    return fits and abs(length.sound - length.frames / fps) > _FRAMES_OFF / fps


def _states(length: ShotLength, rate: float) -> bool:
    return length.cache_fps is not None and abs(length.cache_fps / rate - 1) < _SAME_THOUSANDTH


def _suggested_rate(length: ShotLength, fps: float) -> float | None:
    """Returns another common frame rate at which the animation has the duration of the audio; None if `fps` fits."""
    if abs(length.sound - length.frames / fps) <= _SMALL_DIFFERENCE:
        return None
    implied = length.frames / length.sound
    near = [rate for rate in _USUAL_RATES if abs(implied / rate - 1) < _RATE_TOLERANCE]
    near.sort(key=lambda rate: (abs(rate - round(rate)) > 0, abs(implied - rate)))  # 30 before 29.97
    return near[0] if near and abs(near[0] / fps - 1) > _RATE_TOLERANCE else None


def _check_cache_rate(length: ShotLength, fps: float, findings: Findings) -> bool:
    """Compares the rate stated by a cache with CACHE_FPS; returns whether an error was reported."""
    stated = length.cache_fps
    if stated is None or abs(stated / fps - 1) <= _SAME_RATE:
        if stated is not None:
            _check_stated_thousandth(length, stated, fps, findings)
        return False
    message = f"the cache states {stated:g} frames per second, expected {fps:g}"
    if abs(length.sound - length.frames / fps) <= _SMALL_DIFFERENCE:
        message += "; the recording's length agrees with the latter"
        findings.warning(
            "frame-rate", message, "Export at the rate of the scene, to be sure.", file=length.cache, shot=length.shot
        )
        return False
    findings.error(
        "frame-rate",
        f"{message}; the recording lasts {length.sound:.2f} s, {length.frames} frames last "
        f"{length.frames / stated:.2f} s at {stated:g} and {length.frames / fps:.2f} s at {fps:g}",
        "Export every shot at the rate that CACHE_FPS gives.",
        file=length.cache,
        shot=length.shot,
    )
    return True


def _check_stated_thousandth(length: ShotLength, stated: float, fps: float, findings: Findings) -> None:
    """Warns of a long take whose cache states a rate that differs by a thousandth."""
    drift = abs(length.frames / fps - length.frames / stated)
    ratio = max(stated / fps, fps / stated)
    if abs(ratio / _THOUSANDTH - 1) < _SAME_THOUSANDTH and drift > 1 / fps:
        findings.warning(
            "frame-rate",
            f"the cache states {stated:.2f} frames per second and CACHE_FPS is {fps:g}: by the end of the take that is "
            f"{drift:.2f} s",
            "Give CACHE_FPS the rate at which the animation was recorded.",
            file=length.cache,
            shot=length.shot,
        )


def _check_length(length: ShotLength, fps: float, findings: Findings) -> None:
    rate = _suggested_rate(length, fps)
    motion = length.frames / fps
    lacking = motion - length.sound
    if abs(lacking) <= _SMALL_DIFFERENCE:
        return
    message = f"lasts {length.sound:.2f} s, its animation {motion:.2f} s ({length.frames} frames at {fps:g})"
    message += f"; at {rate:g} frames per second they would fit" if rate else ""
    place = {"file": length.file, "shot": length.shot}
    if lacking > min(_LACKING, max(_LACKING_SHARE * motion, _SMALL_DIFFERENCE)):
        findings.error("audio-short", message, "Export recording and animation over the same time.", **place)
    elif lacking > 0:
        findings.warning("audio-short", message, "Training uses silence at the end.", **place)
    elif rate is not None:
        findings.error("audio-long", message, "Export recording and animation over the same time.", **place)
    else:
        findings.warning(
            "audio-long",
            message,
            "Check that both start at the same time; the end is not used.",
            **place,
        )
