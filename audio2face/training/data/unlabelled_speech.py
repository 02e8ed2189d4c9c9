"""Speech whose motion nobody recorded, for a teacher to animate: recordings of a folder, or what a training has itself.

Without a folder these are the recordings of the training clips in other voices, whose words come at the same times, and
synthetic speech. Shots of the validation and the test set have no part in it. The other voices are kept as WAV files
under a checksum of the samples that they were made of.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import soundfile

from audio2face.audio import read_header
from audio2face.config import TrainSection
from audio2face.config_base.types import RECORDING_SUFFIXES
from audio2face.console import LOGGER, track
from audio2face.errors import UserError
from audio2face.evaluate.perturbations import other_voice
from audio2face.io.atomic import atomic_write
from audio2face.training.data.clips import TrainingClip, listed
from audio2face.training.data.dataset import TrainingData
from audio2face.training.data.pseudo_labels import EmotionDraws
from audio2face.training.data.synthetic import open_recordings
from audio2face.types import Float32Array

_VERSION = b"1"  # of the other voices: it changes with what is made of a recording
SEMITONES = (-4.0, -2.0, 2.0, 4.0)  # of the other voices of each training recording
_DRAWS = 1  # tells the emotions drawn here from those of synthetic talking


@dataclass(frozen=True)
class UnlabelledSpeech:
    """A recording for a teacher.

    Attributes:
        audio: the recording.
        actor: whose face moves.
        emotion: in which the face speaks.
        seconds: length of the recording.
    """

    audio: Path
    actor: str
    emotion: str
    seconds: float


def unlabelled_speech(data: TrainingData, train: TrainSection) -> tuple[UnlabelledSpeech, ...]:
    """Finds the speech of a training section, and makes what is missing of it; a repeated call finds all.

    Actors get recordings in turn, each with an emotion of a training clip of theirs, drawn in proportion to their
    frames; other voices of a clip have its actor and emotion.

    Raises:
        UserError: the folder holds no recording, or one cannot be read or made.
    """
    if train.DISTILLATION_SPEECH_ROOT is not None:
        return _divided(_recordings_of(train.DISTILLATION_SPEECH_ROOT), data, train)
    clips = [clip for clip in data.training_clips if clip.audio is not None]
    jobs = [(clip, semitones) for clip in clips for semitones in SEMITONES]
    voices = tuple(_voice(clip, semitones, data, train) for clip, semitones in _tracked(jobs))
    return (*voices, *_divided([(each.audio, each.seconds) for each in open_recordings(train)], data, train))


def _recordings_of(folder: Path) -> list[tuple[Path, float]]:
    """The recordings below a folder with their lengths in seconds, by name."""
    paths = sorted(path for path in folder.rglob("*") if path.suffix.lower() in RECORDING_SUFFIXES and path.is_file())
    found, unreadable = [], []
    for path in paths:
        try:
            found.append((path, read_header(path).duration))
        except UserError as error:
            unreadable.append(f"{path.relative_to(folder)} ({error.problem})")
    if unreadable:
        raise UserError(
            f"DISTILLATION_SPEECH_ROOT: {len(unreadable)} of {len(paths)} recordings cannot be read: "
            f"{listed(unreadable)}",
            path=folder,
            hint="Remove or replace them.",
        )
    if not found:
        raise UserError("DISTILLATION_SPEECH_ROOT: holds no recording", path=folder, hint="Put WAV files there.")
    return found


def _divided(
    recordings: Sequence[tuple[Path, float]], data: TrainingData, train: TrainSection
) -> tuple[UnlabelledSpeech, ...]:
    """Recordings in turn to the actors, each with an emotion."""
    found: list[UnlabelledSpeech] = []
    for index, source in enumerate(data.sources):
        own = [clip for clip in data.training_clips if clip.shot.actor == source.actor]
        emotions = EmotionDraws(own, np.random.default_rng((train.RNG_SEED_DATASET, index, _DRAWS)))
        turn = recordings[index :: len(data.sources)]
        found += [UnlabelledSpeech(path, source.actor, emotions.draw(), seconds) for path, seconds in turn]
    return tuple(found)


def _voice(clip: TrainingClip, semitones: float, data: TrainingData, train: TrainSection) -> UnlabelledSpeech:
    """The recording of a clip in another voice."""
    assert clip.audio is not None
    rate, seconds = data.recordings.samplerate, clip.num_frames / clip.shot.fps
    samples = data.recordings.read(clip.audio, round(clip.audio_start * rate), round(seconds * rate))
    path = train.DISTILLATION_ROOT / "voices" / f"{_key(samples, rate, semitones)}.wav"
    if not path.is_file():
        with atomic_write(path) as handle:
            soundfile.write(handle, other_voice(samples, rate, semitones), rate, format="WAV", subtype="FLOAT")
    return UnlabelledSpeech(path, clip.shot.actor, clip.shot.emotion, seconds)


def _key(samples: Float32Array, rate: int, semitones: float) -> str:
    return hashlib.sha256(b"%s %d %g " % (_VERSION, rate, semitones) + samples.tobytes()).hexdigest()


def _tracked(jobs: Sequence[tuple[TrainingClip, float]]) -> Iterator[tuple[TrainingClip, float]]:
    LOGGER.debug("%d training recordings in %d other voices each", len(jobs) // len(SEMITONES), len(SEMITONES))
    return iter(track(jobs, len(jobs), "other voices"))
