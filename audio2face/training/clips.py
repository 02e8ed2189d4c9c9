"""The tables of shots and clips that training goes through, made from rows of a configuration and checked.

Knows frames, emotions and audio files by name. Opens no file and knows nothing of networks.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import accumulate
from pathlib import Path

from audio2face.config.merge import nearest
from audio2face.console import LOGGER
from audio2face.errors import UserError
from audio2face.preproc.deploy_data import Clip as ClipRow
from audio2face.preproc.deploy_data import ShotRow

MutedRow = tuple[str, tuple[str, int], int, str]

NEUTRAL = "neutral"
FRAMES_CUT_SILENTLY = 3  # a clip that runs over its shot by more is a mistake rather than rounding
_MOST_LISTED = 5


@dataclass(frozen=True)
class Shot:
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
class Clip:
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

    shot: Shot
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
) -> tuple[Shot, ...]:
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
    shots: dict[str, Shot] = {}
    for row, start in zip(rows, starts, strict=False):
        name = shot_id(row.actor, row.shot, num_actors)
        if name in shots:
            raise UserError(f"the shot list of actor {row.actor!r} has shot {row.shot!r} twice")
        shots[name] = Shot(name, row.actor, row.shot, row.num_frames, row.fps, row.emotion, start)
    end = sum(row.num_frames for row in rows)
    for index, (actor, (source, frame), length, emotion) in enumerate(muted):
        where = f"AUG_MUTED_SHOTS[{index}]"
        found = find_shot(shots, actor, source, num_actors, where)
        if frame >= found.num_frames:
            raise UserError(f"{where}: frame {frame} is beyond shot {source!r}, which has {found.num_frames} frames")
        name = _unused(shot_id(actor, f"muted_{source}_{frame}", num_actors), shots)
        shots[name] = Shot(name, actor, source, length, fps[actor], emotion, end, frame)
        end += length
    return tuple(shots.values())


def shot_id(actor: str, shot: str, num_actors: int) -> str:
    """The id of a shot among those of all actors."""
    return shot if num_actors == 1 else f"{actor}::{shot}"


def find_shot(shots: Mapping[str, Shot], actor: str, name: str, num_actors: int, where: str) -> Shot:
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


def _unused(name: str, taken: Mapping[str, Shot]) -> str:
    """The name itself, or with the first free number where one pose is held more than once."""
    if name not in taken:
        return name
    number = 2
    while f"{name}_{number}" in taken:
        number += 1
    return f"{name}_{number}"


def make_clips(
    rows: Iterable[ClipRow], shots: Mapping[str, Shot], audio_roots: Mapping[str, Path], num_actors: int
) -> tuple[Clip, ...]:
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
        clip = Clip(shot, first + early, last - late, speaker, language, audio_roots[actor] / audio)
        if clip.num_frames < 1:
            raise UserError(f"{where}: no frame of shot {name!r} is left (frames {first} to {last}, offset {offset})")
        clips.append(replace(clip, audio_offset=offset))
    if cut:
        LOGGER.warning("Clips that end beyond their shot are cut: %s", listed(cut))
    held = [shot for shot in shots.values() if shot.is_muted]
    return (*clips, *(Clip(shot, 0, shot.num_frames - 1, shot.actor, "", None) for shot in held))


def without_short(clips: Iterable[Clip], least: float, unit: str) -> tuple[Clip, ...]:
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
