"""The motion of shots as training holds it in memory: coefficients, jaw and eyes, never poses.

Reads the channels of a shot, brings them to one length, and says which are missing.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

from audio2face.console import LOGGER
from audio2face.errors import UserError
from audio2face.geometry.frame_times import interpolate_frames
from audio2face.training.data.actors import ActorSource
from audio2face.training.data.clips import NEUTRAL, TrainingShot, listed
from audio2face.types import CHANNELS, Float32Array, Float64Array


@dataclass(frozen=True, eq=False)
class ShotMotion:
    """The motion of one shot, float32.

    Attributes:
        skin: coefficients, `[frames, shapes]`.
        tongue: coefficients, `[frames, tongue shapes]`.
        jaw: differences of the key points from rest, `[frames, 3 * points]`, centimetres.
        eye: rotations, `[frames, 2 * angles]`, degrees.
        known: for skin, tongue, jaw and eyes, whether they are data; False where this shot lacks what its actor has,
            so that zeros (rest) stand there and nothing should be learnt from them.
    """

    skin: Float32Array
    tongue: Float32Array
    jaw: Float32Array
    eye: Float32Array
    known: tuple[bool, bool, bool, bool]

    @property
    def num_frames(self) -> int:
        """Length in frames."""
        return len(self.skin)

    @property
    def parts(self) -> tuple[Float32Array, Float32Array, Float32Array, Float32Array]:
        """Skin, tongue, jaw and eyes."""
        return self.skin, self.tongue, self.jaw, self.eye

    def hold(self, frame: int, num_frames: int, *, neutral_skin: bool, neutral_tongue: bool) -> ShotMotion:
        """One frame for a while, skin or tongue at rest where asked for; takes no memory for its length."""
        rest = (neutral_skin, neutral_tongue, False, False)
        poses = [values[frame] * (not still) for values, still in zip(self.parts, rest, strict=True)]
        skin, tongue, jaw, eye = (np.broadcast_to(pose, (num_frames, len(pose))) for pose in poses)
        known = (self.known[0], self.known[1] or neutral_tongue, self.known[2], self.known[3])
        return ShotMotion(skin, tongue, jaw, eye, known)

    def between(self, frames: Float64Array) -> ShotMotion:
        """The motion at times between frames, by linear interpolation.

        Poses are linear in all of this, so it gives the same as interpolating poses.

        Args:
            frames: positions in frames, `[times]`, each within [0, num_frames - 1].
        """
        skin, tongue, jaw, eye = (np.asarray(interpolate_frames(part, frames), np.float32) for part in self.parts)
        return ShotMotion(skin, tongue, jaw, eye, self.known)


def read_motions(
    sources: Sequence[ActorSource], wanted: Iterable[tuple[str, str]]
) -> dict[tuple[str, str], ShotMotion]:
    """Reads the motion of shots.

    Channels of unequal length are cut to the shortest. A part that an actor has and a shot lacks is at rest there and
    marked as unknown; one that an actor never has is at rest in all its shots, and learnt so.

    Args:
        sources: the actors' data.
        wanted: actors and shots.

    Returns:
        The motions by actor and shot.

    Raises:
        UserError: a shot has no skin coefficients, or (FileFormatError) an array has the wrong shape.
    """
    by_actor = {source.actor: source for source in sources}
    missing: dict[str, list[str]] = defaultdict(list)
    unequal: list[str] = []
    motions = {}
    for actor, shot in dict.fromkeys(wanted):
        source = by_actor[actor]
        found = [_read_part(source, part, shot) for part in CHANNELS]
        lengths = {part: len(values) for part, values in zip(CHANNELS, found, strict=True) if values is not None}
        if len(set(lengths.values())) > 1:
            unequal.append(f"{shot} ({', '.join(f'{part} {length}' for part, length in lengths.items())})")
        motions[actor, shot] = _complete(source, found, min(lengths.values()))
        for part, is_known in zip(CHANNELS, motions[actor, shot].known, strict=True):
            if not is_known:
                missing[f"{actor}, {part}"].append(shot)
    for what, shots in missing.items():
        LOGGER.warning("No data of %s for %s: at rest there, and not learnt from", what, listed(shots))
    if unequal:
        LOGGER.warning("Shots whose parts differ in frames are cut to the shortest: %s", listed(unequal))
    return motions


def _item_shape(source: ActorSource, part: str) -> tuple[int, ...]:
    """Shape of a part in one frame, as filed."""
    counts = source.info.counts
    shapes = {
        "skin": (counts["num_shapes_skin"],),
        "tongue": (counts["num_shapes_tongue"],),
        "jaw": (counts["num_keypoints_jaw"], 3),
        "eye": (2, counts["num_angles_eye"]),
    }
    return shapes[part]


def _read_part(source: ActorSource, part: str, shot: str) -> Float32Array | None:
    """A part of a shot, `[frames, values]`; None where there is none."""
    archive = source.animation(part)
    if archive is None or shot not in archive.members:
        if part == "skin":
            raise UserError(
                f"has no coefficients of shot {shot!r} of actor {source.actor!r}",
                path=source.skin_coefficients.path,
                hint="Preprocess the actor again with this shot, or leave it out of CLIPS.",
            )
        return None
    values = archive.read_floats(shot, (None, *_item_shape(source, part)))
    if not np.isfinite(values).all():
        raise UserError(f"holds a value that is not finite for {part}, shot {shot!r}", path=archive.path)
    return values.reshape(len(values), -1)


def _complete(source: ActorSource, found: Sequence[Float32Array | None], num_frames: int) -> ShotMotion:
    """Puts rest where a part is missing, and cuts all to one length."""
    parts = []
    for part, values in zip(CHANNELS, found, strict=True):
        width = int(np.prod(_item_shape(source, part)))
        parts.append(np.zeros((num_frames, width), np.float32) if values is None else values[:num_frames])
    known = tuple(
        values is not None or source.animation(part) is None for part, values in zip(CHANNELS, found, strict=True)
    )
    return ShotMotion(parts[0], parts[1], parts[2], parts[3], (known[0], known[1], known[2], known[3]))


def add_muted_shots(
    shots: Iterable[TrainingShot],
    motions: Mapping[tuple[str, str], ShotMotion],
    *,
    zero_emotion: str | None,
    skin_rests_in_neutral: bool,
    tongue_rests: bool,
) -> dict[str, ShotMotion]:
    """The motion of every shot by its id, held poses made from their sources.

    Args:
        shots: all shots that have clips.
        motions: by actor and shot.
        zero_emotion: the emotion that counts as neutral, beside "neutral" itself.
        skin_rests_in_neutral: AUG_MUTED_SKIN_IS_NEUTRAL_FOR_NEUTRAL_EMO.
        tongue_rests: AUG_MUTED_TONGUE_IS_NEUTRAL.

    Raises:
        UserError: a pose is to be held of a frame beyond its source's data.
    """
    by_id = {}
    for shot in shots:
        motion = motions[shot.actor, shot.name]
        if shot.held_frame is not None:
            if shot.held_frame >= motion.num_frames:
                raise UserError(
                    f"AUG_MUTED_SHOTS: frame {shot.held_frame} of shot {shot.name!r} of actor {shot.actor!r}, whose "
                    f"data have {motion.num_frames} frames"
                )
            is_neutral = shot.emotion in (NEUTRAL, zero_emotion)
            motion = motion.hold(
                shot.held_frame,
                shot.num_frames,
                neutral_skin=skin_rests_in_neutral and is_neutral,
                neutral_tongue=tongue_rests,
            )
        by_id[shot.id] = motion
    return by_id


def fit_shots(shots: Sequence[TrainingShot], motions: Mapping[tuple[str, str], ShotMotion]) -> tuple[TrainingShot, ...]:
    """Shortens shots to the length of their motion; warns where the two differ at all."""
    fitted, differ = [], []
    for shot in shots:
        motion = motions.get((shot.actor, shot.name))
        if motion is not None and not shot.is_muted and motion.num_frames != shot.num_frames:
            differ.append(f"{shot.id} ({motion.num_frames} instead of {shot.num_frames})")
            shot = replace(shot, num_frames=min(motion.num_frames, shot.num_frames))
        fitted.append(shot)
    if differ:
        LOGGER.warning("Shots whose data differ in frames from the shot list: %s", listed(differ))
    return tuple(fitted)
