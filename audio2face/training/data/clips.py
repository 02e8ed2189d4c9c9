"""Shots and clips of a training, and their split into a training and a validation set."""

from __future__ import annotations

import math
from collections import Counter, defaultdict
from collections.abc import Container, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import accumulate
from pathlib import Path

import numpy as np

from audio2face.config.values import nearest
from audio2face.console import LOGGER
from audio2face.errors import UserError
from audio2face.preproc.network_data import ClipRow as ClipRow
from audio2face.preproc.network_data import ShotRow

_MIN_SHOTS = 10  # an actor with at least 10 shots has at least one in the validation set


def split_clips(
    clips: Sequence[TrainingClip], validation_shots: Iterable[str]
) -> tuple[tuple[TrainingClip, ...], tuple[TrainingClip, ...]]:
    """Splits clips into training and validation set; muted clips are always in the training set.

    Args:
        clips: all clips.
        validation_shots: ids of the shots of the validation set.

    Raises:
        UserError: the training set has no clip with speech.
    """
    ids = set(validation_shots)
    training = tuple(clip for clip in clips if clip.shot.id not in ids)
    validation = tuple(clip for clip in clips if clip.shot.id in ids)
    if not any(clip.audio for clip in training):
        raise UserError(
            "no clip is left for training",
            hint="Use fewer shots for validation: VALIDATION_SHOTS, VALIDATION_FRACTION.",
        )
    if ids:
        LOGGER.info("Validation set: %s", listed(sorted(ids)))
    return training, validation


def choose_shots(
    clips: Iterable[TrainingClip],
    shots: Mapping[str, TrainingShot],
    named: Mapping[str, Sequence[str]],
    fraction: float,
    seed: int,
    actor_names: Sequence[str],
) -> tuple[str, ...]:
    """The ids of the validation shots: those that are named, otherwise a random fraction of each actor's.

    The choice depends on the names of the shots and the seed only. The fraction is rounded to whole shots, with a
    minimum of one from ten shots on. At least one shot of every emotion, actor and language stays in the training set,
    and, if enough other shots exist, at least one of every emotion and language of each actor. The log reports where
    this makes the validation set smaller. Named shots are always used, with a warning where they empty a group. Muted
    shots are excluded, since they contain no speech.

    Args:
        clips: all clips.
        shots: all shots by id.
        named: VALIDATION_SHOTS.
        fraction: VALIDATION_FRACTION.
        seed: RNG_SEED_DATASET.
        actor_names: the actors in the order of the network.

    Raises:
        UserError: a named shot does not exist.
    """
    coverage = _Coverage.from_clips(clip for clip in clips if not clip.shot.is_muted)
    if any(named.values()):
        chosen = [
            find_shot(shots, actor, name, len(actor_names), f"VALIDATION_SHOTS[{actor!r}]").id
            for actor, names in named.items()
            for name in names
        ]
        _warn_about_lost_groups(coverage, chosen)
        return tuple(chosen)
    chosen = []
    for index, actor in enumerate(actor_names):
        ids = sorted(name for name in coverage.groups if shots[name].actor == actor)
        count = round(fraction * len(ids))
        if fraction and len(ids) >= _MIN_SHOTS:
            count = max(count, 1)
        order = [ids[number] for number in np.random.default_rng([seed, index]).permutation(len(ids))]
        chosen += sorted(_select_validation_shots(coverage, order, count, actor))
    return tuple(chosen)


@dataclass(frozen=True)
class _Coverage:
    """The groups of shots in the training set, and their sizes.

    Attributes:
        groups: for each shot, the emotion, actor and languages that it belongs to.
        own_groups: for each shot, the emotion and languages within its actor.
        remaining: number of training shots of each group.
    """

    groups: Mapping[str, frozenset[str]]
    own_groups: Mapping[str, frozenset[str]]
    remaining: Counter[str]

    @classmethod
    def from_clips(cls, clips: Iterable[TrainingClip]) -> _Coverage:
        """The coverage of all shots with clips, before any is moved to the validation set."""
        kinds: dict[str, set[str]] = defaultdict(set)
        actors = {}
        for clip in clips:
            kinds[clip.shot.id] |= {f"emotion {clip.shot.emotion!r}", f"language {clip.language!r}"}
            actors[clip.shot.id] = f"actor {clip.shot.actor!r}"
        groups = {shot: frozenset({*own, actors[shot]}) for shot, own in kinds.items()}
        own_groups = {shot: frozenset(f"{kind} of {actors[shot]}" for kind in own) for shot, own in kinds.items()}
        left = Counter(group for shot in kinds for group in groups[shot] | own_groups[shot])
        return cls(groups, own_groups, left)

    def hold_out(self, shot: str) -> None:
        """Moves a shot to the validation set; a shot without clips belongs to no group."""
        self.remaining.subtract(self.groups.get(shot, frozenset()) | self.own_groups.get(shot, frozenset()))

    def single_shot_groups(self, groups: Iterable[str]) -> list[str]:
        """The groups with a single remaining shot."""
        return sorted(group for group in groups if self.remaining[group] == 1)


def _select_validation_shots(coverage: _Coverage, order: Sequence[str], count: int, actor: str) -> list[str]:
    """The first shots whose groups keep another training shot, up to `count`; logs a shortfall."""
    selected: list[str] = []
    for is_strict in (True, False):
        for shot in order:
            groups = coverage.groups[shot] | (coverage.own_groups[shot] if is_strict else frozenset())
            if len(selected) < count and shot not in selected and not coverage.single_shot_groups(groups):
                coverage.hold_out(shot)
                selected.append(shot)
    if len(selected) < count:
        kept = [shot for shot in order if shot not in selected]
        reasons = [
            f"{shot} (only one of {', '.join(coverage.single_shot_groups(coverage.groups[shot]))})"
            for shot in sorted(kept)
        ]
        LOGGER.info(
            "Validation set of %s: %d of the %d shots of VALIDATION_FRACTION; training needs %s",
            actor,
            len(selected),
            count,
            listed(reasons),
        )
    return selected


def _warn_about_lost_groups(coverage: _Coverage, validation_shots: Sequence[str]) -> None:
    """Warns where named validation shots are the only ones of a group."""
    for shot in dict.fromkeys(validation_shots):
        coverage.hold_out(shot)
    with_clips = [shot for shot in dict.fromkeys(validation_shots) if shot in coverage.groups]
    lost = {group for shot in with_clips for group in coverage.groups[shot] if not coverage.remaining[group]}
    own = {group for shot in with_clips for group in coverage.own_groups[shot] if not coverage.remaining[group]}
    if lost or own:
        LOGGER.warning(
            "VALIDATION_SHOTS leaves no training shot of %s: validation would measure data without any training. "
            "Name others, or leave VALIDATION_SHOTS empty.",
            listed(sorted(lost or own)),
        )


MutedRow = tuple[str, tuple[str, int], int, str]

NEUTRAL = "neutral"
FRAMES_CUT_SILENTLY = 3  # tolerance for rounding; a clip that exceeds its shot by more is an error
_MOST_LISTED = 5


@dataclass(frozen=True, slots=True)  # there are as many as recordings
class TrainingShot:
    """A performance, or a muted shot: one frozen frame of a performance, in silence.

    Attributes:
        id: unique name: the shot's name, prefixed with the actor's name if there are several actors.
        actor: name of the actor.
        name: name of the shot in the dataset; for a muted shot, the name of its source.
        num_frames: number of usable frames.
        fps: frames per second.
        emotion: the emotion that it is trained with.
        first_global_frame: global index of its first frame over all shots.
        frozen_frame: the frame of the source that a muted shot repeats; None for a performance.
    """

    id: str
    actor: str
    name: str
    num_frames: int
    fps: float
    emotion: str
    first_global_frame: int
    frozen_frame: int | None = None

    @property
    def is_muted(self) -> bool:
        """Whether this is a muted shot."""
        return self.frozen_frame is not None


@dataclass(frozen=True, slots=True)
class TrainingClip:
    """A range of a shot with its recording.

    Attributes:
        shot: the shot.
        first: first frame.
        last: last frame, inclusive.
        speaker: the speaker.
        language: the spoken language, such as "en".
        audio: the recording; None for a muted shot.
        audio_offset: delay of the recording relative to the face, in frames of the shot, fractions included.
    """

    shot: TrainingShot
    first: int
    last: int
    speaker: str
    language: str
    audio: Path | None
    audio_offset: float = 0

    @property
    def num_frames(self) -> int:
        """Length in frames of the shot."""
        return self.last - self.first + 1

    @property
    def audio_start(self) -> float:
        """Start of the clip in the recording, in seconds; negative if the clip starts earlier."""
        return (self.first + self.audio_offset) / self.shot.fps

    def __str__(self) -> str:
        """Name and range, for messages."""
        return f"{self.shot.id} [{self.first}, {self.last}]"


def make_shots(
    rows: Sequence[ShotRow],
    muted: Sequence[MutedRow],
    fps: Mapping[str, float],
    num_actors: int,
    left_out: Container[tuple[str, str]] = (),
) -> tuple[TrainingShot, ...]:
    """All shots of all actors, followed by the muted shots, with unique ids.

    Args:
        rows: the concatenated shot lists of the actors.
        muted: AUG_MUTED_SHOTS.
        fps: CACHE_FPS, the frame rate of muted shots.
        num_actors: number of actors of the training.
        left_out: actor and name of each test shot, of which no muted shot is made.

    Raises:
        UserError: a shot is listed twice, or the source of a muted shot does not exist.
    """
    starts = accumulate((row.num_frames for row in rows), initial=0)
    shots: dict[str, TrainingShot] = {}
    for row, start in zip(rows, starts, strict=False):
        name = shot_id(row.actor, row.shot, num_actors)
        if name in shots:
            raise UserError(f"the shot list of actor {row.actor!r} has shot {row.shot!r} twice")
        shots[name] = TrainingShot(name, row.actor, row.shot, row.num_frames, row.fps, row.emotion, start)
    end = sum(row.num_frames for row in rows)
    for index, (actor, (source, frame), length, emotion) in enumerate(muted):
        where = f"AUG_MUTED_SHOTS[{index}]"
        if (actor, source) in left_out:
            LOGGER.warning("%s is left out: shot %r of actor %r is in the test set", where, source, actor)
            continue
        found = find_shot(shots, actor, source, num_actors, where)
        if frame >= found.num_frames:
            raise UserError(f"{where}: frame {frame} is beyond shot {source!r}, which has {found.num_frames} frames")
        name = _unused(shot_id(actor, f"muted_{source}_{frame}", num_actors), shots)
        shots[name] = TrainingShot(name, actor, source, length, fps[actor], emotion, end, frame)
        end += length
    return tuple(shots.values())


def shot_id(actor: str, shot: str, num_actors: int) -> str:
    """The id of a shot among those of all actors."""
    return shot if num_actors == 1 else f"{actor}::{shot}"


def find_shot(shots: Mapping[str, TrainingShot], actor: str, name: str, num_actors: int, where: str) -> TrainingShot:
    """A performance by its name.

    Args:
        shots: shots by id.
        actor: name of the actor.
        name: name of the shot.
        num_actors: number of actors of the training.
        where: the referring parameter, for the message, such as "CLIPS[3]".

    Raises:
        UserError: the actor has no such shot.
    """
    found = shots.get(shot_id(actor, name, num_actors))
    if found is None or found.is_muted:
        known = [shot.name for shot in shots.values() if shot.actor == actor and not shot.is_muted]
        close = nearest(name, known)
        meant = f"; did you mean {close!r}?" if close else ""
        raise UserError(
            f"{where}: actor {actor!r} has no shot {name!r}{meant}",
            hint="Only preprocessed shots can be used; preprocess the actor again if this one is new.",
        )
    return found


def _unused(name: str, taken: Mapping[str, TrainingShot]) -> str:
    """The name, with the first free number appended if it is taken."""
    if name not in taken:
        return name
    number = 2
    while f"{name}_{number}" in taken:
        number += 1
    return f"{name}_{number}"


def make_clips(
    rows: Iterable[ClipRow],
    shots: Mapping[str, TrainingShot],
    audio_roots: Mapping[str, Path],
    num_actors: int,
    left_out: Container[tuple[str, str]] = (),
) -> tuple[TrainingClip, ...]:
    """The clips of a table, cut to the available frames, followed by one clip for each muted shot.

    A positive audio offset shortens the clip at its end, since the audio of its end belongs to the frames after it. A
    negative offset shortens it at its start. Fractions of a frame are rounded up. Ends up to `FRAMES_CUT_SILENTLY`
    frames beyond the shot are cut with a warning.

    Args:
        rows: CLIPS, or the tables written by preprocessing.
        shots: all shots by id.
        audio_roots: AUDIO_ROOT.
        num_actors: number of actors of the training.
        left_out: actor and name of each test shot, whose rows are skipped.

    Raises:
        UserError: a row names an unknown actor or shot, exceeds the shot, or has no frame left.
    """
    clips, cut = [], []
    for index, (actor, name, (first, last), speaker, language, audio, offset) in enumerate(rows):
        where = f"CLIPS[{index}]"
        if (actor, name) in left_out:
            continue
        shot = find_shot(shots, actor, name, num_actors, where)
        if last - (shot.num_frames - 1) > FRAMES_CUT_SILENTLY:
            raise UserError(
                f"{where}: frames {first} to {last} of shot {name!r} of actor {actor!r}, which ends at frame "
                f"{shot.num_frames - 1}",
                hint="Correct the clip's last frame; preprocess the actor again if the shot has changed.",
            )
        if last >= shot.num_frames:
            cut.append(f"{where} ({name}: {last} to {shot.num_frames - 1})")
            last = shot.num_frames - 1
        late, early = math.ceil(max(offset, 0)), math.ceil(max(-offset, 0))
        clip = TrainingClip(shot, first + early, last - late, speaker, language, audio_roots[actor] / audio)
        if clip.num_frames < 1:
            raise UserError(f"{where}: no frame of shot {name!r} is left (frames {first} to {last}, offset {offset})")
        clips.append(replace(clip, audio_offset=offset))
    if cut:
        LOGGER.warning("Clips that end beyond their shot are cut: %s", listed(cut))
    muted = [shot for shot in shots.values() if shot.is_muted]
    return (*clips, *(TrainingClip(shot, 0, shot.num_frames - 1, shot.actor, "", None) for shot in muted))


def drop_short_clips(clips: Iterable[TrainingClip], least: float, unit: str) -> tuple[TrainingClip, ...]:
    """Skips clips that are too short for training, with a warning.

    Args:
        clips: the clips.
        least: the minimum length.
        unit: unit of that length: "seconds" or "frames".
    """
    every = tuple(clips)
    lengths = [clip.num_frames / clip.shot.fps if unit == "seconds" else clip.num_frames for clip in every]
    short = [str(clip) for clip, length in zip(every, lengths, strict=True) if length < least]
    if short:
        LOGGER.warning("Clips shorter than %g %s are skipped: %s", least, unit, listed(short))
    return tuple(clip for clip, length in zip(every, lengths, strict=True) if length >= least)


def listed(texts: Sequence[str]) -> str:
    """Joins the first few texts with commas, followed by the number of the others."""
    more = f" and {len(texts) - _MOST_LISTED} more" if len(texts) > _MOST_LISTED else ""
    return ", ".join(texts[:_MOST_LISTED]) + more
