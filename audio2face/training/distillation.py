"""Distillation: clips of speech whose motion is that of a trained offline network, the teacher (TEACHER_RUN).

The exported network of the teacher animates each recording once, before training; its output, before post-processing,
is kept as coefficients of the same components that recorded motion has (`DISTILLATION_ROOT`). Batches contain these
clips as they contain synthetic talking (`training.data.pseudo_labels`). Validation knows recorded motion alone.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from itertools import pairwise
from typing import TYPE_CHECKING

import numpy as np

from audio2face.config import Configuration, TrainSection
from audio2face.console import LOGGER
from audio2face.dataset.shots import LEAST_CLIP_SECONDS
from audio2face.families import FAMILIES
from audio2face.training.data.clips import TrainingClip, TrainingShot, drop_short_clips, listed
from audio2face.training.data.dataset import TrainingData
from audio2face.training.data.motion import ShotMotion
from audio2face.training.data.pseudo_labels import DISTILLATION, PseudoLabelled, PseudoLabelledShare, placed
from audio2face.training.data.unlabelled_speech import UnlabelledSpeech, unlabelled_speech
from audio2face.training.distributed import wait_for_all
from audio2face.training.run_folder import read_validation
from audio2face.training.signals import interruptible
from audio2face.training.task import ResumeMetadata
from audio2face.training.teacher import Teacher
from audio2face.training.teacher_motion import KeptMotion, shot_id

if TYPE_CHECKING:  # loads in two seconds, which deployment is spared
    from lightning_fabric import Fabric

_CLIP_SECONDS = 25.0  # longest clip of a recording, as long as one of synthetic talking


def with_pseudo_labels(
    data: TrainingData, configuration: Configuration, fabric: Fabric, state: ResumeMetadata | None
) -> TrainingData:
    """The data with synthetic talking and with speech that a teacher animates, where the configuration asks for them.

    Args:
        data: of the training.
        configuration: for stage "train".
        fabric: the processes, which share the work.
        state: metadata of a resumed run; None for a new one.

    Raises:
        UserError: as `TrainingData.with_synthetic_talking` and `with_teacher`.
    """
    data = data.with_synthetic_talking(configuration.train, fabric.global_rank, fabric.world_size)
    taught_by = None if state is None else state.teacher
    return with_teacher(data, configuration, taught_by, fabric.global_rank, fabric.world_size)


def with_teacher(
    data: TrainingData, configuration: Configuration, resumed: str | None, rank: int = 0, world_size: int = 1
) -> TrainingData:
    """The data with speech that the teacher animates, where TEACHER_RUN names one.

    Args:
        data: of the training.
        configuration: for stage "train".
        resumed: the teacher of a resumed run.
        rank: index of this process, which animates its share of the recordings.
        world_size: number of processes; each waits for the others.

    Raises:
        UserError: there is no such run, it does not fit the data, or a recording cannot be read or animated.
    """
    train = configuration.train
    if train.TEACHER_RUN is None:
        return data
    teacher = Teacher.open(resumed or train.TEACHER_RUN, data.sources, train.TRAIN_OUTPUT_ROOT, _rate_of(data, train))
    teacher.check_emotions(data.training_clips)
    _warn_of_taught_validation(teacher, data, configuration)
    with interruptible():  # every finished recording is kept
        if rank > 0:
            wait_for_all()  # the first process makes what is missing
        speech = unlabelled_speech(data, train)
        if rank == 0 and world_size > 1:
            wait_for_all()
        kept = KeptMotion.prepare(teacher, speech, data.sources, train, rank, world_size)
    clips = placed(
        drop_short_clips(_clips(speech, kept, teacher), LEAST_CLIP_SECONDS, "seconds"), data.next_global_frame
    )
    minutes = sum(each.seconds for each in speech) / 60
    LOGGER.info("distillation: %.1f minutes in %d recordings, by %s", minutes, len(speech), teacher.name)
    record = {
        "teacher": teacher.name,
        "share": train.DISTILLATION_SHARE,
        "source": None if train.DISTILLATION_SPEECH_ROOT is None else str(train.DISTILLATION_SPEECH_ROOT),
        "minutes": round(minutes, 3),
        "recordings": len(speech),
    }
    share = PseudoLabelledShare(DISTILLATION, len(clips), train.DISTILLATION_SHARE)
    return data.with_pseudo_labelled(PseudoLabelled(share, clips, kept, record))


def _rate_of(data: TrainingData, train: TrainSection) -> float:
    """Frames per second of training: those of the recorded motion, where the network trains at their rate."""
    has_none = "TARGET_FPS" in FAMILIES[train.NETWORK_TYPE].unused_parameters
    return data.training_clips[0].shot.fps if has_none else train.TARGET_FPS


def _warn_of_taught_validation(teacher: Teacher, data: TrainingData, configuration: Configuration) -> None:
    """Warns where the teacher was trained on validation shots, since it then tells what validation asks."""
    held_out = read_validation(teacher.run.run.path, configuration.roots)
    known = {(clip.actor, clip.shot) for clip in held_out or ()}
    own = {(clip.shot.actor, clip.shot.name) for clip in data.validation_clips}
    taught = sorted(shot for actor, shot in own - known)
    if taught:
        LOGGER.warning(
            "the teacher was trained on %d of the %d validation shots (%s), which then judge this network too well; "
            "give both the same VALIDATION_SHOTS",
            len(taught),
            len(own),
            listed(taught),
        )


def _clips(
    speech: Sequence[UnlabelledSpeech], motions: Mapping[str, ShotMotion], teacher: Teacher
) -> Iterator[TrainingClip]:
    """The clips of all recordings: each whole, or in equal parts of at most `_CLIP_SECONDS`."""
    for index, each in enumerate(speech):
        name = shot_id(index, each)
        frames, fps = motions[name].num_frames, float(teacher.fps)
        shot = TrainingShot(name, each.actor, name, frames, fps, each.emotion, 0)
        count = max(1, -(-frames // round(_CLIP_SECONDS * fps)))
        bounds = np.linspace(0, frames, count + 1).astype(int).tolist()
        for first, end in pairwise(bounds):
            yield TrainingClip(shot, first, end - 1, DISTILLATION, "", each.audio)
