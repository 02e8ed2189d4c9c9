"""The set of shots that runs are evaluated on: the test set, the validation set, or a folder of other recordings."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np

from audio2face.console import LOGGER
from audio2face.errors import UserError
from audio2face.evaluator.prepare import PreparedRun
from audio2face.evaluator.results import Flag
from audio2face.evaluator.shots import EvaluationShot, check_unique, read_phones, shot_of, shots_of_folder
from audio2face.training.run_folder import ValidationClip, read_validation
from audio2face.training.split_record import SplitRecord, changed_files, read_test_shots
from audio2face.types import MM_PER_CM

SetName = Literal["test", "validation"]
_UNEQUAL = 0.5  # seconds between the lengths of a recording and its motion
_SAMPLED_SHOTS = 20
_FAR_MM = 10.0  # a face that speaks moves most of its vertices by less


@dataclass(frozen=True, kw_only=True)
class EvaluatedSet:
    """Shots to evaluate on, and what a reader must know about them.

    Attributes:
        shots: the shots.
        label: what they are.
        chosen_by: whether anything was chosen on them, one sentence.
        flags: what is wrong with them.
    """

    shots: tuple[EvaluationShot, ...]
    label: str
    chosen_by: str
    flags: tuple[Flag, ...] = ()


def set_of_run(prepared: PreparedRun, name: SetName | None, actors: Sequence[str]) -> EvaluatedSet:
    """The test set of a run, or where it has none, with a warning, its validation set.

    Args:
        prepared: the run.
        name: which set; None: the test set where there is one.
        actors: whose shots.

    Raises:
        UserError: the run has no such set, or its files are gone.
    """
    record = read_test_shots(prepared.run.path, prepared.run.configuration.roots)
    if name == "validation" or (name is None and record is None):
        return _validation_set(prepared, actors, is_asked_for=name is not None)
    if record is None:
        raise UserError(
            f"training run {prepared.name} has no test set",
            hint="Give TEST_FRACTION or TEST_SHOTS in config_dataset.py, preprocess and train; or evaluate on other "
            "recordings: --on FOLDER",
        )
    return _test_set(prepared, record, actors)


def _test_set(prepared: PreparedRun, record: SplitRecord, actors: Sequence[str]) -> EvaluatedSet:
    changed = changed_files(record.files)
    missing = [path for path in changed if not path.is_file()]
    if missing:
        raise UserError("a file of the test set is missing", path=missing[0], hint="Restore it.")
    flags = []
    if changed:
        flags.append(
            Flag(
                level="warning",
                text=f"{len(changed)} files of the test set have changed since training ({changed[0].name} first): "
                "figures of runs before and after cannot be compared.",
            )
        )
    if not record.is_unseen:
        flags.append(
            Flag(
                level="warning",
                text="Preprocessing saw test shots: its components were computed from their faces too. Preprocess and "
                "train again for figures of unseen data.",
            )
        )
    names = [(shot.actor, shot.shot) for shot in record.test if shot.actor in actors]
    shots = tuple(_own_shot(prepared, actor, shot, len(actors) > 1) for actor, shot in names)
    check_unique(shots)
    return EvaluatedSet(
        shots=shots,
        label=f"the test set of {prepared.name}",
        chosen_by="Nothing was chosen on these shots: training, validation and preprocessing left them out."
        if record.is_unseen
        else "Training and validation left these shots out; preprocessing did not.",
        flags=tuple(flags),
    )


def _own_shot(prepared: PreparedRun, actor: str, shot: str, is_several: bool) -> EvaluationShot:
    train = prepared.run.configuration.train
    dataset = prepared.dataset(actor)
    found = shot_of(dataset, shot, emotions=dataset.emotion_names, default_emotion=train.DEFAULT_SHOT_EMOTION_NAME)
    return found.renamed(f"{actor} {shot}") if is_several else found


def _validation_set(prepared: PreparedRun, actors: Sequence[str], *, is_asked_for: bool) -> EvaluatedSet:
    clips = read_validation(prepared.run.path, prepared.run.configuration.roots) or ()
    chosen = [clip for clip in clips if clip.actor in actors]
    if not chosen:
        raise UserError(
            f"training run {prepared.name} has neither a test nor a validation set",
            hint="Evaluate on other recordings of the same mesh: --on FOLDER; or give TEST_FRACTION in "
            "config_dataset.py, and train again.",
        )
    if not is_asked_for:
        LOGGER.warning("%s has no test set: it is evaluated on its validation set", prepared.name)
    shots = tuple(_of_clip(prepared, clip, chosen) for clip in chosen)
    check_unique(shots)
    why = (
        "These are validation shots: the exported weights, post-processing and possibly settings were chosen on them, "
        "so that figures are better than on new speech."
    )
    return EvaluatedSet(
        shots=shots,
        label=f"the validation set of {prepared.name}",
        chosen_by=why,
        flags=(Flag(level="warning", text=why),),
    )


def _of_clip(prepared: PreparedRun, clip: ValidationClip, clips: Sequence[ValidationClip]) -> EvaluationShot:
    dataset = prepared.dataset(clip.actor)
    parts = [
        other for other in clips if (other.actor, other.shot, other.speaker) == (clip.actor, clip.shot, clip.speaker)
    ]
    name = clip.shot if clip.speaker == clip.actor else f"{clip.shot} ({clip.speaker})"
    if len(parts) > 1:
        name += f" [{clip.first}, {clip.last}]"
    if len({other.actor for other in clips}) > 1:
        name = f"{clip.actor} {name}"
    return EvaluationShot(
        name=name,
        shot=clip.shot,
        emotion=clip.emotion,
        voice=clip.speaker,
        audio=clip.audio,
        audio_start=clip.audio_start,
        first=clip.first,
        num_frames=clip.num_frames,
        dataset=dataset,
        phones=read_phones(dataset, clip.shot),
    )


def set_of_folder(prepared: PreparedRun, folder: Path, actor: str, fps: float | None) -> EvaluatedSet:
    """Recordings that belong to no run: other sentences or other speakers on the mesh of an actor.

    Args:
        prepared: the run that gives vocabulary and mesh.
        folder: a raw data set folder.
        actor: whose face is animated.
        fps: its frame rate; None: as its files tell.

    Raises:
        UserError: the folder holds no data, or another mesh.
    """
    dataset = prepared.dataset(actor)
    shots = shots_of_folder(
        folder,
        dataset,
        emotions=dataset.emotion_names,
        default_emotion=prepared.run.configuration.train.DEFAULT_SHOT_EMOTION_NAME,
        fps=fps,
    )
    check_unique(shots)
    return EvaluatedSet(
        shots=shots,
        label=f"the recordings in {folder.resolve().name}, on the face of {actor}",
        chosen_by="The recordings belong to no set of the training run. Whether settings were chosen on them is for "
        "you to know.",
        flags=_length_flags(shots) + _distance_flags(prepared, actor, shots),
    )


def flags_of_training(prepared: Sequence[PreparedRun], shots: Sequence[EvaluationShot]) -> list[Flag]:
    """Warns of runs whose own data hold evaluated recordings, in neither their test nor their validation set."""
    flags = []
    for each in prepared:
        known = [shot.name for shot in shots if _is_training_data(shot.audio.resolve(), each)]
        if known:
            text = f"{len(known)} of the recordings are training data of {each.name} ({known[0]} first): its figures "
            flags.append(Flag(level="warning", text=f"{text}on them mean nothing."))
    return flags


def _is_training_data(audio: Path, prepared: PreparedRun) -> bool:
    roots = [prepared.dataset(actor).paths["AUDIO_ROOT"].resolve() for actor in prepared.model.info.identities]
    return any(audio.is_relative_to(root) for root in roots) and audio not in _held_out(prepared)


def _held_out(prepared: PreparedRun) -> set[Path]:
    """The recordings of a run's test and validation sets."""
    configuration = prepared.run.configuration
    record = read_test_shots(prepared.run.path, configuration.roots)
    tested = [] if record is None else [file.path for shot in record.test for file in shot.recordings]
    validated = [clip.audio for clip in read_validation(prepared.run.path, configuration.roots) or ()]
    return {path.resolve() for path in (*tested, *validated)}


def _length_flags(shots: Sequence[EvaluationShot]) -> tuple[Flag, ...]:
    """A warning of recordings that are not as long as their motion."""
    unequal = [shot for shot in shots if abs(shot.lengths[0] - shot.lengths[1]) > _UNEQUAL]
    if not unequal:
        return ()
    first, (recording, motion) = unequal[0], unequal[0].lengths
    which = "1 recording differs" if len(unequal) == 1 else f"{len(unequal)} recordings differ"
    text = (
        f"{which} in length from the motion ({first.name}: {recording:.1f} s, its motion {motion:.1f} s at "
        f"{first.fps:g} frames per second); their common beginning is compared. Is the frame rate right (--fps)?"
    )
    return (Flag(level="warning", text=text),)


def _distance_flags(prepared: PreparedRun, actor: str, shots: Sequence[EvaluationShot]) -> tuple[Flag, ...]:
    """A warning where recorded faces are far from the neutral one of the actor."""
    neutral = prepared.model.actor(actor).neutral_skin
    skins = [shot.dataset.shot(shot.shot).skin() for shot in shots[:_SAMPLED_SHOTS]]
    offsets = [skin.read(0, 1)[0] - neutral for skin in skins if skin.num_verts == len(neutral)]
    distance = MM_PER_CM * max((float(np.median(np.linalg.norm(each, axis=1))) for each in offsets), default=0.0)
    if distance < _FAR_MM:
        return ()
    text = (
        f"Recorded faces are {distance:.0f} mm from the neutral face of {actor} (median of all vertices): they have "
        "another scale, another order of vertices or head motion, which all errors then contain."
    )
    return (Flag(level="warning", text=text),)
