"""The recordings: there, readable, loud enough, unclipped, of a usable rate, and as long as the animation?"""

from __future__ import annotations

import functools
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

from audio2face.audio import MIN_SAMPLERATE, AudioHeader, measure, read_header
from audio2face.dataset.actor import ActorDataset
from audio2face.dataset.checks.caches import ShotCaches
from audio2face.dataset.checks.sound_features import SoundFeatures, sound_features
from audio2face.dataset.recording_files import list_recordings
from audio2face.dataset.report import Findings, first_few

_GOOD_SAMPLERATE = 16_000  # what speech encoders listen at
_MOST_CLIPPED = 0.001  # share of samples at full scale

# Lengths of sound and picture differ by a frame or two in any export.
_SMALL_DIFFERENCE = 0.1  # s
_LACKING = 0.25  # s: a syllable is without its sound
_LACKING_SHARE = 0.05
_USUAL_RATES = (24.0, 25.0, 29.97, 30.0, 48.0, 50.0, 59.94, 60.0, 90.0, 100.0, 120.0)
_MOST_SHOTS = 2 / 3
_RATE_TOLERANCE = 0.01
_SAME_RATE = 0.005  # 29.97 and 30 may stand for each other


@dataclass(frozen=True)
class _Length:
    """How long the two sides of a shot are."""

    shot: str
    file: Path
    sound: float  # s
    frames: int
    cache: Path
    cache_fps: float | None


def check_recordings(
    dataset: ActorDataset, caches: Iterable[ShotCaches], findings: Findings
) -> tuple[dict[str, AudioHeader], dict[str, SoundFeatures]]:
    """Checks the recording of every shot, and those in other voices.

    Returns:
        Headers of the shots' readable recordings, and features of those that are not silent, by shot.
    """
    root = dataset.paths["AUDIO_ROOT"]
    if not root.is_dir():
        findings.error(
            "audio-missing", "there is no such folder", "Correct AUDIO_ROOT in config_dataset.py.", file=root
        )
        return {}, {}
    headers: dict[str, AudioHeader] = {}
    sounds: dict[str, SoundFeatures] = {}
    lengths: dict[str, _Length] = {}
    shots = []
    for shot in caches:
        shots.append(shot.name)
        path = findings.attempt(functools.partial(dataset.audio_path, shot.name), "audio-several", root, shot.name)
        header, sound = (None, None) if path is None else _check_sound(path, shot.name, findings)
        if path is None or header is None:
            continue
        headers[shot.name] = header
        if sound is not None:
            sounds[shot.name] = sound
        if shot.skin is not None:
            skin = shot.skin
            lengths[shot.name] = _Length(shot.name, path, header.duration, skin.num_frames, skin.path, skin.fps)
    _check_lengths(dataset, list(lengths.values()), findings)
    _check_lossy(root, headers, findings)
    if shots:
        _check_unused(root, shots, findings)
        _check_voices(dataset, lengths, findings)
    return headers, sounds


def _check_sound(path: Path, shot: str, findings: Findings) -> tuple[AudioHeader | None, SoundFeatures | None]:
    if not path.is_file():
        findings.error(
            "audio-missing", "the shot has no recording", f"Put it there as {path.name}.", file=path, shot=shot
        )
        return None, None
    header = findings.attempt(lambda: read_header(path), "audio-unreadable", path, shot)
    levels = findings.attempt(lambda: measure(path), "audio-unreadable", path, shot) if header else None
    if header is None or levels is None:
        return None, None
    if levels.silent:
        findings.error(
            "audio-silent",
            f"is silent: its peak is {levels.peak:.2g} of full scale",
            "Export the recording once more, or remove the shot; AUG_MUTED_SHOTS makes silent clips.",
            file=path,
            shot=shot,
        )
    if levels.clipped_fraction > _MOST_CLIPPED:
        findings.warning(
            "audio-clipped",
            f"{levels.clipped_fraction:.1%} of the samples stand at full scale: the recording was clipped",
            "Record or export it at a lower level.",
            file=path,
            shot=shot,
        )
    _check_samplerate(header, path, shot, findings)
    return header, None if levels.silent else sound_features(path)


def _check_lossy(root: Path, headers: Mapping[str, AudioHeader], findings: Findings) -> None:
    """Warns once of all recordings whose format leaves out part of the sound."""
    lossy = {shot: header.subtype for shot, header in headers.items() if header.is_lossy}
    if lossy:
        codings = ", ".join(sorted(set(lossy.values())))
        findings.warning(
            "audio-lossy",
            f"{len(lossy)} of {len(headers)} recordings are in a lossy format ({codings}): {first_few(lossy)}",
            "Record as WAV where you can: a network learns the traces of the codec, and not every phone has the same.",
            file=root,
        )


def _check_samplerate(header: AudioHeader, path: Path, shot: str, findings: Findings) -> None:
    message = f"has {header.samplerate} samples per second, {_GOOD_SAMPLERATE} or more are needed"
    remedy = "Record or export it at a higher rate; resampling does not bring back what is lost."
    if header.samplerate < MIN_SAMPLERATE:
        findings.error("sample-rate", message, remedy, file=path, shot=shot)
    elif header.samplerate < _GOOD_SAMPLERATE:
        findings.warning("sample-rate", message, remedy, file=path, shot=shot)


def _check_lengths(dataset: ActorDataset, lengths: list[_Length], findings: Findings) -> None:
    """Compares sound and picture: first whether most shots tell of one other frame rate, then shot by shot."""
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
    for length in lengths:
        if not _check_cache_rate(length, fps, findings):
            _check_length(length, fps, findings)


def _suggested_rate(length: _Length, fps: float) -> float | None:
    """Another usual frame rate at which the animation would be as long as the sound, where `fps` does not fit."""
    if abs(length.sound - length.frames / fps) <= _SMALL_DIFFERENCE:
        return None
    implied = length.frames / length.sound
    near = [rate for rate in _USUAL_RATES if abs(implied / rate - 1) < _RATE_TOLERANCE]
    near.sort(key=lambda rate: (abs(rate - round(rate)) > 0, abs(implied - rate)))  # 30 before 29.97
    return near[0] if near and abs(near[0] / fps - 1) > _RATE_TOLERANCE else None


def _check_cache_rate(length: _Length, fps: float, findings: Findings) -> bool:
    """Compares the rate that a cache itself tells with CACHE_FPS; whether an error was reported."""
    told = length.cache_fps
    if told is None or abs(told / fps - 1) <= _SAME_RATE:
        return False
    message = f"the cache tells of {told:g} frames per second, expected {fps:g}"
    if abs(length.sound - length.frames / fps) <= _SMALL_DIFFERENCE:
        message += "; the recording's length agrees with the latter"
        findings.warning(
            "frame-rate", message, "Export at the rate of the scene, to be sure.", file=length.cache, shot=length.shot
        )
        return False
    findings.error(
        "frame-rate",
        f"{message}; the recording lasts {length.sound:.2f} s, {length.frames} frames last "
        f"{length.frames / told:.2f} s at {told:g} and {length.frames / fps:.2f} s at {fps:g}",
        "Export every shot at the rate that CACHE_FPS gives.",
        file=length.cache,
        shot=length.shot,
    )
    return True


def _check_length(length: _Length, fps: float, findings: Findings) -> None:
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
        findings.warning("audio-short", message, "Training hears silence at the end.", **place)
    elif rate is not None:
        findings.error("audio-long", message, "Export recording and animation over the same time.", **place)
    else:
        findings.warning(
            "audio-long",
            message,
            "Check that both begin at the same moment; the end is not used.",
            **place,
        )


def _check_voices(dataset: ActorDataset, lengths: Mapping[str, _Length], findings: Findings) -> None:
    """Compares recordings in other voices with the shot's own: they count only where CLIPS names them."""
    root = dataset.paths["AUDIO_ROOT"] / "aug"
    voices = findings.attempt(lambda: dataset.augmented_voices, "audio-several", root)
    for voice, tracks in (voices or {}).items():
        for shot, path in tracks.items():
            header = findings.attempt(functools.partial(read_header, path), "audio-unreadable", path, shot)
            own = lengths.get(shot)
            if header and own and abs(header.duration - own.sound) > _LACKING:
                findings.warning(
                    "voice-length",
                    f"lasts {header.duration:.2f} s in voice {voice!r}, the shot's own recording {own.sound:.2f} s",
                    "Make the other voice say the sentence in the same time, or do not use it in CLIPS.",
                    file=path,
                    shot=shot,
                )


def _check_unused(root: Path, shots: Iterable[str], findings: Findings) -> None:
    """Reports recordings that belong to no shot, in the folder itself and in other voices."""
    known = set(shots)
    for folder in (root, *sorted(path for path in root.glob("aug/*") if path.is_dir())):
        recordings = list_recordings(folder)
        unused = [path.name for name, paths in recordings.items() if name not in known for path in paths]
        if unused:
            findings.warning(
                "audio-unused",
                f"belongs to no shot: {first_few(unused)}",
                "Name recordings as their shots, or name them in CLIPS.",
                file=folder / unused[0],
            )
