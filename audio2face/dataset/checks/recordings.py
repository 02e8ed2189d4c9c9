"""Checks the recordings: existence, format, level, clipping, sample rate, channels and duration."""

from __future__ import annotations

import functools
from collections.abc import Iterable, Mapping
from pathlib import Path

from audio2face.audio import MIN_SAMPLERATE, AudioHeader, inspect_channels, measure_levels, read_header
from audio2face.audio.resample import rate_ratio
from audio2face.dataset.actor import ActorDataset
from audio2face.dataset.checks.caches import ShotCaches
from audio2face.dataset.checks.lengths import ShotLength, check_lengths
from audio2face.dataset.checks.relation import SoundFeatures, sound_features
from audio2face.dataset.checks.report import Findings, first_few
from audio2face.dataset.shots import TRANSCRIPT_SUFFIX, list_recordings, read_transcript

_GOOD_SAMPLERATE = 16_000  # sample rate of speech encoders
_MOST_CLIPPED = 0.001  # share of samples at full scale

_VOICE_DIFFERENCE = 0.25  # s: a syllable


def check_recordings(
    dataset: ActorDataset, caches: Iterable[ShotCaches], findings: Findings
) -> tuple[dict[str, AudioHeader], dict[str, SoundFeatures]]:
    """Checks the recording of every shot, and those in other voices.

    Returns:
        Headers of the shots' readable recordings, and features of those with audio, by shot.
    """
    root = dataset.paths["AUDIO_ROOT"]
    if not root.is_dir():
        findings.error(
            "audio-missing", "there is no such folder", "Correct AUDIO_ROOT in config_dataset.py.", file=root
        )
        return {}, {}
    headers: dict[str, AudioHeader] = {}
    sounds: dict[str, SoundFeatures] = {}
    lengths: dict[str, ShotLength] = {}
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
            lengths[shot.name] = ShotLength(shot.name, path, header.duration, skin.num_frames, skin.path, skin.fps)
    check_lengths(dataset, list(lengths.values()), findings)
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
    levels = findings.attempt(lambda: measure_levels(path), "audio-unreadable", path, shot) if header else None
    if header is None or levels is None:
        return None, None
    if levels.is_silent:
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
    if header.num_channels > 1:
        _check_channels(path, shot, findings)
    _check_words(path, shot, findings)
    return header, None if levels.is_silent else sound_features(path)


def _check_channels(path: Path, shot: str, findings: Findings) -> None:
    """Reports channels that cancel, differ, or carry no speech, and names the channel with the voice."""
    found = findings.attempt(lambda: inspect_channels(path), "audio-unreadable", path, shot)
    if found is None:
        return
    remedy = (
        f"Keep channel {found.best + 1}, which carries the voice: "
        f'`ffmpeg -i {path.name} -af "pan=mono|c0=c{found.best}" mono.wav`.'
    )
    place = {"file": path, "shot": shot}
    silent = [str(number + 1) for number, speaks in enumerate(found.has_speech) if not speaks]
    if found.cancel:
        findings.error(
            "audio-channels",
            "its channels cancel each other: mixed to mono, as training reads them, little is left of the voice",
            remedy,
            **place,
        )
    elif silent and any(found.has_speech):
        findings.warning(
            "audio-channels",
            f"channel {', '.join(silent)} of {found.count} carries no speech, and training mixes all channels; channel "
            f"{found.best + 1} is the voice",
            remedy,
            **place,
        )
    elif found.differ:
        findings.warning(
            "audio-channels",
            f"its {found.count} channels hold different sound, and training mixes them; most speech is in channel "
            f"{found.best + 1}",
            remedy,
            **place,
        )


def _check_lossy(root: Path, headers: Mapping[str, AudioHeader], findings: Findings) -> None:
    """Warns once of all recordings in lossy formats."""
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
    findings.attempt(lambda: rate_ratio(header.samplerate, _GOOD_SAMPLERATE), "sample-rate", path, shot)


def _check_words(path: Path, shot: str, findings: Findings) -> None:
    """Reports a transcript beside a recording that a phoneme recogniser could not read."""
    words = path.with_suffix(TRANSCRIPT_SUFFIX)
    if words.is_file():
        findings.attempt(lambda: read_transcript(words), "transcript-unreadable", words, shot)


def _check_voices(dataset: ActorDataset, lengths: Mapping[str, ShotLength], findings: Findings) -> None:
    """Compares recordings in other voices with the shot's own: they are used only if CLIPS names them."""
    root = dataset.paths["AUDIO_ROOT"] / "aug"
    voices = findings.attempt(lambda: dataset.augmented_voices, "audio-several", root)
    for voice, tracks in (voices or {}).items():
        for shot, path in tracks.items():
            header = findings.attempt(functools.partial(read_header, path), "audio-unreadable", path, shot)
            if header:
                _check_samplerate(header, path, shot, findings)
            own = lengths.get(shot)
            if header and own and abs(header.duration - own.sound) > _VOICE_DIFFERENCE:
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
