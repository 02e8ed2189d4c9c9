"""How a take becomes shots: where it is cut, what each is called, what is left out."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from audio2face.audio import read_header, sample_blocks
from audio2face.audio.track import interval_loudness
from audio2face.errors import UserError
from audio2face.importers.coverage import count_sounds
from audio2face.importers.naming import shot_name
from audio2face.importers.recordings import MONO_RATE, read_mono, sound_range, spoken_frames, take_range
from audio2face.importers.shots import ShotRange, cut_shots
from audio2face.importers.take import Take
from audio2face.types import Float32Array, Float64Array

_BLOCK_FRAMES = 1024  # whose samples are squared at once
_SILENT = 1e-4  # of full scale
_LEAST_OVERLAP = 1.0  # s of a take and its recording


@dataclass(frozen=True, eq=False)
class ShotPlan:
    """How a take becomes shots.

    Attributes:
        shots_by_name: the frames of each, in order.
        samples: the recording, mono at 16 kHz.
        sounds: how often each sound of English occurs.
        notes: what is left out.
    """

    shots_by_name: dict[str, ShotRange]
    samples: Float32Array
    sounds: dict[str, int]
    notes: tuple[str, ...]

    @property
    def shots(self) -> list[ShotRange]:
        """The frames of each shot."""
        return list(self.shots_by_name.values())


def check_take(take: Take) -> None:
    """Refuses a take that has no shots; its recording is read up to the first sound.

    Raises:
        UserError: the take has no recording or a silent one, or does not overlap with it, or nothing of it was tracked
            for long enough.
    """
    first, stop = _spoken(take, read_header(_recording_of(take)).duration)
    if not cut_shots(take.lost[first:stop], np.zeros(stop - first), float(take.fps)):
        raise UserError(
            f"take {take.name} has no second and a half in which the face was tracked and the recording runs",
            path=take.source,
            hint="Record it again with the face in view.",
        )
    _check_sound(_recording_of(take))


def _check_sound(path: Path) -> None:
    if not any(float(np.abs(block).max(initial=0)) > _SILENT for block in sample_blocks(path)):
        raise UserError(
            "is silent: no sample is above -80 dB of full scale",
            path=path,
            hint="A network learns from sound: record it again, or give another recording of the take with --audio.",
        )


def seconds_without_sound(take: Take) -> float:
    """How much of a take lies outside of its recording."""
    first, stop = _spoken(take, read_header(_recording_of(take)).duration)
    return (take.num_frames - (stop - first)) / float(take.fps)


def seconds_without_face(take: Take) -> float:
    """How much of its recording lies outside of a take."""
    seconds = read_header(_recording_of(take)).duration
    first, stop = _spoken(take, seconds)
    return max(0.0, seconds - (stop - first) / float(take.fps))


def plan_shots(take: Take) -> ShotPlan:
    """Cuts a take into shots at pauses of its recording.

    Raises:
        UserError: as `check_take`, or the recording cannot be read.
    """
    check_take(take)
    fps, samples = float(take.fps), read_mono(_recording_of(take))
    first, stop = _spoken(take, len(samples) / MONO_RATE)
    loudness = _loudness(take, first, stop, samples)
    found = [
        ShotRange(shot.first + first, shot.stop + first) for shot in cut_shots(take.lost[first:stop], loudness, fps)
    ]
    shots = {shot_name(take.name, number, take.emotion): shot for number, shot in enumerate(found, 1)}
    notes = []
    without = take.num_frames - (stop - first)
    if without > 0.1 * fps:
        notes.append(f"{without / fps:.1f} s at its ends have no sound and are left out")
    gaps = (stop - first) - sum(shot.num_frames for shot in found)
    if gaps:
        notes.append(f"{gaps / fps:.1f} s in or between long gaps of tracking are left out")
    sounds: Counter[str] = Counter()
    for shot in found:
        sounds.update(count_sounds(_sound_of(take, shot.first, shot.stop, samples), MONO_RATE))
    return ShotPlan(shots, samples, dict(sounds), tuple(notes))


def _sound_of(take: Take, first: int, stop: int, samples: Float32Array) -> Float32Array:
    """The samples of some frames, mono at 16 kHz."""
    return take_range(samples, sound_range(take, first, stop, MONO_RATE))


def _loudness(take: Take, first: int, stop: int, samples: Float32Array) -> Float64Array:
    """Loudness of each of some frames, decibels."""
    fps, parts = float(take.fps), []
    for begin in range(first, stop, _BLOCK_FRAMES):
        end = min(begin + _BLOCK_FRAMES, stop)
        parts.append(interval_loudness(_sound_of(take, begin, end, samples), MONO_RATE, fps, end - begin))
    return np.concatenate(parts)


def _recording_of(take: Take) -> Path:
    if take.audio is None:
        raise UserError(
            f"take {take.name} has no recording",
            path=take.source,
            hint="Put a recording of the same name beside it (.wav, .mov, ...), or give --audio.",
        )
    return take.audio


def _spoken(take: Take, seconds: float) -> tuple[int, int]:
    """The frames of a take that have sound, first and after the last."""
    fps = float(take.fps)
    first, stop = spoken_frames(take, seconds)
    if (stop - first) / fps < min(_LEAST_OVERLAP, take.seconds / 2):
        raise UserError(
            f"take {take.name} lasts {take.seconds:.1f} s and begins {take.audio_start:+.2f} s after the start of a "
            f"recording of {seconds:.1f} s: they do not overlap",
            path=take.audio,
            hint="Check that it is the recording of this take, and its start: --offset SECONDS.",
        )
    return first, stop
