"""Which shots are kept out of training, to tell how well it does on what it has not seen."""

from __future__ import annotations

import math
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import accumulate
from pathlib import Path

import numpy as np

from audio2face.config.merge import nearest
from audio2face.console import LOGGER
from audio2face.errors import UserError
from audio2face.preproc.network_data import ClipRow as ClipRow
from audio2face.preproc.network_data import ShotRow

_ENOUGH_SHOTS = 10  # an actor with so many can spare one, however small the fraction


def split_clips(
    clips: Sequence[TrainingClip], held_out: Iterable[str]
) -> tuple[tuple[TrainingClip, ...], tuple[TrainingClip, ...]]:
    """Divides clips into those to learn from and those of held-out shots; held poses are always learnt from.

    Args:
        clips: all clips.
        held_out: ids of shots.

    Raises:
        UserError: nothing is left to learn from.
    """
    ids = set(held_out)
    training = tuple(clip for clip in clips if clip.shot.id not in ids)
    validation = tuple(clip for clip in clips if clip.shot.id in ids)
    if not any(clip.audio for clip in training):
        raise UserError(
            "no clip is left to learn from", hint="Hold out fewer shots: VALIDATION_SHOTS, VALIDATION_FRACTION."
        )
    if ids:
        LOGGER.info("Held out for validation: %s", listed(sorted(ids)))
    return training, validation


def choose_shots(
    clips: Iterable[TrainingClip],
    shots: Mapping[str, TrainingShot],
    named: Mapping[str, Sequence[str]],
    fraction: float,
    seed: int,
    actor_names: Sequence[str],
) -> tuple[str, ...]:
    """The ids of the shots to hold out: those named, or where none are a random fraction of each actor's.

    The choice depends on the names of the shots and the seed, not on the order or number of clips. The fraction is
    rounded to whole shots, but at least one of ten or more. Of every emotion, actor and language at least one shot
    stays in training, and as long as others can be held out, so does one of every emotion and language of each actor; a
    line of the log says where fewer shots are held out for that. Shots that are named are held out in any case, with a
    warning. Muted shots do not count, since there is no speech in them.

    Args:
        clips: all clips.
        shots: all shots by id.
        named: VALIDATION_SHOTS.
        fraction: VALIDATION_FRACTION.
        seed: RNG_SEED_DATASET.
        actor_names: the actors in the order of the network.

    Raises:
        UserError: a shot that is named does not exist.
    """
    coverage = _Coverage.of(clip for clip in clips if not clip.shot.is_muted)
    if any(named.values()):
        chosen = [
            find_shot(shots, actor, name, len(actor_names), f"VALIDATION_SHOTS[{actor!r}]").id
            for actor, names in named.items()
            for name in names
        ]
        _warn_of_lost(coverage, chosen)
        return tuple(chosen)
    chosen = []
    for index, actor in enumerate(actor_names):
        ids = sorted(name for name in coverage.groups if shots[name].actor == actor)
        count = round(fraction * len(ids))
        if fraction and len(ids) >= _ENOUGH_SHOTS:
            count = max(count, 1)
        order = [ids[place] for place in np.random.default_rng([seed, index]).permutation(len(ids))]
        chosen += sorted(_spare(coverage, order, count, actor))
    return tuple(chosen)


@dataclass(frozen=True)
class _Coverage:
    """Which groups of shots training covers, and by how many shots.

    Attributes:
        groups: of each shot, the emotion, actor and languages that it belongs to.
        own_groups: likewise, its emotion and languages within its actor.
        left: number of shots that are left in training, of each group.
    """

    groups: Mapping[str, frozenset[str]]
    own_groups: Mapping[str, frozenset[str]]
    left: Counter[str]

    @classmethod
    def of(cls, clips: Iterable[TrainingClip]) -> _Coverage:
        """That of all shots that have clips, none of them held out."""
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
        """Takes a shot out of training; one without clips is in none."""
        self.left.subtract(self.groups.get(shot, frozenset()) | self.own_groups.get(shot, frozenset()))

    def only(self, groups: Iterable[str]) -> list[str]:
        """Those groups of which a single shot is left."""
        return sorted(group for group in groups if self.left[group] == 1)


def _spare(coverage: _Coverage, order: Sequence[str], count: int, actor: str) -> list[str]:
    """The first shots in an order that training can spare, up to a count; says where there are fewer."""
    spared: list[str] = []
    for is_strict in (True, False):
        for shot in order:
            groups = coverage.groups[shot] | (coverage.own_groups[shot] if is_strict else frozenset())
            if len(spared) < count and shot not in spared and not coverage.only(groups):
                coverage.hold_out(shot)
                spared.append(shot)
    if len(spared) < count:
        kept = [shot for shot in order if shot not in spared]
        reasons = [f"{shot} (only one of {', '.join(coverage.only(coverage.groups[shot]))})" for shot in sorted(kept)]
        LOGGER.info(
            "Held out for validation of %s: %d of the %d shots that VALIDATION_FRACTION asks for; training needs %s",
            actor,
            len(spared),
            count,
            listed(reasons),
        )
    return spared


def _warn_of_lost(coverage: _Coverage, held_out: Sequence[str]) -> None:
    """Warns where shots that are named are the only ones of their kind."""
    for shot in dict.fromkeys(held_out):
        coverage.hold_out(shot)
    held = [shot for shot in dict.fromkeys(held_out) if shot in coverage.groups]
    lost = {group for shot in held for group in coverage.groups[shot] if not coverage.left[group]}
    own = {group for shot in held for group in coverage.own_groups[shot] if not coverage.left[group]}
    if lost or own:
        LOGGER.warning(
            "VALIDATION_SHOTS leaves no shot in training of %s: the network is judged by what it cannot have learned. "
            "Name others, or leave VALIDATION_SHOTS empty.",
            listed(sorted(lost or own)),
        )


MutedRow = tuple[str, tuple[str, int], int, str]

NEUTRAL = "neutral"
FRAMES_CUT_SILENTLY = 3  # a clip that runs over its shot by more is a mistake rather than rounding
_MOST_LISTED = 5


@dataclass(frozen=True)
class TrainingShot:
    """A performance, or one pose of it held in silence.

    Attributes:
        id: unique name: the shot's own, with the actor's before it where there are several actors.
        actor: name of the actor.
        name: name of the shot, as its data are filed; that of the source for a held pose.
        num_frames: frames that can be learnt from.
        fps: its frames per second.
        emotion: the emotion it is trained under.
        first_global_frame: where its frames begin when those of all shots are counted through.
        held_frame: the frame of the source that is held, None for a performance.
    """

    id: str
    actor: str
    name: str
    num_frames: int
    fps: float
    emotion: str
    first_global_frame: int
    held_frame: int | None = None

    @property
    def is_muted(self) -> bool:
        """Whether it is a held pose without speech."""
        return self.held_frame is not None


@dataclass(frozen=True)
class TrainingClip:
    """A range of a shot with the recording that goes with it.

    Attributes:
        shot: the shot.
        first: its first frame.
        last: its last frame, which belongs to it.
        speaker: who speaks.
        language: what is spoken, such as "en".
        audio: the recording; None for a muted shot.
        audio_offset: frames of the shot, also parts of one, by which the recording comes later than the face.
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
        """The time in the recording at which the clip begins, in seconds; negative before it."""
        return (self.first + self.audio_offset) / self.shot.fps

    def __str__(self) -> str:
        """Name and range, for messages."""
        return f"{self.shot.id} [{self.first}, {self.last}]"


def make_shots(
    rows: Sequence[ShotRow], muted: Sequence[MutedRow], fps: Mapping[str, float], num_actors: int
) -> tuple[TrainingShot, ...]:
    """All shots of all actors, then the held poses, each with an id of its own.

    Args:
        rows: the shot lists of the actors, one after the other.
        muted: AUG_MUTED_SHOTS.
        fps: CACHE_FPS, the rate of held poses.
        num_actors: how many actors the training has.

    Raises:
        UserError: a shot is listed twice, or a held pose has no source.
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
        shots: by id.
        actor: name of the actor.
        name: name of the shot.
        num_actors: how many actors the training has.
        where: what names it, for the message, such as "CLIPS[3]".

    Raises:
        UserError: there is none.
    """
    found = shots.get(shot_id(actor, name, num_actors))
    if found is None or found.is_muted:
        known = [shot.name for shot in shots.values() if shot.actor == actor and not shot.is_muted]
        close = nearest(name, known)
        meant = f"; did you mean {close!r}?" if close else ""
        raise UserError(
            f"{where}: actor {actor!r} has no shot {name!r}{meant}",
            hint="Shots are those that were preprocessed; preprocess the actor again if this one is new.",
        )
    return found


def _unused(name: str, taken: Mapping[str, TrainingShot]) -> str:
    """The name itself, or with the first free number where one pose is held more than once."""
    if name not in taken:
        return name
    number = 2
    while f"{name}_{number}" in taken:
        number += 1
    return f"{name}_{number}"


def make_clips(
    rows: Iterable[ClipRow], shots: Mapping[str, TrainingShot], audio_roots: Mapping[str, Path], num_actors: int
) -> tuple[TrainingClip, ...]:
    """The clips of a table, cut to what there is, and after them one for each held pose.

    A clip whose recording comes later than the face ends so many frames earlier, since the sound of its end belongs to
    the frames after it; one whose recording comes earlier begins later; parts of a frame count as whole ones there.
    Ends that lie up to `FRAMES_CUT_SILENTLY`
    frames beyond the shot are cut with a warning.

    Args:
        rows: CLIPS, or the tables that preprocessing wrote.
        shots: all shots by id.
        audio_roots: AUDIO_ROOT.
        num_actors: how many actors the training has.

    Raises:
        UserError: a row names an unknown actor or shot, runs beyond the shot, or nothing of it is left.
    """
    clips, cut = [], []
    for index, (actor, name, (first, last), speaker, language, audio, offset) in enumerate(rows):
        where = f"CLIPS[{index}]"
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
    held = [shot for shot in shots.values() if shot.is_muted]
    return (*clips, *(TrainingClip(shot, 0, shot.num_frames - 1, shot.actor, "", None) for shot in held))


def without_short(clips: Iterable[TrainingClip], least: float, unit: str) -> tuple[TrainingClip, ...]:
    """Leaves out, with a warning, clips too short to learn from.

    Args:
        clips: the clips.
        least: the shortest length that will do.
        unit: of that length: "seconds" or "frames".
    """
    every = tuple(clips)
    lengths = [clip.num_frames / clip.shot.fps if unit == "seconds" else clip.num_frames for clip in every]
    short = [str(clip) for clip, length in zip(every, lengths, strict=True) if length < least]
    if short:
        LOGGER.warning("Clips shorter than %g %s are left out: %s", least, unit, listed(short))
    return tuple(clip for clip, length in zip(every, lengths, strict=True) if length >= least)


def listed(texts: Sequence[str]) -> str:
    """The first few of many things, and how many more there are."""
    more = f" and {len(texts) - _MOST_LISTED} more" if len(texts) > _MOST_LISTED else ""
    return ", ".join(texts[:_MOST_LISTED]) + more
